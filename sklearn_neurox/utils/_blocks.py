# SPDX-License-Identifier: BSD-3-Clause
"""Blocks of activation columns: the columns of one component of one layer."""

import pandas as pd

from sklearn_neurox.utils._names import neuron_layers, parse_neuron_names


def neuron_blocks(names, n_features, *, n_layers, caller):
    """Return the block of every column; the arguments are those of `neuron_layers`.

    Returns
    -------
    blocks : DataFrame of shape (n_features, 3)
        Columns ``name`` (such as ``"hidden.3"``; with ``n_layers``, the layer number as a
        string), ``component`` (including the stack, as in ``"decoder.hidden"``; missing with
        ``n_layers``) and ``layer``.
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
    # The path of a module already contains its block number.
    in_path = component.str.startswith("module:")
    name = component.where(in_path, component + "." + parts["layer"].astype(str))
    return pd.DataFrame({"name": name, "component": component, "layer": layers})
