# SPDX-License-Identifier: BSD-3-Clause
"""The neurons a table is made of, with their moments over all words."""

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length

from sklearn_neurox.utils._moments import column_deviations, column_means
from sklearn_neurox.utils._names import neuron_indices
from sklearn_neurox.utils._submatrix import submatrix
from sklearn_neurox.utils._validation import check_activations
from sklearn_neurox.utils._warn_user import warn_user


class ChosenNeurons(NamedTuple):
    """Some columns of a matrix."""

    X: np.ndarray
    """The matrix; float16 is kept."""
    columns: np.ndarray
    """Which columns, in the order asked for."""
    names: np.ndarray
    """The names of the neurons chosen."""
    means: np.ndarray
    """Over all words."""
    deviations: np.ndarray
    """Over all words, none of them 0."""

    def blocks(self, n_values):
        """Cut the neurons into slices of so many that their `n_values` each fit into memory."""
        width = max(1, _VALUES // n_values)
        for start in range(0, len(self.columns), width):
            yield slice(start, start + width)

    def read(self, rows, block):
        """Get some rows of a slice of the neurons, in the dtype of X; perhaps a view."""
        return submatrix(self.X, rows, self.columns[block])


_VALUES = 8_000_000


def choose_neurons(X, words, neurons, *, input_features, caller):
    """Validate a matrix and the neurons to look at, and take their moments.

    Parameters
    ----------
    X : array-like of shape (n_words, n_features)

    words : array-like of shape (n_words, ...)

    neurons : int, str, array-like of these, mask or None
        None is all that are not constant.

    input_features : array-like of str or None

    caller : str
        The public function that asks, whose caller is warned.

    Returns
    -------
    chosen : ChosenNeurons

    Raises
    ------
    ValueError
        For an empty choice, a constant neuron asked for, and all that the checks of the parts
        find.
    """
    X, names = check_activations(X, input_features=input_features, caller=caller)
    check_consistent_length(X, words)
    every = neurons is None
    if not every:
        neurons = np.atleast_1d(np.asarray(neurons))
        columns = neuron_indices(neurons, names=names, n_features=X.shape[1], caller=caller)
        if not len(columns):
            raise ValueError(
                f"The 'neurons' parameter of {caller} chooses no column. Name at least one neuron, "
                "or take all with neurons=None."
            )
    else:
        columns = np.arange(X.shape[1])
    shown = np.array([f"x{i}" for i in columns], dtype=object) if names is None else names[columns]
    if 4 * len(columns) <= X.shape[1]:
        # Passes over a few columns are cheaper than over the whole matrix.
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
        f"{(~varies).sum()} of {len(varies)} neurons have the same value in all rows (the first: "
        f"{chosen.names[~varies][0]!r})"
    )
    if not every or not varies.any():
        raise ValueError(f"{caller}: {found}, so no word stands out. Leave them out.")
    warn_user(f"{caller}: {found}. They are left out, as no word stands out.")
    return ChosenNeurons(chosen.X, *(part[varies] for part in chosen[1:]))
