# SPDX-License-Identifier: BSD-3-Clause
"""Checks that a tokenizer's vocabulary is the model's."""

import numpy as np

from sklearn_neurox.extraction._model._config import text_config
from sklearn_neurox.utils._warn_user import warn_user

# Models pad their tables of embeddings to round sizes; these differences go beyond that.
_LEAST_SHARE, _LEAST_DIFFERENCE = 0.5, 256
_DOUBTFUL_SHARE, _DOUBTFUL_DIFFERENCE = 0.8, 1024
# Fewer unknown rows say nothing about the vocabulary.
_FEWEST_UNKNOWN = 5


def check_vocabulary_size(config, tokenizer):
    """Raise an error if the sizes of the vocabularies of tokenizer and model differ too much.

    Warn if they differ so much that the vocabularies are unlikely to be the same. Token ids beyond
    the model's embeddings are an error of `check_vocabulary`; here, a common word of a larger
    vocabulary may well have a small id.
    """
    of_model = getattr(text_config(config), "vocab_size", None)
    # Without the tokens that users add, such as a padding token that the model never reads.
    ordinary = getattr(tokenizer, "vocab_size", None)
    if not of_model or not ordinary:
        return
    every = len(tokenizer)
    name, advice = type(tokenizer).__name__, "Pass the tokenizer that belongs to the model"
    if ordinary > of_model:
        problem = f"the vocabulary of {name} has {ordinary} tokens"
    elif every < _LEAST_SHARE * of_model and every < of_model - _LEAST_DIFFERENCE:
        problem = f"the vocabulary of {name} has only {every} tokens"
    elif every < _DOUBTFUL_SHARE * of_model and every < of_model - _DOUBTFUL_DIFFERENCE:
        warn_user(
            f"The {name} has {every} tokens, and the model {of_model}, so the tokenizer may belong "
            f"to another model. {advice} as tokenizer= if it does."
        )
        return
    else:
        return
    raise ValueError(
        f"The tokenizer cannot be the model's: {problem}, and the model has {of_model}. {advice}, "
        "as tokenizer=, or save it in the model's folder with tokenizer.save_pretrained(folder)."
    )


def unknown_token(tokenizer):
    """Return the id of the unknown token, or None if there is none."""
    unknown = getattr(tokenizer, "unk_token_id", None)
    # Byte-level tokenizers name another special token, which no word becomes.
    others = [getattr(tokenizer, f"{name}_token_id", None) for name in ("bos", "eos", "pad")]
    return None if unknown is None or unknown in others else int(unknown)


def report_unknown(rows, encodings, alignment, unknown):
    """Warn if most rows consist mostly of unknown tokens, which the model cannot tell apart."""
    if unknown is None or not len(rows):
        return
    sums = np.append(0, np.cumsum(encodings.ids[alignment.tokens] == unknown))
    is_unknown = 2 * (sums[alignment.ptr[1:]] - sums[alignment.ptr[:-1]]) > alignment.counts
    n_unknown = int(is_unknown.sum())
    if n_unknown < _FEWEST_UNKNOWN or 2 * n_unknown <= len(rows):
        return
    row = int(is_unknown.argmax())
    shown = rows.texts[rows.text_of_row[row]][rows.start[row] : rows.end[row]]
    shown = shown if len(shown) < 40 else f"{shown[:37]}..."
    warn_user(
        f"{n_unknown} of {len(rows)} {rows.noun} consist of unknown tokens, which all look the "
        f"same to the model; the first is {rows.name(row)} ({shown!r}). Check that the model "
        "knows the language, and that the tokenizer belongs to the model; "
        "otherwise pass tokenizer=."
    )
