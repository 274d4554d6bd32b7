# SPDX-License-Identifier: BSD-3-Clause
import atexit
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from functools import cache
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.datasets._tagged_words import make_tagged_words
from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.utils._torch import seeded_generator
from sklearn_neurox.utils._tqdm import tqdm_class

_COUNT = Interval(Integral, 1, None, closed="left")
# Characters that the generated sentences lack: tokenizers should know some but not all of them.
_OTHER_SCRIPTS = (
    "The café in Zürich was naïve , señor .",
    "He said : “ 100 % of 2345 £ ” ( 6789 € ) – no ?",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "привет мир שלום 中文 日本 😀 👍",
    "e\u0301 a\u0308",
)


@validate_params(
    {
        "family": [str],
        "path": [str, Path, None],
        "n_layers": [_COUNT],
        "hidden_size": [_COUNT],
        "n_heads": [_COUNT],
        # Each byte and each character of the default corpus needs a token.
        "vocab_size": [Interval(Integral, 400, None, closed="left")],
        "max_length": [Interval(Integral, 8, None, closed="left")],
        "corpus": ["array-like", None],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_tiny_model(
    family: str = "bert",
    *,
    path: str | Path | None = None,
    n_layers: int = 2,
    hidden_size: int = 32,
    n_heads: int = 4,
    vocab_size: int = 600,
    max_length: int = 128,
    corpus: Sequence[str] | None = None,
    random_state: int | np.random.RandomState | None = 0,
) -> str:
    """Create a small random language model and a matching tokenizer, and save them in a folder.

    The weights are random, but the layers, heads, positions and special tokens are those of the
    family, and `transformers.AutoModel` and `transformers.AutoTokenizer` load the model from the
    folder. No network is needed.

    Parameters
    ----------
    family : str, default="bert"
        The architecture, which determines the kind of tokenizer:

        - ``"bert"``, ``"distilbert"``: WordPiece that keeps case and accents; ``"bert-uncased"``
          removes both. A word with a character that is not in ``corpus`` becomes the unknown token;
        - ``"gpt2"``: byte-level BPE, without a padding token or special tokens around a text; a
          decoder;
        - ``"roberta"``, ``"modernbert"``: byte-level BPE with special tokens; the latter composes
          characters first (NFC);
        - ``"llama"``: BPE with ``▁`` for spaces and a fallback to bytes; a decoder that pads on
          the left;
        - ``"xlm-roberta"``: Unigram with ``▁`` for spaces;
        - ``"canine"``: characters; ``"byt5"``: bytes; ``"marian"``: SentencePiece. The tokenizers
          of these three are written in Python and return no offsets; the last two models are
          encoder-decoders.

    path : str or Path, default=None
        The folder to save to, created if it does not exist. It must be empty, or hold the same
        model from an earlier call, because nothing is replaced. Files whose names begin with a dot
        are ignored. None creates a temporary folder, which is removed when the process ends.

    n_layers : int, default=2
        The number of layers in each stack.

    hidden_size : int, default=32
        The number of neurons in each layer.

    n_heads : int, default=4
        The number of attention heads; it must divide ``hidden_size`` into an even number of
        neurons per head, because rotary positions need pairs.

    vocab_size : int, default=600
        The size of a trained vocabulary. It can be smaller for a small ``corpus``.

    max_length : int, default=128
        The maximum number of tokens that the model reads, including special tokens.

    corpus : array-like of str, default=None
        The texts that the tokenizer is trained on. None takes sentences from `make_tagged_words`
        and a few characters of other scripts.

    random_state : int, RandomState instance or None, default=0
        Determines the weights. The global random states of torch and NumPy do not change.

    Returns
    -------
    path : str
        The folder.

    Raises
    ------
    FileExistsError
        If the folder holds other files, such as another model.

    ImportError
        If ``family`` is ``"marian"`` and the package sentencepiece is not installed.

    ValueError
        If the family is unknown, ``n_heads`` does not fit ``hidden_size``, or ``path`` is a file.

    See Also
    --------
    demo_model_path : Return the folder of a pretrained model.

    Examples
    --------
    >>> from sklearn_neurox.datasets import make_tiny_model
    >>> from transformers import AutoTokenizer
    >>> path = make_tiny_model("bert", random_state=0)
    >>> AutoTokenizer.from_pretrained(path).tokenize("She saw the light .")
    ['She', 'saw', 'the', 'light', '.']
    """
    tqdm_class()
    from sklearn_neurox.datasets._tiny_configs import FAMILIES, Size

    if family not in FAMILIES:
        raise ValueError(
            f"make_tiny_model has no family {family!r}. Choose one of: {', '.join(FAMILIES)}."
        )
    if hidden_size % (2 * n_heads):
        raise ValueError(
            f"n_heads={n_heads} must divide hidden_size={hidden_size} into heads of even width."
        )
    if path is not None and as_path(path, "The 'path' parameter of make_tiny_model").is_file():
        raise ValueError(f"path={str(path)!r} is a file; make_tiny_model needs a folder.")
    rng = check_random_state(random_state)
    make_tokenizer, make_config = FAMILIES[family]
    corpus = _default_corpus() if corpus is None else list(corpus)
    size = Size(n_layers, hidden_size, n_heads, max_length)

    def save(folder):
        # Marian's tokenizer exists only in files, so it is trained in its final folder.
        where = {"folder": folder} if family == "marian" else {}
        tokenizer = make_tokenizer(corpus, vocab_size, **where)
        tokenizer.model_max_length = max_length
        with _without_progress_bars():
            _random_model(make_config(size, tokenizer), rng).save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    if path is None:
        temporary = _temporary_folder(family)
        save(temporary)
        return temporary
    with tempfile.TemporaryDirectory(prefix=f"tiny-{family}-") as scratch:
        save(scratch)
        _add_files(Path(scratch), Path(path))
    return str(path)


def _add_files(made, folder):
    """Copy files to a folder; raise a FileExistsError if it holds anything but copies of them."""
    folder.mkdir(parents=True, exist_ok=True)
    held = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    for file in held:
        own = made / file.name
        if not (file.is_file() and own.is_file() and file.read_bytes() == own.read_bytes()):
            what = "has a different" if own.exists() else "has a file that is not this model's,"
            raise FileExistsError(
                f"path={str(folder)!r} {what} {file.name}, and make_tiny_model replaces nothing. "
                "Name a new folder, or empty this one."
            )
    for own in sorted(made.iterdir()):
        if folder / own.name not in held:
            shutil.copyfile(own, folder / own.name)


@cache
def _default_corpus():
    sentences = make_tagged_words(500, random_state=0)["text"].unique()
    return [*sentences, *_OTHER_SCRIPTS]


def _temporary_folder(family):
    folder = tempfile.mkdtemp(prefix=f"tiny-{family}-")
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def _remove_own(folder, pid):
    if os.getpid() == pid:  # a forked process ends before its parent, which still uses the folder
        # Only ours: mkdtemp created it in this process. rmtree follows no links.
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _without_progress_bars():
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _random_model(config, rng):
    """Build a model in which every parameter is random, including norms and biases."""
    import torch
    from transformers import AutoModel

    generator = seeded_generator(rng)
    kind = {"dtype": torch.float32, "device": "cpu"}  # whatever the user's default device is
    # transformers draws from the global generator, whose state is restored afterwards.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        model = AutoModel.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:  # Marian's sinusoidal positions
                continue
            noise = torch.randn(parameter.shape, generator=generator, **kind)
            if parameter.ndim > 1:
                # Outputs of about unit variance, so that layers and neurons differ.
                parameter.copy_(noise * (parameter.shape[0] / parameter.numel()) ** 0.5)
            else:
                parameter.copy_(0.1 * noise + (0.0 if name.endswith("bias") else 1.0))
    return model.eval()
