# SPDX-License-Identifier: BSD-3-Clause
"""What every numeric estimator checks about its input, float16 and large matrices included."""

import numpy as np
import pandas as pd
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, validate_data

from sklearn_neurox.utils._warn_user import warn_user

# Rows per block are chosen so that one block and its upcast stay in the processor's cache.
_BLOCK_BYTES = 4_000_000


def row_blocks(X):
    """Yield slices that cut the rows of a matrix into blocks of a few megabytes."""
    rows = max(1, _BLOCK_BYTES // max(1, X.shape[1] * 8))
    for start in range(0, X.shape[0], rows):
        yield slice(start, min(start + rows, X.shape[0]))


def check_matrix(estimator, X, y="no_validation", *, reset, **check_params):
    """Validate a matrix of activations for an estimator.

    scikit-learn's own validation upcasts float16 whole; this keeps it, and finds what is not
    finite block by block.

    Parameters
    ----------
    estimator : estimator instance
        Gets ``n_features_in_`` and ``feature_names_in_`` when ``reset``.

    X : array-like of shape (n_samples, n_features)
        The activations.

    y : array-like of shape (n_samples,), default="no_validation"
        The labels or targets, checked for missing values.

    reset : bool
        True in ``fit``, False afterwards.

    **check_params : dict
        Passed on to `sklearn.utils.validation.validate_data`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64, float32 or float16

    y : ndarray of shape (n_samples,)
        Only if ``y`` was given.

    Raises
    ------
    ValueError
        For NaN or infinity in X, naming the column, and for missing labels.

    Warns
    -----
    UserWarning
        As `check_row_order`.
    """
    X = _as_readable(X, type(estimator).__name__)
    has_y = not (isinstance(y, str) and y == "no_validation")
    if has_y and y is not None:
        check_no_missing_labels(y)
        check_row_order(X, y)
    checked = validate_data(
        estimator,
        X,
        *((y,) if has_y else ()),
        reset=reset,
        dtype=[np.float64, np.float32, np.float16],
        ensure_all_finite=False,
        **check_params,
    )
    X = checked[0] if has_y else checked
    names = getattr(estimator, "feature_names_in_", None)
    _check_all_finite(X, names, input_name="X", caller=type(estimator).__name__)
    return checked


def check_activations(X, *, input_features=None, input_name="X", caller, **check_params):
    """Validate a matrix of activations for a function.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)

    input_features : array-like of str or None, default=None
        The names of the columns; None takes those of a DataFrame.

    input_name : str, default="X"
        What the matrix is called, for messages.

    caller : str
        The function, for messages.

    **check_params : dict
        Passed on to `sklearn.utils.check_array`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features), dtype float64, float32 or float16

    names : ndarray of shape (n_features,), dtype=object, or None
        None where there are none.

    Raises
    ------
    ValueError
        For NaN or infinity in X, naming the column; another number of names; a frame of words.

    TypeError
        For a tensor that NumPy cannot read.
    """
    X = _as_readable(X, caller)
    names = input_features
    if names is None and isinstance(X, pd.DataFrame):
        names = X.columns
    names = None if names is None else np.asarray(names, dtype=object)
    X = check_array(
        X,
        dtype=[np.float64, np.float32, np.float16],
        ensure_all_finite=False,
        input_name=input_name,
        estimator=caller,
        **check_params,
    )
    if names is not None and len(names) != X.shape[1]:
        raise ValueError(
            f"The 'input_features' parameter of {caller} has {len(names)} names, but there are "
            f"{X.shape[1]} columns."
        )
    _check_all_finite(X, names, input_name=input_name, caller=caller)
    return X, names


def is_word_frame(X):
    """Tell whether X is a frame of words, and so no matrix.

    Parameters
    ----------
    X : object

    Returns
    -------
    is_word_frame : bool
    """
    return isinstance(X, pd.DataFrame) and {"text", "start", "end"} <= set(X.columns)


def _as_readable(X, caller):
    if is_word_frame(X):
        raise ValueError(
            f"{caller} takes a matrix of activations, got a frame of words. Extract them first: "
            "make_pipeline(ActivationExtractor(...), SubwordAggregator(), ...)."
        )
    if not hasattr(X, "requires_grad"):
        return X
    if X.requires_grad or X.device.type != "cpu" or str(X.dtype) == "torch.bfloat16":
        raise TypeError(
            f"{caller} takes arrays, but NumPy cannot read this tensor ({X.dtype} on {X.device}"
            f"{', with a gradient' if X.requires_grad else ''}). Pass "
            "X.detach().cpu().float().numpy()."
        )
    # scikit-learn, which does not know the dtypes of torch, would turn them into float64.
    return X.numpy()


def _check_all_finite(X, names, *, input_name, caller):
    for block in row_blocks(X):
        finite = np.isfinite(X[block])
        if finite.all():
            continue
        row, column = np.argwhere(~finite)[0]
        value = X[block][row, column]
        kind = "NaN" if np.isnan(value) else "infinity"
        where = f"column {column}" if names is None else f"column {names[column]!r}"
        raise ValueError(
            f"Input {input_name} contains {kind}: {where}, row {block.start + row} is {value}. "
            f"{caller} does not accept missing or infinite values; words that "
            "the tokenizer dropped are NaN under missing='nan', remove their rows first."
        )


def check_no_missing_labels(y, *, input_name="y"):
    """Raise an error that counts missing labels and says how to drop their rows.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)

    input_name : str, default="y"
        What they are called, for the error message.

    Raises
    ------
    ValueError
        If any label is None, NaN or ``pd.NA``.
    """
    name = getattr(y, "name", None)
    missing = np.asarray(pd.isna(y if hasattr(y, "dtype") else np.asarray(y, dtype=object)))
    if missing.ndim == 2:
        missing = missing.any(axis=1)
    if not missing.any():
        return
    first = int(np.flatnonzero(missing)[0])
    column = repr(name) if isinstance(name, str) else "<the column of labels>"
    raise ValueError(
        f"Input {input_name} contains NaN: {missing.sum()} of {len(missing)} labels are missing, "
        f"the first at row {first}. Choose the rows that have one before fitting, for a frame of "
        f"words: words = words.dropna(subset=[{column}])"
    )


def check_row_order(X, y, *, names=("X", "y")):
    """Warn if pandas objects hold their rows in different orders, by their indexes.

    A part of rows in another order, such as a fold of them, has other labels too. So the labels
    that X and y share, if they are a third of all at least, must come in one order in both. They
    do where one was made anew behind rows that were left out of the other.

    Parameters
    ----------
    X, y : object
        Only pandas objects of one length are looked at.

    names : tuple of two str, default=("X", "y")
        What they are called, for the warning.

    Warns
    -----
    UserWarning
        Tells the first row where the labels differ.
    """
    of_pandas = all(isinstance(rows, (pd.DataFrame, pd.Series)) for rows in (X, y))
    if not of_pandas or len(X) != len(y) or X.index.equals(y.index):
        return
    # Numbered as they first occur in X.
    codes, labels = pd.factorize(X.index.append(y.index), use_na_sentinel=False)
    of_X, of_y = codes[: len(X)], codes[len(X) :]
    n_labels = of_X.max() + 1
    shared = pd.unique(of_y[of_y < n_labels])
    if len(shared) * 3 < n_labels or (np.diff(shared) > 0).all():
        return
    differ = of_X != of_y
    row = int(differ.argmax())
    in_X, in_y = labels[[of_X[row], of_y[row]]].tolist()
    name, other = names
    remedy = f"{other} = {other}.loc[{name}.index]"
    if not y.index.is_unique:
        remedy = f"take both from one frame, as labels stand more than once in the index of {other}"
    warn_user(
        f"The indexes of {name} and {other} share labels, but in another order, and rows are "
        f"paired by position. The first to differ is row {row}, which is {in_X!r} in {name} and "
        f"{in_y!r} in {other} ({differ.sum()} of {len(X)} rows). If the labels tell what belongs "
        f"together: {remedy}. If the positions do: {other} = {other}.set_axis({name}.index)."
    )


def encode_classes(y, counting, *, caller):
    """Find the classes of the rows that count, and number all rows by them.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)

    counting : ndarray of bool, of shape (n_samples,), or slice
        Which rows count.

    caller : str
        The class that asks, for the error message.

    Returns
    -------
    classes : ndarray of shape (n_classes,)

    codes : ndarray of shape (n_samples,)
        Of a row that does not count, and is of another class, that of any.

    Raises
    ------
    ValueError
        If there are less than two classes.
    """
    classes = np.unique(y[counting])
    if len(classes) < 2:
        raise ValueError(
            f"{caller} tells classes apart, but the rows that count are of only 1 class: "
            f"{classes.tolist()[0]!r}. Give it rows of at least two classes."
        )
    return classes, np.searchsorted(classes, y).clip(max=len(classes) - 1)


def check_weight(sample_weight, X):
    """Validate the weights of samples.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), float or None

    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    weight : ndarray of shape (n_samples,), float64, or None
        None where there are none.

    Raises
    ------
    ValueError
        For weights that are negative, not finite, or of another number, and if all are zero.
    """
    if sample_weight is None:
        return None
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
