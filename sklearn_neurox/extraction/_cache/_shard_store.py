# SPDX-License-Identifier: BSD-3-Clause
import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sklearn_neurox.extraction._cache._cache_folder import (
    FORMAT,
    is_folder,
    list_folders,
    mark,
    remove_stale,
)
from sklearn_neurox.extraction._cache._shard import write_shard
from sklearn_neurox.extraction._cache._shard_index import index_of
from sklearn_neurox.utils._files._foreign_files import expanded
from sklearn_neurox.utils._half_precision import narrowed
from sklearn_neurox.utils._underflow import DEAD, Underflow, warn_about_zeros

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
# Someone may remove the folder, or the temporary file, while a shard is being written.
_MAX_TRIES = 3


class ReadOnlyCacheError(PermissionError):
    """The cache can be read, but this user must not write to it."""


@dataclass(frozen=True)
class ShardStore:
    """The folder of a cache, with one subfolder of shards per fingerprint."""

    given: Path
    layers: str  # "all" or "asked"
    dtype: str  # "float32", "float16" or "bfloat16"
    pooled: tuple = ()  # the strategies whose rows are stored; none if tokens are

    @property
    def itemsize(self):
        """The number of bytes per stored value."""
        return 4 if self.dtype == "float32" else 2

    @property
    def folder(self):
        """The folder; a leading ``~`` is the home of the current user."""
        folder = expanded(self.given, "The 'folder' parameter of ActivationCache")
        try:
            folder.absolute()
        except FileNotFoundError as error:
            raise FileNotFoundError(
                error.errno,
                f"The cache folder {str(folder)!r} cannot be found: the folder that this process "
                "works in was removed. Pass an absolute path",
            ) from error
        return folder

    def folders(self):
        """List the folders of all fingerprints, in the current format."""
        return [path for path, version in list_folders(self.folder).items() if version == FORMAT]

    def index(self, fingerprint):
        """Return the up-to-date index of the shards of a fingerprint."""
        return index_of(self.folder / fingerprint)

    def write(self, fingerprint, entries, states, *, facts, zeros, note=""):
        """Write a shard, which becomes visible when complete; see `write_shard`.

        ``zeros`` collects the `Underflow` of each block; see `warn_about_zeros`.
        """
        if self.dtype != "float32":
            states = {name: self._narrowed(name, each, zeros) for name, each in states.items()}
        for attempt in range(_MAX_TRIES):
            try:
                folder = self._prepare(fingerprint)
                write_shard(folder, entries, states, facts=facts, note=note)
                return
            except (FileNotFoundError, FileExistsError) as error:
                if attempt + 1 == _MAX_TRIES:
                    raise self._cannot_write(error) from error
            except OSError as error:
                raise self._cannot_write(error) from error

    def _narrowed(self, block, values, zeros):
        cast = narrowed(values, self.dtype, lambda unit: f"The neuron {block}.{unit}")
        zeros.setdefault(block, Underflow(values.shape[1])).look(values, cast)
        return cast

    def warn_about_zeros(self, zeros):
        """Warn about the neurons that became zero in all shards of one filling."""
        found = [
            (underflow, lambda unit, block=block: f"{block}.{unit}")
            for block, underflow in sorted(zeros.items())
        ]
        other = "'bfloat16' or 'float32'" if self.dtype == "float16" else "'float32'"
        advice = f"{DEAD} use ActivationCache(..., dtype={other})."
        warn_about_zeros(found, self.dtype, f"The cache folder {str(self.folder)!r}", advice)

    def _prepare(self, fingerprint):
        folder = self.folder / fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        if not is_folder(folder):
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(folder))
        mark(self.folder)
        return folder

    def _cannot_write(self, error):
        kind, advice = OSError, "Choose another with cache="
        if error.errno in _FULL:
            advice = "Free some space and run this again"
        elif error.errno in _READ_ONLY:
            kind = ReadOnlyCacheError
        return kind(
            error.errno,
            f"The cache folder {str(self.folder)!r} cannot be created or written to ({error}). "
            f"{advice}; the shards already written stay valid.",
        )

    def make_room(self, fingerprint, n_bytes):
        """Create the folder, remove leftovers of interrupted runs, and check for free space.

        Raises an OSError if the folder cannot be written to, or if its disk is too full.
        """
        self.check_writable(fingerprint)
        free = shutil.disk_usage(_existing(self.folder)).free
        if n_bytes > free:
            raise OSError(
                errno.ENOSPC,
                f"The cache folder {str(self.folder)!r} needs {n_bytes / 1e9:.2f} GB for these "
                f"sentences, but its disk has {free / 1e9:.2f} GB left. Choose another folder with "
                "cache=, or store less with ActivationCache(..., layers='asked', dtype='float16').",
            )
        remove_stale(self.folder / fingerprint)

    def check_writable(self, fingerprint):
        """Raise an OSError if shards of a fingerprint could not be written."""
        folder = _existing(self.folder / fingerprint)
        if not os.access(folder, os.W_OK | os.X_OK) and folder.is_dir():
            error = PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
            raise self._cannot_write(error)


def _existing(folder):
    """Return the folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))
