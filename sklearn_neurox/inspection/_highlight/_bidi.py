# SPDX-License-Identifier: BSD-3-Clause
"""Which characters of a line are read from right to left, by the Unicode bidirectional algorithm.

An SVG places its words itself, so it has to know what a browser knows of a paragraph. The rules
(W1 to W7, N0 to N2, I1, I2 and L2) are those of Unicode Standard Annex 9; controls that embed or
isolate are not looked at, and of the brackets only the ASCII ones are paired.
"""

import unicodedata

_CLOSING = {")": "(", "]": "[", "}": "{"}
_NUMBERS = ("EN", "AN")


def embedding_levels(text, direction):
    """Give the level of every character: odd ones are read from right to left.

    Parameters
    ----------
    text : str
        A paragraph.

    direction : {"ltr", "rtl"}
        Its direction.

    Returns
    -------
    levels : list of int
        0, 1 or 2.
    """
    base = "R" if direction == "rtl" else "L"
    kinds = [unicodedata.bidirectional(character) for character in text]
    _resolve_weak(kinds, base)
    _resolve_brackets(text, kinds, base)
    _resolve_neutral(kinds, base)
    deeper = {"L": 2, "R": 1} if base == "R" else {"L": 0, "R": 1}
    return [deeper.get(kind, 2) for kind in kinds]


def visual_order(levels):
    """Order parts of a line, given their levels, as they are seen from left to right (L2).

    Parameters
    ----------
    levels : sequence of int
        One a part, in the order of the text.

    Returns
    -------
    order : list of int
    """
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


def _resolve_weak(kinds, base):
    last, strong = base, base
    for place, kind in enumerate(kinds):
        if kind == "NSM":
            kind = last
        if kind in ("L", "R", "AL"):
            strong = kind
        if kind == "EN" and strong == "AL":
            kind = "AN"
        kinds[place] = last = kind
    kinds[:] = ["R" if kind == "AL" else kind for kind in kinds]
    for place in range(1, len(kinds) - 1):
        before, kind, after = kinds[place - 1 : place + 2]
        joins = kind == "CS" and before in _NUMBERS or kind == "ES" and before == "EN"
        if joins and before == after:
            kinds[place] = before
    _spread_numbers(kinds)
    strong = base
    for place, kind in enumerate(kinds):
        if kind in ("L", "R"):
            strong = kind
        elif kind == "EN" and strong == "L":
            kinds[place] = "L"


def _spread_numbers(kinds):
    """Let signs such as the percent sign go with the number they stand at (W5)."""
    for places in (range(1, len(kinds)), range(len(kinds) - 2, -1, -1)):
        step = -1 if places.step > 0 else 1
        for place in places:
            if kinds[place] == "ET" and kinds[place + step] == "EN":
                kinds[place] = "EN"


def _resolve_brackets(text, kinds, base):
    """Give both brackets of a pair one direction, that of what they hold (N0)."""
    opened, pairs = [], []
    for place, character in enumerate(text):
        if kinds[place] != "ON":
            continue
        if character in "([{":
            opened.append(place)
        elif character in _CLOSING:
            match = [n for n, at in enumerate(opened) if text[at] == _CLOSING[character]]
            if match:
                pairs.append((opened[match[-1]], place))
                del opened[match[-1] :]
    for start, end in sorted(pairs):
        inside = {_strong(kind) for kind in kinds[start + 1 : end]} - {None}
        before = next((_strong(k) for k in reversed(kinds[:start]) if _strong(k)), base)
        if base in inside or (inside and before == base):
            kinds[start] = kinds[end] = base
        elif inside:
            kinds[start] = kinds[end] = before


def _resolve_neutral(kinds, base):
    """Let what has no direction go with both its neighbours, else with the line (N1, N2)."""
    start = 0
    while start < len(kinds):
        if _strong(kinds[start]):
            start += 1
            continue
        end = start
        while end < len(kinds) and not _strong(kinds[end]):
            end += 1
        before = _strong(kinds[start - 1]) if start else base
        after = _strong(kinds[end]) if end < len(kinds) else base
        kinds[start:end] = [before if before == after else base] * (end - start)
        start = end


def _strong(kind):
    """Tell the direction that a kind lends to its neighbours: numbers count as from the right."""
    if kind in ("R", *_NUMBERS):
        return "R"
    return "L" if kind == "L" else None
