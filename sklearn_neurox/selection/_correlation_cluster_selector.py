# SPDX-License-Identifier: BSD-3-Clause
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from sklearn_neurox.selection._linkage import bytes_needed, cluster, components
from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._correlations import StandardColumns
from sklearn_neurox.utils._names import parse_neuron_names
from sklearn_neurox.utils._validation import check_weight


class CorrelationClusterSelector(BaseNeuronSelector):
    r"""Keep one neuron from each cluster of correlated neurons.

    Neurons are clustered hierarchically on the distance :math:`1 - |\rho|`, where :math:`\rho`
    is the Pearson correlation over the rows, and the tree is cut at ``threshold``. The selector
    keeps the medoid of each cluster: the neuron with the largest mean :math:`|\rho|` with the
    others, or the first of several such neurons. With ``signed=True``, :math:`\rho` takes the
    place of :math:`|\rho|`.

    Parameters
    ----------
    threshold : float, default=0.3
        Distance at which to cut the tree, in [0, 1], or in [0, 2] with ``signed=True``; a larger
        threshold keeps fewer neurons. Two clusters merge if their distance is at most
        ``threshold``.

    signed : bool, default=False
        Whether neurons with a strong negative correlation are far apart. By default, the sign of a
        correlation does not matter, because a linear probe can use a neuron with either sign.

    linkage : {"average", "complete", "single", "weighted"}, default="average"
        Distance of two clusters: over all pairs of neurons between them, the mean, the largest or
        the smallest distance. ``"weighted"`` is the mean over the two halves that a cluster was
        merged from, whatever their sizes.

    max_memory : float, default=8.0
        Maximum memory for clustering, in gigabytes (1e9 bytes). A connected component of n neurons
        (see Notes) takes ``8e-9 * n ** 2`` GB, as much as its correlation matrix in double
        precision. In the worst case, with all neurons connected, that is 0.8 GB for 10,000 neurons.

    Attributes
    ----------
    labels_ : ndarray of shape (n_features_in_,)
        Cluster of each column, numbered from 0 in order of first appearance. -1 for constant
        columns, which have no correlation and are not kept.

    representatives_ : ndarray of shape (n_clusters_,)
        The column kept from each cluster.

    n_clusters_ : int
        Number of clusters.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    LayerSelector : Keep whole layers.
    MinimalNeuronSelector : Keep the fewest neurons that a probe needs.
    sklearn.cluster.FeatureAgglomeration : Replace clusters of columns by their means instead.

    Notes
    -----
    For half- and single-precision input, correlations are computed in single precision within
    blocks of rows, and the blocks are summed in double precision. The result is accurate to about
    seven digits, and a merge that close to the threshold may go either way. If several pairs of
    clusters are equally distant, the tree is not unique.

    Two clusters that merge at or below the threshold contain a pair of neurons at or below it,
    because a mean (like a maximum) cannot be below all its terms. No merge therefore joins two
    connected components of the graph of all such pairs. The components are found from one block of
    correlations at a time, and each is clustered separately, with the same result as a single tree
    over all neurons.

    References
    ----------
    .. [1] F. Dalvi, H. Sajjad, N. Durrani, Y. Belinkov, "Analyzing Redundancy in Pretrained
       Transformer Models", EMNLP 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.selection import CorrelationClusterSelector
    >>> rng = np.random.RandomState(0)
    >>> a, b = rng.randn(2, 500)
    >>> X = np.column_stack([a, b, -3 * a, a + 0.1 * b, np.ones(500)])
    >>> selector = CorrelationClusterSelector(0.2).fit(X)
    >>> selector.labels_
    array([ 0,  1,  0,  0, -1])
    >>> selector.get_support(indices=True)
    array([0, 1])
    """

    _why_dense = "the correlations of all pairs of columns are a dense matrix"
    _set_by_fit = "labels_"

    _parameter_constraints: dict = {
        "threshold": [Interval(Real, 0, 2, closed="both")],
        "signed": ["boolean"],
        "linkage": [StrOptions({"average", "complete", "single", "weighted"})],
        "max_memory": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        threshold: float = 0.3,
        *,
        signed: bool = False,
        linkage: str = "average",
        max_memory: float = 8.0,
    ):
        self.threshold = threshold
        self.signed = signed
        self.linkage = linkage
        self.max_memory = max_memory

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> "CorrelationClusterSelector":
        """Cluster the columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations.

        y : Ignored
            Not used, present for API consistency by convention.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the correlations.

        Returns
        -------
        self : CorrelationClusterSelector

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a weight is negative, all columns are constant, or a
            connected component at this threshold is too large for ``max_memory``.
        """
        if self.threshold > 1 and not self.signed:
            raise ValueError(
                f"The 'threshold' parameter of {type(self).__name__} is {self.threshold}, but no "
                "distance exceeds 1 unless signed=True."
            )
        options = {"squares": True, "beside": {"sample_weight": sample_weight}}
        matrix = self._check(X, reset=True, ensure_min_samples=2, **options)
        weight = check_weight(sample_weight, matrix)
        dtype = np.promote_types(matrix.dtype, np.float32)
        columns = StandardColumns(matrix, dtype=dtype, weight=weight)
        varying = np.flatnonzero(columns.deviations)
        if not len(varying):
            raise ValueError(
                f"All {matrix.shape[1]} columns of X are constant over its {len(matrix)} rows, so "
                f"{type(self).__name__} has no correlations to cluster them by."
            )
        labels, medoids = self._cluster(columns.take(varying))
        self._number_by_first_column(varying, labels, medoids)
        return self

    def _fits(self, n_columns):
        return bytes_needed(n_columns) <= 1e9 * self.max_memory

    def _cluster(self, columns):
        [parts] = components(columns, [self.threshold], signed=self.signed)
        sizes = np.bincount(parts)
        if not self._fits(sizes.max()):
            self._refuse(columns.take(np.flatnonzero(parts == sizes.argmax())))
        labels = np.empty(len(columns), dtype=np.intp)
        medoids = []
        by_part = np.argsort(parts, kind="stable")
        for own in np.split(by_part, np.cumsum(sizes)[:-1]):
            own_labels, own_medoids = cluster(
                columns.take(own), self.threshold, signed=self.signed, method=self.linkage
            )
            labels[own] = own_labels + len(medoids)
            medoids.extend(own[own_medoids])
        return labels, np.array(medoids)

    def _refuse(self, columns):
        """Raise an error that suggests a threshold at which the largest component fits."""
        lower = [float(f"{self.threshold * tenths / 10:.3g}") for tenths in range(9, 0, -1)]
        largest = [
            np.bincount(part).max() for part in components(columns, lower, signed=self.signed)
        ]
        fitting = [limit for limit, size in zip(lower, largest, strict=True) if self._fits(size)]
        needed = bytes_needed(len(columns)) / 1e9
        advice = f"threshold={fitting[0]}, " if fitting else ""
        raise ValueError(
            f"{type(self).__name__} cannot cluster {len(columns)} neurons that are connected by "
            f"correlations at threshold={self.threshold:g}: they need {needed:.3g} GB of memory, "
            f"but max_memory={self.max_memory:g}. Use {advice}fewer neurons or layers, or a larger "
            "max_memory."
        )

    def _number_by_first_column(self, varying, labels, medoids):
        _, first = np.unique(labels, return_index=True)
        order = np.argsort(first)
        self.representatives_ = varying[medoids[order]]
        self.n_clusters_ = len(medoids)
        self.labels_ = np.full(self.n_features_in_, -1, dtype=np.intp)
        self.labels_[varying] = np.argsort(order)[labels]

    def _get_support_mask(self):
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.representatives_)

    def to_frame(self, input_features: ArrayLike | None = None) -> pd.DataFrame:
        """Return the clusters as a DataFrame.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns. None uses ``feature_names_in_`` if defined, and otherwise
            ``x0``, ``x1``, ...

        Returns
        -------
        frame : DataFrame of shape (n_features_in_, 6)
            One row per neuron, indexed by its column in X. Columns ``neuron``, ``layer`` and
            ``unit`` (missing if the name does not contain them), ``cluster``, ``size`` (of the
            cluster, 0 for a constant column) and ``selected``.
        """
        check_is_fitted(self)
        # Private, but scikit-learn has no public function that checks input_features.
        names = _check_feature_names_in(self, input_features)
        sizes = np.append(np.bincount(self.labels_[self.labels_ >= 0]), 0)
        frame = parse_neuron_names(names)[["neuron", "layer", "unit"]].rename_axis("column")
        return frame.assign(
            cluster=self.labels_, size=sizes[self.labels_], selected=self.get_support()
        )
