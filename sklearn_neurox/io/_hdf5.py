# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX's HDF5 files: a dataset of layers x words x neurons a sentence, read when needed."""

import json
import os
import re
from dataclasses import dataclass, replace

import numpy as np

from sklearn_neurox.extraction._run._numpy_pooling import NumpyPooler
from sklearn_neurox.utils._names import neuron_names
from sklearn_neurox.utils._optional import require

_INDEX = "sentence_to_index"
# Words are read in batches of this many, which bounds the memory beyond the result.
_BATCH_WORDS = 1024


@dataclass(frozen=True)
class HDF5Source:
    """Sentences of one or several HDF5 files, in the form `Activations` draws from."""

    blocks: tuple  # of (layer, path, place of the layer in that file)
    datasets: np.ndarray  # the dataset of each sentence
    lengths: np.ndarray
    n_units: int

    @property
    def block_widths(self):
        """How many neurons each block has: one block a layer."""
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
        pooler = NumpyPooler(parts, out, lambda: self.feature_names)
        ends, n = np.cumsum(self.lengths), self.n_units
        cuts = np.flatnonzero(np.diff(ends // _BATCH_WORDS)) + 1
        for batch in np.split(np.arange(len(ends)), cuts):
            if len(batch) == 0:  # no sentence was asked for
                continue
            lengths = self.lengths[batch]
            found = parts.of_batch(batch, np.cumsum(lengths) - lengths)
            for path in dict.fromkeys(path for _, path, _ in self.blocks):
                inside = {b: p for b, (_, own, p) in enumerate(self.blocks) if own == path}
                low, high = min(inside.values()), max(inside.values()) + 1
                values = self._read(path, batch, low, high)
                pooler.add(found, [
                    (slice(block * n, (block + 1) * n), values[place - low])
                    for block, place in inside.items()
                ])  # fmt: skip
        pooler.finish()

    def _read(self, path, batch, low, high):
        """Read a run of layers of some sentences, as layers x words x neurons."""
        ends = np.cumsum(self.lengths[batch]).tolist()
        values = np.empty((high - low, ends[-1], self.n_units), dtype=np.float32)
        with _open(path) as file:
            for start, end, name in zip([0, *ends], ends, self.datasets[batch], strict=False):
                values[:, start:end] = file[name][low:high]
        return values


def open_hdf5(path):
    """Read the words of an HDF5 file of NeuroX's, and how its sentences are laid out.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    indices : list of int
        The numbers of the sentences, ascending.

    words : list of list of str
        Their words, as stored.

    shape : tuple of int
        Layers and neurons a layer.
    """
    with _open(path) as file:
        texts = _sentence_texts(file, path)
        indices = sorted(texts)
        shapes = [file[str(index)].shape for index in indices]
    for index, shape in zip(indices, shapes, strict=True):
        if len(shape) != 3 or (shape[0], shape[2]) != (shapes[0][0], shapes[0][-1]):
            raise ValueError(
                f"{path}: sentence {index} has the shape {shape}, where layers x words x neurons "
                f"was expected and sentence {indices[0]} has {shapes[0]}."
            )
    words = [
        _split(texts[index], shape[1], path, index)
        for index, shape in zip(indices, shapes, strict=True)
    ]
    return indices, words, (shapes[0][0], shapes[0][2])


def write_hdf5(path, sentences, blocks, dtype):
    """Write sentences as NeuroX's HDF5 writer does.

    Parameters
    ----------
    path : str
        The file, overwritten.

    sentences : list of list of str
        Their words.

    blocks : iterable of ndarray of shape (n_layers, n_words, n_units)
        Their activations.

    dtype : str
        Of the values.
    """
    h5py = require("h5py", caller="write_neurox", extra="hdf5")
    index_of = {}
    repeats = {}
    with h5py.File(path, "w") as file:
        for i, (words, values) in enumerate(zip(sentences, blocks, strict=True)):
            file.create_dataset(str(i), data=values, dtype=dtype)
            index_of[_distinct(" ".join(words), index_of, repeats)] = str(i)
        text = file.create_dataset(_INDEX, (1,), dtype=h5py.string_dtype())
        text[0] = json.dumps(index_of)


def _distinct(text, taken, repeats):
    """Tell a repeated sentence from the earlier one, as NeuroX does."""
    key = text
    while key in taken:
        repeats[text] = repeats.get(text, 1) + 1
        key = f"{text} (Occurrence {repeats[text]})"
    return key


def _open(path):
    h5py = require("h5py", caller="read_neurox", extra="hdf5")
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{os.fspath(path)} is not a whole HDF5 file: {error}.") from error


def _sentence_texts(file, path):
    """Return the stored words of each sentence by its number."""
    if _INDEX not in file:
        raise ValueError(
            f"{path} has no dataset {_INDEX!r}, so it is not a file of NeuroX's, or one whose "
            f"writer was not closed. It has {list(file)[:5]}."
        )
    index_of = json.loads(file[_INDEX][0])
    texts = {int(index): text for text, index in index_of.items()}
    stored = {name for name in file if name != _INDEX}
    lacking = sorted({str(index) for index in texts} ^ stored)
    if lacking or not texts:
        raise ValueError(
            f"{path} names {len(texts)} sentences and holds {len(stored)}"
            + (f"; sentence {lacking[0]!r} is in one place only." if lacking else ".")
        )
    return texts


def _split(text, n_words, path, index):
    """Part the words of a sentence; its number of words tells a mark of repetition from words."""
    words = text.split(" ")
    if len(words) == n_words + 2 and re.search(r" \(Occurrence \d+\)$", text):
        words = words[:-2]
    if len(words) != n_words:
        raise ValueError(
            f"{path}: sentence {index} has the activations of {n_words} words, but names "
            f"{len(words)}: {text[:60]!r}."
        )
    return words
