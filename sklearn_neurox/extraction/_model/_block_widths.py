# SPDX-License-Identifier: BSD-3-Clause
"""How many neurons blocks have, and their names, block after block."""

import numpy as np


def join_neuron_names(blocks, widths):
    """Return the names of the neurons, block after block."""
    return np.concatenate([b.neuron_names(n) for b, n in zip(blocks, widths, strict=True)])


def widths_of(spec, blocks):
    """Return the number of neurons of each block; modules must run once to reveal theirs."""
    paths = {}
    for block in blocks:
        if block.n_units is None:
            paths.setdefault(block.stack, []).append(block.path)
    if not paths:
        return tuple(block.n_units for block in blocks)
    from sklearn_neurox.extraction._model._forward import module_widths
    from sklearn_neurox.extraction._model._loading import load_model

    model = load_model(spec)
    found = {stack: module_widths(model, stack, own) for stack, own in paths.items()}
    return tuple(found[b.stack][b.path] if b.n_units is None else b.n_units for b in blocks)
