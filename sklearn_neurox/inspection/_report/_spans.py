# SPDX-License-Identifier: BSD-3-Clause
"""The positions of words in their texts, in reading order."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from sklearn_neurox.inspection._occurrences import read_spans
from sklearn_neurox.utils._ragged import pointers


class Spans(NamedTuple):
    """The distinct spans of words, in text order.

    Rows with the same span of the same text, for example in repeated sentences, share one span.
    """

    texts: list
    first: np.ndarray  # (n_texts + 1,) the first span of each text, and the number of spans
    text: np.ndarray  # (n_spans,) the text of each span
    start: np.ndarray  # (n_spans,) in characters
    end: np.ndarray
    row: np.ndarray  # (n_spans,) the first row with the span

    def windows(self, spans, width):
        """Return begin and stop of the windows of at most `width` spans centered on some spans."""
        first, last = self.first[self.text[spans]], self.first[self.text[spans] + 1]
        begin = np.clip(spans - width // 2, first, np.maximum(first, last - width))
        return begin, np.minimum(begin + width, last)

    def only(self, texts):
        """Keep some texts, ascending, and return each span's new number, or -1, as well."""
        kept = np.isin(self.text, texts)
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
        counts = np.diff(self.first)[texts]
        spans = Spans(
            [self.texts[text] for text in texts.tolist()],
            pointers(counts),
            np.repeat(np.arange(len(texts)), counts),
            self.start[kept],
            self.end[kept],
            self.row[kept],
        )
        return spans, renumbered


def lay_out_spans(words):
    """Return the `Spans` of a frame of words or whole texts."""
    codes, texts = pd.factorize(words["text"])
    texts = [str(text) for text in texts]
    start, end = read_spans(words, caller="NeuronReport")
    # The sort is stable, so the first of the rows with the same span represents it.
    order = np.lexsort((end, start, codes))
    keys = np.stack([codes[order], start[order], end[order]])
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = np.any(keys[:, 1:] != keys[:, :-1], axis=0)
    text, start, end = keys[:, is_new]
    first = np.searchsorted(text, np.arange(len(texts) + 1))
    return Spans(texts, first, text, start, end, order[is_new])
