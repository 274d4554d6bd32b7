# SPDX-License-Identifier: BSD-3-Clause
"""What tells the activations of one model from those of another."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from sklearn_neurox.extraction._loading import load_config, load_model

_WEIGHTS = ("*.safetensors", "*.bin", "*.json")
_CHUNK = 1 << 22
# Loading a config adds where it came from and what read it, which say nothing about the model.
_INCIDENTAL = ("_name_or_path", "transformers_version")


def fingerprint(spec):
    """Digest what defines a model's hidden states.

    A folder is digested by the contents of its files, a model from the hub by its commit, an
    untrained one by its config and seed, a live one by its parameters as they are now.

    Parameters
    ----------
    spec : ModelSpec

    Returns
    -------
    fingerprint : str
    """
    if spec.is_live:
        return _of_parameters(spec.model)
    config = load_config(spec)
    if spec.weights == "random":
        described = {k: v for k, v in config.to_dict().items() if k not in _INCIDENTAL}
        text = json.dumps([described, spec.seed], sort_keys=True, default=str)
        return "random-" + hashlib.sha256(text.encode()).hexdigest()[:32]
    folder = Path(spec.model)
    if folder.is_dir():
        files = sorted({file for pattern in _WEIGHTS for file in folder.glob(pattern)})
        stamps = tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files)
        return "files-" + _of_files(stamps)
    commit = getattr(config, "_commit_hash", None)
    return f"commit-{commit}" if commit else _of_parameters(load_model(spec))


@lru_cache(maxsize=8)
def _of_files(stamps):
    digest = hashlib.sha256()
    for path, size, _ in stamps:
        digest.update(f"{Path(path).name}:{size}:".encode())
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()[:32]


def _of_parameters(model):
    import torch

    from sklearn_neurox.utils._torch import to_numpy

    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in model.state_dict().items():
        flat = tensor.contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}:{tuple(tensor.shape)}:{tensor.dtype}".encode())
        digest.update(to_numpy(flat).data)
    return "live-" + digest.hexdigest()[:32]
