# SPDX-License-Identifier: BSD-3-Clause
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    get_scorer,
    make_scorer,
    precision_score,
    roc_auc_score,
)
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import compare, interval_table, layer_profile
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator
from sklearn_neurox.utils._names import neuron_names

N_GROUPS = 40


class Copycat(ClassifierMixin, BaseEstimator):
    """Predicts the number in the first column, whatever the training data."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return X[:, 0].astype(int)

    def predict_proba(self, X):
        shares = np.full((len(X), len(self.classes_)), 0.1)
        shares[np.arange(len(X)), self.predict(X)] = 1
        return shares / shares.sum(axis=1, keepdims=True)


@pytest.fixture
def copied():
    """Return three layers whose first column is the label, with more errors in later layers."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(N_GROUPS), rng.integers(4, 12, size=N_GROUPS))
    y = rng.integers(3, size=len(groups))
    X = rng.normal(size=(len(y), 6))
    for column, rate in ((0, 0.9), (2, 0.8), (4, 0.5)):
        X[:, column] = np.where(rng.random(len(y)) < rate, y, rng.integers(3, size=len(y)))
    return X, y, groups


def _everything_is_tested(groups):
    return GroupKFold(4).split(groups, groups=groups)


def _jackknife_error(X, y, groups, scorer, first, second):
    """Return the delete-one-group jackknife error of the difference between two layers."""
    probe = Copycat().fit(None, y)
    differences = []
    for group in range(N_GROUPS):
        kept = groups != group
        ends = [scorer(probe, X[kept, 2 * i : 2 * i + 2], y[kept]) for i in (first, second)]
        differences.append(ends[0] - ends[1])
    return np.sqrt((N_GROUPS - 1) ** 2 / N_GROUPS * np.var(differences, ddof=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    "scoring",
    [
        None,
        "accuracy",
        "f1_macro",
        "balanced_accuracy",
        "matthews_corrcoef",
        "neg_log_loss",
        "roc_auc_ovr",
        make_scorer(precision_score, average="macro", labels=[0, 2]),
        "neg_mean_squared_error",
        "neg_mean_absolute_error",
        "r2",
        lambda probe, X, y: -np.mean(np.abs(probe.predict(X) - y)),
    ],
)
def test_every_scorer_gets_the_error_of_the_jackknife(copied, scoring):
    X, y, groups = copied
    split = [(np.arange(len(y)), np.arange(len(y)))]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rows in fold 0.*")
        profile, pairs, of_words = layer_profile(
            Copycat(),
            X,
            y,
            groups=groups,
            n_layers=3,
            cv=split,
            scoring=scoring,
            return_pairs=True,
            return_words=True,
        )
    scorer = get_scorer("accuracy" if scoring is None else scoring)
    for first, second, error in pairs[["first", "second", "std_error"]].to_numpy():
        # The two errors differ by terms of the order of one over the number of groups.
        expected = _jackknife_error(X, y, groups, scorer, int(first), int(second))
        assert error == pytest.approx(expected, rel=0.08)
    assert (profile["low"] < profile["score"]).all() and (profile["score"] < profile["high"]).all()
    probe = Copycat().fit(X, y)
    expected = [scorer(probe, X[:, i : i + 2], y) for i in (0, 2, 4)]
    np.testing.assert_allclose(profile["score"], expected)
    means = of_words.groupby("name", sort=False)["outcome"].mean()
    np.testing.assert_allclose(means, expected)


def test_the_frame_tells_each_layer_and_its_distance_from_the_best(copied):
    X, y, groups = copied
    names = np.concatenate([neuron_names([3, 5], 2), neuron_names([5], 2, component="mlp")])
    order = [2, 3, 0, 1, 4, 5]
    profile, pairs = layer_profile(
        Copycat(),
        pd.DataFrame(X[:, order], columns=names[order]),
        pd.Series(y, index=-1 - np.arange(len(y))),
        groups=groups,
        cv=_everything_is_tested(groups),
        return_pairs=True,
    )
    assert profile["name"].tolist() == ["hidden.5", "hidden.3", "mlp.5"]
    assert profile["component"].tolist() == ["hidden", "hidden", "mlp"]
    assert profile["layer"].tolist() == [5, 3, 5]
    assert profile["n_neurons"].tolist() == [2, 2, 2]
    assert (profile["n_words"] == len(y)).all() and (profile["n_groups"] == N_GROUPS).all()
    best = profile.iloc[1]
    assert best["difference"] == best["difference_low"] == best["difference_high"] == 0
    assert np.isnan(best["p_value"])
    np.testing.assert_allclose(profile["difference"], profile["score"] - best["score"])
    assert (profile["difference_low"] <= profile["difference"]).all()
    assert (profile["difference"] <= profile["difference_high"]).all()
    # "hidden.5" against "hidden.3" is the pair as it is; "hidden.3" against "mlp.5" is reversed.
    assert pairs[["first", "second"]].to_numpy().tolist() == [
        ["hidden.5", "hidden.3"],
        ["hidden.5", "mlp.5"],
        ["hidden.3", "mlp.5"],
    ]
    for row, pair, turn in ((0, 0, 1), (2, 2, -1)):
        ours, theirs = profile.iloc[row], pairs.iloc[pair]
        assert ours["difference"] == pytest.approx(turn * theirs["difference"])
        ends = sorted([turn * theirs["low"], turn * theirs["high"]])
        assert [ours["difference_low"], ours["difference_high"]] == pytest.approx(ends)
        assert ours["p_value"] == theirs["p_holm"]
    assert profile["p_value"].iloc[2] < 0.001


def test_held_out_rows_are_predicted_by_probes_that_never_saw_them():
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0.0, 1.0, 2.0], 40))
    X = rng.normal(size=(120, 8)).astype(np.float16)
    X[:, :4] += y[:, np.newaxis]
    groups, folds = np.arange(120) // 4, GroupKFold(3)
    profile = layer_profile(LinearRegression(), X, y, groups=groups, n_layers=2, cv=folds)
    for layer in (0, 1):
        Z = X[:, 4 * layer : 4 * layer + 4]
        predicted = cross_val_predict(LinearRegression(), Z, y, groups=groups, cv=folds)
        score = 1 - np.sum((y - predicted) ** 2) / np.sum((y - y.mean()) ** 2)
        assert profile["score"][layer] == pytest.approx(score, abs=1e-4)
    assert profile["score"][0] > 0.5 > profile["score"][1]


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_jobs(copied):
    X, y, groups = copied
    probe = make_pipeline(StandardScaler(), LogisticRegression())
    frames = [
        layer_profile(probe, X, y, groups=groups, n_layers=3, n_jobs=n_jobs) for n_jobs in (None, 2)
    ]
    pd.testing.assert_frame_equal(*frames)


def test_words_are_those_of_the_folds_and_give_the_same_pairs(copied):
    X, y, groups = copied
    options = {"groups": groups, "n_layers": 3, "cv": GroupKFold(4), "return_pairs": True}
    profile, pairs, of_words = layer_profile(Copycat(), X, y, return_words=True, **options)
    assert of_words.columns.tolist() == ["name", "fold", "n_train", "row", "group", "outcome"]
    assert len(of_words) == 3 * len(y)
    for number, (train, test) in enumerate(GroupKFold(4).split(X, y, groups)):
        own = of_words[(of_words["fold"] == number) & (of_words["name"] == "1")]
        assert own["row"].tolist() == test.tolist()
        assert own["group"].tolist() == groups[test].tolist()
        assert (own["n_train"] == len(train)).all()
        assert own["outcome"].tolist() == (X[test, 2] == y[test]).tolist()
    by_layer = dict(iter(of_words.groupby("name")))
    for pair in pairs.itertuples():
        found = compare(by_layer[pair.first].sample(frac=1, random_state=0), by_layer[pair.second])
        assert found["p_value"] == pytest.approx(pair.p_value)
        assert [found["low"], found["high"]] == pytest.approx([pair.low, pair.high])
    table = interval_table(of_words, by="name")
    for column in ("score", "low", "high"):
        np.testing.assert_allclose(table[column], profile[column])


def test_equal_layers_do_not_differ(copied):
    X, y, groups = copied
    X = np.hstack([X[:, :2], X[:, :2]])
    for scoring in ("accuracy", "f1_macro", "matthews_corrcoef", "neg_log_loss"):
        profile = layer_profile(Copycat(), X, y, groups=groups, n_layers=2, cv=2, scoring=scoring)
        assert profile["p_value"].iloc[1] == 1
        assert [str(number) for number in profile["difference"]] == ["0.0", "0.0"]


def test_a_single_layer_has_nothing_to_be_compared_with(copied):
    X, y, groups = copied
    profile, pairs = layer_profile(Copycat(), X, y, groups=groups, n_layers=1, return_pairs=True)
    assert len(profile) == 1 and pairs.empty and np.isnan(profile["p_value"][0])


@pytest.mark.slow
def test_words_go_through_the_features(tmp_path):
    words = make_tagged_words(40, random_state=0)
    model = make_tiny_model("bert", n_layers=2, hidden_size=8)
    features = make_pipeline(ActivationExtractor(model, cache=tmp_path), SubwordAggregator())
    labels, groups = words["upos"] == "NOUN", words["text"]
    given = {"groups": groups, "cv": GroupKFold(2)}
    probe = LogisticRegression()
    whole = make_pipeline(*features, probe)
    remedy = r"layer_profile\(make_pipeline\(extractor, aggregator, probe\), words, y, groups"
    for estimator in (probe, make_pipeline(StandardScaler(), whole)):
        with pytest.raises(ValueError, match=f"layer_profile extracts once per fold.*{remedy}"):
            layer_profile(estimator, words, labels, **given)
    with pytest.raises(ValueError, match="and 'features' as well. Leave out 'features'"):
        layer_profile(whole, words, labels, features=features, **given)
    with pytest.raises(ValueError, match="lacks a SubwordAggregator before the probe"):
        layer_profile(make_pipeline(features[0], probe), words, labels, **given)
    profile = layer_profile(probe, words, labels, features=features, **given)
    assert profile["name"].tolist() == ["hidden.0", "hidden.1", "hidden.2"]
    H = features.fit_transform(words)
    names = features.get_feature_names_out()
    same = layer_profile(probe, H, labels, input_features=names, **given)
    pd.testing.assert_frame_equal(profile, same)


def test_leaks_and_unseen_labels_are_told(copied):
    X, y, groups = copied
    half = len(y) // 2
    split = [(np.arange(half), np.arange(half, len(y)))]
    assert groups[half - 1] == groups[half]
    with pytest.warns(
        UserWarning, match=r"of \d+ test rows in fold 0 .* groups that also have training rows"
    ):
        layer_profile(Copycat(), X, y, groups=groups, n_layers=3, cv=split)
    rare = np.where(groups == N_GROUPS - 1, 3, y)
    train = groups < N_GROUPS // 2
    split = [(train, ~train)]
    with pytest.warns(UserWarning, match=r"labels that no training row has \(the first: .*3\)"):
        profile = layer_profile(LogisticRegression(), X, rare, groups=groups, n_layers=3, cv=split)
    assert profile["n_words"][0] == (~train).sum() and profile["n_groups"][0] == N_GROUPS // 2


def test_a_class_in_a_single_group_leaves_no_interval():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(10), 5)
    # The second class is in one group only, so without this group there is no curve.
    y = (groups == 3).astype(int)
    X = rng.integers(2, size=(50, 2)).astype(float)
    options = {"cv": [(np.arange(50), np.arange(50))], "scoring": "roc_auc"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*rows in fold 0.*")
        with pytest.warns(UserWarning, match="cannot score the words without one of the groups"):
            profile = layer_profile(Copycat(), X, y, groups=groups, n_layers=2, **options)
    assert np.isfinite(profile["score"]).all() and profile[["low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layers": None}, "needs to know the layer of every column"),
        ({"n_layers": 4}, "does not divide the 6 columns"),
        ({"n_layers": None, "input_features": ["hidden.0.1"]}, "has 1 names.* are 6 columns"),
        ({"groups": None}, "'groups' parameter of layer_profile"),
        ({"confidence": 1.0}, "'confidence' parameter of layer_profile"),
        ({"y": [None, *([0] * 9)]}, "1 of 10 labels are missing, the first at row 0"),
        ({"groups": np.zeros(4)}, "inconsistent numbers of samples"),
        ({"cv": [(np.arange(5), np.array([8, 9]))]}, "there is only one"),
        (
            {"scoring": "neg_log_loss", "cv": [([0, 1, 2], [3, 4]), ([0, 1, 3], [9])]},
            "Fold 1 of layer_profile.*classes \\[2\\] have no training row",
        ),
        ({"X": np.full((10, 6), np.nan)}, "Input X contains NaN: column 0, row 0"),
    ],
)
def test_wrong_input_is_named(change, message):
    X, y = np.random.default_rng(0).normal(size=(10, 6)), np.arange(10) % 3
    given = {"X": X, "y": y, "groups": np.arange(10) // 2, "n_layers": 3}
    given |= {"cv": [(np.arange(6), np.arange(6, 10))], **change}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=message):
            layer_profile(LogisticRegression(), **given)


def test_features_that_choose_columns_are_refused(copied):
    X, y, groups = copied
    names = neuron_names(range(3), 2)
    chosen = iter(range(10))

    def choose(X):
        # Training and test rows of one fold get the same layers, the next fold one fewer.
        return X[names[: 6 - 2 * (next(chosen) // 2)]]

    with pytest.raises(ValueError, match="returns different layers in different folds"):
        layer_profile(
            Copycat(),
            pd.DataFrame(X, columns=names),
            y,
            groups=groups,
            features=FunctionTransformer(choose),
            cv=GroupKFold(2),
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scoring", "method", "metric"),
    [
        ("roc_auc", "decision_function", roc_auc_score),
        (
            make_scorer(
                average_precision_score, response_method="decision_function", pos_label="b"
            ),
            "decision_function",
            partial(average_precision_score, pos_label="b"),
        ),
        (
            make_scorer(f1_score, pos_label="b"),
            "predict",
            partial(f1_score, pos_label="b"),
        ),
    ],
)
def test_two_classes_called_by_strings(scoring, method, metric):
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(["a", "b"], 60))
    X = rng.normal(size=(120, 4)) + (y == "b")[:, np.newaxis]
    groups, probe = (np.arange(120) // 5).astype(str), LogisticRegression()
    profile = layer_profile(
        probe,
        X,
        pd.Series(y, dtype="category"),
        groups=groups,
        n_layers=2,
        cv=GroupKFold(3),
        scoring=scoring,
    )
    for layer in (0, 1):
        Z = X[:, 2 * layer : 2 * layer + 2]
        predicted = cross_val_predict(probe, Z, y, groups=groups, cv=GroupKFold(3), method=method)
        assert profile["score"][layer] == pytest.approx(metric(y, predicted))
    assert (profile["low"] < profile["score"]).all() and (profile["score"] < profile["high"]).all()
