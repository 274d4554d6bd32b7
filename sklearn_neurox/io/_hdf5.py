# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX's HDF5 files: one dataset of layers x words x neurons per sentence, read when needed."""

import json
import re
from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._model._stamps import stamp
from sklearn_neurox.extraction._run._numpy_pooling import NumpyPooler
from sklearn_neurox.io._hdf5_checks import (
    AGAIN,
    INDEX,
    LAYERS,
    activations_of,
    check_total,
    open_checked,
    sentence_texts,
    stated_layers,
)
from sklearn_neurox.io._json import RESCALE, narrow, neuron_name
from sklearn_neurox.io._not_finite import NotFinite
from sklearn_neurox.io._unfailing_file import open_unfailing
from sklearn_neurox.utils._files._foreign_files import named_errors
from sklearn_neurox.utils._names import neuron_names
from sklearn_neurox.utils._optional import require
from sklearn_neurox.utils._pickling import pickled_for
from sklearn_neurox.utils._underflow import Underflow, warn_about_zeros

# Reading in batches of this many words bounds the memory used in addition to the result.
_BATCH_WORDS = 1024


@dataclass(frozen=True)
class HDF5Source:
    """Sentences in one or several HDF5 files, as a source of `Activations`."""

    blocks: tuple  # of (layer, path, position of the layer in that file)
    datasets: np.ndarray  # the name of the dataset of each sentence
    lengths: np.ndarray
    n_units: int
    stamps: dict | None  # of each file, when it was opened first

    def __getstate__(self):
        # Only a hash needs the stamps, to tell a replaced file from the old one. On another
        # machine, the same file has another stamp.
        return vars(self) if pickled_for() == "hash" else vars(self) | {"stamps": None}

    @property
    def block_widths(self):
        """The number of neurons in each block; a block is a layer."""
        return (self.n_units,) * len(self.blocks)

    @property
    def feature_names(self):
        """The names of the neurons."""
        return neuron_names([layer for layer, _, _ in self.blocks], self.n_units)

    def take(self, which):
        """Keep some sentences."""
        return replace(self, datasets=self.datasets[which], lengths=self.lengths[which])

    def pool(self, parts, out):
        """Read the values batch by batch, and pool them into the rows of a matrix."""
        pooler = NumpyPooler(parts, out)
        ends, n = np.cumsum(self.lengths), self.n_units
        cuts = np.flatnonzero(np.diff(ends // _BATCH_WORDS)) + 1
        problems = NotFinite()
        paths = dict.fromkeys(path for _, path, _ in self.blocks)
        files = [_File(path, self.blocks, n) for path in paths]
        for batch in np.split(np.arange(len(ends)), cuts):
            if len(batch) == 0:  # no sentence was requested
                continue
            lengths = self.lengths[batch]
            found = parts.of_batch(batch, np.cumsum(lengths) - lengths)
            for file in files:
                values = self._read(file, batch, problems)
                pooler.add(found, [
                    (slice(block * n, (block + 1) * n), values[place - file.low])
                    for block, place in file.inside.items()
                ])  # fmt: skip
        pooler.finish()
        problems.warn()
        for file in files:
            file.warn()

    def _read(self, file, batch, problems):
        """Read consecutive layers of some sentences, as layers x words x neurons."""
        ends = np.cumsum(self.lengths[batch]).tolist()
        path, low, high = file.path, file.low, file.high
        values = np.empty((high - low, ends[-1], self.n_units), dtype=np.float32)
        if self.stamps is not None and stamp(path) != self.stamps[path]:
            raise ValueError(
                f"{path} has changed since read_neurox read it, or was replaced by another file. "
                "Call read_neurox again."
            )
        with open_checked(path) as content:
            for start, end, name in zip([0, *ends], ends, self.datasets[batch], strict=False):
                # The file may have been replaced since it was looked at.
                dataset = activations_of(content, name, path)
                if dataset.shape[1:] != (end - start, self.n_units) or dataset.shape[0] < high:
                    raise ValueError(
                        f"{path}: sentence {name} has the shape {dataset.shape}, and had another "
                        "when read_neurox read the file. Call read_neurox again."
                    )
                where = f"{path}: sentence {name}"
                with named_errors(where, "cannot be read", AGAIN):
                    stored = dataset[low:high]
                rows = narrow(stored.swapaxes(0, 1), "float32", where, file.underflow)
                values[:, start:end] = rows.swapaxes(0, 1)
                problems.look(values[:, start:end], where)
        return values


class _File:
    """The layers to read from one file: consecutive ones, of which some may not be asked for."""

    def __init__(self, path, blocks, n_units):
        self.path, self.n_units = path, n_units
        self.inside = {b: place for b, (_, own, place) in enumerate(blocks) if own == path}
        self.low, self.high = min(self.inside.values()), max(self.inside.values()) + 1
        self.layers = {place: layer for layer, own, place in blocks if own == path}
        self.underflow = Underflow((self.high - self.low) * n_units)

    def warn(self):
        """Warn about neurons that became zero, in the layers that are asked for."""
        layers = [self.layers.get(place) for place in range(self.low, self.high)]
        for i, layer in enumerate(layers):
            if layer is None:
                self.underflow.largest[i * self.n_units : (i + 1) * self.n_units] = 0
        found = [(self.underflow, neuron_name(layers, self.n_units))]
        warn_about_zeros(found, "float32", self.path, RESCALE)


def open_hdf5(path):
    """Read the words of a NeuroX HDF5 file and the layout of its sentences.

    Returns
    -------
    indices : list of int
        The numbers of the sentences, ascending.

    words : list of list of str
        The words of each sentence, as stored.

    shape : tuple of int
        The number of layers, and of neurons per layer.

    layers : list of int or None
        The numbers of the layers, if the file states them.
    """
    with open_checked(path) as file:
        texts = sentence_texts(file, path)
        indices = sorted(texts)
        datasets = (activations_of(file, str(index), path) for index in indices)
        looks = [(each.shape, each.id.get_storage_size()) for each in datasets]
        layers = stated_layers(file, path)
    shapes = [shape for shape, _ in looks]
    check_total(sum(size for _, size in looks), path)
    for index, shape in zip(indices, shapes, strict=True):
        if (shape[0], shape[2]) != (shapes[0][0], shapes[0][2]):
            raise ValueError(
                f"{path}: sentence {index} has the shape {shape}; expected layers x words x "
                f"neurons, with the layers and neurons of sentence {indices[0]}, which has the "
                f"shape {shapes[0]}."
            )
    if layers is not None and len(layers) != shapes[0][0]:
        raise ValueError(
            f"{path} states the layers {layers}, but holds {shapes[0][0]} layers. {AGAIN}"
        )
    words = [
        _split(texts[index], shape[1], path, index)
        for index, shape in zip(indices, shapes, strict=True)
    ]
    return indices, words, (shapes[0][0], shapes[0][2]), layers


def write_hdf5(path, sentences, blocks, dtype, layers):
    """Write sentences, each with its (n_layers, n_words, n_units) activations, as NeuroX does.

    An attribute, which NeuroX does not read, states the numbers of the layers.
    """
    h5py = require("h5py", caller="write_neurox", extra="hdf5")
    index_of, repeats = {}, {}
    with open_unfailing(path) as raw, h5py.File(raw, "w") as file:
        for i, (words, values) in enumerate(zip(sentences, blocks, strict=True)):
            file.create_dataset(str(i), data=values, dtype=dtype)
            index_of[_distinct(" ".join(words), index_of, repeats)] = str(i)
        text = file.create_dataset(INDEX, (1,), dtype=h5py.string_dtype())
        text[0] = json.dumps(index_of)
        file.attrs[LAYERS] = np.array(layers, dtype=np.int64)


def _distinct(text, taken, repeats):
    """Distinguish a repeated sentence from earlier ones, as NeuroX does."""
    key = text
    while key in taken:
        repeats[text] = repeats.get(text, 1) + 1
        key = f"{text} (Occurrence {repeats[text]})"
    return key


def _split(text, n_words, path, index):
    """Split a sentence into words, minus NeuroX's mark of repetition, which ``n_words`` reveals."""
    words = text.split(" ")
    if len(words) == n_words + 2 and re.search(r" \(Occurrence \d+\)$", text):
        words = words[:-2]
    if len(words) != n_words:
        raise ValueError(
            f"{path}: sentence {index} has activations for {n_words} words, but its text has "
            f"{len(words)}: {text[:60]!r}. {AGAIN}"
        )
    return words
