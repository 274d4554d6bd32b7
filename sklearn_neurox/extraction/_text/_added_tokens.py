# SPDX-License-Identifier: BSD-3-Clause
"""The special tokens that a tokenizer adds around a text: kept, left out, or not repeated."""

import numpy as np

from sklearn_neurox.extraction._text._roles import SPECIAL, TEXT
from sklearn_neurox.utils._ragged import pointers


def arrange_added_tokens(flat, ptr, add_special_tokens, *, renders_chats):
    """Leave out the added special tokens where they are not wanted.

    A text that begins with the special tokens that its tokenizer adds, such as the output of a chat
    template, is read as it stands: nothing is added, and its first tokens count as the added ones.

    Parameters
    ----------
    flat : dict of ndarray
        The tokens of all texts, with the added ones.

    ptr : ndarray of shape (n_texts + 1,)
        Text i has the tokens ``ptr[i]:ptr[i + 1]``.

    add_special_tokens : bool or "auto"

    renders_chats : bool
        Whether the tokenizer has a chat template, which then wrote the special tokens of texts that
        begin with one, so that nobody is to be warned of them.

    Returns
    -------
    flat : dict of ndarray
        The tokens that are left.

    ptr : ndarray of shape (n_texts + 1,)
    """
    role = flat["role"]
    complete = _complete_texts(flat, ptr) if add_special_tokens == "auto" else []
    if renders_chats:
        _trust_template(flat, ptr)
    keep = (role != SPECIAL) | (add_special_tokens is not False)
    for first, last, n in complete:
        keep[first:last] = role[first:last] != SPECIAL
        role[first + n : first + 2 * n] = SPECIAL
        flat["is_special_word"][first + n : first + 2 * n] = False
    if keep.all():
        return flat, ptr
    kept = {name: values[keep] for name, values in flat.items()}
    return kept, pointers(keep)[ptr]


def _trust_template(flat, ptr):
    """Forget that a text spells special tokens, if it begins with one, in place.

    A chat template wrote them then, also where the tokenizer itself adds none.
    """
    is_special = flat["is_special_word"]
    begins = np.flatnonzero(is_special & (flat["start"] == 0) & (flat["end"] > 0))
    for text in np.unique(np.searchsorted(ptr, begins, side="right") - 1):
        is_special[ptr[text] : ptr[text + 1]] = False


def _complete_texts(flat, ptr):
    """Find texts whose own first tokens are those that were added before: (first, last, n)."""
    ids, role = flat["ids"], flat["role"]
    spelled = flat["is_special_word"]
    found = []
    for text in np.unique(np.searchsorted(ptr, np.flatnonzero(spelled), side="right") - 1):
        first, last = int(ptr[text]), int(ptr[text + 1])
        n = int(np.argmax(role[first:last] == TEXT))
        own = slice(first + n, first + 2 * n)
        if n and spelled[own].all() and np.array_equal(ids[first : first + n], ids[own]):
            found.append((first, last, n))
    return found
