# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, validate_params
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.ranking._weight_mass import needed_for_mass, reach_threshold
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, count_neurons
from sklearn_neurox.utils._names import neuron_indices, parse_neuron_names

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
    """Count the selected neurons in each layer, component or class.

    Parameters
    ----------
    selection : fitted ranker or selector, or array-like
        A ranker, whose best neurons are counted; a selector, whose ``get_support`` is counted; or
        the neurons themselves, as a mask of all columns, or as indices or names together with
        ``input_features``.

    by : {"class", "component", "layer"} or list of these, default="layer"
        The groups to count by; several give one row per combination. The neurons of a class are
        the best neurons for that class, so a neuron can count for several classes. Counting by
        class requires a ranker with ``class_order_``.

    n_neurons : int, float or None, default=None
        The number or fraction of a ranker's best neurons to count; for each class when counting by
        class. None counts the neurons that the ranker itself keeps.

    mass : float or None, default=None
        Alternative to ``n_neurons`` for `LCARanker`: count the neurons needed to make up this
        fraction of the weight mass: that of each class when counting by class, and that of any
        class otherwise. The original work uses 0.25 [1]_.

    input_features : array-like of str or None, default=None
        The names of all columns. None takes ``feature_names_in_``.

    n_layers : int or None, default=None
        Alternative to names: the number of layers of equal size that the columns form; the first is
        layer 0.

    Returns
    -------
    table : DataFrame
        One row per class, component or layer, including those without selected neurons. The
        columns are those of ``by``, in that order, then ``n_selected``, ``n_neurons`` (selected or
        not) and ``share``, the ratio of the two.

    Raises
    ------
    ValueError
        If no neuron is selected or a ranker keeps all neurons, if the layers of the columns are
        unknown or not those of ``n_layers``, if names repeat, or if there are no classes to count
        by.

    See Also
    --------
    sklearn_neurox.ranking.LCARanker : Rank neurons by the weights of a linear probe.

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
        raise ValueError("neuron_table accepts 'n_neurons' or 'mass', not both.")
    names = input_features
    if hasattr(selection, "get_support"):
        check_is_fitted(selection)
        names = getattr(selection, "feature_names_in_", None) if names is None else names
        cut = _of_classes if "class" in by else _of_all
        support, classes = cut(selection, n_neurons, mass), getattr(selection, "classes_", None)
    else:
        support, classes = _given(selection, by, n_neurons, mass, names), None
    if not support.any():
        raise ValueError("The selection passed to neuron_table contains no neuron.")
    return _count(support, classes, by, names, n_layers)


def _check_by(by):
    by = [by] if isinstance(by, str) else list(by)
    wrong = [one for one in by if one not in _BY]
    if wrong or not by or len(set(by)) < len(by):
        raise ValueError(
            f"The 'by' parameter of neuron_table must contain at least one of {list(_BY)}, each at "
            f"most once, got {by}."
        )
    return by


def _given(neurons, by, n_neurons, mass, names):
    if "class" in by or n_neurons is not None or mass is not None:
        raise ValueError(
            "neuron_table got the neurons themselves, which have no order and no classes. Pass a "
            "fitted ranker to count by class or to use 'n_neurons' or 'mass'."
        )
    neurons = np.asarray(neurons)
    if neurons.dtype == bool:
        n_features = len(neurons)
    elif names is None:
        raise ValueError(
            "neuron_table got indices or names of neurons, but needs to know how many columns "
            "there are. Pass the names of all columns as input_features, or a mask."
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
            f"The 'n_neurons' parameter of neuron_table needs a ranker, but {_name(selector)} has "
            "no attribute 'ranks_'. Leave it out to count the selected neurons."
        )
    return (selector.ranks_ <= _number(n_neurons, selector))[np.newaxis]


def _of_classes(ranker, n_neurons, mass):
    if not hasattr(ranker, "class_order_"):
        raise ValueError(
            "To count by class, neuron_table needs a ranker with 'class_order_', which "
            f"{_name(ranker)} lacks. Use a ranker such as LCARanker or ProbelessRanker, fitted on "
            "classes."
        )
    if n_neurons is None and mass is None:
        if ranker.which != "top":
            raise ValueError(
                f"{_name(ranker)} keeps the bottom neurons, but counting by class uses top "
                "neurons. Set their number with n_neurons or mass."
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
    # The scores of other rankers are not one minus the share of the mass that lies above.
    if not hasattr(ranker, "importances_") or not hasattr(ranker, "mass"):
        raise ValueError(
            f"The 'mass' parameter of neuron_table needs an LCARanker, got {_name(ranker)}. Use "
            "n_neurons instead."
        )
    return getattr(ranker, attribute)


def _number(n_neurons, ranker):
    return count_neurons(n_neurons, ranker.n_features_in_, caller="neuron_table")


def _name(estimator):
    return f"the {type(estimator).__name__}"


def _cuts_nothing(ranker):
    return (
        f"{_name(ranker)[0].upper()}{_name(ranker)[1:]} keeps all neurons, so there is nothing to "
        "count. Set the number of best neurons with n_neurons, or with mass for an LCARanker."
    )


def _check_layers(names, layers, n_layers):
    """Raise an error if, by the names of the columns, layers begin elsewhere."""
    parts = parse_neuron_names(names).assign(cut=layers.to_numpy())
    if parts["layer"].isna().any():
        return
    blocks = parts.groupby(["stack", "component", "layer"], dropna=False)["cut"].nunique()
    layer = parts.groupby(["stack", "layer"], dropna=False).ngroup()
    if blocks.max() > 1 or layer.groupby(parts["cut"]).nunique().max() > 1:
        raise ValueError(
            f"The column names passed to neuron_table belong to {parts['layer'].nunique()} layers, "
            f"but n_layers={n_layers} cuts the columns differently. Leave n_layers out."
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
        if names is not None and (repeated := pd.Index(names).duplicated()).any():
            raise ValueError(
                f"The 'input_features' parameter of neuron_table has the name "
                f"{names[int(repeated.argmax())]!r} more than once."
            )
        blocks = neuron_blocks(names, n_features, n_layers=n_layers, caller="neuron_table")
        if "component" in by and blocks["component"].isna().any():
            raise ValueError(
                "neuron_table counts by component only if the columns have neuron names."
            )
        if n_layers is not None and names is not None:
            _check_layers(names, blocks["layer"], n_layers)
        keys = {key: np.tile(blocks[key].to_numpy(), len(support)) for key in by if key != "class"}
    if "class" in by:
        keys["class"] = np.repeat(np.asarray(classes), n_features)
    frame = pd.DataFrame(keys)[by].assign(n_selected=support.ravel())
    counts = frame.groupby(by, sort=False)["n_selected"].agg(n_selected="sum", n_neurons="size")
    return counts.assign(share=counts["n_selected"] / counts["n_neurons"]).reset_index()
