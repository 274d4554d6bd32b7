# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, StrOptions, validate_params
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._codelength._online_code import OnlineCode
from sklearn_neurox.evaluation._codelength._penalties import read_penalties, tuned
from sklearn_neurox.evaluation._fits import run_fits
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.evaluation._label_costs import (
    check_has_probabilities,
    label_costs,
    labeled_rows,
)
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._counts import COUNT_CONSTRAINTS, check_counts
from sklearn_neurox.utils._labels import check_groups, check_no_missing_groups
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.utils._scores._scored_rows import group_codes, outcome_frame
from sklearn_neurox.utils._warn_user import warn_user

# The fractions used in the paper.
_FRACTIONS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.0625, 0.125, 0.25, 0.5, 1.0)

# What the lengths in bits are multiplied by: the published ones are in nats.
_UNITS = {"bits": 1.0, "voita2020": np.log(2) / 1024}


class _Sent(NamedTuple):
    """The bits of encoded rows, whether their labels were known, and the penalty of the probe."""

    bits: np.ndarray
    is_seen: np.ndarray
    alpha: float | None


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "estimator": [HasMethods(["fit"])],
        "fractions": [*COUNT_CONSTRAINTS[:2], "array-like"],
        "classes": ["array-like", None],
        "alpha": [StrOptions({"auto"}), "array-like", None],
        "shuffle": ["boolean"],
        "decompose": ["boolean"],
        "units": [StrOptions({"bits", "voita2020"})],
    },
    prefer_skip_nested_validation=False,
)
def online_codelength(
    estimator: BaseEstimator,
    X: ArrayLike | pd.DataFrame,
    y: ArrayLike,
    *,
    fractions: Sequence[int | float] = _FRACTIONS,
    groups: ArrayLike | None = None,
    classes: ArrayLike | None = None,
    alpha: str | ArrayLike | None = None,
    shuffle: bool = True,
    decompose: bool = False,
    units: str = "bits",
    confidence: float = 0.95,
    return_words: bool = False,
    n_jobs: int | None = None,
    verbose: bool | int = False,
    random_state: int | np.random.RandomState | None = None,
) -> OnlineCode | tuple[OnlineCode, pd.DataFrame]:
    r"""Measure the description length of the labels, given the activations, by an online code.

    The online code encodes the labels block by block, using a probe trained on the earlier blocks;
    easy labels need fewer bits. The first block uses a uniform code. Each later block is encoded
    with the predicted probabilities of a probe that was fitted to all earlier blocks. The code is
    short if the labels can be learned from few words. It is not short for a control task, even if
    the probe can eventually memorize the task.

    .. math:: L = n_1 \log_2 K - \sum_{b \ge 2} \sum_{i \in b} \log_2 p_{b-1}(y_i \mid x_i)

    Parameters
    ----------
    estimator : classifier instance
        The probe, which needs ``predict_proba``, or a pipeline that ends in it; cloned for each
        fit.

    X : array-like of shape (n_samples, n_features) or DataFrame of words
        Data to fit `estimator` on.

    y : array-like of shape (n_samples,)
        Labels.

    fractions : sequence of float or int, default=(0.001, 0.002, ..., 0.25, 0.5, 1.0)
        How many rows are encoded by the end of each block: fractions of the rows, as floats, or
        numbers of rows, as ints. They ascend to 1.0 or to the number of all rows; the default is
        that of [1]_. A block ends with the group in which the fraction is reached; blocks that
        would end with the same group are merged.

    groups : array-like of shape (n_samples,) or None, default=None
        Group labels; each group stays in one block. For words, use ``words["text"]``. They are also
        passed to a probe that accepts them. Without groups, the blocks are contiguous, and a
        warning is issued.

    classes : array-like of shape (n_classes,) or None, default=None
        All possible labels. None uses the labels in `y`.

    alpha : "auto", array-like of float or None, default=None
        Penalties to choose from, separately for each block: the values of the parameter ``alpha``
        of the probe, or of the last step of a pipeline. ``"auto"`` tries 1e-4 to 1e-1 in half
        decades. None uses the probe as it is. See Notes.

    shuffle : bool, default=True
        Whether to encode the groups in random order. If False, they are encoded in order of
        appearance, which may follow topics. Without groups, rows are never shuffled.

    decompose : bool, default=False
        Whether to also fit a probe to all labels, in order to separate the length of the data under
        this probe from the cost of learning the probe. Doubles the work.

    units : {"bits", "voita2020"}, default="bits"
        Unit of the lengths. "voita2020" is only for comparison with the figures in [1]_. The code
        of that paper mixes units: the first block and the uniform code are in bits, but all other
        blocks are in *nats*, and all lengths are divided by 1024. This overestimates the
        compression by a factor of up to 1 / ln 2 = 1.44.

    confidence : float, default=0.95
        Confidence level of the interval, in (0, 1).

    return_words : bool, default=False
        Whether to also return the bits of each word.

    n_jobs : int or None, default=None
        Number of parallel fits, in threads.

    verbose : bool or int, default=False
        Whether to show a progress bar over fits.

    random_state : int, RandomState instance or None, default=None
        Seed for shuffling the groups. Pass an int to compare layers on the same blocks.

    Returns
    -------
    code : OnlineCode
        Result with ``codelength``, ``uniform_codelength``, ``compression`` (uniform divided by
        online), the DataFrame ``blocks`` and the method ``to_frame``; with ``decompose=True`` also
        with ``data_codelength`` and ``model_codelength``. ``low`` and ``high`` are the confidence
        interval of ``codelength``, missing without groups.

    of_words : DataFrame
        Only with ``return_words``. One row per word, in the order of the code, with the columns
        ``block``, ``n_train`` (the number of words before the block), ``row`` (the number of the
        word in X), ``group`` and ``outcome``, the length of its label in the given units. `compare`
        takes the frames of two layers with the same ``random_state``.

    Raises
    ------
    TypeError
        If the probe has no ``predict_proba``.

    ValueError
        If labels are missing or all the same, fractions do not ascend to 1, or a probability is
        negative or not finite.

    Warns
    -----
    UserWarning
        If there are no groups, or the indexes of X and y share labels in different orders.

    See Also
    --------
    selectivity_score : Compare the accuracy with that on a control task.

    Notes
    -----
    For the code to be decodable, its probabilities must sum to 1 over all K classes. If u classes
    do not occur among the n labels that a probe was fitted to, they share the probability
    u / (n + K), by Laplace's rule, and the probabilities of the probe are scaled down accordingly.
    If all labels so far have the same class, no probe is fitted, and that class gets all of the
    remaining probability. Finally, 2\ :sup:`-52` is mixed in for each class, so that a label that
    the probe rules out costs 52 bits rather than infinitely many.

    With ``alpha``, the words before each block choose its penalty. The last quarter of them (or
    more, to keep groups whole) is held out, and a probe with each penalty is fitted to the others.
    The penalty that encodes the held-out words in the fewest bits is used to fit the probe of the
    block to all words before it. Penalties are tried from strong to weak, until two in a row are no
    better than the best. If all words would be held out, the penalty is the middle one. The
    receiver of the code knows all of these labels, and so finds the same penalty.
    A fixed penalty is too strong for some blocks and too weak for others, which lengthens the code
    by an amount that says nothing about the activations and depends on how many bits the labels
    need.

    The interval shows how the length would vary with other texts, for the same probes. It is that
    of the mean of the bits of the words after the first block, on a log scale, by groups (see
    `interval_table`), times their number, plus the length of the first block.

    The compression of 53.1 in [1]_, for parts of speech in the first layer of ELMo, corresponds to
    about 37 if all blocks are measured in bits.

    Each fit works on a copy of its training rows.

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
    check_has_probabilities(estimator, "online_codelength")
    X, y, groups = matching_rows("online_codelength", X=X, y=y, groups=groups)
    check_groups(groups, "online_codelength")
    if groups is not None:
        check_no_missing_groups(groups, "online_codelength")
    rows = labeled_rows(X, y, classes, groups, caller="online_codelength")
    n_encoded = _check_fractions(fractions, len(rows.y))
    order, ends = _blocks(len(rows.y), groups, n_encoded, shuffle, random_state)
    penalties = read_penalties(alpha, estimator, "online_codelength")
    sent = _costs(estimator, penalties, rows, order, ends, decompose, n_jobs, verbose)
    sent.insert(
        0, _Sent(np.full(ends[0], np.log2(len(rows.classes))), np.zeros(ends[0], bool), None)
    )
    bits = [one.bits * _UNITS[units] for one in sent]
    # The published first block is in bits.
    bits[0] = sent[0].bits * (1 if units == "bits" else 1 / 1024)
    blocks = np.split(order, ends[:-1])
    code = _code(sent, bits, ends, decompose, units)
    codes = group_codes(groups)
    if codes is not None:
        low, high = _interval(bits, codes[order], ends, confidence)
        code = replace(code, low=low, high=high)
    if not return_words:
        return code
    starts = [0, *ends[:-1]]
    parts = [
        ({"block": number}, n_train, own, {"outcome": length})
        for number, (n_train, own, length) in enumerate(
            zip(starts, blocks, bits[: len(blocks)], strict=True)
        )
    ]
    return code, outcome_frame(parts, groups)


def _check_fractions(fractions, n_samples):
    """Return how many rows are encoded by the end of each block, not rounded."""
    listed = check_counts(fractions, caller="online_codelength", parameter="fractions", of="rows")
    values = np.array([one if isinstance(one, Integral) else one * n_samples for one in listed])
    if values[-1] != n_samples or not (np.diff(values) > 0).all():
        raise ValueError(
            "The 'fractions' parameter of online_codelength must contain ascending fractions of "
            f"the rows that end with 1.0, such as [0.1, 0.5, 1.0], or numbers of rows that end "
            f"with all {n_samples}; got {fractions!r}. The int 1 is one row, and the float 1.0 is "
            "all rows."
        )
    return values


def _blocks(n_samples, groups, n_encoded, shuffle, random_state):
    """Return the order in which to encode the rows, and where the blocks end."""
    if groups is None:
        warn_user(
            "online_codelength was given no groups, so a text may be split between a block and "
            "the rows that its probe is fitted to, and repeated texts may be in both. Pass "
            'groups=words["text"].'
        )
        order, stops = np.arange(n_samples), np.arange(1, n_samples + 1)
    else:
        codes, names = pd.factorize(pd.Series(groups), use_na_sentinel=False)
        sequence = np.arange(len(names))
        if shuffle:
            sequence = check_random_state(random_state).permutation(len(names))
        order = np.argsort(np.argsort(sequence)[codes], kind="stable")
        stops = np.cumsum(np.bincount(codes)[sequence])
    # Rounding may push a fraction of the rows slightly above a whole number.
    reached = np.searchsorted(stops, n_encoded * (1 - 1e-12))
    return order, np.unique(stops[reached])


def _costs(estimator, penalties, rows, order, ends, decompose, n_jobs, verbose):
    """Encode every block but the first and, with decompose, all rows, which come last."""
    blocks = [(end, slice(end, stop)) for end, stop in zip(ends[:-1], ends[1:], strict=True)]
    if decompose:
        blocks.append((ends[-1], slice(0, ends[-1])))
    jobs = [
        delayed(_send)(estimator, penalties, rows, order[:end], order[block])
        for end, block in blocks
    ]
    return list(run_fits(jobs, n_jobs, verbose))


def _send(estimator, penalties, rows, train, sent):
    """Fit to the rows before a block; return the bits of its rows, and which labels are known."""
    note = (
        f"online_codelength was fitting the probe to the first {len(train)} rows. If these are "
        "too few for it, use a larger first fraction in 'fractions'."
    )
    value = None
    if penalties is not None:
        estimator = tuned(estimator, penalties, rows, train, note=note)
        value = estimator.get_params()[penalties[1]]
    return _Sent(*label_costs(estimator, rows, train, sent, note=note), value)


def _interval(bits, codes, ends, confidence):
    """Return the bounds of the code length; the first block is the same for all texts."""
    later = np.concatenate(bits[: len(ends)])[ends[0] :]
    found = mean_interval(later, codes[ends[0] :], scale="log", confidence=confidence)
    return tuple(bits[0].sum() + len(later) * np.array([found.low, found.high]))


def _code(sent, bits, ends, decompose, units):
    """Collect the lengths of the blocks and, with decompose, of all rows, which come last."""
    sizes, n_blocks = np.diff(ends, prepend=0), len(ends)
    lengths = np.array([own.sum() for own in bits])
    uniform = bits[0][0] * sizes
    blocks = pd.DataFrame(
        {
            "fraction": ends / ends[-1],
            "n_train": np.append(0, ends[:-1]),
            "n_samples": sizes,
            "n_unseen": [int((~one.is_seen).sum()) for one in sent[:n_blocks]],
            "codelength": lengths[:n_blocks],
            "uniform_codelength": uniform,
        }
    )
    if any(one.alpha is not None for one in sent):
        blocks["alpha"] = [one.alpha for one in sent[:n_blocks]]
    total, data = float(lengths[:n_blocks].sum()), float(lengths[-1])
    return OnlineCode(
        codelength=total,
        uniform_codelength=float(uniform.sum()),
        data_codelength=data if decompose else None,
        model_codelength=total - data if decompose else None,
        units=units,
        blocks=blocks,
    )
