# SPDX-License-Identifier: BSD-3-Clause
"""Activations saved for NeuroX by OpenNMT-py extraction scripts, without their words."""

import numpy as np

from sklearn_neurox.io._json import narrow


def read_pt(path, dtype):
    """Read a list of sentences, each a list of words, each a list with one tensor per layer.

    Only tensors and plain containers are unpickled. Return one array of shape (n_words, n_layers,
    n_units) per sentence.
    """
    import pickle

    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than lists of tensors, and loading that could run code. If you "
            "trust the file, save it again as lists of tensors. torch says: "
            + str(error).split("\n")[0]
        ) from error
    values = []
    for i, sentence in enumerate(stored):
        try:
            array = np.stack([torch.stack(list(word)).float().numpy() for word in sentence])
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{path}: sentence {i} is not a list of words that are lists of equally long "
                f"tensors: {error}."
            ) from error
        if array.ndim != 3 or (values and array.shape[1:] != values[0].shape[1:]):
            raise ValueError(
                f"{path}: the layers of sentence {i} differ in size from those of the first."
            )
        values.append(narrow(array, dtype, f"{path}: sentence {i}"))
    if not values:
        raise ValueError(f"{path} holds no sentences.")
    return values
