# SPDX-License-Identifier: BSD-3-Clause
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import t
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.evaluation import compare, interval_table, v_information

PROBE = LogisticRegression()


def _data(n_samples=240, seed=0):
    """Return four columns, three labels that two of them decide, and thirty texts."""
    rng = np.random.RandomState(seed)
    X = rng.randn(n_samples, 4)
    y = np.array(["a", "b", "c"])[(X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)]
    return X, y, rng.randint(30, size=n_samples)


def _bits_by_hand(X, y, train, test):
    """Return what each test label costs: in plain Python, all labels seen in training."""
    fitted = LogisticRegression().fit(X[train], y[train])
    costs = []
    for row in test:
        logits = fitted.intercept_ + fitted.coef_ @ X[row]
        chosen = logits[fitted.classes_.tolist().index(y[row])]
        costs.append(math.log2(sum(math.exp(each - chosen) for each in logits)))
    return costs


def _prior_by_hand(y, train, test):
    counts = Counter(y[train].tolist())
    return [math.log2(len(train) / counts[y[row]]) for row in test]


def test_the_bits_of_every_word_are_those_computed_by_hand():
    X, y, groups = _data()
    folds = list(GroupKFold(3).split(X, y, groups))
    table, words = v_information(PROBE, X, y, groups=groups, cv=3, return_words=True)
    expected = [
        [number, row, groups[row], without, bits]
        for number, (train, test) in enumerate(folds)
        for row, without, bits in zip(
            test, _prior_by_hand(y, train, test), _bits_by_hand(X, y, train, test), strict=True
        )
    ]
    columns = ["fold", "row", "group", "baseline_bits", "bits"]
    np.testing.assert_allclose(words[columns].to_numpy(float), expected, rtol=1e-6)
    assert (words["label"] == y[words["row"]]).all()
    np.testing.assert_allclose(words["outcome"], words["baseline_bits"] - words["bits"])
    for name, values in (("v_information", "outcome"), ("baseline_bits",) * 2, ("bits",) * 2):
        assert table.loc[0, name] == pytest.approx(words[values].mean())
    assert table.loc[0, ["n_words", "n_groups"]].tolist() == [240, 30]


@pytest.mark.parametrize("kind", ["array", "frames", "sparse", "float16"])
def test_beyond_a_baseline_the_same_family_is_fitted_twice(kind):
    X, y, groups = _data()
    X = X.astype(np.float16).astype(float)
    known, new = X[:, :1], X[:, 1:]
    (train, test), *_ = GroupKFold(3).split(X, y, groups)
    given = {
        "array": (known, new),
        "frames": (pd.DataFrame(known, columns=["k"]), pd.DataFrame(new, columns=["x", "y", "z"])),
        "sparse": (known, sp.csr_matrix(new)),
        "float16": (known.astype(np.float16), new.astype(np.float16)),
    }[kind]
    _, words = v_information(
        PROBE, given[1], y, baseline=given[0], groups=groups, cv=[(train, test)], return_words=True
    )
    tolerance = 1e-2 if kind == "float16" else 1e-4
    without, bits = (_bits_by_hand(part, y, train, test) for part in (known, X))
    np.testing.assert_allclose(words["baseline_bits"], without, rtol=tolerance)
    np.testing.assert_allclose(words["bits"], bits, rtol=tolerance)


def test_known_answers():
    rng = np.random.RandomState(0)
    y = np.tile([0, 1, 2, 3], 200)
    exact = 50.0 * np.eye(4)[y]
    noise = rng.randn(800, 20)
    options = {"groups": np.repeat(np.arange(100), 8), "cv": 4}
    probe = LogisticRegression(C=1000)

    def measure(*args, **kwargs):
        return v_information(probe, *args, **kwargs, **options).loc[0]

    assert measure(exact, y)["v_information"] == pytest.approx(2, abs=1e-3)
    # What is already known adds nothing, and one of two bits adds one.
    assert measure(exact, y, baseline=exact)["v_information"] == pytest.approx(0, abs=1e-3)
    half = 50.0 * np.eye(2)[y // 2]
    assert measure(exact, y, baseline=half)["v_information"] == pytest.approx(1, abs=1e-3)
    # Noise costs bits on other words; the estimate is not clipped at zero.
    nothing = measure(noise, y)
    assert nothing["v_information"] < nothing["high"] < 0
    assert nothing["baseline_bits"] == pytest.approx(2, abs=1e-2)


def test_a_probe_that_cannot_use_the_information_finds_none():
    # Mutual information is one bit: exclusive or, which no linear probe can use.
    X = np.tile([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], (50, 1))
    y = (X[:, 0] != X[:, 1]).astype(int)
    groups = np.repeat(np.arange(50), 4)
    linear = v_information(PROBE, X, y, groups=groups).loc[0, "v_information"]
    product = np.column_stack([X, X[:, 0] * X[:, 1]])
    with_product = v_information(LogisticRegression(C=1e4), product, y, groups=groups)
    assert linear == pytest.approx(0, abs=1e-3)
    assert with_product.loc[0, "v_information"] > 0.99


def test_the_interval_takes_groups_as_independent():
    X, y, groups = _data()
    table, words = v_information(
        PROBE, X, y, groups=groups, cv=3, confidence=0.9, return_words=True
    )
    totals = words.groupby("group")["outcome"].agg(["sum", "size"])
    mean = totals["sum"].sum() / 240
    squares = (totals["sum"] - mean * totals["size"]) ** 2
    # Satterthwaite: twice the squared sum, over the variance of the sum.
    df = 2 * squares.sum() ** 2 / (30 * squares.var(ddof=0))
    half = t.ppf(0.95, min(df, 29)) * math.sqrt(30 / 29 * squares.sum()) / 240
    np.testing.assert_allclose(table.loc[0, ["low", "high"]], [mean - half, mean + half])
    same = compare(words["baseline_bits"], words["bits"], words["group"], confidence=0.9)
    np.testing.assert_allclose(table.loc[0, ["low", "high"]], same[["low", "high"]].astype(float))


def test_two_layers_are_compared_by_their_frames():
    X, y, groups = _data()
    frames = [
        v_information(PROBE, X[:, part], y, groups=groups, cv=3, return_words=True)[1]
        for part in ([0, 1], [2, 3])
    ]
    found = compare(*frames)
    gain = frames[0]["outcome"].mean() - frames[1]["outcome"].mean()
    assert found["difference"] == pytest.approx(gain) and found["p_value"] < 0.01
    by_label = interval_table(frames[0], by="label")
    means = frames[0].groupby("label")["outcome"].mean()
    np.testing.assert_allclose(by_label.set_index("label")["score"].sort_index(), means)


def test_labels_that_are_rare_in_training_keep_their_escape():
    X, y = np.zeros((8, 1)), np.array(list("aaaabbca"))
    cv = [(np.arange(4), np.arange(4, 8)), (np.arange(6), np.arange(6, 8))]
    with pytest.warns(UserWarning, match="labels that no training row has"):
        _, words = v_information(PROBE, X, y, groups=range(8), cv=cv, return_words=True)
    # After "aaaa", b and c share 2 / (4 + 3); after "aaaabb", c gets 1 / (6 + 3).
    first = [-math.log2(1 / 7)] * 3 + [-math.log2(5 / 7)]
    second = [-math.log2(1 / 9), -math.log2(8 / 9 * 4 / 6)]
    np.testing.assert_allclose(words["baseline_bits"], first + second)
    # The activations are constant, so the probe knows the frequencies only.
    np.testing.assert_allclose(words["bits"], first + second, rtol=1e-3)


def test_rows_keep_their_index_and_their_place():
    X, y, groups = _data(60)
    labels = pd.Series(y, index=[f"word {row}" for row in range(60)])
    with pytest.warns(UserWarning, match="groups"):
        table, words = v_information(PROBE, X, labels, cv=2, return_words=True)
    assert words.index.tolist() == labels.index.tolist()
    assert words["row"].tolist() == list(range(60)) and words["n_train"].tolist() == [30] * 60
    # Without groups, nothing is known of how words depend on each other.
    assert words["group"].isna().all() and table.loc[0, "n_groups"] == 0
    assert table.loc[0, ["low", "high"]].isna().all()
    frame = pd.DataFrame(X).rename(columns=str)
    pipe = make_pipeline(StandardScaler(), PROBE)
    one, other = (
        v_information(
            pipe,
            frame,
            labels.to_numpy(),
            groups=groups,
            cv=2,
            n_jobs=n_jobs,
            classes=classes,
        )
        for n_jobs, classes in ((1, None), (2, ["a", "b", "c", "d"]))
    )
    assert one.loc[0, "bits"] < other.loc[0, "bits"] < one.loc[0, "bits"] + 0.1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"estimator": RidgeClassifier()}, TypeError, "v_information needs class probabilities"),
        ({"y": ["a"] * 60}, ValueError, "v_information needs at least two classes"),
        ({"classes": ["a", "b"]}, ValueError, "'c' at row .*, which is not in 'classes'"),
        ({"baseline": np.zeros(60)}, ValueError, "'baseline' parameter .* must be a matrix"),
        ({"baseline": [["the"]] * 60}, ValueError, "'baseline' parameter .* matrix of numbers"),
        (
            {"baseline": np.full((60, 1), np.nan)},
            ValueError,
            "Input baseline contains NaN: column 0",
        ),
        ({"baseline": np.zeros((50, 1))}, ValueError, "inconsistent numbers"),
        (
            {"baseline": pd.DataFrame({"x": np.zeros(60)}), "X": pd.DataFrame({"x": np.ones(60)})},
            ValueError,
            r"both have columns named \['x'\]",
        ),
        ({"confidence": 1}, ValueError, "'confidence' parameter of v_information"),
    ],
)
def test_what_is_wrong_is_said(change, error, message):
    X, y, groups = _data(60)
    given = {"estimator": PROBE, "X": X, "y": y, "groups": groups, **change}
    with pytest.raises(error, match=message):
        v_information(**given)
