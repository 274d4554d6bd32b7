# SPDX-License-Identifier: BSD-3-Clause
"""Heads, layers and groups, and all measures: against hand-written hooks and torch's own losses."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from sklearn_neurox.ablation import causal_effect
from sklearn_neurox.words import words_frame
from tests.ablation._causal.by_hand import (
    HEADS,
    SENTENCES,
    expected_measures,
    logits_of_words,
    zeroing,
)

pytestmark = pytest.mark.filterwarnings("ignore:.* for the third time:UserWarning")


def heads(component="attention", layers=(1, 2), n_heads=4, width=4):
    """Name all neurons, by head."""
    return {
        f"{component}.{layer}.h{head}": [
            f"{component}.{layer}.h{head}.{unit}" for unit in range(width)
        ]
        for layer in layers
        for head in range(n_heads)
    }


def flat(groups):
    return [name for names in groups.values() for name in names]


def at_all_tokens(*changes):
    """Set units to zero, given as (component, layer, units)."""
    listed = [(component, layer, zeroing(units)) for component, layer, units in changes]
    return lambda text: listed


def units_of_head(head):
    return range(4 * head, 4 * head + 4)


@pytest.mark.slow
@pytest.mark.parametrize("family", HEADS)
def test_each_head_equals_a_hook_written_by_hand(family, language_model, words):
    model, tokenizer = language_model(family)

    def gap(logits, rows):
        assert list(rows.columns) == list(words.columns) and len(rows) == len(logits)
        return logits[:, 5] - logits[:, 7]

    effect, of_words = causal_effect(
        model,
        words,
        words["short"],
        flat(heads()),
        by="head",
        which="each",
        metric=gap,
        return_words=True,
        tokenizer=tokenizer,
    )
    assert effect["name"].tolist()[2::2] == list(heads())
    assert effect["n_neurons"].tolist()[2:] == [4] * 16 and effect["n_units"][2:].eq(1).all()
    for layer in (1, 2):
        for head in range(4):
            name = f"attention.{layer}.h{head}"
            expected = expected_measures(
                model,
                tokenizer,
                words,
                at_all_tokens(("attention", layer, units_of_head(head))),
                extra=lambda logits: (logits[5] - logits[7]).item(),
            )
            own = of_words[of_words["name"] == name]
            assert own.index.equals(words.index)
            np.testing.assert_allclose(own[expected.columns], expected, rtol=1e-3, atol=2e-5)
            for carries in (True, False):
                row = effect[(effect["name"] == name) & (effect["carries"] == carries)].iloc[0]
                rows = expected[words["short"] == carries]
                for measure in expected.columns.drop("n_subwords"):
                    np.testing.assert_allclose(
                        row[measure], rows[measure].mean(), rtol=1e-3, atol=1e-5
                    )
                for measure in ("loss", "loss_change"):
                    per_subword = rows[measure].sum() / rows["n_subwords"].sum()
                    np.testing.assert_allclose(
                        row[f"subword_{measure}"], per_subword, rtol=1e-3, atol=1e-5
                    )


@pytest.mark.slow
def test_layers_and_groups_equal_hooks_written_by_hand(language_model, words):
    model, tokenizer = language_model("gpt2")
    words = words.iloc[::3]
    widths = {"mlp.1": 64, "hidden.1": 16}
    layers = [f"{layer}.{unit}" for layer, width in widths.items() for unit in range(width)]
    groups = {
        "a head and units": [*heads()["attention.2.h1"], "mlp.1.3", "mlp.1.60"],
        "two": ["hidden.1.2", "hidden.1.9"],
    }
    expected = {name: [(*_split(name), range(width))] for name, width in widths.items()}
    expected["a head and units"] = [("attention", 2, units_of_head(1)), ("mlp", 1, [3, 60])]
    expected["two"] = [("hidden", 1, [2, 9])]
    options = {"tokenizer": tokenizer, "which": "each"}
    effect = pd.concat(
        [
            causal_effect(model, words, words["short"], layers, by="layer", **options),
            causal_effect(model, words, words["short"], groups, **options),
        ]
    )
    effect = effect[effect["which"] == "each"].set_index(["name", "carries"])
    assert set(effect.index.get_level_values(0)) == set(expected)
    for name, changes in expected.items():
        rows = expected_measures(model, tokenizer, words, at_all_tokens(*changes))
        for carries in (True, False):
            found = effect.loc[(name, carries)]
            for measure in ("loss", "kl", "top1_changed"):
                mean = rows.loc[words["short"] == carries, measure].mean()
                assert found[measure] == pytest.approx(mean, rel=1e-3, abs=1e-5)


def _split(name):
    component, layer = name.split(".")
    return component, int(layer)


@pytest.mark.slow
def test_all_heads_of_a_layer_are_its_layer(language_model, words):
    model, tokenizer = language_model("llama")
    names = flat(heads(layers=[2]))
    effects = [
        causal_effect(model, words, words["short"], names, tokenizer=tokenizer, **options)
        for options in (
            {"by": "head", "steps": [4], "which": "top"},
            {"by": "layer", "which": "each"},
            {"steps": [16], "which": "top"},
        )
    ]
    columns = ["loss", "loss_change", "kl", "top1_changed"]
    for effect in effects[1:]:
        np.testing.assert_allclose(effect[columns], effects[0][columns], rtol=1e-5)


@pytest.mark.slow
def test_rankings_of_heads_are_cumulative(language_model, words):
    model, tokenizer = language_model("gpt2")
    words = words.iloc[::3]
    order = [f"attention.{layer}.h{head}" for layer, head in [(2, 3), (1, 0), (2, 1), (1, 2)]]
    names = [name for head in order for name in heads()[head]]
    # A ranking of neurons ranks heads by their best neurons.
    mixed = names[0::4] + names[1::4] + names[2::4] + names[3::4]
    effects = [
        causal_effect(
            model, words, words["short"], one, by="head", steps=[1, 2], n_draws=2,
            tokenizer=tokenizer, random_state=0,
        )
        for one in (names, mixed)
    ]  # fmt: skip
    columns = ["which", "n_units", "n_neurons", "draw", "carries"]
    pd.testing.assert_frame_equal(effects[0][columns], effects[1][columns])
    np.testing.assert_allclose(effects[0]["loss"], effects[1]["loss"], rtol=1e-5)
    top = effects[0][effects[0]["which"] == "top"]
    assert top["n_units"].tolist() == [1, 1, 2, 2] and top["n_neurons"].tolist() == [4, 4, 8, 8]
    changes = [("attention", 2, units_of_head(3)), ("attention", 1, units_of_head(0))]
    rows = expected_measures(model, tokenizer, words, at_all_tokens(*changes))
    assert top["loss"].iloc[2] == pytest.approx(rows.loc[words["short"], "loss"].mean(), rel=1e-4)


# Controls of groups


def controls(model, words, groups, monkeypatch, **options):
    """Return which neurons each run changes."""
    from sklearn_neurox.ablation._causal import _plan

    drawn, choose = [], _plan.choose_groups

    def spy(*args, **options):
        fills, choices = choose(*args, **options)
        names = fills.neurons.own_names
        drawn.extend((c.which, c.name, names[c.places].tolist()) for c in choices)
        return fills, choices

    monkeypatch.setattr(_plan, "choose_groups", spy)
    effect = causal_effect(model, words, words["short"], groups, **options)
    return effect, drawn


@pytest.mark.slow
@pytest.mark.parametrize("by", ["neuron", "head", "layer"])
def test_controls_are_other_units_of_the_same_kind(by, language_model, words, monkeypatch):
    model, tokenizer = language_model("gpt2")
    groups = {
        "neuron": {"a": ["hidden.1.2", "hidden.1.9", "mlp.2.5"], "b": ["hidden.2.0"]},
        "head": {"a": [*heads()["attention.1.h2"], *heads()["attention.2.h0"]]},
        "layer": {"a": [f"hidden.1.{unit}" for unit in range(16)]},
    }[by]
    words = words.iloc[::3]
    effect, drawn = controls(
        model, words, groups, monkeypatch, by=by, n_draws=4, tokenizer=tokenizer, random_state=0
    )
    seen = {}
    for which, group, names in drawn:
        if which == "each":
            assert names == groups[group]
            continue
        assert len(set(names)) == len(names) == len(groups[group])
        assert not set(names) & set(groups[group])
        kinds = [pd.Series(one).str.rsplit(".", n=1).str[0] for one in (names, groups[group])]
        if by == "neuron":  # the same blocks, as often
            assert sorted(kinds[0]) == sorted(kinds[1])
        elif by == "head":  # whole heads of the same layers
            assert set(kinds[0].value_counts()) == {4}
            assert sorted(kinds[0].str[:11]) == sorted(kinds[1].str[:11])
        else:
            assert kinds[0].nunique() == 1 and kinds[0].str.startswith("hidden.").all()
        seen.setdefault(group, set()).add(tuple(sorted(names)))
    assert all(len(different) > 1 for different in seen.values())
    random = effect[effect["which"] == "random"]
    assert (
        random.groupby("name")["draw"]
        .agg(lambda x: sorted(set(x)))
        .map(lambda draws: draws == list(range(4)))
        .all()
    )
    again = causal_effect(
        model, words, words["short"], groups, by=by, n_draws=4, tokenizer=tokenizer, random_state=0
    )
    pd.testing.assert_frame_equal(effect, again)


# Intervals and words


@pytest.mark.slow
def test_intervals_are_those_of_texts_or_given_groups(language_model, words):
    model, tokenizer = language_model("gpt2")
    names = [f"hidden.1.{unit}" for unit in range(16)]
    halves = np.arange(len(words)) % 5
    for groups, codes in ((None, words["text"].astype(str)), (halves, pd.Series(halves))):
        effect, of_words = causal_effect(
            model, words, words["short"], names, steps=[6], which="top", groups=groups,
            confidence=0.9, return_words=True, tokenizer=tokenizer,
        )  # fmt: skip
        assert effect.loc[effect["which"] == "none", "loss_change_low"].eq(0).all()
        own = of_words[of_words["which"] == "top"].assign(group=codes.to_numpy())
        for row in effect[effect["which"] == "top"].itertuples():
            group = own[own["carries"] == row.carries].groupby("group")
            total, size = group["loss_change"].sum(), group["loss"].size()
            mean, n = total.sum() / size.sum(), len(size)
            squares = (total - mean * size) ** 2
            error = np.sqrt(n / (n - 1) * squares.sum()) / size.sum()
            spread = (squares**2).sum() - squares.sum() ** 2 / n
            df = np.clip(2 * squares.sum() ** 2 / spread, 1, n - 1)
            reach = stats.t(df).ppf(0.95) * error
            assert row.loss_change == pytest.approx(mean, rel=1e-5)
            assert row.loss_change_low == pytest.approx(mean - reach, rel=1e-5)
            assert row.loss_change_high == pytest.approx(mean + reach, rel=1e-5)
            assert 0 <= row.kl_low < row.kl < row.kl_high
            assert 0 <= row.top1_changed_low <= row.top1_changed <= row.top1_changed_high <= 1
            low, high = row.subword_loss_change_low, row.subword_loss_change_high
            assert low < row.subword_loss_change < high


@pytest.mark.slow
def test_words_that_cannot_be_scored_keep_their_rows(language_model):
    model, tokenizer = language_model("gpt2")
    frame = words_frame(SENTENCES).iloc[::-1].assign(short=lambda x: x["word"].str.len() < 4)
    with pytest.warns(UserWarning, match="cannot score 4 of"):
        effect, of_words = causal_effect(
            model, frame, frame["short"], ["hidden.1.0", "hidden.1.1"], steps=[1], n_draws=1,
            return_words=True, tokenizer=tokenizer,
        )  # fmt: skip
    assert len(of_words) == len(frame) * len(effect) // 2
    first = of_words["row"].map(frame["position"].reset_index(drop=True)) == 0
    assert of_words["loss"].isna().equals(first) and of_words["n_subwords"].eq(0).equals(first)
    for labels, rows in of_words.groupby(["which", "draw"], sort=False):
        assert rows.index.equals(frame.index) and rows["row"].tolist() == list(range(len(frame)))
        found = effect[(effect["which"] == labels[0]) & (effect["draw"] == labels[1])]
        for one in found.itertuples():
            own = rows[rows["carries"] == one.carries]
            assert own["loss_change"].mean() == pytest.approx(one.loss_change, rel=1e-6, abs=1e-9)


@pytest.mark.slow
def test_a_metric_sees_each_row_with_its_own_columns(language_model, words):
    """Rows of one word may ask for different tokens."""
    model, tokenizer = language_model("bert")
    doubled = pd.concat([words.assign(wanted=3), words.assign(wanted=8)], ignore_index=True)

    def logit(logits, rows):
        return logits[np.arange(len(rows)), rows["wanted"]]

    _, of_words = causal_effect(
        model, doubled, doubled["short"], ["hidden.1.0"], steps=[1], which="top", metric=logit,
        return_words=True, tokenizer=tokenizer, max_batch_tokens=30,
    )  # fmt: skip
    plain = of_words[of_words["which"] == "none"]["metric"].to_numpy()
    logits = [own[0] for own, _ in logits_of_words(model, tokenizer, words)]
    expected = [one[token].item() for token in (3, 8) for one in logits]
    np.testing.assert_allclose(plain, expected, rtol=1e-3, atol=1e-4)


def test_a_model_does_not_diverge_from_itself(language_model, words):
    model, tokenizer = language_model("llama")
    effect = causal_effect(
        model, words, words["short"], ["hidden.1.0"], steps=[1], which="top", fill="translate",
        values=0.0, tokenizer=tokenizer,
    )  # fmt: skip
    assert (effect[["kl", "loss_change", "top1_changed"]] == 0).all(axis=None)


def test_divergence_equals_torch_and_ignores_impossible_tokens():
    from sklearn_neurox.extraction._editing._language_model import divergence

    before, after = torch.randn(2, 600, 40, generator=torch.Generator().manual_seed(0)) * 3
    expected = torch.nn.functional.kl_div(
        after.double().log_softmax(-1),
        before.double().log_softmax(-1),
        log_target=True,
        reduction="none",
    ).sum(-1)
    np.testing.assert_allclose(divergence(before, after), expected, rtol=1e-4)
    never = torch.full((600, 2), -torch.inf)
    wider = divergence(torch.cat([before, never], 1), torch.cat([after, never], 1))
    np.testing.assert_allclose(wider, expected, rtol=1e-4)
    assert (divergence(before, before) == 0).all()


# Bad input


BAD = [
    (
        {"a": ["hidden.1.1", "hidden.1.2"], "b": ["hidden.1.2"]}, {},
        "'a' and 'b'.*overlap.*hidden.1.2",
    ),
    ({"a": ["hidden.1.1"], "b": ["x__hidden.1.1"]}, {}, "overlap"),
    ({}, {}, "has no groups"),
    ({"a": []}, {}, "'a' .* has no neurons"),
    ({"a": ["hidden.9.1"]}, {}, "hidden.9.1"),
    ({"a": ["hidden.1.1"]}, {"which": "top"}, "'which' .* each, random for groups, .*Got 'top'"),
    ({"a": ["attention.1.h0.1"]}, {"by": "head"}, "only 1 of the 4 neurons of 'attention.1.h0'"),
    ({"a": ["hidden.1.1"]}, {"by": "head"}, "'hidden.1.0' belongs to no head"),
    ({"a": [f"mlp.1.{unit}" for unit in range(40)]}, {}, "'a' .*needs 40 other neurons.*only 24"),
    (["attention.1.h0.1"], {"by": "head"}, "only 1 of the 4"),
    (["hidden.1.1"], {"by": "layer"}, "only 1 of the 16 neurons of 'hidden.1'"),
    (["mlp.1.1"], {"by": "head"}, "'mlp.1.1' belongs to no head"),
    (flat(heads()), {"by": "head", "steps": [9]}, "contains 9, but 'neurons' lists only 8"),
    (["hidden.1.1"], {"by": "word"}, "'by' parameter"),
    (["hidden.1.1"], {"which": "middle"}, "top, random, bottom, each"),
    (["hidden.1.1"], {"confidence": 1}, "'confidence'"),
    (["hidden.1.1"], {"groups": [1, 2]}, "inconsistent numbers"),
    (["hidden.1.1"], {"groups": [None] * 20}, "'groups' .* missing in 20 rows; the first is row 0"),
    (["hidden.1.1"], {"metric": lambda logits, rows: 1.0}, r"one number per row.*shape \(\)"),
    (["hidden.1.1"], {"metric": lambda x, rows: np.full(len(rows), np.nan)}, "returned nan for"),
]  # fmt: skip


@pytest.mark.slow
def test_bad_input(language_model, words):
    model, tokenizer = language_model("gpt2")
    for neurons, options, message in BAD:
        with pytest.raises(ValueError, match=message):
            causal_effect(
                model, words, words["short"], neurons, **{"steps": [1], **options},
                tokenizer=tokenizer,
            )  # fmt: skip
