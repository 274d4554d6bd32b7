# SPDX-License-Identifier: BSD-3-Clause
"""Which blocks a cache holds, so that layers can be chosen and named without the model."""

from dataclasses import replace

from sklearn_neurox.extraction._model._blocks import Block


def layout_of(source):
    """List the blocks of a source, each with its width.

    Parameters
    ----------
    source : ModelSource

    Returns
    -------
    layout : tuple of Block
    """
    widths = source.block_widths
    return tuple(
        replace(block, n_units=int(width), path=None, call=0)
        for block, width in zip(source.blocks, widths, strict=True)
    )


def write_layout(layout):
    """Turn a layout into what JSON can hold."""
    return [[b.stack, b.component, b.layer, b.n_units, b.n_heads] for b in layout]


def read_layout(stored):
    """Turn what `write_layout` returned back into a layout."""
    return tuple(Block(*block) for block in stored)
