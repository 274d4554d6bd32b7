# SPDX-License-Identifier: BSD-3-Clause
import errno
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sklearn_neurox.extraction._cache._shard import SUFFIX, write_shard
from sklearn_neurox.extraction._cache._shard_index import index_of, sweep
from sklearn_neurox.utils._half_precision import narrowed


@dataclass(frozen=True)
class ShardStore:
    """The folder of a cache, with one subfolder of shards per fingerprint."""

    given: Path
    layers: str  # "all" or "asked"
    dtype: str  # "float32" or "float16"

    @property
    def folder(self):
        """The folder; a leading ``~`` is the home of the current user."""
        return self.given.expanduser()

    def folders(self):
        """List the folders of all fingerprints."""
        if not self.folder.is_dir():
            return []
        found = {path.parent for path in self.folder.glob(f"*/*{SUFFIX}")}
        found |= {path.parent for path in self.folder.glob("*/*.tmp")}
        return sorted(found)

    def index(self, fingerprint):
        """Return the up-to-date index of the shards of a fingerprint."""
        return index_of(self.folder / fingerprint)

    def write(self, fingerprint, entries, states, *, metadata, note=""):
        """Write a shard, which becomes visible when complete; see `write_shard`."""
        if self.dtype != "float32":
            dtype = np.dtype(self.dtype)
            states = {
                name: narrowed(values, dtype, lambda unit, name=name: f"The neuron {name}.{unit}")
                for name, values in states.items()
            }
        folder = self.folder / fingerprint
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_shard(folder, entries, states, metadata=metadata, note=note)
        except OSError as error:
            raise OSError(error.errno, self._cannot_write(error)) from error

    def _cannot_write(self, error):
        is_full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        advice = "Free some space and run this again" if is_full else "Choose another with cache="
        return (
            f"The cache folder {str(self.folder)!r} cannot be created or written to ({error}). "
            f"{advice}; the shards already written stay valid."
        )

    def make_room(self, fingerprint, n_bytes):
        """Remove leftovers of interrupted runs, and check for free space on the disk."""
        sweep(self.folder / fingerprint)
        folder = self.folder.absolute()
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free
        if n_bytes > free:
            raise OSError(
                errno.ENOSPC,
                f"The cache folder {str(self.folder)!r} needs {n_bytes / 1e9:.2f} GB for these "
                f"sentences, but its disk has {free / 1e9:.2f} GB left. Choose another folder with "
                "cache=, or store less with ActivationCache(..., layers='asked', dtype='float16').",
            )
