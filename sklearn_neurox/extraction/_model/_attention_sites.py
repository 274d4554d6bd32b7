# SPDX-License-Identifier: BSD-3-Clause
"""Find the modules of a model that return attention weights, and make them return them."""

import contextlib
import threading
import weakref
from functools import partial

import torch

from sklearn_neurox.extraction._model._blocks import CROSS, WEIGHT_PARTS, Block
from sklearn_neurox.extraction._model._first_look import traits_of
from sklearn_neurox.extraction._model._forward import (
    base_of,
    evaluating,
    forward_of,
    probe_inputs,
    run_once,
    runs_whole,
)
from sklearn_neurox.extraction._model._hooks import watch_outputs
from sklearn_neurox.extraction._model._projections import block_modules
from sklearn_neurox.extraction._model._remembered import remembered
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._shared_scope import SharedScope
from sklearn_neurox.utils._torch import is_out_of_memory

_sites: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_scopes: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_scopes_lock = threading.Lock()


def find_attention(model, component, stack, *, name):
    """List the blocks of attention weights of a stack, one per layer that has them.

    Raises
    ------
    ValueError
        If the model returns no weights from each token to each token.
    """
    if isinstance(model, TorchModel):
        raise ValueError(_problem(component, name, "it is not a transformers model"))
    if component == CROSS and stack != "decoder":
        what = "only the decoder of an encoder-decoder attends to another text"
        raise ValueError(_problem(component, name, f"{what} (stack='decoder')"))
    kind = "cross_attentions" if component == CROSS else "attentions"
    traits = traits_of(model, stack)
    known = remembered(_sites, model, run_once)
    if (stack, kind) not in known:
        with evaluating(model), torch.inference_mode(), eager_attention(model):
            known[stack, kind] = _look(model, stack, kind, traits)
    found = known[stack, kind]
    if isinstance(found, str):
        raise ValueError(_problem(component, name, found))
    n_parts = len(WEIGHT_PARTS[component])
    return [
        Block(
            stack,
            component,
            layer,
            n_heads * n_parts,
            n_heads,
            path,
            call,
            index=index,
            needs_flag=needs_flag,
        )
        for layer, n_heads, path, call, index, needs_flag in found
    ]


def _problem(component, name, why):
    return (
        f"ActivationExtractor cannot read component={component!r} of {name}: {why}. Read other "
        "components, such as 'hidden'."
    )


def _look(model, stack, kind, traits):
    """Return layer, heads, module, call, index and flag of each site, or why there are none."""
    if traits.pads_itself:
        return "it attends in blocks of padded texts, not from each token to each token"
    base, inputs = base_of(model, stack), probe_inputs(model, stack)
    length = inputs["input_ids"].shape[1]
    forward = forward_of(model, stack, inputs)
    try:
        seen, output = watch_outputs(partial(forward, output_attentions=True), base)
        plain, _ = watch_outputs(forward, base)
    except Exception as error:  # whatever a model raises that cannot return its weights
        if is_out_of_memory(error):
            raise
        reason = (str(error).strip().splitlines() or [""])[0][:200]
        return f"it returns no attention weights ({type(error).__name__}: {reason})"
    name = f"{stack}_{kind}" if runs_whole(base) and kind == "attentions" else kind
    weights = getattr(output, name, None) or ()
    weights = [each for each in weights if each is not None]
    if not weights:
        return "it returns no attention weights: it has no attention, or does not keep its weights"
    odd = next((each for each in weights if each.ndim != 4 or each.shape[-1] != length), None)
    if odd is not None or any(w.shape[-2] != length for w in weights):
        shape = tuple((weights[0] if odd is None else odd).shape)
        return f"its attention of shape {shape} has no weight from each token to each token"
    layers = range(1, len(weights) + 1)
    sites = [_site_of(each, seen) for each in weights]
    if None in sites:
        return "no module in it returns the attention weights that it outputs"
    if len(weights) != traits.n_layers:
        layers = _layers_of(sites, block_modules(base, model.config, stack))
        if None in layers:
            return f"it has {len(weights)} matrices of weights for {traits.n_layers} layers"
    places = {site for site, _ in plain}
    return [
        (layer, each.shape[1], *site, site not in places)
        for layer, each, site in zip(layers, weights, sites, strict=True)
    ]


def _site_of(weights, seen):
    """Return the path, call and index of the first module that returned some weights."""
    return next((site for site, state in seen if state is weights), None)


def _layers_of(sites, blocks):
    """Return the layer of the block that contains each module."""
    return [
        next((layer for layer, (own, _) in blocks.items() if path.startswith(f"{own}.")), None)
        for path, _, _ in sites
    ]


def eager_attention(model):
    """Make a model compute its attention step by step within the context, and keep the weights.

    Fused attention never holds them. Threads that read the same model meanwhile get the same states
    but for their last bits.
    """
    with _scopes_lock:
        scope = _scopes.get(model)
        if scope is None:
            # Not the model itself, which would keep it alive.
            scope = _scopes[model] = SharedScope(partial(_eagerly, weakref.ref(model)))
    return scope()


@contextlib.contextmanager
def _eagerly(reference):
    from transformers.utils import logging

    model = reference()
    before = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        for own in (config, *_nested(config)):
            if hasattr(own, "_attn_implementation_internal"):
                before[id(own)] = own, own._attn_implementation_internal
    verbosity = logging.get_verbosity()
    try:
        changes = any(implementation != "eager" for _, implementation in before.values())
        if changes and hasattr(model, "set_attn_implementation"):
            logging.set_verbosity(logging.CRITICAL)
            try:
                # A model with fused attention only then returns no weights, which is an error.
                with contextlib.suppress(ValueError, NotImplementedError, ImportError):
                    model.set_attn_implementation("eager")
            finally:
                logging.set_verbosity(verbosity)
        yield
    finally:
        for config, implementation in before.values():
            config._attn_implementation_internal = implementation


def _nested(config):
    names = getattr(config, "sub_configs", None) or ()
    return [getattr(config, name, None) for name in names]
