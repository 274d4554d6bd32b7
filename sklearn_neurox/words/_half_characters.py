# SPDX-License-Identifier: BSD-3-Clause
"""Errors about half a character (a lone surrogate), which a column of strings cannot hold."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

HALF_CHARACTER = (
    "half of a surrogate pair. Neither files nor tokenizers accept that. It comes from decoding "
    "with errors='surrogateescape' or from cutting UTF-16; read the source as UTF-8."
)


def refuse_half_characters(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function so that an error about half a character quotes it."""

    @wraps(function)
    def wrapper(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except UnicodeEncodeError as error:
            around = str(error.object)[max(error.start - 20, 0) : error.start + 20]
            name = function.__name__
            raise ValueError(f"{name} got {around!r}, which contains {HALF_CHARACTER}") from None

    return wrapper
