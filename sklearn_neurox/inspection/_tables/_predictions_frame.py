# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils._param_validation import HasMethods, validate_params

from sklearn_neurox.inspection._occurrences import (
    are_pairs,
    other_words,
    read_spans,
    read_texts,
    spelled,
    whole_texts,
)
from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels, class_codes
from sklearn_neurox.utils._validation import check_row_order

_WHERE = ["word", "other_word", "sentence_id", "position", "other_position"]
_WHERE += ["text", "start", "end", "other_start", "other_end"]


@validate_params(
    {
        "estimator": [HasMethods(["predict"])],
        "X": ["array-like", "sparse matrix", HasMethods(["shape", "__getitem__"])],
        "words": "no_validation",  # may be a table of any library
        "y": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def predictions_frame(
    estimator: BaseEstimator, X: ArrayLike, words: pd.DataFrame, y: ArrayLike | None = None
) -> pd.DataFrame:
    """Combine words and the predictions of a fitted probe in one table.

    Parameters
    ----------
    estimator : fitted estimator
        A classifier or regressor with one output, or a pipeline that ends with one.

    X : array-like of shape (n_words, n_features), or DataFrame of words
        The input of the estimator, such as the activations of test words.

    words : table with the column ``word`` or ``text``, of shape (n_words, n_columns)
        The words of the rows of X; or whole texts, such as ``pd.DataFrame({"text": texts})``.

    y : array-like of shape (n_words,) or None, default=None
        The labels or targets. None leaves out the columns that depend on them.

    Returns
    -------
    frame : DataFrame of shape (n_words, n_columns)
        One row per word, with the index and order of ``words``: ``word`` (not for whole texts), and
        ``sentence_id``, ``position``, ``text``, ``start`` and ``end`` if ``words`` has them, as
        well as the columns of the other word of a pair (``other_word``, ...); then ``gold`` and
        ``predicted``. For a classifier, also ``correct``, and if it predicts probabilities,
        ``probability`` (of the predicted label) and ``gold_probability`` (0 for a label that it
        does not know). For a regressor, also ``error``, the prediction minus the target.

    Raises
    ------
    ValueError
        If X, words and y have different lengths, a label is missing, there is more than one
        output, either the predictions or the labels are strings, but not both, or the target of a
        regressor is not a finite number.

    See Also
    --------
    top_contexts : List the words that a neuron is most active on.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.inspection import predictions_frame
    >>> from sklearn_neurox.words import words_frame
    >>> words = words_frame([["Dogs", "bark"], ["Cats", "meow"]], [["N", "V"], ["N", "V"]])
    >>> X = np.array([[1.0], [-3.0], [2.0], [1.5]])
    >>> probe = LogisticRegression().fit(X, words["label"])
    >>> frame = predictions_frame(probe, X, words, words["label"])
    >>> frame.loc[~frame["correct"], ["word", "gold", "predicted"]]
       word gold predicted
    3  meow    V         N
    """
    check_row_order(X=X, words=words, y=y)
    words = _with_words(words)
    check_consistent_length(X, words, y)
    predicted = np.asarray(estimator.predict(X))
    if predicted.ndim != 1:
        raise ValueError(
            f"predictions_frame shows one output, but the {type(estimator).__name__} predicts "
            f"{predicted.shape[1]}. Create one frame per output."
        )
    frame = words[[column for column in _WHERE if column in words.columns]].copy()
    if y is not None:
        check_no_missing_labels(y)
        # Not as a Series, which pandas would align by its index.
        frame["gold"] = gold = column_or_1d(np.asarray(y))
    frame["predicted"] = predicted
    if not is_classifier(estimator):
        return frame if y is None else frame.assign(error=predicted - _numbers(gold))
    if y is not None:
        _check_type(gold, predicted)
        frame["correct"] = predicted == gold
    if hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(X))
        frame["probability"] = _of_labels(probabilities, estimator.classes_, predicted)
        if y is not None:
            frame["gold_probability"] = _of_labels(probabilities, estimator.classes_, gold)
    return frame


def _with_words(words):
    """Return the table, with a column of words if it has spans without one."""
    words = to_pandas(words)
    has_text = isinstance(words, pd.DataFrame) and "text" in words
    if not has_text or "word" in words:
        return read_frame(words, ["word"], caller="predictions_frame")
    words = read_frame(words, caller="predictions_frame")
    texts = read_texts(words, caller="predictions_frame")
    if whole_texts(words, caller="predictions_frame").all():
        return words
    start, end = read_spans(words, caller="predictions_frame")
    words = words.assign(word=spelled(texts, start, end))
    if are_pairs(words) and "other_word" not in words:
        words["other_word"] = other_words(words, caller="predictions_frame")
    return words


def _numbers(targets):
    try:
        numbers = targets.astype(np.float64)
    except (TypeError, ValueError):
        numbers = np.full(len(targets), np.nan)
    wrong = ~np.isfinite(numbers) | (targets.dtype.kind in "USTmM")
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            "The estimator passed to predictions_frame predicts numbers, but y is "
            f"{_shown(targets[row:])} at row {row}. Pass numbers like those that it was fitted on."
        )
    return numbers


def _shown(values):
    """Write the first value as Python does, not as NumPy."""
    return repr(values[:1].tolist()[0])


def _check_type(gold, predicted):
    """Raise an error if either the labels or the predictions are strings, but not both."""
    is_text = [
        len(one) and all(isinstance(v, str) for v in one.tolist()) for one in (gold, predicted)
    ]
    if len(gold) and is_text[0] != is_text[1]:
        raise ValueError(
            "The estimator passed to predictions_frame predicts labels such as "
            f"{_shown(predicted)}, but y has labels such as {_shown(gold)}. Pass labels like those "
            "that it was fitted on."
        )


def _of_labels(probabilities, classes, labels):
    places = class_codes(labels, classes)
    chosen = np.take_along_axis(probabilities, np.maximum(places, 0)[:, np.newaxis], axis=1)[:, 0]
    return np.where(places < 0, 0.0, chosen)
