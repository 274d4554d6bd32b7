# SPDX-License-Identifier: BSD-3-Clause
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import pearsonr
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from sklearn_neurox.inspection import neuron_summary
from sklearn_neurox.probes import ElasticNetProbeClassifier, ElasticNetProbeRegressor
from sklearn_neurox.ranking import LCARanker, ProbelessRanker, RandomRanker

WORDS = np.array(["dog", "cat", "run", "see", "the", "a", "red"])
TAGS = dict(zip(WORDS, ["N", "N", "V", "V", "D", "D", "A"], strict=True))


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    words = rng.choice(WORDS, 210)
    y = np.array([TAGS[word] for word in words])
    # A word is tagged differently now and then, so that labels are counted.
    y[rng.random(210) < 0.1] = "V"
    X = rng.normal(size=(210, 6))
    X[:, 1] += 3 * (y == "N")
    X[:, 4] -= 5 * (y == "V") * rng.random(210)
    return X, y, words


def numbers_of(X, y, row):
    """Return the effect, area and words of a row of the table from X and y."""
    column, inside = X[:, int(row["neuron"][1:])], y == row["label"]
    effect = (column[inside].mean() - column[~inside].mean()) / column.std()
    return effect, roc_auc_score(inside, column)


@pytest.mark.parametrize("classes", ["NV", "NVDA"])
@pytest.mark.parametrize(
    "estimator",
    [
        ProbelessRanker(),
        LCARanker(),
        RandomRanker(random_state=0),
        SelectKBest(k=2),
        LogisticRegression(),
        ElasticNetProbeClassifier(),
    ],
)
def test_numbers_are_those_of_the_activations(data, estimator, classes):
    X, y, words = (part[np.isin(data[1], list(classes))] for part in data)
    fitted = estimator.fit(X, y)
    table = neuron_summary(fitted, X, y, words=words, n_neurons=6, n_words=2)
    assert sorted(table["neuron"]) == [f"x{i}" for i in range(6)]
    assert table["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (np.diff(table["score"]) <= 0).all()
    for _, row in table.iterrows():
        effect, area = numbers_of(X, y, row)
        assert row["effect"] == pytest.approx(effect, abs=1e-12)
        assert row["auc"] == pytest.approx(area, abs=1e-12)
        assert row["direction"] == ("high" if effect > 0 else "low")
        column = X[:, int(row["neuron"][1:])]
        means = pd.Series(column).groupby(words).mean().sort_values(ascending=effect < 0)
        expected = [
            f"{word} ({Counter(y[words == word]).most_common(1)[0][0]})" for word in means.index[:2]
        ]
        assert row["words"] == ", ".join(expected)
    planted = table.set_index("neuron")
    assert planted.loc["x1", ["label", "direction"]].tolist() == ["N", "high"]
    if len(classes) == 2:
        assert (table["direction"] == "high").all()
        assert planted.loc["x4", "label"] == "N"
    else:
        assert planted.loc["x4", ["label", "direction"]].tolist() == ["V", "low"]


def test_weights_have_the_sign_of_the_label_and_the_unit_of_a_deviation(data):
    X, y, _ = data
    X = X * [1, 10, 100, 1, 0.1, 1]
    probe = ElasticNetProbeClassifier().fit(X, y)
    table = neuron_summary(probe, X, y, n_neurons=6)
    size = np.abs(probe.coef_ * X.std(axis=0))
    for _, row in table.iterrows():
        column = int(row["neuron"][1:])
        label = size[:, column].argmax()
        assert row["label"] == probe.classes_[label]
        assert row["weight"] == pytest.approx((probe.coef_ * X.std(axis=0))[label, column])
        assert row["score"] == pytest.approx(size[label, column])
    two = np.isin(y, ["N", "V"])
    binary = LogisticRegression().fit(X[two], y[two])
    for _, row in neuron_summary(binary, X[two], y[two], n_neurons=6).iterrows():
        column = int(row["neuron"][1:])
        sign = 1 if row["label"] == binary.classes_[1] else -1
        expected = sign * binary.coef_[0, column] * X[two][:, column].std()
        assert row["weight"] == pytest.approx(expected)


def test_label_is_the_one_that_the_estimator_scores_highest(data):
    X, y, _ = data
    ranker = ProbelessRanker().fit(X, y)
    table = neuron_summary(ranker, X, y, n_neurons=6).set_index("neuron")
    best = ranker.classes_[ranker.class_scores_.argmax(axis=0)]
    assert table.loc[[f"x{i}" for i in range(6)], "label"].tolist() == best.tolist()


def test_numbers(data):
    X, _, words = data
    rng = np.random.default_rng(1)
    targets = X[:, 0] - 2 * X[:, 3] + rng.normal(size=len(X))
    fitted = LinearRegression().fit(X, targets)
    table = neuron_summary(fitted, X, targets, words=words, n_neurons=6, n_words=1)
    assert table["neuron"].tolist()[:2] == ["x3", "x0"]
    assert table["direction"].tolist()[:2] == ["falls", "rises"]
    assert "label" not in table and "auc" not in table
    for _, row in table.iterrows():
        column = X[:, int(row["neuron"][1:])]
        assert row["correlation"] == pytest.approx(pearsonr(column, targets)[0])
        means = pd.Series(column).groupby(words).mean()
        word = means.idxmax() if row["direction"] == "rises" else means.idxmin()
        assert row["words"] == f"{word} ({targets[words == word].mean():.3g})"


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64, bool])
@pytest.mark.parametrize(
    "estimator",
    [
        LinearRegression(),
        ElasticNetProbeRegressor(),
        LCARanker(LinearRegression()),
        LCARanker(FrozenEstimator(LinearRegression())),
    ],
)
def test_whole_numbers_are_numbers_to_a_regressor(data, estimator, dtype):
    """The counts of something are whole numbers, in integers or in floats."""
    X, _, words = data
    counts = np.clip(np.round(3 + X[:, 0] - 2 * X[:, 3]), 0, 9).astype(dtype)
    if isinstance(estimator, LCARanker) and isinstance(estimator.estimator, FrozenEstimator):
        estimator.estimator.estimator.fit(X, counts)
    fitted = estimator.fit(X, counts)
    if dtype is bool:
        # Yes and no are labels, whatever was fitted to them.
        assert "label" in neuron_summary(fitted, X, counts, words=words)
        return
    table = neuron_summary(fitted, X, counts, words=words)
    assert table["neuron"].tolist()[:2] == ["x3", "x0"]
    assert table["direction"].tolist()[:2] == ["falls", "rises"]
    expected = [pearsonr(X[:, int(name[1:])], counts)[0] for name in table["neuron"]]
    np.testing.assert_allclose(table["correlation"], expected)


def test_numbers_that_are_classes_stay_labels(data):
    X, _, _ = data
    classes = (X[:, 3] > 0).astype(int)
    table = neuron_summary(ProbelessRanker().fit(X, classes), X, classes)
    assert table.loc[0, ["neuron", "label", "direction"]].tolist() == ["x3", 1, "high"]


def test_a_label_that_is_absent_has_no_direction(data):
    X, y, words = data
    ranker = ProbelessRanker().fit(X, y)
    best = neuron_summary(ranker, X, y, n_neurons=6).set_index("neuron")
    kept = y != "N"
    table = neuron_summary(ranker, X[kept], y[kept], words=words[kept], n_neurons=6)
    for _, row in table.iterrows():
        assert row["label"] == best.loc[row["neuron"], "label"]
        is_absent = row["label"] == "N"
        assert np.isnan(row["effect"]) == np.isnan(row["auc"]) == is_absent
        assert (row["direction"] == "") == (row["words"] == "") == is_absent
    assert (table["label"] == "N").any() and (table["label"] != "N").any()


@pytest.mark.parametrize(
    "convert", [np.asarray, sparse.csr_array, pd.DataFrame, lambda X: X.astype(np.float16)]
)
def test_containers_and_chosen_neurons(data, convert):
    X, y, words = data
    X = X.astype(np.float16).astype(np.float64)
    ranker = ProbelessRanker().fit(X, y)
    given = convert(X)
    if isinstance(given, pd.DataFrame):
        given.columns = [f"x{i}" for i in range(6)]
    options = {"words": words, "neurons": [4, 1]}
    expected = neuron_summary(ranker, X, y, **options)
    assert expected["neuron"].tolist() == ["x4", "x1"]
    assert expected["rank"].tolist() == [ranker.ranks_[4], ranker.ranks_[1]]
    found = neuron_summary(ranker, given, y, **options)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)
    named = neuron_summary(ranker, X, y, neurons="b", input_features=list("abcdef"))
    assert named["neuron"].tolist() == ["b"]


def test_ties_and_constants_are_said(data):
    X, y, words = data
    X = np.column_stack([X[:, 1], X[:, 1], np.full(len(X), 2.0), X[:, 1]])
    ranker = ProbelessRanker().fit(X, y)
    table = neuron_summary(ranker, X, y, words=words)
    assert table["n_tied"].tolist() == [2, 2, 2, 0]
    constant = table.iloc[3]
    assert constant["neuron"] == "x2"
    assert (constant["effect"], constant["auc"], constant["words"]) == (0, 0.5, "")


def test_errors(data):
    X, y, words = data
    ranker = ProbelessRanker().fit(X, y)
    with pytest.raises(ValueError, match="was fitted on 6 columns, but X has 3"):
        neuron_summary(ranker, X[:, :3], y)
    with pytest.raises(ValueError, match="this VarianceThreshold does not order neurons itself"):
        neuron_summary(VarianceThreshold().fit(X), X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        neuron_summary(ranker, X, y[:-1])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        neuron_summary(ranker, X, y, words=words[:-1])
    for other in (np.arange(len(y)) % 3, X[:, 0], np.full(len(y), "noun")):
        with pytest.raises(ValueError, match=r"knows the labels \['A', 'D', 'N', 'V'\], but y "):
            neuron_summary(ranker, X, other)
    with pytest.raises(ValueError, match="labels are missing"):
        neuron_summary(ranker, X, [None, *y[1:]])


def test_units_and_the_order_of_rows_change_nothing(data):
    X, y, words = data
    y[:2], words[:2] = ["N", "V"], "rare"  # a tie between labels
    numbers = ["effect", "auc"]
    right = neuron_summary(ProbelessRanker().fit(X, y), X, y, words=words, n_words=7)
    for unit, shift in ((1e-200, 0), (1e200, 0), (1e305, 0), (1.0, 1e6)):
        Z, order = X * unit + shift, np.random.default_rng(1).permutation(len(X))
        table = neuron_summary(
            ProbelessRanker().fit(Z, y), Z[order], y[order], words=words[order], n_words=7
        )
        np.testing.assert_allclose(table[numbers], right[numbers], rtol=1e-8)
        same = ["neuron", "label", "direction", "words"]
        pd.testing.assert_frame_equal(table[same], right[same])
    target = X[:, 1] - X[:, 4]
    probe = LinearRegression().fit(X, target)
    right = neuron_summary(probe, X, target)["correlation"]
    for unit in (1e-200, 1e200):
        np.testing.assert_allclose(neuron_summary(probe, X, target * unit)["correlation"], right)
    with pytest.raises(ValueError, match="1d array"):
        neuron_summary(probe, X, np.column_stack([target, target]))
