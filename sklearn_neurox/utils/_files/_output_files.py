# SPDX-License-Identifier: BSD-3-Clause
"""Output files: check their paths before the work starts, and never leave one incomplete."""

import errno
import os
import stat
import uuid

from sklearn_neurox.utils._files._foreign_files import as_path


def check_writable(path, what):
    """Raise an OSError if a file cannot be written; ``what`` begins the message ("The report")."""
    as_path(path, "The path of the output")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise FileExistsError(
            f"{what} cannot be written to {path}, a pipe, a socket or a device. Name a file."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"{what} cannot be written to {path}: there is no folder {path.parent}. Create it "
            "first."
        )
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(
            f"{what} cannot be written to {path}: you have no permission to write in "
            f"{path.parent}. Choose another folder."
        )
    _check_not_protected(path)


def _check_not_protected(path):
    """Raise a PermissionError if a file may not be written to, though its folder may."""
    if path.is_file() and not path.is_symlink() and not os.access(path, os.W_OK):
        raise PermissionError(
            errno.EACCES, "the file is write-protected. Choose another name", str(path)
        )


def write_whole(file, write, *, own=False):
    """Call ``write`` with a temporary file name, then rename, so ``file`` is never incomplete.

    The new file has the permissions of the file that it replaces. A write-protected file raises an
    error unless it is the package's ``own``, which the user did not name. A system error about the
    temporary file is raised as an error about ``file``.
    """
    as_path(file, "The path of the output")
    if os.path.exists(file) and not os.path.isfile(file):
        raise OSError(errno.EEXIST, "this is a folder or a device, not a file", str(file))
    if not own:
        _check_not_protected(file)
    # Cut, because the system limits the length of names.
    scratch = file.with_name(f".{file.name[:50]}.{uuid.uuid4().hex}.tmp")
    try:
        write(str(scratch))
        if not own and file.is_file() and not file.is_symlink():
            scratch.chmod(stat.S_IMODE(file.stat().st_mode))
        # Only the file that the caller names; a link of this name is replaced, not followed.
        scratch.replace(file)
    except OSError as error:
        plain = error.errno is not None and error.strerror == os.strerror(error.errno)
        if plain and error.filename in (None, str(scratch)):
            raise OSError(error.errno, error.strerror, str(file)) from error
        raise
    finally:
        # Only ours: its name is random, and ``write`` has just created it.
        scratch.unlink(missing_ok=True)


def write_together(writers):
    """Write several files, each with its ``write``; none appears before all are complete."""
    if not writers:
        return
    (file, write), *others = writers

    def write_all(scratch):
        write(scratch)
        write_together(others)

    write_whole(file, write_all)
