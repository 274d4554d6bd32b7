# SPDX-License-Identifier: BSD-3-Clause
"""Which columns of a matrix of activations belong together: those of one layer and component."""

import pandas as pd

from sklearn_neurox.utils._names import neuron_layers, parse_neuron_names


def neuron_blocks(names, n_features, *, n_layers, caller):
    """Tell the block of every column.

    Parameters
    ----------
    names : array-like of str, of shape (n_features,), or None
        Feature names, None where there are none.

    n_features : int
        The number of columns.

    n_layers : int or None
        How many equal, layer-major blocks the columns form; overrides the names.

    caller : str
        Who asks, for the error message.

    Returns
    -------
    blocks : DataFrame of shape (n_features, 3)
        Columns ``name`` (such as ``"hidden.3"``; the number of the layer as a string with
        ``n_layers``), ``component`` (with its stack, ``"decoder.hidden"``; missing with
        ``n_layers``) and ``layer``.

    Raises
    ------
    ValueError
        If neither the names nor ``n_layers`` tell the layer of every column.
    """
    layers = neuron_layers(names, n_features, n_layers=n_layers, caller=caller)
    if n_layers is not None:
        name = pd.Series(layers).astype(str)
        component = pd.Series(pd.NA, index=name.index, dtype=name.dtype)
        return pd.DataFrame({"name": name, "component": component, "layer": layers})
    parts = parse_neuron_names(names)
    component = parts["component"].where(
        parts["stack"].isna(), parts["stack"] + "." + parts["component"]
    )
    # The path of a module holds the number of its block already.
    in_path = component.str.startswith("module:")
    name = component.where(in_path, component + "." + parts["layer"].astype(str))
    return pd.DataFrame({"name": name, "component": component, "layer": layers})
