# SPDX-License-Identifier: BSD-3-Clause
"""The column blocks of the output matrix: their names, choice and order."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from sklearn_neurox.utils._names import block_neuron_names

MODULE = "module:"
COMPONENTS = ("hidden", "mlp", "attention", "embedding")
WEIGHTS, CROSS, SUMMARY = "attention_weights", "cross_attention_weights", "attention_summary"
# What is read of each head.
WEIGHT_PARTS = {
    WEIGHTS: ("to", "from"),
    CROSS: ("to",),
    SUMMARY: ("entropy", "first", "self"),
}


@dataclass(frozen=True)
class Block:
    """One component of one layer: adjacent columns of the matrix."""

    stack: str | None  # "encoder" or "decoder" if the model has both
    component: str  # "hidden", "mlp", "attention", "embedding" or "module:<path>"
    layer: int | None = None  # None for a module
    n_units: int | None = None  # None if it is unknown until the module runs
    n_heads: int | None = None  # of attention
    path: str | None = None  # of the hooked module, within its stack
    call: int = 0  # which of the module's calls in one forward pass
    index: int | None = None  # which of the module's outputs, of attention weights
    needs_flag: bool = False  # whether they need output_attentions=True

    @property
    def is_module(self):
        """Return whether the block was requested by the path of its module."""
        return self.component.startswith(MODULE)

    @property
    def has_layers(self):
        """Return whether the block belongs to a layer, which ``layers`` selects."""
        return not self.is_module and self.component != "embedding"

    @property
    def name(self):
        """Return the name of the block, such as ``"encoder.hidden.3"``."""
        if self.is_module:  # the path includes the stack
            return self.component
        prefix = f"{self.stack}." if self.stack else ""
        return f"{prefix}{self.component}.{self.layer}"

    def neuron_names(self, n_units):
        """Return the names of the neurons of the block."""
        if self.component in WEIGHT_PARTS:
            parts = WEIGHT_PARTS[self.component]
            heads = range(self.n_heads)
            return np.array([f"{self.name}.h{h}.{p}" for h in heads for p in parts], dtype=object)
        return block_neuron_names(self.name, n_units, n_heads=self.n_heads)


def check_components(component):
    """Return the ``component`` parameter as a tuple of distinct components."""
    asked = (component,) if isinstance(component, str) else tuple(component)
    weights = [name for name in asked if name in WEIGHT_PARTS]
    if weights and len(asked) > 1:
        raise ValueError(
            f"The 'component' parameter of ActivationExtractor is {component!r}, but "
            f"{weights[0]!r} is read alone. Join two pipelines by a FeatureUnion."
        )
    wrong = [
        name
        for name in asked
        if name not in (*COMPONENTS, *WEIGHT_PARTS)
        and not (isinstance(name, str) and name.startswith(MODULE) and len(name) > len(MODULE))
    ]
    if wrong or not asked or len(set(asked)) < len(asked):
        problem = (
            f"{wrong[0]!r} is not a component"
            if wrong
            else "it must name at least one component, all distinct"
        )
        raise ValueError(
            f"The 'component' parameter of ActivationExtractor is {component!r}, but {problem}. "
            f"Choose from {[*COMPONENTS, *WEIGHT_PARTS]} and 'module:<glob>', such as "
            "'module:*.output', or a list of them."
        )
    return asked


def choose_blocks(available, layers, *, model):
    """Select the blocks of some layers, in the order of the matrix.

    The order is by stack; within a stack, the embedding comes first, then all components layer by
    layer, then the modules.

    Parameters
    ----------
    available : tuple of Block
        All blocks of the requested components, in the order of the request.

    layers : int, list of int or None
        Negative numbers count from the last layer; None selects all.

    model : str
        The name of the model, for messages.

    Returns
    -------
    blocks : tuple of Block

    Raises
    ------
    ValueError
        If no component has layers, or if ``layers`` is empty, has repeats or has unknown numbers.
    """
    chosen = []
    for stack in dict.fromkeys(block.stack for block in available):
        own = [block for block in available if block.stack == stack]
        layered = [block for block in own if block.has_layers]
        known = sorted({block.layer for block in layered})
        wanted = _choose_layers(known, layers, stack, model)
        chosen += [block for block in own if block.component == "embedding"]
        chosen += [block for layer in wanted for block in layered if block.layer == layer]
        chosen += [block for block in own if block.is_module]
    return tuple(chosen)


def _choose_layers(known, layers, stack, model):
    if layers is None:
        return known
    asked = [layers] if isinstance(layers, Integral) else list(layers)
    # A mask would be read as the layers 0 and 1.
    if not all(isinstance(x, Integral) and not isinstance(x, bool) for x in asked):
        raise ValueError(
            "The 'layers' parameter of ActivationExtractor must be an int, a list of int or "
            f"None, got {layers!r}."
        )
    if not known:
        raise ValueError(
            f"The 'layers' parameter of ActivationExtractor is {layers!r}, but the "
            "requested components have no layers: embeddings and modules are read whole. Use "
            "layers=None."
        )
    chosen = [int(layer) + known[-1] + 1 if layer < 0 else int(layer) for layer in asked]
    wrong = [a for a, layer in zip(asked, chosen, strict=True) if layer not in known]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        problem = (
            f"there is no layer {wrong[0]}"
            if wrong
            else "it must name at least one layer, all distinct"
        )
        where = f"the {stack} of {model}" if stack else model
        first = "(0 is the embedding)" if known[0] == 0 else "for these components"
        raise ValueError(
            f"The 'layers' parameter of ActivationExtractor is {layers!r}, but {problem}; {where} "
            f"has the layers {known} {first}."
        )
    return chosen
