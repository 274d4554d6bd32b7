# SPDX-License-Identifier: BSD-3-Clause
"""The positions of words in lines, in cells of a monospaced font, in either direction."""

import re
import unicodedata
from itertools import groupby
from typing import NamedTuple

from sklearn_neurox.inspection._highlight._bidi import embedding_levels, visual_order

_RUN = re.compile(r"\s+|\S+")
_ZERO_WIDTH_JOINER = "\u200d"


class Atom(NamedTuple):
    """A part of a piece on one line, in one direction, either blank or without blanks."""

    text: str
    row: int | None
    width: int
    level: int  # odd for right to left


def lay_out(pieces, direction, n_cells):
    """Break the pieces of a sentence into lines of atoms, each in visual order from left to right.

    No line is wider than `n_cells`, unless a single character is.
    """
    lines = _break(list(_units(pieces, direction)), n_cells)
    return [[line[place] for place in visual_order([a.level for a in line])] for line in lines]


def text_cells(text):
    """Count the cells that a text occupies: two for a wide character, none for a mark."""
    return sum(map(_cells, text))


def wrap_cells(text, n_cells):
    """Break a text into lines at its blanks, or within a word that is longer than a line."""
    lines = [""]
    for word in text.split():
        line = f"{lines[-1]} {word}" if lines[-1] else word
        if text_cells(line) <= n_cells:
            lines[-1] = line
            continue
        lines.append("")
        for character in word:
            if text_cells(lines[-1] + character) > n_cells:
                lines.append("")
            lines[-1] += character
    return [line for line in lines if line] or [text]


def _cells(character):
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _units(pieces, direction):
    """Yield blanks one by one, and adjacent pieces without a blank, like "do" "n't", together."""
    levels = embedding_levels("".join(piece.text for piece in pieces), direction)
    unit, place = [], 0
    for piece in pieces:
        for match in _RUN.finditer(piece.text):
            run = match.group()
            of_run = zip(run, levels[place + match.start() :], strict=False)
            atoms = [
                _atom("".join(character for character, _ in part), piece.row, level)
                for level, part in groupby(of_run, key=lambda pair: pair[1])
            ]
            if not run.isspace():
                unit += atoms
                continue
            if unit:
                yield _joined(unit)
                unit = []
            yield atoms
        place += len(piece.text)
    if unit:
        yield _joined(unit)


def _atom(text, row, level):
    return Atom(text, row, len(text) if text.isspace() else text_cells(text), level)


def _joined(unit):
    """Keep letters joined across two atoms, such as those of an Arabic word and its article."""
    unit = list(unit)
    for place in range(1, len(unit)):
        before, after = unit[place - 1 : place + 1]
        ends = before.text[-1], after.text[0]
        if all(unicodedata.bidirectional(character) == "AL" for character in ends):
            unit[place - 1] = before._replace(text=before.text + _ZERO_WIDTH_JOINER)
            unit[place] = after._replace(text=_ZERO_WIDTH_JOINER + after.text)
    return unit


def _break(units, n_cells):
    lines, used = [[]], 0
    for unit in units:
        width = sum(atom.width for atom in unit)
        if unit[0].text.isspace():
            # Trailing blanks are invisible, and a line break in the text breaks the line here.
            if used + width >= n_cells or any("\n" in atom.text for atom in unit):
                lines.append([])
                used = 0
            elif used:
                lines[-1] += unit
                used += width
            continue
        if used and used + width > n_cells >= width:
            lines.append([])
            used = 0
        for atom in unit:
            for part in _split(atom, n_cells - used, n_cells):
                if used and used + part.width > n_cells:
                    lines.append([])
                    used = 0
                lines[-1].append(part)
                used += part.width
    lines = [_without_last_blanks(line) for line in lines]
    return [line for line in lines if line]


def _split(atom, n_left, n_cells):
    """Split an atom that is wider than a line, but never between a letter and its mark."""
    if atom.width <= n_cells:
        yield atom
        return
    part, used = "", 0
    for character in atom.text:
        cells = _cells(character)
        if part and cells and used + cells > n_left:
            yield atom._replace(text=part, width=used)
            part, used, n_left = "", 0, n_cells
        part, used = part + character, used + cells
    yield atom._replace(text=part, width=used)


def _without_last_blanks(line):
    while line and line[-1].text.isspace():
        line = line[:-1]
    return line
