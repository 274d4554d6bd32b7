# SPDX-License-Identifier: BSD-3-Clause
"""Counts of neurons in each layer, by component or by class."""

import numpy as np
import pandas as pd

from sklearn_neurox.inspection._displays._drawing import check_option, read_columns
from sklearn_neurox.utils._names import neuron_layers, parse_neuron_names

GROUPS = ("component", "class")


def count_rows(frame, by, *, caller):
    """Count the neurons in a table as groups x layers; see `NeuronDistributionDisplay.from_frame`.

    The columns are all layers from the first to the last; the index is named after ``by``.
    """
    frame = read_columns(frame, [], caller=caller)
    if by is None:
        by = "class" if "class" in frame else "component"
    check_option("by", by, GROUPS, caller=caller)
    if "layer" not in frame:
        read_columns(frame, ["neuron"], caller=f"{caller} (without the column 'layer')")
    if by == "class":
        read_columns(frame, ["class"], caller=caller)
    groups = frame["class"] if by == "class" else _components(frame)
    counts = frame["n_selected"] if "n_selected" in frame else np.ones(len(frame), dtype=int)
    return _count(np.asarray(groups), _layers(frame, caller), np.asarray(counts), by)


def _layers(frame, caller):
    if "layer" not in frame:
        return neuron_layers(frame["neuron"].to_numpy(), len(frame), n_layers=None, caller=caller)
    missing = frame["layer"].isna()
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(
            f"{caller} needs the layer of every neuron, but row {row} has none "
            f"({int(missing.sum())} such rows). Drop these rows or fill in the column."
        )
    return frame["layer"].to_numpy(dtype=np.intp)


def _components(frame):
    if "component" in frame:
        return frame["component"].to_numpy()
    if "neuron" not in frame:
        return np.full(len(frame), "neurons", dtype=object)
    parts = parse_neuron_names(frame["neuron"])
    stack = parts["stack"].fillna("").astype(str)
    component = parts["component"].fillna("neurons").astype(str)
    return stack.where(stack == "", stack + ".").add(component).to_numpy(dtype=object)


def _count(groups, layers, counts, by):
    rows = pd.DataFrame({by: groups, "layer": layers, "n": counts})
    # Components keep the order of the neurons; classes are sorted, as in `classes_` of a probe.
    names = pd.unique(rows[by])
    if by == "class":
        names = sorted(names, key=lambda name: (str(type(name)), name))
    table = rows.pivot_table(index=by, columns="layer", values="n", aggfunc="sum", fill_value=0)
    columns = pd.RangeIndex(min(layers), max(layers) + 1, name="layer")
    return table.reindex(index=pd.Index(names, name=by), columns=columns, fill_value=0)
