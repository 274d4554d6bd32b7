# SPDX-License-Identifier: BSD-3-Clause
"""Causal effects in many families of models: each intervention against a hook written by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from sklearn_neurox.ablation import ConceptEraser, causal_effect
from sklearn_neurox.words import words_frame
from tests.ablation._causal.one_text import MEASURES, at, random_model, setting
from tests.extraction.families import WIDTH

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning"),
]

TEXTS = words_frame([["The", "old", "dog", "barked"], ["She", "saw", "the", "café"]])
WORDS = TEXTS.iloc[[3, 7]].assign(short=[False, True])
OWN = TEXTS.iloc[[2, 6, 7]]  # "dog", "the", "café"
OTHERS_OF = words_frame([["A", "dog", "saw", "the", "man"]])
PATCHED, SOURCE = TEXTS.iloc[[2, 6]], OTHERS_OF.iloc[[1, 3]]  # "dog" and "the", in another text

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
    kind, stacks, changed = MODELS[request.param]
    return random_model(
        request.param, kind, stacks, tmp_path_factory.mktemp(request.param), **changed
    )


def interventions(family, prefix):
    """List parameters of `causal_effect`, and the expected changes of a word by which and name."""
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

        def neurons(word, positions=positions):
            tokens = family.chosen(prefix, positions, word)
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
        zeroed[key] = lambda word, units=units: {attention: setting(units, 0.0)}

        def patch(word, units=units):
            tokens = family.chosen(prefix, PATCHED, word)
            return {attention: at(tokens, setting(units, source[str(word["text"])][:, units]))}

        patched[key] = patch
    what, options = f"{prefix}attention.2.*", {"by": "head", "which": "each"}
    listed.append((what, options, zeroed))
    rows = {"fill": "interchange", "positions": PATCHED, "values": SOURCE}
    listed.append((what, options | rows, patched))

    # Layers.
    layers = {("each", f"{prefix}hidden.1"): lambda word: {hidden: torch.zeros_like}}
    layers["each", f"{prefix}attention.2"] = lambda word: {attention: torch.zeros_like}
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

        def remove(word, rows=rows):
            return {hidden: at(family.chosen(prefix, OWN, word), projecting(rows))}

        def add(word, rows=rows):
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

    def erase(word):
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

                def cast(word, states_of=states_of):
                    return {
                        key: lambda state, change=change: change(state).to(state.dtype)
                        for key, change in states_of(word).items()
                    }

                right = family.measures(WORDS, cast)
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
