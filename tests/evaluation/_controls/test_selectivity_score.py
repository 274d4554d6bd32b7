# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklearn_neurox import ElasticNetProbeClassifierCV
from sklearn_neurox.datasets import make_tagged_words
from sklearn_neurox.evaluation import control_labels, selectivity_score

COLUMNS = ["fold", "task", "control", "selectivity", "low", "high"]


class Lookup(ClassifierMixin, BaseEstimator):
    """Remembers the label of each type, and predicts the most frequent one for other types."""

    def fit(self, X, y):
        self.table_ = dict(zip(np.ravel(X), y, strict=True))
        self.classes_, counts = np.unique(list(self.table_.values()), return_counts=True)
        self.guess_ = self.classes_[counts.argmax()]
        return self

    def predict(self, X):
        return np.array([self.table_.get(value, self.guess_) for value in np.ravel(X)])


@pytest.fixture(scope="module")
def words():
    words = make_tagged_words(300, random_state=0)
    # The most frequent label of each type, so that the task can be memorized too.
    most = words.groupby("word")["upos"].agg(lambda tags: tags.mode()[0])
    return words.assign(upos=words["word"].map(most))


@pytest.mark.slow
def test_a_lookup_table_reaches_the_ceiling_and_is_not_selective(words):
    control = control_labels(words, words["upos"])
    scores = selectivity_score(
        Lookup(), words[["word"]], words["upos"], control, types=words["word"], groups=words["text"]
    )
    assert scores.columns.tolist() == [*COLUMNS, "seen", "ceiling"] and len(scores) == 5
    np.testing.assert_array_equal(scores["control"], scores["ceiling"])
    assert (scores["seen"] > 0.9).all() and (scores["ceiling"] >= scores["seen"]).all()
    assert scores["selectivity"].abs().max() < 0.05
    np.testing.assert_allclose(scores["selectivity"], scores["task"] - scores["control"])


def test_scores_and_limits_are_those_of_a_plain_loop():
    rng = np.random.RandomState(0)
    types = rng.zipf(1.3, size=600) % 200
    X = rng.randn(200, 8)[types]
    y = np.array(["a", "b", "c"])[X[:, :3].argmax(axis=1)]
    types = np.array([f"t{t}" for t in types])
    control, groups = control_labels(types, y), np.arange(600) // 7
    probe = LogisticRegression()
    scores = selectivity_score(
        probe, X, y, control, types=types, scoring="f1_macro", cv=3, groups=groups, n_jobs=2
    )
    scorer = get_scorer("f1_macro")
    for row, (train, test) in zip(
        scores.to_dict("records"), GroupKFold(3).split(X, y, groups), strict=True
    ):
        for column, labels in (("task", y), ("control", control.to_numpy())):
            fitted = clone(probe).fit(X[train], labels[train])
            assert row[column] == scorer(fitted, X[test], labels[test])
        known = set(types[train])
        label = dict(zip(types, control, strict=True))
        guess = pd.Series([label[t] for t in sorted(known)]).mode()[0]
        assert row["seen"] == np.mean([t in known for t in types[test]])
        assert row["ceiling"] == np.mean([t in known or label[t] == guess for t in types[test]])
        assert 0 < row["seen"] < 1


def test_each_draw_has_the_next_seed():
    rng = np.random.RandomState(0)
    types = rng.randint(90, size=150).astype(str)
    y = rng.randint(2, size=150)
    split = [(np.arange(100), np.arange(100, 150))]
    for first, seeds in ((7, [7, 8, 9]), (2**32 - 2, [2**32 - 2, 2**32 - 1, 0])):
        drawn = selectivity_score(
            Lookup(), types, y, types=types, n_draws=3, random_state=first, cv=split
        )
        given = pd.DataFrame({seed: control_labels(types, y, random_state=seed) for seed in seeds})
        expected = selectivity_score(Lookup(), types, y, given, types=types, cv=split)
        pd.testing.assert_frame_equal(drawn, expected)


def test_a_fixed_split_and_no_types(words):
    control = control_labels(words, words["upos"])
    split = [(np.arange(1000), np.arange(1000, len(words)))]
    scores = selectivity_score(Lookup(), words[["word"]], words["upos"], control, cv=split)
    assert scores.columns.tolist() == COLUMNS and scores["fold"].tolist() == [0]


def test_no_groups_is_warned_of_and_folds_are_contiguous(words):
    control = control_labels(words, words["upos"])
    seen = []

    def spy(estimator, X, y):
        seen.append(X.index.to_numpy())
        return estimator.score(X, y)

    with pytest.warns(UserWarning, match="selectivity_score was given no groups") as caught:
        selectivity_score(Lookup(), words[["word"]], words["upos"], control, cv=2, scoring=spy)
    assert caught[0].filename == __file__
    assert all(np.array_equal(np.diff(rows), np.ones(len(rows) - 1)) for rows in seen)


def test_leaks_and_labels_that_training_lacks_are_told():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.tile([0, 1], 30)
    groups = np.arange(60) // 6
    split = [(np.arange(33), np.arange(33, 60))]
    with pytest.warns(UserWarning, match="3 of 27 test rows in fold 0 of selectivity_score belong"):
        selectivity_score(LogisticRegression(), X, y, y, groups=groups, cv=split)
    y[-2:] = 2
    split = [(groups < 5, groups >= 5)]
    with pytest.warns(
        UserWarning, match=r"2 of 30 test rows .* that no training row has \(.*: .*2\)"
    ):
        selectivity_score(LogisticRegression(), X, y, y % 2, groups=groups, cv=split)


@pytest.mark.slow
def test_pipelines_from_words_and_inner_splits_get_their_groups(words):
    control = control_labels(words, words["upos"], kind="position")
    shape = make_pipeline(
        FunctionTransformer(lambda frame: frame[["start", "position"]].to_numpy(float)),
        LogisticRegression(max_iter=2000),
    )
    options = {"cv": 2, "groups": words["text"], "types": words["position"]}
    scores = selectivity_score(shape, words, words["upos"], control, **options)
    assert (scores["seen"] > 0.99).all()
    X = pd.get_dummies(words["position"]).to_numpy(float)
    inner = ElasticNetProbeClassifierCV(alphas=[0.001, 0.01], cv=2, random_state=0)
    scores = selectivity_score(inner, X, words["upos"], control, **options)
    assert (scores["control"] > 0.95).all() and (scores["selectivity"] < -0.3).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"types": ["t"] * 4}, "'t' has the control label 'x' at row 0 and 'y' at row 1"),
        ({"types": ["t"] * 3}, "inconsistent numbers"),
        ({"control_y": ["x", None, "x", "y"]}, "Input control_y contains NaN: 1 of 4 labels"),
        ({"y": ["a", "b", "a", np.nan]}, "Input y contains NaN: 1 of 4 labels"),
        ({"control_y": ["x", "y"]}, "inconsistent numbers"),
        ({"control_y": np.empty((4, 0), dtype=object)}, "'control_y'.*has no column of labels"),
        ({"scoring": 3}, "'scoring' parameter of selectivity_score must be"),
    ],
)
def test_what_is_wrong_is_said(change, message):
    data = {"y": ["a", "b", "a", "b"], "control_y": ["x", "y", "x", "y"], **change}
    with pytest.raises(ValueError, match=message):
        selectivity_score(LogisticRegression(), np.eye(4), groups=range(4), cv=2, **data)
