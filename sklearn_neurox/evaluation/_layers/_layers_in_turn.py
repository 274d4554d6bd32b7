# SPDX-License-Identifier: BSD-3-Clause
"""Held-out predictions layer by layer, each read from the cache of an extractor and forgotten."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.parallel import delayed

from sklearn_neurox.evaluation._layers._held_out_blocks import HeldOutBlocks, fit_and_record
from sklearn_neurox.utils._blocks import neuron_blocks
from sklearn_neurox.utils._validation import check_activations


class LayersInTurn(HeldOutBlocks):
    """HeldOutBlocks that keeps the matrix of only one layer in memory at a time.

    ``features`` is a Pipeline for which `reads_layers` is true, and whose extractor has a cache.
    """

    def _recorded(self, X, y, groups, folds, bar):
        extractor, pooling = clone(self.features[0]), self.features[1:]
        layers = extractor.fit_transform(X, y)._by_block()
        bar.reset(len(layers) * (len(folds) + 1))
        results = self.parallel(
            delayed(_fit_layer)(layer, pooling, self.estimator, self.scorer, y, groups, folds)
            for layer in layers
        )
        of_blocks, frames = [], []
        for recorded, frame in results:
            of_blocks.append(recorded)
            frames.append(frame)
            bar.update(len(folds))
        self.blocks = pd.concat(frames, ignore_index=True)
        return of_blocks


def _fit_layer(layer, pooling, estimator, scorer, y, groups, folds):
    """Read a layer; return the predictions of a probe in each fold, and a row of the blocks."""
    pooling = clone(pooling)
    H = pooling.fit_transform(layer, y)
    names = pooling.get_feature_names_out()
    options = {"input_features": names, "accept_sparse": "csr"}
    H, _ = check_activations(H, **options, caller="layer_profile")
    recorded = [
        fit_and_record(estimator, scorer, H[train], y[train], groups[train], H[test])
        for train, test in folds
    ]
    blocks = neuron_blocks(names, H.shape[1], n_layers=None, caller="layer_profile")
    return recorded, blocks.drop_duplicates("name").assign(n_neurons=H.shape[1])


def split_pipeline(estimator, features):
    """Split a pipeline that begins with an extractor; return the probe and the features.

    The features end with the `SubwordAggregator`: what comes after it is fitted on each layer.
    """
    from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator

    if not isinstance(estimator, Pipeline) or not isinstance(estimator[0], ActivationExtractor):
        return estimator, features
    if features is not None:
        raise ValueError(
            "layer_profile got a pipeline that begins with an ActivationExtractor, and 'features' "
            "as well. Leave out 'features'."
        )
    kinds = [isinstance(step, SubwordAggregator) for _, step in estimator.steps]
    if True not in kinds[:-1]:
        raise ValueError(
            "layer_profile got a pipeline that begins with an ActivationExtractor, but lacks a "
            "SubwordAggregator before the probe: make_pipeline(ActivationExtractor(...), "
            "SubwordAggregator('last'), probe)."
        )
    end = kinds.index(True) + 1
    probe = estimator[end:]
    return probe[0] if len(probe) == 1 else probe, estimator[:end]


def reads_layers(features):
    """Return whether features only extract and pool, so that no step needs to see the folds."""
    from sklearn_neurox.extraction import ActivationExtractor, SubwordAggregator

    return (
        isinstance(features, Pipeline)
        and isinstance(features[0], ActivationExtractor)
        and isinstance(features[-1], SubwordAggregator)
        and features[-1].memmap is None
    )


def read_at_once(features, X, y):
    """Extract the whole matrix in one pass; return it and the names of its columns."""
    features = clone(features)
    H = features.fit_transform(X, np.asarray(y))
    return H, features.get_feature_names_out()
