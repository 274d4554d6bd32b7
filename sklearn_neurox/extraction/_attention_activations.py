# SPDX-License-Identifier: BSD-3-Clause
"""Attention weights of pairs and words: planned by `ActivationExtractor`, read when pooled."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._model._blocks import SUMMARY
from sklearn_neurox.extraction._run._attention_source import AttentionSource, PlacedSpans
from sklearn_neurox.extraction._run._model_source import model_source
from sklearn_neurox.extraction._run._output_matrix import filled_matrix
from sklearn_neurox.extraction._run._sparse_output import check_sparse, in_configured_form
from sklearn_neurox.extraction._text._alignment import align
from sklearn_neurox.extraction._text._checks import check_lengths, report_dropped, report_special
from sklearn_neurox.extraction._text._joint_spans import place_jointly, positions_in_text
from sklearn_neurox.extraction._text._tokenized_texts import tokenize_texts
from sklearn_neurox.extraction._text._vocabulary import report_unknown
from sklearn_neurox.utils._ragged import ranges


class AttentionActivations(Activations):
    """Attention weights of rows, computed only when they are pooled.

    Parameters
    ----------
    source : AttentionSource

    spans : PlacedSpans

    missing : {"zero", "nan"}
        What fills rows whose weights cannot be read.

    index : Index or None
    """

    def __init__(self, source, spans, *, missing, index):
        tokens, ptr = spans.first
        super().__init__(
            source,
            np.repeat(spans.sequence, np.diff(ptr)),
            tokens,
            ptr,
            first_token="attention weights belong to words",
            missing=missing,
            index=index,
        )
        self._spans = spans

    def _take(self, rows, index):
        sequence = self._spans.sequence[rows]
        used, own = np.unique(sequence[sequence >= 0], return_inverse=True)
        placed = np.full(len(sequence), -1)
        placed[sequence >= 0] = own
        sides = []
        for side in (self._spans.first, self._spans.other):
            if side is not None:
                places, ptr = ranges(side[1][:-1][rows], np.diff(side[1])[rows])
                side = (side[0][places], ptr)
            sides.append(side)
        spans = PlacedSpans(placed, *sides)
        source = self._source.take(used)
        return AttentionActivations(source, spans, missing=self._missing, index=index)

    def _by_block(self):
        return [self._with_source(replace(self._source, blocks=(b,))) for b in self._source.blocks]

    def pool(self, strategy, *, dtype="float32", memmap=None, sparse=False, pair="concat"):
        """Run the model and reduce its attention weights to one row per sample.

        ``strategy`` and ``pair`` do not matter: how weights are reduced is part of their meaning.
        """
        if sparse:
            check_sparse(self._spans.sequence < 0, dtype, memmap, self._missing)
        shape = (len(self), sum(self._source.block_widths))

        def fill(H):
            H[self._spans.sequence < 0] = np.nan if self._missing == "nan" else 0.0
            self._source.pool_weights(self._spans, H)

        H = filled_matrix(shape, np.dtype(dtype), memmap, fill, self._name)
        return in_configured_form(csr_matrix(H)) if sparse else H


def plan_attention(request, rows, others, contexts):
    """Tokenize texts and place the spans of each row; return `AttentionActivations`.

    Parameters
    ----------
    request : ExtractionRequest

    rows : Rows
        Pairs, or words for a summary; if there are ``others``, only the first spans of pairs.

    others : Rows or None
        The other spans, in the encoder's texts of a decoder that reads texts of its own.

    contexts : list of str or None
        The encoder's text for each distinct text of the rows.
    """
    (component,) = request.component
    _check_kind(rows, others, component)
    tokenized = tokenize_texts(request, rows.texts, rows.pairs, contexts)
    encodings, limit = tokenized.encodings, tokenized.limit
    alignment = _aligned(rows, tokenized, request)
    check_lengths(rows, encodings, limit, overflow=request.overflow)
    options = {"causal": tokenized.causal, "missing": request.missing}
    sequences, first_sequence, sequence, spans = place_jointly(
        rows, encodings, alignment, limit, **options
    )
    if others is not None:
        read = tokenize_texts(request, others.texts, None)
        found = _aligned(others, read, request)
        spans.append(positions_in_text(read.encodings, found))
        sequence = np.where(found.counts > 0, sequence, -1)
    source = model_source(
        request, tokenized, contexts, sequences, first_sequence, kind=AttentionSource
    )
    placed = PlacedSpans(sequence, spans[0], spans[1] if len(spans) > 1 else None)
    return AttentionActivations(source, placed, missing=request.missing, index=rows.index)


def _aligned(rows, tokenized, request):
    """Align tokens with the rows, and report what was dropped, special or unknown."""
    encodings = tokenized.encodings
    alignment = align(rows, encodings, special_tokens=request.special_tokens)
    report_dropped(rows, tokenized, alignment, missing=request.missing)
    report_special(rows, encodings, alignment, split=request.split_special_tokens)
    report_unknown(rows, encodings, alignment, tokenized.unknown_id)
    return alignment


def _check_kind(rows, others, component):
    are_pairs = rows.are_pairs or others is not None
    if component == SUMMARY and are_pairs:
        raise ValueError(
            f"component={component!r} of ActivationExtractor describes words on their own, but the "
            "rows are pairs. For the weights between their spans, read 'attention_weights'."
        )
    if component != SUMMARY and not are_pairs:
        raise ValueError(
            f"component={component!r} of ActivationExtractor is the attention between two spans, "
            "but the rows are not pairs: the columns 'other_start' and 'other_end' are not there. "
            "Make pairs with pair_frame, or read 'attention_summary', which needs no partner."
        )
