# SPDX-License-Identifier: BSD-3-Clause
"""The candidates of each word, and which of them a column of weights picks."""

import numpy as np

from sklearn_neurox.evaluation._trees._numbered_words import number_words
from sklearn_neurox.utils._ragged import pointers

# The number of weights that are compared at a time.
_BLOCK_VALUES = 4_000_000
_BUILD = 'Make the pairs with pair_frame(words, heads="head", negatives="all").'


class Candidates:
    """Pairs gathered by their first word, whose partner is to be picked.

    Attributes
    ----------
    arcs : ndarray of shape (n_arcs,)
        The rows of the arcs, word by word.

    word : ndarray of shape (n_arcs,)
        The number of the first word of each arc.
    """

    def __init__(self, pairs, is_arc, caller):
        own = [name for name in ("text", "sentence_id") if name in pairs.columns]
        sentence = pairs.groupby(own, sort=False, observed=True, dropna=False).ngroup().to_numpy()
        first, other, n_words, sentence_of_word = number_words(pairs, sentence)
        _check_distinct(pairs, first, other, n_words, caller)
        _check_complete(pairs, first, other, sentence_of_word, caller)
        self._order = np.argsort(first, kind="stable")
        sizes = np.bincount(first)
        self._ptr = pointers(sizes[sizes > 0])
        self._is_arc = is_arc[self._order]
        self.arcs = self._order[self._is_arc]
        self.word = first[self.arcs]

    def picked(self, X):
        """Return how far each column picks each arc, of shape (n_arcs, n_columns).

        It is 1 if the arc has the greatest weight of the candidates of its word, 1 / n if n
        candidates share the greatest weight, and otherwise 0.
        """
        picked = np.empty((len(self.arcs), X.shape[1]))
        done = 0
        for start, stop in self._blocks(_BLOCK_VALUES // X.shape[1]):
            ptr = self._ptr[start : stop + 1]
            rows, begin = slice(ptr[0], ptr[-1]), ptr[:-1] - ptr[0]
            weights = X[self._order[rows]]
            sizes = np.diff(ptr)
            peaks = np.maximum.reduceat(weights, begin, axis=0)
            is_peak = weights == np.repeat(peaks, sizes, axis=0)
            n_peaks = np.add.reduceat(is_peak, begin, axis=0, dtype=np.int64)
            arcs = self._is_arc[rows]
            of_arc = np.repeat(np.arange(len(sizes)), sizes)[arcs]
            picked[done : done + len(of_arc)] = is_peak[arcs] / n_peaks[of_arc]
            done += len(of_arc)
        return picked

    def _blocks(self, n_rows):
        """Yield slices of words with about ``n_rows`` candidates, or of one word."""
        start, n_words = 0, len(self._ptr) - 1
        while start < n_words:
            stop = int(np.searchsorted(self._ptr, self._ptr[start] + n_rows, side="right")) - 1
            stop = min(max(stop, start + 1), n_words)
            yield start, stop
            start = stop


def _check_distinct(pairs, first, other, n_words, caller):
    same = first == other
    if same.any():
        raise ValueError(
            f"Row {int(same.argmax())} of the pairs given to {caller} pairs a word with itself "
            f"({same.sum()} such rows). Drop these rows."
        )
    keys = first * n_words + other
    order = np.argsort(keys, kind="stable")
    again = np.flatnonzero(np.diff(keys[order]) == 0)
    if len(again):
        before, row = order[again[0]], order[again[0] + 1]
        raise ValueError(
            f"Row {row} of the pairs given to {caller} repeats the pair of row {before} "
            f"({len(again)} such rows). Drop repeated pairs, or give repeated sentences a "
            "sentence_id each."
        )


def _check_complete(pairs, first, other, sentence_of_word, caller):
    """Raise an error if a word lacks a candidate that another word of its sentence has."""
    is_other = np.zeros(len(sentence_of_word), dtype=bool)
    is_other[other] = True
    n_others = np.bincount(sentence_of_word[is_other], minlength=sentence_of_word.max() + 1)
    expected = n_others[sentence_of_word] - is_other
    found = np.bincount(first, minlength=len(expected))
    lacking = (found > 0) & (found != expected)
    if lacking.any():
        word = int(lacking.argmax())
        row = int((first == word).argmax())
        raise ValueError(
            f"{caller} compares all candidates of a word, but {lacking.sum()} of "
            f"{(found > 0).sum()} words lack some. The first word of row {row} has {found[word]} "
            f"of {expected[word]}, in {pairs['text'].iloc[row][:60]!r}. {_BUILD}"
        )
