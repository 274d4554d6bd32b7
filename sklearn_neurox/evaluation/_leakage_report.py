# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils._param_validation import validate_params

from sklearn_neurox.evaluation._inputs import matching_rows
from sklearn_neurox.utils._constraints import MEASUREMENT_CONSTRAINTS
from sklearn_neurox.utils._containers import read_frame
from sklearn_neurox.utils._folds import make_splitter, split_rows
from sklearn_neurox.utils._warn_user import warn_user
from sklearn_neurox.utils._word_columns import word_forms


@validate_params(
    {
        **MEASUREMENT_CONSTRAINTS,
        "words": "no_validation",  # may be a table of any library
        "y": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def leakage_report(
    words: pd.DataFrame,
    cv: int | Iterable | BaseCrossValidator | None = None,
    *,
    y: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> pd.DataFrame:
    """Count the sentences and word types that test folds share with their training rows.

    A test word whose whole sentence also occurs in training has exactly the same activations there,
    so a probe only has to remember it. Any two texts share word types; the share of seen types
    limits how much a probe can get right by remembering types, and control tasks measure how much
    it actually remembers.

    Parameters
    ----------
    words : DataFrame, or another table, with the columns ``text`` and ``word``
        A frame of words.

    cv : int, cross-validation generator, iterable or None, default=None
        Cross-validation. An int, or None for 5, sets the number of folds, which keep ``groups``
        whole; without groups the folds are contiguous, and a warning is issued. An iterable yields
        (train, test) row indices.

    y : array-like of shape (n_words,) or None, default=None
        Labels, for stratified splitters.

    groups : array-like of shape (n_words,) or None, default=None
        Group labels, for splitters that use groups.

    Returns
    -------
    report : DataFrame of shape (n_folds, 13 or 14)
        One row per fold:

        - ``fold``, ``n_train_words``, ``n_test_words``;
        - ``n_test_texts``, ``n_shared_texts`` (test texts that occur verbatim in training),
          ``n_words_shared_text`` (test words in them) and ``share_shared_text`` (their share of all
          test words);
        - ``n_test_types``, ``n_seen_types`` (test word types that also occur in training),
          ``n_words_seen_type`` and ``share_seen_type`` (test words of these types), case-sensitive;
        - ``n_words_seen_type_casefold`` and ``share_seen_type_casefold``, the same ignoring case;
        - with ``groups``: ``n_shared_groups``.

    Raises
    ------
    ValueError
        If a column is missing, or a fold has no training or no test words.

    Warns
    -----
    UserWarning
        If a test sentence also occurs in training; the message explains how to use groups.

    See Also
    --------
    baseline_table : Score a baseline that remembers word types.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> from sklearn_neurox.evaluation import leakage_report
    >>> from sklearn_neurox.words import words_frame
    >>> words = words_frame([["The", "dog"], ["the", "cat"], ["A", "dog"]])
    >>> report = leakage_report(words, cv=3, groups=words["text"])
    >>> report[["n_shared_texts", "share_seen_type", "share_seen_type_casefold"]]
       n_shared_texts  share_seen_type  share_seen_type_casefold
    0               0              0.5                       0.5
    1               0              0.0                       0.5
    2               0              0.5                       1.0
    """
    words = read_frame(words, ["text", "word"], caller="leakage_report")
    forms = word_forms(words, caller="leakage_report")
    words, y, groups = matching_rows("leakage_report", words=words, y=y, groups=groups)
    splitter = make_splitter(cv, groups, caller="leakage_report")
    texts, types = pd.factorize(words["text"])[0], pd.factorize(forms)[0]
    casefolded = pd.factorize(forms.str.casefold())[0]
    groups = None if groups is None else pd.factorize(np.asarray(groups))[0]
    rows, leaks = [], []
    for fold, (train, test) in enumerate(
        split_rows(splitter, words, y, groups, caller="leakage_report")
    ):
        n_texts, n_shared_texts, in_shared_text = _shared(texts, train, test)
        n_types, n_seen_types, of_seen_type = _shared(types, train, test)
        of_seen_casefold = _shared(casefolded, train, test)[2]
        row = {
            "fold": fold,
            "n_train_words": len(train),
            "n_test_words": len(test),
            "n_test_texts": n_texts,
            "n_shared_texts": n_shared_texts,
            "n_words_shared_text": in_shared_text.sum(),
            "share_shared_text": in_shared_text.mean(),
            "n_test_types": n_types,
            "n_seen_types": n_seen_types,
            "n_words_seen_type": of_seen_type.sum(),
            "share_seen_type": of_seen_type.mean(),
            "n_words_seen_type_casefold": of_seen_casefold.sum(),
            "share_seen_type_casefold": of_seen_casefold.mean(),
        }
        if groups is not None:
            row["n_shared_groups"] = _shared(groups, train, test)[1]
        rows.append(row)
        leaks.extend(test[in_shared_text])
    report = pd.DataFrame(rows)
    _advise(report, leaks)
    return report


def _shared(codes, train, test):
    """Return the number of distinct test codes, of those also in training, and a row mask."""
    seen = np.zeros(codes.max() + 1, dtype=bool)
    seen[codes[train]] = True
    present = np.unique(codes[test])
    return len(present), int(seen[present].sum()), seen[codes[test]]


def _advise(report, leaks):
    if not leaks:
        return
    n_test, n_shared = report["n_test_words"].sum(), report["n_words_shared_text"].sum()
    warn_user(
        f"{n_shared} of {n_test} test words ({n_shared / n_test:.1%}) are in sentences whose "
        f"exact text is also in training, in {(report['n_shared_texts'] > 0).sum()} of "
        f"{len(report)} folds; the first is row {leaks[0]}. Scores on them are too high. Keep "
        'identical sentences in one fold: groups=words["text"] and GroupKFold.'
    )
