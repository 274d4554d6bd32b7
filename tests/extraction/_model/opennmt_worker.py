# SPDX-License-Identifier: BSD-3-Clause
"""Save a tiny checkpoint with OpenNMT-py, where it is installed, and read it word by word.

Takes a folder, and writes the activations there: ours and those of plain hooks.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onmt.opts
import torch
from onmt.inputters.inputter import dict_to_vocabs
from onmt.model_builder import build_base_model
from onmt.models.model_saver import ModelSaver
from onmt.utils.parse import ArgumentParser

from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator, TorchModel
from sklearn_neurox.words import words_frame

SENTENCES = [["The", "old", "dog", "barked"], ["A", "light", "rain"], ["Dogs", "bark", "unseen"]]
PIECES = ["The", "old", "dog", "bark", "ed", "A", "light", "rain", "Dog", "s", "un", "seen"]
OPTIONS = """-encoder_type transformer -decoder_type transformer -enc_layers 2 -dec_layers 2
-heads 2 -hidden_size 16 -word_vec_size 16 -transformer_ff 24 -position_encoding"""


def save(folder):
    """Build a tiny model as OpenNMT-py's training does, and save it with OpenNMT-py."""
    parser = ArgumentParser(conflict_handler="resolve")
    onmt.opts.train_opts(parser)
    options, _ = parser.parse_known_args(
        [*OPTIONS.split(), "-data", "{}", "-src_vocab", "none", "-save_model", str(folder)]
    )
    ArgumentParser.update_model_opts(options)
    tokens = ["<unk>", "<blank>", "<s>", "</s>", *PIECES]
    vocabs = dict_to_vocabs({"src": tokens, "tgt": tokens, "data_task": "seq2seq"})
    model = build_base_model(options, vocabs)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)

    class NoOptimizer:
        def state_dict(self):
            return {}

    ModelSaver(str(folder / "tiny"), model, options, vocabs, NoOptimizer()).save(1)
    return next(folder.glob("*.pt"))


def load(path):
    """Load a checkpoint, unpickling only tensors and options."""
    with torch.serialization.safe_globals([argparse.Namespace]):
        checkpoint = torch.load(path, weights_only=True)
    vocabs = dict_to_vocabs(checkpoint["vocab"])
    model = build_base_model(checkpoint["opt"], vocabs)
    model.load_state_dict(checkpoint)
    return model.eval(), vocabs["src"]


def tokenize(text):
    """Split words into the longest known pieces, or characters, with their spans."""
    pieces, start = [], 0
    for word in text.split(" "):
        place = start
        while place < start + len(word):
            known = [piece for piece in PIECES if text.startswith(piece, place)]
            piece = max(known, key=len, default=text[place])
            pieces.append((piece, place, place + len(piece)))
            place += len(piece)
        start += len(word) + 1
    return pieces


def main(folder):
    """Read the encoder and decoder of the checkpoint, and compare with manual hooks."""
    model, vocab = load(save(folder))

    def encode(text):
        pieces = tokenize(text)
        return [vocab.lookup_token(piece) for piece, _, _ in pieces], [s for _, *s in pieces]

    def forward(model, ids, mask):
        # The decoder reads the text too; OpenNMT-py omits its last token.
        end = torch.full_like(ids[:, :1], vocab.lookup_token("</s>"))
        target = torch.cat([ids, end], dim=1)
        return model(ids[:, :, None], target[:, :, None], mask.sum(1))

    component = ["module:encoder.transformer.*.feed_forward.w_1", "module:encoder.transformer.?",
                 "module:encoder", "module:decoder.transformer_layers.?"]  # fmt: skip
    words = words_frame(SENTENCES)
    known = TorchModel(model, encode, forward=forward, supports_padding=True, pad_token_id=1)
    extractor = ActivationExtractor(known, component=component)
    features = SubwordAggregator("last")
    H = features.fit_transform(extractor.transform(words))
    names = features.get_feature_names_out()
    np.save(folder / "ours.npy", H)
    np.save(folder / "naive.npy", naive(model, encode, forward, words, names))
    (folder / "names.txt").write_text("\n".join(names))


def naive(model, encode, forward, words, names):
    paths = list(dict.fromkeys(name.removeprefix("module:").rsplit(".", 1)[0] for name in names))
    rows = []
    for row in words.itertuples():
        seen = {}
        handles = [
            model.get_submodule(path).register_forward_hook(
                lambda _, args, output, path=path, seen=seen: seen.__setitem__(
                    path, output[0] if isinstance(output, tuple) else output
                )
            )
            for path in paths
        ]
        ids, spans = encode(row.text)
        with torch.no_grad():
            forward(model, torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        for handle in handles:
            handle.remove()
        last = max(k for k, (_, end) in enumerate(spans) if end <= row.end)
        rows.append(np.concatenate([seen[path][0, last].numpy() for path in paths]))
    return np.array(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
