# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils._param_validation import StrOptions

from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.ranking._shared_variance import explained_by_all, explained_by_shared_subspace
from sklearn_neurox.utils._correlations import StandardColumns, correlations
from sklearn_neurox.utils._validation import check_activations, check_weight
from sklearn_neurox.utils._warn_user import warn_user


class CrossModelRanker(BaseRanker):
    r"""Rank neurons by how well the neurons of other models predict them, without labels.

    A feature that several models learn independently is likely to matter. Let :math:`\rho_{ij}` be
    the correlation of neuron :math:`i` with neuron :math:`j` of another model :math:`m` over the
    same words. A neuron is scored against each model by one of the following:

    - its strongest correlation, :math:`\max_{j \in m} |\rho_{ij}|`;
    - its multiple correlation with all neurons of the model, :math:`R = \|P_m x_i\| / \|x_i\|`,
      where :math:`P_m` projects onto the span of the standardized neurons of :math:`m`;
    - the same after reducing both models to the principal components that hold 99% of their
      variance (SVCCA): :math:`\sqrt{\sum_k \sigma_k^2 a_{ik}^2}`, where :math:`\sigma_k` are the
      canonical correlations and :math:`a_{ik}` is the coordinate of the neuron, scaled to unit
      length, along canonical direction :math:`k` of its own model. This score is high for neurons
      that lie in the directions shared by both models.

    Columns are standardized, so the sign, scale and offset of a neuron do not matter.

    This ranker misses anything that only one model has learned, however useful. It also does not
    target any particular property: neurons that encode a frequent but uninteresting regularity,
    such as the position of the word, rank high too.

    Parameters
    ----------
    criterion : {"maxcorr", "mincorr", "linreg", "svcca"}, default="maxcorr"
        How to score a neuron.

        - ``"maxcorr"``: the strongest correlation with any neuron of any model.
        - ``"mincorr"``: the strongest correlation within each model, then the minimum over models;
          finds neurons that *all* models have.
        - ``"linreg"``: the multiple correlation, maximum over models; finds information that other
          models distribute over many neurons.
        - ``"svcca"``: the score in shared directions, maximum over models; ignores directions of
          small variance, which are mostly noise.

    n_neurons : int, float or None, default=None
        Number of neurons that ``transform`` keeps: an int, a fraction in (0, 1], or None for all.

    which : {"top", "bottom"}, default="top"
        Whether ``transform`` keeps the best-ranked or the worst-ranked neurons.

    Attributes
    ----------
    scores_ : ndarray of shape (n_features_in_,)
        Score of each neuron, from 0 to 1; higher means better predicted. Constant neurons score 0.

    model_scores_ : ndarray of shape (n_models, n_features_in_)
        Score of each neuron against each model; rows follow ``models_``. ``scores_`` is their
        maximum over models, or their minimum for ``"mincorr"``.

    models_ : ndarray of shape (n_models,)
        Names of the other models, sorted.

    order_ : ndarray of shape (n_features_in_,)
        Column indices, best first. Ties in ``scores_`` are broken by the mean over models.

    ranks_ : ndarray of shape (n_features_in_,)
        Rank of each column; 1 is the best.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    ConsensusRanker : Combine several rankings into one.

    Notes
    -----
    To use this ranker in a cross-validated pipeline, call
    ``set_fit_request(reference=True, reference_models=True)`` and set
    ``sklearn.set_config(enable_metadata_routing=True)``. ``reference`` is then routed to this
    ranker and restricted to the rows of each fold.

    Multiple correlations are computed on the rows passed to ``fit``. They approach 1 as the number
    of columns of a model approaches the number of rows. Directions with less than 1e-10 of the
    largest variance are ignored. Memory use grows with the number of columns of X times the
    number of columns of a model, and with the square of the latter; rows are read in blocks.

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

    _why_dense = "the correlations of all pairs of columns are a dense matrix"

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
            Activations of this model.

        y : Ignored
            Not used, present for API consistency by convention.

        reference : array-like of shape (n_samples, n_reference_neurons)
            Activations of the other models on the same words, concatenated column-wise.

        reference_models : array-like of shape (n_reference_neurons,) or None, default=None
            Name of the model that each column of ``reference`` comes from. None treats all columns
            as one model, called ``"reference"``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight of each row in the correlations.

        Returns
        -------
        self : CrossModelRanker

        Raises
        ------
        ValueError
            If X or the reference contains NaN or infinity, a weight is negative, or shapes do not
            match.
        """
        beside = {"reference": reference, "sample_weight": sample_weight}
        matrix = self._check_fit_input(X, squares=True, beside=beside, ensure_min_samples=2)
        reference, names = _check_reference(
            reference, reference_models, matrix, caller=type(self).__name__
        )
        self.models_, codes = np.unique(names, return_inverse=True)
        weight = check_weight(sample_weight, matrix)
        n_rows = len(matrix) if weight is None else np.count_nonzero(weight)
        own = StandardColumns(matrix, weight=weight)
        score = {"linreg": explained_by_all, "svcca": explained_by_shared_subspace}.get(
            self.criterion, _strongest
        )
        scores = []
        for code, name in enumerate(self.models_):
            columns = np.flatnonzero(codes == code)
            self._warn_about_width(name, len(columns), n_rows)
            scores.append(score(own, StandardColumns(reference, columns, weight=weight)))
        # Rounding can lift constant neurons above 0 and perfect matches above 1.
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
            f"any neuron on {n_samples} rows perfectly, so the 'linreg' scores are meaningless. "
            "Use more rows, or criterion='maxcorr' or 'svcca'.",
        )


def _check_reference(reference, reference_models, X, *, caller):
    reference, _ = check_activations(reference, input_name="reference", caller=caller)
    if len(reference) != len(X):
        raise ValueError(
            f"X has {len(X)} rows, but the reference has {len(reference)}. Both must hold "
            "activations for the same words, in the same order."
        )
    if reference_models is None:
        return reference, np.full(reference.shape[1], "reference")
    names = np.asarray(reference_models)
    if names.shape != reference.shape[1:]:
        raise ValueError(
            f"reference_models has shape {names.shape}, but the reference has "
            f"{reference.shape[1]} columns. Pass one model name per column. (If the reference has "
            "as many columns as rows, cross-validation mistakes reference_models for row metadata "
            "and splits it: drop a column.)"
        )
    return reference, names


def _strongest(own, other):
    return np.abs(correlations(own, other)).max(axis=1)
