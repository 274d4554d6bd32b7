# SPDX-License-Identifier: BSD-3-Clause
"""Activations that OpenNMT-py extraction scripts saved for NeuroX, without their words."""

import numpy as np

from sklearn_neurox.io._json import narrow


def read_pt(path, dtype):
    """Read a list of sentences, each a list of words, each a list with a tensor a layer.

    Parameters
    ----------
    path : str
        The file. Only tensors and plain containers are unpickled.

    dtype : dtype
        Of the values kept.

    Returns
    -------
    values : list of ndarray of shape (n_words, n_layers, n_units)
    """
    import pickle

    import torch

    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors in lists, and loading that could run code. Save it "
            "anew as such where you trust it. torch says: " + str(error).split("\n")[0]
        ) from error
    values = []
    for i, sentence in enumerate(stored):
        try:
            array = np.stack([torch.stack(list(word)).float().numpy() for word in sentence])
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"{path}: sentence {i} is not a list of words, each a list of equally long "
                f"tensors: {error}."
            ) from error
        if array.ndim != 3 or (values and array.shape[1:] != values[0].shape[1:]):
            raise ValueError(f"{path}: sentence {i} has layers of other sizes than the first.")
        values.append(narrow(array, dtype, f"{path}: sentence {i}"))
    if not values:
        raise ValueError(f"{path}: this file holds no sentences.")
    return values
