# SPDX-License-Identifier: BSD-3-Clause
import contextlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_neurox.extraction._cache._compaction import compact_folder, superseded
from sklearn_neurox.extraction._cache._shard import KEY_BYTES, SUFFIX, DamagedShardError, Shard
from sklearn_neurox.extraction._cache._shard_index import forget_indices, index_of, sweep
from sklearn_neurox.extraction._cache._shard_store import ShardStore
from sklearn_neurox.utils._foreign_files import as_path

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
    """A folder that stores activations, so that a model reads every sentence only once.

    The folder has one subfolder per fingerprint, a digest of model, tokenizer, component, and
    whatever else changes the activations. Its shards are immutable safetensors files, one per
    batch. They hold every layer, digests of the sentences, and the characters of each token, so
    reading a cached sentence needs neither model nor tokenizer: torch is not even imported.

    Processes and machines can share the folder without locks: a shard is written under a temporary
    name, flushed to the disk, and renamed when complete. An interrupted run loses only the current
    batch; the same request then resumes, with bit-identical results. Checksums cover every byte
    that is read. A damaged shard is reported by name, and its activations are computed again.
    Deleting the folder, or anything in it, is always safe.

    In float32, the size in bytes is 4 x tokens x layers x units: about 1.2 GB for 25,000 words and
    BERT-base.

    Parameters
    ----------
    folder : str or path
        Created when the first shard is written. A leading ``~`` is the user's home.

    layers : {"all", "asked"}, default="all"
        The layers to store. ``"all"`` stores every layer of the component, as one pass computes
        them anyway: a search over layers then runs the model once. ``"asked"`` saves disk space by
        storing only the layers requested; other layers cost another pass.

    dtype : {"float32", "float16"}, default="float32"
        The dtype of the stored activations. float16 takes half the space and keeps about three
        digits. A value beyond its range of 65504, which some neurons of large models reach, raises
        an error.

    See Also
    --------
    ActivationExtractor : Takes a cache, or just its folder, as ``cache``.
    ActivationExtractor.fill_cache : Fills the cache, in several processes if requested.

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
        self._given = as_path(folder, "The 'folder' parameter of ActivationCache")
        self.layers = layers
        self.dtype = dtype

    def __repr__(self):
        options = "".join(
            f", {name}={getattr(self, name)!r}"
            for name, default in (("layers", "all"), ("dtype", "float32"))
            if getattr(self, name) != default
        )
        return f"ActivationCache({str(self._given)!r}{options})"

    @property
    def folder(self) -> Path:
        """The folder; a leading ``~`` is the home of the current user."""
        return self._store.folder

    @property
    def _store(self):
        return ShardStore(self._given, self.layers, self.dtype)

    def info(self) -> pd.DataFrame:
        """Describe the contents of the cache.

        Returns
        -------
        info : DataFrame
            One row per fingerprint: ``fingerprint`` (the name of its folder), ``model``,
            ``sentences`` and ``tokens`` (including special tokens), each counted once, ``layers``
            (blocks of neurons), ``dtype``, ``shards`` (files) and ``bytes``.
        """
        rows = [self._describe(path) for path in self._store.folders()]
        return pd.DataFrame(rows, columns=list(_INFO)).astype(_INFO)

    def verify(self) -> pd.DataFrame:
        """Read every byte of the cache and compare it with the checksums.

        Returns
        -------
        damage : DataFrame
            One row per damaged shard, with its ``path`` and ``problem``; no rows if there are none.
            `prune` removes these shards.
        """
        damage = [
            (str(path), problem)
            for folder in self._store.folders()
            for path, problem in _damage(folder).items()
        ]
        return pd.DataFrame(damage, columns=["path", "problem"], dtype=object)

    def compact(self, max_bytes: int = 256 << 20) -> int:
        """Merge small shards, to reduce the number of files.

        Other processes may read and write at the same time. Afterwards, duplicate activations are
        stored only once.

        Parameters
        ----------
        max_bytes : int, default=268435456
            The maximum size of a merged shard; shards below half this size are merged.

        Returns
        -------
        n_removed : int
            The decrease in the number of files.
        """
        folders = self._store.folders()
        return sum(compact_folder(folder, index_of(folder), max_bytes) for folder in folders)

    def prune(self, fingerprints: Iterable[str] | None = None) -> int:
        """Remove useless files, or all activations of given models.

        Parameters
        ----------
        fingerprints : iterable of str or None, default=None
            The fingerprints of the models whose activations to remove, as listed by `info`. None
            removes only damaged shards, shards whose sentences are all in other shards too, and
            temporary files of interrupted runs.

        Returns
        -------
        n_bytes : int
            The number of bytes freed.

        Raises
        ------
        ValueError
            If a fingerprint is not in the cache; nothing is removed in that case.
        """
        if fingerprints is None:
            return sum(self._prune_folder(folder) for folder in self._store.folders())
        known = {folder.name: folder for folder in self._store.folders()}
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

    def _describe(self, folder):
        index = index_of(folder)
        lengths, blocks = {}, set()
        for shard in index.shards:
            lengths.update(zip(shard.keys, np.diff(shard.ptr).tolist(), strict=True))
            blocks.update(shard.blocks)
        metadata = index.metadata or {}
        return (
            folder.name,
            metadata.get("model", ""),
            len({key[:KEY_BYTES] for key in lengths}),
            sum(lengths.values()),
            len(blocks),
            metadata.get("dtype", ""),
            len(index.shards),
            sum(shard.n_bytes for shard in index.shards),
        )

    def _prune_folder(self, folder):
        freed = sweep(folder)
        useless = set(_damage(folder))
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


def store_of(cache):
    """Return the store of a cache or of a folder; None if there is no cache."""
    if cache is None:
        return None
    return (cache if isinstance(cache, ActivationCache) else ActivationCache(cache))._store


def _damage(folder):
    """Read all shards of a folder; return the path and the problem of each damaged one."""
    found = {}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            shard = Shard(path)
            shard.states(shard.blocks)
        except DamagedShardError as error:
            if path.exists():  # otherwise it was compacted meanwhile
                found[path] = error.reason
    return found
