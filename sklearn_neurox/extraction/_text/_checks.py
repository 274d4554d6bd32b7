# SPDX-License-Identifier: BSD-3-Clause
"""Checks for dropped words, special tokens in texts, and long texts."""

import numpy as np

from sklearn_neurox.extraction._model._config import hard_limit, max_tokens, text_config
from sklearn_neurox.extraction._text._roles import TEXT, UNALIGNED
from sklearn_neurox.extraction._text._windows import too_long
from sklearn_neurox.utils._warn_user import warn_user


def check_vocabulary(encodings, config, tokenizer):
    """Raise an error if a token has no embedding: the tokenizer then belongs to another model."""
    own = text_config(config)
    # FSMT's vocab_size is that of the target.
    n_tokens = getattr(own, "src_vocab_size", getattr(own, "vocab_size", None))
    largest = int(encodings.ids.max(initial=-1))
    if n_tokens is not None and largest >= n_tokens:
        raise ValueError(
            f"{type(tokenizer).__name__} produces the token id {largest}, but the model has only "
            f"{n_tokens} tokens. Pass the tokenizer that belongs to the model as tokenizer=."
        )


def limit_tokens(config, tokenizer, stacks, max_length, *, model):
    """Return how many tokens to read at once, and check that the model can read ``max_length``.

    The default is what config and tokenizer state. Models that compute their positions can read
    more, if asked to.
    """
    if max_length is None:
        stated = max_tokens(config, tokenizer, stacks)
        return np.iinfo(np.int64).max if stated is None else stated
    limit = hard_limit(config, tokenizer, stacks)
    if limit is not None and max_length > limit:
        raise ValueError(
            f"The 'max_length' parameter of ActivationExtractor is {max_length}, but {model} reads "
            f"at most {limit} tokens."
        )
    return max_length


def report_dropped(rows, tokenized, alignment, *, missing):
    """Warn about rows without a subword, or raise an error if ``missing`` is ``"error"``."""
    dropped = alignment.counts == 0
    unaligned = np.zeros(len(rows), dtype=bool)
    if not rows.whole:
        lost = np.flatnonzero(tokenized.encodings.start == UNALIGNED)
        lost_texts = np.searchsorted(tokenized.encodings.ptr, lost, side="right") - 1
        unaligned = dropped & np.isin(rows.text_of_row, lost_texts)
    if unaligned.any():
        row = int(np.flatnonzero(unaligned)[0])
        text = rows.texts[rows.text_of_row[row]]
        n_texts = len(np.unique(rows.text_of_row[unaligned]))
        report_filled(
            f"The tokens of {tokenized.tokenizer} cannot be matched with the words of {n_texts} "
            f"of {len(rows.texts)} texts, which have {unaligned.sum()} of {len(rows)} {rows.noun} "
            f"(the first is {rows.name(row)}, of the text {_shorten(text, 60)!r})",
            missing,
        )
    dropped = np.flatnonzero(dropped & ~unaligned)
    if len(dropped):
        row = int(dropped[0])
        report_filled(
            f"The tokenizer drops all characters of {len(dropped)} of {len(rows)} {rows.noun} (the "
            f"first is {rows.name(row)}, {rows.spelled_by(row)!r})",
            missing,
        )


def report_filled(found, missing):
    """Warn about rows that are filled, or raise an error if `missing` is "error"."""
    if missing == "error":
        raise ValueError(
            f"{found}. Remove them, or choose how to fill them with missing='zero' or "
            "missing='nan'."
        )
    filled = {"zero": "zeros", "nan": "NaN"}[missing]
    warn_user(
        f"{found}; they are filled with {filled}. Remove them if that is not what you want. "
        "Setting missing= to 'zero', 'nan' or 'error' fills them in another way or stops here.",
    )


def _shorten(text, length):
    return text if len(text) <= length else f"{text[: length - 3]}..."


def report_special(rows, encodings, alignment, *, split):
    """Warn about rows whose text spells a special token; the advice depends on ``split``."""
    special = np.flatnonzero(encodings.is_special_word[alignment.tokens])
    if len(special) == 0:
        return
    affected = np.unique(np.searchsorted(alignment.ptr, special, side="right") - 1)
    row = int(affected[0])
    remedy = "Pass split_special_tokens=True to read it as ordinary characters."
    if split:
        # Unigram vocabularies contain their special tokens as ordinary pieces.
        remedy = "This tokenizer does so even with split_special_tokens=True."
    warn_user(
        f"{len(affected)} of {len(rows)} {rows.noun} contain text that spells a special token, "
        f"which the model reads as that token; the first is {rows.name(row)} "
        f"({_shorten(rows.spelled_by(row), 40)!r}). {remedy}",
    )


def check_lengths(rows, encodings, limit, *, overflow):
    """Raise an error for texts that the model cannot read, not even in windows."""
    long_texts = too_long(encodings, limit)
    if len(long_texts) == 0:
        return
    row = int(np.flatnonzero(np.isin(rows.text_of_row, long_texts))[0])
    text = rows.text_of_row[row]
    role = encodings.role[encodings.ptr[text] : encodings.ptr[text + 1]]
    where = (
        f"the text of {rows.name(row)} has {len(role)} tokens, more than the {limit} that can be "
        "read"
    )
    if overflow == "error":
        raise ValueError(
            f"ActivationExtractor: {where} at once ({len(long_texts)} such texts). Pass "
            "overflow='window' to read them in overlapping windows, or shorten them."
        )
    if rows.pairs is not None:
        raise ValueError(
            f"ActivationExtractor: {where} together with its pair ({len(long_texts)} such "
            "texts). Pairs cannot be read in windows. Shorten them."
        )
    n_special = int((role != TEXT).sum())
    if limit <= n_special:
        raise ValueError(
            f"The 'max_length' parameter of ActivationExtractor is {limit}, which leaves no "
            f"room for text besides the {n_special} special tokens. Increase it."
        )
