# SPDX-License-Identifier: BSD-3-Clause
"""Turn tokenized texts into model inputs: one per text, or several overlapping windows."""

from dataclasses import dataclass

import numpy as np

from sklearn_neurox.extraction._text._roles import TEXT
from sklearn_neurox.utils._ragged import pointers, ranges


@dataclass(frozen=True)
class Sequences:
    """Model inputs, one after the other; input i is ``ptr[i]:ptr[i + 1]``."""

    ids: np.ndarray
    types: np.ndarray | None
    ptr: np.ndarray

    @property
    def lengths(self):
        """The number of tokens per input."""
        return np.diff(self.ptr)

    def __len__(self):
        return len(self.ptr) - 1

    def take(self, which):
        """Return some inputs, in the given order."""
        places, ptr = ranges(self.ptr[:-1][which], self.lengths[which])
        types = None if self.types is None else self.types[places]
        return Sequences(self.ids[places], types, ptr)


@dataclass(frozen=True)
class Placement:
    """The model input and position of each token of each row."""

    sequence: np.ndarray
    position: np.ndarray


def too_long(encodings, max_length):
    """Return the texts with more tokens than the model can read."""
    return np.flatnonzero(np.diff(encodings.ptr) > max_length)


def make_sequences(encodings, alignment, max_length, *, causal):
    """Lay out the model inputs, cutting long texts into overlapping windows.

    Adjacent windows share half their tokens. All tokens of a row come from the one window that
    gives the row the most context: the largest distance to the nearer cut for a bidirectional
    model, or to the left cut for a causal one. If a row is longer than a window, each of its tokens
    comes from the best window for that token.

    Parameters
    ----------
    encodings : Encodings
        The tokens.

    alignment : Alignment
        The tokens of each row.

    max_length : int
        The maximum number of tokens per input, including special tokens.

    causal : bool
        Whether a token sees only the tokens before it.

    Returns
    -------
    sequences : Sequences

    placement : Placement
        One entry per token of the alignment.

    first_sequence : ndarray of shape (n_texts,)
        The first input of each text.
    """
    long_texts = set(too_long(encodings, max_length).tolist())
    if not long_texts:
        n_texts = len(encodings.ptr) - 1
        text = np.searchsorted(encodings.ptr, alignment.tokens, side="right") - 1
        position = alignment.tokens - encodings.ptr[text]
        sequences = Sequences(encodings.ids, encodings.types, encodings.ptr)
        return sequences, Placement(text, position), np.arange(n_texts)
    layout = _Layout(encodings, max_length, long_texts)
    return layout.sequences(), layout.place(alignment, causal), layout.first_sequence


class _Layout:
    """The windows of each text, and the place of each token in one of them."""

    def __init__(self, encodings, max_length, long_texts):
        self.encodings = encodings
        self.long_texts = long_texts
        self.windows = []  # one per model input
        starts = []
        for text in range(len(encodings.ptr) - 1):
            starts.append(len(self.windows))
            tokens = np.arange(encodings.ptr[text], encodings.ptr[text + 1])
            if text in long_texts:
                self.windows += _cut(tokens, encodings.role[tokens], max_length)
            else:
                self.windows.append(_Window(tokens, 0, 0))
        self.window_ptr = np.array([*starts, len(self.windows)], dtype=np.int64)
        self.first_sequence = self.window_ptr[:-1]

    def sequences(self):
        tokens = np.concatenate([window.tokens for window in self.windows])
        ptr = pointers([len(window.tokens) for window in self.windows])
        types = None if self.encodings.types is None else self.encodings.types[tokens]
        return Sequences(self.encodings.ids[tokens], types, ptr)

    def place(self, alignment, causal):
        tokens = alignment.tokens
        text = np.searchsorted(self.encodings.ptr, tokens, side="right") - 1
        sequence = self.first_sequence[text]
        position = tokens - self.encodings.ptr[text]
        row = np.repeat(np.arange(len(alignment.counts)), alignment.counts)
        for long_text in self.long_texts:
            first, last = self.window_ptr[long_text : long_text + 2]
            inside = np.flatnonzero(text == long_text)
            if len(inside):
                window, place = _choose(
                    tokens[inside], row[inside], self.windows[first:last], causal
                )
                sequence[inside], position[inside] = first + window, place
        return Placement(sequence, position)


@dataclass(frozen=True)
class _Window:
    tokens: np.ndarray
    first: int  # the first and one past the last token of the text, without special tokens
    last: int


def _cut(tokens, role, max_length):
    content = np.flatnonzero(role == TEXT)
    before, after = tokens[: content[0]], tokens[content[-1] + 1 :]
    content = tokens[content[0] : content[-1] + 1]
    room = max_length - len(before) - len(after)
    starts = [*range(0, len(content) - room, max(1, room // 2)), len(content) - room]
    return [
        _Window(
            np.concatenate([before, content[start : start + room], after]),
            int(content[start]),
            int(content[start]) + room,
        )
        for start in starts
    ]


def _choose(tokens, row, windows, causal):
    """Choose a window for each row of one text, or for each token of a row that fits in none."""
    low = np.array([window.first for window in windows])
    high = np.array([window.last for window in windows])
    lead = np.array([np.flatnonzero(w.tokens == w.first)[0] for w in windows])
    _, group = np.unique(row, return_inverse=True)
    first = np.full(group.max() + 1, np.iinfo(np.int64).max)
    last = np.full(group.max() + 1, -1)
    np.minimum.at(first, group, tokens)
    np.maximum.at(last, group, tokens)
    fits = ((low <= first[:, None]) & (last[:, None] < high)).any(axis=1)[group]
    begin = np.where(fits, first[group], tokens)
    end = np.where(fits, last[group], tokens) + 1
    window = _most_context(begin, end, low, high, causal)
    position = tokens - low[window] + lead[window]
    # Special tokens before the text are in its first window, those after it in its last.
    ahead, behind = tokens < low[0], tokens >= high[-1]
    window = np.where(ahead, 0, np.where(behind, len(windows) - 1, window))
    position = np.where(ahead, tokens - windows[0].tokens[0], position)
    tail = windows[-1].tokens
    position = np.where(behind, len(tail) - 1 - (tail[-1] - tokens), position)
    return window, position


def _most_context(begin, end, low, high, causal):
    endless = np.iinfo(np.int64).max // 2
    left = begin[:, None] - low
    right = high - end[:, None]
    inside = (left >= 0) & (right >= 0)
    left = np.where(np.arange(len(low)) == 0, endless, left)
    right = np.where(np.arange(len(low)) == len(low) - 1, endless, right)
    context = left if causal else np.minimum(left, right)
    return np.where(inside, context, -1).argmax(axis=1)
