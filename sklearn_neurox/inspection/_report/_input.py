# SPDX-License-Identifier: BSD-3-Clause
"""The input of a report, checked."""

from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d

# Private, but they are how scikit-learn itself names the columns of any dataframe library.
from sklearn.utils.validation import (
    _check_feature_names_in,
    _get_feature_names,
    check_is_fitted,
)

from sklearn_neurox.inspection._are_numbers import are_numbers
from sklearn_neurox.inspection._occurrences import are_pairs, whole_texts
from sklearn_neurox.inspection._report._targets import split_targets
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels, class_codes
from sklearn_neurox.utils._names import check_same_columns
from sklearn_neurox.utils._validation import check_activations, check_row_order


class Inputs(NamedTuple):
    """The checked parameters of `NeuronReport`, with labels as codes."""

    X: Any  # (n_words, n_neurons), an array or a CSR matrix
    words: pd.DataFrame  # with the column `text`
    codes: np.ndarray  # (n_words,), positions in `classes`
    classes: list  # the names of ranges for numbers
    label: str  # name of the labels
    names: np.ndarray  # (n_neurons,)
    probe: Any  # fitted, or None
    targets: np.ndarray | None  # (n_words,), the numbers of a regression
    unit: str  # "word", or "text" if every row is a whole text


def read_inputs(ranker, X, y, words, probe, input_features):
    """Check the parameters of `NeuronReport`."""
    X, y = to_pandas(X), to_pandas(y)
    check_is_fitted(ranker)
    if probe is not None:
        check_is_fitted(probe)
    check_same_columns("NeuronReport", X=X, ranker=ranker, probe=probe)
    names = _neuron_names(ranker, X, input_features)
    words = _check_words(words)
    check_row_order(X=X, y=y, words=words)
    X, _ = check_activations(X, caller="NeuronReport", accept_sparse="csr")
    if X.shape[1] != len(names):
        raise ValueError(
            f"X has {X.shape[1]} columns, but the ranker was fitted on {len(names)} neurons."
        )
    check_no_missing_labels(y, may_mix=True)
    label = str(getattr(y, "name", None) or "")
    values = column_or_1d(y)
    targets = None
    if are_numbers(values, ranker, probe):
        targets = _check_targets(values, ranker, probe)
        classes, codes = split_targets(targets)
    else:
        check_no_missing_labels(y)
        classes, codes = _encode_labels(values, ranker, probe)
    check_consistent_length(X, codes, words)
    label = label or ("label" if targets is None else "target")
    probe = _own_probe(ranker, targets is not None) if probe is None else probe
    unit = "text" if whole_texts(words, caller="NeuronReport").all() else "word"
    return Inputs(X, words, codes, classes, label, names, probe, targets, unit)


def check_title(title):
    """Raise a ValueError if a title cannot be written to a page."""
    try:
        title.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The 'title' parameter of NeuronReport is {title!r}, whose character {error.start} is "
            "half of a surrogate pair, which no page can contain. Remove it, or read the text that "
            "the title comes from as UTF-8."
        ) from None


def model_name(steps):
    """Return the name of the model that a pipeline reads, or None if no step has one.

    Of a folder, the last two parts are shown, so that a page does not tell where its author works.
    """
    models = [step.model for _, step in steps.steps if hasattr(step, "model")]
    if not models:
        return None
    model = models[0]
    if not isinstance(model, str | PathLike):
        return type(model).__name__
    folder = Path(model)
    return "/".join(folder.absolute().parts[-2:]) if folder.is_dir() else str(model)


def _own_probe(ranker, is_numeric):
    probe = getattr(ranker, "estimator_", None)
    fits = hasattr(probe, "coef_") and hasattr(probe, "classes_") != is_numeric
    return probe if fits else None


def _neuron_names(ranker, X, input_features):
    if input_features is None and not hasattr(ranker, "feature_names_in_"):
        input_features = _get_feature_names(X)
    names = _check_feature_names_in(ranker, input_features)
    repeated = pd.Index(names).duplicated()
    if repeated.any():
        raise ValueError(
            f"Two neurons are named {names[repeated][0]!r} ({repeated.sum()} duplicate names), so "
            "the report cannot tell them apart. Pass distinct names as input_features."
        )
    return names


def _check_targets(y, ranker, probe):
    for estimator in (ranker, probe):
        if hasattr(estimator, "classes_"):
            raise ValueError(
                f"y is continuous, but the {type(estimator).__name__} was fitted on the labels "
                f"{np.asarray(estimator.classes_).tolist()[:5]}. Pass such labels. To compare "
                "ranges of y, bin it before fitting, for example with "
                "pandas.qcut(y, 4).astype(str)."
            )
    return np.asarray(y, dtype=np.float64)


def _encode_labels(y, ranker, probe):
    """Return the classes, those of the ranker and the probe first, and the code of each label."""
    fitted = [np.asarray(getattr(est, "classes_", [])).tolist() for est in (ranker, probe)]
    classes = list(dict.fromkeys(fitted[0] + fitted[1]))
    known = set(classes)
    if known and known.isdisjoint(y.tolist()):
        raise ValueError(
            f"The ranker knows the labels {classes[:5]}, but y contains none of these; its first "
            f"label is {y[0]!r}. Pass labels like those that the ranker was fitted on."
        )
    classes += [label for label in np.unique(y).tolist() if label not in known]
    return classes, class_codes(y, classes)


def _check_words(words):
    words = to_pandas(words)
    if not isinstance(words, pd.DataFrame):
        index = words.index if isinstance(words, pd.Series) else None
        words = pd.DataFrame({"text": list(words)}, index=index)
    if "text" not in words:
        raise ValueError(
            "The frame of words passed to NeuronReport has no column 'text'; it has "
            f"{list(words.columns)}. Create it with words_frame or read_conllu."
        )
    if words["text"].isna().any():
        row = int(np.flatnonzero(words["text"].isna())[0])
        raise ValueError(f"The text of row {row} of the words is missing.")
    if are_pairs(words):
        _check_one_partner(words)
    return words


def _check_one_partner(pairs):
    """Raise an error if a first word has several partners, since a page shows it only once."""
    own = ["text", "start", "end"]
    distinct = pairs.drop_duplicates([*own, "other_start", "other_end"])
    again = distinct.duplicated(own).to_numpy()
    if again.any():
        raise ValueError(
            "NeuronReport shows one value for each word of a sentence, but the words are pairs in "
            f"which {again.sum()} first words have another partner, too. Pass pairs in which each "
            "first word has one partner, such as the arcs of pair_frame without negatives, or list "
            "pairs with top_words and top_contexts."
        )
