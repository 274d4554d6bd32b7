# SPDX-License-Identifier: BSD-3-Clause
"""Look at the folder of a model before transformers builds what its config asks for."""

import os
import struct

from sklearn_neurox.utils._files._foreign_files import (
    as_path,
    check_regular,
    gigabytes,
    json_kind,
    named_errors,
    parse_json,
    read_settings,
)

AGAIN = "Save the model again with save_pretrained, or download it again."
_COUNTS = (
    "hidden_size",
    "intermediate_size",
    "max_position_embeddings",
    "num_attention_heads",
    "num_hidden_layers",
    "type_vocab_size",
    "vocab_size",
)
# No model has more of these; transformers asks for the memory before it notices a mismatch.
_MAX_COUNT, _MAX_LAYERS = 100_000_000, 10_000
# What safetensors itself accepts.
_MAX_HEADER = 100_000_000
_MAX_TEXT = 1 << 30
# The files that models and tokenizers are loaded from.
_READ = frozenset(
    ".safetensors .bin .json .jinja .txt .model .py .vocab .tiktoken .bpe .spm .codes "
    ".tokenizer .gguf".split()
)
_JSON_FILES = ("config.json", "tokenizer_config.json")


def check_model_folder(name, *, weights):
    """Raise an error that names the file if a model's folder is damaged or declares absurd sizes.

    Does nothing if there is no folder of this name: it may be the name of a model on the hub.
    ``weights`` is "pretrained", or "random" if the weights in the folder are not read.
    """
    folder = as_path(name, "The 'model' parameter of ActivationExtractor")
    if not folder.is_dir():
        return
    check_kinds(folder)
    parsed = {
        file: _parsed(folder / file) for file in _JSON_FILES if os.path.lexists(folder / file)
    }
    config = parsed.get("config.json", {})
    _check_counts(folder / "config.json", config)
    width = config.get("hidden_size")
    if weights == "random":
        _check_memory(folder / "config.json", width)
        return
    shapes = []
    for file in sorted(folder.glob("[!.]*.safetensors")):
        shapes += _shapes(file)
    if shapes and "quantization_config" not in config:
        _check_width(folder / "config.json", width, shapes)
        _check_depth(folder / "config.json", config.get("num_hidden_layers"), len(shapes))


def _parsed(file):
    stored = read_settings(file, "a JSON file of a model's folder", AGAIN)
    content = parse_json(stored, str(file), AGAIN)
    if not isinstance(content, dict):
        raise ValueError(f"{file} holds {json_kind(content)}, not an object with settings. {AGAIN}")
    return content


def _check_counts(file, config):
    for name in _COUNTS:
        count = config.get(name)
        most = _MAX_LAYERS if name == "num_hidden_layers" else _MAX_COUNT
        is_number = isinstance(count, (int, float)) and not isinstance(count, bool)
        least = 1 if name in ("hidden_size", "vocab_size") else 0
        # XLNet states -1 positions, and means that there is no limit.
        least = -1 if name == "max_position_embeddings" else least
        if is_number and not least <= count <= most:
            shown = str(count) if abs(count) < 1e15 else "a number of over 15 digits"
            raise ValueError(f"{file} states {name} = {shown}, which no model has. {AGAIN}")


def _check_width(file, width, shapes):
    """Raise an error if no weight has the width that the config states."""
    if isinstance(width, int) and not any(width in shape for shape in shapes):
        raise ValueError(
            f"{file} states hidden_size = {width}, but no weight in its folder has this size. "
            f"Use the config that was saved with the weights. {AGAIN}"
        )


def _check_depth(file, depth, n_weights):
    # Models whose layers share their weights have fewer weights than layers, but a few dozen.
    if isinstance(depth, int) and depth > 100 + n_weights:
        raise ValueError(
            f"{file} states num_hidden_layers = {depth}, but its folder holds {n_weights} weights. "
            f"Use the config that was saved with the weights. {AGAIN}"
        )


def _check_memory(file, width):
    """Raise an error if one square matrix of a model would not fit into the machine's memory."""
    if not isinstance(width, int) or "SC_PHYS_PAGES" not in getattr(os, "sysconf_names", {}):
        return
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if 4 * width**2 > memory:
        raise ValueError(
            f"{file} states hidden_size = {width}; one matrix of this size takes "
            f"{gigabytes(4 * width**2)}, and this machine has {gigabytes(memory)}. {AGAIN}"
        )


def check_kinds(folder):
    """Raise an error that names what a model could not be read from, or would be read forever."""
    for entry in sorted(os.listdir(folder)):
        path = folder / entry
        if path.suffix not in _READ or path.suffix == ".bin" and not path.exists():
            continue
        if not path.is_dir():
            check_regular(path, "a file of a model's folder", may_be_empty=True)
            size = os.path.getsize(path)
            if path.suffix in (".json", ".txt") and size > _MAX_TEXT:
                raise ValueError(f"{path} takes {gigabytes(size)}, which no model needs. {AGAIN}")


def _shapes(file):
    """Return the shapes of the weights in a safetensors file, from its header alone."""
    check_regular(file, "a safetensors file")
    size = os.path.getsize(file)
    with open(file, "rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _MAX_HEADER):
            raise ValueError(
                f"{file} is not a complete safetensors file: its header should take "
                f"{gigabytes(length)} of {gigabytes(size)}. {AGAIN}"
            )
        header = parse_json(stream.read(length), f"The header of {file}", AGAIN)
    with named_errors(file, "is not a safetensors file", AGAIN):
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((entry["data_offsets"][1] for entry in entries), default=0)
        shapes = [tuple(entry["shape"]) for entry in entries]
    if end > size - 8 - length:
        raise ValueError(
            f"{file} is cut short: its weights should take {gigabytes(end)}, but the file has "
            f"{gigabytes(size - 8 - length)} for them. {AGAIN}"
        )
    return shapes
