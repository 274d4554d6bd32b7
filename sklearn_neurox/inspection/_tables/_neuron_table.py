# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.ranking._lca_ranker import needed_for_mass, reach_threshold
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, count_neurons
from sklearn_neurox.utils._names import neuron_indices

_BY = ("class", "component", "layer")


@validate_params(
    {
        "selection": [HasMethods(["get_support"]), "array-like"],
        "by": [str, list, tuple],
        "n_neurons": COUNT_CONSTRAINTS,
        "mass": [Interval(Real, 0, 1, closed="right"), None],
        "input_features": ["array-like", None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def neuron_table(
    selection: BaseEstimator | ArrayLike,
    *,
    by: str | Sequence[str] = "layer",
    n_neurons: int | float | None = None,
    mass: float | None = None,
    input_features: ArrayLike | None = None,
    n_layers: int | None = None,
) -> pd.DataFrame:
    """Count the chosen neurons in each layer, component or class.

    Parameters
    ----------
    selection : fitted ranker or selector, or array-like
        A ranker, whose best neurons are counted; a selector, whose ``get_support`` is; or the
        neurons themselves: a mask of all columns, or indices or names with ``input_features``.

    by : {"class", "component", "layer"} or list of these, default="layer"
        What to count by; several make a row for every combination. The neurons of a class are
        the best in the eyes of that class, so that a neuron may count for several; it takes a
        ranker with ``class_order_``.

    n_neurons : int, float or None, default=None
        How many of the best neurons of a ranker to count, a number or a fraction of all; by class
        so many of each class. None takes what the ranker itself keeps.

    mass : float or None, default=None
        Instead of ``n_neurons``, for `LCARanker`: the neurons needed to make up this fraction of
        the weight mass, of each class by class, of any class otherwise. 0.25 is the cut of the
        original work [1]_.

    input_features : array-like of str or None, default=None
        The names of all columns. None takes ``feature_names_in_``.

    n_layers : int or None, default=None
        Instead of names: into how many equal blocks the columns divide, the first being layer 0.

    Returns
    -------
    table : DataFrame
        A row for every class, component or layer, those without chosen neurons included: the
        columns of ``by`` in their order, ``n_selected``, ``n_neurons`` (chosen or not), and
        ``share``, the one by the other.

    Raises
    ------
    ValueError
        If no neuron is chosen, or all of a ranker's, the columns do not tell their layer, or
        there are no classes to count by.

    See Also
    --------
    sklearn_neurox.ranking.LCARanker : Ranks by the weights of a linear probe.

    References
    ----------
    .. [1] F. Dalvi, N. Durrani, H. Sajjad, Y. Belinkov, A. Bau, J. Glass, "What Is One Grain of
       Sand in the Desert? Analyzing Individual Neurons in Deep NLP Models", AAAI 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.inspection import neuron_table
    >>> from sklearn_neurox.ranking import ProbelessRanker
    >>> X = np.array([[0.0, 1.0, 2.0, 9.0], [0.0, 3.0, 1.0, 0.0], [5.0, 2.0, 1.0, 0.0]])
    >>> ranker = ProbelessRanker(n_neurons=2).fit(X, ["a", "b", "c"])
    >>> neuron_table(ranker, n_layers=2)
       layer  n_selected  n_neurons  share
    0      0           1          2    0.5
    1      1           1          2    0.5
    >>> neuron_table(ranker, by="class", n_neurons=1)
      class  n_selected  n_neurons  share
    0     a           1          4   0.25
    1     b           1          4   0.25
    2     c           1          4   0.25
    """
    by = _check_by(by)
    if n_neurons is not None and mass is not None:
        raise ValueError("neuron_table takes 'n_neurons' or 'mass', not both.")
    names = input_features
    if hasattr(selection, "get_support"):
        check_is_fitted(selection)
        names = getattr(selection, "feature_names_in_", None) if names is None else names
        cut = _of_classes if "class" in by else _of_all
        support, classes = cut(selection, n_neurons, mass), getattr(selection, "classes_", None)
    else:
        support, classes = _given(selection, by, n_neurons, mass, names), None
    if not support.any():
        raise ValueError("neuron_table was given a selection without any neuron.")
    return _count(support, classes, by, names, n_layers)


def _check_by(by):
    by = [by] if isinstance(by, str) else list(by)
    wrong = [one for one in by if one not in _BY]
    if wrong or not by or len(set(by)) < len(by):
        raise ValueError(
            f"The 'by' parameter of neuron_table must hold some of {list(_BY)}, each once, got "
            f"{by}."
        )
    return by


def _given(neurons, by, n_neurons, mass, names):
    if "class" in by or n_neurons is not None or mass is not None:
        raise ValueError(
            "neuron_table was given the neurons themselves, which have no order and no classes. "
            "Pass a fitted ranker to count by class, or with 'n_neurons' or 'mass'."
        )
    neurons = np.asarray(neurons)
    if neurons.dtype == bool:
        n_features = len(neurons)
    elif names is None:
        raise ValueError(
            "neuron_table was given indices or names of neurons, and needs to know how many there "
            "are: pass the names of all columns as input_features, or a mask."
        )
    else:
        n_features = len(names)
    chosen = neuron_indices(neurons, names=names, n_features=n_features, caller="neuron_table")
    return np.isin(np.arange(n_features), chosen)[np.newaxis]


def _of_all(selector, n_neurons, mass):
    if mass is not None:
        return needed_for_mass(_mass_shares(selector, "scores_"), mass)[np.newaxis]
    if n_neurons is None:
        support = selector.get_support()
        if support.all() and hasattr(selector, "order_"):
            raise ValueError(_cuts_nothing(selector))
        return support[np.newaxis]
    if not hasattr(selector, "ranks_"):
        raise ValueError(
            f"The 'n_neurons' parameter of neuron_table takes a ranker, but {_name(selector)} has "
            "no attribute 'ranks_'. Leave it out, to count what is selected."
        )
    return (selector.ranks_ <= _number(n_neurons, selector))[np.newaxis]


def _of_classes(ranker, n_neurons, mass):
    if not hasattr(ranker, "class_order_"):
        raise ValueError(
            f"neuron_table counts by class for rankers with 'class_order_', which {_name(ranker)} "
            "has not. Use one such as LCARanker or ProbelessRanker, fitted on classes."
        )
    if n_neurons is None and mass is None:
        if ranker.which == "bottom":
            raise ValueError(
                f"{_name(ranker)} keeps the bottom neurons, but classes have top neurons. Say how "
                "many with n_neurons, or with mass."
            )
        n_neurons, mass = ranker.n_neurons, getattr(ranker, "mass", None)
        threshold = getattr(ranker, "threshold", None)
        if threshold is not None:
            reached = reach_threshold(ranker.importances_, threshold)
            return np.broadcast_to(reached, ranker.class_scores_.shape)
    if mass is not None:
        return needed_for_mass(_mass_shares(ranker, "class_scores_"), mass)
    if n_neurons is None:
        raise ValueError(_cuts_nothing(ranker))
    support = np.zeros(ranker.class_order_.shape, dtype=bool)
    best = ranker.class_order_[:, : _number(n_neurons, ranker)]
    np.put_along_axis(support, best, True, axis=1)
    return support


def _mass_shares(ranker, attribute):
    # Only there is the score one minus the share of the mass that lies above.
    if not hasattr(ranker, "importances_") or not hasattr(ranker, "mass"):
        raise ValueError(
            f"The 'mass' parameter of neuron_table takes an LCARanker, got {_name(ranker)}. Use "
            "n_neurons."
        )
    return getattr(ranker, attribute)


def _number(n_neurons, ranker):
    return count_neurons(n_neurons, ranker.n_features_in_, caller="neuron_table")


def _name(estimator):
    return f"the {type(estimator).__name__}"


def _cuts_nothing(ranker):
    return (
        f"{_name(ranker)[0].upper()}{_name(ranker)[1:]} keeps all neurons, so there is nothing to "
        "count. Say how many of the best with n_neurons, or with mass for an LCARanker."
    )


def _count(support, classes, by, names, n_layers):
    n_features = support.shape[1]
    keys = {}
    if "layer" in by or "component" in by:
        if names is not None and len(names) != n_features:
            raise ValueError(
                f"The 'input_features' parameter of neuron_table has {len(names)} names, but there "
                f"are {n_features} columns."
            )
        blocks = neuron_blocks(names, n_features, n_layers=n_layers, caller="neuron_table")
        if "component" in by and blocks["component"].isna().any():
            raise ValueError("neuron_table counts by component where columns have neuron names.")
        keys = {key: np.tile(blocks[key].to_numpy(), len(support)) for key in by if key != "class"}
    if "class" in by:
        keys["class"] = np.repeat(np.asarray(classes), n_features)
    frame = pd.DataFrame(keys)[by].assign(n_selected=support.ravel())
    counts = frame.groupby(by, sort=False)["n_selected"].agg(n_selected="sum", n_neurons="size")
    return counts.assign(share=counts["n_selected"] / counts["n_neurons"]).reset_index()
