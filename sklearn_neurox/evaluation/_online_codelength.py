# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils import _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.evaluation._online_code import OnlineCode
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._tqdm import counted, progress_bar
from sklearn_neurox.utils._validation import check_no_missing_labels, check_row_order
from sklearn_neurox.utils._warn_user import warn_user

# Those of the paper.
_FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)
# Mixed in for every class: a label that a probe holds for impossible costs 52 bits, and one that it
# is sure of hardly more than nothing.
_FLOOR = np.finfo(np.float64).eps


class _Rows(NamedTuple):
    """What is sent, in the order in which it is sent."""

    X: object
    y: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    groups: np.ndarray | None
    order: np.ndarray


@validate_params(
    {
        "estimator": [HasMethods(["fit"])],
        "y": ["array-like"],
        "fractions": ["array-like"],
        "groups": ["array-like", None],
        "classes": ["array-like", None],
        "shuffle": ["boolean"],
        "decompose": ["boolean"],
        "units": [StrOptions({"bits", "voita2020"})],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=False,
)
def online_codelength(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    fractions: Sequence[float] = _FRACTIONS,
    groups: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    shuffle: bool = True,
    decompose: bool = False,
    units: str = "bits",
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> OnlineCode:
    r"""Measure how short the labels become, if a probe that learns on the way sends them.

    The receiver has the activations, and wants the labels. The first block is sent by the uniform
    code. Then, block by block, a probe is fitted to all labels that both sides have by now, and the
    next ones are sent by the code that suits its probabilities. What is easy to learn from few
    words is sent in few bits; a control task, though it may be memorised in the end, is not.

    .. math:: L = n_1 \log_2 K - \sum_{b \ge 2} \sum_{i \in b} \log_2 p_{b-1}(y_i \mid x_i)

    Parameters
    ----------
    estimator : classifier instance
        The probe, with ``predict_proba``, or a pipeline that ends in it; cloned for every fit.

    X : array-like of shape (n_samples, n_features) or DataFrame of words
        What `estimator` is fitted on.

    y : array-like of shape (n_samples,)
        The labels.

    fractions : sequence of float, default=(0.001, 0.002, ..., 0.25, 0.5, 1.0)
        The share of the rows sent by the end of each block, ascending up to 1; by default the
        timesteps of [1]_. A block ends with the group in which the share is reached; blocks that
        end there together are one.

    groups : array-like of shape (n_samples,) or None, default=None
        What must stay in one block; for words, ``words["text"]``. A probe that splits inside gets
        them too. Without them the blocks are contiguous, with a warning.

    classes : array-like of shape (n_classes,) or None, default=None
        The labels that there can be, known to both sides. None takes those in `y`.

    shuffle : bool, default=True
        Whether to send the groups in random order. If not, they are sent in the order in which
        they occur, which may be one of topics. Rows without groups are never shuffled.

    decompose : bool, default=False
        Whether to fit a last probe to all labels, and tell the length of the data under it from
        what was spent on learning it. Doubles the work.

    units : {"bits", "voita2020"}, default="bits"
        What to measure in. "voita2020" is for comparison with the figures of [1]_, which its code
        adds up of two units: the first block and the uniform code in bits, but all other blocks in
        *nats*; and gives in thousands of 1024. Its compression is too high by up to 1 / ln 2 = 1.44
        times.

    n_jobs : int or None, default=None
        How many fits to make at a time, in threads.

    verbose : bool or int, default=False
        Whether to show a bar of the fits.

    random_state : int, RandomState instance or None, default=None
        Shuffles the groups. Pass an int to compare layers on the same blocks.

    Returns
    -------
    code : OnlineCode
        With ``codelength``, ``uniform_codelength``, ``compression`` (their ratio), a DataFrame
        ``blocks``, ``to_frame()``, and, if decomposed, ``data_codelength`` and
        ``model_codelength``.

    Raises
    ------
    TypeError
        If the probe has no ``predict_proba``.

    ValueError
        If labels are missing or all the same, fractions do not ascend to 1, or a probability is
        not finite.

    Warns
    -----
    UserWarning
        If there are no groups, or the indexes of X and y share labels, but in another order.

    See Also
    --------
    selectivity_score : Holds accuracy against that on a control.

    Notes
    -----
    A receiver must be able to read the code, so its probabilities sum to 1 over all K classes.
    If u of them were not among the n labels that a probe was fitted to, they share the probability
    u / (n + K), by Laplace's rule, and those of the probe are scaled down to the rest. If the
    labels so far are all of one class, no probe is fitted, and that class gets the rest. Over all,
    each class is given 2\ :sup:`-52`, so that a label that the probe thought impossible costs 52
    bits and not infinitely many.

    The compression of 53.1 in [1]_, for parts of speech in the first layer of ELMo, is about 37 in
    bits, if its units are taken apart by the formula above.

    The rows of a fit are copied, at most all of them once.

    References
    ----------
    .. [1] E. Voita, I. Titov, "Information-Theoretic Probing with Minimum Description Length",
       EMNLP 2020, section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import online_codelength
    >>> rng = np.random.RandomState(0)
    >>> X = rng.randn(2000, 5)
    >>> y, noise = X[:, 0] > 0, rng.randint(2, size=2000)
    >>> for labels in (y, noise):
    ...     code = online_codelength(
    ...         LogisticRegression(C=100), X, labels, groups=range(2000), random_state=0
    ...     )
    ...     print(code.uniform_codelength, code.compression > 10, code.compression < 1)
    2000.0 True False
    2000.0 False True
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"online_codelength needs the probabilities of labels, but {type(estimator).__name__} "
            "has no 'predict_proba'. Use a probe that has, or wrap it in CalibratedClassifierCV."
        )
    check_consistent_length(X, y, groups)
    check_row_order(X, y)
    labels, codes, classes = _check_labels(y, classes)
    order, ends = _blocks(len(labels), groups, _check_fractions(fractions), shuffle, random_state)
    groups = None if groups is None else np.asarray(groups)
    rows = _Rows(X, labels, codes, classes, groups, order)
    costs = _costs(estimator, rows, ends, decompose, n_jobs, verbose)
    return _code(costs, ends, len(classes), decompose, units)


def _check_fractions(fractions):
    values = np.asarray(fractions)
    ascends = values.ndim == 1 and values.dtype.kind in "iuf" and values.size
    if not ascends or values[0] <= 0 or values[-1] != 1 or not (np.diff(values) > 0).all():
        raise ValueError(
            "The 'fractions' parameter of online_codelength must hold fractions of the rows that "
            f"ascend up to 1, such as [0.1, 0.5, 1.0]. Got {fractions!r}."
        )
    return values


def _check_labels(y, classes):
    check_no_missing_labels(y)
    check_classification_targets(y)
    labels = np.asarray(y)
    known = np.unique(labels if classes is None else np.asarray(classes))
    if len(known) < 2:
        raise ValueError(
            f"online_codelength needs two classes at least, got {known.tolist()}: there is nothing "
            "to tell about labels that are all the same."
        )
    codes = np.searchsorted(known, labels)
    wrong = known[np.minimum(codes, len(known) - 1)] != labels
    if wrong.any():
        raise ValueError(
            f"y has the label {labels[wrong].tolist()[0]!r}, at row {int(wrong.argmax())}, which "
            f"is not among the 'classes' ({wrong.sum()} such rows)."
        )
    return labels, codes, known


def _blocks(n_samples, groups, fractions, shuffle, random_state):
    """Put the rows in the order of sending, and tell where blocks end."""
    if groups is None:
        warn_user(
            "online_codelength was given no groups, so a text may be split between a block and "
            "what the probe was fitted to, and equal texts may be in both. Pass "
            'groups=words["text"].',
        )
        order, stops = np.arange(n_samples), np.arange(1, n_samples + 1)
    else:
        codes, names = pd.factorize(pd.Series(groups), use_na_sentinel=False)
        sending = np.arange(len(names))
        if shuffle:
            sending = check_random_state(random_state).permutation(len(names))
        order = np.argsort(np.argsort(sending)[codes], kind="stable")
        stops = np.cumsum(np.bincount(codes)[sending])
    # A share of all rows may come out as slightly more than a whole number of them.
    reached = np.searchsorted(stops, fractions * n_samples * (1 - 1e-12))
    return order, np.unique(stops[reached])


def _costs(estimator, rows, ends, decompose, n_jobs, verbose):
    jobs = [(end, slice(end, stop)) for end, stop in zip(ends[:-1], ends[1:], strict=True)]
    if decompose:
        jobs.append((ends[-1], slice(0, ends[-1])))
    # Threads share X.
    costs = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
        delayed(_cost)(estimator, rows, end, sent) for end, sent in jobs
    )
    with progress_bar(len(jobs), verbose, desc="probing", unit="fit") as bar:
        return counted(bar, costs)


def _cost(estimator, rows, end, sent):
    """Fit to the rows before an end; tell the bits of those sent, and how many have new labels."""
    train, sent = rows.order[:end], rows.order[sent]
    seen = np.unique(rows.codes[train])
    columns = np.full(len(rows.classes), -1)
    columns[seen] = np.arange(len(seen))
    column = columns[rows.codes[sent]]
    is_seen = column >= 0
    chosen = np.ones(len(sent))
    if len(seen) > 1:
        proba = _probabilities(estimator, rows, train, sent, rows.classes[seen])
        chosen = np.take_along_axis(proba, np.maximum(column, 0)[:, None], axis=1)[:, 0]
    n_unseen, n_classes = len(rows.classes) - len(seen), len(rows.classes)
    escape = n_unseen / (len(train) + n_classes)
    chosen = np.where(is_seen, (1 - escape) * chosen, escape / max(1, n_unseen))
    chosen = (1 - n_classes * _FLOOR) * chosen + _FLOOR
    return float(-np.log2(chosen).sum()), int((~is_seen).sum())


def _code(costs, ends, n_classes, decompose, units):
    """Add up the bits of the blocks, and of all rows at once if these come last."""
    sizes = np.diff(ends, prepend=0)
    uniform = np.log2(n_classes) * sizes
    lengths, n_unseen = np.transpose(costs) if costs else np.empty((2, 0))
    if units == "voita2020":
        lengths, uniform = lengths * np.log(2) / 1024, uniform / 1024
    data = float(lengths[-1]) if decompose else None
    sent = np.append(uniform[0], lengths[: len(ends) - 1])
    blocks = pd.DataFrame(
        {
            "fraction": ends / ends[-1],
            "n_train": np.append(0, ends[:-1]),
            "n_samples": sizes,
            "n_unseen": np.append(sizes[0], n_unseen[: len(ends) - 1]).astype(np.intp),
            "codelength": sent,
            "uniform_codelength": uniform,
        }
    )
    total = float(sent.sum())
    return OnlineCode(
        codelength=total,
        uniform_codelength=float(uniform.sum()),
        data_codelength=data,
        model_codelength=total - data if decompose else None,
        units=units,
        blocks=blocks,
    )


def _probabilities(estimator, rows, train, sent, classes):
    groups = None if rows.groups is None else rows.groups[train]
    probe = clone(estimator)
    try:
        fit_with_groups(probe, _safe_indexing(rows.X, train), rows.y[train], groups)
    except ValueError as error:
        error.add_note(
            f"online_codelength was fitting the probe to the first {len(train)} rows. If these are "
            "too few for it, begin with a larger first one of the 'fractions'."
        )
        raise
    proba = np.asarray(probe.predict_proba(_safe_indexing(rows.X, sent)), dtype=np.float64)
    if not np.array_equal(probe.classes_, classes):
        raise ValueError(
            f"The probe was fitted to the classes {classes.tolist()}, but has the classes "
            f"{np.asarray(probe.classes_).tolist()}."
        )
    if not np.isfinite(proba).all() or (proba < 0).any():
        raise ValueError(
            f"{type(estimator).__name__}, fitted to {len(train)} rows, gave probabilities that are "
            "negative or not finite; no label can be sent by these."
        )
    # Single precision sums to 1 only roughly, which would be no code.
    return proba / proba.sum(axis=1, keepdims=True)
