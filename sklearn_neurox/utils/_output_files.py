# SPDX-License-Identifier: BSD-3-Clause
"""Files of results: checked before the work, and never there in part."""

import os
import uuid


def check_writable(path, what):
    """Raise an error for a file that could not be written.

    Parameters
    ----------
    path : Path

    what : str
        What is to be written, such as ``"The report"``.

    Raises
    ------
    OSError
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{what} cannot be written to {path}: there is no folder {path.parent}. Make it first."
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            f"{what} cannot be written to {path}: you may not write in {path.parent}."
        )


def write_whole(file, write):
    """Write beside the file and rename, so that it is never there in part.

    Parameters
    ----------
    file : Path
        The file.

    write : callable
        Called with the name to write under.
    """
    scratch = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        write(str(scratch))
        scratch.replace(file)
    finally:
        scratch.unlink(missing_ok=True)
