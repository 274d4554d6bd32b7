# SPDX-License-Identifier: BSD-3-Clause
"""Which blocks a cache holds, so that layers can be chosen and named without the model."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd

from sklearn_neurox.utils._names import parse_neuron_names


@dataclass(frozen=True)
class Block:
    """One layer of one component: a block of columns of the matrix."""

    name: str
    width: int
    n_heads: int = 0  # 0 where neurons have no head in their names

    def feature_names(self):
        """Name the neurons."""
        if not self.n_heads:
            return [f"{self.name}.{unit}" for unit in range(self.width)]
        size = self.width // self.n_heads
        return [f"{self.name}.h{unit // size}.{unit % size}" for unit in range(self.width)]


def layout_of(source):
    """Describe the blocks of a source.

    Parameters
    ----------
    source : ModelSource

    Returns
    -------
    layout : tuple of Block or None
        None where the names of its neurons follow no rule known here.
    """
    names = list(source.feature_names())
    ends = np.cumsum(source.block_widths).tolist()
    blocks = []
    for name, width, end in zip(source.block_names, source.block_widths, ends, strict=True):
        head = parse_neuron_names(names[end - 1 : end])["head"][0]
        blocks.append(Block(name, int(width), 0 if pd.isna(head) else int(head) + 1))
    if [name for block in blocks for name in block.feature_names()] != names:
        return None
    return tuple(blocks)


def choose_blocks(layout, layers):
    """Choose the blocks of some layers.

    Parameters
    ----------
    layout : tuple of Block
        All there are.

    layers : int, list of int or None
        As `ActivationExtractor` takes them.

    Returns
    -------
    blocks : tuple of Block or None
        None where the choice is wrong, or needs to know more of the model than the layout tells.
    """
    if layers is None:
        return layout
    parsed = parse_neuron_names([f"{block.name}.0" for block in layout])
    several = len(parsed[["stack", "component"]].drop_duplicates()) != 1
    # The embedding has a number in its name, but is of no layer.
    if several or parsed["layer"].isna().any() or (parsed["component"] == "embedding").any():
        return None
    known = dict(zip(parsed["layer"].tolist(), layout, strict=True))
    asked = [layers] if isinstance(layers, Integral) else list(layers)
    if not asked or not all(isinstance(layer, Integral) for layer in asked):
        return None
    last = max(known)
    chosen = [int(layer) + last + 1 if layer < 0 else int(layer) for layer in asked]
    if not known.keys() >= set(chosen) or len(set(chosen)) < len(chosen):
        return None
    return tuple(known[layer] for layer in chosen)
