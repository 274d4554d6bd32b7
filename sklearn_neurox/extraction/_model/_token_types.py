# SPDX-License-Identifier: BSD-3-Clause
"""Find out whether a model has token types, or only a parameter of that name."""

import weakref
from functools import partial

import torch

from sklearn_neurox.extraction._model._forward import (
    accepted_by,
    base_of,
    evaluating,
    options_of,
    probe_inputs,
    run_once,
)
from sklearn_neurox.extraction._model._remembered import remembered
from sklearn_neurox.extraction._model._torch_model import TorchModel

_found: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def reads_token_types(model, stack, types):
    """Return whether a stack is to be given the token types that a tokenizer makes.

    GPT-2, XLM and others look them up in the table of their words: every token gets the embedding
    of some word added, if a tokenizer for another family makes token types.

    Parameters
    ----------
    model : PreTrainedModel or TorchModel

    stack : {"encoder", "decoder"} or None

    types : ndarray of int or None
        The token types.

    Raises
    ------
    ValueError
        If there are more types than the model has embeddings for.
    """
    if types is None or isinstance(model, TorchModel):
        return False
    base = base_of(model, stack)
    if not accepted_by(base, ["token_type_ids"]):
        return False
    known = remembered(_found, model, run_once)
    if stack not in known:
        known[stack] = not _looks_them_up_as_words(model, base, stack)
    if known[stack]:
        _check_types(base, types)
    return known[stack]


def _looks_them_up_as_words(model, base, stack):
    try:
        table = base.get_input_embeddings()
    except (NotImplementedError, AttributeError):  # a model that hashes characters
        return False
    if table is None:
        return False
    inputs, looked_up = probe_inputs(model, stack), []
    # The ids themselves are not zero.
    inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    handle = table.register_forward_pre_hook(
        lambda _, args: looked_up.append(bool(args) and not args[0].any())
    )
    try:
        with evaluating(model), torch.inference_mode():
            partial(base, **inputs, **options_of(base))()
    finally:
        handle.remove()
    return any(looked_up)


def _check_types(base, types):
    n_types = getattr(base.config, "type_vocab_size", None)
    if isinstance(n_types, int) and 0 < n_types <= types.max(initial=0):
        raise ValueError(
            f"The tokenizer makes token types up to {types.max()}, but {type(base).__name__} has "
            f"only {n_types} (type_vocab_size in its config). Pass the model's own tokenizer, or "
            "remove 'token_type_ids' from tokenizer.model_input_names."
        )
