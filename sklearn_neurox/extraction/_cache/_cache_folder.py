# SPDX-License-Identifier: BSD-3-Clause
"""The names in a cache folder, and the only functions that open and remove what is in it.

Whatever is not a regular file, or does not have the name and the first bytes of a shard, was not
written by a cache: it is never followed, read further or removed.
"""

import contextlib
import os
import re
import stat

from sklearn_neurox.utils._files._foreign_files import NotRegularError, open_regular
from sklearn_neurox.utils._files._output_files import write_whole
from sklearn_neurox.utils._warn_user import warn_user

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


# The marker


def mark(folder):
    """Write the file that marks a folder as a cache, unless something has its name."""
    if not os.path.lexists(folder / MARKER):
        write_whole(folder / MARKER, _write_marker, own=True)


def _write_marker(name):
    with open(name, "x", encoding="ascii") as file:
        file.write(_MARKER_TEXT)


def is_marked(folder):
    """Return whether a folder is marked as a cache."""
    with contextlib.suppress(OSError, NotRegularError), open_regular(folder / MARKER) as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE.encode()
    return False


# What a cache has written


def named_folders(folder):
    """Return the folders that are named by a fingerprint, in the current or in an older format."""
    named = [folder / name for name in sorted(_names(folder)) if _FOLDER.fullmatch(name)]
    return [path for path in named if is_folder(path)]


def is_current(folder):
    """Return whether the name of a folder is that of a fingerprint in the current format."""
    return folder.name.startswith(f"v{FORMAT}-")


def list_folders(folder):
    """Return the format of each folder of a fingerprint, by its path, including older formats."""
    found = {}
    for path in named_folders(folder):
        try:
            files = own_files(path)
        except OSError as error:
            warn_user(f"The cache passes over {path}, which cannot be read ({error.strerror}).")
            continue
        if files:
            match = _FOLDER.fullmatch(path.name)
            found[path] = int(match[1]) if match[1] else _format_of(files)
    return {path: version for path, version in found.items() if version is not None}


def own_files(folder):
    """Return the status of each file that a cache has written into the folder of a fingerprint.

    These have the name of a shard or of its temporary file, are regular files, and begin like a
    shard. A temporary file may have been cut off anywhere.
    """
    expected = first_bytes(folder.name) if is_current(folder) else _MAGIC
    found = {}
    for name in _names(folder):
        is_temporary = _TEMPORARY.fullmatch(name)
        if not (is_temporary or is_shard_name(name)):
            continue
        with contextlib.suppress(OSError, NotRegularError), open_regular(folder / name) as file:
            start = file.read(8 + len(expected))[8:]
            if start == expected or (is_temporary and expected.startswith(start)):
                found[folder / name] = os.fstat(file.fileno())
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
    """Remove those of the paths that are in ``own``, from `own_files`; return the bytes freed.

    A file that was replaced or changed since `own_files` saw it stays.
    """
    freed = 0
    for path in paths:
        if path not in own:
            continue
        with contextlib.suppress(FileNotFoundError):
            if _identity(os.lstat(path)) != _identity(own[path]):
                continue
            # Only ours: `own_files` has seen the name and the first bytes of a shard in a regular
            # file. Unlinking a path removes a link itself, never what it points to.
            path.unlink()
            freed += own[path].st_size
    return freed


def _identity(found):
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


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
    os.utime(folder)  # needs no space, so leftovers can be removed from a full disk
    return os.stat(folder).st_mtime


def remove_if_empty(folder):
    """Remove the folder of a fingerprint if it is empty; return whether it is gone."""
    with contextlib.suppress(OSError):  # not empty
        # Only ours: it has the name of a fingerprint, and rmdir removes neither files nor links.
        folder.rmdir()
        return True
    return not folder.exists()
