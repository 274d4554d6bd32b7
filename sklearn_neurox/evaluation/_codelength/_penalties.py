# SPDX-License-Identifier: BSD-3-Clause
"""Choose the penalty of a probe by the code length of rows that it was not fitted to."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from sklearn_neurox.evaluation._label_costs import label_costs

_GRID = tuple(10 ** (-step / 2) for step in range(2, 9))  # 1e-1 to 1e-4


def read_penalties(alpha, estimator, caller):
    """Return the penalties to choose from and the name of the probe's parameter, or None."""
    if alpha is None:
        return None
    name = f"{estimator.steps[-1][0]}__alpha" if isinstance(estimator, Pipeline) else "alpha"
    if name not in estimator.get_params():
        probe = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        raise ValueError(
            f"{caller} chooses the parameter 'alpha' of the probe, but {type(probe).__name__} has "
            "none. Leave out 'alpha', or use a probe that has it, such as "
            "ElasticNetProbeClassifier; LogisticRegressionCV chooses its C itself."
        )
    if isinstance(alpha, str):
        return _GRID, name
    values = np.ravel(np.asarray(alpha, dtype=np.float64))
    if not values.size or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(
            f"The 'alpha' parameter of {caller} must be 'auto' or contain finite penalties of at "
            f"least 0, got {alpha!r}."
        )
    return tuple(sorted(values.tolist(), reverse=True)), name


def tuned(estimator, penalties, rows, train, *, note):
    """Return a clone with the penalty that encodes the last quarter of some rows best.

    Weak penalties take the longest to fit, so these come last, and are left out after two in a row
    that are no better than the best one.
    """
    values, name = penalties
    known, sent = _last_quarter(rows, train)
    if not len(known) or len(values) == 1:
        return clone(estimator).set_params(**{name: values[len(values) // 2]})
    best, shortest, n_worse = values[0], np.inf, 0
    with warnings.catch_warnings():
        # Penalties at the ends of the grid may leave no weights, or not converge.
        warnings.simplefilter("ignore", UserWarning)
        for value in values:
            probe = clone(estimator).set_params(**{name: value})
            length = label_costs(probe, rows, known, sent, note=note)[0].sum()
            n_worse = 0 if length < shortest else n_worse + 1
            if length < shortest:
                best, shortest = value, length
            elif n_worse == 2:
                break
    return clone(estimator).set_params(**{name: best})


def _last_quarter(rows, train):
    """Split rows, in the order of the code, into the first groups and the last quarter."""
    cut = len(train) - len(train) // 4
    if rows.groups is not None:
        of_group = rows.groups[train]
        while 0 < cut < len(train) and of_group[cut] == of_group[cut - 1]:
            cut -= 1
    return (train[:cut], train[cut:]) if cut < len(train) else (train[:0], train)
