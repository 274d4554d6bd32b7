# SPDX-License-Identifier: BSD-3-Clause
"""The arcs of dependency trees as pairs of rows, and distances in these trees."""

import numpy as np
import pandas as pd

_BUILD = (
    "Build the pairs from all words of a sentence, with the 'position' and the heads of the "
    "treebank, and select pairs afterwards."
)
_NUMBERING = (
    "Heads count the words of a sentence from 1, and a root has the head 0. If your heads count "
    "from 0, add 1 to all but those of roots."
)


class Trees:
    """The dependency trees of the sentences of a frame.

    Parameters
    ----------
    words : DataFrame of shape (n_words, n_columns)
        With the columns ``sentence_id``, ``position`` and the one named by ``heads``.

    heads : str
        The column with the number of each word's head in its sentence, from 1, or 0 for a root.

    sentence : ndarray of shape (n_words,)
        The number of the sentence of each word.

    position : ndarray of shape (n_words,)
        The position of each word in its sentence, from 0.

    Raises
    ------
    ValueError
        If a head is missing, not a whole number, not a word of its sentence, or the word itself; if
        a position is repeated; or if heads form a cycle.
    """

    def __init__(self, words, heads, sentence, position):
        self.words = words
        number = _whole_numbers(words[heads], heads)
        keys, order = _keys(sentence, position)
        self._check_distinct(keys, order)
        self.head = np.arange(len(words))  # of a root, the root itself
        dependent = np.flatnonzero(number != 0)
        own = np.flatnonzero(number == position + 1)
        if len(own):
            raise ValueError(
                f"The head of {self._name(own[0])} is {number[own[0]]}, which is the word itself "
                f"({len(own)} such words). {_NUMBERING}"
            )
        wanted, width = sentence[dependent], int(position.max()) + 1
        place = number[dependent] - 1
        inside = (place >= 0) & (place < width)
        found = np.searchsorted(keys, wanted * width + np.where(inside, place, 0))
        found = np.minimum(found, len(keys) - 1)
        inside &= keys[found] == wanted * width + place
        if not inside.all():
            row = dependent[np.flatnonzero(~inside)[0]]
            raise ValueError(
                f"The head of {self._name(row)} is {number[row]}, but its sentence has no row with "
                f"the position {number[row] - 1} ({(~inside).sum()} such words). Heads count words "
                f"from 1, and 0 is the root. {_BUILD}"
            )
        self.head[dependent] = order[found]
        self.depth = self._depths()

    def arcs(self):
        """Return the rows of the dependents, which exclude roots, and the rows of their heads."""
        dependent = np.flatnonzero(self.head != np.arange(len(self.head)))
        return dependent, self.head[dependent]

    def distances(self, first, other):
        """Count the arcs between two words of each pair; -1 if no path joins them."""
        first, other = first.copy(), other.copy()
        distance = np.zeros(len(first), dtype=np.int64)
        active = np.flatnonzero(first != other)
        while len(active):
            a, b = first[active], other[active]
            lower = self.depth[a] >= self.depth[b]
            a, b = np.where(lower, self.head[a], a), np.where(lower, b, self.head[b])
            stuck = (a == first[active]) & (b == other[active])  # two roots
            distance[active] += 1
            distance[active[stuck]] = -1
            first[active], other[active] = a, b
            active = active[(a != b) & ~stuck]
        return distance

    def _check_distinct(self, keys, order):
        again = np.flatnonzero(np.diff(keys) == 0)
        if len(again):
            row, before = order[again[0] + 1], order[again[0]]
            raise ValueError(
                f"{self._name(row)} has the sentence_id and the position of {self._name(before)}, "
                "so heads do not tell them apart. Give each sentence its own id, or drop repeated "
                "rows."
            )

    def _depths(self):
        """Count the arcs from each word up to its root."""
        up, depth = self.head.copy(), (self.head != np.arange(len(self.head))).astype(np.int64)
        # Each round doubles the number of arcs climbed.
        for _ in range(int(np.ceil(np.log2(len(up) + 1))) + 1):
            depth = depth + depth[up]
            above = up[up]
            if (above == up).all():
                break
            up = above
        is_root = self.head == np.arange(len(self.head))
        lost = np.flatnonzero(~is_root[up])
        if len(lost):
            row, cycle = self.head[up[lost[0]]], []
            while row not in cycle:
                cycle.append(row)
                row = self.head[row]
            names = ", ".join(self._name(row) for row in sorted(cycle)[:4])
            raise ValueError(
                f"The heads of {len(cycle)} words form a cycle, so they are no tree: {names}. Fix "
                "their heads, or leave the sentence out."
            )
        return depth

    def _name(self, row):
        return name_row(self.words, row)


def name_row(words, row):
    """Return the position of a row, with its word and sentence, for messages."""
    known = [
        f"{name} {words[name].iloc[[row]].tolist()[0]!r}"
        for name in ("word", "sentence_id")
        if name in words.columns
    ]
    return f"row {row} ({', '.join(known)})" if known else f"row {row}"


def _keys(sentence, position):
    """Return sorted keys of sentence and position, and the rows in that order."""
    keys = sentence * (int(position.max()) + 1) + position
    order = np.argsort(keys, kind="stable")
    return keys[order], order


def _whole_numbers(column, name):
    """Return a column as integers; raise an error that names the first value that is none."""
    missing = column.isna().to_numpy()
    number = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~np.isfinite(number) | (number != np.floor(number)) | (number < 0)
    if wrong.any():
        row = int(wrong.argmax())
        value = column.iloc[[row]].tolist()[0]
        what = "missing" if missing[row] else f"{value!r}, not a whole number from 0"
        raise ValueError(
            f"The column {name!r} of pair_frame is {what} in row {row} ({wrong.sum()} such rows). "
            + (f"{_NUMBERING} " if number[row] < 0 else "")
            + "Fix these rows, or leave out their sentences."
        )
    return number.astype(np.int64)


def positions_of(words):
    """Return the column ``position`` of a frame as integers from 0."""
    return _whole_numbers(words["position"], "position")
