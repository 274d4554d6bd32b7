# SPDX-License-Identifier: BSD-3-Clause
import contextlib
import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_neurox.extraction._cache._compaction import compact_folder, superseded
from sklearn_neurox.extraction._cache._shard import SUFFIX, DamagedShardError, Shard, write_shard
from sklearn_neurox.extraction._cache._shard_index import forget_indices, index_of, sweep

_INFO = {
    "fingerprint": str,
    "model": str,
    "sentences": np.int64,
    "tokens": np.int64,
    "layers": np.int64,
    "dtype": str,
    "shards": np.int64,
    "bytes": np.int64,
}


class ActivationCache:
    """A folder that keeps activations, so that a model reads every sentence once.

    In it is a folder for every fingerprint: a digest of model, tokenizer, component, and what else
    changes the activations. In that lie immutable shards, safetensors files of one batch each,
    which hold every layer, which sentences these are (as digests) and what their tokens stand for.
    So a cached sentence needs neither model nor tokenizer: torch is not even imported.

    Processes and machines can share the folder without locks: a shard is written under a temporary
    name, flushed to the disk, and renamed when complete. An interrupted run loses the batch at
    hand, and the same request resumes to the same bits. Everything read is checked against
    checksums; what is damaged is reported by name and computed again. Deleting the folder, or
    anything in it, is always safe.

    In float32 the bytes are 4 x tokens x layers x units: for 25,000 words and BERT-base about
    1.2 GB.

    Parameters
    ----------
    folder : str or path
        Made when the first shard is written. A leading ``~`` is the user's home.

    layers : {"all", "asked"}, default="all"
        What is kept: every layer of the component, which one pass computes anyway, so that a
        search over layers runs the model once; or only the layers that were asked for, where disk
        is short. Then other layers cost another pass.

    dtype : {"float32", "float16"}, default="float32"
        What activations are kept in. float16 takes half the bytes and keeps about three digits; a
        value beyond its range of 65504, which some neurons of large models reach, is an error.

    See Also
    --------
    ActivationExtractor : Takes it, or just its folder, as ``cache``.
    ActivationExtractor.fill_cache : Fills it, with several processes where asked.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from sklearn_neurox.extraction import ActivationCache, ActivationExtractor
    >>> cache = ActivationCache(tempfile.mkdtemp())
    >>> extractor = ActivationExtractor(make_tiny_model("bert"), cache=cache)
    >>> extractor.fill_cache(["Dogs bark", "She saw the light"])
    2
    >>> extractor.fill_cache(["Dogs bark"])
    0
    >>> cache.info()[["sentences", "layers"]]
       sentences  layers
    0          2       3
    """

    def __init__(self, folder: str | os.PathLike, *, layers: str = "all", dtype: str = "float32"):
        if layers not in ("all", "asked"):
            raise ValueError(f"ActivationCache: layers must be 'all' or 'asked', got {layers!r}.")
        if dtype not in ("float32", "float16"):
            raise ValueError(
                f"ActivationCache: dtype must be 'float32' or 'float16', got {dtype!r}."
            )
        self._given = Path(folder)
        self.layers = layers
        self.dtype = dtype

    def __repr__(self):
        options = "".join(
            f", {name}={value!r}"
            for name, value, default in (
                ("layers", self.layers, "all"),
                ("dtype", self.dtype, "float32"),
            )
            if value != default
        )
        return f"ActivationCache({str(self._given)!r}{options})"

    @property
    def folder(self) -> Path:
        """The folder; a leading ``~`` is whoever's home this is."""
        return self._given.expanduser()

    def info(self) -> pd.DataFrame:
        """Tell what is in the cache.

        Returns
        -------
        info : DataFrame
            One row a fingerprint: ``fingerprint`` (the name of its folder), ``model``,
            ``sentences`` and ``tokens`` (special ones included), each counted once, ``layers``
            (blocks of neurons), ``dtype``, ``shards`` (files) and ``bytes``.
        """
        rows = [self._describe(path) for path in self._folders()]
        return pd.DataFrame(rows, columns=list(_INFO)).astype(_INFO)

    def verify(self) -> pd.DataFrame:
        """Read every byte of the cache and check it against the checksums.

        Returns
        -------
        damage : DataFrame
            One row a shard that is not what was written: ``path`` and ``problem``. No rows where
            all is well. `prune` removes these shards.
        """
        damage = [
            (str(path), problem)
            for folder in self._folders()
            for path, problem in _damage(folder).items()
        ]
        return pd.DataFrame(damage, columns=["path", "problem"], dtype=object)

    def compact(self, max_bytes: int = 256 << 20) -> int:
        """Put small shards together, so that a large cache is not a crowd of files.

        Other processes may read and write meanwhile. What stands in several shards is kept once.

        Parameters
        ----------
        max_bytes : int, default=268435456
            Shards of less than half of this are put together, into such of at most this.

        Returns
        -------
        n_removed : int
            How many files there are fewer.
        """
        folders = self._folders()
        return sum(compact_folder(folder, index_of(folder), max_bytes) for folder in folders)

    def prune(self, fingerprints: Iterable[str] | None = None) -> int:
        """Remove what is of no use, and whole models where asked.

        Parameters
        ----------
        fingerprints : iterable of str or None, default=None
            The fingerprints, as `info` lists them, of the models whose activations are to go. None
            removes only damaged shards, shards whose sentences all stand in others too, and
            temporary files that interrupted runs left behind.

        Returns
        -------
        n_bytes : int
            How many bytes were freed.

        Raises
        ------
        ValueError
            For a fingerprint that is not there. Nothing is removed then.
        """
        if fingerprints is None:
            return sum(self._prune_folder(folder) for folder in self._folders())
        known = {folder.name: folder for folder in self._folders()}
        chosen = [fingerprints] if isinstance(fingerprints, str) else list(fingerprints)
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise ValueError(
                f"ActivationCache.prune: {str(self.folder)!r} holds no fingerprint {unknown[0]!r}; "
                f"it holds {sorted(known)}."
            )
        freed = 0
        for folder in {known[name] for name in chosen}:
            freed += sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
            shutil.rmtree(folder)
        forget_indices()
        return freed

    def _index(self, fingerprint):
        return index_of(self.folder / fingerprint)

    def _write(self, fingerprint, entries, states, *, metadata, note=""):
        """Write a shard; it is visible when it is complete."""
        folder = self.folder / fingerprint
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return write_shard(folder, entries, states, metadata=metadata, note=note)
        except OSError as error:
            raise OSError(error.errno, self._cannot_write(error)) from error

    def _cannot_write(self, error):
        full = error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
        advice = "Make room and run it again" if full else "Give another with cache="
        return (
            f"The cache folder {str(self.folder)!r} cannot be made or written ({error}). "
            f"{advice}; what was written before stays valid."
        )

    def _check_space(self, n_bytes):
        existing = next(p for p in (self.folder.absolute(), *self.folder.absolute().parents)
                        if p.exists())  # fmt: skip
        free = shutil.disk_usage(existing).free
        if n_bytes > free:
            raise OSError(
                errno.ENOSPC,
                f"The cache folder {str(self.folder)!r} needs {n_bytes / 1e9:.2f} GB for these "
                f"sentences, but its disk has {free / 1e9:.2f} GB left. Give another folder with "
                "cache=, or keep less with ActivationCache(..., layers='asked', dtype='float16').",
            )

    def _folders(self):
        if not self.folder.is_dir():
            return []
        found = {path.parent for path in self.folder.glob(f"*/*{SUFFIX}")}
        found |= {path.parent for path in self.folder.glob("*/*.tmp")}
        return sorted(found)

    def _describe(self, folder):
        index = index_of(folder)
        seen, tokens, blocks = {}, 0, set()
        for shard in index.shards:
            tables = shard.tables
            lengths = np.diff(shard.ptr).tolist()
            named = zip(tables["key"], tables["window"].tolist(), lengths, strict=True)
            for key, window, length in named:
                place = (key.tobytes(), window)
                tokens += 0 if place in seen else length
                seen[place] = None
            blocks.update(shard.blocks)
        metadata = index.metadata or {}
        return (
            folder.name,
            metadata.get("model", ""),
            len({key for key, _ in seen}),
            tokens,
            len(blocks),
            metadata.get("dtype", ""),
            len(index.shards),
            sum(shard.n_bytes for shard in index.shards),
        )

    def _prune_folder(self, folder):
        freed = sweep(folder)
        useless = {Path(path) for path in _damage(folder)}
        useless |= superseded([s for s in index_of(folder).shards if s.path not in useless])
        for path in useless:
            with contextlib.suppress(FileNotFoundError):
                size = path.stat().st_size
                path.unlink()
                freed += size
        index_of(folder)
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()
        return freed


def _damage(folder):
    """Read all shards of a folder: the path and the problem of each that is damaged."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            shard = Shard(path)
            for block in shard.blocks:
                shard.states(block)
        except DamagedShardError as error:
            if path.exists():  # otherwise compacted meanwhile
                found[path] = error.reason
    return found
