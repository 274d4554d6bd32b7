# SPDX-License-Identifier: BSD-3-Clause
"""Models in a single GGUF file, which transformers converts when it loads them."""

import contextlib
import functools

from sklearn_neurox.utils._files._foreign_files import as_path, check_regular
from sklearn_neurox.utils._optional import require

_MAGIC = b"GGUF"
_OTHER_WEIGHTS = frozenset([".safetensors", ".bin"])


def find_gguf(name):
    """Return the GGUF file that holds a model; None if its weights are in another format.

    ``name`` is the path of a GGUF file, or of a folder that has weights in no other format.

    Raises
    ------
    ValueError
        If a folder holds several, or the file is not a GGUF file.
    """
    path = as_path(name, "The 'model' parameter of ActivationExtractor")
    if path.suffix == ".gguf" and path.is_file():
        return _checked(path)
    if not path.is_dir():
        return None
    files = sorted(file for file in path.glob("[!.]*") if file.is_file())
    found = [file for file in files if file.suffix == ".gguf"]
    if not found or any(file.suffix in _OTHER_WEIGHTS for file in files):
        return None
    if len(found) > 1:
        raise ValueError(
            f"The 'model' parameter of ActivationExtractor is {str(path)!r}, a folder with "
            f"{len(found)} GGUF files: {[file.name for file in found[:5]]}. Pass the path of one "
            "of them."
        )
    return _checked(found[0])


def _checked(path):
    check_regular(path, "a GGUF file")
    with open(path, "rb") as file:
        start = file.read(len(_MAGIC))
    if start != _MAGIC:
        raise ValueError(
            f"{path} is not a GGUF file: it does not begin with 'GGUF'. Download it again."
        )
    return path


@contextlib.contextmanager
def reading_gguf(path):
    """Return the arguments of ``from_pretrained`` for a GGUF file, and hide its progress bar."""
    for package in ("gguf", "accelerate"):
        require(package, caller=f"ActivationExtractor, to read {path.name!r},", extra="gguf")
    from transformers import modeling_gguf_pytorch_utils as reader

    shown = reader.tqdm
    reader.tqdm = functools.partial(shown, disable=True)
    try:
        yield str(path.parent), {"gguf_file": path.name}
    finally:
        reader.tqdm = shown
