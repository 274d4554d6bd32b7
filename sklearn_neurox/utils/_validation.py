# SPDX-License-Identifier: BSD-3-Clause
"""Input validation that keeps float16 and copes with large matrices."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.sparse import issparse
from sklearn.base import is_regressor
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, validate_data

from sklearn_neurox.utils._containers import describe, to_pandas
from sklearn_neurox.utils._finite import check_all_finite, check_squares
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._names import check_same_columns
from sklearn_neurox.utils._sparse import canonical, dtypes_for
from sklearn_neurox.utils._torch import to_numpy
from sklearn_neurox.utils._warn_user import warn_user


def check_matrix(
    estimator,
    X,
    y="no_validation",
    *,
    reset,
    forget=True,
    all_finite=True,
    squares=False,
    beside=None,
    **check_params,
):
    """Validate a matrix of activations for an estimator.

    scikit-learn's own validation would upcast a float16 matrix as a whole; this keeps float16 and
    checks for NaN and infinity block by block. It also runs `check_no_missing_labels` and
    `check_row_order`.

    Parameters
    ----------
    estimator : estimator instance
        Its ``n_features_in_`` and ``feature_names_in_`` are set if ``reset`` is True.

    X : array-like of shape (n_samples, n_features)
        Activations.

    y : array-like of shape (n_samples,), default="no_validation"
        Labels or targets.

    reset : bool
        True in ``fit``, False afterwards.

    forget : bool, default=True
        Whether ``reset`` also removes the attributes of an earlier fit, which ``partial_fit`` must
        not.

    all_finite : bool, default=True
        Whether to check for NaN and infinity, which reads all of X once. If False, the caller must
        call `check_all_finite` when its sums over the rows are not finite.

    squares : bool, default=False
        Whether the estimator computes squares, which must not overflow.

    beside : dict or None, default=None
        Further rows by the names of their parameters, such as the groups, for `check_row_order`.

    **check_params : dict
        Passed to `sklearn.utils.validation.validate_data`. With ``accept_sparse="csr"``, sparse
        matrices are converted to CSR without repeated entries.

    Returns
    -------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Of float64, float32 or, if it is dense, float16.

    y : ndarray of shape (n_samples,)
        Only if ``y`` was given.
    """
    X = _as_readable(X, type(estimator).__name__)
    if reset:
        _check_unique_names(X, type(estimator).__name__)
        if forget:
            forget_fit(estimator)
    has_y = not (isinstance(y, str) and y == "no_validation")
    if has_y and y is not None:
        y = to_pandas(y)
        check_no_missing_labels(y, may_mix=is_regressor(estimator))
    check_row_order(**{"X": X, "y": y} | (beside or {}))
    checked = validate_data(
        estimator,
        X,
        *((y,) if has_y else ()),
        reset=reset,
        dtype=dtypes_for(X),
        ensure_all_finite=False,
        **check_params,
    )
    if issparse(checked[0] if has_y else checked):
        checked = (canonical(checked[0]), checked[1]) if has_y else canonical(checked)
    X = checked[0] if has_y else checked
    names = getattr(estimator, "feature_names_in_", None)
    if all_finite:
        check_all_finite(X, names, caller=type(estimator).__name__)
    if squares:
        check_squares(X, names, type(estimator).__name__)
    return checked


def forget_fit(estimator):
    """Remove fitted attributes, so that a fit that is interrupted leaves no mixture of two fits.

    With ``warm_start``, the next fit starts from them.
    """
    if getattr(estimator, "warm_start", False):
        return
    for name in [name for name in vars(estimator) if name.endswith("_") and name[0] != "_"]:
        delattr(estimator, name)


def check_activations(X, *, input_features=None, input_name="X", caller, **check_params):
    """Validate a matrix of activations for a function.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    input_features : array-like of str or None, default=None
        Names of the columns; None uses those of a DataFrame.

    input_name : str, default="X"
        Name of the matrix in messages.

    caller : str
        Name of the function in messages.

    **check_params : dict
        Passed to `sklearn.utils.check_array`.

    Returns
    -------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
        Of float64, float32 or, if it is dense, float16.

    names : ndarray of shape (n_features,), dtype=object, or None
        None if the columns have no names.
    """
    X = _as_readable(X, caller)
    _check_unique_names(X, caller)
    names = input_features
    if names is None and isinstance(X, pd.DataFrame):
        names = X.columns
    names = None if names is None else np.asarray(names, dtype=object)
    if input_features is not None and isinstance(X, pd.DataFrame):
        named = {input_name: X, "input_features": pd.DataFrame(columns=names)}
        check_same_columns(caller, **named)
    X = check_array(
        X,
        dtype=dtypes_for(X),
        ensure_all_finite=False,
        input_name=input_name,
        estimator=caller,
        **check_params,
    )
    X = canonical(X) if issparse(X) else X
    if names is not None and len(names) != X.shape[1]:
        raise ValueError(
            f"The 'input_features' parameter of {caller} has {len(names)} names, but there are "
            f"{X.shape[1]} columns."
        )
    check_all_finite(X, names, input_name=input_name, caller=caller)
    return X, names


def is_word_frame(X):
    """Return whether X is a frame of words, not a matrix of activations."""
    return isinstance(X, pd.DataFrame) and {"text", "start", "end"} <= set(X.columns)


def _as_readable(X, caller):
    X = to_pandas(X)
    if is_word_frame(X):
        raise ValueError(
            f"{caller} takes a matrix of activations, but got a frame of words. Extract the "
            "activations first: make_pipeline(ActivationExtractor(...), SubwordAggregator(), ...)."
        )
    if not hasattr(X, "requires_grad"):
        return X
    if X.requires_grad or X.device.type != "cpu" or str(X.dtype) == "torch.bfloat16":
        raise TypeError(
            f"{caller} takes an array, but NumPy cannot read this tensor ({X.dtype} on {X.device}"
            f"{', with a gradient' if X.requires_grad else ''}). Pass "
            "X.detach().cpu().float().numpy()."
        )
    # scikit-learn does not know the dtypes of torch and would convert them to float64.
    return to_numpy(X)


def _check_unique_names(X, caller):
    columns = getattr(X, "columns", None)
    if not isinstance(X, pd.DataFrame) or columns.is_unique:
        return
    repeated = columns[columns.duplicated()][0]
    places = np.flatnonzero(columns == repeated).tolist()
    raise ValueError(
        f"X of {caller} has several columns named {repeated!r} ({places}), so names cannot tell "
        "the neurons apart. Rename them, for example with add_prefix before joining frames."
    )


def check_equal_lengths(caller, **rows):
    """Raise an error if parameters, given by name, lack a length or differ in it; None is ignored.

    scikit-learn's own check does not name the parameter.
    """
    for name, values in rows.items():
        if values is not None and not (hasattr(values, "__len__") or hasattr(values, "shape")):
            raise TypeError(
                f"The {name!r} parameter of {caller} needs one entry per sample, but got "
                f"{describe(values)}."
            )
    check_consistent_length(*rows.values())


def check_row_order(**rows):
    """Warn if the indexes of pandas objects, given by name, share labels in different orders.

    An object is compared with those before it; the first pair that disagrees is named. Objects that
    are not from pandas or differ in length are ignored. Two objects may share only some labels, for
    example if they are different folds of reordered rows, so only the order of the shared labels is
    compared. Indexes that share fewer than a third of their labels are ignored. An index that was
    reset after rows were dropped passes.
    """
    of_pandas = [one for one in rows.items() if isinstance(one[1], (pd.DataFrame, pd.Series))]
    for first, second in combinations(of_pandas, 2):
        if message := _disorder(*first, *second):
            warn_user(message)
            return


def _disorder(name, X, other, y):
    """Return how the order of two indexes differs, or None."""
    if len(X) != len(y) or X.index.equals(y.index):
        return None
    # Labels are numbered by their first occurrence in X.
    codes, labels = pd.factorize(X.index.append(y.index), use_na_sentinel=False)
    of_X, of_y = codes[: len(X)], codes[len(X) :]
    n_labels = of_X.max() + 1
    shared = pd.unique(of_y[of_y < n_labels])
    if len(shared) * 3 < n_labels or (np.diff(shared) > 0).all():
        return None
    differ = of_X != of_y
    row = int(differ.argmax())
    in_X, in_y = labels[[of_X[row], of_y[row]]].tolist()
    remedy = f"{other} = {other}.loc[{name}.index]"
    if not y.index.is_unique:
        remedy = f"take both from one frame, because the index of {other} has repeated labels"
    elif not X.index.isin(y.index).all():
        remedy = f"take both from one frame, because {other} lacks some labels of {name}"
    return (
        f"The indexes of {name} and {other} share labels, but in different orders, and rows are "
        f"paired by position. The first to differ is row {row}, which is {in_X!r} in {name} and "
        f"{in_y!r} in {other} ({differ.sum()} of {len(X)} rows). To pair rows by label: {remedy}. "
        f"If the positions are right: {other} = {other}.set_axis({name}.index)."
    )


def check_weight(sample_weight, X):
    """Validate sample weights, which must be finite and non-negative; None stays None."""
    if sample_weight is None:
        return None
    # Private, but it has no public counterpart, and scikit-learn's own estimators use it.
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
