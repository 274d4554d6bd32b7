# SPDX-License-Identifier: BSD-3-Clause
"""The blocks in a cache, stored so that layers can be chosen and named without the model."""

from dataclasses import replace

from sklearn_neurox.extraction._model._blocks import Block


def layout_of(source):
    """Return the blocks of a `ModelSource`, each with its width, as a cache stores them."""
    return tuple(
        replace(block, n_units=int(width), path=None, call=0)
        for block, width in zip(source.blocks, source.block_widths, strict=True)
    )


def write_layout(layout):
    """Turn a layout into lists, for JSON."""
    return [[b.stack, b.component, b.layer, b.n_units, b.n_heads] for b in layout]


def read_layout(stored):
    """Turn the lists of `write_layout` back into a layout."""
    return tuple(Block(*block) for block in stored)
