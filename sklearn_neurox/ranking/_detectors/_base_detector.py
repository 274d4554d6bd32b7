# SPDX-License-Identifier: BSD-3-Clause
from abc import abstractmethod
from numbers import Integral

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._detectors._class_counts import ClassCounter
from sklearn_neurox.ranking._rare_classes import MIN_COUNT_CONSTRAINTS, RareClasses
from sklearn_neurox.utils._labels import check_class_labels, encode_classes
from sklearn_neurox.utils._validation import check_weight

# Each thread copies columns in blocks of at most this size.
_BLOCK_BYTES = 32_000_000


class BaseDetectorRanker(BaseRanker):
    """Base class for rankers that score each neuron as a detector of a class.

    A subclass scores columns and their negatives for each class in ``_score_block``.
    """

    _needs_labels = True

    _parameter_constraints: dict = {
        **BaseRanker._parameter_constraints,
        "two_sided": ["boolean"],
        "average": [StrOptions({"macro", "weighted"})],
        "min_count": MIN_COUNT_CONSTRAINTS,
        "n_jobs": [Integral, None],
    }

    def __init__(
        self,
        *,
        two_sided: bool = True,
        average: str = "macro",
        n_neurons: int | float | None = None,
        which: str = "top",
        min_count: int = 1,
        n_jobs: int | None = None,
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.two_sided = two_sided
        self.average = average
        self.min_count = min_count
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None):
        """Rank the neurons.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : array-like of shape (n_samples,)
            Class label of each row.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row; rows of weight zero are ignored.

        Returns
        -------
        self : estimator
            The fitted ranker.

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, a weight is negative, or there is
            only one class, or only one with ``min_count`` rows.

        Warns
        -----
        UserWarning
            If most of the best neurons owe their rank to classes with fewer than ten rows.
        """
        matrix, labels = self._check_fit_input(X, y, beside={"sample_weight": sample_weight})
        check_class_labels(labels)
        rows, labels, weight = _rows_that_count(matrix, labels, sample_weight)
        self.classes_, codes = encode_classes(labels, slice(None), caller=type(self).__name__)
        rare = RareClasses(self, labels)
        counter = ClassCounter(codes, weight)
        width = max(1, _BLOCK_BYTES // (_widened(matrix).itemsize * matrix.shape[0]))
        # Columns are read one block at a time, and most of a CSR matrix's are read alike.
        matrix = matrix.tocsc() if issparse(matrix) else matrix
        blocks = Parallel(n_jobs=self.n_jobs, require="sharedmem")(
            delayed(self._score_block)(_columns(matrix, rows, start, width), counter)
            for start in range(0, matrix.shape[1], width)
        )
        themselves, negatives = np.concatenate(blocks, axis=-1)
        negative = self.two_sided & (negatives > themselves)
        self.class_signs_ = np.where(negative, -1, 1)
        class_scores = np.where(negative, negatives, themselves)
        counted = class_scores[rare.is_counted]
        shares = counter.totals[rare.is_counted] if self.average == "weighted" else None
        self._set_ranking(
            np.average(counted, axis=0, weights=shares),
            [counted.max(axis=0)],
            class_scores=class_scores,
        )
        rare.warn_if_dominant()
        return self

    @abstractmethod
    def _score_block(self, columns, counter):
        """Score values (n_columns, n_samples) and their negatives: (2, n_classes, n_columns)."""


def _rows_that_count(X, y, sample_weight):
    weight = check_weight(sample_weight, X)
    if weight is None or weight.all():
        return slice(None), y, weight
    rows = np.flatnonzero(weight)
    return rows, y[rows], weight[rows]


def _widened(X):
    # Sorting float16 is many times slower than converting it to float32 first.
    return np.dtype(np.float32) if X.dtype == np.float16 else X.dtype


def _columns(X, rows, start, width):
    block = X[:, start : start + width]
    block = block.toarray() if issparse(block) else block
    return np.ascontiguousarray(block[rows].T, dtype=_widened(X))
