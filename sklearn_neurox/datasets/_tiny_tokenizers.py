# SPDX-License-Identifier: BSD-3-Clause
"""Train a small tokenizer of each kind that language models use.

Import this module only inside functions, because it imports transformers.
"""

import io
import json
from collections import Counter
from itertools import chain
from math import log
from operator import itemgetter
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, WordPiece
from tokenizers.trainers import BpeTrainer, WordPieceTrainer
from transformers import (
    BertTokenizer,
    ByT5Tokenizer,
    CanineTokenizer,
    GPT2Tokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from sklearn_neurox.utils._optional import require

_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def train_wordpiece(corpus, vocab_size, *, lowercase=False):
    """Train a WordPiece tokenizer like BERT's; unseen characters are unknown tokens."""
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        strip_accents=lowercase, lowercase=lowercase, handle_chinese_chars=True
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # The trainer numbers word-internal characters in the random order of a hash map and breaks
    # ties by number. Passing them as special tokens makes the vocabulary reproducible.
    text = tokenizer.normalizer.normalize_str(" ".join(corpus))
    inner = [f"##{character}" for character in sorted(set(text) - {" "})]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *inner]
    trainer = WordPieceTrainer(vocab_size=vocab_size, special_tokens=special, show_progress=False)
    vocab = _train(tokenizer, trainer, corpus)["vocab"]
    return BertTokenizer(vocab=vocab, do_lower_case=lowercase, strip_accents=lowercase)


def train_gpt2(corpus, vocab_size):
    """Train a byte-level BPE tokenizer like GPT-2's: no padding or special tokens around a text."""
    model = _train_byte_level(corpus, vocab_size, ["<|endoftext|>"])
    return GPT2Tokenizer(**model)


def train_roberta(corpus, vocab_size):
    """Train a byte-level BPE tokenizer like RoBERTa's, whose offsets exclude the space."""
    model = _train_byte_level(corpus, vocab_size, _ROBERTA)
    return RobertaTokenizer(**model, mask_token=AddedToken("<mask>", lstrip=True))


def train_modernbert(corpus, vocab_size):
    """Train a byte-level BPE tokenizer like ModernBERT's: NFC and BERT's special tokens."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    model = _train_byte_level(corpus, vocab_size, special)
    tokenizer = Tokenizer(BPE(**model))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:0 [SEP]:0",
        special_tokens=[(token, model["vocab"][token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token=AddedToken("[MASK]", lstrip=True),
        model_input_names=["input_ids", "attention_mask"],
    )


def train_llama(corpus, vocab_size):
    """Train a BPE tokenizer like Llama's: spaces are "▁", unseen characters fall back to bytes."""
    special = ["<unk>", "<s>", "</s>", *_BYTES]
    model = _train_metaspace(corpus, vocab_size, special)
    return LlamaTokenizer(**model, add_bos_token=True, add_eos_token=False)


def train_xlm_roberta(corpus, vocab_size):
    """Build a Unigram tokenizer like XLM-RoBERTa's.

    The pieces come from a BPE model and are scored by their frequency, because the trainer for
    Unigram models finds different pieces in each process.
    """
    bpe = Tokenizer(BPE(**_train_metaspace(corpus, vocab_size, [])))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace()
    counts = Counter(chain.from_iterable(bpe.encode(text).tokens for text in corpus))
    total = counts.total()
    pieces = sorted(bpe.get_vocab().items(), key=itemgetter(1))
    scored = [(piece, log((counts[piece] + 0.5) / total)) for piece, _ in pieces]
    special = [(token, 0.0) for token in _ROBERTA[:-1]]
    vocab = [*special, *scored[: vocab_size - len(_ROBERTA)], (_ROBERTA[-1], 0.0)]
    return XLMRobertaTokenizer(vocab=vocab, mask_token=AddedToken("<mask>", lstrip=True))


def make_canine(corpus, vocab_size):
    """Return CANINE's tokenizer, written in Python: a token is a character."""
    return CanineTokenizer()


def make_byt5(corpus, vocab_size):
    """Return ByT5's tokenizer, written in Python: a token is a byte of UTF-8."""
    return ByT5Tokenizer()


def train_marian(corpus, vocab_size, *, folder):
    """Train the two SentencePiece models of Marian's tokenizer, which is written in Python."""
    sentencepiece = require("sentencepiece", caller="make_tiny_model('marian')", extra="test")
    from transformers import MarianTokenizer

    Path(folder).mkdir(parents=True, exist_ok=True)
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=trained,
        vocab_size=vocab_size,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
    )
    files = {name: Path(folder, name) for name in ("source.spm", "target.spm", "vocab.json")}
    files["source.spm"].write_bytes(trained.getvalue())
    files["target.spm"].write_bytes(trained.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=trained.getvalue())
    pieces = [processor.id_to_piece(i) for i in range(processor.get_piece_size())]
    # Marian's order differs from SentencePiece's: end of text first, padding last.
    known = ["</s>", "<unk>", *(p for p in pieces if p not in ("</s>", "<unk>", "<s>")), "<pad>"]
    vocab = {piece: i for i, piece in enumerate(known)}
    files["vocab.json"].write_text(json.dumps(vocab), encoding="utf-8")
    return MarianTokenizer(*map(str, files.values()))


def _train_byte_level(corpus, vocab_size, special):
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _train_bpe(corpus, vocab_size, special, splitter, splitter.alphabet())


def _train_metaspace(corpus, vocab_size, special):
    # Split into words, so that no piece spans two words, as in SentencePiece.
    return _train_bpe(corpus, vocab_size, special, pre_tokenizers.Metaspace(), [])


def _train_bpe(corpus, vocab_size, special, splitter, alphabet):
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = splitter
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    model = _train(tokenizer, trainer, corpus)
    return {"vocab": model["vocab"], "merges": [tuple(pair) for pair in model["merges"]]}


def _train(tokenizer, trainer, corpus):
    """Train and return the model section of tokenizer.json."""
    tokenizer.train_from_iterator(corpus, trainer)
    return json.loads(tokenizer.to_str())["model"]
