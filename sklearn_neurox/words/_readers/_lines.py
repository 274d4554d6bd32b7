# SPDX-License-Identifier: BSD-3-Clause
"""The lines of a text file; what cannot be decoded is an error that names the line."""

import os
from pathlib import Path

from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.words._half_characters import HALF_CHARACTER


def read_lines(path, *, encoding):
    r"""Return the lines of a file and its name; only ``\n`` and ``\r\n`` end a line."""
    source = name_source(path)
    content = path.read() if hasattr(path, "read") else Path(os.fsdecode(path)).read_bytes()
    if isinstance(content, bytes):
        try:
            content = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ValueError(f"{source}:{line}: this file is not {encoding} ({error}).") from None
    else:
        _check_encodable(content, source)
    if "\r" in content and "\n" not in content:
        raise ValueError(
            f"{source}: the lines of this file end with a carriage return alone, as on very old "
            "systems. Replace each '\\r' by '\\n'."
        )
    lines = content.removeprefix("\ufeff").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines], source


def iterate_lines(path, *, encoding):
    r"""Yield the lines of a file one by one, as `read_lines` reads them all.

    In ``encoding``, no other character may contain the byte of ``\n``.
    """
    if hasattr(path, "read"):
        lines = path if hasattr(path, "__iter__") else read_lines(path, encoding=encoding)[0]
        yield from _decoded(lines, name_source(path), encoding)
        return
    with open(path, "rb") as file:
        yield from _decoded(file, name_source(path), encoding)


def name_source(path):
    """Return the name of a path or file object for messages; refuse what is neither."""
    if hasattr(path, "read"):
        return str(getattr(path, "name", "<file object>"))
    return str(as_path(path, "The path of the file"))


def _check_encodable(text, source):
    """Raise an error that names the line if a text that came decoded has half a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = 1 + text.count("\n", 0, error.start)
        raise ValueError(f"{source}:{line}: this line contains {HALF_CHARACTER}") from None


def _decoded(lines, source, encoding):
    for number, line in enumerate(lines, start=1):
        if isinstance(line, bytes):
            try:
                line = line.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{source}:{number}: this file is not {encoding} ({error})."
                ) from None
        line = line.removeprefix("\ufeff") if number == 1 else line
        yield line.removesuffix("\n").removesuffix("\r")
