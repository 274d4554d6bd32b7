# SPDX-License-Identifier: BSD-3-Clause
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sklearn_neurox.evaluation import online_codelength

PRIOR = DummyClassifier(strategy="prior")


def _random_labels(n_samples, n_classes=4, seed=0):
    rng = np.random.RandomState(seed)
    return rng.randn(n_samples, 3), rng.randint(n_classes, size=n_samples)


def test_the_code_of_class_frequencies_by_hand():
    y = list("ab" + "aaab" + "ab")
    code = online_codelength(
        PRIOR, np.zeros((8, 1)), y, fractions=[0.25, 0.75, 1.0], groups=range(8), shuffle=False
    )
    # Two by the uniform code, four with probability 1/2, and then four of six were "a".
    expected = [2.0, 4.0, -np.log2(4 / 6) - np.log2(2 / 6)]
    np.testing.assert_allclose(code.blocks["codelength"], expected)
    assert code.blocks["n_train"].tolist() == [0, 2, 6]
    assert code.blocks["n_samples"].tolist() == [2, 4, 2]
    assert code.blocks["n_unseen"].tolist() == [2, 0, 0]
    assert code.blocks["fraction"].tolist() == [0.25, 0.75, 1]
    assert code.codelength == pytest.approx(sum(expected))
    assert code.uniform_codelength == 8 and code.units == "bits"
    assert code.compression == pytest.approx(8 / sum(expected))


def test_each_block_costs_the_log_loss_of_a_probe_on_the_rows_before():
    X, y = _random_labels(900)
    y[X[:, 0] > 0.5] = 0
    groups = np.random.RandomState(1).randint(150, size=900)
    options = {"groups": groups, "random_state": 3}
    probe = make_pipeline(StandardScaler(), LogisticRegression())
    code = online_codelength(
        probe, X, y, fractions=[0.1, 0.2, 0.5, 1.0], decompose=True, n_jobs=2, **options
    )
    ends = np.cumsum(code.blocks["n_samples"]).tolist()
    # Encoding order: groups in order of appearance, shuffled by the seed.
    names = pd.unique(groups)[np.random.RandomState(3).permutation(150)]
    order = np.concatenate([np.flatnonzero(groups == name) for name in names])
    for start, end, cost in zip(ends, ends[1:], code.blocks["codelength"][1:], strict=False):
        train, sent = order[:start], order[start:end]
        assert not set(groups[train]) & set(groups[sent])
        proba = clone(probe).fit(X[train], y[train]).predict_proba(X[sent])
        assert cost == pytest.approx(log_loss(y[sent], proba, normalize=False) / np.log(2))
    assert ends[-1] == 900
    everything = log_loss(y, clone(probe).fit(X, y).predict_proba(X), normalize=False)
    assert code.data_codelength == pytest.approx(everything / np.log(2), rel=1e-4)
    assert code.data_codelength + code.model_codelength == pytest.approx(code.codelength)
    assert 0 < code.model_codelength < code.codelength


def test_random_labels_cost_n_log2_k_and_a_little():
    X, y = _random_labels(4000)
    uniform = 4000 * 2.0
    prior = online_codelength(PRIOR, X, y, groups=range(4000), random_state=0)
    assert prior.uniform_codelength == uniform
    # The universal code of K frequencies needs about (K - 1) / 2 log2 n more.
    assert uniform < prior.codelength < uniform + 60
    probe = online_codelength(LogisticRegression(), X, y, groups=range(4000), random_state=0)
    assert uniform < probe.codelength < 1.05 * uniform


def test_deterministic_labels_cost_the_first_block():
    y = np.tile(np.arange(4), 1000)
    X = 50.0 * np.eye(4)[y]
    fractions = [0.01, 0.1, 1.0]
    code = online_codelength(
        LogisticRegression(C=1000), X, y, fractions=fractions, groups=range(4000), random_state=0
    )
    assert code.blocks["codelength"][0] == 40 * 2
    assert 80 <= code.codelength < 80.1
    assert code.compression == pytest.approx(100, rel=1e-2)


def test_published_units_are_nats_beside_bits_in_thousands_of_1024():
    X, y = _random_labels(500)
    options = {"groups": range(500), "random_state": 0, "decompose": True}
    bits = online_codelength(LogisticRegression(), X, y, **options)
    theirs = online_codelength(LogisticRegression(), X, y, units="voita2020", **options)
    first, rest = bits.blocks["codelength"][0], bits.blocks["codelength"][1:].sum()
    assert theirs.codelength == pytest.approx((first + rest * np.log(2)) / 1024)
    assert theirs.uniform_codelength == pytest.approx(500 * 2 / 1024)
    assert theirs.data_codelength == pytest.approx(bits.data_codelength * np.log(2) / 1024)
    assert theirs.units == "voita2020"
    # Random labels appear to be compressed.
    assert bits.compression < 1 < 1.2 < theirs.compression < bits.compression / np.log(2)


@pytest.mark.parametrize("train", [[0], [0, 0, 0], [0, 1], [2, 0, 0, 2, 1], [0, 1, 2, 3]])
@pytest.mark.parametrize(
    "probe", [PRIOR, LogisticRegression(), DecisionTreeClassifier(random_state=0)]
)
def test_what_any_next_label_costs_makes_a_code(train, probe):
    """Kraft's sum over all possible next labels is 1, seen or unseen, certain or not."""
    X = np.random.RandomState(0).randn(len(train) + 1, 2)
    costs = [
        online_codelength(
            probe,
            X,
            [*train, label],
            classes=[0, 1, 2, 3],
            groups=range(len(X)),
            shuffle=False,
            fractions=[len(train) / len(X), 1.0],
        ).blocks["codelength"][1]
        for label in range(4)
    ]
    assert np.sum(np.exp2(-np.array(costs))) == pytest.approx(1, rel=1e-12)
    assert np.max(costs) < 53


def test_unseen_labels_share_what_laplace_leaves_them():
    code = online_codelength(
        PRIOR,
        np.zeros((8, 1)),
        list("aabbacdb"),
        fractions=[0.25, 0.5, 1.0],
        groups=range(8),
        shuffle=False,
    )
    # After "aa", three of four labels are unseen: 3 / (2 + 4), a third each.
    assert code.blocks["codelength"][1] == pytest.approx(-2 * np.log2(1 / 6))
    # After "aabb", two are: 2 / (4 + 4), and the probe splits the rest in halves.
    assert code.blocks["codelength"][2] == pytest.approx(-2 * np.log2(3 / 8) - 2 * np.log2(1 / 8))
    assert code.blocks["n_unseen"].tolist() == [2, 2, 2]


class Sloppy(ClassifierMixin, BaseEstimator):
    """Predicts probabilities that do not sum to 1, as in single precision, or worse."""

    def __init__(self, value=0.5001, classes=None):
        self.value, self.classes = value, classes

    def fit(self, X, y):
        self.classes_ = np.unique(y) if self.classes is None else self.classes
        return self

    def predict_proba(self, X):
        return np.full((len(X), 2), self.value, dtype=np.float32)


def test_probabilities_are_made_to_sum_to_one():
    y = [0, 1] * 4
    options = {"fractions": [0.5, 1.0], "groups": range(8), "shuffle": False}
    assert online_codelength(Sloppy(), np.zeros((8, 1)), y, **options).codelength == 8
    for value in (np.nan, -1):
        with pytest.raises(ValueError, match="Sloppy, fitted to 4 rows, predicted probabilities"):
            online_codelength(Sloppy(value), np.zeros((8, 1)), y, **options)
    with pytest.raises(ValueError, match=r"fitted to the classes \[0, 1\], but has .* \[1, 0\]"):
        online_codelength(Sloppy(classes=[1, 0]), np.zeros((8, 1)), y, **options)


def test_groups_are_never_split_and_blocks_never_empty():
    X, y = _random_labels(1000)
    groups = np.repeat(np.arange(10), 100)
    code = online_codelength(PRIOR, X, y, groups=groups, random_state=0)
    assert (code.blocks["n_samples"] % 100 == 0).all() and (code.blocks["n_samples"] > 0).all()
    # The first eight fractions of the paper all end within the first two groups.
    assert code.blocks["fraction"].tolist() == [0.1, 0.2, 0.3, 0.5, 1]
    whole = online_codelength(PRIOR, X, y, groups=np.zeros(1000))
    assert whole.codelength == whole.uniform_codelength == 2000 and len(whole.blocks) == 1


def test_the_seed_fixes_the_blocks():
    X, y = _random_labels(300)
    one, same, other = (
        online_codelength(LogisticRegression(), X, y, groups=range(300), random_state=seed)
        for seed in (0, 0, 1)
    )
    assert one.codelength == same.codelength != other.codelength
    pd.testing.assert_frame_equal(one.blocks, same.blocks)


def test_without_groups_rows_keep_their_order_and_a_warning_says_why():
    X, y = _random_labels(300)
    with pytest.warns(UserWarning, match="online_codelength was given no groups") as caught:
        code = online_codelength(PRIOR, X, y, random_state=0)
    assert caught[0].filename == __file__
    unshuffled = online_codelength(PRIOR, X, y, groups=range(300), shuffle=False)
    pd.testing.assert_frame_equal(code.blocks, unshuffled.blocks)


@pytest.mark.parametrize("kind", [pd.DataFrame, lambda X: X.astype(np.float16)])
def test_inputs_and_names_of_classes_do_not_matter(kind):
    X, y = _random_labels(300)
    X = X.astype(np.float16).astype(float)
    plain = online_codelength(PRIOR, X, y, groups=range(300), random_state=0)
    names = pd.Series(np.array(["b", "d", "a", "c"])[y], index=np.arange(300) + 7)
    groups = pd.Series([f"text {i}" for i in range(300)], dtype="category")
    given = kind(X)
    other = online_codelength(PRIOR, given, names, groups=groups, random_state=0)
    assert other.codelength == pytest.approx(plain.codelength, rel=1e-12)


class Grouped(DummyClassifier):
    """Requires groups, as estimators with internal cross-validation do."""

    def fit(self, X, y, groups):
        assert len(groups) == len(y) and set(X[:, 0]) == set(groups)
        return super().fit(X, y)


def test_inner_splits_get_the_groups_of_their_rows():
    _, y = _random_labels(300)
    groups = np.random.RandomState(0).randint(100, size=300)
    X, options = groups[:, None].astype(float), {"groups": groups, "random_state": 0}
    code = online_codelength(Grouped(strategy="prior"), X, y, **options)
    assert code.codelength == online_codelength(PRIOR, X, y, **options).codelength


def test_a_table_of_several_layers():
    X, y = _random_labels(300)
    layers = {
        layer: online_codelength(
            PRIOR, X, y, groups=range(300), random_state=0, decompose=True
        ).to_frame()
        for layer in (0, 1)
    }
    table = pd.concat(layers, names=["layer"]).droplevel(1)
    assert table.index.tolist() == [0, 1]
    assert table.columns.tolist() == [
        "codelength",
        "low",
        "high",
        "uniform_codelength",
        "compression",
        "data_codelength",
        "model_codelength",
    ]
    code = online_codelength(PRIOR, X, y, groups=range(300), random_state=0)
    assert code.to_frame().shape == (1, 5) and code.model_codelength is None
    assert pickle.loads(pickle.dumps(code)).codelength == code.codelength
    assert "fraction" not in repr(code) and "codelength=" in repr(code)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": ["a"] * 4}, r"needs at least two classes, got \['a'\]"),
        ({"classes": []}, r"needs at least two classes, got \[\]"),
        ({"y": ["a", None, "b", "b"]}, "1 of 4 labels are missing"),
        ({"y": [0.1, 0.2, 0.3, 0.5]}, "Unknown label type"),
        ({"classes": ["a", "c"]}, "label 'b' at row 1, which is not in 'classes'"),
        ({"groups": range(3)}, "inconsistent numbers"),
        ({"fractions": [0.5, 0.2, 1.0]}, "'fractions' parameter of online_codelength must"),
        ({"fractions": [0, 1.0]}, "'fractions' parameter of online_codelength must"),
        ({"fractions": [0.5]}, "'fractions' parameter of online_codelength must"),
        ({"fractions": []}, "'fractions' parameter of online_codelength must"),
        ({"fractions": [10, 100]}, "'fractions' parameter of online_codelength must"),
        ({"units": "nats"}, "'units' parameter of online_codelength must"),
    ],
)
def test_what_is_wrong_is_said(change, message):
    data = {"y": ["a", "b", "a", "b"], "groups": range(4), **change}
    with pytest.raises(ValueError, match=message):
        online_codelength(PRIOR, np.eye(4), **data)


def test_a_probe_without_probabilities_and_one_that_fails():
    X, y = _random_labels(100)
    with pytest.raises(TypeError, match="RidgeClassifier has no 'predict_proba'"):
        online_codelength(RidgeClassifier(), X, y, groups=range(100))
    X[0] = np.nan
    with pytest.raises(ValueError, match="NaN") as caught:
        online_codelength(LogisticRegression(), X, y, groups=range(100), shuffle=False)
    assert "first 2 rows" in "".join(caught.value.__notes__)
