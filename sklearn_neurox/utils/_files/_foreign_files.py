# SPDX-License-Identifier: BSD-3-Clause
"""Open and check files that this package did not write.

What is wrong with such a file is a ValueError (or an OSError, where the file cannot be opened) of
one line: the file, the problem, the remedy. Nothing that the file declares is believed before it is
compared with what the file holds.
"""

import contextlib
import json
import os
import stat
from pathlib import Path

_READING = sum(
    getattr(os, flag, 0)
    for flag in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)
_MAX_SETTINGS = 100 << 20
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


class NotRegularError(ValueError):
    """A path is not a regular file; the message says what it is."""


def as_path(path: str | bytes | os.PathLike, what: str) -> Path:
    """Return a path, after checking that the system can have a file of this name.

    ``what`` names the path in messages ("The 'path' parameter of read_neurox").
    """
    try:
        text = os.fspath(path)
    except TypeError:
        raise TypeError(f"{what} must be a path, got a {type(path).__name__}.") from None
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} is {text!r}, which contains the character {text[error.start]!r}, and no file "
            "name can. Correct the path."
        ) from None
    if b"\0" in encoded:
        raise ValueError(
            f"{what} is {text!r}, which contains a NUL character, and no file name can. Correct "
            "the path."
        )
    return Path(text)


def expanded(path: Path, what: str) -> Path:
    """Replace a leading ``~`` by the home of the user; ``what`` names the path in the error."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(
            f"{what} is {str(path)!r}, but {path.parts[0]!r} has no home folder. Correct the path."
        ) from None


def check_regular(path, what, *, pipes=False, may_be_empty=False):
    """Raise an error unless a path leads to a file that can be read and is not empty.

    A named pipe, which blocks until someone writes to it, is accepted with ``pipes=True``, and an
    empty file with ``may_be_empty=True``.
    ``what`` says what the file should be ("a NeuroX file").
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such file. Check the path.") from None
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(f"{path} cannot be opened: {reason}. Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"{path} is a folder. Name a file in it: {what}.")
    if pipes and not stat.S_ISREG(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is a pipe, a socket or a device. Pass the path of {what}.")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{path}: you have no permission to read this file. Change its mode.")
    if status.st_size == 0 and not may_be_empty:
        raise ValueError(f"{path} is empty. Create it again: it should be {what}.")


def open_regular(path):
    """Open a regular file for reading; raise a NotRegularError for anything else.

    Never follows a link, and never waits for a pipe.
    """
    return os.fdopen(descriptor_of_regular(path), "rb")


def descriptor_of_regular(path):
    """Do as `open_regular`, and return the descriptor."""
    _check_regular(os.lstat(path))
    descriptor = os.open(path, _READING)
    try:
        _check_regular(os.fstat(descriptor))  # it may have been replaced just now
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(found):
    if not stat.S_ISREG(found.st_mode):
        kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a special file")
        raise NotRegularError(f"it is {kind}, not a regular file")


def read_settings(path, what, remedy):
    """Return the bytes of a small file; raise an error that names it if it is none, or not small.

    ``what`` says what the file should be, and ``remedy`` what to do.
    """
    check_regular(path, what)
    size = os.path.getsize(path)
    if size > _MAX_SETTINGS:
        raise ValueError(f"{path} takes {gigabytes(size)}, too much for {what}. {remedy}")
    with open(path, "rb") as file:
        return file.read(_MAX_SETTINGS)


@contextlib.contextmanager
def named_errors(where, problem, remedy, *, unless=()):
    """Turn whatever a library says about a file into a ValueError of one line.

    Errors of the types ``unless`` pass. A crafted file can make a parser raise anything. A lack of
    memory is no fault of the file, and stays a MemoryError.
    """
    try:
        yield
    except unless:
        raise
    except MemoryError as error:
        raise MemoryError(f"{where}: there is not enough memory to read it.") from error
    except Exception as error:
        raise ValueError(f"{where} {problem} ({reason_of(error)}). {remedy}") from error


def reason_of(error):
    """Return the first line of an error's message, or what its type says."""
    if isinstance(error, RecursionError):
        return "too deeply nested"
    if isinstance(error, KeyError) and error.args:
        return f"no {error.args[0]!r}"
    lines = str(error).strip().splitlines()
    return lines[0].strip()[:300].rstrip(".:") if lines else type(error).__name__


def parse_json(text, where, remedy):
    """Parse JSON (str or bytes) from a file; whatever is wrong with it names the file."""
    with named_errors(where, "is not JSON", remedy):
        return json.loads(text)


def json_kind(content):
    """Name the kind of a parsed JSON value, for a message."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if content is None else kinds.get(type(content), "a number")


def gigabytes(n_bytes):
    """Format a size for a message."""
    return f"{n_bytes / 1e9:,.2f} GB" if n_bytes >= 1e7 else f"{n_bytes:,} bytes"
