# SPDX-License-Identifier: BSD-3-Clause
from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._attention_activations import plan_attention
from sklearn_neurox.extraction._cache._cached_source import cached_source
from sklearn_neurox.extraction._cache._cached_texts import CachedTexts
from sklearn_neurox.extraction._cache._pooled_source import pooled_source
from sklearn_neurox.extraction._model._blocks import WEIGHT_PARTS
from sklearn_neurox.extraction._run._model_source import model_source
from sklearn_neurox.extraction._text._alignment import align, find_first_tokens
from sklearn_neurox.extraction._text._checks import (
    check_lengths,
    report_dropped,
    report_special,
)
from sklearn_neurox.extraction._text._pair_spans import distinct_spans
from sklearn_neurox.extraction._text._tokenized_texts import tokenize_texts
from sklearn_neurox.extraction._text._vocabulary import report_unknown
from sklearn_neurox.extraction._text._windows import make_sequences


def plan_activations(request, rows, others, contexts):
    """Tokenize texts, find the subwords of each row, and return `Activations` to be computed.

    Parameters
    ----------
    request : ExtractionRequest

    rows : Rows

    others : Rows or None
        The other spans of pairs, if these are in other texts; see `plan_attention`.

    contexts : list of str or None
        The encoder's text for each distinct text of the rows.
    """
    texts = rows.texts, rows.pairs, contexts
    if request.component[0] in WEIGHT_PARTS:
        return plan_attention(request, rows, others, contexts)
    cached = None if request.store is None else CachedTexts(request, *texts)
    recalled = None if cached is None or request.store.pooled else cached.recall()
    tokenized = recalled or tokenize_texts(request, *texts)
    encodings, limit = tokenized.encodings, tokenized.limit
    alignment = align(rows, encodings, special_tokens=request.special_tokens)
    report_dropped(rows, tokenized, alignment, missing=request.missing)
    report_special(rows, encodings, alignment, split=request.split_special_tokens)
    report_unknown(rows, encodings, alignment, tokenized.unknown_id)
    check_lengths(rows, encodings, limit, overflow=request.overflow)
    pairs = None
    if rows.are_pairs:
        alignment, pairs = distinct_spans(rows, alignment)
    sequences, placement, first_sequence = make_sequences(
        encodings, alignment, limit, causal=tokenized.causal
    )
    source = None
    if recalled is None:
        source = model_source(request, tokenized, contexts, sequences, first_sequence)
    if cached is not None and request.store.pooled:
        source = pooled_source(cached, tokenized, source, first_sequence)
    elif cached is not None:
        source = cached_source(cached, tokenized, source, first_sequence, len(sequences))
    return Activations(
        source,
        placement.sequence,
        placement.position,
        alignment.ptr,
        first_token=find_first_tokens(rows, tokenized, first_sequence),
        missing=request.missing,
        # A view, since joblib.Memory hashes an object that labels share unlike an equal one.
        index=None if rows.index is None else rows.index.view(),
        pairs=pairs,
    )
