# SPDX-License-Identifier: BSD-3-Clause
"""Identify a model and its tokenizer without loading them."""

import contextlib
import functools
import hashlib
import json
import os
import time
import zlib
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType, MethodType

from sklearn_neurox.extraction._model._files_elsewhere import files_elsewhere
from sklearn_neurox.extraction._model._gguf import find_gguf
from sklearn_neurox.extraction._model._loading import DetachedModel
from sklearn_neurox.extraction._model._model_folder import AGAIN, check_kinds
from sklearn_neurox.extraction._model._replaced_functions import replaced_functions
from sklearn_neurox.extraction._model._stamps import stamp
from sklearn_neurox.extraction._model._torch_model import TorchModel
from sklearn_neurox.utils._files._foreign_files import (
    NotRegularError,
    open_regular,
    parse_json,
    read_settings,
)
from sklearn_neurox.utils._files._output_files import write_whole
from sklearn_neurox.utils._tqdm import tqdm_class

# The files that models and tokenizers are loaded from.
_SUFFIXES = frozenset(
    ".safetensors .bin .json .txt .model .py .vocab .tiktoken .bpe .spm .codes .tokenizer".split()
)
_WEIGHTS = frozenset([".safetensors", ".bin"])
_FUNCTIONS = (FunctionType, MethodType, functools.partial)
_CHUNK = 1 << 22
_WORTH_KEEPING = 32 << 20
_SETTLED_NS = 2_000_000_000
_THE_MODELS = "the model's"
# Settings of a live tokenizer that do not change how it tokenizes.
_INCIDENTAL = frozenset(
    "name_or_path tokenizer_file vocab_file merges_file padding_side truncation_side verbose "
    "chat_template clean_up_tokenization_spaces".split()
)


def fingerprint(spec, options, memo=None, *, tokenizer=None):
    """Return a digest of everything that determines the stored states.

    A folder is digested by the contents of its files; a hub model by its commit in the local hub
    cache; an untrained model by its config, its tokenizer's files, its seed and the versions of the
    libraries that draw its weights; a live model by its current parameters. The dtype in which a
    model is loaded counts, its device does not.

    Parameters
    ----------
    spec : ModelSpec

    options : dict
        The parameters that change what is stored, of JSON types.

    memo : Path or None, default=None
        A folder that stores digests of large files, so that other processes need not read the files
        again while they are unchanged.

    tokenizer : object, default=None
        What `tokenizer_fingerprint` has just returned, if that is known.

    Returns
    -------
    fingerprint : str or None
        None if the model is not on this machine yet.
    """
    if tokenizer is None or _is_the_models(spec):
        tokenizer = _of_tokenizer(spec, memo)
    parts = [_of_model(spec, memo), tokenizer]
    if None in parts:
        return None
    parts += [spec.trust_remote_code, options]
    if spec.fingerprint is None:
        parts += replaced_functions()
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def tokenizer_fingerprint(spec, memo=None):
    """Return a digest of what the texts are tokenized with; None if it is not on this machine."""
    if _is_the_models(spec) and not spec.is_torch_model:
        found = _located(spec.model, spec.revision)
        # Whatever the weights are, the config and other files decide how texts are cut.
        return None if found is None else _of_files_at(*found, _SUFFIXES - _WEIGHTS, memo)
    return _of_tokenizer(spec, memo)


def leave_behind(spec, *, with_digests):
    """Return the parts of a live model that a pickle keeps, with digests if a cache needs them."""
    name = type(spec.model).__name__
    if not with_digests:
        return DetachedModel(name)
    model = _of_model(spec, None)
    if spec.is_torch_model:
        return DetachedModel(name, model, _THE_MODELS)
    own = spec.tokenizer is None and spec.model.config.name_or_path
    return DetachedModel(name, model, _of_tokenizer(spec, None) if own else None)


@functools.cache
def _version(package):
    # Reading it searches the path, where a process that gives up its rights may not look.
    return version(package)


def _of_model(spec, memo):
    if spec.fingerprint is not None:
        return ["named", spec.fingerprint]
    if spec.is_live:
        is_detached = isinstance(spec.model, DetachedModel)
        return spec.model.fingerprint if is_detached else _of_live(spec.model)
    found = _located(spec.model, spec.revision)
    if found is None:
        return None
    folder, commit = found
    form = [] if spec.dtype == "float32" else [spec.dtype]
    if spec.weights == "pretrained":
        return [*_of_files_at(folder, commit, _SUFFIXES, memo), *form]
    libraries = [_version("torch"), _version("transformers")]
    # A file that holds everything holds the config, too.
    config = None if folder.is_file() else _of_config(folder)
    others = _of_files_at(folder, commit, _SUFFIXES - _WEIGHTS, memo, without="config.json")
    return ["random", config, others, spec.seed, libraries, *form]


def _is_the_models(spec):
    """Return whether the fingerprint of the model is also that of its tokenizer."""
    return spec.is_torch_model or (spec.tokenizer is None and not spec.is_live)


def _of_tokenizer(spec, memo):
    tokenizer = spec.tokenizer
    if _is_the_models(spec):
        return _THE_MODELS
    if isinstance(tokenizer, DetachedModel):
        return tokenizer.fingerprint
    if tokenizer is None:
        if isinstance(spec.model, DetachedModel):
            return spec.model.tokenizer
        tokenizer = spec.model.config.name_or_path
    if not isinstance(tokenizer, str):
        return _of_live_tokenizer(tokenizer)
    found = _located(tokenizer, spec.revision)
    if found is None:
        return None
    return _of_files_at(*found, _SUFFIXES - _WEIGHTS, memo)


def _of_files_at(place, commit, suffixes, memo, without=None):
    if commit:
        return ["commit", commit]
    files = [place]
    if place.is_dir():
        check_kinds(place)
        files = [*place.iterdir(), *files_elsewhere(place)]
        files = [file for file in files if file.suffix in suffixes and file.is_file()]
    return ["files", _digest([file for file in sorted(files) if file.name != without], memo)]


def _located(name, revision):
    """Return the folder or file of a model, and its commit if it is in the hub's cache."""
    gguf = find_gguf(name)
    if gguf is not None:
        return gguf, None
    if os.path.isdir(name):
        return Path(name), None
    tqdm_class()
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        config = try_to_load_from_cache(name, "config.json", revision=revision or "main")
    except HFValidationError:  # the path of a missing folder
        return None
    if not isinstance(config, str):
        return None
    return Path(config).parent, Path(config).parent.name


def _of_config(folder):
    file = folder / "config.json"
    try:
        text = read_settings(file, "a JSON file of a model's folder", AGAIN)
    except OSError:
        return None
    incidental = ("_name_or_path", "transformers_version")
    content = parse_json(text, str(file), AGAIN)
    return {k: v for k, v in content.items() if k not in incidental}


def _digest(files, memo):
    stamps = tuple(map(stamp, files))
    # A file changed just now may change again with the same times.
    if not stamps or time.time_ns() - max(changed for _, _, changed, *_ in stamps) < _SETTLED_NS:
        return _of_files.__wrapped__(stamps)
    if memo is None or sum(size for _, size, *_ in stamps) < _WORTH_KEEPING:
        return _of_files(stamps)
    stored = memo / ".digests" / hashlib.sha256(repr(stamps).encode()).hexdigest()[:32]
    with contextlib.suppress(OSError, NotRegularError), open_regular(stored) as file:
        digest, _, check = file.read(100).partition(b" ")
        if check == _check(digest):
            return digest.decode()
    digest = _of_files(stamps)
    with contextlib.suppress(OSError):  # if it cannot be stored, it is computed again
        stored.parent.mkdir(parents=True, exist_ok=True)
        if not stored.parent.is_symlink():
            content = digest.encode() + b" " + _check(digest.encode())
            write_whole(stored, lambda name: Path(name).write_bytes(content), own=True)
    return digest


def _check(digest):
    return f"{zlib.crc32(digest):08x}".encode()


@lru_cache(maxsize=32)
def _of_files(stamps):
    digest = hashlib.sha256()
    for path, size, *_ in stamps:
        digest.update(f"{Path(path).name}:{size}:".encode())
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()[:32]


def _of_live(model):
    """Digest a live model as it is now: tensors, attributes, types and code of its modules."""
    from sklearn_neurox.extraction._model._description import describe
    from sklearn_neurox.extraction._model._forward import run_once
    from sklearn_neurox.extraction._model._overwritten import overwritten_by

    settings, module = [_version("transformers")], model
    if isinstance(model, TorchModel):
        if model.fingerprint is None:
            return None
        module = model.module
        settings = [
            model.fingerprint,
            model.supports_padding,
            model.pad_token_id,
            model.max_length,
        ]
    settings += replaced_functions(module.modules())
    _check_in_memory(module)
    parts = [settings, describe(module, _of_tensor, overwritten_by(model, run_once))]
    digest = hashlib.sha256(json.dumps(parts).encode())
    return "live-" + digest.hexdigest()[:32]


def _of_tensor(_, tensor):
    from sklearn_neurox.extraction._model._checksum import checksum

    return hashlib.sha256(checksum(tensor)).hexdigest()


def _check_in_memory(module):
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.device.type == "meta":
            raise ValueError(
                "The 'cache' of ActivationExtractor cannot identify this live model, because its "
                f"{name!r} is offloaded, not in memory. Pass the path of the model, or cache=None, "
                "or name the model with fingerprint=."
            )


def _of_live_tokenizer(tokenizer):
    own = {name: value for name, value in vars(tokenizer).items() if _is_plain(value)}
    held = {**tokenizer.init_kwargs, **own}
    settings = {name: value for name, value in held.items() if name not in _INCIDENTAL}
    settings["model_max_length"] = tokenizer.model_max_length
    parts = [
        type(tokenizer).__name__,
        settings,
        tokenizer.special_tokens_map,
        list(tokenizer.model_input_names),
        sorted(tokenizer.get_added_vocab().items()),
    ]
    if tokenizer.is_fast:
        # What comes before are settings of the last call, which the next call overrides. Reading
        # the rules as JSON would take ten times as long as writing them.
        parts.append(tokenizer.backend_tokenizer.to_str().partition(',"added_tokens":')[2])
    else:
        parts.append(sorted(tokenizer.get_vocab().items()))
    parts += [sorted(_rules_of(tokenizer)), _code_of(type(tokenizer))]
    own = {name: value for name, value in vars(tokenizer).items() if isinstance(value, _FUNCTIONS)}
    if own:  # methods that were replaced
        from sklearn_neurox.extraction._model._description import describe

        known = tokenizer, getattr(tokenizer, "_tokenizer", None)
        parts.append(describe(own, _of_tensor, known=known))
    text = json.dumps(parts, sort_keys=True, default=str)
    return "live-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _rules_of(tokenizer):
    """Yield what a tokenizer written in Python splits words with, besides its vocabulary."""
    for name, value in vars(tokenizer).items():
        if hasattr(value, "serialized_model_proto"):  # of sentencepiece
            yield name, hashlib.sha256(value.serialized_model_proto()).hexdigest()
        elif name == "bpe_ranks":
            yield name, hashlib.sha256(repr(sorted(value.items())).encode()).hexdigest()


def _code_of(kind):
    """Digest the code of a tokenizer's class, unless it is a class of transformers."""
    if kind.__module__.startswith("transformers."):
        return None
    from sklearn_neurox.extraction._model._description import describe

    return describe(kind, None)


def _is_plain(value):
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
