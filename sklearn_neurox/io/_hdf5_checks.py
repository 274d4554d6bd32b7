# SPDX-License-Identifier: BSD-3-Clause
"""Look at an HDF5 file before reading it: follow no link, believe no size that it does not hold."""

import contextlib
import math
import os

from sklearn_neurox.utils._files._foreign_files import (
    check_regular,
    gigabytes,
    json_kind,
    named_errors,
    parse_json,
)
from sklearn_neurox.utils._optional import require

INDEX = "sentence_to_index"
LAYERS = "sklearn_neurox_layers"
AGAIN = "Extract the activations again."
_WHAT = "a NeuroX file in HDF5"
# No filter that HDF5 comes with packs values more tightly (deflate: 1,032 to 1).
_MAX_RATIO = 1100
_MAX_DIGITS = 18


@contextlib.contextmanager
def open_checked(path):
    """Open a file in which every entry is a dataset of its own, stored in the file itself."""
    h5py = require("h5py", caller="read_neurox", extra="hdf5")
    check_regular(path, _WHAT)
    with named_errors(path, "is not a complete HDF5 file", AGAIN):
        file = h5py.File(path, "r")
    with file:
        yield file


def activations_of(file, name, path):
    """Return the dataset of a sentence; raise a ValueError if it is not plainly stored."""
    dataset = _dataset(file, name, path)
    where = f"{path}: sentence {name}"
    if (
        dataset.shape is None
        or len(dataset.shape) != 3
        or 0 in (dataset.shape[0], dataset.shape[2])
    ):
        raise ValueError(
            f"{where} has the shape {dataset.shape}; expected layers x words x neurons. {AGAIN}"
        )
    if dataset.dtype.kind not in "fiu":
        raise ValueError(f"{where} holds values of type {dataset.dtype}, not numbers. {AGAIN}")
    return dataset


def sentence_texts(file, path):
    """Return the stored words of each sentence by its number."""
    with named_errors(path, "cannot be listed", AGAIN):
        names = list(file)
    if INDEX not in names:
        raise ValueError(
            f"{path} has no dataset {INDEX!r}, so it is not a NeuroX file, or its writer was not "
            f"closed. It has {names[:5]}. {AGAIN}"
        )
    index_of = _index(file, path)
    texts = {int(index): text for text, index in index_of.items()}
    stored = set(names) - {INDEX}
    lacking = sorted({str(index) for index in texts} ^ stored)
    if lacking or not texts:
        which = f"; sentence {lacking[0]!r} is missing from one of the two" if lacking else ""
        raise ValueError(
            f"{path} lists {len(texts)} sentences but holds {len(stored)}{which}. {AGAIN}"
        )
    if len(texts) < len(index_of):
        raise ValueError(
            f"{path} lists {len(index_of)} sentences, but only {len(texts)} numbers: two sentences "
            f"share one. {AGAIN}"
        )
    return texts


def check_total(n_bytes, path):
    """Raise an error if entries share their storage, so that together they exceed the file."""
    size = os.path.getsize(path)
    if n_bytes > size:
        raise ValueError(
            f"{path} declares {gigabytes(n_bytes)} of values, but the file has {gigabytes(size)}. "
            f"It is damaged, or its entries are the same data. {AGAIN}"
        )


def stated_layers(file, path):
    """Return the numbers of the layers that `write_neurox` states, or None."""
    with named_errors(path, f"has an attribute {LAYERS!r} that is not a list of layers", AGAIN):
        if LAYERS not in file.attrs:
            return None
        found = file.attrs.get_id(LAYERS)
        if len(found.shape) != 1 or found.dtype.kind not in "iu":
            raise TypeError(f"its shape is {found.shape}, its type {found.dtype}")
        layers = file.attrs[LAYERS].tolist()
        if min(layers, default=-1) < 0 or len(set(layers)) < len(layers):
            raise ValueError(f"it is {layers}")
    return layers


def _dataset(file, name, path):
    """Return a dataset of the file; links, virtual datasets and external storage are refused."""
    from h5py import Dataset, h5d, h5l

    where = f"{path}: {name!r}"
    with named_errors(where, "cannot be read", AGAIN):
        kind = file.id.links.get_info(name.encode()).type
        link = None if kind == h5l.TYPE_HARD else file.get(name, getlink=True)
        dataset = file[name] if link is None else None
    if link is not None:
        target = getattr(link, "filename", None) or getattr(link, "path", "unknown")
        raise ValueError(
            f"{where} is a link to another {'file' if hasattr(link, 'filename') else 'entry'} "
            f"({target!r}). NeuroX writes no links, and they are not followed. {AGAIN}"
        )
    if not isinstance(dataset, Dataset):
        kind = type(dataset).__name__.lower()
        raise ValueError(f"{where} is a {kind}; NeuroX writes one dataset per sentence. {AGAIN}")
    with named_errors(where, "cannot be read", AGAIN):
        plan = dataset.id.get_create_plist()
        virtual, elsewhere = plan.get_layout() == h5d.VIRTUAL, plan.get_external_count() > 0
    if virtual or elsewhere:
        what = (
            "virtual dataset, whose values are elsewhere" if virtual else "dataset in other files"
        )
        raise ValueError(
            f"{where} is a {what}. NeuroX stores all values in the file itself, and no other file "
            f"is read. {AGAIN}"
        )
    with named_errors(where, "cannot be read", AGAIN):
        declared, held, complete = _sizes(dataset, plan)
    if declared > held * (_MAX_RATIO if plan.get_nfilters() else 1) or not complete:
        raise ValueError(
            f"{where} declares {gigabytes(declared)} of values, but the file has only "
            f"{gigabytes(held)} for them. It is damaged, or was never filled. {AGAIN}"
        )
    return dataset


def _sizes(dataset, plan):
    """Return the declared and the stored size of a dataset, and whether every chunk is stored."""
    from h5py import h5d

    held, declared = dataset.id.get_storage_size(), dataset.nbytes
    if plan.get_layout() != h5d.CHUNKED or not declared:
        return declared, held, True
    chunk = plan.get_chunk()
    n_chunks = math.prod(-(-size // side) for size, side in zip(dataset.shape, chunk, strict=True))
    # A chunk is read as a whole, however few of its values are asked for.
    declared = max(declared, dataset.dtype.itemsize * math.prod(chunk))
    return declared, held, dataset.id.get_num_chunks() == n_chunks


def _index(file, path):
    """Return the number of each sentence, as text, by the sentence."""
    dataset = _dataset(file, INDEX, path)
    where = f"{path}: {INDEX!r}"
    with named_errors(where, "is not one string", AGAIN):
        if dataset.shape not in ((1,), ()) or dataset.dtype.kind not in "OS":
            raise TypeError(f"its shape is {dataset.shape}, its type {dataset.dtype}")
        text = dataset[0] if dataset.shape else dataset[()]
        if not isinstance(text, (bytes, str)):
            raise TypeError(f"it holds a {type(text).__name__}")
    index_of = parse_json(text, where, AGAIN)
    if not isinstance(index_of, dict):
        raise ValueError(
            f"{where} holds {json_kind(index_of)}, not an object that maps every sentence to "
            f"its number. {AGAIN}"
        )
    for text, index in index_of.items():
        number = str(index) if type(index) in (int, str) else ""
        if not (number.isascii() and number.isdigit()) or len(number) > _MAX_DIGITS:
            raise ValueError(
                f"{where} gives the sentence {text[:40]!r} the number {index!r:.40}; NeuroX "
                f"counts from 0. {AGAIN}"
            )
    return index_of
