# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Iterable
from numbers import Integral
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import Interval, validate_params

from sklearn_neurox.evaluation._attention_heads._candidates import Candidates
from sklearn_neurox.evaluation._folds import make_folds
from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._labels import check_no_missing_labels
from sklearn_neurox.utils._scores._group_intervals import mean_interval
from sklearn_neurox.utils._validation import (
    check_activations,
)

_CALLER = "attention_head_table"
_ALL = "(all)"
_NAMES = ("attention head", "offset")
_COLUMNS = ["text", "start", "end", "other_start", "other_end", "is_arc", "distance"]


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "X": ["array-like"],
        "pairs": "no_validation",  # may be a table of any library
        "min_count": [Interval(Integral, 1, None, closed="left")],
        "input_features": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def attention_head_table(
    X: ArrayLike,
    pairs: pd.DataFrame,
    *,
    groups: ArrayLike | None = None,
    cv: int | Iterable | BaseCrossValidator | None = None,
    min_count: int = 10,
    confidence: float = 0.95,
    return_words: bool = False,
    input_features: ArrayLike | None = None,
) -> pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]:
    """Find the best attention head for each relation, and score it on held-out texts.

    For each word, an attention head picks the partner with the greatest weight among all other
    words of the sentence. Its accuracy for a relation is the share of the words of this relation
    whose partner, such as their syntactic head, it picks [1]_. The best head is chosen on training
    texts and scored on the others, since the accuracy on the words that it was chosen on is too
    high. The table also has the best fixed offset, such as "the next word", chosen in the same way.

    Parameters
    ----------
    X : array-like of shape (n_pairs, n_features)
        The attention weights of the pairs, from ``ActivationExtractor(...,
        component="attention_weights")``. Other scores of pairs may be used as well; the greatest
        score picks the partner.

    pairs : table of shape (n_pairs, n_columns)
        All pairs of words of every sentence, in both orders, as returned by ``pair_frame(words,
        heads="head", negatives="all")``. Partners that should not be picked, such as punctuation,
        may be left out, for all words of the sentence.

    groups : array-like of shape (n_pairs,) or None, default=None
        The group of each pair. Groups stay in one fold and are treated as independent in the
        intervals. None uses the texts.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation over the pairs. An int, or None for 5, sets the number of folds, which keep
        groups whole.

    min_count : int, default=10
        Relations with fewer words are left out of the table.

    confidence : float, default=0.95
        The confidence level of the intervals.

    return_words : bool, default=False
        Whether to also return the outcome of each word.

    input_features : array-like of str or None, default=None
        The names of the columns. None uses those of a DataFrame, or ``x0``, ``x1``, ...

    Returns
    -------
    table : DataFrame
        One row for all relations together, ``"(all)"``, then one per relation, the most frequent
        first, with the columns:

        - ``relation`` (of all words, if the pairs have no such column);
        - ``n_words``, the number of words that are scored;
        - ``attention_head``, the name of the column of X that is best on all words;
        - ``share_of_folds``, the share of the folds that chose this column;
        - ``accuracy`` of the columns that the folds chose on their held-out words, with the bounds
          ``low`` and ``high`` of its confidence interval;
        - ``offset``, the best fixed offset on all words (negative: the partner comes first);
        - ``offset_accuracy``, ``offset_low``, ``offset_high``: the same for the offsets that the
          folds chose.

        If all words of a relation are in one fold, nothing can be chosen: it has 0 words, and its
        accuracy is NaN.

    words : DataFrame
        Only if ``return_words=True``. Two rows per relation, fold and held-out word, also for
        ``"(all)"``: ``relation``, ``name`` (``"attention head"`` or ``"offset"``), ``choice`` (the
        column or offset that the fold chose), ``fold``, ``n_train`` (words of the relation that it
        was chosen on), ``row`` (of the arc in `pairs`), ``group`` and ``outcome`` (1 if the partner
        is picked). `interval_table` averages such frames, and `compare` tests differences.

    Raises
    ------
    ValueError
        If a column is missing, X is not finite, there are no arcs, a pair is repeated, a word is
        not paired with all others, a word has two groups, or no relation is frequent enough.

    Warns
    -----
    UserWarning
        If a group is on both sides of a split.

    See Also
    --------
    compare : Test whether the head is better than the offset.
    sklearn_neurox.words.pair_frame : Builds the pairs.
    sklearn_neurox.ranking.AveragePrecisionRanker : Ranks all columns by how well their weights tell
        the pairs of a relation from all others.

    Notes
    -----
    If several candidates share the greatest weight, as in a decoder, where nothing attends to later
    words, each gets an equal share of the pick. A word that has several partners in the same
    relation, as for coreference, is right if one of them is picked. Of equally good columns, the
    first is chosen; of equally good offsets, the nearest. The interval is that of a mean over words
    in independent groups, on the logit scale. It takes the columns that the folds chose as given.

    References
    ----------
    .. [1] K. Clark, U. Khandelwal, O. Levy, C. D. Manning, "What Does BERT Look at? An Analysis of
       BERT's Attention", BlackboxNLP 2019, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox import pair_frame, words_frame
    >>> from sklearn_neurox.evaluation import attention_head_table
    >>> sentences = [["the", "old", f"dog{i}", "sleeps"] for i in range(8)]
    >>> trees = {"head": [[3, 3, 4, 0]] * 8, "deprel": [["det", "amod", "nsubj", "root"]] * 8}
    >>> pairs = pair_frame(words_frame(sentences, trees), heads="head", negatives="all")
    >>> X = np.column_stack([pairs["other_position"] == 2, pairs["distance"]])
    >>> table = attention_head_table(X, pairs, min_count=5)
    >>> table[["relation", "attention_head", "accuracy", "offset", "offset_accuracy"]].round(2)
      relation attention_head  accuracy  offset  offset_accuracy
    0    (all)             x0      0.78       1             0.67
    1     amod             x0      1.00       1             1.00
    2      det             x0      1.00       2             1.00
    3    nsubj             x1      1.00       1             1.00
    """
    pairs, X, groups = matching_rows(_CALLER, pairs=pairs, X=X, groups=groups)
    pairs = read_frame(pairs, _COLUMNS, caller=_CALLER, name="pairs").reset_index(drop=True)
    weights, names = check_activations(X, input_features=input_features, caller=_CALLER)
    names = np.array([f"x{i}" for i in range(weights.shape[1])]) if names is None else names
    is_arc, relation = _labels(pairs)
    groups = pairs["text"] if groups is None else groups
    folds = make_folds(cv, weights, relation.astype(str), groups, classes=False, caller=_CALLER)
    candidates = Candidates(pairs, is_arc, _CALLER)
    codes = pd.factorize(np.asarray(groups, dtype=object))[0]
    _check_groups(codes, candidates)
    offsets, by_offset = _offsets(pairs["distance"].to_numpy()[candidates.arcs])
    task = _Task(candidates, folds, codes, confidence)
    sides = (candidates.picked(weights), names), (by_offset, offsets)
    parts = [
        _score(task, sides, label, arcs)
        for label, arcs in _relations(relation[candidates.arcs], candidates.word, min_count)
    ]
    table = pd.DataFrame([row for row, _ in parts])
    if not return_words:
        return table
    words = pd.concat([own for _, own in parts], ignore_index=True)
    words.insert(6, "group", np.asarray(groups, dtype=object)[words["row"].to_numpy()])
    return table, words


class _Task(NamedTuple):
    candidates: Candidates
    folds: list
    groups: np.ndarray  # the codes of the groups of the pairs
    confidence: float


def _labels(pairs):
    """Return which pairs are arcs, and the relation of each pair."""
    is_arc = pairs["is_arc"].to_numpy()
    if is_arc.dtype != bool:
        raise ValueError(
            f"The column 'is_arc' of the pairs given to {_CALLER} must contain bools, got "
            f"{is_arc.dtype}."
        )
    if not is_arc.any():
        raise ValueError(f"The pairs given to {_CALLER} have no arcs: no row has is_arc=True.")
    if "relation" not in pairs:
        return is_arc, np.full(len(pairs), _ALL, dtype=object)
    relation = pairs["relation"].to_numpy(dtype=object)
    check_no_missing_labels(relation[is_arc], input_name="The relation of the arcs")
    return is_arc, relation


def _check_groups(codes, candidates):
    """Raise an error if the arcs of a word are in two groups."""
    first = pd.Series(codes[candidates.arcs]).groupby(candidates.word).transform("first")
    differ = np.flatnonzero(codes[candidates.arcs] != first)
    if len(differ):
        raise ValueError(
            f"The 'groups' parameter of {_CALLER} puts pairs of one word into two groups (row "
            f"{candidates.arcs[differ[0]]}). Pass the text of each pair, or larger groups."
        )


def _offsets(distance):
    """Return the offsets between words, the nearest first, and which of them each arc has."""
    offsets = np.unique(distance)
    offsets = offsets[np.lexsort([offsets, np.abs(offsets)])]
    return offsets, (distance[:, np.newaxis] == offsets).astype(np.float64)


def _relations(relation, word, min_count):
    """List the relations that have enough words, the most frequent first, and their arcs."""
    codes, labels = pd.factorize(relation, sort=True)
    n_words = [len(np.unique(word[codes == code])) for code in range(len(labels))]
    frequent = [
        (labels[code], np.flatnonzero(codes == code))
        for code in sorted(range(len(labels)), key=lambda code: -n_words[code])
        if n_words[code] >= min_count
    ]
    if not frequent:
        raise ValueError(
            f"No relation given to {_CALLER} has {min_count} words; the most frequent has "
            f"{max(n_words)}. Lower 'min_count', or give more texts."
        )
    if list(labels) == [_ALL]:
        return frequent
    return [(_ALL, np.arange(len(relation))), *frequent]


def _score(task, sides, label, arcs):
    """Return the row of a relation, and a frame of its scored words."""
    # Of a word with several partners, each column picks at most one.
    _, first, codes = np.unique(task.candidates.word[arcs], return_index=True, return_inverse=True)
    rows = task.candidates.arcs[arcs[first]]
    of_word = csr_array((np.ones(len(arcs)), (codes, np.arange(len(arcs)))))
    table, row = [], {"relation": label}
    for (picked, names), name, prefix in zip(sides, _NAMES, ("", "offset_"), strict=True):
        best, share, words = _held_out(of_word @ picked[arcs], task.folds, rows, names)
        found = mean_interval(
            words["outcome"],
            pd.factorize(task.groups[words["row"]])[0],
            scale="logit",
            confidence=task.confidence,
        )
        if not prefix:
            row |= {"n_words": words["row"].nunique(), "attention_head": best}
            row |= {"share_of_folds": share}
        else:
            row |= {"offset": best}
        bounds = zip(("accuracy", "low", "high"), found, strict=True)
        row |= {f"{prefix}{end}": value for end, value in bounds}
        words.insert(0, "relation", label)
        words.insert(1, "name", name)
        table.append(words)
    return row, pd.concat(table)


def _held_out(picked, folds, rows, names):
    """Choose a column on each training part, and score it on the words of the test part.

    Returns
    -------
    name : object
        The best column on all words.

    share : float
        The share of the folds that chose it; NaN if none could choose.

    words : DataFrame
        The outcome of each held-out word of each fold.
    """
    best = _first_best(picked)
    parts, chosen = [], []
    for fold, (train, test) in enumerate(folds):
        in_train, in_test = np.isin(rows, train), np.isin(rows, test)
        if not in_train.any() or not in_test.any():
            continue
        chosen.append(_first_best(picked[in_train]))
        own = {"choice": names[chosen[-1]], "fold": fold, "n_train": int(in_train.sum())}
        own |= {"row": rows[in_test], "outcome": picked[in_test, chosen[-1]]}
        parts.append(pd.DataFrame(own))
    share = np.mean(np.equal(chosen, best)) if chosen else np.nan
    columns = ["choice", "fold", "n_train", "row", "outcome"]
    empty = pd.DataFrame({name: np.empty(0, dtype=int) for name in columns})
    return names[best], share, pd.concat(parts) if parts else empty


def _first_best(picked):
    """Return the first of the columns with the highest mean, up to rounding."""
    means = picked.mean(axis=0)
    return int((means > means.max() - 1e-10).argmax())
