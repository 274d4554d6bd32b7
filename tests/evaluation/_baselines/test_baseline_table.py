# SPDX-License-Identifier: BSD-3-Clause
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_tagged_words, make_tiny_model
from sklearn_neurox.evaluation import baseline_table
from sklearn_neurox.evaluation._baselines._type_baseline import (
    TypeLabelClassifier,
    TypeMeanRegressor,
)
from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator


@pytest.fixture(scope="module")
def words():
    return make_tagged_words(120, random_state=0)


def test_memory_of_word_types_by_hand():
    seen = pd.DataFrame({"word": ["run", "run", "run", "The", "the", "odd"]})
    labels = ["V", "N", "V", "D", "P", "N"]
    memory = TypeLabelClassifier().fit(seen, labels)
    # Ties go to the first class; unseen words get the overall label, which is also a tie.
    assert memory.predict(["run", "The", "the", "odd", "RUN"]).tolist() == ["V", "D", "P", "N", "N"]
    shares = memory.predict_proba(["run", "RUN"])
    np.testing.assert_allclose(shares, [[0, 1 / 3, 0, 2 / 3], [1 / 6, 2 / 6, 1 / 6, 2 / 6]])
    mean = TypeMeanRegressor().fit(seen, [1.0, 2.0, 3.0, 0.0, 4.0, 8.0])
    np.testing.assert_allclose(mean.predict(["run", "The", "?"]), [2, 0, 3])


def test_memory_is_what_pandas_says(words):
    train, test = words.iloc[:400], words.iloc[400:]
    by_type = train.groupby("word")["upos"].agg(lambda labels: labels.mode()[0])
    expected = test["word"].map(by_type).fillna(train["upos"].mode()[0])
    memory = TypeLabelClassifier().fit(train, train["upos"])
    np.testing.assert_array_equal(memory.predict(test), expected)


@pytest.mark.slow
def test_rows_are_what_each_baseline_scores_alone(words):
    rng = np.random.default_rng(0)
    y, groups, cv = words["upos"], words["text"], GroupKFold(3)
    X = rng.normal(size=(len(y), 4))
    X[:, 0] += 3 * (y == "NOUN")
    X_untrained = rng.normal(size=X.shape)
    probe = LogisticRegression()
    table = baseline_table(
        words,
        y,
        estimator=probe,
        X=X,
        X_untrained=X_untrained,
        groups=groups,
        cv=cv,
        random_state=0,
    ).set_index("name")
    assert table.index.tolist() == [
        "majority",
        "word type",
        "characters",
        "shuffled labels",
        "untrained model",
        "probe",
    ]
    alone = {"cv": cv, "groups": groups}
    for name, own, Z in (
        ("majority", DummyClassifier(), X),
        ("word type", TypeLabelClassifier(), words),
        ("untrained model", probe, X_untrained),
        ("probe", probe, X),
    ):
        scores = cross_val_score(own, Z, y, **alone)
        np.testing.assert_allclose(table.loc[name, ["fold_0", "fold_1", "fold_2"]], scores)
        assert table.loc[name, "score"] == pytest.approx(scores.mean())
        assert table.loc[name, "std"] == pytest.approx(scores.std(ddof=1))
    assert table.loc["probe", "score"] > table.loc["majority", "score"] + 0.1
    assert table.loc["shuffled labels", "score"] <= table.loc["majority", "score"] + 0.05


def test_shuffled_labels_are_those_of_training_alone(words):
    # A probe that remembers its rows is perfect on them, and at chance after shuffling.
    y = np.tile([0, 1], len(words))[: len(words)]
    X, split = np.arange(len(y), dtype=float)[:, np.newaxis], np.arange(len(y))
    given = {"estimator": KNeighborsClassifier(1), "X": X, "cv": [(split, split)]}
    given |= {"baselines": ["shuffled labels", "probe"], "random_state": 0}
    table = baseline_table(words, y, **given)
    assert table["name"].tolist() == ["shuffled labels", "probe"]
    assert table["score"][1] == 1 and abs(table["score"][0] - 0.5) < 0.1
    assert table["std"].isna().all()
    pd.testing.assert_frame_equal(table, baseline_table(words, y, **given))
    other = baseline_table(words, y, **{**given, "random_state": 1})
    assert other["score"][0] != table["score"][0]


def test_letters_tell_endings_of_unseen_words():
    stems = [f"{a}{b}{c}" for a in "bdgk" for b in "aeiou" for c in "lmnr"]
    forms = np.array([stem + end for stem in stems for end in ("ing", "ness")])
    y = np.where(np.char.endswith(forms, "ing"), "VERB", "NOUN")
    table = baseline_table(forms, y, groups=np.arange(160) // 2, cv=2).set_index("name")
    assert table.loc["characters", "score"] == 1
    assert table.loc["word type", "score"] == table.loc["majority", "score"] == 0.5


def test_numbers_are_averaged():
    rng = np.random.default_rng(0)
    forms = rng.choice(["a", "bb", "ccc"], size=90)
    y = np.char.str_len(forms) + rng.normal(0, 0.1, size=90)
    X = rng.normal(size=(90, 2))
    cv = [(np.arange(60), np.arange(60, 90))]
    table = baseline_table(forms, y, estimator=Ridge(), X=X, cv=cv, random_state=0)
    scores = table.set_index("name")["score"]
    assert scores["word type"] > 0.95 and scores["characters"] > 0.8
    assert scores["majority"] == pytest.approx(r2_score(y[60:], np.full(30, y[:60].mean())))
    assert scores["probe"] < 0.2 and "untrained model" not in scores


@pytest.mark.slow
def test_a_pipeline_on_words_brings_its_own_untrained_model(words, tmp_path):
    words = words.iloc[:150]
    extractor = ActivationExtractor(make_tiny_model("bert", n_layers=1), cache=tmp_path)
    pipeline = make_pipeline(extractor, SubwordAggregator(), LogisticRegression(max_iter=1000))
    given = {"groups": words["text"], "cv": GroupKFold(2)}
    names = ["untrained model", "probe"]
    labels = words["upos"] == "NOUN"
    table = baseline_table(words, labels, estimator=pipeline, baselines=names, **given)
    random = pipeline.set_params(activationextractor__weights="random")
    expected = [cross_val_score(random, words, labels, **given)]
    np.testing.assert_allclose(table.loc[:0, ["fold_0", "fold_1"]], expected)
    assert pipeline[0].weights == "random" and table["score"][0] != table["score"][1]


def test_any_scorer(words):
    table = baseline_table(
        words, words["upos"], groups=words["text"], cv=2, scoring="f1_macro", baselines=["majority"]
    )
    assert 0 < table["score"][0] < 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"baselines": ["letters"]}, "must be a subset of .*, got 'letters'"),
        ({"baselines": ["probe"]}, "'probe' of baseline_table cannot be computed"),
        ({"baselines": []}, "is empty. Name at least one row"),
        (
            {"baselines": ["untrained model"], "estimator": Ridge(), "X": np.ones((4, 1))},
            "'untrained model' also needs X_untrained",
        ),
        ({"y": ["a", None, "b", "a"]}, "1 of 4 labels are missing, the first at row 1"),
        ({"words": ["x", "y"]}, "inconsistent numbers of samples"),
        ({"words": ["x", None, "y", "z"]}, "1 of 4 words given to baseline_table are missing"),
        ({"words": pd.DataFrame({"token": list("abcd")})}, "the column 'word' of the frame"),
        ({"y": np.ones((4, 2))}, "y should be a 1d array"),
    ],
)
def test_wrong_input_is_named(change, message):
    given = {"words": list("abcd"), "y": ["a", "b", "b", "a"], "cv": 2, "groups": [0, 1, 2, 3]}
    with pytest.raises(ValueError, match=message):
        baseline_table(**{**given, **change})


@pytest.mark.filterwarnings("ignore:Only one class is present")
def test_a_fold_without_a_score_leaves_no_mean():
    """The mean was that of the other folds, which scikit-learn's is not, either."""
    y, rows = np.r_[np.zeros(20, dtype=int), np.arange(40) % 2], np.arange(60)
    X = np.random.RandomState(0).normal(size=(60, 2)) + y[:, np.newaxis]
    folds = [(rows[20:], rows[:20]), (rows[:40], rows[40:])]
    table = baseline_table(
        [f"w{row % 7}" for row in rows], y, X=X, estimator=LogisticRegression(), groups=rows,
        cv=folds, scoring="roc_auc", baselines=["probe"],
    )  # fmt: skip
    scores = cross_val_score(LogisticRegression(), X, y, cv=folds, scoring="roc_auc")
    np.testing.assert_allclose(table[["fold_0", "fold_1"]].iloc[0], scores)
    np.testing.assert_equal(table["score"].item(), scores.mean())
    assert np.isnan(scores.mean()) and table[["low", "high", "std"]].isna().all(axis=None)


def test_labels_that_training_lacks_are_told():
    with pytest.warns(UserWarning, match=r"1 of 2 test rows in fold 0 of baseline_table .*'c'"):
        table = baseline_table(
            list("xyxz"), list("abac"), cv=[([0, 1], [2, 3])], baselines=["word type"]
        )
    assert table["score"][0] == 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="baseline_table was given no groups"):
            baseline_table(list("xyxz"), list("abab"), cv=2)
