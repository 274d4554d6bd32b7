# SPDX-License-Identifier: BSD-3-Clause
import contextlib
import hashlib
import os
import uuid
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

_KEY_BYTES = 32


class ActivationCache:
    """A folder that keeps hidden states, so that a model reads every text once.

    Each model has a subfolder, named after a digest of its weights. In it lie immutable shards,
    safetensors files of one batch each: which inputs they hold (digests of their tokens), where
    each begins, and one tensor a layer. A shard is written under a temporary name and renamed when
    complete, so that processes can share the folder without locks, and an interrupted run loses
    at most one batch.

    All layers of a text are kept, in float32: the bytes are 4 x tokens x layers x units, which
    for 25,000 words and BERT-base is about 1.2 GB. Deleting the folder, or a subfolder of it, is
    always safe.

    Parameters
    ----------
    folder : str or path
        Made when the first shard is written.

    See Also
    --------
    ActivationExtractor : Takes it, or just its folder, as ``cache``.

    Examples
    --------
    >>> from sklearn_neurox.extraction import ActivationCache
    >>> ActivationCache("activations")
    ActivationCache('activations')
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._shards = {}

    def __repr__(self):
        return f"ActivationCache({str(self.folder)!r})"

    def __getstate__(self):
        return {"folder": self.folder, "_shards": {}}

    def find(self, fingerprint: str, keys: list[bytes]) -> list[tuple[Path, int] | None]:
        """Find inputs that are there.

        Parameters
        ----------
        fingerprint : str
            Digest of the model.

        keys : list of bytes
            Digests of the inputs, from `sequence_keys`.

        Returns
        -------
        places : list of (Path, int) or None
            Shard and place in it of each input, None where it is not there.
        """
        known = {}
        folder = self.folder / fingerprint
        for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
            for place, key in enumerate(self._keys(path)):
                known.setdefault(key, (path, place))
        return [known.get(key) for key in keys]

    def read(self, path: Path, layer: int | None = None) -> np.ndarray:
        """Read one layer of a shard, or where its inputs begin.

        Parameters
        ----------
        path : Path
            The shard.

        layer : int or None, default=None
            The layer; None reads the pointers.

        Returns
        -------
        values : ndarray of shape (n_tokens, n_units) or (n_sequences + 1,)
        """
        from safetensors import safe_open

        with safe_open(path, framework="np") as shard:
            return shard.get_tensor("ptr" if layer is None else f"hidden.{layer}")

    def write(
        self, fingerprint: str, keys: list[bytes], ptr: np.ndarray, states: dict[int, np.ndarray]
    ) -> None:
        """Write one shard; it is visible when it is complete.

        Parameters
        ----------
        fingerprint : str
            Digest of the model.

        keys : list of bytes
            Digests of the inputs.

        ptr : ndarray of shape (n_sequences + 1,)
            Where the tokens of each input begin.

        states : dict of int to ndarray of shape (n_tokens, n_units)
            The layers.
        """
        from safetensors.numpy import save

        tensors = {f"hidden.{layer}": np.ascontiguousarray(s) for layer, s in states.items()}
        tensors["ptr"] = np.asarray(ptr, dtype=np.int64)
        tensors["keys"] = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, _KEY_BYTES)
        folder = self.folder / fingerprint
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:32]
        # Not tempfile, whose files no other user of a shared folder may read.
        temporary = folder / f"{uuid.uuid4().hex}.tmp"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb") as file:
                file.write(save(tensors, metadata={"format": "sklearn-neurox 1"}))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, folder / f"{name}.safetensors")
        except OSError as error:
            raise OSError(
                f"The cache folder {str(self.folder)!r} cannot be made or written ({error}). Give "
                "another with cache=."
            ) from error
        finally:
            # There no more after the renaming; otherwise half a shard is of use to nobody.
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _keys(self, path):
        stat = path.stat()
        stamp = (stat.st_size, stat.st_mtime_ns)
        if self._shards.get(path, (None,))[0] != stamp:
            self._shards[path] = stamp, _read_keys(path)
        return self._shards[path][1]


def _read_keys(path):
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as shard:
            keys = shard.get_tensor("keys")
    except (SafetensorError, OSError) as error:
        warnings.warn(
            f"The cache shard {path} is damaged ({error}); what it held is computed again. "
            "Delete the file to be rid of this warning.",
            UserWarning,
            stacklevel=2,
        )
        return []
    return [key.tobytes() for key in keys]


def sequence_keys(sequences):
    """Digest model inputs: their tokens, and their segments where they have any.

    Parameters
    ----------
    sequences : Sequences

    Returns
    -------
    keys : list of bytes
    """
    raw, width = sequences.ids.tobytes(), sequences.ids.itemsize
    types = b"" if sequences.types is None else sequences.types.tobytes()
    return [
        hashlib.sha256(raw[start:end] + b"|" + types[start:end]).digest()
        for start, end in pairwise((sequences.ptr * width).tolist())
    ]
