# SPDX-License-Identifier: BSD-3-Clause
"""Notice that a file has changed without reading all of it."""

import hashlib
import os

_SAMPLES = 16
_SAMPLE = 4096


def stamp(path):
    """Return a value that changes with the contents of a file.

    Copying a file with its times, or setting them, leaves size and modification time as they were.
    The change time and the inode cannot be set, but some network drives do not keep them, so a
    sample of the bytes, evenly spread over the file, counts as well.
    """
    found = os.stat(path)
    times = found.st_mtime_ns, found.st_ctime_ns
    is_whole = found.st_size <= _SAMPLES * _SAMPLE
    return (
        os.path.abspath(path),
        found.st_size,
        # Since when the stamp may be that of other contents too.
        found.st_mtime_ns if is_whole else max(times),
        times,
        (found.st_dev, found.st_ino),
        _sample(path, found.st_size),
    )


def _sample(path, size):
    last, digest = max(size - _SAMPLE, 0), hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for place in sorted({last * i // (_SAMPLES - 1) for i in range(_SAMPLES)}):
                file.seek(place)
                digest.update(file.read(_SAMPLE))
    except OSError:  # whoever needs the contents of the file says so
        return None
    return digest.hexdigest()[:32]
