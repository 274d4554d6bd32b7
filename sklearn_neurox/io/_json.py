# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX's JSON files: a line a sentence, with the values of every layer of every word."""

import json

import numpy as np


def read_json(path, dtype):
    """Read the words and activations of a JSON file of NeuroX's, line by line.

    Parameters
    ----------
    path : str
        The file.

    dtype : dtype
        Of the values kept.

    Returns
    -------
    indices : list of int
        The numbers of the sentences, in the order of the file.

    words : list of list of str
        Their words, as stored.

    values : list of ndarray of shape (n_words, n_layers, n_units)
        Their activations.
    """
    indices, words, values = [], [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                index, tokens, array = _sentence(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}:{number} is not a sentence as NeuroX writes it: {error!r}."
                ) from error
            if values and array.shape[1:] != values[0].shape[1:]:
                raise ValueError(
                    f"{path}:{number} has {array.shape[1]} layers of {array.shape[2]} neurons, but "
                    f"the first line {values[0].shape[1]} of {values[0].shape[2]}."
                )
            indices.append(index)
            words.append(tokens)
            values.append(narrow(array, dtype, f"{path}:{number}"))
    if not values:
        raise ValueError(f"{path}: this file is empty.")
    return indices, words, values


def write_json(path, sentences, blocks, dtype):
    """Write sentences in the format of NeuroX's JSON writer.

    Parameters
    ----------
    path : str
        The file, overwritten.

    sentences : list of list of str
        Their words.

    blocks : iterable of ndarray of shape (n_layers, n_words, n_units)
        Their activations.

    dtype : str
        Values are written with as many digits as tell numbers of this type apart.
    """
    with open(path, "w", encoding="utf-8") as file:
        for i, (words, values) in enumerate(zip(sentences, blocks, strict=True)):
            file.write(f'{{"linex_index": {i}, "features": [')
            for j, word in enumerate(words):
                layers = [
                    f'{{"index": {k}, "values": [{", ".join(row)}]}}'
                    for k, row in enumerate(values[:, j].astype(dtype).astype(str).tolist())
                ]
                head = ", " if j else ""
                file.write(
                    f'{head}{{"token": {json.dumps(word)}, "layers": [{", ".join(layers)}]}}'
                )
            file.write("]}\n")


def narrow(array, dtype, where):
    """Convert to the type the values are kept in; what does not fit there is an error."""
    with np.errstate(over="ignore"):
        narrowed = array.astype(dtype)
    lost = np.isinf(narrowed) & np.isfinite(array)
    if lost.any():
        largest = np.abs(array[lost]).max()
        raise ValueError(
            f"{where}: the value {largest:g} is beyond {np.dtype(dtype)}. Use dtype='float32'."
        )
    return narrowed


def _sentence(line):
    features = line["features"]
    array = np.array([[layer["values"] for layer in word["layers"]] for word in features], float)
    if array.ndim != 3:
        raise ValueError("every word must have the same layers, and values in each")
    return int(line["linex_index"]), [word["token"] for word in features], array
