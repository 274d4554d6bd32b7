# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sklearn_neurox.inspection import predictions_frame
from sklearn_neurox.words import words_frame


@pytest.fixture
def words():
    sentences = [["Dogs", "bark"], ["Cats", "see", "birds"], ["Go"]]
    frame = words_frame(sentences, [["N", "V"], ["N", "V", "N"], ["V"]])
    # Some rows of a larger frame, in a different order.
    return frame.iloc[[4, 0, 5, 1, 3]]


@pytest.fixture
def X():
    return np.array([[2.5], [2.0], [-1.0], [-2.0], [1.8]])


def test_rows_are_those_of_the_words(words, X):
    probe = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, words["label"])
    frame = predictions_frame(probe, X, words, words["label"])
    assert frame.columns.tolist() == [
        "word",
        "sentence_id",
        "position",
        "text",
        "start",
        "end",
        "gold",
        "predicted",
        "correct",
        "probability",
        "gold_probability",
    ]
    assert frame.index.tolist() == [4, 0, 5, 1, 3]
    assert frame["word"].tolist() == ["birds", "Dogs", "Go", "bark", "see"]
    assert frame["gold"].tolist() == ["N", "N", "V", "V", "V"]
    assert frame["predicted"].tolist() == ["N", "N", "V", "V", "N"]
    assert frame["correct"].tolist() == [True] * 4 + [False]
    assert frame["correct"].mean() == probe.score(X, words["label"])
    shares = probe.predict_proba(X)
    np.testing.assert_allclose(frame["probability"], shares.max(axis=1))
    gold = np.where(frame["correct"], shares.max(axis=1), shares.min(axis=1))
    np.testing.assert_allclose(frame["gold_probability"], gold)
    assert "gold" not in words.columns


def test_labels_go_by_position_whatever_their_index(words, X):
    probe = LogisticRegression().fit(X, words["label"])
    labels = pd.Series(words["label"].to_numpy(), index=range(5))
    expected = predictions_frame(probe, X, words, words["label"].tolist())
    with pytest.warns(UserWarning, match="paired by position"):
        frame = predictions_frame(probe, X, words, labels)
    pd.testing.assert_frame_equal(frame, expected)
    bare = predictions_frame(probe, X, words)
    shown = expected.drop(columns=["gold", "correct", "gold_probability"])
    pd.testing.assert_frame_equal(bare, shown)


def test_labels_the_probe_does_not_know_have_no_probability(words, X):
    probe = LogisticRegression().fit(X, words["label"])
    frame = predictions_frame(probe, X, words[["word"]], ["N", "X", "V", "X", "V"])
    assert frame["correct"].tolist() == [True, False, True, False, False]
    assert (frame["gold_probability"] == 0).tolist() == [False, True, False, True, False]
    assert (frame["probability"] >= 0.5).all()


def test_probes_without_probabilities_and_regressors(words, X):
    probe = LinearSVC().fit(X, words["label"])
    frame = predictions_frame(probe, X, words, words["label"])
    assert frame.columns.tolist()[-3:] == ["gold", "predicted", "correct"]
    y = np.array([1.0, 2.0, 0.0, -2.0, 1.0])
    regressor = LinearRegression().fit(X, y)
    frame = predictions_frame(regressor, X, words, y)
    assert frame.columns.tolist()[-3:] == ["gold", "predicted", "error"]
    np.testing.assert_allclose(frame["error"], regressor.predict(X) - y)
    bare = predictions_frame(regressor, X, words)
    assert bare.columns.tolist()[-1] == "predicted" and "gold" not in bare


def test_wrong_input_is_named(words, X):
    probe = LogisticRegression().fit(X, words["label"])
    labels = words["label"].astype(object).where(words["word"] != "Go", None)
    with pytest.raises(ValueError, match="1 of 5 labels are missing, the first at row 2"):
        predictions_frame(probe, X, words, labels)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        predictions_frame(probe, X, words.iloc[1:], words["label"])
    with pytest.raises(ValueError, match="reads the column 'word'"):
        predictions_frame(probe, X, words[["position"]], words["label"])
    two = LinearRegression().fit(X, np.ones((5, 2)))
    with pytest.raises(ValueError, match="shows one output, but the LinearRegression predicts 2"):
        predictions_frame(two, X, words)
