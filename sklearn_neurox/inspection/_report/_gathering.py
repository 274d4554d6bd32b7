# SPDX-License-Identifier: BSD-3-Clause
"""One pass over a matrix of activations, in blocks of columns, for everything a report shows."""

from typing import NamedTuple

import numpy as np

from sklearn_neurox.inspection._report._distributions import N_BINS, QUANTILES, class_distributions
from sklearn_neurox.inspection._report._responses import (
    extremes,
    text_extremes,
    window_values,
    word_means,
)
from sklearn_neurox.inspection._report._spans import lay_out_spans, word_types

# The maximum number of values in a block, and of counts in its bins.
_BLOCK_ENTRIES = 4_000_000
# With fewer columns, the same memory would be read repeatedly.
_LEAST_COLUMNS = 16
# The number of words of a long text that are shown around a word.
WINDOW = 40
# The number of standard deviations at which colors are full; larger values are clipped.
FULL_COLOR = 4.0


class Choice(NamedTuple):
    """Which responses of the neurons to gather."""

    detailed: np.ndarray  # the columns with words and sentences, ascending
    n_top_words: int
    n_contexts: int
    min_count: int


def gather(X, classes, n_classes, words, choice):
    """Read a finite matrix once, and return the arrays of a report and its `types` and `texts`."""
    reader = _Reader(X, classes, n_classes, words, choice)
    n_columns = max(
        _LEAST_COLUMNS, _BLOCK_ENTRIES // max(X.shape[0], 256 * n_classes, len(reader.kept))
    )
    for start in range(0, X.shape[1], n_columns):
        reader.read(slice(start, min(start + n_columns, X.shape[1])))
    return reader.result()


class _Reader:
    """Fill the arrays of a report, block by block."""

    def __init__(self, X, classes, n_classes, words, choice):
        self.X, self.classes, self.choice = X, classes, choice
        n_neurons = X.shape[1]
        self.spans = lay_out_spans(words)
        codes, self.types = word_types(words)
        counts = np.bincount(codes, minlength=len(self.types))
        self.kept = np.flatnonzero(counts >= choice.min_count)
        renumbered = np.full(len(self.types), -1)
        renumbered[self.kept] = np.arange(len(self.kept))
        self.type_counts = counts[self.kept]
        self.averages = word_means(renumbered[codes], len(self.kept), self.type_counts)
        sizes = np.bincount(classes, minlength=n_classes)
        self.class_averages = np.zeros((len(classes), n_classes), dtype=np.float32)
        self.class_averages[np.arange(len(classes)), classes] = 1 / sizes[classes]
        n_words = min(choice.n_top_words, len(self.kept))
        n_texts = min(choice.n_contexts, len(self.spans.texts))
        n_detailed = len(choice.detailed)
        self.arrays = {
            "mean": np.empty(n_neurons),
            "deviation": np.empty(n_neurons),
            "range": np.empty((n_neurons, 2), np.float32),
            "class_mean": np.empty((n_neurons, n_classes), np.float32),
            "shares": np.empty((n_neurons, n_classes, N_BINS), np.uint8),
            "quantiles": np.empty((n_neurons, n_classes, len(QUANTILES)), np.uint8),
            "top_word": np.empty((n_detailed, 2, n_words), np.int32),
            "top_word_mean": np.empty((n_detailed, 2, n_words), np.float32),
            "context": np.empty((n_detailed, 2, n_texts), np.int32),
            "context_value": np.empty((n_detailed, 2, n_texts), np.float32),
        }
        self.window_values = []

    def read(self, block):
        values, mean, deviation = _standardized(self.X[:, block])
        into = self.arrays
        into["mean"][block], into["deviation"][block] = mean, deviation
        n_classes = self.class_averages.shape[1]
        into["class_mean"][block] = values @ self.class_averages
        into["range"][block], into["shares"][block], into["quantiles"][block] = class_distributions(
            values, self.classes, n_classes
        )
        begin, stop = np.searchsorted(self.choice.detailed, [block.start, block.stop])
        if begin < stop:
            places = self.choice.detailed[begin:stop] - block.start
            self._read_responses(slice(begin, stop), values[places])

    def _read_responses(self, rows, values):
        into = self.arrays
        by_type = (self.averages @ values.T).T
        chosen = extremes(by_type, into["top_word"].shape[2])
        into["top_word"][rows] = chosen
        into["top_word_mean"][rows] = _taken(by_type, chosen)
        values = values[:, self.spans.row]
        focus = text_extremes(values, self.spans, into["context"].shape[2])
        into["context"][rows] = focus
        into["context_value"][rows] = _taken(values, focus)
        around = window_values(values, self.spans, focus, WINDOW)
        around *= 127 / FULL_COLOR
        self.window_values.append(around.clip(-127, 127).round().astype(np.int8))

    def result(self):
        texts = np.unique(self.spans.text[self.arrays["context"].ravel()])
        spans, renumbered = self.spans.only(texts)
        types = np.unique(self.arrays["top_word"])
        return {
            **self.arrays,
            "context": renumbered[self.arrays["context"]],
            "window_values": np.concatenate([np.empty(0, np.int8), *self.window_values]),
            "texts": spans.texts,
            "text_first": spans.first,
            "span_start": spans.start,
            "span_end": spans.end,
            "types": [self.types[i] for i in self.kept[types].tolist()],
            "type_count": self.type_counts[types],
            "top_word": np.searchsorted(types, self.arrays["top_word"]),
        }


def _standardized(part):
    """Transpose and standardize columns, and return their means and deviations as well."""
    # With differences from the first row, a constant column is exactly zero.
    origin = part[0].astype(np.promote_types(part.dtype, np.float32))
    values = np.ascontiguousarray((part - origin).T, dtype=np.float32)
    shift = values.mean(axis=1, dtype=np.float64)
    values -= shift.astype(np.float32)[:, np.newaxis]
    deviation = np.sqrt(np.mean(np.square(values), axis=1))
    scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    values *= scale[:, np.newaxis]
    return values, origin + shift, deviation


def _taken(values, columns):
    flat = np.take_along_axis(values, columns.reshape(len(columns), -1), axis=1)
    return flat.reshape(columns.shape)
