# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Mapping
from hashlib import blake2b
from numbers import Integral

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.multiclass import check_classification_targets

from sklearn_neurox.utils._validation import check_no_missing_labels


@validate_params(
    {
        "words": ["array-like"],
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
    r"""Draw a random label for every word type, as the control of a probe.

    Such labels are in no representation: a probe gets them right only by memorising the types it
    was trained on. What it gets right of them says how much of its accuracy on the task may be its
    own doing.

    The label of a type is a pure function of the type, the distribution and ``random_state``, by a
    cryptographic hash. So it is the same in training and test rows, whatever other rows are there,
    and in every process, on every machine.

    Parameters
    ----------
    words : DataFrame of words or array-like of shape (n_words,)
        The frame, whose column ``word`` has the types (or whose column ``position`` the positions);
        or the types, such as ``words["lemma"]``, or the positions themselves.

    y : array-like of shape (n_words,) or None, default=None
        The labels of the task, which give the control its classes. Only for
        ``distribution="empirical"`` and ``"uniform"``.

    kind : {"type", "position"}, default="type"
        What gets a label: every word type; or every position in the sentence, from 0, whatever word
        is there. The latter asks for memory of where words stand, which a representation may well
        have.

    distribution : {"empirical", "uniform"}, mapping or Series, default="empirical"
        How labels are drawn: as frequent as in `y`, or all labels of `y` alike; or by the
        probability of each label, such as ``y.value_counts(normalize=True)``. See Notes for when to
        give it.

    case_sensitive : bool, default=True
        Whether words that differ in case only are different types. If not, types are compared by
        ``str.casefold``.

    random_state : int, default=0
        Which of the many controls to draw.

    Returns
    -------
    control_y : Series of shape (n_words,)
        The labels, called ``"control"``, indexed as `words`.

    Raises
    ------
    TypeError
        For types that are no strings, or positions that are no integers.

    ValueError
        If there are no labels to draw from, fewer than two classes, one is missing, or a
        probability is negative or not finite.

    See Also
    --------
    selectivity_score : Compares a probe on the task and on the control.
    ControlTaskClassifier : The same inside a search.

    Notes
    -----
    A subset of the rows has other frequencies in `y`, and maybe fewer classes, so that a few types
    get another label than among all rows. Either draw the control for all rows and choose rows
    then, or say the distribution. A label changes only where the distribution does: type :math:`t`
    gets the label :math:`\arg\min_l -\log(u_{tl}) / p_l`, with :math:`u_{tl}` in (0, 1) from the
    hash of the two and :math:`p_l` the probability, so that each label wins with its probability
    [2]_.

    The type control is that of [1]_ for parts of speech. Their other one, for heads of dependency
    arcs, lets each type attach to itself, to the first or to the last word. Labels of words know no
    heads; what remains of it is an answer that depends on places, and ``kind="position"`` draws
    that with the classes of the task.

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
    keys = _keys(words, kind, case_sensitive)
    if y is not None:
        check_consistent_length(keys, y)
    classes, probabilities = _classes(y, distribution)
    # Not pd.factorize, which holds strings apart only up to their first NUL character.
    codes: dict[str, int] = {}
    rows = np.array([codes.setdefault(key, len(codes)) for key in keys], dtype=np.intp)
    races = -np.log(_uniform(list(codes), classes, random_state)) / probabilities
    drawn = races.argmin(axis=1)[rows]
    index = words.index if isinstance(words, pd.DataFrame | pd.Series) else None
    return pd.Series(classes[drawn], index=index, name="control")


def _keys(words, kind, case_sensitive):
    column = {"type": "word", "position": "position"}[kind]
    if isinstance(words, pd.DataFrame):
        if column not in words.columns:
            raise ValueError(
                f"kind={kind!r} of control_labels needs the column {column!r}, but the frame has "
                f"{list(words.columns)}. Give the column to use instead of the frame."
            )
        words = words[column]
    values = np.asarray(words, dtype=object)
    if values.ndim != 1:
        raise ValueError(
            f"control_labels needs a frame of words or a flat list, got shape {values.shape}."
        )
    expected = str if kind == "type" else Integral
    wrong = next((i for i, value in enumerate(values) if not isinstance(value, expected)), None)
    if wrong is not None:
        raise TypeError(
            f"kind={kind!r} of control_labels takes {'str' if kind == 'type' else 'int'} values, "
            f"got {values[wrong]!r} at row {wrong}."
        )
    if kind == "type" and not case_sensitive:
        return [value.casefold() for value in values]
    return [str(value) for value in values]


def _classes(y, distribution):
    """Give the classes and their probabilities, as arrays."""
    if not isinstance(distribution, str):
        labels = pd.Series(dict(distribution), dtype=np.float64)
        classes, weights = labels.index.to_numpy(), labels.to_numpy()
    elif y is None:
        raise ValueError(
            f"distribution={distribution!r} of control_labels is that of y, which is missing. Give "
            "y, or the probability of every label as a mapping."
        )
    else:
        check_no_missing_labels(y)
        check_classification_targets(y)
        classes, weights = np.unique(np.asarray(y), return_counts=True)
        weights = np.ones(len(classes)) if distribution == "uniform" else weights.astype(float)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise ValueError(
            "The 'distribution' parameter of control_labels must hold finite probabilities, not "
            f"negative, got {weights[wrong][0]} for {classes[wrong][0]!r}."
        )
    classes, weights = classes[weights > 0], weights[weights > 0]
    if len(classes) < 2:
        raise ValueError(
            f"control_labels needs two classes to draw from, at least; got {classes.tolist()}."
        )
    return classes, weights / weights.sum()


def _uniform(types, classes, random_state):
    """Hash every type with every class to a number in (0, 1)."""
    salt = str(int(random_state)).encode()
    hashed = _hashes(types, salt)[:, None] ^ _hashes(classes, salt)
    # One hash a pair would take a second per million: mix those of the two instead, with the
    # finalizer of SplitMix64, all bits of which depend on all bits.
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        hashed = (hashed ^ (hashed >> np.uint64(shift))) * np.uint64(factor)
    hashed ^= hashed >> np.uint64(31)
    return ((hashed >> np.uint64(12)) + 0.5) / 2**52


def _hashes(values, salt):
    # A surrogate on its own is a legal str, but not of UTF-8.
    texts = (str(value).encode("utf-8", "surrogatepass") for value in values)
    digests = b"".join(blake2b(text, digest_size=8, key=salt).digest() for text in texts)
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)
