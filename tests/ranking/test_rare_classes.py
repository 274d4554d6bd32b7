# SPDX-License-Identifier: BSD-3-Clause
"""`min_count` leaves rare classes out of the overall ranking, and a warning says when to use it."""

import itertools
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score

from sklearn_neurox.ranking import AveragePrecisionRanker, IoURanker, LCARanker, ProbelessRanker

N_NEURONS = 100
# Two classes of 40 rows, one of 15 and two of fewer than ten.
COUNTS = {"ADJ": 40, "NOUN": 40, "NUM": 15, "SYM": 2, "X": 4}
RANKERS = {
    "lca": LCARanker(LogisticRegression(C=0.1)),
    "probeless": ProbelessRanker(),
    "scaled": ProbelessRanker(scale=True),
    "precision": AveragePrecisionRanker(two_sided=False),
    "weighted": AveragePrecisionRanker(two_sided=False, average="weighted"),
    "iou": IoURanker(0.0, unit="value", two_sided=False),
}


def data(counts=COUNTS, seed=0):
    """Two neurons that tell the frequent classes apart, and noise."""
    y = np.repeat(list(counts), list(counts.values()))
    X = np.random.RandomState(seed).normal(size=(len(y), N_NEURONS))
    X[y == "ADJ", 0] += 1.5
    X[y == "NUM", 1] -= 1.5
    return X, y


def fit(name, min_count=1, data=None, **params):
    X, y = globals()["data"]() if data is None else data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(RANKERS[name]).set_params(min_count=min_count).fit(X, y, **params)


def expected_scores(name, X, y, kept):
    """Compute the overall scores by their definitions, from the classes in ``kept`` alone."""
    if name in ("probeless", "scaled"):
        means = {label: X[y == label].mean(axis=0) for label in np.unique(y)}
        total = sum(np.abs(means[a] - means[b]) for a, b in itertools.combinations(kept, 2))
        if name == "scaled":
            total = total / np.sqrt(
                sum((row - means[c]) ** 2 for row, c in zip(X, y, strict=True)) / len(y)
            )
        return total
    if name == "lca":
        model = LogisticRegression(C=0.1).fit(X, y)
        scores = []
        for label in kept:
            sizes = np.abs(model.coef_[list(model.classes_).index(label)]) * X.std(axis=0)
            above = np.array([sizes[sizes > size].sum() for size in sizes])
            scores.append(1 - above / sizes.sum())
        return np.max(scores, axis=0)
    measure = {
        "iou": lambda true, column: (true & (column > 0)).sum() / (true | (column > 0)).sum()
    }
    measure = measure.get(name, average_precision_score)
    scores = [[measure(y == label, column) for column in X.T] for label in kept]
    weights = [COUNTS[label] for label in kept] if name == "weighted" else None
    return np.average(scores, axis=0, weights=weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", RANKERS)
def test_scores_are_those_of_the_frequent_classes_alone(name):
    X, y = data()
    for min_count, rare in ((2, []), (3, ["SYM"]), (16, ["NUM", "SYM", "X"])):
        ranker = fit(name, min_count)
        kept = [label for label in COUNTS if label not in rare]
        assert ranker.rare_classes_.tolist() == rare
        expected = expected_scores(name, X, y, kept)
        np.testing.assert_allclose(ranker.scores_, expected, rtol=1e-5, atol=1e-9)
        np.testing.assert_array_equal(np.sort(-ranker.scores_), -ranker.scores_[ranker.order_])
        # Rare classes keep their own scores.
        assert ranker.class_scores_.shape == (len(COUNTS), N_NEURONS)
        assert "score_SYM" in ranker.to_frame()


@pytest.mark.parametrize("name", RANKERS)
def test_rows_of_weight_zero_do_not_count(name):
    X, y = data()
    weight = np.ones(len(y))
    weight[np.flatnonzero(y == "NUM")[:8]] = 0
    ranker = fit(name, 8, sample_weight=weight)
    assert ranker.rare_classes_.tolist() == ["NUM", "SYM", "X"]


def test_class_scores_of_probeless_still_add_up():
    ranker = fit("probeless", 5)
    frequent = ~np.isin(ranker.classes_, ranker.rare_classes_)
    total = ranker.class_scores_[frequent].sum(axis=0)
    np.testing.assert_allclose(total, 2 * ranker.scores_)


def test_cuts_of_lca_ignore_rare_classes():
    X, y = data()
    probe = FrozenEstimator(LogisticRegression(C=0.1).fit(X, y))
    sizes = np.abs(probe.coef_) * X.std(axis=0)
    frequent = sizes[[c in ("ADJ", "NOUN", "NUM") for c in probe.classes_]]
    for cut in ({"threshold": 0.8}, {"mass": 0.2}, {"mass": 0.2, "which": "smallest"}):
        support = LCARanker(probe, min_count=10, **cut).fit(X, y).get_support()
        if "threshold" in cut:
            expected = (frequent >= 0.8 * frequent.max(axis=1, keepdims=True)).any(axis=0)
        else:
            ascending = np.sort(frequent, axis=1)
            top = cut.get("which") != "smallest"
            ordered = ascending[:, ::-1] if top else ascending
            before = np.cumsum(ordered, axis=1) - ordered
            n_kept = (before < 0.2 * frequent.sum(axis=1, keepdims=True)).sum(axis=1)
            if not top:
                # Together, the smallest hold at most the share.
                total = np.cumsum(ordered, axis=1)
                n_kept = (total < 0.2 * frequent.sum(axis=1, keepdims=True)).sum(axis=1) + 1
            ranks = np.argsort(np.argsort(-frequent if top else frequent, axis=1), axis=1)
            expected = (ranks < n_kept[:, np.newaxis]).any(axis=0)
        np.testing.assert_array_equal(support, expected)


@pytest.mark.parametrize("name", RANKERS)
def test_too_few_classes_are_an_error(name):
    X, y = data()
    with pytest.raises(ValueError, match=r"min_count=41\) leaves fewer than two.*40 rows.*40"):
        clone(RANKERS[name]).set_params(min_count=41).fit(X, y)


def test_a_fitted_probe_may_have_classes_that_the_rows_lack():
    X, y = data()
    probe = FrozenEstimator(LogisticRegression().fit(X, y))
    rows = np.flatnonzero(y != "NUM")
    ranker = LCARanker(probe).fit(X[rows], y[rows])
    assert ranker.rare_classes_.tolist() == []
    assert LCARanker(probe, min_count=2).fit(X[rows], y[rows]).rare_classes_.tolist() == ["NUM"]


def test_a_regressor_has_no_classes():
    X, y = data()
    ranker = LCARanker(Ridge(), min_count=50).fit(X, X[:, 3])
    assert ranker.order_[0] == 3
    assert not hasattr(ranker, "rare_classes_")


def messages(ranker, X, y):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clone(ranker).fit(X, y)
    return [str(warning.message) for warning in caught]


def test_the_warning_names_the_classes_that_dominate_by_chance():
    X, y = data()
    (message,) = messages(ProbelessRanker(), X, y)
    assert "of the 10 best neurons of ProbelessRanker" in message
    assert "fewer than 10 rows: 'SYM' (2), 'X' (4)." in message
    assert "Set min_count=10" in message
    X, y = data()
    assert messages(ProbelessRanker(min_count=10), X, y) == []


def test_the_warning_is_rare():
    noise = np.random.RandomState(1).normal
    quiet = {
        "no rare class": data({"ADJ": 40, "NOUN": 40, "NUM": 15}),
        "all classes are rare": data({"ADJ": 8, "NOUN": 7, "NUM": 3, "SYM": 2}),
        "two classes": data({"ADJ": 90, "SYM": 3}),
        "few neurons": (data()[0][:, :90], data()[1]),
        "better neurons": (data()[0] + 6 * (data()[1] == "ADJ")[:, np.newaxis], data()[1]),
        "rare enough": data({"ADJ": 40, "NOUN": 40, "NUM": 15, "SYM": 9}),
        "numbers": (noise(size=(60, 100)), noise(size=60)),
    }
    for case, (X, y) in quiet.items():
        ranker = LCARanker(Ridge()) if case == "numbers" else RANKERS["precision"]
        assert messages(ranker, X, y) == [], case
