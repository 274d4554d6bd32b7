# SPDX-License-Identifier: BSD-3-Clause
import os
import re
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.extraction._activations import Activations
from sklearn_neurox.extraction._model._stamps import stamp
from sklearn_neurox.extraction._run._array_source import ArraySource
from sklearn_neurox.io._hdf5 import HDF5Source, open_hdf5
from sklearn_neurox.io._json import read_json
from sklearn_neurox.io._not_finite import NotFinite
from sklearn_neurox.io._pt import read_pt
from sklearn_neurox.io._sentences import check_positions, check_spelling, match_sentences
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.utils._names import neuron_names
from sklearn_neurox.utils._ragged import pointers
from sklearn_neurox.words._frame import words_frame

_REFUSED = {
    ".acts": "it is a pickle, and loading a pickle can run arbitrary code",
    ".t7": "it is a Lua Torch file, which torch has not supported since 1.0",
}


_LAYER_IN_NAME = r"-layer([0-9]+)$"
_LIST_STORED = "list the layers that it holds as stored_layers=."


class _Content(NamedTuple):
    """The contents of one file, except its values."""

    file: Path
    indices: list  # the numbers of the sentences
    words: list | None
    lengths: list
    n_units: int


@validate_params(
    {
        "path": [str, os.PathLike],
        "words": "no_validation",  # may be a table of any library
        "layers": ["array-like", None],
        "stored_layers": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def read_neurox(
    path: str | os.PathLike,
    words: pd.DataFrame | None = None,
    *,
    layers: Sequence[int] | None = None,
    stored_layers: Sequence[int] | None = None,
    mismatched: str = "error",
    dtype: str = "float32",
) -> tuple[Activations, pd.DataFrame]:
    """Read activations that NeuroX extracted, with their words.

    Parameters
    ----------
    path : str or path-like
        An HDF5 (``.hdf5``) or JSON (``.json``) file written by NeuroX, or a ``.pt`` file written
        for it. If ``acts.hdf5`` does not exist but ``acts-layer0.hdf5``, ``acts-layer1.hdf5``, ...
        do, as written by NeuroX's option ``decompose_layers``, all of these are read.

    words : table of shape (n_words, n_columns) or None, default=None
        The words that were extracted, from `read_parallel`, `read_conllu` or `words_frame`. None
        takes the words stored in the file, which are spelled as the tokenizer splits them
        (``"play##ing"``) and have no annotations. A ``.pt`` file stores no words.

    layers : sequence of int or None, default=None
        The layers to read, in this order; None reads all layers, in ascending order unless
        `stored_layers` gives another.

    stored_layers : sequence of int or None, default=None
        The layers of the model that the file holds, in file order. None takes the numbers that the
        file states (files by `write_neurox`, and JSON files whose ``index`` is not merely the
        position) or, for a file of one layer, the number in its name (``acts-layer3.hdf5``).
        Without these it counts from 0, which is wrong for files written with NeuroX's options
        ``filter_layers`` or ``ignore_embeddings``, since NeuroX does not record the layers.

    mismatched : {"error", "drop"}, default="error"
        What to do with sentences whose stored number of words differs from that in `words`: NeuroX
        truncates sentences that are too long for the model.

    dtype : {"float32", "float16"}, default="float32"
        The type in which JSON and ``.pt`` files are kept in memory. HDF5 files are not kept in
        memory: they are read when the activations are pooled, about a thousand words at a time.

    Returns
    -------
    activations : Activations of shape (n_words,)
        One vector per word, ready for a pipeline that starts with a `SubwordAggregator`, whose
        strategy makes no difference here. Neurons are named ``hidden.<layer>.<unit>``.

    words : DataFrame of shape (n_words, n_columns)
        The words, one row per row of the activations.

    Raises
    ------
    ImportError
        If `path` is an HDF5 file and h5py is not installed.

    ValueError
        If the number of sentences, or of words in a sentence, differs from `words`; if the file
        stores no words and the column ``position`` of `words` is out of order; if a layer does not
        exist; if a file is not in its format; or if it is an ``.acts`` file, which cannot be
        read safely, or a ``.t7`` file, which torch no longer reads.

    Warns
    -----
    UserWarning
        If sentences are dropped; if plain words are spelled differently in the file, which
        usually means that `words` are in another order; or if all values of a neuron are too small
        for `dtype`, and so become 0 (for HDF5 files, too small for float32, when they are pooled).

    See Also
    --------
    write_neurox : Write such files.
    SubwordAggregator : Turn the activations into a matrix.

    Notes
    -----
    Sentences are ordered by their numbers. NeuroX itself rounds the values in its JSON files to
    eight decimals.

    Examples
    --------
    >>> import json, tempfile
    >>> from sklearn_neurox.extraction import SubwordAggregator
    >>> from sklearn_neurox.io import read_neurox
    >>> sentence = {"linex_index": 0, "features": [
    ...     {"token": "Dogs", "layers": [{"index": 0, "values": [0.5, 2.0]}]},
    ...     {"token": "bark", "layers": [{"index": 0, "values": [1.5, 0.0]}]},
    ... ]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open(f"{folder}/acts.json", "w") as file:
    ...         print(json.dumps(sentence), file=file)
    ...     activations, words = read_neurox(f"{folder}/acts.json")
    >>> words["word"].tolist()
    ['Dogs', 'bark']
    >>> SubwordAggregator().fit_transform(activations)
    array([[0.5, 2. ],
           [1.5, 0. ]], dtype=float32)
    """
    if mismatched not in ("error", "drop"):
        raise ValueError(f"mismatched must be 'error' or 'drop', got {mismatched!r}.")
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}.")
    path = as_path(path, "The 'path' parameter of read_neurox")
    layers = _layer_list(layers, "layers")
    stored_layers = _layer_list(stored_layers, "stored_layers")
    if words is not None:
        words = read_frame(words, ["sentence_id", "word"], caller="read_neurox")
    source, indices, stored_words = _open(path, layers, stored_layers, dtype)
    lengths = source.lengths if isinstance(source, HDF5Source) else np.diff(source.ptr)
    keep = np.arange(len(lengths))
    if words is not None:
        keep, words = match_sentences(words, lengths, str(path), mismatched=mismatched)
        if stored_words is None:
            check_positions(words, path)
        else:
            check_spelling(words, [stored_words[i] for i in keep], path)
    else:
        words = _stored_frame(stored_words, indices, path)
    if len(keep) < len(lengths):
        source, lengths = source.take(keep), lengths[keep]
    n_words = int(lengths.sum())
    activations = Activations(
        source,
        np.repeat(np.arange(len(lengths)), lengths),
        np.arange(n_words) - np.repeat(np.cumsum(lengths) - lengths, lengths),
        np.arange(n_words + 1),
        first_token="NeuroX stores words, and no special token",
        missing="zero",
        index=words.index,
    )
    return activations, words


def _open(path, layers, stored_layers, dtype):
    """Return the source, the numbers of the sentences, and their stored words."""
    suffix = path.suffix
    if suffix in _REFUSED:
        raise ValueError(
            f"{path} cannot be read: {_REFUSED[suffix]}. In an environment where you trust it, "
            "convert it to HDF5 or JSON with NeuroX's ActivationsWriter."
        )
    if suffix not in (".hdf5", ".json", ".pt"):
        raise ValueError(f"{path} must end with .hdf5, .json or .pt, which determines the format.")
    files = _layer_files(path, layers, stored_layers)
    if suffix == ".hdf5":
        return _open_hdf5(files, layers, stored_layers)
    parts, first = [], None
    for layer, file in files.items():
        stated = None
        if suffix == ".pt":
            values = read_pt(str(file), dtype)
            indices, stored_words = list(range(len(values))), None
        else:
            indices, stored_words, values, stated = read_json(str(file), dtype)
        _warn_if_not_finite(values, indices, file)
        lengths, (_, n_stored, n_units) = [len(array) for array in values], values[0].shape
        content = _Content(file, indices, stored_words, lengths, n_units)
        first = first or content
        _check_same(content, first)
        held = _held(n_stored, stored_layers, stated, file, own=layer)
        chosen = _places(held, layers, stored_layers, file, own=layer)
        parts.append((_in_order(values, indices, list(chosen.values())), list(chosen)))
    matrix = parts[0][0] if len(parts) == 1 else np.concatenate([p for p, _ in parts], axis=1)
    names = neuron_names([k for _, chosen in parts for k in chosen], first.n_units)
    order = np.argsort(first.indices, kind="stable")
    ptr = pointers(np.array(first.lengths)[order])
    words = None if first.words is None else [first.words[i] for i in order]
    return ArraySource(matrix, ptr, names), [first.indices[i] for i in order], words


def _open_hdf5(files, layers, stored_layers):
    blocks, first = [], None
    stamps = [(str(file), stamp(file)) for file in files.values() if file.is_file()]
    for layer, file in files.items():
        indices, words, (n_stored, n_units), stated = open_hdf5(str(file))
        content = _Content(file, indices, words, [len(sentence) for sentence in words], n_units)
        first = first or content
        _check_same(content, first)
        held = _held(n_stored, stored_layers, stated, file, own=layer)
        chosen = _places(held, layers, stored_layers, file, own=layer)
        blocks.extend((number, str(file), place) for number, place in chosen.items())
    datasets = np.array([str(index) for index in first.indices], dtype=object)
    source = HDF5Source(
        tuple(blocks), datasets, np.array(first.lengths), first.n_units, dict(stamps)
    )
    return source, first.indices, first.words


def _layer_list(layers, parameter):
    """Return the numbers of layers as ints."""
    if layers is None:
        return None
    layers = list(layers)
    for layer in layers:
        if not isinstance(layer, Integral) or isinstance(layer, bool) or layer < 0:
            raise ValueError(
                f"The {parameter!r} parameter of read_neurox must list the numbers of layers, from "
                f"0, but contains {layer!r}."
            )
    return [int(layer) for layer in layers]


def _layer_files(path, layers, stored_layers):
    """Find the file, or the files of its layers in the requested order, by layer."""
    if os.path.lexists(path):
        return {None: path}
    form = re.compile(re.escape(path.stem) + r"-layer([0-9]+)" + re.escape(path.suffix))
    found = {}
    for file in path.parent.glob(f"*{path.suffix}") if path.parent.is_dir() else ():
        if match := form.fullmatch(file.name):
            layer = int(match[1])
            if layer in found:
                raise ValueError(
                    f"The names of {found[layer]} and {file} both say layer {layer}. Remove or "
                    "rename one of them."
                )
            found[layer] = file
    if not found:
        raise FileNotFoundError(
            f"Neither {path} nor {path.stem}-layer<number>{path.suffix} in its folder exists. "
            "Check the path."
        )
    if stored_layers is not None:
        raise ValueError(
            f"{path} is stored as one file per layer, and the file names give the layers "
            f"{sorted(found)}. Leave stored_layers out."
        )
    asked = sorted(found) if layers is None else list(layers)
    _check_layers(asked, sorted(found), path)
    return {layer: found[layer] for layer in asked}


def _held(n_stored, stored_layers, stated, file, *, own):
    """Return the numbers of the layers of a file, in file order.

    In this order of trust: what the user says, what the file states, what its name says (NeuroX
    counts from 0 in the file, whatever layer it holds), and the positions in the file.
    """
    in_name = re.search(_LAYER_IN_NAME, file.stem) if own is None else None
    named = int(in_name[1]) if in_name else own
    if stored_layers is not None and own is None:
        held = list(stored_layers)
        if len(held) != n_stored or len(set(held)) != len(held):
            raise ValueError(
                f"{file} holds {n_stored} layers, but stored_layers is {held}. List each layer "
                "once."
            )
        return held
    if named is None:
        return list(range(n_stored)) if stated is None else stated
    if n_stored != 1 or (stated is not None and stated != [named]):
        what = f"{n_stored} layers" if stated is None else f"the layers {stated}"
        raise ValueError(
            f"{file} holds {what}, but its name says that it holds layer {named} alone. "
            + (f"Rename the file, or {_LIST_STORED}" if own is None else "Extract it again.")
        )
    return [named]


def _places(held, layers, stored_layers, file, *, own):
    """Return the position in the file of each requested layer."""
    if own is not None:  # the file was found because its layer was requested
        asked = held
    elif layers is None:
        asked = held if stored_layers is not None else sorted(held)
    else:
        asked = list(layers)
    _check_layers(asked, held, file)
    return {layer: held.index(layer) for layer in asked}


def _check_layers(asked, held, file):
    unknown = [layer for layer in asked if layer not in held]
    if unknown or not asked or len(set(asked)) != len(asked):
        what = f"has no layer {unknown[0]}" if unknown else f"cannot provide the layers {asked}"
        raise ValueError(f"{file} {what}; it holds {held}. List some of these, each once.")


def _check_same(content, first):
    alike = ("indices", "lengths", "n_units", "words")
    if any(getattr(content, what) != getattr(first, what) for what in alike):
        raise ValueError(
            f"The sentences, their words or the layer sizes in {content.file} differ from those in "
            f"{first.file}; the files come from different runs."
        )


def _in_order(values, indices, places):
    """Lay out the requested layers of all sentences in one matrix, freeing each sentence."""
    n_words = sum(len(array) for array in values)
    matrix = np.empty((n_words, len(places), values[0].shape[2]), dtype=values[0].dtype)
    stop = 0
    for i in np.argsort(indices, kind="stable"):
        start, stop = stop, stop + len(values[i])
        matrix[start:stop] = values[i][:, places]
        values[i] = None
    return matrix.reshape(n_words, -1)


def _warn_if_not_finite(values, indices, file):
    problems = NotFinite()
    for index, array in zip(indices, values, strict=True):
        problems.look(array, f"{file}: sentence {index}")
    problems.warn()


def _stored_frame(stored_words, indices, path):
    if stored_words is None:
        raise ValueError(f"{path} stores no words. Pass them as words=.")
    for index, sentence in zip(indices, stored_words, strict=True):
        if not all(sentence):
            raise ValueError(
                f"{path}: word {[bool(word) for word in sentence].index(False)} of sentence "
                f"{index} is stored as an empty string, because the tokenizer dropped it, so it "
                "has no span. Pass the words that were extracted as words=."
            )
    return words_frame(stored_words, sentence_ids=indices)
