# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.selection._base import BaseNeuronSelector
from sklearn_neurox.utils._names import neuron_layers
from sklearn_neurox.utils._validation import check_matrix


class LayerSelector(BaseNeuronSelector):
    """Keep whole layers of an activation matrix.

    The layer of a column comes from its name (``"hidden.3.127"`` is of layer 3, whatever its
    component), or from ``n_layers``.

    Parameters
    ----------
    layers : int, array-like of int or None, default=None
        The layers to keep. A negative number counts from the last layer present, so that -1 is
        the last. None keeps all, and then nothing needs to be known of the layers.

    n_layers : int or None, default=None
        Into how many equal blocks the columns divide, the first being layer 0. None reads the
        layers from the feature names.

    Attributes
    ----------
    layers_ : ndarray of shape (n_kept_layers,)
        The layers kept, ascending. Empty if ``layers`` is None.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    sklearn_neurox.ablation.NeuronAblator : Remove or overwrite single neurons.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.selection import LayerSelector
    >>> X = np.arange(12.0).reshape(2, 6)
    >>> LayerSelector(-1, n_layers=3).fit_transform(X)
    array([[ 4.,  5.],
           [10., 11.]])
    """

    _parameter_constraints: dict = {
        "layers": [Integral, "array-like", None],
        "n_layers": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, layers: int | Sequence[int] | None = None, *, n_layers: int | None = None):
        self.layers = layers
        self.n_layers = n_layers

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "LayerSelector":
        """Find the columns of the layers to keep.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations.

        y : Ignored
            Present for the conventions of scikit-learn.

        Returns
        -------
        self : LayerSelector

        Raises
        ------
        ValueError
            If the columns do not tell their layer, or a layer is not among them.
        """
        check_matrix(self, X, reset=True)
        if self.layers is None:
            self.layers_ = np.empty(0, dtype=np.intp)
            self._mask = np.ones(self.n_features_in_, dtype=bool)
            return self
        of_column = neuron_layers(
            getattr(self, "feature_names_in_", None),
            self.n_features_in_,
            n_layers=self.n_layers,
            caller=type(self).__name__,
        )
        self.layers_ = self._check_layers(np.unique(of_column))
        self._mask = np.isin(of_column, self.layers_)
        return self

    def _check_layers(self, present):
        wanted = np.unique(np.asarray(self.layers))
        if wanted.dtype.kind not in "iu" or not wanted.size:
            raise ValueError(
                f"The 'layers' parameter of {type(self).__name__} must name at least one layer, "
                f"as an int or a list of ints. Got {self.layers!r}; the layers present are "
                f"{present.tolist()}."
            )
        counted = wanted < 0
        unknown = np.where(counted, wanted < -len(present), ~np.isin(wanted, present))
        if unknown.any():
            raise ValueError(
                f"{type(self).__name__} was asked for layer {wanted[unknown][0]}, which X does "
                f"not have ({unknown.sum()} such). The layers present are {present.tolist()}."
            )
        return np.unique(np.concatenate([present[wanted[counted]], wanted[~counted]]))

    def _get_support_mask(self):
        check_is_fitted(self)
        return self._mask
