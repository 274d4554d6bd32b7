# SPDX-License-Identifier: BSD-3-Clause
"""Character offsets for tokenizers that do not report them (the Python-only ones).

First, the tokens may spell the text character by character or byte by byte. Otherwise the text is
cut at white space, and the tokens of the pieces must add up to the tokens of the whole; within a
piece, the letters of the tokens are matched. If they do not add up, the letters of the whole text
are matched, and what does not match must lie within one piece. A text for which this fails is not
guessed: its tokens have no characters.
"""

import contextlib
import re
import threading
import warnings
from functools import lru_cache

import numpy as np

from sklearn_neurox.extraction._text._letters import match_letters, surface
from sklearn_neurox.extraction._text._roles import PAIR, SPECIAL, TEXT, UNALIGNED

_MARKERS = "\u2581\u0120"
# White space, without the control characters that only Python counts as such.
_SPACES = re.compile(r"[^\S\x1c-\x1f]+|[\u2581\u0120]+")

# Warning filters are global to the process.
_warnings_lock = threading.Lock()


class SlowTokenizer:
    """Adds offsets and roles to a Python-only tokenizer."""

    def __init__(self, tokenizer, split_special_tokens):
        self.tokenizer = tokenizer
        self.split_special_tokens = split_special_tokens
        specials = {*tokenizer.all_special_tokens, *tokenizer.added_tokens_encoder}
        self.specials = frozenset(() if split_special_tokens else specials)
        self._chunk_offsets = lru_cache(maxsize=100_000)(self._align_chunk)
        self._chunk_tokens = lru_cache(maxsize=100_000)(self._tokenize)
        self.n_before, self.n_after = self._count_added()

    def encode(self, text, pair):
        """Return the arrays of a text, or of a text and its pair, by their names in `Encodings`."""
        tokens = self._tokenize(text)
        full = self._full(text, pair)
        ids = full["input_ids"]
        own = self.tokenizer.convert_tokens_to_ids(list(tokens))
        role = self._roles(ids, own, pair)
        start, end = (np.zeros(len(ids), dtype=np.int64) for _ in range(2))
        first = slice(self.n_before, self.n_before + len(own))
        spans = self.offsets(text, tokens) if ids[first] == own else None
        if spans is None:
            start[role == TEXT] = end[role == TEXT] = UNALIGNED
        elif own:
            start[first], end[first] = np.array(spans).T
        types = full.get("token_type_ids", [0] * len(ids))
        return {"ids": ids, "types": types, "role": role, "start": start, "end": end}

    def _roles(self, ids, own, pair):
        role = np.full(len(ids), SPECIAL)
        if ids[self.n_before : self.n_before + len(own)] != own:
            role[self.n_before : len(ids) - self.n_after] = TEXT
            return role
        role[self.n_before : self.n_before + len(own)] = TEXT
        if pair is not None:
            role[self._place_of_pair(ids, pair)] = PAIR
        return role

    def _place_of_pair(self, ids, pair):
        own = self.tokenizer.convert_tokens_to_ids(list(self._tokenize(pair)))
        # ByT5 adds no end token to a text that already ends in one.
        for end in (len(ids) - self.n_after, len(ids)):
            if ids[end - len(own) : end] == own:
                return slice(end - len(own), end)
        raise _no_place(self.tokenizer, pair, "the tokens of the pair are not at the end")

    def offsets(self, text, tokens):
        """Return the characters of each token, as pairs (start, end), or None."""
        units = list(text), list(range(len(text)))
        for pieces in (units, _bytes_of(text)):
            found = _spell(text, *pieces, tokens, self._spelled(pieces is not units))
            if found is not None:
                return found
        return self._offsets_by_chunk(text, tokens)

    def _spelled(self, in_bytes):
        if not in_bytes:
            return {token: list(token) for token in self.specials}
        return {token: _bytes_of(token)[0] for token in self.specials}

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
        return self._align_text(text, tokens)

    def _align_chunk(self, chunk, tokens):
        return _fill_gaps(chunk, tokens, match_letters(chunk, tokens, self._silent(chunk))[0])

    def _align_text(self, text, tokens):
        spans, is_exact = match_letters(text, tokens, self._silent(text))
        filled = _fill_gaps(text, tokens, spans)
        if is_exact:
            return filled
        # What lies in two pieces, or between them, could belong to either.
        sure = all(
            len(text[start:end].split()) == 1
            for token, (start, end) in zip(tokens, filled, strict=True)
            if token.strip(_MARKERS)
        )
        return filled if sure else None

    def _silent(self, text):
        """Return the special tokens that the text does not spell, such as the unknown token."""
        return {token for token in self.specials if token not in text}

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
        raise _no_place(self.tokenizer, "a", "the tokens of the text are not in one place")


@contextlib.contextmanager
def _end_warnings_silenced():
    """Silence ByT5's warning about texts that end in ``</s>``; the caller reports them by row."""
    with _warnings_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This sequence already has", UserWarning)
        yield


def _no_place(tokenizer, text, reason):
    shown = text if len(text) <= 60 else text[:57] + "..."
    return ValueError(
        f"The tokens of {type(tokenizer).__name__} cannot be matched with the words of the text "
        f"{shown!r} ({reason}). If there is a fast tokenizer with the same vocabulary, pass it as "
        "tokenizer=."
    )


def _bytes_of(text):
    """Return the bytes of UTF-8, each as one character, and the source of each."""
    units, source = [], []
    for place, char in enumerate(text):
        raw = char.encode("utf-8", errors="surrogatepass").decode("latin-1")
        units += raw
        source += [place] * len(raw)
    return units, source


def _spell(text, units, source, tokens, specials):
    """Match the tokens with the units of the text one by one, or return None.

    Special tokens may take in the white space around them.
    """
    found, place, swallows = [], 0, False

    def skip_space(place):
        while place < len(units) and text[source[place]].isspace():
            place += 1
        return place

    for token in tokens:
        is_special = token in specials
        wanted = specials[token] if is_special else [token]
        if (is_special or swallows) and units[place : place + len(wanted)] != wanted:
            place = skip_space(place)
        end = place + len(wanted)
        if units[place:end] != wanted:
            return None
        found.append((source[place], source[end - 1] + 1))
        place, swallows = end, is_special
    place = skip_space(place) if swallows else place
    return found if place == len(units) else None


def _fill_gaps(text, tokens, spans):
    """Assign each token without letters the characters between its neighbors.

    A lone marker gets only the white space there. Any other token of an empty gap belongs to the
    character before, such as the last pieces of what a tokenizer wrote for one character.
    """
    spans = _place_literally(text, tokens, spans)
    ends = np.maximum.accumulate([0] + [0 if s is None else s[1] for s in spans])[:-1]
    starts = _starts_after(text, spans)
    filled = []
    for token, span, before, after in zip(tokens, spans, ends, starts, strict=True):
        low, high = int(before), max(int(before), int(after))
        if span is None and not token.strip(_MARKERS):
            spaces = _SPACES.search(text, low, high)
            span = spaces.span() if spaces else (low, low)
        elif span is None and low < high:
            inner = text[low:high]
            # Without the white space around, unless there is nothing else.
            lead = len(inner) - len(inner.lstrip()) if inner.strip() else 0
            span = (low + lead, low + (len(inner.rstrip()) or len(inner)))
        filled.append(span or (max(low - 1, 0), max(low, min(1, len(text)))))
    return filled


def _starts_after(text, spans):
    """Return where the next token with a span begins, for each token."""
    starts = [len(text) if s is None else s[0] for s in spans] + [len(text)]
    return np.minimum.accumulate(starts[::-1])[::-1][1:]


def _place_literally(text, tokens, spans):
    """Place tokens without letters that occur as they are, such as control characters."""
    found, place = [], 0
    for token, span, after in zip(tokens, spans, _starts_after(text, spans), strict=True):
        for spelled in (token, surface(token)) if span is None else ():
            at = text.find(spelled, place, int(after)) if spelled else -1
            if at >= 0:
                span = (at, at + len(spelled))
                break
        place = place if span is None else max(place, span[1])
        found.append(span)
    return found
