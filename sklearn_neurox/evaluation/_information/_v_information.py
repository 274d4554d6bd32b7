# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Iterable

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import HasMethods, validate_params
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._fits import run_fits
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.evaluation._label_costs import (
    check_has_probabilities,
    label_costs,
    labeled_rows,
)
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._labels import check_groups, check_no_missing_groups
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.utils._validation import (
    check_activations,
    is_word_frame,
)

_CALLER = "v_information"


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "estimator": [HasMethods(["fit"])],
        "baseline": ["array-like", "sparse matrix", None],
        "classes": ["array-like", None],
    },
    prefer_skip_nested_validation=False,
)
def v_information(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    groups: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    r"""Measure the information about the labels that a probe can use, in bits per word.

    V-information [1]_ is how many bits per label a probe saves on held-out words when it sees the
    activations. Unlike mutual information, it counts only what the given kind of probe (the
    family V) can use. With ``baseline``, it is conditional [3]_: what the activations add to
    features that are known anyway, such as the word type, the embedding layer or the position.

    .. math::

        I_V(X \to Y) = H_V(Y) - H_V(Y \mid X), \qquad
        I_V(X \to Y \mid B) = H_V(Y \mid B) - H_V(Y \mid B, X)

    Parameters
    ----------
    estimator : classifier instance
        The probe, which needs ``predict_proba``, or a pipeline that ends in it; cloned for each
        fit.

    X : array-like of shape (n_samples, n_features) or DataFrame of words
        Data to fit the probe on. With ``baseline``, it must be a matrix.

    y : array-like of shape (n_samples,)
        Labels.

    baseline : array-like or sparse matrix of shape (n_samples, n_known) or None, default=None
        Known features, as numbers. A clone of the probe is fitted to them alone, and another one to
        them and X side by side. None compares with the label frequencies of the training rows.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds, which keep ``groups``
        whole; without groups the folds are contiguous, and a warning is issued. For a single fixed
        split, use ``cv=[(train, test)]``.

    groups : array-like of shape (n_samples,) or None, default=None
        Group labels, such as ``words["text"]``; each group stays in one fold, and the interval
        takes groups as independent. Without groups, there is no interval.

    classes : array-like of shape (n_classes,) or None, default=None
        All possible labels. None uses the labels in `y`.

    confidence : float, default=0.95
        Confidence level of the interval, in (0, 1).

    return_words : bool, default=False
        Whether to also return the bits of each word.

    n_jobs : int or None, default=None
        Number of parallel fits, in threads. Does not change the results.

    verbose : bool or int, default=False
        Whether to show a progress bar over fits.

    Returns
    -------
    information : DataFrame of shape (1, 7)
        ``v_information`` in bits per word, with its confidence interval from ``low`` to ``high``
        (missing without groups); ``baseline_bits`` and ``bits``, the mean cost of a label without
        and with X (the two V-entropies); ``n_words`` and ``n_groups``, the numbers of predicted
        words and of their groups (0 without groups).

    words : DataFrame of shape (n_predictions, 8)
        Only with ``return_words=True``: one row per predicted word, with the index of X (or else of
        y), and the columns ``fold``, ``n_train`` (the number of training rows), ``row`` (its
        position, from 0), ``group``, ``label``, ``baseline_bits``, ``bits``, and their difference
        ``outcome``, the pointwise V-information [2]_. `compare` and `interval_table` take it.

    Raises
    ------
    TypeError
        If the probe has no ``predict_proba``.

    ValueError
        If labels are missing or all the same, a probability is negative or not finite, or
        the baseline is not a matrix of finite numbers or has a column of the same name as X.

    Warns
    -----
    UserWarning
        If a group is on both sides of a split, ``cv`` makes folds without groups, a label of a test
        fold is absent from its training rows, or the indexes of X and y (or ``baseline`` or
        ``groups``) share labels in different orders.

    See Also
    --------
    online_codelength : Also measure how many words a probe needs to learn the labels.
    compare : Compare the pointwise information of two layers, with a p-value.

    Notes
    -----
    All bits are those of held-out words. The pointwise information of a word is negative if the
    probe predicts its label with a lower probability than the baseline does. The whole estimate is
    negative if the probe learns only noise. Negative estimates are not clipped, because clipping
    would bias the mean of many estimates. A negative estimate says that this probe, fitted to so
    many words, cannot use the activations. Since the infimum over the family is estimated by the
    probes that were fitted, it depends on their penalty and on the number of words, and so is
    comparable only between fits to the same words.

    An escape probability is kept for classes that do not occur among the training rows, as in
    `online_codelength`, and no label costs more than 52 bits.

    The interval is that of `interval_table` for the mean difference between the two costs. It shows
    how the estimate would vary with other test words for the fitted probes; it does not include the
    variation from other training words, for which `compare` widens its interval.

    References
    ----------
    .. [1] Y. Xu, S. Zhao, J. Song, R. Stewart, S. Ermon, "A Theory of Usable Information under
       Computational Constraints", ICLR 2020, definitions 2 and 3.

    .. [2] K. Ethayarajh, Y. Choi, S. Swayamdipta, "Understanding Dataset Difficulty with
       V-Usable Information", ICML 2022, definition 3.1 and algorithm 1.

    .. [3] J. Hewitt, K. Ethayarajh, P. Liang, C. Manning, "Conditional probing: measuring usable
       information beyond a baseline", EMNLP 2021, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import v_information
    >>> rng = np.random.RandomState(0)
    >>> known, new = rng.randint(2, size=(2, 2000))
    >>> X = np.column_stack([known, new]) + 0.01 * rng.randn(2000, 2)
    >>> y = 2 * known + new  # two bits, of which one is known
    >>> probe, texts = LogisticRegression(C=100), np.arange(2000) // 10
    >>> information = v_information(probe, X, y, groups=texts)
    >>> information[["v_information", "baseline_bits", "bits"]].round(1)
       v_information  baseline_bits  bits
    0            2.0            2.0   0.0
    >>> beyond = v_information(probe, X, y, baseline=known[:, np.newaxis], groups=texts)
    >>> beyond[["v_information", "baseline_bits", "bits"]].round(1)
       v_information  baseline_bits  bits
    0            1.0            1.0   0.0
    """
    check_has_probabilities(estimator, _CALLER)
    X, y, baseline, groups = matching_rows(_CALLER, X=X, y=y, baseline=baseline, groups=groups)
    check_groups(groups, _CALLER)
    if groups is not None:
        check_no_missing_groups(groups, _CALLER)
    with_X = labeled_rows(X, y, classes, groups, caller=_CALLER)
    without, reference = with_X, None
    if baseline is not None:
        known, both = _side_by_side(baseline, X)
        without, with_X, reference = with_X._replace(X=known), with_X._replace(X=both), estimator
    folds = make_folds(cv, with_X.X, with_X.y, groups, classes=True, caller=_CALLER)
    jobs = [
        delayed(label_costs)(probe, rows, train, test, note=f"Fold {number} of {_CALLER}.")
        for number, (train, test) in enumerate(folds)
        for probe, rows in ((reference, without), (estimator, with_X))
    ]
    costs = [bits for bits, _ in run_fits(jobs, n_jobs, verbose)]
    words = _words(with_X, folds, costs, _index(X, y))
    return (_summary(words, confidence), words) if return_words else _summary(words, confidence)


def _side_by_side(baseline, X):
    """Return the baseline, and a matrix of its columns and those of X."""
    parts = []
    for name, values in (("baseline", baseline), ("X", X)):
        _check_is_matrix(values, name)
        checked = check_activations(values, input_name=name, caller=_CALLER, accept_sparse="csr")
        parts.append(checked[0])
    if isinstance(baseline, pd.DataFrame) and isinstance(X, pd.DataFrame):
        shared = baseline.columns.intersection(X.columns).tolist()
        if shared:
            raise ValueError(
                f"X and baseline of {_CALLER} both have columns named {shared[:3]}. Drop from X "
                "what is already in the baseline, or rename it, for example with "
                'baseline.add_prefix("known.").'
            )
        frames = [frame.reset_index(drop=True) for frame in (baseline, X)]
        return frames[0], pd.concat(frames, axis=1)
    if any(map(sp.issparse, parts)):
        return parts[0], sp.csr_array(sp.hstack(parts))
    return parts[0], np.hstack(parts)


def _check_is_matrix(values, name):
    if is_word_frame(values) or sp.issparse(values) or hasattr(values, "requires_grad"):
        return  # what is wrong with these is said later
    rows = values if isinstance(values, pd.DataFrame) else np.asarray(values)
    dtypes = rows.dtypes if isinstance(rows, pd.DataFrame) else [rows.dtype]
    if rows.ndim != 2 or not all(map(pd.api.types.is_numeric_dtype, dtypes)):
        raise ValueError(
            f"The {name!r} parameter of {_CALLER} must be a matrix of numbers with one row per "
            "word if there is a baseline. Encode words or labels as columns, for example with "
            "sklearn.preprocessing.OneHotEncoder, and pass a single column as values[:, None]."
        )


def _index(X, y):
    """Return the index of X or else of y, or a plain one."""
    tables = (rows for rows in (X, y) if isinstance(rows, pd.DataFrame | pd.Series))
    return next((rows.index for rows in tables), pd.RangeIndex(len(y)))


def _words(rows, folds, costs, index):
    sizes = [len(test) for _, test in folds]
    test = np.concatenate([test for _, test in folds])
    baseline_bits, bits = np.concatenate(costs[::2]), np.concatenate(costs[1::2])
    return pd.DataFrame(
        {
            "fold": np.repeat(np.arange(len(folds)), sizes),
            "n_train": np.repeat([len(train) for train, _ in folds], sizes),
            "row": test,
            "group": np.nan if rows.groups is None else rows.groups[test],
            "label": rows.y[test],
            "baseline_bits": baseline_bits,
            "bits": bits,
            "outcome": baseline_bits - bits,
        },
        index=index[test],
    )


def _summary(words, confidence):
    """Average over words; without groups, all words form one group, which has no interval."""
    groups, names = pd.factorize(words["group"], use_na_sentinel=False)
    found = mean_interval(words["outcome"].to_numpy(), groups, confidence=confidence)
    return pd.DataFrame(
        {
            "v_information": [found.mean],
            "low": [found.low],
            "high": [found.high],
            "baseline_bits": [words["baseline_bits"].mean()],
            "bits": [words["bits"].mean()],
            "n_words": [words["row"].nunique()],
            "n_groups": [0 if words["group"].isna().all() else len(names)],
        }
    )
