# SPDX-License-Identifier: BSD-3-Clause
"""Find the characters that read from right to left, by the Unicode bidirectional algorithm.

A browser lays out a paragraph itself; an SVG has to place each word. The rules (W1 to W7, N0 to N2,
I1, I2 and L2) are those of Unicode Standard Annex 9. Embedding and isolating controls are ignored,
and only ASCII brackets are paired.
"""

import re
import unicodedata

# One letter per bidirectional class; all other classes are neutral ("O").
_LETTERS = {
    **{"L": "L", "R": "R", "AL": "A", "EN": "E", "AN": "N"},
    **{"NSM": "M", "CS": "C", "ES": "S", "ET": "T"},
}
# The direction that a class lends to its neighbors: numbers count as right to left.
_STRONG = {"L": "L", "R": "R", "E": "R", "N": "R"}
_CLOSING = {")": "(", "]": "[", "}": "{"}


def embedding_levels(text, direction):
    """Return the level of each character of a paragraph, 0 to 2; odd ones read right to left."""
    base = "R" if direction == "rtl" else "L"
    classes = (_LETTERS.get(unicodedata.bidirectional(character), "O") for character in text)
    # The base direction stands at either end, where the rules look beyond the text.
    kinds = _resolve_weak(f"{base}{''.join(classes)}{base}")
    kinds = _resolve_brackets(f" {text} ", list(kinds), base)
    kinds = re.sub(  # N1, N2: neutrals follow both neighbors where these agree, else the base
        "([LREN])([^LREN]+)(?=([LREN]))",
        lambda run: run[1] + _neutral(run[1], run[3], base) * len(run[2]),
        "".join(kinds),
    )
    deeper = {"L": 2, "R": 1} if base == "R" else {"L": 0, "R": 1}
    return [deeper.get(kind, 2) for kind in kinds[1:-1]]


def visual_order(levels):
    """Order the parts of a line, given their levels, as they appear from left to right (L2)."""
    order = list(range(len(levels)))
    for level in range(max(levels, default=0), 0, -1):
        start = 0
        while start < len(order):
            end = start
            while end < len(order) and levels[order[end]] >= level:
                end += 1
            order[start:end] = order[start:end][::-1]
            start = end + 1
    return order


def _resolve_weak(kinds):
    kinds = re.sub("(.)M+", lambda run: run[1] * len(run[0]), kinds)  # W1
    kinds = re.sub("A[^LRA]*", lambda run: run[0].replace("E", "N"), kinds)  # W2
    kinds = kinds.replace("A", "R")  # W3
    kinds = re.sub("(?<=E)[CS](?=E)", "E", re.sub("(?<=N)C(?=N)", "N", kinds))  # W4
    kinds = re.sub("T*E[ET]*", lambda run: "E" * len(run[0]), kinds)  # W5
    return re.sub("L[^LR]*", lambda run: run[0].replace("E", "L"), kinds)  # W7


def _resolve_brackets(text, kinds, base):
    """Assign one direction to both brackets of a pair, that of the text they enclose (N0)."""
    opened, pairs = [], []
    for place, character in enumerate(text):
        if character in "([{":
            opened.append(place)
        elif character in _CLOSING:
            match = [n for n, at in enumerate(opened) if text[at] == _CLOSING[character]]
            if match:
                pairs.append((opened[match[-1]], place))
                del opened[match[-1] :]
    for start, end in sorted(pairs):
        inside = {_STRONG[kind] for kind in kinds[start + 1 : end] if kind in _STRONG}
        before = next(_STRONG[kind] for kind in reversed(kinds[:start]) if kind in _STRONG)
        if inside:
            kinds[start] = kinds[end] = base if base in inside else before
    return kinds


def _neutral(before, after, base):
    return _STRONG[before] if _STRONG[before] == _STRONG[after] else base
