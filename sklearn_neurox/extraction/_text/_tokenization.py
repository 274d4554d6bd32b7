# SPDX-License-Identifier: BSD-3-Clause
"""Tokenize texts: ids, character offsets and roles, for fast and Python-only tokenizers."""

from dataclasses import dataclass

import numpy as np

from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._text._added_tokens import arrange_added_tokens
from sklearn_neurox.extraction._text._deleted_characters import (
    DeletedCharacters,
    correct_deletions,
)
from sklearn_neurox.extraction._text._own_characters import correct_markers, pieces_of
from sklearn_neurox.extraction._text._roles import SPECIAL, TEXT
from sklearn_neurox.extraction._text._slow_offsets import SlowTokenizer
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.utils._torch import is_out_of_memory

# Texts tokenized together: tokenizers return about ten kilobytes per text.
_PORTION = 2048


@dataclass(frozen=True)
class Encodings:
    """The tokens of all texts, one after the other; text i has ``ptr[i]:ptr[i + 1]``."""

    ids: np.ndarray
    types: np.ndarray | None  # segment ids, if the tokenizer makes them
    role: np.ndarray  # SPECIAL (added around the text), TEXT or PAIR
    start: np.ndarray  # the characters that the token covers
    end: np.ndarray
    ptr: np.ndarray
    is_special_word: np.ndarray  # the text itself spells a special token
    has_space: np.ndarray  # it stands for spaces before its span, too
    is_cls: np.ndarray  # the added token that represents the whole text


def encode(tokenizer, texts, pairs, *, split_special_tokens, add_special_tokens="auto"):
    """Tokenize texts and find the characters of each token.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase or TorchModel
        Fast or Python-only.

    texts : list of str
        The texts.

    pairs : list of str or None
        The second text of each.

    split_special_tokens : bool
        Whether text that spells a special token is read as ordinary text.

    add_special_tokens : bool or "auto", default="auto"
        Whether special tokens are added around each text; ``"auto"`` leaves a text that begins
        with them as it stands.

    Returns
    -------
    encodings : Encodings
        The tokens of a text that cannot be aligned have the span (-1, -1).

    Raises
    ------
    ValueError
        If a text contains a lone surrogate that the tokenizer cannot read.
    """
    if isinstance(tokenizer, TorchModel):
        return _encode_torch_model(tokenizer, texts, pairs, add_special_tokens)
    try:
        flat, lengths = _encode_in_portions(tokenizer, texts, pairs, split_special_tokens)
    except Exception as error:
        # Each library complains about surrogates in its own way. The error is raised in any case.
        if not is_out_of_memory(error):
            check_surrogates([*texts, *(pairs or ())], f"{type(tokenizer).__name__} cannot read")
        raise
    ptr = pointers(lengths)
    flat["is_special_word"] = _spelled_specials(tokenizer, texts, flat, ptr)
    flat["has_space"] = np.zeros(len(flat["ids"]), dtype=bool)
    if tokenizer.is_fast:
        flat["has_space"] = correct_markers(tokenizer, texts, flat, ptr)
    if pairs is None or add_special_tokens is False:
        renders_chats = getattr(tokenizer, "chat_template", None) is not None
        flat, ptr = arrange_added_tokens(flat, ptr, add_special_tokens, renders_chats=renders_chats)
    cls_id = -1 if tokenizer.cls_token_id is None else tokenizer.cls_token_id
    return Encodings(
        ids=flat["ids"],
        types=flat.get("types"),
        role=flat["role"],
        start=flat["start"],
        end=flat["end"],
        ptr=ptr,
        is_special_word=flat["is_special_word"],
        has_space=flat["has_space"],
        is_cls=(flat["role"] == SPECIAL) & (flat["ids"] == cls_id),
    )


def _encode_in_portions(tokenizer, texts, pairs, split_special_tokens):
    """Tokenize texts in portions, keeping only the arrays of each output."""
    encode_all = _encode_fast if tokenizer.is_fast else _encode_slow
    portions, lengths = [], []
    for start in range(0, max(len(texts), 1), _PORTION):
        own = slice(start, start + _PORTION)
        pairs_of_own = None if pairs is None else pairs[own]
        parts = encode_all(tokenizer, texts[own], pairs_of_own, split_special_tokens)
        lengths += [len(ids) for ids in parts["ids"]]
        if "token_type_ids" not in tokenizer.model_input_names:
            del parts["types"]
        portions.append({name: _flatten(lists) for name, lists in parts.items()})
    flat = {name: np.concatenate([one[name] for one in portions]) for name in portions[0]}
    return flat, lengths


def check_surrogates(texts, problem, *, caller="ActivationExtractor"):
    """Raise a ValueError with the ``problem`` if a text contains half a character."""
    wrong = [text for text in texts if any("\ud800" <= c <= "\udfff" for c in text)]
    if wrong:
        raise ValueError(
            f"{caller}: the text {wrong[0][:60]!r} ({len(wrong)} in total) contains a "
            f"lone surrogate (half a character), which {problem}. "
            "Read the file with the correct encoding, or replace these characters with "
            "text.encode('utf-8', 'replace').decode()."
        )


def _flatten(lists):
    arrays = [np.asarray(values, dtype=np.int64) for values in lists]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)


def _encode_fast(tokenizer, texts, pairs, split_special_tokens):
    deleted = DeletedCharacters(tokenizer).in_texts(texts)
    parts = _encode_as_reported(tokenizer, texts, pairs, split_special_tokens)
    if deleted:

        def encode_alone(others):
            return _encode_as_reported(tokenizer, others, None, split_special_tokens)

        correct_deletions(texts, parts, deleted, encode_alone)
    return parts


def _encode_as_reported(tokenizer, texts, pairs, split_special_tokens):
    encodings = tokenizer(
        texts,
        pairs,
        padding=False,
        truncation=False,
        return_offsets_mapping=True,
        split_special_tokens=split_special_tokens,
        verbose=False,
    ).encodings
    offsets = [np.array(e.offsets, dtype=np.int64).reshape(-1, 2) for e in encodings]
    return {
        "ids": [e.ids for e in encodings],
        "types": [e.type_ids for e in encodings],
        "role": [_fast_roles(e) for e in encodings],
        "start": [spans[:, 0].copy() for spans in offsets],
        "end": [spans[:, 1].copy() for spans in offsets],
    }


def _fast_roles(encoding):
    sequence = [TEXT if s is None else s for s in encoding.sequence_ids]
    return np.where(encoding.special_tokens_mask, SPECIAL, sequence)


def _encode_torch_model(model, texts, pairs, add_special_tokens):
    if pairs is not None:
        raise ValueError(f"{model} reads one text at a time. Drop the column 'text_pair'.")
    if add_special_tokens != "auto":
        raise ValueError(
            f"The 'encode' of {model} decides which special tokens it adds, so "
            f"add_special_tokens={add_special_tokens!r} has no effect. Leave it at 'auto'."
        )
    encoded = [model.encode_checked(text) for text in texts]
    ptr = pointers([len(ids) for ids, _ in encoded])
    spans = np.concatenate([spans for _, spans in encoded])
    none = np.zeros(len(spans), dtype=bool)
    return Encodings(
        ids=np.concatenate([ids for ids, _ in encoded]),
        types=None,
        role=np.where(spans[:, 1] > spans[:, 0], TEXT, SPECIAL),
        start=spans[:, 0],
        end=spans[:, 1],
        ptr=ptr,
        is_special_word=none,
        has_space=none,
        is_cls=none,
    )


def _encode_slow(tokenizer, texts, pairs, split_special_tokens):
    slow = SlowTokenizer(tokenizer, split_special_tokens)
    encoded = [
        slow.encode(text, None if pairs is None else pairs[i]) for i, text in enumerate(texts)
    ]
    names = ("ids", "types", "role", "start", "end")
    return {name: [one[name] for one in encoded] for name in names}


def _spelled_specials(tokenizer, texts, flat, ptr):
    """Find the tokens by which the text itself spells a special token."""
    ids = sorted(set(tokenizer.all_special_ids))
    spelled = dict(zip(ids, pieces_of(tokenizer, ids), strict=True))
    found = (flat["role"] == TEXT) & np.isin(flat["ids"], np.array(ids, dtype=np.int64))
    for token in np.flatnonzero(found):
        text = texts[int(np.searchsorted(ptr, token, side="right")) - 1]
        span = text[flat["start"][token] : flat["end"][token]]
        found[token] = span.strip() == spelled[int(flat["ids"][token])]
    return found
