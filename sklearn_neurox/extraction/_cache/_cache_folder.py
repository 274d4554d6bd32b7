# SPDX-License-Identifier: BSD-3-Clause
"""The names in a cache folder, and the only functions that open and remove what is in it.

Whatever is not a regular file, or does not have the name and the first bytes of a shard, was not
written by a cache: it is never followed, read further or removed.
"""

import contextlib
import os
import re
import stat
import uuid

from sklearn_neurox.utils._output_files import write_whole

FORMAT = 4
SUFFIX = ".safetensors"
MARKER = "sklearn-neurox-cache.txt"
_SIGNATURE = "This folder is a cache of sklearn-neurox."
_MARKER_TEXT = f"""{_SIGNATURE}

ActivationCache stores activations in its subfolders v{FORMAT}-*. All of them can be computed again,
so they may be deleted. ActivationCache.prune() deletes only what ActivationCache has written, and
only in folders that contain this file.
"""
_FOLDER = re.compile(r"(?:v(\d{1,9})-)?[0-9a-f]{32}")
_SHARD = re.compile(r"[0-9a-f]{32}\.safetensors")
_TEMPORARY = re.compile(r"\.(?:[0-9a-f]{32}\.safetensors|clock)\.[0-9a-f]{32}\.tmp")
# The header of every shard, of every format so far, begins with this, after its length.
_MAGIC = b'{"__metadata__":{"format":"sklearn-neurox '
# A live writer keeps modifying its temporary file; if one is this old, its writer is dead.
_STALE_SECONDS = 3600
_READING = sum(
    getattr(os, flag, 0)
    for flag in ("O_RDONLY", "O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


class NotRegularError(ValueError):
    """A path is not a regular file; the message says what it is."""


def folder_name(digest):
    """Return the name of the folder for a fingerprint, in the current format."""
    return f"v{FORMAT}-{digest}"


def first_bytes(fingerprint):
    """Return the first bytes of the header of the shards in the folder of a fingerprint."""
    return _MAGIC + f'{FORMAT}","fingerprint":"{fingerprint}",'.encode()


def is_shard_name(name):
    """Return whether a file name is that of a shard."""
    return _SHARD.fullmatch(name) is not None


def is_folder(path):
    """Return whether a path is a folder, not a link to one."""
    with contextlib.suppress(OSError):
        return stat.S_ISDIR(os.lstat(path).st_mode)
    return False


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


# The marker


def mark(folder):
    """Write the file that marks a folder as a cache, unless something has its name."""
    if not os.path.lexists(folder / MARKER):
        write_whole(folder / MARKER, _write_marker)


def _write_marker(name):
    with open(name, "x", encoding="ascii") as file:
        file.write(_MARKER_TEXT)


def is_marked(folder):
    """Return whether a folder is marked as a cache."""
    with contextlib.suppress(OSError, NotRegularError), open_regular(folder / MARKER) as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE.encode()
    return False


# What a cache has written


def list_folders(folder):
    """Return the format of each folder of a fingerprint, by its path, including older formats."""
    found = {}
    for name in _names(folder):
        match = _FOLDER.fullmatch(name)
        if match and is_folder(folder / name) and (files := own_files(folder / name)):
            found[folder / name] = int(match[1]) if match[1] else _format_of(files)
    return {path: version for path, version in sorted(found.items()) if version is not None}


def own_files(folder):
    """Return the size of each file that a cache has written into the folder of a fingerprint.

    These have the name of a shard or of its temporary file, are regular files, and begin like a
    shard. A temporary file may have been cut off anywhere.
    """
    expected = first_bytes(folder.name) if folder.name.startswith(f"v{FORMAT}-") else _MAGIC
    found = {}
    for name in _names(folder):
        is_temporary = _TEMPORARY.fullmatch(name)
        if not (is_temporary or is_shard_name(name)):
            continue
        with contextlib.suppress(OSError, NotRegularError), open_regular(folder / name) as file:
            start = file.read(8 + len(expected))[8:]
            if start == expected or (is_temporary and expected.startswith(start)):
                found[folder / name] = os.fstat(file.fileno()).st_size
    return found


def foreign_names(folder):
    """Return what is in the folder of a fingerprint and was not written by a cache."""
    names, own = _names(folder), own_files(folder)
    # What a process that writes just now has renamed is not foreign.
    return sorted(n for n in names if folder / n not in own and os.path.lexists(folder / n))


def _format_of(files):
    """Return the format of the shards in a folder whose name does not tell it."""
    for path in files:
        with contextlib.suppress(OSError, NotRegularError), open_regular(path) as file:
            version = re.match(rb"\d{1,9}", file.read(8 + len(_MAGIC) + 9)[8 + len(_MAGIC) :])
            if version:
                return int(version[0])
    return None


def _names(folder):
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


# Removal


def remove(paths, own):
    """Remove those of the paths that are in ``own``, from `own_files`; return the bytes freed."""
    freed = 0
    for path in paths:
        if path not in own:
            continue
        with contextlib.suppress(FileNotFoundError):
            # Only ours: `own_files` has seen the name and the first bytes of a shard in a regular
            # file. Unlinking a path removes a link itself, never what it points to.
            path.unlink()
            freed += own[path]
    return freed


def remove_stale(folder):
    """Remove temporary files whose writers must be dead; return the number of bytes freed."""
    own = own_files(folder)
    temporary = [path for path in own if _TEMPORARY.fullmatch(path.name)]
    if not temporary:
        return 0
    now, stale = _clock_of(folder), []
    for path in temporary:
        with contextlib.suppress(FileNotFoundError):
            if now - os.lstat(path).st_mtime > _STALE_SECONDS:
                stale.append(path)
    return remove(stale, own)


def _clock_of(folder):
    """Return the time by the clock that stamps the files of a folder, perhaps another machine's."""
    path = folder / f".clock.{uuid.uuid4().hex}.tmp"
    try:
        path.touch(exist_ok=False)
        return os.lstat(path).st_mtime
    finally:
        # Only ours: its name is random, and it was created above.
        path.unlink(missing_ok=True)


def remove_if_empty(folder):
    """Remove the folder of a fingerprint if it is empty; return whether it is gone."""
    with contextlib.suppress(OSError):  # not empty
        # Only ours: it has the name of a fingerprint, and rmdir removes neither files nor links.
        folder.rmdir()
        return True
    return not folder.exists()
