# SPDX-License-Identifier: BSD-3-Clause
"""Column blocks of the matrix: which a model can fill, which were asked for, in what order."""

from dataclasses import dataclass
from numbers import Integral

from sklearn_neurox.utils._names import block_neuron_names

MODULE = "module:"
COMPONENTS = ("hidden", "mlp", "attention", "embedding")


@dataclass(frozen=True)
class Block:
    """One component of one layer: neighbouring columns of the matrix."""

    stack: str | None  # "encoder" or "decoder" where the model has both
    component: str  # "hidden", "mlp", "attention", "embedding" or "module:<path>"
    layer: int | None = None  # None for a module
    n_units: int | None = None  # None where only running the module can tell
    n_heads: int | None = None  # of attention
    path: str | None = None  # the module that is watched, within its stack
    call: int = 0  # which of its calls in one forward pass

    @property
    def is_module(self):
        """Tell whether the block was asked for by the path of its module."""
        return self.component.startswith(MODULE)

    @property
    def has_layers(self):
        """Tell whether the block is one of a layer, which ``layers`` chooses."""
        return not self.is_module and self.component != "embedding"

    @property
    def name(self):
        """Name the block, such as ``"encoder.hidden.3"``."""
        if self.is_module:  # the path says which stack
            return self.component
        prefix = f"{self.stack}." if self.stack else ""
        return f"{prefix}{self.component}.{self.layer}"

    def neuron_names(self, n_units):
        """Name the neurons of the block."""
        return block_neuron_names(self.name, n_units, n_heads=self.n_heads)


def check_components(component):
    """Turn the ``component`` parameter into a tuple of components.

    Parameters
    ----------
    component : str or list of str

    Returns
    -------
    components : tuple of str

    Raises
    ------
    ValueError
        For another component, a repeated one, or none.
    """
    asked = (component,) if isinstance(component, str) else tuple(component)
    wrong = [
        name
        for name in asked
        if name not in COMPONENTS
        and not (isinstance(name, str) and name.startswith(MODULE) and len(name) > len(MODULE))
    ]
    if wrong or not asked or len(set(asked)) < len(asked):
        problem = f"{wrong[0]!r} is none" if wrong else "they must be distinct, at least one"
        raise ValueError(
            f"The 'component' parameter of ActivationExtractor is {component!r}, but {problem}. "
            f"Choose from {list(COMPONENTS)} and 'module:<glob>', such as 'module:*.output', or "
            "a list of them."
        )
    return asked


def choose_blocks(available, layers, *, model):
    """Pick the blocks of some layers, in the order of the matrix.

    Stack by stack; within it the embedding, layer by layer all components, then the modules.

    Parameters
    ----------
    available : tuple of Block
        All that the components asked for have, the components in the order asked.

    layers : int, list of int or None
        Negative ones count from the last; None takes all.

    model : str
        The model's name, for the error message.

    Returns
    -------
    blocks : tuple of Block

    Raises
    ------
    ValueError
        For a layer that no component has, a repeated one, or none at all.
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
    # A mask would be taken for the layers 0 and 1.
    if not all(isinstance(x, Integral) and not isinstance(x, bool) for x in asked):
        raise ValueError(
            "The 'layers' parameter of ActivationExtractor must be an int, a list of int or "
            f"None, got {layers!r}."
        )
    if not known:
        raise ValueError(
            f"The 'layers' parameter of ActivationExtractor is {layers!r}, but the components "
            "asked for have no layers: embeddings and modules are taken whole. Leave it None."
        )
    chosen = [int(layer) + known[-1] + 1 if layer < 0 else int(layer) for layer in asked]
    wrong = [a for a, layer in zip(asked, chosen, strict=True) if layer not in known]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        problem = (
            f"there is no layer {wrong[0]}" if wrong else "must name distinct ones, at least one"
        )
        where = f"the {stack} of {model}" if stack else model
        first = "(0 is the embedding)" if known[0] == 0 else "for these components"
        raise ValueError(
            f"The 'layers' parameter of ActivationExtractor is {layers!r}, but {problem}; {where} "
            f"has {known} {first}."
        )
    return chosen
