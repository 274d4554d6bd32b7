# SPDX-License-Identifier: BSD-3-Clause
"""Counts of neurons in each layer, by component or by class."""

import numpy as np
import pandas as pd

from sklearn_neurox.inspection._displays._drawing import check_option
from sklearn_neurox.inspection._displays._frames import read_columns, read_numbers
from sklearn_neurox.utils._names import neuron_layers, parse_neuron_names

GROUPS = ("component", "class")


def count_rows(frame, by, *, caller, has_all_layers=False):
    """Count the neurons in a table as groups x layers; see `NeuronDistributionDisplay.from_frame`.

    The columns are all layers from the first to the last, or only those of the rows if these
    include every layer of the data. The index is named after ``by``.
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
    _refuse_rows(pd.isna(groups), f"{caller} needs the {by} of every neuron", "has none")
    counts = np.ones(len(frame), dtype=int)
    if "n_selected" in frame:
        counts = read_numbers(frame, ["n_selected"], caller=caller)["n_selected"].to_numpy()
        need = f"{caller} needs the number of neurons in every row"
        _refuse_rows(np.isnan(counts), need, "has none")
        _refuse_rows(counts < 0, need, "has a negative one")
        counts = counts.astype(int) if (counts % 1 == 0).all() else counts
    layers = _layers(frame, caller)
    columns = pd.RangeIndex(min(layers), max(layers) + 1, name="layer")
    if has_all_layers and len(columns) > len(set(layers)):
        columns = pd.Index(sorted(set(layers)), name="layer")
    return _count(np.asarray(groups), layers, counts, by, columns)


def _layers(frame, caller):
    if "layer" not in frame:
        return neuron_layers(frame["neuron"].to_numpy(), len(frame), n_layers=None, caller=caller)
    need = f"{caller} needs the layer of every neuron"
    _refuse_rows(frame["layer"].isna(), need, "has none")
    layers = read_numbers(frame, ["layer"], caller=caller)["layer"].to_numpy()
    _refuse_rows(layers % 1 != 0, f"{need} as a whole number", "has a fraction")
    return layers.astype(np.intp)


def _refuse_rows(wrong, need, what):
    wrong = np.asarray(wrong, dtype=bool)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{need}, but row {row} {what} ({int(wrong.sum())} such rows). Drop these rows or fill "
            "in the column."
        )


def _components(frame):
    if "component" in frame:
        return frame["component"].to_numpy()
    if "neuron" not in frame:
        return np.full(len(frame), "neurons", dtype=object)
    parts = parse_neuron_names(frame["neuron"])
    stack = parts["stack"].fillna("").astype(str)
    component = parts["component"].fillna("neurons").astype(str)
    return stack.where(stack == "", stack + ".").add(component).to_numpy(dtype=object)


def _count(groups, layers, counts, by, columns):
    rows = pd.DataFrame({by: groups, "layer": layers, "n": counts})
    # Components keep the order of the neurons; classes are sorted, as in `classes_` of a probe.
    names = pd.unique(rows[by])
    if by == "class":
        names = sorted(names, key=lambda name: (str(type(name)), name))
    table = rows.pivot_table(index=by, columns="layer", values="n", aggfunc="sum", fill_value=0)
    return table.reindex(index=pd.Index(names, name=by), columns=columns, fill_value=0)
