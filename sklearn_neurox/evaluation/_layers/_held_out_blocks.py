# SPDX-License-Identifier: BSD-3-Clause
"""Held-out predictions of a probe on each block of columns, over the same folds."""

import numpy as np
import pandas as pd
from sklearn.base import clone, is_classifier
from sklearn.utils.parallel import Parallel, delayed

from sklearn_neurox.evaluation._fits import take_rows
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._metadata import fit_with_groups
from sklearn_neurox.utils._scores._recorded_predictions import RecordedPredictions, record
from sklearn_neurox.utils._submatrix import submatrix
from sklearn_neurox.utils._tqdm import counted
from sklearn_neurox.utils._validation import check_activations


class HeldOutBlocks:
    """Fits a probe on each block of columns and keeps its predictions on the test rows.

    ``features`` (transformer or None) turns X into a matrix; it is cloned and fitted once per
    fold. After ``predict``, ``blocks`` is a frame of the blocks in matrix order (``name``,
    ``component``, ``layer``, ``n_neurons``), and ``groups`` the number of each test row's group,
    from 0.
    """

    def __init__(self, estimator, *, features, input_features, n_layers, scorer, n_jobs, caller):
        self.estimator, self.features, self.scorer = estimator, features, scorer
        self.input_features, self.n_layers, self.caller = input_features, n_layers, caller
        # Threads share the matrix, and long numerical work releases the interpreter lock.
        self.parallel = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")

    def predict(self, X, y, groups, folds, bar):
        """Return one RecordedPredictions per block, over the test rows of all folds.

        The bar advances once per block and fold; its total leaves one more step for each block.
        """
        y, groups = np.asarray(y), np.asarray(groups)
        of_blocks = self._recorded(X, y, groups, folds, bar)
        tested = np.concatenate([test for _, test in folds])
        # Groups are numbered by first appearance among all rows, whatever the order of the folds.
        codes = pd.factorize(pd.factorize(groups)[0][tested], sort=True)[0]
        self.groups = codes
        return [self._pool(of_block, y[tested], codes) for of_block in of_blocks]

    def _recorded(self, X, y, groups, folds, bar):
        """Return, for each block, what `fit_and_record` returns for each fold."""
        matrix = self._matrix(X) if self.features is None else None
        of_folds, self.blocks = [], None
        for train, test in folds:
            if matrix is None:
                of_training, names, of_test = self._extract(X, y, train, test)
            else:
                of_training, of_test, names = (matrix[0], train), (matrix[0], test), matrix[1]
            columns = self._columns(names, of_training[0].shape[1])
            if not of_folds:
                bar.reset(len(columns) * (len(folds) + 1))
            recorded = self.parallel(
                delayed(fit_and_record)(
                    self.estimator,
                    self.scorer,
                    submatrix(*of_training, own),
                    y[train],
                    groups[train],
                    submatrix(*of_test, own),
                )
                for own in columns
            )
            of_folds.append(counted(bar, recorded))
        return zip(*of_folds, strict=True)

    def _matrix(self, Z):
        options = {"input_features": self.input_features, "accept_sparse": "csr"}
        return check_activations(Z, **options, caller=self.caller)

    def _extract(self, X, y, train, test):
        features = clone(self.features)
        Z_train = features.fit_transform(take_rows(X, train), y[train])
        Z_train, names = self._matrix(Z_train)
        Z_test, _ = self._matrix(features.transform(take_rows(X, test)))
        if names is None and hasattr(features, "get_feature_names_out"):
            names = features.get_feature_names_out()
        return (Z_train, slice(None)), names, (Z_test, slice(None))

    def _columns(self, names, n_features):
        of_column = neuron_blocks(names, n_features, n_layers=self.n_layers, caller=self.caller)
        number = of_column.groupby("name", sort=False).ngroup().to_numpy()
        blocks = of_column.drop_duplicates("name").reset_index(drop=True)
        blocks["n_neurons"] = np.bincount(number)
        if self.blocks is not None and not self.blocks.equals(blocks):
            raise ValueError(
                f"The 'features' transformer of {self.caller} returns different layers in "
                "different folds. It must not select columns, so that each layer is scored as a "
                "whole."
            )
        self.blocks = blocks
        return [np.flatnonzero(number == block) for block in range(len(blocks))]

    def _pool(self, of_folds, y, groups):
        classes, methods = None, list(of_folds[0][1])
        if is_classifier(self.estimator):
            classes = np.unique(np.concatenate([own for own, _ in of_folds]))
            absent = [np.setdiff1d(classes, own).tolist() for own, _ in of_folds]
            if any(absent) and methods != ["predict"]:
                number, lacking = next((fold, own) for fold, own in enumerate(absent) if own)
                raise ValueError(
                    f"Fold {number} of {self.caller} cannot be scored: the classes {lacking} have "
                    "no training row, so the probabilities of the folds cannot be scored "
                    "together. Use folds whose training rows contain every class, or drop the "
                    "rarest classes."
                )
        responses = {
            method: np.concatenate([recorded[method] for _, recorded in of_folds])
            for method in methods
        }
        return RecordedPredictions(responses, y, groups, classes=classes, scorer=self.scorer)


def fit_and_record(estimator, scorer, Z_train, y_train, groups_train, Z_test):
    """Fit a clone of a probe; return its classes and what it predicts for the test rows."""
    probe = fit_with_groups(clone(estimator), Z_train, y_train, groups_train)
    return getattr(probe, "classes_", None), record(probe, Z_test, scorer)
