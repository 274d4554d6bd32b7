# SPDX-License-Identifier: BSD-3-Clause
"""Baselines that only know the form of a word and memorize the labels of each word type."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels
from sklearn_neurox.utils._word_columns import word_forms


class _TypeMemory(BaseEstimator):
    """Base class that numbers the training word types and looks up those of other words."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _learn_types(self, words):
        codes, types = pd.factorize(word_forms(words, caller=type(self).__name__))
        self._types = pd.Index(types)
        return codes

    def _find_types(self, words):
        """Return the type number of each word; unseen types get the number of known types."""
        check_is_fitted(self)
        codes = self._types.get_indexer(word_forms(words, caller=type(self).__name__))
        return np.where(codes < 0, len(self._types), codes)


class TypeLabelClassifier(ClassifierMixin, _TypeMemory):
    """Predict the most frequent training label of the word type, or of all words if unseen.

    Ties are broken by the order of ``classes_``.
    """

    def fit(self, words, y):
        """Count the labels of each type."""
        check_no_missing_labels(y)
        check_class_labels(y)
        check_consistent_length(words, y)
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        types = self._learn_types(words)
        # The row after the last type counts all words.
        rows = np.concatenate([types, np.full(len(types), len(self._types))])
        cells, counts = np.unique(
            rows * len(self.classes_) + np.tile(labels, 2), return_counts=True
        )
        rows, labels = np.divmod(cells, len(self.classes_))
        shares = counts / np.bincount(rows, counts)[rows]
        shape = len(self._types) + 1, len(self.classes_)
        self._shares = csr_array((shares, (rows, labels)), shape=shape)
        best_first = np.lexsort([labels, -counts, rows])
        self._modes = labels[best_first[np.unique(rows, return_index=True)[1]]]
        return self

    def predict(self, words):
        """Return the most frequent label of the type of each word."""
        return self.classes_[self._modes[self._find_types(words)]]

    def predict_proba(self, words):
        """Return the label frequencies of the type of each word."""
        return self._shares[self._find_types(words)].toarray()


class TypeMeanRegressor(RegressorMixin, _TypeMemory):
    """Predict the mean training target of the word type, or of all words if unseen."""

    def fit(self, words, y):
        """Average the targets of each type."""
        check_no_missing_labels(y)
        check_consistent_length(words, y)
        y = np.asarray(y, dtype=np.float64)
        types = self._learn_types(words)
        self.means_ = np.append(np.bincount(types, y) / np.bincount(types), y.mean())
        return self

    def predict(self, words):
        """Return the mean target of the type of each word."""
        return self.means_[self._find_types(words)]
