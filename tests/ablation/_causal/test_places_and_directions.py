# SPDX-License-Identifier: BSD-3-Clause
"""Directions, erasers, other rows and chosen tokens: against changes made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

from sklearn_neurox.ablation import ConceptEraser, causal_effect
from sklearn_neurox.datasets import make_tiny_model
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.probes import MeanDifferenceProbeClassifier
from sklearn_neurox.words import words_frame
from tests.ablation._causal.by_hand import (
    encode,
    expected_measures,
    module_of,
    tokens_of,
    zeroing,
)

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")

HIDDEN = [f"hidden.1.{unit}" for unit in range(16)]
MEASURES = ["loss", "loss_change", "kl", "top1_accuracy", "top1_changed", "n_subwords"]


def activations(model, tokenizer, words, layer=1):
    extractor = ActivationExtractor(model, tokenizer=tokenizer, layers=[layer])
    H = SubwordAggregator("last").fit_transform(extractor.transform(words))
    return pd.DataFrame(H, columns=extractor.get_feature_names_out())


def measured(model, tokenizer, words, neurons, **options):
    """Return the measures of each word, in the run whose labels are in ``options["run"]``."""
    run = options.pop("run", {"which": "top"})
    options = {"return_words": True, "tokenizer": tokenizer, "random_state": 0, **options}
    _, of_words = causal_effect(model, words, words["short"], neurons, **options)
    for name, value in run.items():
        of_words = of_words[of_words[name] == value]
    return of_words


def assert_equal(found, expected):
    np.testing.assert_allclose(found[MEASURES], expected[MEASURES], rtol=1e-3, atol=2e-5)
    assert expected["loss_change"].abs().max() > 1e-3


# Where


@pytest.mark.parametrize("family", [pytest.param("bert", marks=pytest.mark.slow), "gpt2", "llama"])
def test_not_first_and_rows_change_these_tokens_only(family, language_model, words):
    model, tokenizer = language_model(family)
    words = words.iloc[::3]
    of_rows = words[words["short"]]

    def where(positions):
        def changes(text):
            if positions == "not_first":
                tokens = slice(1, None)
            else:
                rows = of_rows[of_rows["text"] == text]
                own = [token for _, row in rows.iterrows() for token in tokens_of(tokenizer, row)]
                tokens = sorted(set(own))
            return [("hidden", 1, zeroing(range(5), tokens)), ("mlp", 2, zeroing([3], tokens))]

        return changes

    names = [*HIDDEN[:5], "mlp.2.3"]
    for positions in ("not_first", "rows"):
        expected = expected_measures(model, tokenizer, words, where(positions))
        given = of_rows if positions == "rows" else positions
        for size in (1, 2048):  # with padding and without
            found = measured(
                model, tokenizer, words, names, steps=[6], which="top", positions=given,
                max_batch_tokens=size,
            )  # fmt: skip
            assert_equal(found, expected)


@pytest.mark.slow
def test_rows_that_are_never_read_are_reported(language_model, words):
    model, tokenizer = language_model("gpt2")
    other = words_frame([["A", "cat"]])
    options = {"steps": [1], "which": "top"}
    with pytest.raises(ValueError, match="read none of the 1 texts in the positions"):
        measured(model, tokenizer, words, HIDDEN, positions=other, **options)
    both = pd.concat(
        [words[["text", "start", "end"]].astype({"text": str}), other[["text", "start", "end"]]]
    )
    with pytest.warns(UserWarning, match="read 4 of the 5 texts"):
        measured(model, tokenizer, words, HIDDEN, positions=both, **options)


# Directions


def projecting(directions):
    """Return a change that projects the span of directions out."""
    basis = torch.linalg.qr(torch.tensor(directions, dtype=torch.float64).T)[0]
    return lambda state: state.double() - state.double() @ basis @ basis.T


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "llama"])
def test_directions_equal_projections_by_hand(family, language_model, words):
    model, tokenizer = language_model(family)
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(rng.normal(size=(3, 16)), columns=HIDDEN, index=["a", "b", "c"])
    which = ["each", "all", "random"]
    effect, of_words = causal_effect(
        model, words, words["short"], frame, which=which, n_draws=2, return_words=True,
        tokenizer=tokenizer, random_state=0,
    )  # fmt: skip
    for name, directions in (("a", frame[:1]), ("c", frame[2:]), ("all", frame)):
        change = projecting(directions.to_numpy())
        expected = expected_measures(
            model, tokenizer, words, lambda text, change=change: [("hidden", 1, change)]
        )
        which = "all" if name == "all" else "each"
        own = of_words[(of_words["which"] == which) & (of_words["name"] == name)]
        assert_equal(own, expected)
    keys = effect[effect["carries"]].groupby("which", sort=False)["name"].agg(list).to_dict()
    assert keys == {
        "none": [""], "each": ["a", "b", "c"], "all": ["all"], "random": [*"abc", "all"] * 2
    }  # fmt: skip
    sizes = effect.groupby("name", sort=False)["n_units"].first().to_dict()
    assert sizes == {"": 0, "a": 1, "b": 1, "c": 1, "all": 3}


@pytest.mark.slow
def test_directions_may_have_any_names(language_model, words):
    model, tokenizer = language_model("bert")
    matrix = np.random.RandomState(0).normal(size=(3, 16))

    def losses(names):
        effect = causal_effect(
            model, words, words["short"], pd.DataFrame(matrix, columns=HIDDEN, index=names),
            which=["each", "all", "random"], n_draws=1, tokenizer=tokenizer, random_state=0,
        )  # fmt: skip
        return effect["name"].tolist(), effect.drop(columns="name")

    _, expected = losses(["a", "b", "c"])
    for names in (["all", "b", "all"], ["x"] * 3, [0, 1, 2]):
        found, numbers = losses(names)
        assert found[::2] == ["", *names, "all", *names, "all"]
        pd.testing.assert_frame_equal(numbers, expected)


@pytest.mark.slow
def test_random_directions_have_equal_lengths(language_model, words, monkeypatch):
    """A translation adds them, so the states move equally far."""
    from sklearn_neurox.ablation._causal import _plan

    model, tokenizer = language_model("gpt2")
    seen, choose = [], _plan.choose_directions

    def spy(*args, **options):
        fills, choices = choose(*args, **options)
        seen.extend(choices)
        return fills, choices

    monkeypatch.setattr(_plan, "choose_directions", spy)
    frame = pd.DataFrame(
        0.0, columns=[*HIDDEN, *activations(model, tokenizer, words, 2)], index=[0, 1]
    )
    frame.iloc[0, :16], frame.iloc[1, 16:] = 0.5, np.arange(16.0)
    causal_effect(
        model, words, words["short"], frame, fill="translate", step=2.0, n_draws=3,
        tokenizer=tokenizer, random_state=0,
    )  # fmt: skip
    lengths, vectors = {0: 2.0, 1: np.sqrt((np.arange(16.0) ** 2).sum())}, {}
    for choice in seen:
        ((block, change),) = choice.fills.changes(choice.places).items()
        vector = change.arrays["vector"]
        assert block.name == f"hidden.{choice.name + 1}"
        np.testing.assert_allclose(np.linalg.norm(vector), 2 * lengths[choice.name])
        vectors[choice.which, choice.name, choice.draw] = vector
    assert len(vectors) == len(seen) == 2 + 6
    distinct = {tuple(vector.round(6)) for vector in vectors.values()}
    assert len(distinct) == 8


@pytest.mark.slow
def test_a_probe_along_which_states_get_the_mean(language_model, words):
    model, tokenizer = language_model("gpt2")
    H = activations(model, tokenizer, words)
    probe = MeanDifferenceProbeClassifier().fit(H, words["short"])
    unit = torch.tensor(probe.coef_[0] / np.linalg.norm(probe.coef_[0]))
    target = float(unit @ torch.tensor(H.mean().to_numpy(dtype=np.float64)))

    def change(state):
        state = state.double()
        return state + (target - state @ unit)[:, None] * unit

    expected = expected_measures(model, tokenizer, words, lambda text: [("hidden", 1, change)])
    found = measured(
        model, tokenizer, words, probe, fill="mean", values=H.mean(), n_draws=1,
        run={"which": "each", "name": True},
    )  # fmt: skip
    assert_equal(found, expected)


# Erasers


@pytest.mark.parametrize("positions", ["all", "not_first"])
@pytest.mark.parametrize("family", [pytest.param("bert", marks=pytest.mark.slow), "gpt2"])
def test_erasers_equal_their_map_and_gold_labels_come_back(
    family, positions, language_model, words
):
    model, tokenizer = language_model(family)
    H = activations(model, tokenizer, words)
    y = np.where(words["short"], "short", np.where(words["word"].str.len() > 4, "long", "middle"))
    eraser = ConceptEraser().fit(H, y)
    removes = torch.tensor(eraser.readouts_.T @ eraser.directions_)
    mean = torch.tensor(eraser.mean_)
    # What the eraser removes from the mean of each class, computed from the rows themselves.
    of_class = {
        label: (torch.tensor(H[y == label].mean().to_numpy(dtype=np.float64)) - mean) @ removes
        for label in np.unique(y)
    }
    first = 1 if positions == "not_first" else 0

    def erasing(gold):
        def changes(text):
            def change(state):
                old = state.double()
                new = old - (old - mean) @ removes
                for (_, row), label in zip(words.iterrows(), y, strict=True):
                    if gold and row["text"] == text:
                        for token in tokens_of(tokenizer, row):
                            new[token] += of_class[label]
                new[:first] = old[:first]
                return new

            return [("hidden", 1, change)]

        return changes

    effect, of_words = causal_effect(
        model, words, y, eraser, positive="short", positions=positions, n_draws=2,
        return_words=True, tokenizer=tokenizer, random_state=0,
    )  # fmt: skip
    for which in ("all", "gold"):
        expected = expected_measures(model, tokenizer, words, erasing(which == "gold"))
        assert_equal(of_words[of_words["which"] == which], expected)
    assert effect["which"].tolist()[::2] == ["none", "all", "random", "random", "gold"]
    assert effect["n_units"].tolist()[2:] == [2] * 8 and effect["n_neurons"][2:].eq(16).all()


@pytest.mark.slow
def test_random_controls_of_an_eraser_remove_as_many_directions(language_model, words, monkeypatch):
    from sklearn_neurox.ablation._causal import _plan

    model, tokenizer = language_model("gpt2")
    H = activations(model, tokenizer, words)
    eraser = ConceptEraser("random", n_directions=4).fit(H, words["short"])
    seen, choose = [], _plan.choose_erasure

    def spy(*args, **options):
        fills, choices = choose(*args, **options)
        seen.extend(choices)
        return fills, choices

    monkeypatch.setattr(_plan, "choose_erasure", spy)
    causal_effect(
        model, words, words["short"], eraser, which="random", n_draws=3, tokenizer=tokenizer
    )
    assert len(seen) == 3
    X = np.random.RandomState(0).normal(size=(50, 16))
    for choice in seen:
        ((_, change),) = choice.fills.changes(choice.places).items()
        D, R, mean = (change.arrays[name] for name in ("directions", "readouts", "center"))
        moved = (X - mean) @ R.T @ D
        assert np.linalg.matrix_rank(moved) == len(eraser.directions_) == 4
        np.testing.assert_allclose((moved * (X - mean - moved)).sum(axis=1), 0, atol=1e-9)


@pytest.mark.slow
def test_gold_needs_the_labels_of_the_eraser(language_model, words):
    model, tokenizer = language_model("gpt2")
    H = activations(model, tokenizer, words)
    options = {"tokenizer": tokenizer, "n_draws": 1}
    for labels in (words["word"].str.len(), words["short"].astype(int)):
        eraser = ConceptEraser(target_type="classes").fit(H, labels)
        effect = causal_effect(model, words, words["short"], eraser, **options)
        assert "gold" not in set(effect["which"])
        with pytest.raises(ValueError, match="'gold'.*are not those that the eraser was fitted on"):
            causal_effect(model, words, words["short"], eraser, which="gold", **options)
    # Whether y is the positive label will do.
    eraser = ConceptEraser().fit(H, words["short"])
    y = np.where(words["short"], "s", "l")
    effect = causal_effect(model, words, y, eraser, positive="s", **options)
    assert "gold" in set(effect["which"])


@pytest.mark.slow
def test_gold_labels_of_texts_with_the_same_tokens(tmp_path):
    path = make_tiny_model("bert-uncased", path=tmp_path, hidden_size=16, n_heads=4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(path)).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    words = words_frame([["The", "dog", "barks"], ["the", "dog", "barks"]])
    H = pd.DataFrame(np.random.RandomState(0).normal(size=(60, 16)), columns=HIDDEN)
    eraser = ConceptEraser().fit(H, np.arange(60) % 2 == 0)
    options = {"tokenizer": tokenizer, "n_draws": 1, "return_words": True}
    _, found = causal_effect(model, words, [False, True, False] * 2, eraser, **options)
    losses = found.loc[found["which"] == "gold", "loss"].to_numpy().reshape(2, 3)
    np.testing.assert_array_equal(losses[0], losses[1])
    y = [False, True, False, True, False, False]
    with pytest.raises(ValueError, match="same tokens, but the words have other labels.*'gold'"):
        causal_effect(model, words, y, eraser, **options)
    causal_effect(model, words, y, eraser, which=["all", "random"], **options)


@pytest.mark.slow
def test_gold_labels_of_words_that_share_tokens(language_model):
    """A token of several words gets the mean of their labels, whatever the order of the rows."""
    model, tokenizer = language_model("gpt2")
    text = "So the dog barks"
    rng = np.random.RandomState(0)
    H = pd.DataFrame(rng.normal(size=(90, 16)), columns=HIDDEN)
    y = np.array(list("NVA"))[np.arange(90) % 3]
    eraser = ConceptEraser().fit(H, y)
    removes = torch.tensor(eraser.readouts_.T @ eraser.directions_)
    mean = torch.tensor(eraser.mean_)
    of_class = {
        label: (torch.tensor(H[y == label].mean().to_numpy()) - mean) @ removes for label in "NVA"
    }
    options = {"positive": "N", "tokenizer": tokenizer, "return_words": True, "which": "gold"}
    # Spans and their labels; words share all or some of their tokens.
    tables = [
        [((7, 9), "N"), ((9, 10), "V"), ((11, 16), "A")],  # parts of one token or of several
        [((7, 10), "N"), ((3, 16), "V")],  # a word in a phrase
        [((7, 10), "N"), ((7, 10), "N"), ((3, 16), "V"), ((7, 9), "A")],  # one row twice
    ]
    for spans in tables:
        frame = pd.DataFrame([(text, *span) for span, _ in spans], columns=["text", "start", "end"])
        labels = np.array([label for _, label in spans])
        distinct = dict(spans)

        def changes(_, frame=frame, distinct=distinct):
            def change(state):
                new = state.double() - (state.double() - mean) @ removes
                of_token = {}
                for _, row in frame.drop_duplicates().iterrows():
                    for token in tokens_of(tokenizer, row):
                        label = distinct[row["start"], row["end"]]
                        of_token.setdefault(token, []).append(of_class[label])
                for token, given in of_token.items():
                    new[token] += torch.stack(given).mean(0)
                return new

            return [("hidden", 1, change)]

        expected = expected_measures(model, tokenizer, frame, changes)
        for order in (np.arange(len(frame)), np.arange(len(frame))[::-1]):
            _, found = causal_effect(model, frame.iloc[order], labels[order], eraser, **options)
            found = found[found["which"] == "gold"]
            assert_equal(found, expected.iloc[order])
    frame = pd.DataFrame({"text": text, "start": [3, 7, 7], "end": [6, 10, 10]})
    for labels in (list("NNV"), list("VVN")):
        with pytest.raises(ValueError, match="row 1 and row 2 are the same word .'dog'.*'gold'"):
            causal_effect(model, frame, labels, eraser, **options)


# The states of other rows


def pairs(is_long):
    """Pair words with words of as many tokens in other texts."""
    rows = words_frame([["The", "old", "dog", "barked", "."], ["A", "man", "saw", "the", "dog"]])
    others = words_frame([["The", "new", "man", "barked", "."], ["A", "dog", "saw", "the", "man"]])
    places = [3, 7] if is_long else [2, 6]
    return rows, rows.iloc[places], others.iloc[places]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_interchange_by_head_and_layer_equals_states_inserted_by_hand(family, language_model):
    model, tokenizer = language_model(family)
    # GPT-2 splits words of this vocabulary, so that it reads two states for one.
    rows, own, others = pairs(is_long=family == "gpt2")
    words = rows[rows["position"] > 0].assign(short=True)
    states = {}
    for layer in (1, 2):
        for component in ("attention", "hidden"):
            module, is_input = module_of(model, component, layer)
            for _, row in others.iterrows():
                seen = []
                register = (
                    module.register_forward_pre_hook if is_input else module.register_forward_hook
                )
                handle = register(lambda *given, seen=seen: seen.append(given[-1]))
                with torch.no_grad():
                    model(input_ids=encode(tokenizer, row["text"])[0])
                handle.remove()
                state = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
                state = state[0] if state.ndim == 3 else state
                states[component, layer, row["text"]] = state[tokens_of(tokenizer, row)]
    other_of = dict(zip(own["text"].astype(str), others["text"].astype(str), strict=True))
    row_of = {str(row["text"]): row for _, row in own.iterrows()}

    def inserting(component, layer, units):
        def changes(text):
            def change(state):
                tokens = torch.tensor(tokens_of(tokenizer, row_of[str(text)]))[:, None]
                inserted = states[component, layer, other_of[str(text)]]
                state[tokens, units] = inserted[:, units]
                return state

            return [(component, layer, change)]

        return changes

    options = {"which": "each", "fill": "interchange", "positions": own, "values": others}
    for by, names, component in (
        ("head", [f"attention.{layer}.*" for layer in (1, 2)], "attention"),
        ("layer", ["hidden.1.*"], "hidden"),
    ):
        _, of_words = causal_effect(
            model, words, words["short"], names, by=by, return_words=True, tokenizer=tokenizer,
            **options,
        )  # fmt: skip
        found = of_words[of_words["which"] == "each"]
        assert found["name"].nunique() == (8 if by == "head" else 1)
        for name, measures in found.groupby("name"):
            parts = name.split(".")
            units = torch.arange(16)
            if by == "head":
                units = torch.arange(4) + 4 * int(parts[2][1:])
            expected = expected_measures(
                model, tokenizer, words, inserting(component, int(parts[1]), units)
            )
            np.testing.assert_allclose(measures[MEASURES], expected[MEASURES], rtol=1e-3, atol=2e-5)
        assert found["loss_change"].abs().max() > 1e-3


# Sinks


@pytest.mark.parametrize("hits", [True, False])
def test_a_wide_spread_of_random_choices_in_a_layer_with_a_sink(hits, language_model, monkeypatch):
    from sklearn_neurox.ablation._causal._spread import report_spread
    from sklearn_neurox.extraction._model import _first_look
    from sklearn_neurox.extraction._model._blocks import Block

    model, _ = language_model("llama")
    changes = [0.02, 0.1, 4.0 if hits else 0.3]
    runs = [
        ({"which": which, "name": "", "n_units": 3}, pd.DataFrame({"loss_change": [x, x]}))
        for which, x in zip(["random"] * 3 + ["top"], [*changes, 9.0], strict=True)
    ]

    class Traits:
        sinks = frozenset({1})

    import warnings

    for layer, warns in ((1, hits), (2, False)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with monkeypatch.context() as patched:
                patched.setattr(_first_look, "traits_of", lambda *_: Traits)
                report_spread(model, [Block(None, "hidden", layer, 16)], runs)
        messages = [str(one.message) for one in caught]
        assert bool(messages) == warns
        if warns:
            assert "0.02 to 4 nats" in messages[0] and "positions='not_first'" in messages[0]


# Bad input


@pytest.mark.slow
def test_bad_input(language_model, words):
    model, tokenizer = language_model("gpt2")
    H = activations(model, tokenizer, words)
    eraser = ConceptEraser().fit(H, words["short"])
    direction = pd.Series(1.0, index=HIDDEN)
    scaled = ConceptEraser().fit((H - H.mean()) / H.std(ddof=0), words["short"])
    row = words.iloc[:1]
    interchange = {"fill": "interchange", "positions": row}
    cases = [
        (HIDDEN, {"positions": "generated"}, "'generated', but it generates no text"),
        (HIDDEN, {"positions": "nowhere"}, "'positions'"),
        (HIDDEN, {"fill": "interchange"}, "'positions' must be a frame of as many rows"),
        (HIDDEN, interchange | {"values": words.iloc[:2]}, "2 rows, but"),
        (HIDDEN, interchange, "needs the other rows"),
        (["attention.1.h9"], {}, "'attention.1.h9'.*has the heads 'h0' to 'h3'"),
        (["attention.7.h0"], {}, "attention.7.h0"),
        ("hidden.9.*", {}, "hidden.9"),
        (["hidden.1.*", "hidden.1.3"], {}, "more than once"),
        ({"a": ["hidden.1.*"], "b": "hidden.*.3"}, {}, "'a' and 'b'.*overlap"),
        (direction, {"by": "head"}, "'by' .* holds directions"),
        (direction, {"which": "top"}, "each, all, random for directions.*Got 'top'"),
        (direction[:5], {}, "hidden.1"),
        (pd.Series(1.0, index=[f"hidden.9.{u}" for u in range(16)]), {}, "hidden.9"),
        (eraser, {"which": "each"}, "all, random, gold for an eraser.*Got 'each'"),
        (eraser, {"fill": "mean", "values": 0.0}, "is an eraser.*Leave out 'fill'"),
        (scaled, {}, "standardized"),
        (np.ones(16), {}, "numbers"),
    ]  # fmt: skip
    for neurons, options, message in cases:
        with pytest.raises(ValueError, match=message):
            causal_effect(
                model, words, words["short"], neurons, **{"steps": [1], **options},
                tokenizer=tokenizer,
            )  # fmt: skip
