# SPDX-License-Identifier: BSD-3-Clause
"""What knowing the form of a word alone gives: memory of the training labels of each word type."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sklearn_neurox.utils._validation import check_no_missing_labels
from sklearn_neurox.utils._word_columns import word_forms


class _TypeMemory(BaseEstimator):
    """Base class: numbers the word types of training and finds them again."""

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
        """Give the number of the type of every word, and one more than the last if unseen."""
        check_is_fitted(self)
        codes = self._types.get_indexer(word_forms(words, caller=type(self).__name__))
        return np.where(codes < 0, len(self._types), codes)


class TypeLabelClassifier(ClassifierMixin, _TypeMemory):
    """Predict the most frequent training label of the word's type, the overall one if unseen.

    Equally frequent labels are decided by their order in ``classes_``.
    """

    def fit(self, words, y):
        """Count the labels of each type.

        Parameters
        ----------
        words : DataFrame with the column ``word``, or array-like of str

        y : array-like of shape (n_words,)

        Returns
        -------
        self : TypeLabelClassifier
        """
        check_no_missing_labels(y)
        check_classification_targets(y)
        check_consistent_length(words, y)
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        types = self._learn_types(words)
        # The row after the last type is that of all words.
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
        """Give the most frequent label of the type of each word."""
        types = self._find_types(words)
        return self.classes_[self._modes[types]]

    def predict_proba(self, words):
        """Give the shares of the labels of the type of each word."""
        types = self._find_types(words)
        return self._shares[types].toarray()


class TypeMeanRegressor(RegressorMixin, _TypeMemory):
    """Predict the mean training target of the word's type, the overall one if unseen."""

    def fit(self, words, y):
        """Average the targets of each type.

        Parameters
        ----------
        words : DataFrame with the column ``word``, or array-like of str

        y : array-like of shape (n_words,)

        Returns
        -------
        self : TypeMeanRegressor
        """
        check_no_missing_labels(y)
        check_consistent_length(words, y)
        y = np.asarray(y, dtype=np.float64)
        types = self._learn_types(words)
        self.means_ = np.append(np.bincount(types, y) / np.bincount(types), y.mean())
        return self

    def predict(self, words):
        """Give the mean of the type of each word."""
        types = self._find_types(words)
        return self.means_[types]
