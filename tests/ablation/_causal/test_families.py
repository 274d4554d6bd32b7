# SPDX-License-Identifier: BSD-3-Clause
"""Causal effects in many families of models: each intervention against a hook written by hand."""

from contextlib import ExitStack

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from transformers import AutoTokenizer

from sklearn_neurox.ablation import ConceptEraser, causal_effect
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.datasets._tiny_models import _random_model
from sklearn_neurox.words import words_frame
from tests.extraction.families import FAMILIES, OTHERS, config_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
]

TEXTS = words_frame([["The", "old", "dog", "barked"], ["She", "saw", "the", "café"]])
WORDS = TEXTS.iloc[[3, 7]].assign(short=[False, True])
OWN = TEXTS.iloc[[2, 6, 7]]  # "dog", "the", "café"
OTHERS_OF = words_frame([["A", "dog", "saw", "the", "man"]])
PATCHED, SOURCE = TEXTS.iloc[[2, 6]], OTHERS_OF.iloc[[1, 3]]  # "dog" and "the", in another text
MEASURES = ["loss", "kl", "n_subwords"]
WIDTH = 16

# family: (class with a head, the stacks by their prefixes, changes of the configuration). Windows
# of local attention are shorter than the texts, so that they matter.
_ONE, _TWO = {"": "model"}, {"encoder.": "model.encoder", "decoder.": "model.decoder"}
MODELS = {
    "bert": ("BertForMaskedLM", {"": "bert"}, {}),
    "modernbert": ("ModernBertForMaskedLM", _ONE, {"local_attention": 4}),
    "gpt2": ("GPT2LMHeadModel", {"": "transformer"}, {}),  # Conv1D
    "llama": ("LlamaForCausalLM", _ONE, {}),  # grouped queries
    "gemma2": ("Gemma2ForCausalLM", _ONE, {"sliding_window": 5}),  # normalized branches
    "gpt-neox": ("GPTNeoXForCausalLM", {"": "gpt_neox"}, {}),  # both branches at once
    "opt": ("OPTForCausalLM", {"": "model.decoder"}, {}),
    "mixtral": ("MixtralForCausalLM", _ONE, {}),  # experts, which share no neurons of an mlp
    "bart": ("BartForConditionalGeneration", _TWO, {}),
    "t5": ("T5ForConditionalGeneration", {"encoder.": "encoder", "decoder.": "decoder"}, {}),
}


@pytest.fixture(scope="module", params=MODELS)
def family(request, tmp_path_factory):
    name, (kind, stacks, changed) = request.param, MODELS[request.param]
    traits = {**FAMILIES, **OTHERS}[name]
    path = tmp_path_factory.mktemp(name)
    make_tiny_model(traits.tokenizer, path=path, hidden_size=WIDTH, n_heads=2)
    tokenizer = AutoTokenizer.from_pretrained(path)
    config = config_of(name, tokenizer)
    for option, value in changed.items():
        setattr(config, option, value)
    bare = _random_model(config, np.random.RandomState(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, kind)(bare.config).eval()
        for parameter in model.get_output_embeddings().parameters():
            torch.nn.init.normal_(parameter)
    model.base_model.load_state_dict(bare.state_dict(), strict=False)
    return ByHand(model, tokenizer, traits, stacks)


class ByHand:
    """Scores words with transformers and torch alone, one at a time, without padding."""

    def __init__(self, model, tokenizer, traits, stacks):
        self.model, self.tokenizer, self.traits, self.stacks = model, tokenizer, traits, stacks
        self.before = {}  # what the model predicts as it is, by word

    def encode(self, text):
        """Return the ids of a text and the span of each token."""
        ids = self.tokenizer(text)["input_ids"]
        pieces = self.tokenizer.convert_ids_to_tokens(ids)
        if not any(piece.startswith("▁") for piece in pieces):
            return ids, self.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        spans, end = [], -1  # the first marker stands before the text
        for piece in pieces:
            length = 0 if piece in ("<s>", "</s>") else len(piece)
            spans.append((max(end, 0) + (piece[0] == "▁" and end >= 0), end + length))
            end += length
        return ids, spans

    def tokens(self, row):
        _, spans = self.encode(str(row["text"]))
        return [
            i for i, (low, high) in enumerate(spans)
            if low < row["end"] and high > row["start"] and high > low
        ]  # fmt: skip

    def module(self, prefix, component, layer):
        base = self.model.get_submodule(self.stacks[prefix])
        path = self.traits.blocks.removeprefix("decoder.")
        block = base.get_submodule(path)[layer - 1]
        if component == "hidden":
            return block, False
        within = self.traits.down if component == "mlp" else self.traits.out
        return block.get_submodule(within.format(last=len(getattr(block, "layer", [])) - 1)), True

    def read(self, ids, inputs, states):
        """Run the model on one text; return its logits. ``states`` may replace each state."""
        with ExitStack() as stack, torch.no_grad():
            for (prefix, component, layer), change in states.items():
                module, is_input = self.module(prefix, component, layer)

                def apply(state, change=change):
                    return change(state.reshape(-1, state.shape[-1]).clone()).reshape(state.shape)

                def before(_, args, apply=apply):
                    return (apply(args[0]), *args[1:])

                def after(_, args, output, apply=apply):
                    if isinstance(output, tuple):
                        return (apply(output[0]), *output[1:])
                    return apply(output)

                register = (
                    module.register_forward_pre_hook if is_input else module.register_forward_hook
                )
                stack.callback(register(before if is_input else after).remove)
            given = {"input_ids": torch.tensor([inputs])}
            if "decoder." in self.stacks:
                start = self.model.config.decoder_start_token_id
                given["decoder_input_ids"] = torch.tensor([[start, *ids[:-1]]])
            return self.model(**given).logits[0]

    def score(self, word, states):
        """Return the logits that predict the subwords of a word, and their ids."""
        ids, _ = self.encode(str(word["text"]))
        own, inputs, places = self.tokens(word), list(ids), None
        if self.tokenizer.mask_token_id is not None and "decoder." not in self.stacks:
            places = own
            for token in own:
                inputs[token] = self.tokenizer.mask_token_id
        else:
            places = own if "decoder." in self.stacks else [token - 1 for token in own]
        return self.read(ids, inputs, states)[places], torch.tensor(ids)[own]

    def measures(self, states_of):
        """Compute loss, divergence and number of subwords; ``states_of`` takes a text."""
        rows = []
        for number, (_, word) in enumerate(WORDS.iterrows()):
            if number not in self.before:
                self.before[number] = self.score(word, {})
            old, ids = self.before[number]
            new, _ = self.score(word, states_of(str(word["text"])))
            loss = torch.nn.functional.cross_entropy(new, ids, reduction="sum").item()
            old, new = old.double().log_softmax(-1), new.double().log_softmax(-1)
            rows.append([loss, (old.exp() * (old - new)).sum().item(), len(ids)])
        return pd.DataFrame(rows, columns=MEASURES)

    def state(self, key, row):
        """Return the states of the tokens of a row, as the model is."""
        ids, seen = self.encode(str(row["text"]))[0], []

        def keep(state):
            seen.append(state.clone())
            return state

        self.read(ids, ids, {key: keep})
        return seen[0][self.places(key[0], row)]

    def places(self, prefix, row):
        """Return where a stack reads the tokens of a row: a decoder reads them one place later."""
        return [token + (prefix == "decoder.") for token in self.tokens(row)]

    def chosen(self, prefix, positions, text):
        if isinstance(positions, str):
            return slice(1 if positions == "not_first" else 0, None)
        rows = positions[positions["text"].astype(str) == text]
        return [place for _, row in rows.iterrows() for place in self.places(prefix, row)]


def at(tokens, change):
    """Apply a change to some tokens of a text."""

    def apply(state):
        if not isinstance(tokens, list) or tokens:
            state[tokens] = change(state[tokens]).to(state.dtype)
        return state

    return apply


def setting(units, value):
    def change(state):
        state = state.clone()
        state[:, units] = value
        return state

    return change


def interventions(family, prefix):
    """List parameters of `causal_effect`, and the expected changes of a text by which and name."""
    rng, hidden, attention = (
        np.random.RandomState(0),
        (prefix, "hidden", 1),
        (prefix, "attention", 2),
    )
    names = [f"{prefix}hidden.1.{unit}" for unit in range(WIDTH)]
    has_mlp = "Mixtral" not in type(family.model).__name__
    listed = []

    # Neurons, set to a number.
    for positions in ("not_first", OWN):

        def neurons(text, positions=positions):
            tokens = family.chosen(prefix, positions, text)
            states = {hidden: at(tokens, setting(range(5), 0.5))}
            return states | ({(prefix, "mlp", 2): at(tokens, setting([3], 0.5))} if has_mlp else {})

        what = [*names[:5], *([f"{prefix}mlp.2.3"] if has_mlp else [])]
        options = {"steps": [len(what)], "which": "top", "fill": 0.5, "positions": positions}
        listed.append((what, options, {("top", ""): neurons}))

    # Heads, to zero; and each with the state of another text.
    source = dict(zip(PATCHED["text"].astype(str), SOURCE.iloc, strict=True))
    source = {text: family.state(attention, row) for text, row in source.items()}
    width = next(iter(source.values())).shape[1]
    is_bart = "Bart" in type(family.model).__name__
    n_heads = 2 if is_bart and prefix == "decoder." else 4
    heads = np.split(np.arange(width), n_heads)
    zeroed, patched = {}, {}
    for head, units in enumerate(heads):
        key = ("each", f"{prefix}attention.2.h{head}")
        zeroed[key] = lambda text, units=units: {attention: setting(units, 0.0)}

        def patch(text, units=units):
            tokens = family.chosen(prefix, PATCHED, text)
            return {attention: at(tokens, setting(units, source[text][:, units]))}

        patched[key] = patch
    what, options = f"{prefix}attention.2.*", {"by": "head", "which": "each"}
    listed.append((what, options, zeroed))
    rows = {"fill": "interchange", "positions": PATCHED, "values": SOURCE}
    listed.append((what, options | rows, patched))

    # Layers.
    layers = {("each", f"{prefix}hidden.1"): lambda text: {hidden: torch.zeros_like}}
    layers["each", f"{prefix}attention.2"] = lambda text: {attention: torch.zeros_like}
    what = [f"{prefix}hidden.1.*", f"{prefix}attention.2.*"]
    listed.append((what, {"by": "layer", "which": "each"}, layers))

    # Directions, projected out or added.
    frame = pd.DataFrame(rng.normal(size=(2, WIDTH)), columns=names, index=["a", "b"])
    raw = torch.tensor(frame.to_numpy())

    def projecting(directions):
        basis = torch.linalg.qr(directions.T)[0]
        return lambda state: state.double() - state.double() @ basis @ basis.T

    removed, added = {}, {}
    for which, name, rows in (("each", "a", raw[:1]), ("all", "all", raw)):

        def remove(text, rows=rows):
            return {hidden: at(family.chosen(prefix, OWN, text), projecting(rows))}

        def add(text, rows=rows):
            return {hidden: at(slice(1, None), lambda state: state.double() + 0.7 * rows.sum(0))}

        removed[which, name], added[which, name] = remove, add
    which = ["each", "all"]
    listed.append((frame, {"which": which, "positions": OWN}, removed))
    translate = {"which": which, "positions": "not_first", "fill": "translate", "step": 0.7}
    listed.append((frame, translate, added))

    # An eraser.
    X = pd.DataFrame(rng.normal(size=(60, WIDTH)) @ rng.normal(size=(WIDTH, WIDTH)), columns=names)
    eraser = ConceptEraser().fit(X, np.arange(60) % 3)
    mean, D, R = map(torch.tensor, (eraser.mean_, eraser.directions_, eraser.readouts_))

    def erase(text):
        return {hidden: lambda state: state.double() - (state.double() - mean) @ R.T @ D}

    listed.append((eraser, {"which": "all"}, {("all", ""): erase}))
    return listed


def test_every_intervention_equals_a_hook_by_hand(family):
    largest = {}
    for prefix in family.stacks:
        for what, options, expected in interventions(family, prefix):
            effect, of_words = causal_effect(
                family.model, WORDS, WORDS["short"], what, return_words=True,
                tokenizer=family.tokenizer, random_state=0, **options,
            )  # fmt: skip
            for (which, name), states_of in expected.items():
                case = (prefix, str(options))

                def cast(text, states_of=states_of):
                    return {
                        key: lambda state, change=change: change(state).to(state.dtype)
                        for key, change in states_of(text).items()
                    }

                right = family.measures(cast)
                own = of_words[(of_words["which"] == which) & (of_words["name"] == name)]
                np.testing.assert_allclose(
                    own[MEASURES], right, rtol=1e-5, atol=1e-5, err_msg=str(case)
                )
                table = effect[(effect["which"] == which) & (effect["name"] == name)]
                for carries, row in table.groupby("carries"):
                    words = right[(WORDS["short"] == carries).to_numpy()]
                    found = row[["loss", "subword_loss", "kl"]].to_numpy()[0]
                    per_subword = words["loss"].sum() / words["n_subwords"].sum()
                    means = [words["loss"].mean(), per_subword, words["kl"].mean()]
                    np.testing.assert_allclose(found, means, rtol=1e-5, atol=1e-5)
                largest[case] = max(largest.get(case, 0.0), right["kl"].max())
    assert min(largest.values()) > 1e-4, min(largest, key=largest.get)
