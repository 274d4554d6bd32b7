# SPDX-License-Identifier: BSD-3-Clause
"""Activations saved for NeuroX by OpenNMT-py extraction scripts, without their words."""

import io
import os
import pickle
import zipfile

import numpy as np

from sklearn_neurox.io._json import RESCALE, narrow, neuron_name
from sklearn_neurox.utils._files._foreign_files import check_regular, gigabytes, named_errors
from sklearn_neurox.utils._underflow import Underflow, warn_about_zeros

_WHAT = "a .pt file with a list of sentences, each a list of words, each a list of tensors"
_AGAIN = "Save the activations again with torch.save, as lists of tensors."
# The number that files of torch before 1.6 begin with.
_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
_ITEM_SIZES = {"Double": 8, "Float": 4, "Half": 2, "BFloat16": 2}


def read_pt(path, dtype):
    """Read a list of sentences, each a list of words, each a list with one tensor per layer.

    Only tensors and plain containers are unpickled. Return one array of shape (n_words, n_layers,
    n_units) per sentence.
    """
    check_regular(path, _WHAT)
    if zipfile.is_zipfile(path):
        _check_archive(path)
    stored = _load(path)
    if not isinstance(stored, (list, tuple)):
        raise ValueError(f"{path} holds a {type(stored).__name__}; it should be {_WHAT}. {_AGAIN}")
    _check_sizes(path, stored)
    values, underflow = [], None
    for i, sentence in enumerate(stored):
        where = f"{path}: sentence {i}"
        with named_errors(
            where, "is not a list of words that are lists of equally long tensors", _AGAIN
        ):
            array = _stacked(sentence)
        if array.ndim != 3 or (values and array.shape[1:] != values[0].shape[1:]):
            raise ValueError(
                f"{path}: the layers of sentence {i} differ in size from those of the first. "
                f"{_AGAIN}"
            )
        if underflow is None:
            underflow = Underflow(array.shape[1] * array.shape[2])
        values.append(narrow(array, dtype, where, underflow))
    if not values:
        raise ValueError(f"{path} holds no sentences. {_AGAIN}")
    name = neuron_name(range(array.shape[1]), array.shape[2])
    warn_about_zeros([(underflow, name)], dtype, path, RESCALE)
    return values


def _load(path):
    import torch

    with open(path, "rb") as file:
        start = file.read(32)
    if not start.startswith(b"PK") and _MAGIC not in start:
        raise ValueError(f"{path} is not a file of torch; it should be {_WHAT}. {_AGAIN}")
    try:
        with named_errors(
            path, "is damaged, or not a file of torch", _AGAIN, unless=pickle.UnpicklingError
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than lists of tensors, and loading that could run code. If you "
            "trust the file, load it yourself and save it again as lists of tensors."
        ) from error


def _stacked(sentence):
    """Return the values of one sentence as words x layers x neurons."""
    import torch

    if not isinstance(sentence, (list, tuple)):
        raise TypeError(f"it is a {type(sentence).__name__}")
    words = [torch.stack(list(word)) for word in sentence]
    if not all(word.is_floating_point() for word in words):
        raise TypeError("the values are not floating-point numbers")
    kept = {torch.float64: torch.float64}
    return np.stack([word.to(kept.get(word.dtype, torch.float32)).numpy() for word in words])


def _check_sizes(path, stored):
    """Raise an error if the tensors are larger than the file, as overlapping views can be."""
    n_bytes, seen, n_items, size = 0, [stored], 0, os.path.getsize(path)
    while seen:
        each = seen.pop()
        if isinstance(each, (list, tuple)):
            # Lists that hold each other, or themselves, have more items than their pickle bytes.
            n_items += len(each)
            if n_items > size:
                raise ValueError(
                    f"{path} declares over {size:,} items, but the file has {size:,} bytes, so it "
                    f"is damaged or crafted. {_AGAIN}"
                )
            seen.extend(each)
        elif hasattr(each, "element_size"):
            n_bytes += each.numel() * each.element_size()
    _check_total(path, n_bytes)


def _check_total(path, n_bytes):
    size = os.path.getsize(path)
    if n_bytes > size:
        raise ValueError(
            f"{path} declares {gigabytes(n_bytes)} of values, but the file has "
            f"{gigabytes(size)}, so it is damaged or crafted. {_AGAIN}"
        )


def _check_archive(path):
    """Compare what an archive of torch declares with what it holds, before torch allocates it."""
    with (
        named_errors(path, "is a damaged archive", _AGAIN),
        zipfile.ZipFile(path) as archive,
    ):
        records = {record.filename: record for record in archive.infolist()}
        total = sum(record.file_size for record in archive.infolist())
        packed = any(record.compress_type != zipfile.ZIP_STORED for record in records.values())
        if packed or len(records) < len(archive.infolist()):
            raise ValueError("torch neither compresses nor repeats records")
        name = next((name for name in records if name.endswith("/data.pkl")), None)
        folder = "" if name is None else name.removesuffix("data.pkl")
        sizes = {
            key.removeprefix(f"{folder}data/"): record.file_size for key, record in records.items()
        }
        if name is not None and total <= os.path.getsize(path):
            # In Python, since the C version allocates whatever a pickle asks for.
            _Sizes(io.BytesIO(archive.read(name)), sizes).load()
    _check_total(path, total)


class _Inert:
    """Stands for everything that a pickle names; nothing of it is imported or called."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args):
        return self

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass


class _Sizes(pickle._Unpickler):
    """Reads a pickle without making anything of it, to compare the sizes of the storages."""

    def __init__(self, file, sizes):
        super().__init__(file)
        self.sizes = sizes

    def find_class(self, module, name):
        kind = name.removesuffix("Storage")
        return _ITEM_SIZES.get(kind, 1) if module == "torch" and kind != name else _Inert

    def persistent_load(self, saved):
        _, item_size, key, _, numel = saved
        if not 0 <= numel * item_size <= self.sizes.get(str(key), -1):
            raise ValueError(f"tensor {key} declares {numel:,} values, more than the file holds")
        return _Inert()
