# SPDX-License-Identifier: BSD-3-Clause
"""Neuron names: how to make them, parse them, and find layers and columns by them."""

from itertools import combinations

import numpy as np
import pandas as pd

# What a column of a pair of spans holds: the neuron of one of them, or a combination of both.
PAIR_PARTS = {
    "concat": ("first", "other"),
    "difference": ("difference",),
    "product": ("product",),
}
_SPAN = r"(?:(?P<span>first|other|difference|product)\.)?"
# "decoder.attention.3.h5.17", possibly with the "prefix__" of a FeatureUnion.
_NAME = (
    rf"^(?:.*__)?{_SPAN}(?:(?P<stack>encoder|decoder)\.)?(?P<component>[A-Za-z_]\w*)"
    r"\.(?P<layer>\d+)\.(?:h(?P<head>\d+)\.)?(?:(?P<unit>\d+)|to|from|entropy|first|self)$"
)
# "module:encoder.layer.2.output.dense.17": the number in the path is the block number.
_MODULE_NAME = rf"^(?:.*__)?{_SPAN}(?P<component>module:.+)\.(?P<unit>\d+)$"
_BLOCK_IN_PATH = r"[:.](\d+)(?:\.|$)"


def neuron_names(layers, n_units, *, component="hidden", stack=None):
    """Name the columns of a layer-major activation matrix, such as ``"hidden.3.127"``.

    ``n_units`` is the number of neurons per layer; ``stack`` is "encoder", "decoder" or None.
    """
    prefix = f"{stack}.{component}" if stack else component
    blocks = [block_neuron_names(f"{prefix}.{layer}", n_units) for layer in layers]
    return np.concatenate([np.empty(0, dtype=object), *blocks])


def block_neuron_names(block, n_units, *, n_heads=None):
    """Name the columns of one block, such as ``"hidden.3"``.

    The names are like ``"hidden.3.127"`` or, with heads, ``"attention.3.h5.17"``.
    """
    if n_heads is None:
        return np.array([f"{block}.{unit}" for unit in range(n_units)], dtype=object)
    width = n_units // n_heads
    return np.array(
        [f"{block}.h{head}.{unit}" for head in range(n_heads) for unit in range(width)],
        dtype=object,
    )


def pair_names(names, combinations):
    """Name the columns of pairs, such as ``"first.hidden.3.7"``, combination by combination.

    ``combinations`` are keys of `PAIR_PARTS`.
    """
    spans = [span for combination in combinations for span in PAIR_PARTS[combination]]
    return np.array([f"{span}.{name}" for span in spans for name in names], dtype=object)


def parse_neuron_names(names):
    """Split neuron names into their parts.

    Parameters
    ----------
    names : array-like of str, of shape (n_neurons,)
        Feature names; a ``prefix__`` is skipped.

    Returns
    -------
    parts : DataFrame of shape (n_neurons, 7)
        Columns ``neuron`` (the name as given), ``span`` ("first", "other", "difference" or
        "product", for pairs), ``stack``, ``component``, ``layer``, ``head`` and ``unit``. Parts
        absent from a name are missing values; a name of another form (``"x0"``) has only its
        ``neuron``; attention weights (``"attention_weights.3.h5.to"``) have no unit. The layer of a
        module is the first number in its path plus one, which is the
        layer of the block that contains it.
    """
    names = pd.Series(np.asarray(names, dtype=object), dtype=object)
    text = names.astype(str)
    modules = text.str.extract(_MODULE_NAME)
    is_module = modules["component"].notna()
    parts = text.where(~is_module).str.extract(_NAME)
    for column in ("layer", "head", "unit"):
        parts[column] = pd.to_numeric(parts[column]).astype("Int64")
    if is_module.any():
        block = pd.to_numeric(modules["component"].str.extract(_BLOCK_IN_PATH)[0]).astype("Int64")
        for column in ("span", "component"):
            parts.loc[is_module, column] = modules.loc[is_module, column]
        parts["layer"] = parts["layer"].fillna(block + 1)
        parts["unit"] = parts["unit"].fillna(pd.to_numeric(modules["unit"]).astype("Int64"))
    parts.insert(0, "neuron", names)
    return parts


def neuron_layers(names, n_features, *, n_layers, caller):
    """Return the layer of every column.

    Parameters
    ----------
    names : array-like of str, of shape (n_features,), or None
        Feature names; None if there are none.

    n_features : int
        Number of columns.

    n_layers : int or None
        Number of equal, layer-major blocks that the columns form; overrides the names.

    caller : str
        The class or function to name in error messages.

    Returns
    -------
    layers : ndarray of shape (n_features,), dtype=intp

    Raises
    ------
    ValueError
        If neither the names nor ``n_layers`` determine the layers.
    """
    if n_layers is not None:
        if n_features % n_layers:
            raise ValueError(
                f"The 'n_layers' parameter of {caller} is {n_layers}, which does not divide the "
                f"{n_features} columns into equal layers."
            )
        return np.repeat(np.arange(n_layers), n_features // n_layers)
    layers = None if names is None else parse_neuron_names(names)["layer"]
    if layers is None or layers.isna().any():
        example = ""
        if layers is not None:
            first = names[int(layers.isna().argmax())]
            example = f" (the first name without one is {first!r})"
        raise ValueError(
            f"{caller} needs to know the layer of every column{example}. Either give the columns "
            "neuron names such as 'hidden.3.127' (call set_output(transform='pandas') on the "
            "transformer that makes the matrix), or pass the number of equal layers as n_layers=."
        )
    return layers.to_numpy(dtype=np.intp)


def check_same_columns(caller, **tables):
    """Raise an error if columns that are paired by position are named in different orders.

    Parameters
    ----------
    caller : str
        Name of the function in the message.

    **tables : DataFrame or estimator, by name
        Names are those of a frame's columns or those that an estimator saw in ``fit``; whatever has
        none, or another number of columns, is ignored. If two tables have no name in common, their
        columns are different neurons, and the caller decides whether these may be paired.
    """
    named = {}
    for table, values in tables.items():
        columns = values.columns if isinstance(values, pd.DataFrame) else None
        columns = getattr(values, "feature_names_in_", columns)
        if columns is not None and all(isinstance(column, str) for column in columns):
            # The prefix of a FeatureUnion is not part of the name.
            named[table] = [column.rpartition("__")[2] for column in columns]
    for first, second in combinations(named, 2):
        pairs = list(zip(named[first], named[second], strict=False))
        differ = [place for place, (one, other) in enumerate(pairs) if one != other]
        same_size = len(named[first]) == len(named[second])
        if differ and same_size and not set(named[first]).isdisjoint(named[second]):
            place = differ[0]
            raise ValueError(
                f"{caller} pairs columns by position, but those of {first} and {second} are not "
                f"the same: column {place} is {pairs[place][0]!r} in {first} and "
                f"{pairs[place][1]!r} in {second} ({len(differ)} differ). Give both the same "
                "columns in the same order, such as X[estimator.feature_names_in_]."
            )


def seen_neuron_indices(estimator, neurons, *, caller=None):
    """Convert a choice of neurons to indices of the columns that an estimator saw in ``fit``."""
    return neuron_indices(
        neurons,
        names=getattr(estimator, "feature_names_in_", None),
        n_features=estimator.n_features_in_,
        caller=caller or type(estimator).__name__,
    )


def neuron_indices(neurons, *, names, n_features, caller):
    """Convert a choice of neurons to column indices, in the given order.

    Parameters
    ----------
    neurons : array-like of int, of str or of bool, or None
        Indices (negative ones count from the end), names, or a mask of shape (n_features,). None
        chooses no neuron.

    names : array-like of str, of shape (n_features,), or None
        Feature names.

    n_features : int
        Number of columns.

    caller : str
        The class or function to name in error messages.

    Returns
    -------
    indices : ndarray of shape (n_chosen,), dtype=intp

    Raises
    ------
    ValueError
        If an index is out of range, a name is unknown, a neuron is given twice, or a mask has the
        wrong length.
    """
    neurons = np.asarray([] if neurons is None else neurons)
    if neurons.size == 0:
        return np.empty(0, dtype=np.intp)
    if neurons.ndim != 1:
        raise ValueError(f"{caller} needs a flat list of neurons, got shape {neurons.shape}.")
    indices = _indices(neurons, names, n_features, caller)
    repeated = pd.Index(indices).duplicated()
    if repeated.any():
        first = int(np.flatnonzero(repeated)[0])
        raise ValueError(
            f"{caller} was given the same neuron twice: {neurons[first]!s}, which is column "
            f"{indices[first]} ({repeated.sum()} repeated in total). Give every neuron once."
        )
    return indices


def _indices(neurons, names, n_features, caller):
    if neurons.dtype.kind == "b":
        if len(neurons) != n_features:
            raise ValueError(
                f"The mask of neurons given to {caller} has {len(neurons)} entries, but there "
                f"are {n_features} columns."
            )
        return np.flatnonzero(neurons)
    if neurons.dtype.kind in "iu":
        outside = (neurons < -n_features) | (neurons >= n_features)
        if outside.any():
            raise ValueError(
                f"{caller} was given neuron {neurons[outside][0]}, but the {n_features} columns "
                f"are numbered 0 to {n_features - 1} ({outside.sum()} out of range in total)."
            )
        return neurons.astype(np.intp) % n_features
    if neurons.dtype.kind not in "OUST":
        raise ValueError(
            f"{caller} accepts neurons as indices, names or a mask, got dtype {neurons.dtype}."
        )
    if names is None:
        raise ValueError(
            f"{caller} was given neurons by name, but X has no feature names. Give indices, or "
            "make X a DataFrame (call set_output(transform='pandas') on the transformer that makes "
            "the matrix)."
        )
    names = pd.Index(names)
    if names.has_duplicates:
        raise ValueError(
            f"{caller} was given neurons by name, but the name {names[names.duplicated()][0]!r} "
            "occurs more than once in X. Give indices, or make the column names unique."
        )
    indices = names.get_indexer(neurons)
    if (indices < 0).any():
        first = str(neurons[indices < 0][0])
        raise ValueError(
            f"{caller} was given the neuron {first!r}, which is not a column of X "
            f"({(indices < 0).sum()} unknown in total); the first columns are {list(names[:3])}."
        )
    return indices.astype(np.intp)
