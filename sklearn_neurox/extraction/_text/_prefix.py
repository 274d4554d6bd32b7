# SPDX-License-Identifier: BSD-3-Clause
"""Tokens in front of every input, which belong to no row."""

from dataclasses import replace

import numpy as np

from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._text._roles import PREFIX, SPECIAL
from sklearn_neurox.utils._files._foreign_files import reason_of
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._torch import is_out_of_memory


def with_prefix(encodings, tokenizer, request):
    """Put the prefix of a request in front of each text, after the special tokens added there.

    Spans do not move, and the windows of a long text all begin with the prefix, as they do with
    special tokens. ``"bos"`` changes no text that begins with this token anyway.
    """
    if request.prefix is None:
        return encodings
    ids, ptr = _prefix_ids(tokenizer, request), encodings.ptr
    role, counts = encodings.role.copy(), np.full(len(ptr) - 1, len(ids))
    if request.prefix == "bos":
        first = ptr[:-1][np.diff(ptr) > 0]
        first = first[encodings.ids[first] == ids[0]]
        role[first] = SPECIAL  # also where the text itself spells the token
        counts[np.searchsorted(ptr, first, side="right") - 1] = 0
    others = np.append(np.flatnonzero(role != SPECIAL), len(role))
    place = np.minimum(others[np.searchsorted(others, ptr[:-1])], ptr[1:])
    where = np.repeat(place, counts)
    added = dict.fromkeys(("types", "start", "end"), 0)
    added |= dict.fromkeys(("is_special_word", "has_space", "is_cls"), False)
    added |= {"ids": np.tile(ids, np.count_nonzero(counts)), "role": PREFIX}
    encodings = replace(encodings, role=role)
    tokens = {name: getattr(encodings, name) for name in added}
    longer = {
        name: None if own is None else np.insert(own, where, added[name])
        for name, own in tokens.items()
    }
    return replace(encodings, **longer, ptr=ptr + pointers(counts))


def _prefix_ids(tokenizer, request):
    """Tokenize the prefix on its own, without special tokens around it."""
    prefix, name = request.prefix, type(tokenizer).__name__
    if isinstance(tokenizer, TorchModel):
        raise ValueError(
            f"The 'encode' of {tokenizer} decides how a text begins, so prefix={prefix!r} has no "
            "effect. Leave it at None, and let 'encode' return the prefix with empty spans."
        )
    if prefix == "bos":
        if tokenizer.bos_token_id is None:
            raise ValueError(
                f"The 'prefix' parameter of ActivationExtractor is 'bos', but {name} has no BOS "
                "token. Pass a text, such as '\\n' or that of another special token, or set "
                "tokenizer.bos_token."
            )
        return np.array([tokenizer.bos_token_id], dtype=np.int64)
    try:
        ids = tokenizer(
            prefix,
            add_special_tokens=False,
            split_special_tokens=request.split_special_tokens,
            verbose=False,
        )["input_ids"]
    except Exception as error:  # each library complains about surrogates in its own way
        if is_out_of_memory(error):
            raise
        raise ValueError(
            f"The 'prefix' parameter of ActivationExtractor, {prefix!r}, cannot be read by {name}: "
            f"{reason_of(error)}."
        ) from error
    if not len(ids):
        raise ValueError(
            f"The 'prefix' parameter of ActivationExtractor is {prefix!r}, of which {name} makes "
            "no token. Pass 'bos', a text that has characters, or None."
        )
    return np.array(ids, dtype=np.int64)
