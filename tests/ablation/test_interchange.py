# SPDX-License-Identifier: BSD-3-Clause
"""Patching: the states of other rows, inserted at the tokens of rows."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from sklearn_neurox.ablation import ablate_model
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor
from sklearn_neurox.words import words_frame
from tests.ablation.hooks import Hooked

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

WORDS = words_frame([["The", "dog", "sleeps"], ["The", "light", "rain", "sleeps"]])
OTHERS = words_frame([["A", "house", "barked"], ["A", "house", "burned"]])
ROWS, COUNTERPARTS = WORDS.iloc[[1, 5]], OTHERS.iloc[[1, 5]]


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def loaded(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    # All words of these texts become single tokens.
    corpus = [str(text) for text in [*WORDS["text"], *OTHERS["text"]]] * 9
    folder = make_tiny_model(request.param, path=path, hidden_size=16, n_heads=2, corpus=corpus)
    auto = AutoModelForMaskedLM if request.param == "bert" else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = auto.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    blocks = model.bert.encoder.layer if request.param == "bert" else model.transformer.h
    return model, tokenizer, blocks, ActivationExtractor(model, tokenizer=tokenizer)


def read(model, tokenizer, text):
    with torch.no_grad():
        return model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)


def token_of(tokenizer, row):
    """Return the place of a word of one token."""
    spans = tokenizer(str(row["text"]), return_offsets_mapping=True)["offset_mapping"]
    return next(
        i
        for i, (low, high) in enumerate(spans)
        if low < row["end"] and high > row["start"] and high > low
    )


def patched_by_hand(loaded, row, other, change):
    """Run the text of a row with one state replaced: ``change(state, state of the other)``."""
    model, tokenizer, blocks, _ = loaded
    other_state = read(model, tokenizer, str(other["text"])).hidden_states[1]
    place, other_place = token_of(tokenizer, row), token_of(tokenizer, other)

    def chosen(past, shape):
        there = torch.zeros(shape, dtype=torch.bool)
        there[:, place] = True
        return there

    def insert(state):
        return change(state, other_state[0, [other_place]])

    with Hooked(blocks[0], "output", insert, chosen).applied():
        return read(model, tokenizer, str(row["text"])).logits


@pytest.mark.slow
def test_one_call_inserts_the_states_of_other_texts(loaded):
    model, tokenizer, _, extractor = loaded
    for number in (0, 1):
        row, other = ROWS.iloc[number], COUNTERPARTS.iloc[number]
        expected = patched_by_hand(loaded, row, other, lambda state, new: new)
        with ablate_model(
            extractor,
            "hidden.1.*",
            fill="interchange",
            positions=ROWS.iloc[[number]],
            values=COUNTERPARTS.iloc[[number]],
        ):
            found = read(model, tokenizer, str(row["text"])).logits
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert not torch.equal(found, read(model, tokenizer, str(row["text"])).logits)


@pytest.mark.slow
def test_rows_are_paired_one_by_one(loaded):
    _, _, _, extractor = loaded
    hidden = ActivationExtractor(**extractor.get_params() | {"layers": [1]})
    new = hidden.transform(COUNTERPARTS).pool("last")
    old = hidden.transform(WORDS).pool("last")
    for order in ([0, 1], [1, 0]):
        with ablate_model(
            extractor,
            ["hidden.1.*"],
            fill="interchange",
            positions=ROWS.iloc[order],
            values=COUNTERPARTS.iloc[order],
        ):
            found = hidden.transform(WORDS).pool("last")
        np.testing.assert_allclose(found[[1, 5]], new, atol=1e-6)
        np.testing.assert_allclose(
            np.delete(found, [1, 5], 0), np.delete(old, [1, 5], 0), atol=1e-6
        )


@pytest.mark.slow
def test_states_may_be_given(loaded):
    _, _, _, extractor = loaded
    names = ["hidden.1.4", "hidden.1.2"]
    hidden = ActivationExtractor(**extractor.get_params() | {"layers": [1]})
    states = np.array([[1.0, 2.0], [3.0, 4.0]])
    for values in (states, pd.DataFrame(states[:, ::-1], columns=names[::-1]), states.tolist()):
        with ablate_model(extractor, names, fill="interchange", positions=ROWS, values=values):
            found = hidden.transform(WORDS).pool("last")
        np.testing.assert_allclose(found[[1, 5]][:, [4, 2]], states)
    frame = pd.DataFrame(states, columns=names, index=ROWS.index)
    arguments = {"neurons": names, "fill": "interchange", "positions": ROWS}
    ablate_model(extractor, values=frame, **arguments)
    with pytest.warns(UserWarning, match="paired by position"):
        ablate_model(extractor, values=frame.iloc[::-1], **arguments)
    # Pairing words with others on purpose needs no warning.
    ablate_model(extractor, values=ROWS.iloc[::-1], **arguments)


@pytest.mark.slow
def test_heads_and_coordinates(loaded):
    _, _, _, extractor = loaded
    direction = np.random.default_rng(0).normal(size=16)
    unit = torch.tensor(direction / np.linalg.norm(direction), dtype=torch.float32)
    expected = patched_by_hand(
        loaded,
        ROWS.iloc[0],
        COUNTERPARTS.iloc[0],
        lambda state, new: state + ((new - state) @ unit)[:, None] * unit,
    )
    what = pd.Series(direction, index=[f"hidden.1.{unit}" for unit in range(16)])
    options = {"fill": "interchange", "positions": ROWS[:1], "values": COUNTERPARTS[:1]}
    with ablate_model(extractor, what, **options):
        found = read(*loaded[:2], str(ROWS.iloc[0]["text"])).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    attention = ActivationExtractor(
        **extractor.get_params() | {"layers": [2], "component": "attention"}
    )
    new = attention.transform(COUNTERPARTS[:1]).pool("last")
    old = attention.transform(ROWS[:1]).pool("last")
    with ablate_model(extractor, ["attention.2.h1"], **options):
        found = attention.transform(ROWS[:1]).pool("last")
    np.testing.assert_allclose(found[:, 8:], new[:, 8:], atol=1e-6)
    np.testing.assert_allclose(found[:, :8], old[:, :8], atol=1e-6)


@pytest.mark.slow
def test_patching_a_text_with_itself_changes_nothing(loaded):
    model, tokenizer, _, extractor = loaded
    plain = read(model, tokenizer, str(ROWS.iloc[0]["text"])).logits
    for what in ("hidden.*.*", ["attention.1.h0", "mlp.2.*"]):
        with ablate_model(extractor, what, fill="interchange", positions=ROWS[:1], values=ROWS[:1]):
            found = read(model, tokenizer, str(ROWS.iloc[0]["text"])).logits
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)


def test_whole_texts_are_patched_token_by_token(loaded):
    model, tokenizer, _, extractor = loaded
    text, other = "The dog sleeps", "A house barked"
    hidden = ActivationExtractor(**extractor.get_params() | {"layers": [1]})
    with ablate_model(
        extractor,
        "hidden.1.*",
        fill="interchange",
        positions=[text],
        values=pd.DataFrame({"text": [other]}),
    ):
        found = hidden.transform(words_frame([text.split()])).pool("last")
    expected = hidden.transform(words_frame([other.split()])).pool("last")
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_wrong_counterparts(loaded):
    _, _, _, extractor = loaded
    states = np.ones((2, 16))
    long = COUNTERPARTS.drop(columns="word").assign(start=0)
    for options, message in (
        ({"values": COUNTERPARTS, "positions": "all"}, "'positions' must be a frame of as many"),
        ({}, "is None, but fill='interchange' needs the other rows"),
        ({"values": COUNTERPARTS[:1]}, "has 1 rows, but the positions have 2"),
        (
            {"values": long},
            r"'dog', has another number of tokens \(1\) than .* 'A house' \(2; 2 such",
        ),
        ({"values": states[:1]}, r"of shape \(2, 16\). Got shape \(1, 16\)"),
        ({"values": states * np.nan}, "not finite"),
        ({"values": pd.DataFrame(states)}, "lacks the neuron 'hidden.1.0'"),
        ({"values": COUNTERPARTS.iloc[[0, 0]], "positions": ROWS.iloc[[0, 0]]}, "share a token"),
    ):
        with pytest.raises(ValueError, match=message):
            ablate_model(
                extractor,
                ["hidden.1.*"],
                **{"fill": "interchange", "positions": ROWS} | options,
            )
