# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX's JSON files: one line per sentence, with the values of every layer of every word."""

import json
from collections import Counter

import numpy as np

from sklearn_neurox.utils._files._foreign_files import check_regular, json_kind, named_errors
from sklearn_neurox.utils._half_precision import cast_and_find_lost
from sklearn_neurox.utils._underflow import DEAD, Underflow, warn_about_zeros

_WHAT = "a NeuroX file with one JSON object per line"
_AGAIN = "Extract the activations again."
RESCALE = f"{DEAD} rescale them before they are saved."
_PIECE = 2**24


def read_json(path, dtype):
    """Read a JSON file of NeuroX line by line.

    Returns
    -------
    indices : list of int
        The numbers of the sentences, in file order.

    words : list of list of str
        The words of each sentence, as stored.

    values : list of ndarray of shape (n_words, n_layers, n_units)
        The activations of each sentence, in the given dtype.

    layers : list of int or None
        The numbers that the file gives its layers, in the order of the values; None if it only
        counts them from 0 in file order, as NeuroX does whatever layers it stores.
    """
    check_regular(path, _WHAT)
    indices, words, values, layers, underflow = [], [], [], None, None
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}:{number}"
        if not line.strip():  # as editors leave behind
            continue
        with named_errors(where, "is not a sentence in NeuroX's format", _AGAIN):
            index, tokens, found, array = _sentence(line)
        if layers is None:
            layers = found
        if set(found) != set(layers) or (values and array.shape[2] != values[0].shape[2]):
            raise ValueError(
                f"{where} has the layers {found} of {array.shape[2]} neurons, but the first line "
                f"has the layers {layers} of {values[0].shape[2]}. {_AGAIN}"
            )
        if found != layers:
            array = array[:, [found.index(layer) for layer in layers]]
        indices.append(index)
        words.append(tokens)
        if underflow is None:
            underflow = Underflow(array[0].size)
        values.append(narrow(array, dtype, where, underflow))
    if not values:
        raise ValueError(f"{path} is empty. {_AGAIN}")
    if len(set(indices)) < len(indices):
        again = Counter(indices).most_common(1)[0][0]
        raise ValueError(
            f"{path} has the linex_index {again} in more than one line, so the order of its "
            "sentences is unclear. Number its lines from 0."
        )
    warn_about_zeros([(underflow, neuron_name(layers, array.shape[2]))], dtype, path, RESCALE)
    return indices, words, values, None if layers == list(range(len(layers))) else layers


def write_json(path, sentences, blocks, dtype, layers):
    """Write sentences, each with its (n_layers, n_words, n_units) activations, as NeuroX does.

    Values are written with the digits that identify a float32, because NeuroX and `read_json` read
    float32. The fewer digits that identify a float16 would be read as a neighboring value.
    """
    with open(path, "w", encoding="utf-8") as file:
        for i, (words, values) in enumerate(zip(sentences, blocks, strict=True)):
            tokens = []
            for j, word in enumerate(words):
                rows = values[:, j].astype(dtype).astype(np.float32).astype(str).tolist()
                entries = [
                    f'{{"index": {layer}, "values": [{", ".join(row)}]}}'
                    for layer, row in zip(layers, rows, strict=True)
                ]
                tokens.append(f'{{"token": {json.dumps(word)}, "layers": [{", ".join(entries)}]}}')
            file.write(f'{{"linex_index": {i}, "features": [{", ".join(tokens)}]}}\n')


def narrow(array, dtype, where, underflow=None):
    """Cast values to the dtype they are kept in; a value that does not fit is an error.

    ``underflow`` looks at arrays of shape (n_words, n_layers, n_units).
    """
    cast, lost = cast_and_find_lost(array, dtype)
    if lost is not None:
        raise ValueError(
            f"{where}: the value {np.abs(array[lost]).max():g} does not fit into "
            f"{np.dtype(dtype)}."
            + (" Use dtype='float32'." if dtype == "float16" else f" {_AGAIN}")
        )
    if underflow is not None and cast is not array:
        shape = len(array), array.shape[1] * array.shape[2]
        underflow.look(array.reshape(shape), cast.reshape(shape))
    return cast


def neuron_name(layers, n_units):
    """Return a function that names a neuron by its place in layers that are side by side."""
    return lambda place: f"neuron {place % n_units} of layer {layers[place // n_units]}"


def _lines(path):
    """Yield the lines of a file; holes, which could be larger than memory, are an error."""
    with open(path, "rb") as file:
        number, pieces = 1, []
        while piece := file.readline(_PIECE):
            if b"\0" in piece:
                raise ValueError(f"{path}:{number} contains NUL, so it is not {_WHAT}. {_AGAIN}")
            pieces.append(piece)
            if piece.endswith(b"\n"):
                yield b"".join(pieces)
                number, pieces = number + 1, []
        if pieces:
            yield b"".join(pieces)


def _sentence(line):
    """Return the number of a sentence, its words, the numbers of the layers, and the values."""
    content = json.loads(line)
    if not isinstance(content, dict):
        raise TypeError(f"it holds {json_kind(content)}, not an object")
    index, features = content["linex_index"], content["features"]
    if type(index) is not int or index < 0:
        raise TypeError(f"its linex_index is {index!r}")
    if not features:
        raise ValueError("it has no words")
    tokens = [word["token"] for word in features]
    if not all(isinstance(token, str) for token in tokens):
        raise TypeError("a token is not a string")
    orders = [_layer_numbers(word["layers"]) for word in features]
    layers = orders[0]
    rows = []
    for word, order in zip(features, orders, strict=True):
        by_number = dict(zip(order, [layer["values"] for layer in word["layers"]], strict=True))
        if set(order) != set(layers):
            raise ValueError(f"a word has the layers {order}, the first word {layers}")
        rows.append([by_number[layer] for layer in layers])
    kinds = set().union(*(map(type, row) for word in rows for row in word))
    if not kinds <= {int, float}:
        raise TypeError("a value is not a number")
    array = np.array(rows, float)
    if array.ndim != 3 or array.size == 0:
        raise ValueError("every word must have the same layers, each with values")
    # JSON has no number that is infinite, but a literal can be beyond float64.
    if np.isinf(array).any() and b"Infinity" not in line:
        raise ValueError("a value is too large for float64")
    return index, tokens, layers, array


def _layer_numbers(layers):
    numbers = [layer.get("index", place) for place, layer in enumerate(layers)]
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise TypeError(f"the index of a layer is not a number: {numbers}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"a word has a layer twice: {numbers}")
    return numbers
