# SPDX-License-Identifier: BSD-3-Clause
"""Digest the code of functions, and list the names of globals in it."""

import hashlib
from functools import lru_cache
from types import CodeType


@lru_cache(maxsize=4096)
def digest_code(code):
    """Return a digest of the code of a function, with that of the functions within it."""
    digest = hashlib.sha256(code.co_code)
    for value in (code.co_names, code.co_varnames, code.co_freevars):
        digest.update(repr(value).encode())
    for constant in code.co_consts:
        is_code = isinstance(constant, CodeType)
        digest.update((digest_code(constant) if is_code else repr(constant)).encode())
    return digest.hexdigest()[:32]


@lru_cache(maxsize=4096)
def names_in(code):
    """Return the names by which a function and those within it refer to globals."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= dict.fromkeys(names_in(constant))
    return tuple(names)
