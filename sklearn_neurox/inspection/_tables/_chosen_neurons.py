# SPDX-License-Identifier: BSD-3-Clause
"""The neurons that a table shows, with their moments over all words."""

from collections.abc import Set
from typing import NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length

from sklearn_neurox.utils._moments import column_deviations, column_means
from sklearn_neurox.utils._names import neuron_indices
from sklearn_neurox.utils._submatrix import submatrix
from sklearn_neurox.utils._validation import check_activations
from sklearn_neurox.utils._warn_user import warn_user


class ChosenNeurons(NamedTuple):
    """Some columns of a matrix."""

    X: np.ndarray  # or CSR; float16 is kept
    columns: np.ndarray  # in the requested order
    names: np.ndarray
    means: np.ndarray  # over all words
    deviations: np.ndarray  # over all words, none of them 0

    def blocks(self, n_values):
        """Split the neurons into slices for which `n_values` values per neuron fit into memory."""
        width = max(1, _VALUES // n_values)
        for start in range(0, len(self.columns), width):
            yield slice(start, start + width)

    def read(self, rows, block):
        """Return some rows of a slice of the neurons, in the dtype of X; possibly a view."""
        part = submatrix(self.X, rows, self.columns[block])
        return part.toarray() if issparse(part) else part


_VALUES = 8_000_000


def some_neurons(neurons, *, names, n_features, caller):
    """Convert one neuron or several to column indices; raise an error if there is none."""
    if isinstance(neurons, Set):
        raise TypeError(
            f"The 'neurons' parameter of {caller} is a set, which has no order. Pass a list, such "
            "as sorted(neurons)."
        )
    neurons = np.atleast_1d(np.asarray(neurons))
    columns = neuron_indices(neurons, names=names, n_features=n_features, caller=caller)
    if not len(columns):
        raise ValueError(
            f"The 'neurons' parameter of {caller} selects no column. Pass at least one neuron, "
            "or None for all."
        )
    return columns


def choose_neurons(X, words, neurons, *, input_features, caller):
    """Validate a matrix and the neurons to show, and compute their moments.

    None chooses all neurons that are not constant, with a warning about the others. An empty
    choice or a constant neuron that was chosen is an error.
    """
    options = {"input_features": input_features, "accept_sparse": "csr"}
    X, names = check_activations(X, **options, caller=caller)
    check_consistent_length(X, words)
    every = neurons is None
    if not every:
        columns = some_neurons(neurons, names=names, n_features=X.shape[1], caller=caller)
    else:
        columns = np.arange(X.shape[1])
    shown = np.array([f"x{i}" for i in columns], dtype=object) if names is None else names[columns]
    if 4 * len(columns) <= X.shape[1]:
        # Copying a few columns is cheaper than passing over the whole matrix.
        X, columns = X[:, columns], np.arange(len(columns))
    means = column_means(X)
    deviations = column_deviations(X, means)[columns]
    chosen = ChosenNeurons(X, columns, shown, means[columns], deviations)
    return _without_constant(chosen, every, caller)


def _without_constant(chosen, every, caller):
    varies = chosen.deviations > 0
    if varies.all():
        return chosen
    found = (
        f"{(~varies).sum()} of {len(varies)} neurons are constant over all rows (the first is "
        f"{chosen.names[~varies][0]!r})"
    )
    if not every or not varies.any():
        raise ValueError(f"{caller}: {found}, so no word stands out. Leave these neurons out.")
    warn_user(f"{caller}: {found}. These neurons are left out, because no word stands out.")
    return ChosenNeurons(chosen.X, *(part[varies] for part in chosen[1:]))
