# SPDX-License-Identifier: BSD-3-Clause
"""Files that cannot be written, found before the work."""

import os


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
