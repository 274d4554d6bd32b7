# SPDX-License-Identifier: BSD-3-Clause
"""Match the letters of tokens with the letters of their text, whatever was folded or escaped."""

import difflib
import html
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Markers of word starts, continuations and word ends in common subword vocabularies.
SPACE = "\u2581"
_PREFIXES = (SPACE, "##", "\u0120")
_SUFFIXES = ("</w>", "@@")
# Quotes, apostrophes and dashes that tokenizers of the Moses family write in one way.
_FOLDED = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b`\u00b4", "'"),
        **dict.fromkeys("\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
# How the Moses family writes characters with a meaning in HTML, and hyphens within a word.
_ESCAPED = re.compile(r"&(?:#\d+|#x[0-9a-f]+|[a-z]+\d*);|@-@", re.IGNORECASE)
# Letters compared at once where two spellings differ, so that time grows linearly.
_WINDOW = 200


@dataclass(frozen=True)
class Letters:
    """Letters in one string, each made from the items (characters or tokens) low to high."""

    string: str
    low: np.ndarray
    high: np.ndarray  # inclusive

    @classmethod
    def of(cls, items, *, fold, kept):
        """Take the letters of a list of strings, and the white space that is ``kept``."""
        spelled, numbers = [], []
        for number, item in enumerate(items):
            letters = _letters(item.translate(_FOLDED) if fold else item, kept)
            spelled.append(letters)
            numbers += [number] * len(letters)
        string, numbers = "".join(spelled), np.array(numbers, dtype=np.int64)
        if not unicodedata.is_normalized("NFD", string):  # marks of one letter in another order
            order = _canonical_order(string)
            string, numbers = "".join(string[place] for place in order), numbers[order]
        return cls(string, numbers, numbers)

    def replace(self, pattern, change):
        """Replace the matches of a pattern by other letters, each made from all that matched."""
        parts, low, high, place = [], [], [], 0
        for match in pattern.finditer(self.string):
            start, end = match.span()
            new = _letters(change(match.group()))
            parts += [self.string[place:start], new]
            low += [self.low[place:start], np.repeat(self.low[start], len(new))]
            high += [self.high[place:start], np.repeat(self.high[end - 1], len(new))]
            place = end
        if not parts:
            return self
        low, high = [*low, self.low[place:]], [*high, self.high[place:]]
        string = "".join([*parts, self.string[place:]])
        return Letters(string, np.concatenate(low), np.concatenate(high))


def _canonical_order(string):
    """Sort the marks that follow a letter by their combining class, as Unicode defines it."""
    classes = np.array([unicodedata.combining(char) for char in string], dtype=np.int64)
    letter = np.cumsum(classes == 0)
    return np.lexsort((classes, letter))


@lru_cache(maxsize=100_000)
def _letters(text, kept=""):
    """Return the letters of a text without case, composition, white space and its marker."""
    if kept and any(char in kept for char in text):
        return "".join(char if char in kept else _letters(char) for char in text)
    # Decomposed first, because capitals in compatibility forms have no case.
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(
        c for c in unicodedata.normalize("NFKD", plain) if not c.isspace() and c != SPACE
    )


def surface(token):
    """Return what a token spells, without the markers of its vocabulary."""
    for prefix in _PREFIXES:
        token = token.removeprefix(prefix)
    for suffix in _SUFFIXES:
        token = token.removesuffix(suffix)
    return token


def match_letters(text, tokens, silent=frozenset()):
    """Match the letters of a text with those that its tokens spell.

    Parameters
    ----------
    text : str

    tokens : list of str

    silent : set of str, default=frozenset()
        Tokens that spell nothing.

    Returns
    -------
    spans : list of (int, int) or None
        The characters of each token, None for a token without a letter of the text.

    is_exact : bool
        Whether all letters of both sides match.
    """
    found = _match(text, ["" if token in silent else surface(token) for token in tokens])
    spells_markers = any(marker in text for marker in (*_PREFIXES, *_SUFFIXES))
    if spells_markers and found[0]:
        other = _match(text, ["" if token in silent else token for token in tokens])
        found = min(found, other, key=lambda result: result[0])
    return found[1], found[0] == 0


def _match(text, surfaces):
    """Return how many letters do not match, and the span of each token."""
    best = None
    for spell in (_plain, _unescaped, _folded):
        ours, theirs = spell(text, surfaces)
        if ours.string == theirs.string:
            n = len(ours.string)
            return 0, _spans([(0, 0, n)] if n else [], ours, theirs, len(surfaces))
        blocks = _matching_blocks(ours.string, theirs.string)
        matched = sum(size for *_, size in blocks)
        missing = len(ours.string) + len(theirs.string) - 2 * matched
        if best is None or missing < best[0]:
            best = missing, blocks, ours, theirs
    return best[0], _spans(*best[1:], len(surfaces))


def _both(text, surfaces, *, fold):
    # Some tokenizers keep white space that others do not know as such (U+0085).
    kept = "".join(sorted({char for spelled in surfaces for char in spelled if char.isspace()}))
    return [Letters.of(items, fold=fold, kept=kept) for items in (text, surfaces)]


def _plain(text, surfaces):
    return _both(text, surfaces, fold=False)


def _unescaped(text, surfaces):
    ours, theirs = _plain(text, surfaces)
    return ours, theirs.replace(_ESCAPED, _unescape)


def _unescape(found):
    return "-" if found == "@-@" else html.unescape(found)


def _folded(text, surfaces):
    both = _both(text, surfaces, fold=True)
    both[1] = both[1].replace(_ESCAPED, lambda found: _unescape(found).translate(_FOLDED))
    return [letters.replace(re.compile("''"), lambda _: '"') for letters in both]


def _spans(blocks, ours, theirs, n_tokens):
    low = np.full(n_tokens, np.iinfo(np.int64).max)
    high = np.full(n_tokens, -1)
    for place, other, size in blocks:
        for step in range(size):
            tokens = slice(theirs.low[other + step], theirs.high[other + step] + 1)
            low[tokens] = np.minimum(low[tokens], ours.low[place + step])
            high[tokens] = np.maximum(high[tokens], ours.high[place + step])
    return [
        None if last < 0 else (int(first), int(last) + 1)
        for first, last in zip(low, high, strict=True)
    ]


def _matching_blocks(left, right):
    """Return triples (place in left, place in right, size) of equal letters, in order.

    Where the strings differ, only a window is compared, so that the time is linear.
    """
    blocks, i, j = [], 0, 0
    while i < len(left) and j < len(right):
        size = _common_run(left, right, i, j)
        if size:
            blocks.append((i, j, size))
            i, j = i + size, j + size
            continue
        window = left[i : i + _WINDOW], right[j : j + _WINDOW]
        found = difflib.SequenceMatcher(None, *window, autojunk=False).get_matching_blocks()
        found = [block for block in found if block.size]
        # What comes late in a window may match better with what comes after it.
        sure = [block for block in found if max(block.a, block.b) < _WINDOW // 2] or found[:1]
        if not sure:
            i, j = i + _WINDOW // 2, j + _WINDOW // 2
        for block in sure:
            blocks.append((i + block.a, j + block.b, block.size))
        if sure:
            i, j = i + sure[-1].a + sure[-1].size, j + sure[-1].b + sure[-1].size
    return blocks


def _common_run(left, right, i, j):
    size, step = 0, 1
    while step:
        while step and left[i + size : i + size + step] == right[j + size : j + size + step]:
            if i + size + step > len(left) or j + size + step > len(right):
                break
            size, step = size + step, step * 2
        step //= 2
    return size
