# SPDX-License-Identifier: BSD-3-Clause
"""Classes with too few rows to take part in a ranking over all classes."""

from numbers import Integral

import numpy as np
from sklearn.utils._param_validation import Interval

from sklearn_neurox.utils._warn_user import warn_user

MIN_COUNT_CONSTRAINTS: list = [Interval(Integral, 1, None, closed="left")]

# Means of fewer rows are mostly noise: on a treebank, leaving such classes out makes the ranking
# of a sample of its sentences more like that of all of them.
_FEW = 10
# The warning looks at this share of the neurons, within these limits.
_TOP = 0.1
_LEAST, _MOST = 10, 50


class RareClasses:
    """The number of rows of each class, and which classes have enough of them.

    Attributes
    ----------
    is_counted : ndarray of shape (n_classes,), dtype=bool
        Whether a class takes part in the overall ranking.
    """

    def __init__(self, ranker, labels, weight=None):
        labels = labels if weight is None else labels[weight > 0]
        present, counts = np.unique(labels, return_counts=True)
        found = dict(zip(present.tolist(), counts.tolist(), strict=True))
        self.ranker = ranker
        self.counts = np.array([found.get(label, 0) for label in ranker.classes_.tolist()])
        # A fitted probe may have classes that these rows lack; 1 leaves out none of them.
        self.is_counted = (self.counts >= ranker.min_count) | (ranker.min_count == 1)
        ranker.rare_classes_ = ranker.classes_[~self.is_counted]
        if self.is_counted.sum() < 2:
            raise ValueError(
                f"{type(ranker).__name__}(min_count={ranker.min_count}) leaves fewer than two "
                f"classes to rank by: the largest has {self.counts.max()} rows, the second largest "
                f"{np.sort(self.counts)[-2]}. Use a smaller min_count, or more rows."
            )

    def warn_if_dominant(self):
        """Warn if most of the best neurons are best for classes of few rows."""
        ranker, few = self.ranker, self.counts < _FEW
        n_top = min(_MOST, int(_TOP * len(ranker.order_)))
        few_counted, n_counted = few & self.is_counted, self.is_counted.sum()
        if n_top < _LEAST or not few_counted.any() or n_counted - few_counted.sum() < 2:
            return
        scores = np.where(self.is_counted[:, np.newaxis], ranker.class_scores_, -np.inf)
        n_owned = np.count_nonzero(few[scores[:, ranker.order_[:n_top]].argmax(axis=0)])
        if n_owned / n_top <= max(0.5, 1.5 * few_counted.sum() / n_counted):
            return
        named = [
            f"{label!r} ({count})"
            for label, count, is_few in zip(
                ranker.classes_.tolist(), self.counts, few_counted, strict=True
            )
            if is_few
        ]
        warn_user(
            f"{n_owned} of the {n_top} best neurons of {type(ranker).__name__} owe their rank to "
            f"classes with fewer than {_FEW} rows: {', '.join(named)}. So few rows have large "
            f"scores by chance. Set min_count={_FEW} to leave such classes out of the overall "
            "ranking, or use more rows."
        )
