# SPDX-License-Identifier: BSD-3-Clause
"""Rows that refer to the target of a decoder, while its encoder reads another text."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd

from sklearn_neurox.extraction._model._loading import load_config, load_tokenizer
from sklearn_neurox.extraction._text._checks import limit_tokens
from sklearn_neurox.extraction._text._prefix import with_prefix
from sklearn_neurox.extraction._text._rows import read_rows
from sklearn_neurox.extraction._text._tokenization import encode
from sklearn_neurox.extraction._text._windows import Sequences, too_long
from sklearn_neurox.utils._containers import to_pandas


def read_rows_and_targets(X, *, stack, caller, takes_pairs=False):
    """Read the rows, and the encoder's texts if a column ``target`` holds the decoder's texts.

    Parameters
    ----------
    X : DataFrame, or array-like of str, of shape (n_samples,)
        See `ActivationExtractor.transform`.

    stack : {"encoder", "decoder", "both"} or None

    caller : str
        The calling class, for messages.

    takes_pairs : bool, default=False
        Whether rows may be pairs.

    Returns
    -------
    rows : Rows

    contexts : list of str or None
        The encoder's text for each distinct text of the rows, or None if it is the same text.

    Raises
    ------
    ValueError
        As in `read_rows`, and if words lack their positions in the target.
    """
    X = to_pandas(X)
    if stack not in ("decoder", "both") or not (
        isinstance(X, pd.DataFrame) and "target" in X.columns
    ):
        return read_rows(X, caller=caller, takes_pairs=takes_pairs), None
    if stack == "both":
        raise ValueError(
            f"{caller} cannot read stack='both' for a frame with the column 'target', because each "
            "row is a word of either the text or the target. Read stack='decoder' and "
            "stack='encoder' separately, or drop the column so that both read the text."
        )
    if "text_pair" in X.columns:
        raise ValueError(f"{caller} takes the column 'target' or 'text_pair', but got both.")
    missing = [name for name in ("target_start", "target_end") if name not in X.columns]
    if missing and {"start", "end"} & set(X.columns):
        raise ValueError(
            f"{caller}: X has words in 'text' and a 'target' for the decoder, but no column "
            f"{missing[0]!r}. Add 'target_start' and 'target_end', the span of the word of each "
            "row in the target."
        )
    columns = {"text": X["target"], "text_pair": X["text"]}
    if not missing:
        columns |= {"start": X["target_start"], "end": X["target_end"]}
        for name in ("token_index", "other_token_index"):
            if name in X.columns:
                columns[name] = X[name]
    if {"other_start", "other_end"} & set(X.columns):
        columns |= _other_spans(X, caller)
    # Read the target like any other text, under the usual column names.
    rows = read_rows(
        pd.DataFrame(columns, index=X.index),
        caller=f"{caller} (of the target)",
        takes_pairs=takes_pairs,
    )
    return replace(rows, pairs=None), rows.pairs


def read_cross_pairs(X, caller):
    """Read pairs of a word that a decoder reads and one that its encoder reads.

    Returns
    -------
    rows : Rows
        The first span of each pair, in the target; or both spans, if the decoder reads the text.

    others : Rows or None
        The other spans, in the encoder's text of each distinct target; None without targets.

    contexts : list of str or None
        The encoder's text for each distinct text of the rows, if there are targets.
    """
    X = to_pandas(X)
    if not isinstance(X, pd.DataFrame) or "target" not in X.columns:
        return read_rows(X, caller=caller, takes_pairs=True), None, None
    names = ("text", "other_start", "other_end", "target_start", "target_end")
    absent = [name for name in names if name not in X.columns]
    if absent:
        raise ValueError(
            f"{caller}: X has a 'target', but no column {absent[0]!r}. For cross-attention, a row "
            "has 'target_start' and 'target_end', the span of a word that the decoder reads, and "
            "'other_start' and 'other_end', the span of a word of 'text', which the encoder reads."
        )
    spans = {"start": X["target_start"], "end": X["target_end"]}
    columns = {"text": X["target"], "text_pair": X["text"]} | spans
    rows = read_rows(pd.DataFrame(columns, index=X.index), caller=f"{caller} (of the target)")
    spans = {"text": X["text"], "start": X["other_start"], "end": X["other_end"]}
    if "other_word" in X.columns:
        spans["word"] = X["other_word"]
    others = read_rows(pd.DataFrame(spans, index=X.index), caller=f"{caller} (of the other span)")
    # The targets are distinct together with their contexts, so each has one.
    others = replace(others, texts=rows.pairs, text_of_row=rows.text_of_row)
    return replace(rows, pairs=None), others, rows.pairs


def _other_spans(X, caller):
    """Return the spans of the partners in the target, under the names of those in a text."""
    names = {"other_start": "other_target_start", "other_end": "other_target_end"}
    absent = [name for name in names.values() if name not in X.columns]
    if absent:
        raise ValueError(
            f"{caller}: X has pairs in 'text' and a 'target' for the decoder, but no column "
            f"{absent[0]!r}. Add 'target_start', 'target_end', 'other_target_start' and "
            "'other_target_end', the spans of both words of each row in the target."
        )
    return {name: X[own] for name, own in names.items()}


def target_tokenizer(tokenizer):
    """Return a tokenizer for the decoder's text, in the target language."""
    if not hasattr(tokenizer, "_switch_to_target_mode"):
        return tokenizer
    tokenizer = copy.deepcopy(tokenizer)  # the caller's may be in use
    tokenizer._switch_to_target_mode()
    return tokenizer


def tokenize_contexts(request, texts, first_sequence, n_sequences):
    """Tokenize the encoder's texts, one for each of the ``n_sequences`` inputs of the decoder.

    ``first_sequence`` has the first input of each text. Long texts are an error, because the
    decoder needs them whole.
    """
    spec = request.spec
    config, tokenizer = load_config(spec), load_tokenizer(spec)
    limit = limit_tokens(config, tokenizer, ["encoder"], None, model=spec.name)
    encodings = encode(
        tokenizer,
        texts,
        None,
        split_special_tokens=request.split_special_tokens,
        add_special_tokens=request.add_special_tokens,
    )
    encodings = with_prefix(encodings, tokenizer, request)
    long_texts = too_long(encodings, limit)
    if len(long_texts):
        first = int(long_texts[0])
        raise ValueError(
            f"ActivationExtractor: the text {texts[first][:60]!r} has "
            f"{encodings.ptr[first + 1] - encodings.ptr[first]} tokens, more than the {limit} "
            f"that the encoder can read ({len(long_texts)} such texts). Texts with a target cannot "
            "be read in windows. Shorten them."
        )
    of_text = np.searchsorted(first_sequence, np.arange(n_sequences), side="right") - 1
    return Sequences(encodings.ids, encodings.types, encodings.ptr).take(of_text)
