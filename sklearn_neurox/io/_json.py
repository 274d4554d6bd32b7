# SPDX-License-Identifier: BSD-3-Clause
"""NeuroX's JSON files: one line per sentence, with the values of every layer of every word."""

import json

import numpy as np

from sklearn_neurox.utils._half_precision import cast_and_find_lost


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
    """
    indices, words, values = [], [], []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                index, tokens, array = _sentence(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{path}:{number} is not a sentence in NeuroX's format: {error!r}."
                ) from error
            if values and array.shape[1:] != values[0].shape[1:]:
                raise ValueError(
                    f"{path}:{number} has {array.shape[1]} layers of {array.shape[2]} neurons, but "
                    f"the first line has {values[0].shape[1]} layers of {values[0].shape[2]}."
                )
            indices.append(index)
            words.append(tokens)
            values.append(narrow(array, dtype, f"{path}:{number}"))
    if not values:
        raise ValueError(f"{path} is empty.")
    return indices, words, values


def write_json(path, sentences, blocks, dtype):
    """Write sentences, each with its (n_layers, n_words, n_units) activations, as NeuroX does.

    Values are written with as many digits as distinguish numbers of this dtype.
    """
    with open(path, "w", encoding="utf-8") as file:
        for i, (words, values) in enumerate(zip(sentences, blocks, strict=True)):
            tokens = []
            for j, word in enumerate(words):
                layers = [
                    f'{{"index": {k}, "values": [{", ".join(row)}]}}'
                    for k, row in enumerate(values[:, j].astype(dtype).astype(str).tolist())
                ]
                tokens.append(f'{{"token": {json.dumps(word)}, "layers": [{", ".join(layers)}]}}')
            file.write(f'{{"linex_index": {i}, "features": [{", ".join(tokens)}]}}\n')


def narrow(array, dtype, where):
    """Cast values to the dtype they are kept in; a value that does not fit is an error."""
    cast, lost = cast_and_find_lost(array, dtype)
    if lost is not None:
        raise ValueError(
            f"{where}: the value {np.abs(array[lost]).max():g} does not fit into "
            f"{np.dtype(dtype)}. Use dtype='float32'."
        )
    return cast


def _sentence(line):
    features = line["features"]
    array = np.array([[layer["values"] for layer in word["layers"]] for word in features], float)
    if array.ndim != 3:
        raise ValueError("every word must have the same layers, each with values")
    return int(line["linex_index"]), [word["token"] for word in features], array
