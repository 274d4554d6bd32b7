# SPDX-License-Identifier: BSD-3-Clause
import os
from collections.abc import Mapping
from functools import partial
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, validate_params

# Private, but it reads the column names of any dataframe library.
from sklearn.utils.validation import _get_feature_names

from sklearn_neurox.io._hdf5 import write_hdf5
from sklearn_neurox.io._json import narrow, neuron_name, write_json
from sklearn_neurox.io._sentences import sentence_lengths
from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._files._foreign_files import as_path
from sklearn_neurox.utils._files._output_files import write_together
from sklearn_neurox.utils._names import neuron_layers, parse_neuron_names
from sklearn_neurox.utils._optional import require
from sklearn_neurox.utils._underflow import DEAD, Underflow, warn_about_zeros
from sklearn_neurox.utils._validation import check_row_order

_WRITERS = {".hdf5": write_hdf5, ".json": write_json}


@validate_params(
    {
        "path": [str, os.PathLike],
        "H": ["array-like"],
        "words": "no_validation",  # may be a table of any library
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
        "decompose_layers": ["boolean"],
        "parallel": [Mapping, None],
    },
    prefer_skip_nested_validation=True,
)
def write_neurox(
    path: str | os.PathLike,
    H: ArrayLike,
    words: pd.DataFrame,
    *,
    n_layers: int | None = None,
    decompose_layers: bool = False,
    parallel: Mapping[str, str | os.PathLike] | None = None,
    dtype: str = "float32",
) -> None:
    """Write activations of words to a file that NeuroX reads.

    Parameters
    ----------
    path : str or path-like
        The file, which is overwritten: ``.hdf5``, or ``.json``, which is ten times as large.

    H : array-like of shape (n_words, n_neurons)
        One row per word, with the columns layer by layer, as a `SubwordAggregator` returns it. The
        column names of a DataFrame give the layers. A memory-mapped array is never read into memory
        as a whole.

    words : table of shape (n_words, n_columns)
        The words of the rows, sentence by sentence.

    n_layers : int or None, default=None
        The number of layers of equal size that the columns form. None reads the layers from the
        column names.

    decompose_layers : bool, default=False
        Whether to write one file per layer: ``acts-layer0.hdf5``, ``acts-layer1.hdf5``, ... for
        ``acts.hdf5``, numbered by layer.

    parallel : mapping from str to str or path-like, or None, default=None
        Additional text files to write or overwrite, by column of `words`, such as ``{"word":
        "acts.word", "upos": "acts.upos"}``: one line per sentence, with one entry per word.
        NeuroX's ``load_data`` and `read_parallel` read them.

    dtype : {"float32", "float16"}, default="float32"
        The type of the values. NeuroX itself always writes float32, and reads both.

    Raises
    ------
    ImportError
        If `path` is an HDF5 file and h5py is not installed.

    FileNotFoundError
        If the folder of `path` does not exist.

    PermissionError
        If an existing file is write-protected.

    ValueError
        If the numbers of rows of H and `words` differ; if values are not finite or too large for
        `dtype`; if the columns of H are not equal consecutive layers, each with all neurons of one
        component in order; if the rows of a sentence are not contiguous; if a word contains
        white space, which would split it; if a text file would begin with U+FEFF; or if two of the
        files to write are the same file.

    Warns
    -----
    UserWarning
        If the indexes of H and `words` share labels in different orders; or if all values of a
        neuron are too small for `dtype`, and so become 0.

    See Also
    --------
    read_neurox : Read such files.

    Notes
    -----
    No file appears, or is replaced, before all files are complete. With ``decompose_layers``,
    existing files of other layers stay, and `read_neurox` reads them, too. Sentences are numbered
    from 0; their ``sentence_id`` is not stored. The numbers of the layers are stored where NeuroX
    does not look, so that `read_neurox` gives the neurons of hidden states their names; those of
    other components are called ``hidden``, too.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_neurox.io import read_neurox, write_neurox
    >>> from sklearn_neurox.words import words_frame
    >>> words = words_frame([["Dogs", "bark"]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_neurox(f"{folder}/acts.json", [[1.0, 2.0], [3.0, 4.0]], words, n_layers=2)
    ...     activations, _ = read_neurox(f"{folder}/acts.json", words, layers=[1])
    >>> activations.pool("last")
    array([[2.],
           [4.]], dtype=float32)
    """
    path = as_path(path, "The 'path' parameter of write_neurox")
    texts = {
        column: as_path(file, f"The file for {column!r} in 'parallel' of write_neurox")
        for column, file in (parallel or {}).items()
    }
    if dtype not in ("float32", "float16"):
        raise ValueError(f"dtype must be 'float32' or 'float16', got {dtype!r}.")
    words, H = read_frame(words, ["sentence_id", "word"], caller="write_neurox"), to_pandas(H)
    names = _get_feature_names(H)
    check_row_order(words=words, H=H)
    values = check_array(H, dtype=[np.float64, np.float32, np.float16], ensure_all_finite=False)
    plan = plan_files(path, words, names, values.shape[1], n_layers=n_layers)
    if len(words) != len(values):
        raise ValueError(f"H has {len(values)} rows, but there are {len(words)} words.")
    contents = {file: _lines(words, column, plan.lengths) for column, file in texts.items()}
    files = _files(path, plan.layers, decompose_layers)
    _check_distinct([*(file for file, _ in files), *texts.values()])
    writers = []
    for file, places in files:
        layers = [plan.layers[place] for place in places]
        blocks = _blocks(values, plan, places, dtype)
        content = plan.sentences, blocks, dtype, layers
        writers.append((file, partial(_write, _WRITERS[path.suffix], content)))
    for file, content in contents.items():
        writers.append((file, partial(_write_bytes, content)))
    write_together(writers)


class _Plan(NamedTuple):
    """What is known about the files before the values are computed."""

    ids: list
    lengths: np.ndarray
    sentences: list
    layers: list
    n_units: int


def plan_files(path, words, names, n_features, *, n_layers=None):
    """Check everything that can be wrong with a request before its values are computed."""
    if path.suffix not in _WRITERS:
        raise ValueError(f"{path} must end with .hdf5 or .json, which tells NeuroX the format.")
    if path.suffix == ".hdf5":
        require("h5py", caller="write_neurox", extra="hdf5")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder of {path} does not exist. Create it first.")
    ids, lengths = sentence_lengths(words)
    layers, n_units = _layers(names, n_features, n_layers)
    return _Plan(ids, lengths, _entries(words, "word", lengths), layers, n_units)


def _layers(names, n_features, n_layers):
    """Return the numbers of the layers, in order, and the number of neurons in each."""
    of_column = neuron_layers(names, n_features, n_layers=n_layers, caller="write_neurox")
    starts = np.concatenate([[0], np.flatnonzero(np.diff(of_column)) + 1])
    layers = of_column[starts].tolist()
    sizes = np.diff(np.append(starts, n_features))
    if len(set(layers)) < len(layers) or (sizes != sizes[0]).any():
        raise ValueError(
            "NeuroX files hold consecutive layers of equal size, but the columns of H start with "
            f"{sizes[0]} of layer {layers[0]}, followed by {sizes[1:4].tolist()} of the layers "
            f"{layers[1:4]}. Write one component, with all its neurons."
        )
    if n_layers is None:
        _check_units(parse_neuron_names(names), int(sizes[0]))
    return layers, int(sizes[0])


def _check_units(parts, n_units):
    """Raise an error if a file, which only counts the neurons of a layer, would rename some."""
    not_neuron = (parts["unit"].isna() | parts["span"].notna()).to_numpy()
    if not_neuron.any():
        raise ValueError(
            "NeuroX files hold the neurons of words, but the columns of H include "
            f"{parts['neuron'][int(not_neuron.argmax())]!r}, which describes a pair of words or an "
            "attention head. Save H with numpy.save or to_parquet instead."
        )
    heads = parts["head"].fillna(0).to_numpy(dtype=np.int64)
    units = parts["unit"].to_numpy(dtype=np.int64)
    width = n_units // (heads.max() + 1)
    place = np.arange(len(parts)) % n_units
    wrong = (heads * width + units != place) | (units >= max(width, 1))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(
            "NeuroX files only count the neurons of a layer, so the columns of H must hold all of "
            f"them in order, but column {at} is {parts['neuron'][at]!r} at place {place[at]} of "
            "its layer. Write one component, with all its neurons in their order."
        )
    kinds = parts["stack"].fillna("") + parts["component"].where(
        ~parts["component"].str.startswith("module:"), "module"
    )
    other = kinds.ne(kinds[0]).to_numpy()
    if other.any():
        raise ValueError(
            "NeuroX files do not tell components apart, but the columns of H hold "
            f"{parts['neuron'][0]!r} and {parts['neuron'][int(other.argmax())]!r}. Write one "
            "component of one stack to each file."
        )


def _files(path, layers, decompose_layers):
    """Return the files to write, each with the positions of its layers in H."""
    if not decompose_layers:
        return [(path, list(range(len(layers))))]
    return [
        (path.with_name(f"{path.stem}-layer{layer}{path.suffix}"), [place])
        for place, layer in enumerate(layers)
    ]


def _blocks(H, plan, places, dtype):
    """Yield the activations of every sentence as layers x words x neurons."""
    stop, underflow = 0, Underflow(len(places) * plan.n_units)
    for name, length in zip(plan.ids, plan.lengths.tolist(), strict=True):
        start, stop = stop, stop + length
        rows = H[start:stop].reshape(length, -1, plan.n_units)[:, places]
        if not np.isfinite(rows).all():
            raise ValueError(f"The activations of sentence {name!r} contain NaN or infinity.")
        yield narrow(rows, dtype, f"sentence {name!r}", underflow).swapaxes(0, 1)
    neuron = neuron_name([plan.layers[place] for place in places], plan.n_units)
    remedy = "use dtype='float32'." if dtype == "float16" else "rescale them first."
    warn_about_zeros([(underflow, neuron)], dtype, "The output file", f"{DEAD} {remedy}")


def _write(write, content, scratch):
    write(scratch, *content)


def _write_bytes(content, scratch):
    Path(scratch).write_bytes(content)


def _check_distinct(files):
    """Raise a ValueError if one of the files to write would overwrite another."""
    seen = {}
    for file in files:
        place = os.path.realpath(file.parent), file.name
        if place in seen:
            raise ValueError(
                f"write_neurox would write {seen[place]} and then overwrite it with {file}. Give "
                "the activations and each column in 'parallel' a file of their own."
            )
        seen[place] = file


def _lines(words, column, lengths):
    """Return the bytes of a text file with one line per sentence."""
    lines = [" ".join(entries) + "\n" for entries in _entries(words, column, lengths)]
    if lines[0].startswith("\ufeff"):
        raise ValueError(
            f"The first entry of {column!r} begins with U+FEFF, which readers take for the byte "
            "order mark of a text file and drop. Strip it from this entry."
        )
    try:
        return "".join(lines).encode()
    except UnicodeEncodeError:
        lone = [
            n for n, line in enumerate(lines) if line != line.encode("utf-8", "replace").decode()
        ]
        raise ValueError(
            f"Sentence {lone[0]} has a lone surrogate (half a character) in the column {column!r}, "
            "which no text file can hold. Read the words with the correct encoding, or leave the "
            "column out of 'parallel'."
        ) from None


def _entries(words, column, lengths):
    """Return the entries of a column by sentence; none may contain white space."""
    if column not in words.columns:
        raise ValueError(f"The words have no column {column!r}; they have {list(words.columns)}.")
    entries = words[column].astype(object).tolist()
    for row, entry in enumerate(entries):
        if pd.isna(entry) or str(entry).split() != [str(entry)]:
            raise ValueError(
                f"Row {row} has {entry!r} as {column!r}, but NeuroX splits entries at white space "
                "and needs exactly one per word. Replace white space, and fill in missing or empty "
                "entries."
            )
    remaining = map(str, entries)
    return [list(islice(remaining, length)) for length in lengths.tolist()]
