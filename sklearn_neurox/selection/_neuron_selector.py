# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._base_selector import BaseNeuronSelector
from sklearn_neurox.utils._names import seen_neuron_indices


class NeuronSelector(BaseNeuronSelector):
    """Keep the given neurons.

    Parameters
    ----------
    neurons : array-like of int, of str or of bool, or None, default=None
        Neurons to keep: column indices (negative ones count from the end), feature names, or a
        mask. None keeps all.

    Attributes
    ----------
    neurons_ : ndarray of shape (n_selected,)
        Columns that are kept, ascending. ``transform`` keeps the column order of X, whatever the
        order of ``neurons``.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    LayerSelector : Keep whole layers.
    sklearn_neurox.ablation.NeuronAblator : Remove neurons or overwrite them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_neurox.selection import NeuronSelector
    >>> X = pd.DataFrame([[1.0, 2.0, 3.0]], columns=["hidden.0.0", "hidden.0.1", "hidden.1.0"])
    >>> NeuronSelector(["hidden.1.0", "hidden.0.0"]).fit_transform(X)
    array([[1., 3.]])
    """

    _set_by_fit = "neurons_"

    _parameter_constraints: dict = {"neurons": ["array-like", None]}

    def __init__(self, neurons: ArrayLike | None = None):
        self.neurons = neurons

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> "NeuronSelector":
        """Find the columns of the neurons.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Activations.

        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : NeuronSelector

        Raises
        ------
        ValueError
            If an index is out of range, a name is unknown, a neuron is given twice, a mask has the
            wrong length, or no neuron is selected.
        """
        self._check(X, reset=True)
        if self.neurons is None:
            self.neurons_ = np.arange(self.n_features_in_)
            return self
        chosen = seen_neuron_indices(self, self.neurons)
        if not len(chosen):
            raise ValueError(
                f"The 'neurons' parameter of {type(self).__name__} selects no column. Give at "
                "least one neuron, or keep all with neurons=None."
            )
        self.neurons_ = np.sort(chosen)
        return self

    def _get_support_mask(self):
        check_is_fitted(self)
        return np.isin(np.arange(self.n_features_in_), self.neurons_)
