# SPDX-License-Identifier: BSD-3-Clause
"""Signed correlations and linkages other than the average, against SciPy and scikit-learn."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import AgglomerativeClustering

from sklearn_neurox.selection import CorrelationClusterSelector

RNG = np.random.RandomState(0)
SOURCES = RNG.randn(400, 6)
X = SOURCES @ RNG.randn(6, 40) * 0.4 + np.repeat(SOURCES, 7, axis=1)[:, :40] * RNG.choice(
    [-1, 1], 40
)


def _distances(signed):
    correlation = np.corrcoef(X.T)
    distances = 1 - (correlation if signed else np.abs(correlation))
    np.fill_diagonal(distances, 0)
    return (distances + distances.T) / 2


def _partition(labels):
    return {tuple(np.flatnonzero(labels == label)) for label in np.unique(labels)}


@pytest.mark.parametrize("method", ["average", "complete", "single", "weighted"])
@pytest.mark.parametrize("signed", [False, True])
def test_clusters_are_those_of_one_tree(method, signed):
    tree = linkage(squareform(_distances(signed)), method)
    for threshold in (0.1, 0.3, 0.6, 1.0, *((1.4, 2.0) if signed else ())):
        selector = CorrelationClusterSelector(threshold, signed=signed, linkage=method).fit(X)
        expected = fcluster(tree, threshold, criterion="distance")
        assert _partition(selector.labels_) == _partition(expected)
        for members in _partition(selector.labels_):
            means = _distances(signed)[np.ix_(members, members)].sum(axis=1)
            kept = [one for one in members if one in selector.representatives_]
            assert len(kept) == 1
            assert means[members.index(kept[0])] == pytest.approx(means.min(), abs=1e-6)


@pytest.mark.parametrize("method", ["average", "complete", "single"])
def test_signed_clusters_are_those_of_scikit_learn(method):
    theirs = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage=method, distance_threshold=0.5
    ).fit_predict(_distances(True))
    ours = CorrelationClusterSelector(0.5, signed=True, linkage=method).fit(X)
    assert _partition(ours.labels_) == _partition(theirs)


def test_the_sign_matters_only_if_asked():
    a, b = RNG.randn(2, 500)
    Z = np.column_stack([a, -a, b])
    assert CorrelationClusterSelector(0.2).fit(Z).n_clusters_ == 2
    signed = CorrelationClusterSelector(0.2, signed=True).fit(Z)
    assert signed.n_clusters_ == 3
    assert CorrelationClusterSelector(2.0, signed=True, linkage="complete").fit(Z).n_clusters_ == 1
    with pytest.raises(ValueError, match="'threshold'.*1.5.*unless signed=True"):
        CorrelationClusterSelector(1.5).fit(Z)
