# SPDX-License-Identifier: BSD-3-Clause
"""How much longer the state of an input's first token is than those of the others."""

# In SmolLM2, the first token's state is 50 to 170 times as long in the layers with a sink, and at
# most 10 times in all others; in models without sinks, the ratio is near 1.
_LEAST_RATIO = 12.0


def sink_layers(states):
    """Return the layers in which the first token of a test run is an attention sink, as a set.

    ``states`` has the hidden states of each layer, of shape (1, n_tokens, n_units).
    """
    found = set()
    for layer, state in enumerate(states):
        if state.ndim != 3 or state.shape[1] < 2:
            continue
        lengths = state[0].float().norm(dim=-1)
        if bool(lengths[0] > _LEAST_RATIO * lengths[1:].median()):
            found.add(layer)
    return frozenset(found)


def is_sink(block, layers):
    """Return whether the first token is a sink in a block, given the layers where it is one."""
    if block.stack == "decoder":  # reads a token of its own before the text
        return False
    if block.layer is None or block.component == "embedding":
        return block.is_module and bool(layers)
    if block.component == "hidden":
        return block.layer in layers
    return bool({block.layer - 1, block.layer} & layers)
