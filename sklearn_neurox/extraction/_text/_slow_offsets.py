# SPDX-License-Identifier: BSD-3-Clause
"""Character offsets for tokenizers that do not report them (the Python-only ones).

Three methods are tried, each of which verifies its result. First, the tokens may spell the text
character by character or byte by byte. Otherwise the text is cut at white space, and the tokens of
the pieces must add up to the tokens of the whole; within a piece, the spelling of the tokens is
matched. If all methods fail, an error is raised; nothing is guessed.
"""

import contextlib
import difflib
import re
import string
import threading
import unicodedata
import warnings
from functools import lru_cache

import numpy as np

# Markers of word starts, continuations and word ends in common subword vocabularies.
_PREFIXES = ("\u2581", "##", "\u0120")
_SUFFIXES = ("</w>", "@@")

# Warning filters are global to the process.
_warnings_lock = threading.Lock()


class SlowTokenizer:
    """Adds offsets and roles to a Python-only tokenizer."""

    def __init__(self, tokenizer, split_special_tokens):
        self.tokenizer = tokenizer
        self.split_special_tokens = split_special_tokens
        self.specials = frozenset(() if split_special_tokens else tokenizer.all_special_tokens)
        self._chunk_offsets = lru_cache(maxsize=100_000)(self._align_chunk)
        self._chunk_tokens = lru_cache(maxsize=100_000)(self._tokenize)
        self.n_before, self.n_after = self._count_added()

    def encode(self, text, pair):
        """Return the arrays of a text, or of a text and its pair, by their names in `Encodings`."""
        tokens = self._tokenize(text)
        full = self._full(text, pair)
        ids = full["input_ids"]
        own = self.tokenizer.convert_tokens_to_ids(list(tokens))
        first = slice(self.n_before, self.n_before + len(own))
        role = np.full(len(ids), -1)
        role[first] = 0
        if pair is not None:
            role[self._place_of_pair(ids, pair)] = 1
        # ByT5 adds no end token to a text that already ends in one.
        elif len(ids) - self.n_before - len(own) not in (self.n_after, 0):
            raise _no_offsets(self.tokenizer, text, "its special tokens vary with the text")
        if ids[first] != own:
            raise _no_offsets(self.tokenizer, text, "the tokens of the text are not in one place")
        start, end = (np.zeros(len(ids), dtype=np.int64) for _ in range(2))
        if own:
            start[first], end[first] = np.array(self.offsets(text, tokens)).T
        types = full.get("token_type_ids", [0] * len(ids))
        return {"ids": ids, "types": types, "role": role, "start": start, "end": end}

    def _place_of_pair(self, ids, pair):
        own = self.tokenizer.convert_tokens_to_ids(list(self._tokenize(pair)))
        for end in (len(ids) - self.n_after, len(ids)):
            if ids[end - len(own) : end] == own:
                return slice(end - len(own), end)
        raise _no_offsets(self.tokenizer, pair, "the tokens of the pair are not at the end")

    def offsets(self, text, tokens):
        """Return the characters of each token, as pairs (start, end)."""
        for spelled in (_spell, _spell_bytes):
            found = spelled(text, tokens, self.specials)
            if found is not None:
                return found
        return self._offsets_by_chunk(text, tokens)

    def _offsets_by_chunk(self, text, tokens):
        # Tokenizers disagree about white space, except for the space character.
        for chunk in (r"\S+", "[^ ]+"):
            chunks = [match.span() for match in re.finditer(chunk, text)]
            pieces = [self._chunk_tokens(text[start:end]) for start, end in chunks]
            if [token for piece in pieces for token in piece] == list(tokens):
                return [
                    (chunk_start + start, chunk_start + end)
                    for (chunk_start, chunk_end), piece in zip(chunks, pieces, strict=True)
                    for start, end in self._chunk_offsets(text[chunk_start:chunk_end], piece)
                ]
        return _align_surfaces(text, tokens, self.tokenizer)

    def _align_chunk(self, chunk, tokens):
        if len(tokens) == 1:
            return [(0, len(chunk))]
        return _align_surfaces(chunk, tokens, None)

    def _tokenize(self, text):
        return tuple(self.tokenizer.tokenize(text, split_special_tokens=self.split_special_tokens))

    def _full(self, text, pair):
        end = self.tokenizer.eos_token
        spells_end = bool(end) and end in text + (pair or "")
        with _end_warnings_silenced() if spells_end else contextlib.nullcontext():
            return self.tokenizer(
                text,
                pair,
                padding=False,
                truncation=False,
                split_special_tokens=self.split_special_tokens,
                verbose=False,
            )

    def _count_added(self):
        """Return how many special tokens the tokenizer adds before and after a text."""
        own = self.tokenizer.convert_tokens_to_ids(list(self._tokenize("a")))
        full = self._full("a", None)["input_ids"]
        for before in range(len(full) - len(own) + 1):
            if full[before : before + len(own)] == own:
                return before, len(full) - len(own) - before
        raise _no_offsets(self.tokenizer, "a", "the tokens of the text are not in one place")


@contextlib.contextmanager
def _end_warnings_silenced():
    """Silence ByT5's warning about texts that end in ``</s>``; the caller reports them by row."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This sequence already has", UserWarning)
        yield


def _no_offsets(tokenizer, text, reason):
    shown = text if len(text) <= 60 else text[:57] + "..."
    return ValueError(
        f"The tokens of {type(tokenizer).__name__} cannot be matched with the words of the text "
        f"{shown!r} ({reason}). If there is a fast tokenizer with the same vocabulary, pass it as "
        "tokenizer=."
    )


def _spell_bytes(text, tokens, specials):
    """Spell the text in UTF-8 bytes, one token per byte, as ByT5 and Perceiver do."""
    raw = text.encode("utf-8", errors="surrogatepass").decode("latin-1")
    recoded = frozenset(s.encode("utf-8").decode("latin-1") for s in specials)
    found = _spell(raw, tokens, recoded)
    if found is None:
        return None
    widths = [len(char.encode("utf-8", errors="surrogatepass")) for char in text]
    char_of_byte = np.repeat(np.arange(len(text)), widths)
    return [(int(char_of_byte[s]), int(char_of_byte[e - 1]) + 1) for s, e in found]


def _spell(text, tokens, specials):
    """Match the tokens with the characters of the text one by one, or return None."""
    found, place, swallows = [], 0, False
    for token in tokens:
        is_special = token in specials
        # Special tokens may include the white space around them.
        if (is_special or swallows) and not text.startswith(token, place):
            place = _skip_space(text, place)
        if (len(token) != 1 and not is_special) or not text.startswith(token, place):
            return None
        found.append((place, place + len(token)))
        place += len(token)
        swallows = is_special
    place = _skip_space(text, place) if swallows else place
    return found if place == len(text) else None


def _skip_space(text, place):
    # ASCII only: in a text of bytes, other white space may be part of a letter.
    return len(text) - len(text[place:].lstrip(string.whitespace))


def _normalized(text):
    """Return the letters without case, composition and markers, and the source of each."""
    letters, source = [], []
    for place, char in enumerate(text):
        # Decomposed first, because capitals in compatibility forms have no case.
        plain = unicodedata.normalize("NFKD", char).casefold()
        for letter in unicodedata.normalize("NFKD", plain):
            if not letter.isspace():
                letters.append(letter)
                source.append(place)
    return "".join(letters), source


def _surface(token):
    for prefix in _PREFIXES:
        token = token.removeprefix(prefix)
    for suffix in _SUFFIXES:
        token = token.removesuffix(suffix)
    return _normalized(token)[0]


def _align_surfaces(text, tokens, tokenizer):
    """Match the spelling of the tokens with the text; unmatched tokens get the gaps in between.

    If a tokenizer is given (to be named in the error), everything must match.
    """
    letters, source = _normalized(text)
    surfaces = [_surface(token) for token in tokens]
    owner = [i for i, surface in enumerate(surfaces) for _ in surface]
    matcher = difflib.SequenceMatcher(None, "".join(surfaces), letters, autojunk=False)
    spans = [None] * len(tokens)
    matched = 0
    for block in matcher.get_matching_blocks():
        matched += block.size
        for step in range(block.size):
            token, place = owner[block.a + step], source[block.b + step]
            low, high = spans[token] or (place, place)
            spans[token] = (min(low, place), max(high, place))
    if tokenizer is not None and not matched == len(letters) == len(owner):
        raise _no_offsets(tokenizer, text, "their spelling does not follow the text")
    return _fill_gaps([None if s is None else (s[0], s[1] + 1) for s in spans], len(text))


def _fill_gaps(spans, length):
    """Assign each token without a span all characters between its neighbors."""
    ends = np.maximum.accumulate([0] + [0 if s is None else s[1] for s in spans])[:-1]
    starts = [length if s is None else s[0] for s in spans] + [length]
    starts = np.minimum.accumulate(starts[::-1])[::-1][1:]
    return [
        (int(before), int(after)) if span is None else span
        for span, before, after in zip(spans, ends, starts, strict=True)
    ]
