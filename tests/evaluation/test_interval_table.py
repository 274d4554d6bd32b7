# SPDX-License-Identifier: BSD-3-Clause
"""Outcomes of words: all evaluators return them in one shape, with the intervals of their means."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import matthews_corrcoef
from sklearn.model_selection import GroupKFold, GroupShuffleSplit

from sklearn_neurox import ElasticNetProbeClassifier
from sklearn_neurox.ablation import ablation_curve, ablation_table
from sklearn_neurox.evaluation import (
    baseline_table,
    compare,
    control_labels,
    interval_table,
    layer_profile,
    online_codelength,
    selectivity_score,
    sparse_probing_curve,
)
from sklearn_neurox.ranking import ProbelessRanker

RNG = np.random.default_rng(0)
GROUPS = np.repeat([f"text {i}" for i in range(24)], RNG.integers(3, 9, 24))
N = len(GROUPS)
Y = RNG.choice(["a", "b"], N, p=[0.3, 0.7])
X = RNG.normal(size=(N, 6)) + (Y == "a")[:, np.newaxis] * [2, 1, 1, 0, 0, 0]
WORDS = pd.DataFrame({"word": RNG.choice([f"w{i}" for i in range(40)], N), "text": GROUPS})
PROBE = LogisticRegression()
FOLDS = {"groups": GROUPS, "cv": 3}


def interval(outcomes, groups, scale, weight=None):
    """Compute the bounds of the mean with a loop over groups; see the notes of interval_table."""
    weight = np.ones(len(outcomes)) if weight is None else weight
    frame = pd.DataFrame({"t": outcomes * weight, "n": weight, "g": groups})
    sums = frame.groupby("g")[["t", "n"]].sum()
    mean, n = sums["t"].sum() / sums["n"].sum(), len(sums)
    squares = (sums["t"] - mean * sums["n"]) ** 2
    error = np.sqrt(n / (n - 1) * squares.sum()) / sums["n"].sum()
    df = 2 * squares.sum() ** 2 / ((squares**2).sum() - squares.sum() ** 2 / n)
    reach = stats.t(np.clip(df, 1, n - 1)).ppf(0.975) * error
    turn, back, slope = {
        "linear": (lambda m: m, lambda m: m, 1),
        "log": (np.log, np.exp, 1 / mean),
        "logit": (lambda m: np.log(m / (1 - m)), lambda m: 1 / (1 + np.exp(-m)), 0),
        "atanh": (np.arctanh, np.tanh, 0),
    }[scale]
    if scale in ("logit", "atanh"):
        slope = 1 / (mean * (1 - mean)) if scale == "logit" else 1 / (1 - mean**2)
    return [back(turn(mean) - slope * reach), back(turn(mean) + slope * reach)]


def _by_hand(columns, train, test, y=Y):
    fitted = clone(PROBE).fit(X[train][:, columns], y[train])
    return fitted.predict(X[test][:, columns])


def _same(own, row, scale):
    """Check the bounds of a row of a table against the outcomes of its words."""
    expected = interval(own["outcome"].to_numpy(), own["group"].to_numpy(), scale)
    assert [row.low, row.high] == pytest.approx(expected, rel=1e-6)


def test_layers_and_baselines():
    table, words = baseline_table(
        WORDS, Y, estimator=PROBE, X=X, baselines=["majority", "word type", "probe"],
        return_words=True, **FOLDS,
    )  # fmt: skip
    assert words.columns.tolist() == ["name", "fold", "n_train", "row", "group", "outcome"]
    for row in table.itertuples():
        own = words[words["name"] == row.name]
        # Every fold counts alike in the score, whatever its number of words.
        weight = 1 / own.groupby("fold")["row"].transform("size").to_numpy()
        bounds = interval(own["outcome"].to_numpy(), own["group"], "logit", weight)
        assert [row.low, row.high] == pytest.approx(bounds)
        by_fold = own.groupby("fold")["outcome"].mean()
        assert by_fold.tolist() == pytest.approx([row.fold_0, row.fold_1, row.fold_2])
    own = words[words["name"] == "probe"].set_index("row")["outcome"]
    for train, test in GroupKFold(3).split(X, Y, GROUPS):
        assert own[test].tolist() == (_by_hand(slice(None), train, test) == Y[test]).tolist()
    # The frames of two evaluators can be compared, if they have the same folds.
    _, layers = layer_profile(PROBE, X, Y, n_layers=2, return_words=True, **FOLDS)
    found = compare(layers[layers["name"] == "0"], words[words["name"] == "majority"])
    assert found["difference"] > 0.1 and found["n_groups"] == 24 and found["n_words"] == N


@pytest.mark.slow
def test_ablation_and_sparse_probes():
    options = {"fractions": [2], "n_draws": 2, "random_state": 0, "return_words": True}
    curve, words = ablation_curve(PROBE, X, Y, **options, **FOLDS)
    labels = ["repeat", "fold", "which", "fraction", "n_neurons", "retrained", "fill", "draw"]
    assert words.columns.tolist() == [*labels, "n_train", "row", "group", "outcome"]
    measured = words.groupby(labels, sort=False)
    for row in curve.itertuples():
        own = measured.get_group(tuple(getattr(row, label) for label in labels))
        assert own["outcome"].mean() == pytest.approx(row.score)
        _same(own, row, "logit")
    rankers = {"rankings": [ProbelessRanker()], "probes": [PROBE]}
    table, words = ablation_table(X, Y, **rankers, **options, **FOLDS)
    assert {"probe", "ranking"} <= set(words) and table["low"].notna().all()

    options = {"n_neurons": [1, 2], "n_random": 1, "estimator": PROBE, "random_state": 0}
    curve, words = sparse_probing_curve(X, Y, **options, return_words=True, **FOLDS)
    labels = ["fold", "ranker", "labels", "draw", "n_neurons"]
    assert words.columns.tolist() == [*labels, "n_train", "row", "group", "outcome"]
    measured = words.groupby(labels, sort=False)
    for row in curve.itertuples():
        own = measured.get_group(tuple(getattr(row, label) for label in labels))
        # The outcomes are no shares: their mean is the Matthews correlation.
        assert own["outcome"].mean() == pytest.approx(row.score)
        if abs(row.score) > 0.01:
            _same(own, row, "atanh")
    best = curve[(curve["ranker"] == "best subset") & (curve["n_neurons"] == 1)]
    train, test = next(GroupKFold(3).split(X, Y, GROUPS))
    assert best["score"].iloc[0] == pytest.approx(
        matthews_corrcoef(Y[test], _by_hand([0], train, test))
    )


@pytest.mark.slow
def test_selectivity_averages_draws():
    options = {"types": WORDS["word"], "return_words": True, **FOLDS}
    table, words = selectivity_score(PROBE, X, Y, n_draws=3, random_state=5, **options)
    draws = [control_labels(WORDS["word"], Y, random_state=seed) for seed in (5, 6, 7)]
    single = [selectivity_score(PROBE, X, Y, draw, **options)[0] for draw in draws]
    for column in ("control", "selectivity", "ceiling", "seen", "task"):
        np.testing.assert_allclose(table[column], np.mean([one[column] for one in single], axis=0))
    spread = np.std([one["control"] for one in single], axis=0, ddof=1)
    np.testing.assert_allclose(table["control_std"], spread)
    together, _ = selectivity_score(PROBE, X, Y, np.transpose(draws), **options)
    pd.testing.assert_frame_equal(together, table)
    named = pd.DataFrame(dict(enumerate(draws)))
    pd.testing.assert_frame_equal(selectivity_score(PROBE, X, Y, named, **options)[0], table)
    assert words.columns.tolist()[-4:] == ["group", "task", "control", "outcome"]
    for row in table.itertuples():
        own = words[words["fold"] == row.fold]
        assert own["outcome"].mean() == pytest.approx(row.selectivity)
        assert own["task"].mean() == pytest.approx(row.task)
        _same(own, row, "atanh")
    with pytest.raises(ValueError, match=r"types=words\['word'\]"):
        selectivity_score(PROBE, X, Y, **FOLDS)


def test_code_lengths():
    options = {"groups": GROUPS, "fractions": [0.2, 0.5, 1.0], "random_state": 0}
    code, words = online_codelength(PROBE, X, Y, return_words=True, **options)
    assert words.columns.tolist() == ["block", "n_train", "row", "group", "outcome"]
    assert sorted(words["row"]) == list(range(N))
    lengths = words.groupby("block")["outcome"].sum()
    np.testing.assert_allclose(lengths, code.blocks["codelength"])
    later = words[words["block"] > 0]
    low, high = interval(later["outcome"].to_numpy(), later["group"].to_numpy(), "log")
    bounds = [lengths[0] + len(later) * bound for bound in (low, high)]
    assert [code.low, code.high] == pytest.approx(bounds)
    assert code.to_frame()["low"].item() == code.low < code.codelength < code.high
    _, noise = online_codelength(PROBE, X[:, ::-1][:, :3], Y, return_words=True, **options)
    found = compare(words, noise)
    assert found["difference"] == pytest.approx(noise["outcome"].mean() * -1 + lengths.sum() / N)


@pytest.mark.slow
def test_the_penalty_of_each_block_is_that_of_the_best_code_of_the_rows_before():
    probe = ElasticNetProbeClassifier(1e-3, standardize=True, random_state=0)
    options = {"groups": GROUPS, "fractions": [0.3, 0.6, 1.0], "shuffle": False}
    alphas = [1e-4, 1e-2, 3e-1]
    code = online_codelength(probe, X, Y, alpha=alphas, decompose=True, **options)
    ends = np.cumsum(code.blocks["n_samples"])
    for block in (1, 2):
        end = ends[block - 1]
        cut = end - end // 4
        while GROUPS[cut] == GROUPS[cut - 1]:
            cut -= 1
        best = []
        for alpha in alphas:
            fitted = clone(probe).set_params(alpha=alpha).fit(X[:cut], Y[:cut])
            place = (Y[cut:end] == "b").astype(int)
            chosen = fitted.predict_proba(X[cut:end])[np.arange(end - cut), place]
            best.append(-np.log2(chosen).sum())
        assert code.blocks["alpha"][block] == alphas[int(np.argmin(best))]
        fixed = clone(probe).set_params(alpha=code.blocks["alpha"][block])
        same = online_codelength(fixed, X, Y, **options)
        assert code.blocks["codelength"][block] == pytest.approx(same.blocks["codelength"][block])
    with pytest.raises(ValueError, match="LogisticRegression has none"):
        online_codelength(PROBE, X, Y, alpha="auto", **options)
    with pytest.raises(ValueError, match="'alpha' parameter of online_codelength"):
        online_codelength(probe, X, Y, alpha=[-1.0], **options)


@pytest.mark.slow
def test_without_groups_or_a_scorer_of_scikit_learn_there_is_no_interval():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*no groups.*")
        curve, words = sparse_probing_curve(
            X, Y, n_neurons=1, estimator=PROBE, cv=2, return_words=True
        )
        code = online_codelength(PROBE, X, Y)
    assert curve[["low", "high"]].isna().all(axis=None) and curve["score"].notna().all()
    assert words["group"].isna().all() and np.isnan([code.low, code.high]).all()

    def share(probe, X, y):
        return np.mean(probe.predict(X) == y)

    table = baseline_table(WORDS, Y, baselines=["majority"], scoring=share, **FOLDS)
    assert table[["low", "high"]].isna().all(axis=None) and table["score"].notna().all()
    with pytest.raises(ValueError, match="compare needs the group of each word"):
        compare(words.iloc[: N // 2], words.iloc[: N // 2])


def test_interval_table_pools_what_by_does_not_name():
    words = pd.DataFrame(
        {"name": ["x"] * 6 + ["y"] * 6, "group": list("aabbcc") * 2, "row": [*range(6)] * 2}
    ).assign(outcome=[1, 0, 1, 1, 0, 1, 0.5, 2, 3, 1, 1, 4.0])
    table = interval_table(words, by="name")
    assert table.columns.tolist() == ["name", "score", "low", "high", "n_words", "n_groups"]
    assert table["name"].tolist() == ["x", "y"] and (table["n_words"] == 6).all()
    for name, scale in (("x", "logit"), ("y", "linear")):
        own = words[words["name"] == name]
        # All outcomes of the frame decide about the scale, not those of one measurement.
        (row,) = interval_table(own, "name", scale=scale).itertuples()
        _same(own, row, scale)
    (whole,) = interval_table(words, scale="log").itertuples()
    _same(words, whole, "log")
    assert whole.n_words == 6 and whole.n_groups == 3
    for change, message in (
        ({"outcome": [np.nan] * 12}, "is nan at row 0"),
        ({"group": [None, *"abcdefghijk"]}, "contains NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            interval_table(words.assign(**change))
    with pytest.raises(ValueError, match=r"lacks the columns \['layer'\]"):
        interval_table(words, by="layer")


def test_compare_pairs_frames_and_corrects_for_folds():
    options = {"groups": GROUPS, "n_layers": 2, "return_words": True}
    _, words = layer_profile(PROBE, X, Y, cv=4, **options)
    a, b = (words[words["name"] == name] for name in "01")
    found, plain = (
        compare(a, b.iloc[::-1]),
        compare(a["outcome"].to_numpy(), b["outcome"], a["group"]),
    )
    assert found["difference"] == plain["difference"]
    sizes = a.groupby("fold")["row"].size(), a.groupby("fold")["n_train"].first()
    factor = np.sqrt(1 + sizes[0].mean() / sizes[1].mean())
    for bound in ("low", "high"):
        reach = plain[bound] - plain["difference"]
        assert found[bound] - found["difference"] == pytest.approx(factor * reach)

    _, words = layer_profile(PROBE, X, Y, cv=GroupShuffleSplit(6, random_state=0), **options)
    a, b = (words[words["name"] == name] for name in "01")
    found = compare(a, b, method="splits")
    by_split = a.groupby("fold")["outcome"].mean() - b.groupby("fold")["outcome"].mean()
    ratio = a.groupby("fold").size().mean() / a.groupby("fold")["n_train"].first().mean()
    error = np.sqrt((1 / 6 + ratio) * by_split.var(ddof=1))
    assert found["difference"] == pytest.approx(by_split.mean())
    assert found["p_value"] == pytest.approx(2 * stats.t(5).sf(abs(by_split.mean()) / error))
    reach = stats.t(5).ppf(0.975) * error
    assert [found["low"], found["high"]] == pytest.approx(
        [by_split.mean() - reach, by_split.mean() + reach]
    )
    for wrong, message in (
        ((words, b), "has several outcomes of row"),
        ((a.iloc[1:], b), "1 are in one only"),
        ((a.drop(columns="row"), b), r"lacks the columns \['row'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            compare(*wrong)
    with pytest.raises(ValueError, match="at least two splits"):
        compare(a["outcome"], b["outcome"], a["group"], method="splits")


def test_a_mean_outside_the_range_of_a_scale_is_an_error():
    """Its bounds were those of another mean."""
    for scale, values in {
        "logit": ([2, 3, 4], [-1, 0, 0.5]),
        "atanh": ([1, 2, 3], [-3, 0, -2]),
        "log": ([-1, -2, 0],),
    }.items():
        for outcomes in values:
            words = pd.DataFrame({"group": range(3), "outcome": outcomes})
            with pytest.raises(ValueError, match='Use scale="linear"'):
                interval_table(words, scale=scale)
            table = interval_table(words, scale="linear")
            np.testing.assert_allclose(
                table[["low", "high"]].iloc[0], interval(np.array(outcomes), range(3), "linear")
            )
    # Single outcomes may be outside, as those of a metric that is no mean of outcomes.
    words = pd.DataFrame({"group": range(4), "outcome": [1.5, -0.5, 1, 0.5]})
    assert interval_table(words, scale="logit")["high"].item() < 1
