# SPDX-License-Identifier: BSD-3-Clause
"""The lines of a text file; what cannot be decoded is an error that names the line."""

import os
from pathlib import Path


def read_lines(path, *, encoding):
    r"""Return the lines of a file and its name; only ``\n`` and ``\r\n`` end a line."""
    if hasattr(path, "read"):
        content, source = path.read(), str(getattr(path, "name", "<file object>"))
    else:
        content, source = Path(path).read_bytes(), os.fspath(path)
    if isinstance(content, bytes):
        try:
            content = content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ValueError(f"{source}:{line}: this file is not {encoding} ({error}).") from None
    lines = content.removeprefix("\ufeff").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines], source


def iterate_lines(path, *, encoding):
    r"""Yield the lines of a file one by one, as `read_lines` reads them all.

    In ``encoding``, no other character may contain the byte of ``\n``.
    """
    with open(path, "rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}:{number}: this file is not {encoding} ({error})."
                ) from None
            line = line.removeprefix("\ufeff") if number == 1 else line
            yield line.removesuffix("\n").removesuffix("\r")
