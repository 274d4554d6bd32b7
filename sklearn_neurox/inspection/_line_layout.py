# SPDX-License-Identifier: BSD-3-Clause
"""Where the words of a line are, in cells of a monospaced font, in either direction."""

import re
import unicodedata
from typing import NamedTuple

from sklearn_neurox.inspection._text_pieces import text_direction

_ATOM = re.compile(r"\s+|\S+")


class Atom(NamedTuple):
    """A part of a piece that stays on one line: blanks, or what is between them."""

    text: str
    row: int | None
    width: int
    level: int = 0  # how deep it is embedded; odd from right to left


def lay_out(pieces, direction, n_cells):
    """Break pieces of text into lines, and order each line as it is seen from left to right.

    Parameters
    ----------
    pieces : list of Piece
        A sentence.

    direction : {"ltr", "rtl"}
        Its direction.

    n_cells : int
        The cells of a line.

    Returns
    -------
    lines : list of list of Atom
        From left to right. No line is wider than ``n_cells``.
    """
    return [_visual_order(_with_levels(line, direction)) for line in _break(pieces, n_cells)]


def text_cells(text):
    """Count the cells that a text takes: two for a wide character, none for a mark."""
    return sum(map(_cells, text))


def _cells(character):
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _break(pieces, n_cells):
    lines, used = [[]], 0
    for unit in _units(pieces):
        width = sum(atom.width for atom in unit)
        if unit[0].text.isspace():
            # Blanks at the end of a line are not seen, and a line break in the text is one here.
            if "\n" in unit[0].text or used + width >= n_cells:
                lines.append([])
                used = 0
            elif used:
                lines[-1] += unit
                used += width
            continue
        if used + width > n_cells and used and width <= n_cells:
            lines.append([])
            used = 0
        for atom in unit:
            for part in _split(atom, n_cells - used, n_cells):
                if used + part.width > n_cells:
                    lines.append([])
                    used = 0
                lines[-1].append(part)
                used += part.width
    lines = [_without_last_blanks(line) for line in lines]
    return [line for line in lines if line]


def _units(pieces):
    """Yield blanks one by one, and together what no blank stands between, such as "do" "n't"."""
    unit = []
    for piece in pieces:
        for match in _ATOM.finditer(piece.text):
            text = match.group()
            if not text.isspace():
                unit.append(Atom(text, piece.row, text_cells(text)))
                continue
            if unit:
                yield unit
                unit = []
            yield [Atom(text, piece.row, len(text))]
    if unit:
        yield unit


def _split(atom, n_left, n_cells):
    """Cut an atom that is wider than a line, never before a mark that sits on a letter."""
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


def _with_levels(line, direction):
    """Embed the atoms, by the Unicode bidirectional algorithm with an atom as the unit."""
    base = int(direction == "rtl")
    kinds = [_kind(atom.text) for atom in line]
    before, after = _strong_neighbours(kinds, base), _strong_neighbours(kinds[::-1], base)[::-1]
    atoms = []
    for atom, kind, left, right in zip(line, kinds, before, after, strict=True):
        if kind == "number":
            # A number is read from left to right, within text from right to left.
            level = 2 if base or left else 0
        else:
            is_rtl = kind if kind is not None else left if left == right else base
            level = int(is_rtl) if not base else 2 - int(is_rtl)
        atoms.append(atom._replace(level=level))
    return atoms


def _kind(text):
    """Tell the direction of an atom: True from right to left, "number", None for neither."""
    direction = text_direction(text, default=None)
    if direction:
        return direction == "rtl"
    kinds = {unicodedata.bidirectional(character) for character in text}
    return "number" if kinds & {"EN", "AN"} else None


def _strong_neighbours(kinds, base):
    """Give for every atom the direction of the strong one before it, the line's for none."""
    last, neighbours = bool(base), []
    for kind in kinds:
        neighbours.append(last)
        if kind is not None and kind != "number":
            last = kind
    return neighbours


def _visual_order(atoms):
    """Reverse every run of deeper atoms, from the deepest (rule L2 of the algorithm)."""
    atoms = list(atoms)
    for level in range(max((atom.level for atom in atoms), default=0), 0, -1):
        start = 0
        while start < len(atoms):
            end = start
            while end < len(atoms) and atoms[end].level >= level:
                end += 1
            atoms[start:end] = atoms[start:end][::-1]
            start = end + 1
    return atoms
