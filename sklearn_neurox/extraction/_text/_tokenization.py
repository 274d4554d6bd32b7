# SPDX-License-Identifier: BSD-3-Clause
"""Tokenize texts: ids, character offsets and roles, for fast and Python-only tokenizers."""

from dataclasses import dataclass

import numpy as np

from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.extraction._text._slow_offsets import SlowTokenizer
from sklearn_neurox.utils._ragged import pointers

SPECIAL, TEXT, PAIR = -1, 0, 1
# The space before a word, as written by SentencePiece and byte-level BPE.
_MARKERS = "\u2581\u0120"
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
    is_marker: np.ndarray  # a lone word-start marker glued to the first character
    is_cls: np.ndarray  # the added token that represents the whole text


def encode(tokenizer, texts, pairs, *, split_special_tokens):
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

    Returns
    -------
    encodings : Encodings

    Raises
    ------
    ValueError
        If a text contains a lone surrogate that the tokenizer cannot read.
    """
    if isinstance(tokenizer, TorchModel):
        return _encode_torch_model(tokenizer, texts, pairs)
    try:
        flat, lengths = _encode_in_portions(tokenizer, texts, pairs, split_special_tokens)
    except (TypeError, UnicodeEncodeError):
        _check_surrogates([*texts, *(pairs or ())], tokenizer)
        raise
    ptr = pointers(lengths)
    surface = _Surfaces(tokenizer, texts, flat, ptr)
    cls_id = -1 if tokenizer.cls_token_id is None else tokenizer.cls_token_id
    return Encodings(
        ids=flat["ids"],
        types=flat.get("types"),
        role=flat["role"],
        start=flat["start"],
        end=flat["end"],
        ptr=ptr,
        is_special_word=surface.special_words(),
        is_marker=surface.markers(),
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


def _check_surrogates(texts, tokenizer):
    wrong = [text for text in texts if any("\ud800" <= c <= "\udfff" for c in text)]
    if wrong:
        raise ValueError(
            f"ActivationExtractor: the text {wrong[0][:60]!r} ({len(wrong)} in total) contains a "
            f"lone surrogate (half a character), which {type(tokenizer).__name__} cannot read. "
            "Read the file with the correct encoding, or replace these characters with "
            "text.encode('utf-8', 'replace').decode()."
        )


def _flatten(lists):
    arrays = [np.asarray(values, dtype=np.int64) for values in lists]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=np.int64)


def _encode_fast(tokenizer, texts, pairs, split_special_tokens):
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
        "start": [spans[:, 0] for spans in offsets],
        "end": [spans[:, 1] for spans in offsets],
    }


def _fast_roles(encoding):
    sequence = [TEXT if s is None else s for s in encoding.sequence_ids]
    return np.where(encoding.special_tokens_mask, SPECIAL, sequence)


def _encode_torch_model(model, texts, pairs):
    if pairs is not None:
        raise ValueError(f"{model} reads one text at a time. Drop the column 'text_pair'.")
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
        is_marker=none,
        is_cls=none,
    )


def _encode_slow(tokenizer, texts, pairs, split_special_tokens):
    slow = SlowTokenizer(tokenizer, split_special_tokens)
    encoded = [
        slow.encode(text, None if pairs is None else pairs[i]) for i, text in enumerate(texts)
    ]
    names = ("ids", "types", "role", "start", "end")
    return {name: [one[name] for one in encoded] for name in names}


class _Surfaces:
    """Compares tokens with the characters they cover."""

    def __init__(self, tokenizer, texts, flat, ptr):
        self.tokenizer, self.texts, self.flat, self.ptr = tokenizer, texts, flat, ptr

    def special_words(self):
        ids = np.array(sorted(set(self.tokenizer.all_special_ids)), dtype=np.int64)
        spelled = dict(zip(ids.tolist(), self._pieces(ids), strict=True))
        candidates = (self.flat["role"] == TEXT) & np.isin(self.flat["ids"], ids)
        return self._confirm(
            candidates, lambda token, text: text.strip() == spelled[self.flat["ids"][token]]
        )

    def markers(self):
        distinct, inverse = np.unique(self.flat["ids"], return_inverse=True)
        blank = np.array(
            [bool(piece) and not piece.strip(_MARKERS) for piece in self._pieces(distinct)],
            dtype=bool,
        )
        candidates = (self.flat["role"] == TEXT) & blank[inverse]
        return self._confirm(
            candidates,
            lambda _, text: bool(text.strip()) and not any(mark in text for mark in _MARKERS),
        )

    def _pieces(self, ids):
        pieces = self.tokenizer.convert_ids_to_tokens([int(i) for i in ids])
        return ["" if piece is None else str(piece) for piece in pieces]

    def _confirm(self, candidates, matches):
        for token in np.flatnonzero(candidates):
            text = self.texts[int(np.searchsorted(self.ptr, token, side="right")) - 1]
            span = text[self.flat["start"][token] : self.flat["end"][token]]
            candidates[token] = matches(token, span)
        return candidates
