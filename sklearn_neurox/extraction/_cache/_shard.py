# SPDX-License-Identifier: BSD-3-Clause
"""One file of a cache: safetensors, mapped into memory, with checksums for every byte.

The name of a file is a digest of its header. The header holds checksums of the small tables, and
one of these tables holds a checksum of every text's states in every block. So truncated, corrupted
or foreign data is detected on reading, and reading a few rows touches only a few pages.
"""

import hashlib
import json
import os
import threading
import zlib
from collections import OrderedDict

import numpy as np

from sklearn_neurox.utils._output_files import write_whole

FORMAT = "sklearn-neurox 3"
SUFFIX = ".safetensors"
KEY_BYTES = 16
# Each map holds a file descriptor, and a process may have only about a thousand.
_MAX_MAPS = 128
_MAX_HEADER = 100 << 20
_ALIGNMENT = 64

_CODES = {"<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<u4": "U32", "|u1": "U8"}
_DTYPES = {code: np.dtype(name) for name, code in _CODES.items()}
_TABLE = "table."

_maps: OrderedDict = OrderedDict()
_maps_lock = threading.Lock()


class DamagedShardError(ValueError):
    """A file of a cache is gone, or does not hold what was written."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason


def write_shard(folder, entries, states, *, metadata, note=""):
    """Write one file under a temporary name, rename it when it is complete, and return its path.

    Parameters
    ----------
    folder : Path
        An existing folder.

    entries : Entries
        The texts, or windows of texts, of these states.

    states : dict of str to ndarray of shape (n_tokens, n_units)
        The states of each block.

    metadata : dict
        The properties of the model and the tokenizer that a reader needs.

    note : str, default=""
        Anything special about the run.
    """
    tables = entries.tables()
    ptr = tables["ptr"]
    tables["checksum"] = np.array(
        [_row_checksums(values, ptr) for values in states.values()], dtype=np.uint32
    ).reshape(len(states), len(ptr) - 1)
    tensors = {_TABLE + name: table for name, table in tables.items() if table.itemsize > 1}
    tensors |= states
    tensors |= {_TABLE + name: table for name, table in tables.items() if table.itemsize == 1}
    tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    checks = {name: zlib.crc32(tensors[_TABLE + name].data) for name in tables}
    metadata = {
        "format": FORMAT,
        "facts": json.dumps(metadata, sort_keys=True),
        "checks": json.dumps(checks, sort_keys=True),
        "note": note,
    }
    header = _header(tensors, metadata)
    path = folder / (_digest(header) + SUFFIX)

    def write(name):
        with open(name, "xb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for values in tensors.values():
                file.write(values.data)
            file.flush()
            os.fsync(file.fileno())

    write_whole(path, write)
    return path


def _header(tensors, metadata):
    header, offset = {"__metadata__": metadata}, 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": _CODES[values.dtype.newbyteorder("<").str],
            "shape": list(values.shape),
            "data_offsets": [offset, offset + values.nbytes],
        }
        offset += values.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    return text + b" " * (-(len(text) + 8) % _ALIGNMENT)


def _digest(header):
    return hashlib.sha256(header).hexdigest()[:32]


def _row_checksums(values, ptr):
    values = np.ascontiguousarray(values)
    return [zlib.crc32(values[a:b].data) for a, b in zip(ptr[:-1], ptr[1:], strict=True)]


def entry_keys(key, window):
    """Join the digest of each text and the number of its window into a key of bytes."""
    numbers = np.ascontiguousarray(window, dtype="<i4").view(np.uint8).reshape(len(key), 4)
    joined = np.ascontiguousarray(np.hstack([key, numbers]))
    raw, width = joined.tobytes(), joined.shape[1]
    return [raw[i : i + width] for i in range(0, len(raw), width)]


class Shard:
    """An opened file: its tables are in memory, its states are mapped on demand.

    Raises a DamagedShardError if it is not a complete file of this format under its own name.
    """

    def __init__(self, path):
        self.path = path
        try:
            with open(path, "rb") as file:
                self.n_bytes = os.fstat(file.fileno()).st_size
                self._read_header(file)
                self.tables = self._read_tables(file)
            self.ptr = self.tables["ptr"]
            self.keys = entry_keys(self.tables["key"], self.tables["window"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedShardError(path, str(error) or type(error).__name__) from error
        self._checked = np.zeros(self.tables["checksum"].shape, dtype=bool)

    def _read_header(self, file):
        size = int.from_bytes(file.read(8), "little")
        if self.n_bytes < 8 or size > min(_MAX_HEADER, self.n_bytes - 8):
            raise ValueError("it is truncated, or not a safetensors file")
        raw = file.read(size)
        if _digest(raw) != self.path.stem:
            raise ValueError("its name does not match its header: it was renamed or changed")
        self._start = 8 + size
        header = json.loads(raw)
        metadata = header.pop("__metadata__")
        if metadata["format"] != FORMAT:
            raise ValueError(f"its format is {metadata['format']!r}, not {FORMAT!r}")
        self.metadata, self.note = json.loads(metadata["facts"]), metadata["note"]
        self._checks = json.loads(metadata["checks"])
        self._tensors = header
        end = max(tensor["data_offsets"][1] for tensor in header.values())
        if self.n_bytes != self._start + end:
            raise ValueError(f"it has {self.n_bytes} bytes, not {self._start + end}")
        self.blocks = [name for name in header if not name.startswith(_TABLE)]

    def _read_tables(self, file):
        tables = {}
        for name, checksum in self._checks.items():
            tensor = self._tensors[_TABLE + name]
            low, high = tensor["data_offsets"]
            file.seek(self._start + low)
            raw = file.read(high - low)
            if zlib.crc32(raw) != checksum:
                raise ValueError(f"the checksum of its table {name!r} does not match")
            values = np.frombuffer(raw, dtype=_DTYPES[tensor["dtype"]])
            tables[name] = values.reshape(tensor["shape"])
        return tables

    def __len__(self):
        return len(self.tables["key"])

    def states(self, blocks, entries=None):
        """Map the states of some blocks, each as a read-only array of shape (n_tokens, n_units).

        Raises a DamagedShardError if the states of the given entries (None for all) do not match
        their checksums.
        """
        entries = np.arange(len(self)) if entries is None else np.unique(entries)
        raw = _mapped(self)
        return [self._checked_states(raw, block, entries) for block in blocks]

    def _checked_states(self, raw, block, entries):
        tensor = self._tensors[block]
        low, high = (self._start + offset for offset in tensor["data_offsets"])
        states = raw[low:high].view(_DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
        place = self.blocks.index(block)
        expected = self.tables["checksum"][place]
        for entry in entries[~self._checked[place, entries]].tolist():
            rows = states[self.ptr[entry] : self.ptr[entry + 1]]
            if zlib.crc32(rows.data) != expected[entry]:
                raise DamagedShardError(
                    self.path, f"the checksum of its text {entry} in {block} does not match"
                )
            self._checked[place, entry] = True
        return states


def _mapped(shard):
    with _maps_lock:
        if shard not in _maps:
            try:
                _maps[shard] = np.memmap(shard.path, dtype=np.uint8, mode="r")
            except (OSError, ValueError) as error:
                raise DamagedShardError(shard.path, str(error)) from error
            if len(_maps[shard]) != shard.n_bytes:
                raise DamagedShardError(shard.path, f"it now has {len(_maps.pop(shard))} bytes")
        _maps.move_to_end(shard)
        while len(_maps) > _MAX_MAPS:
            _maps.popitem(last=False)
        return _maps[shard].view(np.ndarray)
