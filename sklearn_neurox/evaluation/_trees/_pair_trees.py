# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of words, gathered into sentences with a distance between any two words."""

import numpy as np
from sklearn.utils import check_array, column_or_1d

from sklearn_neurox.evaluation._trees._numbered_words import number_words
from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._validation import check_equal_lengths, check_row_order

_SPANS = ["text", "start", "end", "other_start", "other_end"]


class PairTrees:
    """Sentences, their words and the unordered pairs of these words.

    Words are numbered by sentence and, in a sentence, by their place.

    Attributes
    ----------
    table : DataFrame of shape (n_trees, n_columns)
        The text, the sentence ID if there is one, and the number of words, of each sentence.

    tree, low, high : ndarray of shape (n_pairs,)
        The sentence and the words of each pair, with ``low < high``.

    true, predicted : ndarray of shape (n_pairs,)
        Distances; those that were predicted for both orders of a pair are averaged.

    tree_of_word : ndarray of shape (n_words,)
    """

    def __init__(self, pairs, y_true, y_pred, caller):
        self._caller = caller
        own = [name for name in ("text", "sentence_id") if name in pairs.columns]
        by_sentence = pairs.groupby(own, sort=False, observed=True, dropna=False)
        tree = by_sentence.ngroup().to_numpy()
        first, other, n_words, self.tree_of_word = number_words(pairs, tree)
        same = first == other
        if same.any():
            raise ValueError(
                f"Row {int(same.argmax())} of pairs pairs a word with itself ({same.sum()} such "
                f"rows). {caller} compares distances between different words; drop these rows."
            )
        low, high = np.minimum(first, other), np.maximum(first, other)
        keys, rows, codes = np.unique(low * n_words + high, return_index=True, return_inverse=True)
        self.low, self.high = np.divmod(keys, n_words)
        self.tree, self.true = tree[rows], y_true[rows]
        differ = y_true != self.true[codes]
        if differ.any():
            row = int(differ.argmax())
            raise ValueError(
                f"y_true has two distances for one pair of words: {self.true[codes[row]]} at row "
                f"{rows[codes[row]]} and {y_true[row]} at row {row}."
            )
        self.predicted = np.bincount(codes, y_pred) / np.bincount(codes)
        self.table = pairs.iloc[by_sentence.head(1).index][own].reset_index(drop=True)
        self.table["n_words"] = np.bincount(self.tree_of_word)
        self._check_complete()

    def _check_complete(self):
        n_words = self.table["n_words"].to_numpy()
        expected, found = n_words * (n_words - 1) // 2, np.bincount(self.tree)
        lacking = expected != found
        if lacking.any():
            tree = int(lacking.argmax())
            raise ValueError(
                f"{self._caller} needs every pair of the words of a sentence, in one order or "
                f"both, but {lacking.sum()} of {len(found)} sentences lack some. The first has "
                f"{found[tree]} of {expected[tree]} pairs: {self.table['text'][tree][:60]!r}. Make "
                'the pairs with pair_frame(words, heads="head", negatives="all").'
            )


def read_trees(y_true, y_pred, pairs, *, ignore=None, caller):
    """Check distances and their pairs, and gather them into sentences."""
    y_true, y_pred, pairs, ignore = map(to_pandas, (y_true, y_pred, pairs, ignore))
    pairs = read_frame(pairs, caller=caller, name="pairs")
    absent = [name for name in _SPANS if name not in pairs.columns]
    if absent:
        raise ValueError(
            f"The 'pairs' parameter of {caller} lacks the column {absent[0]!r}; it has "
            f"{list(pairs.columns)}. Make the pairs with pair_frame."
        )
    check_equal_lengths(caller, y_true=y_true, y_pred=y_pred, pairs=pairs, ignore=ignore)
    check_row_order(pairs=pairs, y_true=y_true, y_pred=y_pred, ignore=ignore)
    numbers = [_numbers(y_true, "y_true", caller), _numbers(y_pred, "y_pred", caller)]
    if (numbers[0] < 0).any():
        raise ValueError(f"y_true of {caller} has negative distances.")
    if ignore is not None:
        keep = ~_mask(ignore, caller)
        pairs, numbers = pairs[keep], [values[keep] for values in numbers]
    if not len(pairs):
        raise ValueError(f"{caller} was given no pairs.")
    return PairTrees(pairs.reset_index(drop=True), *numbers, caller)


def _numbers(values, name, caller):
    check_no_missing_labels(values, input_name=name)
    return check_array(
        column_or_1d(np.asarray(values)),
        ensure_2d=False,
        dtype=np.float64,
        input_name=name,
        estimator=caller,
    )


def _mask(ignore, caller):
    ignore = column_or_1d(np.asarray(ignore))
    if ignore.dtype != bool:
        raise ValueError(
            f"The 'ignore' parameter of {caller} must be one bool per pair, got {ignore.dtype}."
        )
    return ignore
