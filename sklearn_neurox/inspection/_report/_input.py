# SPDX-License-Identifier: BSD-3-Clause
"""What a report is made from, checked."""

import numpy as np
import pandas as pd
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _check_feature_names_in, _get_feature_names

from sklearn_neurox.inspection._report._ranking import known_classes
from sklearn_neurox.utils._validation import check_activations, check_no_missing_labels


def own_probe(ranker):
    probe = getattr(ranker, "estimator_", None)
    return probe if hasattr(probe, "coef_") and hasattr(probe, "classes_") else None


def inner(estimator):
    """Look through a FrozenEstimator at what it holds."""
    return getattr(estimator, "estimator", estimator) if _is_frozen(estimator) else estimator


def _is_frozen(estimator):
    return type(estimator).__name__ == "FrozenEstimator"


def neuron_names(ranker, X, input_features):
    if input_features is None and not hasattr(ranker, "feature_names_in_"):
        input_features = _get_feature_names(X)
    names = _check_feature_names_in(ranker, input_features)
    repeated = pd.Index(names).duplicated()
    if repeated.any():
        raise ValueError(
            f"Two neurons are called {names[repeated][0]!r} ({repeated.sum()} such names), so none "
            "of them could be searched for. Give them distinct names with input_features=."
        )
    return names


def check_matrix(X, names):
    X, _ = check_activations(X, caller="NeuronReport")
    if X.shape[1] != len(names):
        raise ValueError(
            f"X has {X.shape[1]} columns, but the ranker was fitted on {len(names)} neurons."
        )
    return X


def check_labels(y, ranker, probe):
    """Give every label its number: first those that the ranker knows, then the others, sorted."""
    check_no_missing_labels(y)
    y = column_or_1d(y)
    if type_of_target(y, input_name="y", raise_unknown=True).startswith("continuous"):
        raise ValueError(
            "NeuronReport shows distributions by label, but y is continuous. Cut it into a few, "
            "for example with pandas.qcut(y, 4).astype(str)."
        )
    classes = known_classes(ranker, probe)
    known = set(classes)
    if known and known.isdisjoint(y.tolist()):
        raise ValueError(
            f"The ranker knows the labels {classes[:5]}, none of which is in y, where the first is "
            f"{y[0]!r}. Give the labels as the ranker was fitted on."
        )
    classes += [label for label in np.unique(y).tolist() if label not in known]
    return classes, pd.Index(classes).get_indexer(pd.Index(y.tolist()))


def check_words(words):
    if not isinstance(words, pd.DataFrame):
        words = pd.DataFrame({"text": list(words)})
    if "text" not in words:
        raise ValueError(
            "The frame of words given to NeuronReport has no column 'text'; it has "
            f"{list(words.columns)}. Make it with words_frame or read_conllu."
        )
    if words["text"].isna().any():
        row = int(np.flatnonzero(words["text"].isna())[0])
        raise ValueError(f"The text of row {row} of the words is missing.")
    return words
