# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_neurox.extraction._cache._cache_folder import (
    FORMAT,
    MARKER,
    SUFFIX,
    foreign_names,
    is_current,
    is_marked,
    list_folders,
    named_folders,
    own_files,
    remove,
    remove_if_empty,
    remove_stale,
)
from sklearn_neurox.extraction._cache._compaction import compact_folder, superseded
from sklearn_neurox.extraction._cache._shard import DamagedShardError, Shard
from sklearn_neurox.extraction._cache._shard_header import KEY_BYTES
from sklearn_neurox.extraction._cache._shard_index import forget_indices, index_of
from sklearn_neurox.extraction._cache._shard_store import ShardStore
from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.utils._warn_user import warn_user

_STRATEGIES = ("first", "last", "mean", "max", "cls")
_INFO = {
    "fingerprint": str,
    "model": str,
    "sentences": np.int64,
    "tokens": np.int64,
    "layers": np.int64,
    "dtype": str,
    "pooled": str,
    "shards": np.int64,
    "bytes": np.int64,
    "format": np.int64,
}


class ActivationCache:
    """A folder that stores activations, so that a model reads every sentence only once.

    The folder has one subfolder per fingerprint, a digest of model, tokenizer, and whatever else
    changes the activations. Its shards are immutable safetensors files, one per batch. They hold
    blocks of activations, every layer of the requested components, digests of the sentences, and
    the characters of each token, so reading a cached sentence needs neither model nor tokenizer:
    torch is not even imported. Blocks are found by their names, whichever components and layers
    were requested together.

    Processes and machines can share the folder without locks: a shard is written under a temporary
    name, flushed to the disk, and renamed when complete. An interrupted run loses only the current
    batch; the same request then resumes, with bit-identical results. Checksums cover every byte
    when a process reads it for the first time. A damaged shard is reported by name, and its
    activations are computed again. A shard that belongs to another model or format, and anything
    that is not a regular file, is reported and passed over. If the folder can only be read, what it
    lacks is computed in memory, with a warning. Deleting the folder, or anything in it, is always
    safe. Changing a shard in place is not: a process that reads a file while it is cut ends.

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

    pooled : {"first", "last", "mean", "max", "cls"}, list of them, or None, default=None
        None stores the activations of every token. A strategy of `SubwordAggregator`, or several,
        stores rows pooled with each of these instead: a corpus whose tokens would not fit on the
        disk takes 4 x rows x layers x units bytes per strategy. A row is found by its tokens, its
        strategy and the model, so a new span or strategy makes the model read its text again.
        Reading stored rows needs the tokenizer, but not the model. Another strategy than these is
        an error, as is a `SparseAutoencoderEncoder`, which needs every token.

    dtype : {"float32", "float16", "bfloat16"}, default="float32"
        The dtype of the stored activations. float16 and bfloat16 take half the space. float16 keeps
        about three digits. A value beyond its range of 65504, which some neurons of large models
        reach, raises an error. A neuron whose values are all below 3e-8 becomes 0, with a warning.
        bfloat16 has the range of float32 and keeps between two and three digits. It stores
        what a model in bfloat16 computes without any loss.

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

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        layers: str = "all",
        pooled: str | Sequence[str] | None = None,
        dtype: str = "float32",
    ):
        if layers not in ("all", "asked"):
            raise ValueError(f"ActivationCache: layers must be 'all' or 'asked', got {layers!r}.")
        if dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(
                f"ActivationCache: dtype must be 'float32', 'float16' or 'bfloat16', got {dtype!r}."
            )
        self._given = as_path(folder, "The 'folder' parameter of ActivationCache")
        self.layers = layers
        self.pooled = pooled
        self.dtype = dtype
        _checked_strategies(pooled)

    def __repr__(self):
        options = "".join(
            f", {name}={getattr(self, name)!r}"
            for name, default in (("layers", "all"), ("pooled", None), ("dtype", "float32"))
            if getattr(self, name) != default
        )
        return f"ActivationCache({str(self._given)!r}{options})"

    @property
    def folder(self) -> Path:
        """The folder; a leading ``~`` is the home of the current user."""
        return self._store.folder

    @property
    def _store(self):
        return ShardStore(self._given, self.layers, self.dtype, _checked_strategies(self.pooled))

    def info(self) -> pd.DataFrame:
        """Describe the contents of the cache.

        Returns
        -------
        info : DataFrame
            One row per fingerprint: ``fingerprint`` (the name of its folder), ``model``,
            ``sentences`` and ``tokens`` (including special tokens), each counted once, ``layers``
            (blocks of neurons), ``dtype``, ``pooled`` (the strategies of pooled rows, of which
            ``tokens`` is then the number), ``shards`` (files), ``bytes`` and ``format`` (4 for this
            version). Folders in another format are not read, so only their shards and bytes are
            counted.
        """
        folders = list_folders(self.folder).items()
        rows = [(*self._describe(path, version), version) for path, version in folders]
        return pd.DataFrame(rows, columns=list(_INFO)).astype(_INFO)

    def verify(self) -> pd.DataFrame:
        """Read every byte of the cache and compare it with the checksums.

        Returns
        -------
        damage : DataFrame
            One row per file that cannot be used, with its ``path`` and ``problem``; no rows if
            there are none. `prune` removes the damaged shards among them, but not what
            `ActivationCache` has not written.
        """
        damage = [
            (str(path), error.reason)
            for folder in named_folders(self.folder)
            if is_current(folder)
            for path, error in _damage(folder).items()
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

        Raises
        ------
        ValueError
            If the folder is not marked as a cache; see `prune`.
        """
        self._check_marked("compact")
        folders = self._store.folders()
        return sum(compact_folder(folder, index_of(folder), max_bytes) for folder in folders)

    def prune(self, fingerprints: Iterable[str] | None = None) -> int:
        """Remove useless files, or all activations of given models.

        Removes only what `ActivationCache` has written: regular files, in a folder named by a
        fingerprint, with the name and the first bytes of a shard. Anything else stays.

        Parameters
        ----------
        fingerprints : iterable of str or None, default=None
            The fingerprints of the models whose activations to remove, as listed by `info`. None
            removes only damaged shards, shards whose sentences are all in other shards too, and
            temporary files of interrupted runs, all of the current format.

        Returns
        -------
        n_bytes : int
            The number of bytes freed.

        Raises
        ------
        ValueError
            If a fingerprint is not in the cache, or if the folder is not marked as a cache by its
            file ``sklearn-neurox-cache.txt``; nothing is removed in these cases.

        Warns
        -----
        UserWarning
            If the folder of a fingerprint stays because it holds something else.
        """
        self._check_marked("prune")
        if fingerprints is None:
            return sum(self._prune_folder(folder) for folder in self._store.folders())
        known = {folder.name: folder for folder in list_folders(self.folder)}
        chosen = [fingerprints] if isinstance(fingerprints, str) else list(fingerprints)
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise ValueError(
                f"ActivationCache.prune: {str(self.folder)!r} holds no fingerprint {unknown[0]!r}; "
                f"it holds {sorted(known)}."
            )
        freed = 0
        for folder in [known[name] for name in dict.fromkeys(chosen)]:
            # Only ours: `list_folders` and `own_files` return nothing else.
            own = own_files(folder)
            freed += remove(own, own)
            if remove_if_empty(folder):
                continue
            foreign = foreign_names(folder)
            if foreign:
                warn_user(
                    f"ActivationCache.prune keeps {folder}, because ActivationCache has not "
                    f"written {foreign[:5]} in it.",
                )
        forget_indices()
        return freed

    def _check_marked(self, method):
        if is_marked(self.folder) or not self.folder.is_dir() or not any(self.folder.iterdir()):
            return
        raise ValueError(
            f"ActivationCache.{method}: {str(self.folder)!r} is not marked as a cache, as it lacks "
            f"the file {MARKER!r} that ActivationCache writes into its folder. Check the path. If "
            "it is a cache from an earlier version, or its marker was lost, fill_cache with a new "
            "text marks it again."
        )

    def _describe(self, folder, version):
        if version != FORMAT:
            own = own_files(folder)
            n_shards = sum(path.name.endswith(SUFFIX) for path in own)
            n_bytes = sum(status.st_size for status in own.values())
            return folder.name, "", 0, 0, 0, "", "", n_shards, n_bytes
        index = index_of(folder)
        facts, lengths, blocks, texts = index.facts, {}, set(), set()
        for shard in index.shards:
            lengths.update(zip(shard.keys, np.diff(shard.ptr).tolist(), strict=True))
            blocks.update(shard.blocks)
            # The entries of pooled rows have the digests of their texts in another table.
            digests = shard.tables["request" if shard.facts.pooled else "key"]
            texts.update(digests.view(f"V{KEY_BYTES}").ravel().tolist())
        return (
            folder.name,
            "" if facts is None else facts.model,
            len(texts),
            sum(lengths.values()),
            len(blocks),
            "" if facts is None else facts.dtype,
            "" if facts is None else ", ".join(facts.pooled),
            len(index.shards),
            sum(shard.n_bytes for shard in index.shards),
        )

    def _prune_folder(self, folder):
        freed = remove_stale(folder)
        own = own_files(folder)  # before reading, so that what is repaired meanwhile stays
        damaged = _damage(folder)
        intact = [shard for shard in index_of(folder).shards if shard.path not in damaged]
        proven = [path for path, error in damaged.items() if error.is_proven]
        # Only ours: `remove` ignores what is not in `own_files`.
        freed += remove([*proven, *superseded(intact)], own)
        index_of(folder)
        remove_if_empty(folder)
        return freed


def _checked_strategies(pooled):
    """Return the strategies of a cache as a tuple, which is empty for a cache of tokens."""
    if pooled is None:
        return ()
    named = isinstance(pooled, Iterable) and not isinstance(pooled, str)
    strategies = tuple(pooled) if named else (pooled,)
    wrong = [name for name in strategies if not isinstance(name, str) or name not in _STRATEGIES]
    if wrong or not strategies:
        raise ValueError(
            f"ActivationCache: pooled must be None, one of {list(_STRATEGIES)} or a list of them, "
            f"got {pooled!r}."
        )
    return tuple(dict.fromkeys(strategies))


def store_of(cache):
    """Return the store of a cache or of a folder; None if there is no cache."""
    if cache is None:
        return None
    return (cache if isinstance(cache, ActivationCache) else ActivationCache(cache))._store


def _damage(folder):
    """Read all shards of a folder; return the path and the error of each that is unusable."""
    found = {}
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:  # removed meanwhile
        return found
    except OSError as error:
        return {folder: _unreadable(folder, error)}
    for path in [folder / n for n in names if n.endswith(SUFFIX) and not n.startswith(".")]:
        try:
            shard = Shard(path)
            shard.states(shard.blocks)
        except DamagedShardError as error:
            if os.path.lexists(path):  # otherwise it was compacted meanwhile
                found[path] = error
    return found


def _unreadable(folder, error):
    unreadable = DamagedShardError(folder, f"it cannot be read ({error.strerror})")
    unreadable.__cause__ = error
    return unreadable
