# SPDX-License-Identifier: BSD-3-Clause
import os


def check_path(path):
    """Return the name of a path, and raise an error if it contains a NUL character."""
    name = os.fsdecode(path)
    if "\0" in name:
        raise ValueError(
            f"The path {name!r} contains a NUL character, which no file name can. Remove it."
        )
    return name
