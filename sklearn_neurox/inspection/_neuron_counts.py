# SPDX-License-Identifier: BSD-3-Clause
"""How many neurons are in which layer, by component or by class."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_neurox.inspection._drawing import check_columns
from sklearn_neurox.ranking import LCARanker
from sklearn_neurox.utils._counts import count_neurons
from sklearn_neurox.utils._names import neuron_layers, parse_neuron_names

_BY = ("component", "class")
# A neuron that begins where the mass is complete must not count.
_ROUNDING = 1e-12


def count_rows(frame, by, *, caller):
    """Count the neurons of a table.

    Parameters
    ----------
    frame : DataFrame
        A row a neuron; see `NeuronDistributionDisplay.from_frame`.

    by : {"component", "class"} or None
        What to count by; None takes the class, where there is such a column.

    caller : str
        For the error messages.

    Returns
    -------
    table : DataFrame of shape (n_groups, n_layers)
        All layers from the first to the last, and the name of the index is ``by``.
    """
    check_columns(frame, [], caller=caller)
    if by is None:
        by = "class" if "class" in frame else "component"
    _check_by(by, caller)
    if "layer" not in frame:
        check_columns(frame, ["neuron"], caller=f"{caller} (without the column 'layer')")
    if by == "class":
        check_columns(frame, ["class"], caller=caller)
    groups = frame["class"] if by == "class" else _components(frame)
    counts = frame["n_selected"] if "n_selected" in frame else np.ones(len(frame), dtype=int)
    layers = _layers(frame, caller)
    return _count(np.asarray(groups), layers, np.asarray(counts), by, layers)


def count_chosen(estimator, by, n_neurons, mass, *, names, n_layers, caller):
    """Count the neurons that a fitted ranker or selector has chosen.

    Parameters
    ----------
    estimator, by, n_neurons, mass : object
        See `NeuronDistributionDisplay.from_estimator`.

    names : array-like of str or None
        The neuron names, None for those seen in fit.

    n_layers : int or None
        How many equal layers there are, where there are no names.

    caller : str
        For the error messages.

    Returns
    -------
    table : DataFrame of shape (n_groups, n_layers)
        All layers of the columns, also those without chosen neurons.
    """
    check_is_fitted(estimator)
    _check_by(by, caller)
    _check_cut(estimator, by, n_neurons, mass, caller)
    if by == "class":
        groups, columns = _of_classes(estimator, n_neurons, mass, caller)
    else:
        groups, columns = None, _of_all(estimator, n_neurons, caller)
    if not len(columns):
        raise ValueError(
            f"{caller}: {type(estimator).__name__} selects no neuron, so there is nothing to draw."
        )
    layers, components = _origins(estimator, names, n_layers, caller)
    if by == "component":
        groups = components[columns]
    return _count(groups, layers[columns], np.ones(len(columns), dtype=int), by, layers)


def _check_by(by, caller):
    if by not in _BY:
        raise ValueError(f"The 'by' parameter of {caller} must be one of {_BY}, got {by!r}.")


def _layers(frame, caller):
    if "layer" not in frame:
        return neuron_layers(frame["neuron"].to_numpy(), len(frame), n_layers=None, caller=caller)
    missing = frame["layer"].isna()
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(
            f"{caller} needs the layer of every neuron, but row {row} has none "
            f"({int(missing.sum())} such). Leave these rows out, or fill the column."
        )
    return frame["layer"].to_numpy(dtype=np.intp)


def _components(frame):
    if "component" in frame:
        return frame["component"].to_numpy()
    if "neuron" not in frame:
        return np.full(len(frame), "neurons", dtype=object)
    return _component_names(parse_neuron_names(frame["neuron"]))


def _component_names(parts):
    stack = parts["stack"].fillna("").astype(str)
    component = parts["component"].fillna("neurons").astype(str)
    return stack.where(stack == "", stack + ".").add(component).to_numpy(dtype=object)


def _check_cut(estimator, by, n_neurons, mass, caller):
    if mass is None:
        return
    if n_neurons is not None:
        raise ValueError(f"{caller} takes 'n_neurons' or 'mass', got both.")
    # Only there is the score one minus the share of the mass that lies above.
    if by != "class" or not isinstance(estimator, LCARanker) or not 0 < mass <= 1:
        raise ValueError(
            f"The 'mass' parameter of {caller} must be in (0, 1], for by='class' and an LCARanker; "
            f"got {mass!r}, by={by!r} and {type(estimator).__name__}."
        )


def _of_all(estimator, n_neurons, caller):
    """Give the columns of the chosen neurons."""
    if n_neurons is None:
        return np.flatnonzero(estimator.get_support())
    if not hasattr(estimator, "order_"):
        raise ValueError(
            f"The 'n_neurons' parameter of {caller} is for rankers; {type(estimator).__name__} has "
            "no 'order_', only its own selection."
        )
    order = estimator.order_
    return order[: count_neurons(n_neurons, len(order), caller=caller)]


def _of_classes(estimator, n_neurons, mass, caller):
    """Give the class and the column of the chosen neurons of every class."""
    if not hasattr(estimator, "class_order_"):
        raise ValueError(
            f"{caller} with by='class' needs the ranking of every class, but "
            f"{type(estimator).__name__} has no 'class_order_'. Use a ranker fitted on classes."
        )
    classes = np.asarray(estimator.classes_)
    if n_neurons is None and mass is None:
        n_neurons, mass = (getattr(estimator, name, None) for name in ("n_neurons", "mass"))
    if mass is not None:
        scores = estimator.class_scores_
        rows, columns = np.nonzero((scores > 0) & (1 - scores < mass - _ROUNDING))
        return classes[rows], columns
    if n_neurons is None:
        raise ValueError(
            f"{caller} with by='class' needs to know how many of the best neurons of a class "
            "count, or it would count all: give n_neurons or, for an LCARanker, mass."
        )
    order = estimator.class_order_
    best = order[:, : count_neurons(n_neurons, order.shape[1], caller=caller)]
    return np.repeat(classes, best.shape[1]), best.ravel()


def _origins(estimator, input_features, n_layers, caller):
    """Tell the layer and the component of every column."""
    names = _check_feature_names_in(estimator, input_features, generate_names=False)
    n_features = estimator.n_features_in_
    layers = neuron_layers(names, n_features, n_layers=n_layers, caller=caller)
    if names is None:
        return layers, np.full(n_features, "neurons", dtype=object)
    return layers, _component_names(parse_neuron_names(names))


def _count(groups, layers, counts, by, every_layer):
    rows = pd.DataFrame({by: groups, "layer": layers, "n": counts})
    # Components in the order of the neurons; classes sorted, as a probe has them.
    names = pd.unique(rows[by])
    if by == "class":
        names = sorted(names, key=lambda name: (str(type(name)), name))
    table = rows.pivot_table(index=by, columns="layer", values="n", aggfunc="sum", fill_value=0)
    columns = pd.RangeIndex(min(every_layer), max(every_layer) + 1, name="layer")
    return table.reindex(index=pd.Index(names, name=by), columns=columns, fill_value=0)
