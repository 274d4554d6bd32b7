# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from hashlib import blake2b
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params

from sklearn_neurox.utils._containers import read_frame, to_pandas
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels
from sklearn_neurox.utils._unique_in_order import unique_in_order
from sklearn_neurox.utils._validation import check_row_order
from sklearn_neurox.utils._warn_user import warn_user


@validate_params(
    {
        "words": "no_validation",  # may be a table of any library
        "y": ["array-like", None],
        "kind": [StrOptions({"type", "position"})],
        "distribution": [StrOptions({"empirical", "uniform"}), Mapping, pd.Series],
        "case_sensitive": ["boolean"],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
    },
    prefer_skip_nested_validation=True,
)
def control_labels(
    words: pd.DataFrame | ArrayLike,
    y: ArrayLike | None = None,
    *,
    kind: str = "type",
    distribution: str | Mapping | pd.Series = "empirical",
    case_sensitive: bool = True,
    random_state: int = 0,
) -> pd.Series:
    r"""Draw a random label for each word type, as a control task for a probe.

    No representation contains these labels, so a probe can predict them only by memorizing the
    types it was trained on. Its accuracy on them shows how much of its accuracy on the task may be
    due to the probe itself.

    The label of a type depends only on the type, the distribution and ``random_state``, through a
    cryptographic hash. It is therefore the same in training and test rows, whatever other rows are
    present, in any process and on any machine.

    Parameters
    ----------
    words : table of words or array-like of shape (n_words,)
        A frame of words, whose column ``word`` (or ``position``) is used; or the types themselves,
        such as ``words["lemma"]``, or the positions themselves.

    y : array-like of shape (n_words,) or None, default=None
        Labels of the task, which provide the classes of the control. Only used with
        ``distribution="empirical"`` and ``"uniform"``.

    kind : {"type", "position"}, default="type"
        Whether to draw a label for each word type, or for each position in the sentence (from 0),
        regardless of the word. The latter tests memory for word positions, which a representation
        may well contain.

    distribution : {"empirical", "uniform"}, mapping or Series, default="empirical"
        Distribution of the labels. ``"empirical"`` uses their frequencies in `y`; ``"uniform"``
        gives all labels in `y` the same probability; a mapping or Series contains the probability
        of each label, such as ``y.value_counts(normalize=True)``. See Notes for when to pass one.

    case_sensitive : bool, default=True
        Whether words that differ only in case are different types. If False, types are compared by
        ``str.casefold``.

    random_state : int, default=0
        Seed; different seeds draw different controls.

    Returns
    -------
    control_y : Series of shape (n_words,)
        The control labels, named ``"control"``, with the index of `words`.

    Raises
    ------
    TypeError
        If a type is not a string or a position is not an integer.

    ValueError
        If there are no labels to draw from, there are fewer than two classes, a label is missing,
        or a probability is negative or not finite.

    Warns
    -----
    UserWarning
        If all rows have the same type, and so the same control label; or if the indexes of `words`
        and y share labels in different orders.

    See Also
    --------
    selectivity_score : Compare a probe on the task and on the control.
    ControlTaskClassifier : Do the same inside a search.
    control_heads : The control task for dependency arcs.

    Notes
    -----
    A subset of the rows has different label frequencies in `y`, and possibly fewer classes, so a
    few types get a different label than they do among all rows. To avoid this, draw the control for
    all rows and select rows afterwards, or pass the distribution. A label changes only if the
    distribution does: type :math:`t` gets the label :math:`\arg\min_l -\log(u_{tl}) / p_l`, where
    :math:`u_{tl}` in (0, 1) is derived from the hashes of type and label, and :math:`p_l` is the
    probability of the label. Each label therefore wins with its probability [2]_.

    The type control is the one that the authors of [1]_ use for parts of speech. Their second
    control, for heads of dependency arcs, is `control_heads`; ``kind="position"`` keeps its idea
    that the answer depends on the position, with the classes of the task.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.
    .. [2] P. Efraimidis, P. Spirakis, "Weighted random sampling with a reservoir", Information
       Processing Letters 97(5), 2006.

    Examples
    --------
    >>> from sklearn_neurox.evaluation import control_labels
    >>> y = ["DET", "NOUN", "VERB", "DET", "NOUN"]
    >>> control_labels(["the", "dog", "saw", "the", "cat"], y).tolist()
    ['VERB', 'DET', 'DET', 'VERB', 'NOUN']
    """
    words, y = to_pandas(words), to_pandas(y)
    keys = _keys(words, kind, case_sensitive)
    if y is not None:
        check_consistent_length(keys, y)
        check_row_order(words=words, y=y)
    classes, probabilities = _classes(y, distribution)
    types, codes = unique_in_order(keys)
    if len(types) == 1 < len(codes):
        warn_user(
            f"All {len(codes)} rows have the same type, {types[0]!r}, so they all get the same "
            "control label. Pass other types to control_labels. If the rows are the ends of "
            "prompts, pass the prompts."
        )
    races = -np.log(_uniform(types, classes, random_state)) / probabilities
    drawn = races.argmin(axis=1)[codes]
    index = words.index if isinstance(words, pd.DataFrame | pd.Series) else None
    return pd.Series(classes[drawn], index=index, name="control")


def _keys(words, kind, case_sensitive):
    column = {"type": "word", "position": "position"}[kind]
    if isinstance(words, pd.DataFrame):
        if column not in words.columns:
            raise ValueError(
                f"control_labels(kind={kind!r}) needs the column {column!r}, but the frame has "
                f"{list(words.columns)}. Pass the column to use instead of the frame."
            )
        words = read_frame(words, caller="control_labels")[column]
    values = np.asarray(words, dtype=object)
    if values.ndim != 1:
        raise ValueError(
            f"control_labels needs a frame of words or a flat list, got shape {values.shape}."
        )
    expected = str if kind == "type" else Integral
    wrong = next((i for i, value in enumerate(values) if not isinstance(value, expected)), None)
    if wrong is not None:
        raise TypeError(
            f"control_labels(kind={kind!r}) takes {'str' if kind == 'type' else 'int'} values, "
            f"but got {values[wrong]!r} at row {wrong}."
        )
    if kind == "type" and not case_sensitive:
        return [value.casefold() for value in values]
    return [str(value) for value in values]


def _classes(y, distribution):
    """Return the classes and their probabilities, as arrays."""
    if not isinstance(distribution, str):
        labels = pd.Series(dict(distribution), dtype=np.float64)
        classes, weights = labels.index.to_numpy(), labels.to_numpy()
    elif y is None:
        raise ValueError(
            f"control_labels(distribution={distribution!r}) uses the labels in y, which is None. "
            "Pass y, or a mapping with the probability of each label."
        )
    else:
        check_no_missing_labels(y)
        check_class_labels(y)
        classes, weights = np.unique(np.asarray(y), return_counts=True)
        weights = np.ones(len(classes)) if distribution == "uniform" else weights.astype(float)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise ValueError(
            "The 'distribution' parameter of control_labels must contain finite, non-negative "
            f"probabilities, got {weights[wrong][0]} for {classes[wrong][0]!r}."
        )
    classes, weights = classes[weights > 0], weights[weights > 0]
    if len(classes) < 2:
        raise ValueError(
            f"control_labels needs at least two classes to draw from, got {classes.tolist()}."
        )
    return classes, weights / weights.sum()


def _uniform(types, classes, random_state):
    """Hash each pair of a type and a class to a number in (0, 1)."""
    salt = str(int(random_state)).encode()
    hashed = _hashes(types, salt)[:, None] ^ _hashes(classes, salt)
    # Hashing each pair would take a second per million pairs. Instead, mix the hashes of type and
    # class with the finalizer of SplitMix64, in which each output bit depends on all input bits.
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        hashed = (hashed ^ (hashed >> np.uint64(shift))) * np.uint64(factor)
    hashed ^= hashed >> np.uint64(31)
    return ((hashed >> np.uint64(12)) + 0.5) / 2**52


def _hashes(values, salt):
    # Lone surrogates are valid in a str, but not in UTF-8.
    texts = (str(value).encode("utf-8", "surrogatepass") for value in values)
    digests = b"".join(blake2b(text, digest_size=8, key=salt).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
