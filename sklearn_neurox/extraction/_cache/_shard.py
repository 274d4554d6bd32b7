# SPDX-License-Identifier: BSD-3-Clause
"""One file of a cache: safetensors, mapped into memory, with checksums for every byte.

The name of a file is a digest of its header. The header names the fingerprint, and so the folder
that the file belongs to, and holds checksums of the small tables; one of these tables holds a
checksum of every text's states in every block. So truncated, corrupted or foreign data is detected
on reading, and reading a few rows touches only a few pages.
"""

import errno
import mmap
import os
import zlib

import numpy as np

from sklearn_neurox.extraction._cache._cache_folder import first_bytes
from sklearn_neurox.extraction._cache._shard_header import TABLE, read_header, write_header
from sklearn_neurox.utils._files._foreign_files import (
    NotRegularError,
    descriptor_of_regular,
    open_regular,
)
from sklearn_neurox.utils._files._output_files import write_whole

_MALFORMED = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


class DamagedShardError(ValueError):
    """A file of a cache is gone, does not hold what was written, or was not written by a cache."""

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    @property
    def is_proven(self):
        """Whether the file was read and is wrong; if it could not be read, it may be intact."""
        return not isinstance(self.__cause__, OSError)


def write_shard(folder, entries, states, *, facts, note=""):
    """Write one file under a temporary name, rename it when it is complete, and return its path.

    Parameters
    ----------
    folder : Path
        An existing folder, whose name is the fingerprint.

    entries : Entries
        The texts, or windows of texts, of these states.

    states : dict of str to ndarray of shape (n_tokens, n_units)
        The states of each block.

    facts : Facts
        The properties of the model and the tokenizer that a reader needs.

    note : str, default=""
        Anything special about the run.
    """
    tables = entries.tables()
    ptr = tables["ptr"]
    tables["checksum"] = np.array(
        [_row_checksums(values, ptr) for values in states.values()], dtype=np.uint32
    ).reshape(len(states), len(ptr) - 1)
    tensors = {TABLE + name: table for name, table in tables.items() if table.itemsize > 1}
    tensors |= states
    tensors |= {TABLE + name: table for name, table in tables.items() if table.itemsize == 1}
    tensors = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    checks = {name: zlib.crc32(tensors[TABLE + name].data) for name in tables}
    while True:
        header, name = write_header(
            tensors, fingerprint=folder.name, facts=facts, checks=checks, note=note
        )
        path = folder / name
        if not os.path.lexists(path) or path.is_file() and not path.is_symlink():
            break
        note += " (its first name was taken)"  # by a folder or a link, which we must not replace

    def write(scratch):
        with open(scratch, "xb") as file:
            file.write(header)
            for values in tensors.values():
                file.write(values.data)
            file.flush()
            _flush_to_disk(file.fileno())

    write_whole(path, write, own=True)
    return path


def _flush_to_disk(descriptor):
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and user-space drives cannot. Checksums find what a power cut damages there.
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise


def _row_checksums(values, ptr):
    values = np.ascontiguousarray(values)
    return [zlib.crc32(values[a:b].data) for a, b in zip(ptr[:-1], ptr[1:], strict=True)]


def entry_keys(key, window, limit):
    """Join the digest of each text, the number of its window and the limit of tokens into bytes.

    The limit is 0 for a text that is in one piece, whatever the limit was.
    """
    numbers = np.stack([window, limit], axis=1).astype("<i4").view(np.uint8).reshape(len(key), 8)
    joined = np.ascontiguousarray(np.hstack([key, numbers]))
    raw, width = joined.tobytes(), joined.shape[1]
    return [raw[i : i + width] for i in range(0, len(raw), width)]


class Shard:
    """An opened file: its tables are in memory, its states are mapped while they are used.

    Raises a DamagedShardError if it is not a complete file of this format under its own name, in
    the folder of its fingerprint.
    """

    def __init__(self, path):
        self.path = path
        try:
            with open_regular(path) as file:
                self.n_bytes = os.fstat(file.fileno()).st_size
                self._header = read_header(file, self.n_bytes, path)
                self.tables = self._read_tables(file)
            self._check_tables()
        except _MALFORMED as error:
            raise DamagedShardError(path, str(error) or type(error).__name__) from error
        self.facts, self.note = self._header.facts, self._header.note
        self.blocks = list(self._header.blocks)
        self.ptr = self.tables["ptr"]
        self.keys = entry_keys(*(self.tables[name] for name in ("key", "window", "limit")))
        self._checked = np.zeros(self.tables["checksum"].shape, dtype=bool)

    def _read_tables(self, file):
        tables = {}
        for name, tensor in self._header.tables.items():
            file.seek(tensor.start)
            raw = file.read(tensor.stop - tensor.start)
            if zlib.crc32(raw) != self._header.checks[name]:
                raise ValueError(f"the checksum of its table {name!r} does not match")
            tables[name] = tensor.view(raw)
        return tables

    def _check_tables(self):
        n_rows = next(iter(self._header.blocks.values())).shape[0]
        for name, total in (("ptr", n_rows), ("token_ptr", len(self.tables["role"]))):
            ptr = self.tables[name]
            if ptr[0] != 0 or ptr[-1] != total or (np.diff(ptr) < 0).any():
                raise ValueError(f"its table {name!r} does not fit the others")
        window, of, limit = (self.tables[name] for name in ("window", "n_windows", "limit"))
        # No window is without a token of the text, except in a text that has none.
        most = np.where(window == 0, np.maximum(np.diff(self.tables["token_ptr"]), 1), of)
        if not ((0 <= window) & (window < of) & (of <= most) & ((limit > 0) == (of > 1))).all():
            raise ValueError("its tables of windows do not fit the others")

    def __len__(self):
        return len(self.tables["key"])

    def states(self, blocks, entries=None):
        """Map the states of some blocks, each as a read-only array of shape (n_tokens, n_units).

        The file is open as long as these arrays exist. Raises a DamagedShardError if the states of
        the given entries (None for all) do not match their checksums.
        """
        entries = np.arange(len(self)) if entries is None else np.unique(entries)
        raw = self._map()
        return [self._checked_states(raw, block, entries) for block in blocks]

    def _map(self):
        header = self._header.raw
        try:
            descriptor = descriptor_of_regular(self.path)
            try:
                n_bytes = os.fstat(descriptor).st_size
                raw = mmap.mmap(descriptor, n_bytes, access=mmap.ACCESS_READ)
            finally:
                os.close(descriptor)
            if n_bytes != self.n_bytes or raw[8 : 8 + len(header)] != header:
                raise ValueError(f"it has changed, and has {n_bytes} bytes now")
            return memoryview(raw)
        except (OSError, ValueError) as error:
            raise DamagedShardError(self.path, str(error)) from error

    def _checked_states(self, raw, block, entries):
        tensor = self._header.blocks[block]
        states = tensor.view(raw[tensor.start : tensor.stop])
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


def advice_about(error):
    """Return the consequence of a file that cannot be used, and what to do about it."""
    path, reason = error.path, error.reason
    if isinstance(error.__cause__, NotRegularError):
        return (
            f"The cache passes over {path}: {reason}. ActivationCache has not written it, so "
            "prune() leaves it. Move or delete it yourself."
        )
    if isinstance(error.__cause__, OSError):
        return (
            f"The cache shard {path} cannot be read ({error.__cause__.strerror}); its activations "
            "are computed again."
        )
    try:
        with open_regular(path) as file:
            start = file.read(4096)[8:]
    except (OSError, NotRegularError):
        start = b""
    is_ours = start.startswith(first_bytes(path.parent.name))
    remedy = "ActivationCache.prune() removes it if it was not replaced."
    if not is_ours:
        remedy = (
            "It does not begin like a shard of this folder, so ActivationCache.prune() leaves it. "
            "Move or delete it yourself if it was not replaced."
        )
    return (
        f"The cache shard {path} is damaged ({reason}); its activations are computed again. "
        f"{remedy}"
    )
