# SPDX-License-Identifier: BSD-3-Clause
"""One pass over a matrix of activations, in blocks of columns, for everything a report shows."""

import numpy as np
from scipy.sparse import issparse

from sklearn_neurox.inspection._occurrences import word_occurrences
from sklearn_neurox.inspection._report._distributions import N_BINS, QUANTILES, class_distributions
from sklearn_neurox.inspection._report._responses import (
    extremes,
    window_values,
    word_means,
)
from sklearn_neurox.inspection._report._spans import lay_out_spans
from sklearn_neurox.utils._moments import column_deviations, column_means

# The maximum number of values in a block, and of counts in its bins.
_BLOCK_ENTRIES = 4_000_000
# With fewer columns, the same memory would be read repeatedly.
_LEAST_COLUMNS = 16
# The number of words of a long text that are shown around a word.
WINDOW = 40
# The number of standard deviations at which colors are full; larger values are clipped.
FULL_COLOR = 4.0
# More words of the data would make a page large and are rarely searched for.
_N_LISTED_WORDS = 20_000


def gather(inputs, detailed, drawn, n_top_words, n_contexts, min_count):
    """Read a finite matrix once, and return the arrays of a report and its `types` and `texts`.

    Only the neurons in `detailed`, columns in ascending order, get words and sentences, and only
    those in `drawn` distributions.
    """
    reader = _Reader(inputs, detailed, drawn, n_top_words, n_contexts, min_count)
    n_rows, n_neurons = inputs.X.shape
    most_entries = max(n_rows, 256 * len(inputs.classes), len(reader.kept))
    n_columns = max(_LEAST_COLUMNS, _BLOCK_ENTRIES // most_entries)
    for start in range(0, n_neurons, n_columns):
        reader.read(slice(start, min(start + n_columns, n_neurons)))
    return reader.result()


class _Reader:
    """Fill the arrays of a report, block by block."""

    def __init__(self, inputs, detailed, drawn, n_top_words, n_contexts, min_count):
        self.X = inputs.X.tocsc() if issparse(inputs.X) else inputs.X  # read column by column
        self.inputs, self.classes = inputs, inputs.codes
        self.detailed, self.drawn = detailed, drawn
        self.n_classes = n_classes = len(inputs.classes)
        self.spans = lay_out_spans(inputs.words)
        self.found = found = word_occurrences(inputs.words, caller="NeuronReport")
        self.counts = np.bincount(found.codes, minlength=len(found.types))
        self.kept = np.flatnonzero(self.counts >= min_count)
        renumbered = np.full(len(found.types), -1)
        renumbered[self.kept] = np.arange(len(self.kept))
        codes = renumbered[found.codes]
        is_kept = codes >= 0
        self.averages = word_means(
            found.rows[is_kept], codes[is_kept], self.counts[self.kept], len(inputs.codes)
        )
        sizes = np.bincount(self.classes, minlength=n_classes)
        self.class_averages = np.zeros((len(self.classes), n_classes), dtype=np.float32)
        self.class_averages[np.arange(len(self.classes)), self.classes] = 1 / sizes[self.classes]
        n_words = min(n_top_words, len(self.kept))
        n_texts = min(n_contexts, len(self.spans.texts))
        n_neurons, n_detailed, n_drawn = self.X.shape[1], len(detailed), len(drawn)
        self.arrays = {
            "mean": np.empty(n_neurons),
            "deviation": np.empty(n_neurons),
            "range": np.empty((n_neurons, 2), np.float32),
            "class_mean": np.empty((n_neurons, n_classes), np.float32),
            "auc": np.empty((n_neurons, n_classes)),
            "shares": np.empty((n_drawn, n_classes, N_BINS), np.uint8),
            "quantiles": np.empty((n_drawn, n_classes, len(QUANTILES)), np.uint8),
            "top_word": np.empty((n_detailed, 2, n_words), np.int32),
            "top_word_mean": np.empty((n_detailed, 2, n_words), np.float32),
            "context": np.empty((n_detailed, 2, n_texts), np.int32),
            "context_value": np.empty((n_detailed, 2, n_texts), np.float32),
        }
        if inputs.targets is not None:
            centered = inputs.targets - inputs.targets.mean()
            centered /= np.abs(centered).max() or 1.0
            scale = centered.std() * len(centered) or 1.0
            self.target = (centered / scale).astype(np.float32)
            self.arrays["correlation"] = np.empty(n_neurons, np.float32)
        self.window_values = []

    def read(self, block):
        part = self.X[:, block]
        part = part.toarray() if issparse(part) else part
        values, mean, deviation = _standardized(part)
        into = self.arrays
        into["mean"][block], into["deviation"][block] = mean, deviation
        into["class_mean"][block] = values @ self.class_averages
        ranges, shares, quantiles, into["auc"][block] = class_distributions(
            values, self.classes, self.n_classes
        )
        into["range"][block] = ranges
        first, last = np.searchsorted(self.drawn, [block.start, block.stop])
        places = self.drawn[first:last] - block.start
        into["shares"][first:last], into["quantiles"][first:last] = (
            shares[places],
            quantiles[places],
        )
        if "correlation" in into:
            into["correlation"][block] = values @ self.target
        begin, stop = np.searchsorted(self.detailed, [block.start, block.stop])
        if begin < stop:
            places = self.detailed[begin:stop] - block.start
            self._read_responses(slice(begin, stop), values[places])

    def _read_responses(self, rows, values):
        into = self.arrays
        by_type = (self.averages @ values.T).T
        chosen = extremes(by_type, into["top_word"].shape[2])
        into["top_word"][rows] = chosen
        into["top_word_mean"][rows] = _taken(by_type, chosen)
        values = values[:, self.spans.row]
        focus = extremes(values, into["context"].shape[2], self.spans.first)
        into["context"][rows] = focus
        into["context_value"][rows] = _taken(values, focus)
        around = window_values(values, self.spans, focus, WINDOW)
        around *= 127 / FULL_COLOR
        self.window_values.append(around.clip(-127, 127).round().astype(np.int8))

    def result(self):
        texts = np.unique(self.spans.text[self.arrays["context"].ravel()])
        spans, renumbered = self.spans.only(texts)
        top = np.unique(self.kept[self.arrays["top_word"]])
        listed = np.argsort(-self.counts, kind="stable")[:_N_LISTED_WORDS]
        types = np.union1d(listed, top)
        return {
            **self.arrays,
            "context": renumbered[self.arrays["context"]],
            "window_values": np.concatenate([np.empty(0, np.int8), *self.window_values]),
            "texts": spans.texts,
            "text_first": spans.first,
            "span_start": spans.start,
            "span_end": spans.end,
            "types": [str(self.found.types[i]) for i in types.tolist()],
            "n_types": len(self.found.types),
            "type_count": self.counts[types],
            "top_word": np.searchsorted(types, self.kept[self.arrays["top_word"]]),
            **self._gold(types, spans),
        }

    def _gold(self, types, spans):
        """Return the label, or target, of each listed word (most frequent, or mean) and span."""
        place = np.full(len(self.found.types), -1)
        place[types] = np.arange(len(types))
        is_listed = place[self.found.codes] >= 0
        codes, rows = place[self.found.codes[is_listed]], self.found.rows[is_listed]
        counts, targets = self.counts[types], self.inputs.targets
        if targets is not None:
            sums = np.bincount(codes, weights=targets[rows], minlength=len(types))
            return {"type_target": sums / counts, "span_target": targets[spans.row]}
        n_pairs = len(types) * self.n_classes
        pairs = np.bincount(codes * self.n_classes + self.classes[rows], minlength=n_pairs)
        pairs = pairs.reshape(len(types), self.n_classes)
        return {
            "type_label": pairs.argmax(axis=1),
            "type_share": np.round(100 * pairs.max(axis=1, initial=0) / counts),
            "span_label": self.classes[spans.row],
        }


def _standardized(part):
    """Transpose and standardize columns, and return their means and deviations as well."""
    means = column_means(part)
    deviations = column_deviations(part, means)
    values = np.subtract(part, means).T
    scale = np.where(deviations > 0, deviations, 1)[:, np.newaxis]
    values = np.divide(values, scale).astype(np.float32, order="C")
    return values, means, deviations


def _taken(values, columns):
    flat = np.take_along_axis(values, columns.reshape(len(columns), -1), axis=1)
    return flat.reshape(columns.shape)
