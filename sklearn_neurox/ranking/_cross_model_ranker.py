# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._shared_variance import (
    explained_by_all,
    explained_by_shared_subspace,
)
from sklearn_neurox.utils._correlations import StandardColumns, correlations
from sklearn_neurox.utils._validation import check_activations, check_weight
from sklearn_neurox.utils._warn_user import warn_user


class CrossModelRanker(BaseRanker):
    r"""Rank neurons by how well the neurons of other models predict them, without any label.

    What several models learn independently is likely to matter. With :math:`\rho_{ij}` the
    correlation of neuron :math:`i` with neuron :math:`j` of another model :math:`m`, over the same
    words, a neuron is scored against each model by one of

    - the strongest correlation, :math:`\max_{j \in m} |\rho_{ij}|`;
    - its multiple correlation with all of them, :math:`R = \|P_m x_i\| / \|x_i\|`, where
      :math:`P_m` projects on the space that the standardised neurons of :math:`m` span;
    - the same after both models were reduced to the principal components that hold 99 % of their
      variance (SVCCA): :math:`\sqrt{\sum_k \sigma_k^2 a_{ik}^2}`, with the canonical correlations
      :math:`\sigma_k` and the coordinate :math:`a_{ik}` of the neuron, of unit length, along the
      canonical direction :math:`k` of its own model. So it is high for neurons that lie in the
      directions which both models share.

    Columns are standardised, so that neither sign nor scale nor shift of any neuron matters.

    It cannot see what one model alone has learnt, however useful, and it does not know any
    property: a frequent and useless regularity, such as the position of the word, ranks high too.

    Parameters
    ----------
    criterion : {"maxcorr", "mincorr", "linreg", "svcca"}, default="maxcorr"
        How a neuron is scored, from its scores against each of the models.

        - ``"maxcorr"``: the strongest correlation with any neuron of any model.
        - ``"mincorr"``: the strongest correlation in the model where that is lowest, which finds
          neurons that *all* models have.
        - ``"linreg"``: the highest multiple correlation, which finds what others spread over many
          neurons.
        - ``"svcca"``: the highest score in shared directions, which leaves directions of small
          variance out, mostly noise.

    n_neurons : int, float or None, default=None
        How many neurons ``transform`` keeps: a number, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best or the worst.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        The score of every neuron, from 0 to 1; 0 for a constant one.

    model_scores_ : ndarray of shape (n_models, n_features_in_)
        The score against every model; ``scores_`` is the maximum, for ``"mincorr"`` the minimum.

    models_ : ndarray of shape (n_models,)
        The names of the other models, sorted; the rows of ``model_scores_``.

    order_ : ndarray of shape (n_features_in_,)
        The columns, best first; of equal ones that with the higher mean over models before others.

    ranks_ : ndarray of shape (n_features_in_,)
        The rank of every column, 1 for the best.

    n_features_in_ : int
        Number of columns seen during fit.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during fit, where X has string names.

    See Also
    --------
    ConsensusRanker : Agrees on one ranking of several.

    Notes
    -----
    In a pipeline, ``reference`` is routed, and cut to the rows of the fold, after
    ``set_fit_request(reference=True, reference_models=True)`` under
    ``sklearn.set_config(enable_metadata_routing=True)``.

    Multiple correlations are those of the rows of ``fit``, and grow towards 1 as the columns of a
    model become as many as the rows. Directions with less than 1e-10 of the largest variance are
    left out. Memory grows with the product of the numbers of columns of X and of a model, and
    with the square of the latter; the rows are read by blocks.

    References
    ----------
    .. [1] A. Bau, Y. Belinkov, H. Sajjad, N. Durrani, F. Dalvi, J. Glass, "Identifying and
       Controlling Important Neurons in Neural Machine Translation", ICLR 2019.
    .. [2] M. Raghu, J. Gilmer, J. Yosinski, J. Sohl-Dickstein, "SVCCA: Singular Vector Canonical
       Correlation Analysis for Deep Learning Dynamics and Interpretability", NeurIPS 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.ranking import CrossModelRanker
    >>> X = np.random.RandomState(0).randn(100, 4)
    >>> others = np.column_stack([-2 * X[:, 2], X[:, 0] + X[:, 1], X[:, 2] ** 3])
    >>> ranker = CrossModelRanker().fit(X, reference=others, reference_models=["a", "a", "b"])
    >>> ranker.models_
    array(['a', 'b'], dtype='<U1')
    >>> ranker.order_[0], ranker.scores_[2].round(2)
    (np.int64(2), np.float64(1.0))
    """

    _parameter_constraints: dict = {
        "criterion": [StrOptions({"maxcorr", "mincorr", "linreg", "svcca"})],
        **BaseRanker._parameter_constraints,
    }

    def __init__(
        self,
        criterion: str = "maxcorr",
        *,
        n_neurons: int | float | None = None,
        which: str = "top",
    ):
        super().__init__(n_neurons=n_neurons, which=which)
        self.criterion = criterion

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        reference: ArrayLike,
        reference_models: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "CrossModelRanker":
        """Rank the neurons.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The activations of this model.

        y : Ignored
            Present for the conventions of scikit-learn.

        reference : array-like of shape (n_samples, n_reference_neurons)
            The activations of the other models on the same words, side by side.

        reference_models : array-like of shape (n_reference_neurons,) or None, default=None
            The name of the model that each column of ``reference`` is from; None for one model,
            ``"reference"``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            How much every row counts in the correlations.

        Returns
        -------
        self : CrossModelRanker

        Raises
        ------
        ValueError
            If X or the reference is not finite, a weight is negative, or shapes do not fit
            together.
        """
        X = self._check_fit_input(X, ensure_min_samples=2)
        reference, names = _check_reference(
            reference, reference_models, X, caller=type(self).__name__
        )
        self.models_, codes = np.unique(names, return_inverse=True)
        weight = check_weight(sample_weight, X)
        n_rows = len(X) if weight is None else np.count_nonzero(weight)
        own = StandardColumns(X, weight=weight)
        score = {"linreg": explained_by_all, "svcca": explained_by_shared_subspace}.get(
            self.criterion, _strongest
        )
        scores = []
        for code, name in enumerate(self.models_):
            columns = np.flatnonzero(codes == code)
            self._warn_about_width(name, len(columns), n_rows)
            scores.append(score(own, StandardColumns(reference, columns, weight=weight)))
        # Rounding gives a constant neuron, and perfect matches, a little more than they have.
        self.model_scores_ = np.clip(scores, 0, own.deviations > 0)
        combine = np.min if self.criterion == "mincorr" else np.max
        self._set_ranking(
            combine(self.model_scores_, axis=0), [np.mean(self.model_scores_, axis=0)]
        )
        return self

    def _warn_about_width(self, name, n_columns, n_samples):
        if self.criterion != "linreg" or n_columns < n_samples - 1:
            return
        warn_user(
            f"The model {str(name)!r} has {n_columns} columns in the reference, enough to fit "
            f"any neuron on {n_samples} rows perfectly, so 'linreg' tells nothing. Give more "
            "rows, or use 'maxcorr' or 'svcca'.",
        )


def _check_reference(reference, reference_models, X, *, caller):
    reference, _ = check_activations(reference, input_name="reference", caller=caller)
    if len(reference) != len(X):
        raise ValueError(
            f"X has {len(X)} rows, but the reference has {len(reference)}. Both must be "
            "activations on the same words, in the same order."
        )
    if reference_models is None:
        return reference, np.full(reference.shape[1], "reference")
    names = np.asarray(reference_models)
    if names.shape != reference.shape[1:]:
        raise ValueError(
            f"reference_models has shape {names.shape}, but the reference has "
            f"{reference.shape[1]} columns, each of which needs the name of its model. (As many "
            "columns as rows are taken for rows and cut by cross-validation: leave a column out.)"
        )
    return reference, names


def _strongest(own, other):
    return np.abs(correlations(own, other)).max(axis=1)
