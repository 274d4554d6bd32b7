# SPDX-License-Identifier: BSD-3-Clause
"""The header of a shard: where everything in the file is, checked before anything is read."""

import hashlib
import json
from dataclasses import dataclass
from math import prod

import numpy as np

from sklearn_neurox.extraction._cache._cache_folder import FORMAT, SUFFIX, first_bytes
from sklearn_neurox.extraction._cache._facts import Facts

KEY_BYTES = 16
TABLE = "table."
_MAX_HEADER = 16 << 20
# The tables are read into memory, the states are not.
_MAX_TABLES = 1 << 30
_ALIGNMENT = 64
# NumPy has no bfloat16, so its bits are unsigned integers; no table has this type.
_CODES = {
    "<f4": "F32",
    "<f2": "F16",
    "<u2": "BF16",
    "<i8": "I64",
    "<i4": "I32",
    "<u4": "U32",
    "|u1": "U8",
}
_DTYPES = {code: np.dtype(name) for name, code in _CODES.items()}
_FLOATS = frozenset(["F32", "F16", "BF16"])
# The dtype and shape of each table, for a number of entries, tokens and blocks.
_TABLES = {
    "key": ("U8", "entries", KEY_BYTES),
    "request": ("U8", "entries", KEY_BYTES),
    "window": ("I32", "entries"),
    "n_windows": ("I32", "entries"),
    "limit": ("I32", "entries"),
    "ptr": ("I64", "ends"),
    "token_ptr": ("I64", "ends"),
    "role": ("U8", "tokens"),
    "start": ("I32", "tokens"),
    "end": ("I32", "tokens"),
    "flags": ("U8", "tokens"),
    "checksum": ("U32", "blocks", "entries"),
}


@dataclass(frozen=True)
class Tensor:
    """A table, or the states of a block: bytes ``start`` to ``stop`` of the file."""

    dtype: np.dtype
    shape: tuple
    start: int
    stop: int

    def view(self, raw):
        """Interpret the bytes of the tensor."""
        return np.frombuffer(raw, dtype=self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class ShardHeader:
    """A header that has been checked: its tensors fit each other and fill the file exactly."""

    facts: Facts
    note: str
    checks: dict  # the checksum of each table
    tables: dict  # name -> Tensor
    blocks: dict  # name -> Tensor
    raw: bytes


def write_header(tensors, *, fingerprint, facts, checks, note):
    """Return the bytes of a header, with its length, and the name of the file."""
    metadata = {
        "format": f"sklearn-neurox {FORMAT}",
        "fingerprint": fingerprint,
        "facts": json.dumps(facts.to_json(), sort_keys=True),
        "checks": json.dumps(checks, sort_keys=True),
        "note": note,
    }
    header, offset = {"__metadata__": metadata}, 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": _CODES[values.dtype.newbyteorder("<").str],
            "shape": list(values.shape),
            "data_offsets": [offset, offset + values.nbytes],
        }
        offset += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text, _digest(text) + SUFFIX


def read_header(file, n_bytes, path):
    """Read the header of an open file.

    Raises a ValueError, KeyError, TypeError, AttributeError or RecursionError if it is not one that
    `write_header` made for a file of this name, in this folder, with this number of bytes.
    """
    size = int.from_bytes(file.read(8), "little")
    if n_bytes < 8 or not 0 < size <= min(_MAX_HEADER, n_bytes - 8):
        raise ValueError("it is truncated, or not a safetensors file")
    raw = file.read(size)
    if _digest(raw) != path.stem:
        raise ValueError("its name does not match its header: it was renamed or changed")
    if not raw.startswith(first_bytes(path.parent.name)):
        raise ValueError(_where_from(raw))
    tensors = json.loads(raw)
    metadata = tensors.pop("__metadata__")
    tensors, end = _lay_out(tensors, 8 + size)
    if n_bytes != end:
        raise ValueError(f"it has {n_bytes} bytes, not {end}")
    tables = {n.removeprefix(TABLE): t for n, t in tensors.items() if n.startswith(TABLE)}
    blocks = {name: tensor for name, tensor in tensors.items() if not name.startswith(TABLE)}
    _check_shapes(tables, blocks)
    checks = json.loads(metadata["checks"])
    if checks.keys() != tables.keys() or not isinstance(metadata["note"], str):
        raise ValueError("its header is incomplete")
    facts = Facts.from_json(json.loads(metadata["facts"]))
    facts.check_widths({name: tensor.shape[1] for name, tensor in blocks.items()})
    return ShardHeader(facts, metadata["note"], checks, tables, blocks, raw)


def _where_from(raw):
    """Return the origin of a shard whose header begins differently, for a message."""
    metadata = json.loads(raw)["__metadata__"]
    if metadata["format"] != f"sklearn-neurox {FORMAT}":
        return f"its format is {metadata['format']!r}, not 'sklearn-neurox {FORMAT}'"
    return f"it belongs to another model, in the folder {metadata['fingerprint']!r}"


def _lay_out(header, first):
    """Return the tensors of a header, and their end; they follow one another without gaps."""
    found, start = {}, first
    for name, entry in header.items():
        dtype, shape = _DTYPES[entry["dtype"]], tuple(entry["shape"])
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"the shape of {name!r} is {shape}")
        stop = start + prod(shape) * dtype.itemsize
        if entry["data_offsets"] != [start - first, stop - first]:
            raise ValueError(f"the place of {name!r} does not follow from the shapes")
        found[name] = Tensor(dtype, shape, start, stop)
        start = stop
    return found, start


def _check_shapes(tables, blocks):
    if tables.keys() != _TABLES.keys() or not blocks:
        raise ValueError(f"it lacks the tables {sorted(_TABLES.keys() - tables.keys())}")
    (n, _), (n_tokens,) = tables["key"].shape, tables["role"].shape
    sizes = {"entries": n, "ends": n + 1, "tokens": n_tokens, "blocks": len(blocks)}
    for name, (code, *shape) in _TABLES.items():
        expected = _DTYPES[code], tuple(sizes.get(size, size) for size in shape)
        if (tables[name].dtype, tables[name].shape) != expected:
            raise ValueError(f"its table {name!r} does not fit the others")
    rows = {tensor.shape[:1] for tensor in blocks.values()}
    fits = all(len(t.shape) == 2 and _CODES[t.dtype.str] in _FLOATS for t in blocks.values())
    if not fits or len(rows) != 1:
        raise ValueError("its blocks do not fit each other")
    n_bytes = sum(tensor.stop - tensor.start for tensor in tables.values())
    if n_bytes > _MAX_TABLES:
        raise ValueError(f"its tables would take {n_bytes} bytes of memory")


def _digest(header):
    return hashlib.sha256(header).hexdigest()[:32]
