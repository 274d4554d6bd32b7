# SPDX-License-Identifier: BSD-3-Clause
"""What the tables do with difficult estimators, neurons, labels, words and spans."""

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.inspection import (
    compositional_explanations,
    neuron_summary,
    neuron_table,
    predictions_frame,
    top_contexts,
    top_words,
)
from sklearn_neurox.ranking import ProbelessRanker

Y = np.array(["N", "V"] * 10)
X = np.random.default_rng(0).normal(size=(20, 4)) + np.outer(Y == "V", [0, 2, -1, 0])
WORDS = list("abcd" * 5)
NAMES = ["hidden.0.0", "hidden.0.1", "hidden.1.0", "hidden.1.1"]
NAMED = pd.DataFrame(X, columns=NAMES)
PROBE = LogisticRegression().fit(X, Y)
PAIRS = pd.DataFrame(
    {
        "text": "t",
        "start": 0,
        "end": 1,
        "word": ["a → b", "a", "c", '"x', "x → "],
        "other_start": 0,
        "other_end": 1,
        "other_word": ["c", "b → c", '"', ' → q"', 'q"'],
    }
)


@pytest.mark.parametrize(
    ("estimator", "remedy"),
    [
        (make_pipeline(StandardScaler(), LogisticRegression()), r"pipeline\[:-1\].transform"),
        (GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2), "Pass its best_estimator_"),
        (CalibratedClassifierCV(LogisticRegression(), cv=2), r"classifiers_\[0\]\.estimator"),
        (OneVsRestClassifier(LogisticRegression()), "or a probe with the attribute coef_"),
    ],
)
def test_an_estimator_around_a_probe_says_what_to_pass(estimator, remedy):
    with pytest.raises(ValueError, match=f"needs a ranker or a linear probe.*{remedy}"):
        neuron_summary(estimator.fit(X, Y), X, Y)


def test_columns_other_than_those_of_the_probe_are_an_error():
    part = LogisticRegression().fit(NAMED[NAMES[2:]], Y)
    with pytest.raises(ValueError, match="was fitted on 2 columns, but X has 4"):
        neuron_summary(part, NAMED, Y)
    with pytest.raises(ValueError, match="was fitted on 4 columns, but X has 3"):
        neuron_summary(PROBE, X[:, :3], Y)
    named = LogisticRegression().fit(NAMED, Y)
    swapped = NAMES[::-1]
    calls = [
        lambda: neuron_summary(named, X, Y, input_features=swapped),
        lambda: neuron_summary(PROBE, NAMED, Y, input_features=swapped),
        lambda: top_words(NAMED, WORDS, 0, input_features=swapped),
        lambda: top_contexts(NAMED, pd.DataFrame({"text": WORDS}), 0, input_features=swapped),
        lambda: compositional_explanations(
            NAMED, pd.DataFrame({"w": WORDS}), 0, input_features=swapped
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="pairs columns by position, but those of"):
            call()
    # New names are welcome.
    table = top_words(NAMED, WORDS, "b", n_words=1, input_features=list("abcd"))
    assert table["neuron"].tolist() == ["b", "b"]


@pytest.mark.parametrize(
    ("neurons", "error", "message"),
    [
        ([], ValueError, "selects no column"),
        (np.zeros(4, dtype=bool), ValueError, "selects no column"),
        ({"hidden.0.0", "hidden.0.1"}, TypeError, "is a set, which has no order"),
        ({0}, TypeError, "is a set, which has no order"),
    ],
)
def test_neurons_that_name_none_or_have_no_order(neurons, error, message):
    calls = [
        lambda: neuron_summary(PROBE, NAMED, Y, neurons=neurons),
        lambda: top_words(NAMED, WORDS, neurons),
        lambda: top_contexts(NAMED, pd.DataFrame({"text": WORDS}), neurons),
        lambda: compositional_explanations(NAMED, pd.DataFrame({"w": WORDS}), neurons),
    ]
    for call in calls:
        with pytest.raises(error, match=message):
            call()


def test_equal_columns_are_tied_although_sums_are_rounded():
    rng = np.random.default_rng(1)
    for dtype in (np.float64, np.float32):
        for _ in range(4):
            matrix = rng.normal(size=(30, 4)).astype(dtype)
            matrix = np.column_stack([matrix, matrix[:, :2]])
            y = rng.choice(["N", "V"], 30)
            y[:2] = "N", "V"
            for estimator in (LogisticRegression(), ProbelessRanker()):
                table = neuron_summary(estimator.fit(matrix, y), matrix, y)
                tied = table.set_index("neuron")["n_tied"]
                assert tied.to_dict() == {"x0": 1, "x1": 1, "x2": 0, "x3": 0, "x4": 1, "x5": 1}


def test_ties_of_selectors():
    # Two columns that only the label decides, and two constant ones.
    sure = np.column_stack([X, Y == "N", Y == "V", np.ones((20, 2))])
    with pytest.warns(UserWarning, match="constant"), np.errstate(all="ignore"):
        selector = SelectKBest(k=2).fit(sure, Y)
    assert np.isinf(selector.scores_[4:6]).all() and np.isnan(selector.scores_[6:]).all()
    tied = neuron_summary(selector, sure, Y).set_index("neuron")["n_tied"]
    assert tied[[f"x{i}" for i in range(8)]].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    selector = RFE(LogisticRegression(), n_features_to_select=2).fit(X, Y)
    table = neuron_summary(selector, X, Y)
    assert table["score"].tolist() == [0, 0, -1, -2]
    assert table["n_tied"].tolist() == [1, 1, 0, 0]


def test_no_difference_has_no_direction():
    still = np.column_stack([X, np.full(20, 3.0), np.tile([0.0, 0.0, 1.0, 1.0], 5)])
    table = neuron_summary(
        ProbelessRanker().fit(still, Y), still, Y, words=WORDS, neurons=[1, 4, 5]
    )
    assert table["direction"].tolist() == ["high", "", ""]
    assert (table["words"] == "").tolist() == [False, True, True]
    assert table["effect"].tolist()[1:] == [0, 0]
    assert table["auc"].tolist()[1:] == [0.5, 0.5]
    target = X[:, 1]
    table = neuron_summary(Ridge().fit(still, target), still, target, words=WORDS, neurons=[1, 4])
    assert table["direction"].tolist() == ["rises", ""]
    assert table["correlation"].isna().tolist() == [False, True]
    table = neuron_summary(Ridge().fit(still, target), still, np.full(20, 0.5), words=WORDS)
    assert table["correlation"].isna().all() and not table["direction"].any()


def test_small_effects_far_from_zero_keep_their_digits():
    far = (1000 + 1e-8 * X).astype(np.float64)
    table = neuron_summary(ProbelessRanker().fit(far, Y), far, Y).set_index("neuron")
    exact = far.astype(np.longdouble)
    for i, name in enumerate(["x0", "x1", "x2", "x3"]):
        inside, column = Y == table.loc[name, "label"], exact[:, i] - 1000
        effect = (column[inside].mean() - column[~inside].mean()) / column.std()
        assert table.loc[name, "effect"] == pytest.approx(float(effect), rel=1e-9)


def test_weights_of_several_targets_are_left_out():
    both = Ridge().fit(X, X[:, :2])
    table = neuron_summary(both, X, X[:, 1])
    assert "weight" not in table
    assert table.set_index("neuron")["correlation"]["x1"] == pytest.approx(1)


def test_numbers_among_objects_are_numbers():
    probe = Ridge().fit(X, X[:, 1])
    for target in (X[:, 1].round(), X[:, 1]):
        expected = neuron_summary(probe, X, target)
        boxed = neuron_summary(probe, X, target.astype(object))
        pd.testing.assert_frame_equal(boxed, expected)
        frame = predictions_frame(probe, X, pd.DataFrame({"word": WORDS}), target.astype(object))
        np.testing.assert_allclose(frame["error"].astype(float), probe.predict(X) - target)
        assert frame["error"].dtype == np.float64


@pytest.mark.parametrize("forms", [[1, 2], [b"a", b"b"], [1.5, 2.5]])
def test_words_that_are_not_strings(forms):
    words = forms * 10
    means = {form: X[i::2, 0].mean() for i, form in enumerate(forms)}
    for sensitive in (True, False):
        table = top_words(X, words, 0, sign="positive", case_sensitive=sensitive)
        assert dict(zip(table["word"], table["mean"], strict=True)) == pytest.approx(means)
    shown = [form.decode() if isinstance(form, bytes) else str(form) for form in forms]
    expected = {f"{shown[0]} (N)", f"{shown[1]} (V)"}
    listed = neuron_summary(PROBE, X, Y, words=words)["words"]
    assert all(set(one.split(", ")) == expected for one in listed)
    for sensitive in (True, False):
        with pytest.raises(TypeError, match="Some words given to top_words are strings and some"):
            top_words(X, ["a", forms[0]] * 10, 0, case_sensitive=sensitive)


def test_two_pairs_never_look_alike():
    pairs = pd.concat([PAIRS] * 4, ignore_index=True)
    keys = list(zip(pairs["word"], pairs["other_word"], strict=True))
    # What differs from pair to pair, so that a pair is known by its mean.
    values = np.array([keys.index(key) for key in keys], dtype=float)[:, np.newaxis]
    table = top_words(values, pairs, 0, n_words=9, min_count=1, sign="negative")
    assert table["mean"].tolist() == [0, 1, 2, 3, 4]
    assert table["word"].tolist() == [
        '"a → b" → "c"',
        '"a" → "b → c"',
        'c → "',
        r'"\"x" → " → q\""',
        r'"x → " → "q\""',
    ]
    y = np.where(values[:, 0] > 0, "other", "zero")
    ranker = ProbelessRanker().fit(np.column_stack([values, values]), y)
    words = neuron_summary(ranker, np.column_stack([values, values]), y, words=pairs)["words"][0]
    assert '"a → b" → "c" (zero)' in words and '"a" → "b → c" (other)' in words


SPANS = {
    "out of range": (0, 4),
    "negative": (-1, 2),
    "reversed": (2, 1),
    "fractions": (0.5, 2),
    "no numbers": ("a", "b"),
}


@pytest.mark.parametrize("name", SPANS)
def test_spans_that_do_not_fit_their_text(name):
    start, end = SPANS[name]
    frame = pd.DataFrame({"text": ["abc"] * 20, "start": [0] * 19 + [start], "end": 2})
    frame["end"] = frame["end"].astype(object)
    frame.loc[19, "end"] = end
    matches = {"match": r"The span of row 19 .* has 3 characters \(1 such rows\)"}
    pairs = frame.assign(other_start=0, other_end=1)
    others = frame.assign(start=0, end=1, other_start=frame["start"], other_end=frame["end"])
    for rows in (frame, pairs, others):
        with pytest.raises(ValueError, **matches):
            top_words(X, rows, 0)
        with pytest.raises(ValueError, **matches):
            neuron_summary(PROBE, X, Y, words=rows)
        with pytest.raises(ValueError, **matches):
            predictions_frame(PROBE, X, rows, Y)
        with pytest.raises(ValueError, **matches):
            top_contexts(X, rows, 0)


def test_texts_that_are_missing_or_numbers():
    missing = pd.DataFrame({"text": ["a"] * 19 + [None]})
    calls = [
        lambda: top_words(X, missing, 0),
        lambda: top_contexts(X, missing, 0),
        lambda: neuron_summary(PROBE, X, Y, words=missing),
        lambda: predictions_frame(PROBE, X, missing, Y),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"The text of row 19 of the words .* is missing"):
            call()
    numbers = pd.DataFrame({"text": [12, 345] * 10})
    assert set(top_contexts(X, numbers, 0)["word"]) == {"12", "345"}
    assert set(top_words(X, numbers, 0)["word"]) == {"12", "345"}


def test_predictions_for_texts_spans_and_columns_of_labels():
    texts = pd.DataFrame({"text": [f"t{i}" for i in range(20)]}, index=range(50, 70))
    frame = predictions_frame(PROBE, X, texts, Y)
    assert frame.columns[:3].tolist() == ["text", "gold", "predicted"]
    assert frame.index.equals(texts.index)
    spans = texts.assign(start=1, end=[len(text) for text in texts["text"]])
    frame = predictions_frame(PROBE, X, spans, Y)
    assert frame["word"].tolist() == [str(i) for i in range(20)]
    pairs = spans.assign(other_start=0, other_end=1)
    assert set(predictions_frame(PROBE, X, pairs, Y)["other_word"]) == {"t"}
    for column in (Y[:, np.newaxis], pd.DataFrame({"label": Y})):
        frame = predictions_frame(PROBE, X, texts, column)
        assert frame["gold"].tolist() == Y.tolist()
    with pytest.raises(ValueError, match="should be a 1d array"):
        predictions_frame(PROBE, X, texts, np.column_stack([Y, Y]))
    probe = Ridge().fit(X, X[:, 1])
    for target in (np.where(Y == "N", 1.0, np.inf), Y, X[:, 1].astype(str)):
        with pytest.raises(ValueError, match=r"predicts numbers, but y is .* at row [01]\."):
            predictions_frame(probe, X, texts, target)


def test_concepts_that_look_alike():
    tables = [
        pd.DataFrame({"a": ["b=c", "x"] * 10, "a=b": ["c", "y"] * 10}),
        pd.DataFrame({"tag": pd.Series([1, "1"] * 10, dtype=object)}),
        pd.DataFrame({"tag": ["N", "V"] * 10, "tag=N": [True, False] * 10}),
    ]
    for table in tables:
        with pytest.raises(ValueError, match="Two concepts of compositional_explanations are both"):
            compositional_explanations(X, table)


def test_layers_of_names_and_of_their_number():
    mask = [True, False, True, True]
    expected = [1, 2]
    for options in ({"n_layers": 2}, {"input_features": NAMES}):
        assert neuron_table(mask, **options)["n_selected"].tolist() == expected
    both = neuron_table(mask, n_layers=2, input_features=NAMES)
    assert both["n_selected"].tolist() == expected
    other = ["hidden.3.0", "hidden.3.1", "hidden.9.0", "hidden.9.1"]
    assert neuron_table(mask, n_layers=2, input_features=other)["layer"].tolist() == [0, 1]
    assert neuron_table(mask, n_layers=2, input_features=list("abcd"))["layer"].tolist() == [0, 1]
    stacks = [f"{stack}.hidden.0.{unit}" for stack in ("encoder", "decoder") for unit in range(2)]
    assert neuron_table(mask, n_layers=2, input_features=stacks)["n_selected"].tolist() == expected
    for names, n_layers in ((NAMES, 4), (NAMES, 1), ([NAMES[i] for i in (0, 2, 1, 3)], 2)):
        with pytest.raises(ValueError, match=f"belong to 2 layers, but n_layers={n_layers} cuts"):
            neuron_table(mask, n_layers=n_layers, input_features=names)
    with pytest.raises(ValueError, match="has the name 'hidden.0.0' more than once"):
        neuron_table(mask, input_features=[NAMES[0]] * 2 + NAMES[2:])


def test_a_table_survives_csv():
    words = ["NA", "None", "nan", "1", "a,b", ' "q"'] * 5
    labels = np.array(["NA", "None", "1"] * 10)
    matrix = np.random.default_rng(0).normal(size=(30, 2))
    probe = LogisticRegression().fit(matrix, labels)
    ranker = ProbelessRanker().fit(matrix, labels)
    tables = [
        top_words(matrix, words),
        neuron_summary(ranker, matrix, labels, words=words),
        neuron_summary(ranker, matrix, np.full(30, "NA")),
        predictions_frame(probe, matrix, pd.DataFrame({"word": words}), labels),
        compositional_explanations(matrix, pd.DataFrame({"word": words})),
        neuron_table(ranker, by="class", n_neurons=1),
        top_contexts(matrix, pd.DataFrame({"text": words}), 0),
    ]
    for table in tables:
        file = io.StringIO(table.to_csv(index=False))
        as_documented = {"keep_default_na": False, "na_values": {"effect": "", "auc": ""}}
        as_text = dict.fromkeys(("word", "gold", "predicted", "label", "class"), str)
        read = pd.read_csv(file, dtype=as_text, **as_documented)
        pd.testing.assert_frame_equal(read, table, check_dtype=False)
