# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.utils._autocast import without_autocast
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._full_float32 import full_float32
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._torch import resolve_device
from sklearn_neurox.utils._validation import check_matrix, check_weight
from sklearn_neurox.utils._warn_user import warn_user

# Widths of the smoothed errors, relative to the mean target: a first fit that is easy to solve, and
# a last one close to absolute errors.
_WIDTHS = (0.3, 0.03)


class StructuralProbe(DocLinkMixin, RegressorMixin, BaseEstimator):
    r"""Probe for trees: squared distances in a projection of the activations fit tree distances.

    A row of X is the difference :math:`h_i - h_j` between the activations of two words of a
    sentence, and its target is the number of arcs between them in the syntax tree. The probe
    predicts :math:`\|B (h_i - h_j)\|^2`, the squared distance of the words in a space of at most
    ``rank`` dimensions [1]_.

    Parameters
    ----------
    rank : int or None, default=64
        Maximum number of rows of B. None, or more than the number of columns, means all columns.

    alpha : float, default=0.0
        Strength of the ridge penalty on B. 0 is the objective of [1]_. A penalty helps if there are
        only a few hundred sentences. It does not depend on the units of X or y.

    tol : float, default=3e-5
        The solver stops if a step decreases the objective by at most ``tol`` times the mean target.

    max_iter : int, default=500
        Maximum number of steps, in each of the two stages.

    device : str, default="auto"
        Device to solve on: "cpu", "cuda", "cuda:<index>" or "mps"; "auto" uses CUDA if available.
        On CUDA, X must fit on the device.

    Attributes
    ----------
    components_ : ndarray of shape (rank, n_features)
        The matrix B. Its rows are orthogonal, and the one with the largest norm is first.

    loss_ : float
        The weighted mean of the absolute errors on the training rows, without the penalty.

    n_iter_ : int
        Number of steps of the solver, in both stages.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    sklearn_neurox.evaluation.uuas_score : Compare the trees that distances predict.
    sklearn_neurox.evaluation.distance_spearman_score : Correlate distances.
    ElasticNetProbeRegressor : A linear probe for numbers.

    Notes
    -----
    The probe minimizes the weighted mean of the absolute errors, as in [1]_, plus the penalty:

    .. math::

        \frac{\sum_{p} w_p \left| y_p - \|B d_p\|^2 \right|}{\sum_p w_p}
        + \alpha \sum_{mf} (B_{mf} s_f)^2

    where :math:`d_p` is row :math:`p` of X, :math:`y_p` its target, :math:`w_p` its weight, and
    :math:`s_f` the root of the weighted mean of :math:`d_{pf}^2`. In [1]_, the errors of a sentence
    are divided by its squared length: pass ``sample_weight=1 / n_words**2``, with the number of
    words in the sentence of each pair. The probe gives both orders of a pair the same distance, so
    it is enough to pass one of them.

    The problem is not convex in B, so the solution is a local minimum. There is no randomness:
    L-BFGS starts from the principal axes of the rows, first with errors smoothed by
    :math:`\sqrt{e^2 + \delta^2} - \delta`, with :math:`\delta` equal to 0.3 times the mean target,
    then 0.03 times. The authors of [1]_ use Adam with early stopping instead.

    B applies to words as well: in ``H @ components_.T``, the Euclidean distance between two words
    is the square root of what the probe predicts. Each step reads X once. X is copied only to a
    GPU, or if some weights are zero.

    References
    ----------
    .. [1] J. Hewitt, C. D. Manning, "A Structural Probe for Finding Syntax in Word
       Representations", NAACL 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_neurox.probes import StructuralProbe
    >>> differences = np.random.RandomState(0).normal(size=(200, 5))
    >>> distances = 4 * differences[:, 0] ** 2 + differences[:, 3] ** 2
    >>> probe = StructuralProbe(rank=2, tol=1e-8).fit(differences, distances)
    >>> np.abs(probe.components_).round(2)
    array([[2., 0., 0., 0., 0.],
           [0., 0., 0., 1., 0.]])
    """

    _parameter_constraints: dict = {
        "rank": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
    }

    def __init__(
        self,
        rank: int | None = 64,
        *,
        alpha: float = 0.0,
        tol: float = 3e-5,
        max_iter: int = 500,
        device: str = "auto",
    ):
        self.rank = rank
        self.alpha = alpha
        self.tol = tol
        self.max_iter = max_iter
        self.device = device

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        # It predicts distances, which are not linear in X.
        tags.regressor_tags.poor_score = True
        return tags

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "StructuralProbe":
        """Fit the probe.

        Parameters
        ----------
        X : array-like of shape (n_pairs, n_features)
            Differences between the activations of two words, of float16, float32 or float64; never
            modified.

        y : array-like of shape (n_pairs,)
            Tree distances.

        sample_weight : array-like of shape (n_pairs,) or None, default=None
            Weights of the pairs; see Notes for those of the paper. Weight 0 leaves a pair out.

        Returns
        -------
        self : StructuralProbe
            The fitted probe.

        Raises
        ------
        ValueError
            If X or y contains NaN or infinity, a distance or a weight is negative, or all weights
            are zero.

        Warns
        -----
        ConvergenceWarning
            If the solver stops at ``max_iter``.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight):
        from sklearn_neurox.probes._structural._distance_loss import DistanceLoss

        caller = type(self).__name__
        options = {"y_numeric": True, "squares": True, "beside": {"sample_weight": sample_weight}}
        X, y = check_matrix(self, X, y, reset=True, **options)
        y = y.astype(np.float64)
        if (y < 0).any():
            row = int((y < 0).argmax())
            raise ValueError(
                f"Negative values in y of {caller}: {y[row]} at row {row}. It predicts squared "
                "distances, which are never negative; pass the number of arcs between two words."
            )
        weight = check_weight(sample_weight, X)
        # Distances in units of their mean: the stopping rule of L-BFGS has no unit.
        unit = np.average(y, weights=weight) or 1.0
        device = resolve_device(self.device, caller=caller)
        with without_autocast(), full_float32(device):
            loss = DistanceLoss(X, y / unit, weight, device)
            point, self.n_iter_ = self._minimize(loss)
            self.loss_ = float(unit * loss.absolute(point))
        self.components_ = _rotated(np.sqrt(unit) * point / loss.scale)
        return self

    def _minimize(self, loss):
        """Return the components, which act on scaled columns, and the number of steps."""
        rank = len(loss.scale) if self.rank is None else min(self.rank, len(loss.scale))
        point, n_iter = loss.start(rank), 0
        for width in _WIDTHS:
            found = minimize(
                self._objective,
                point.ravel(),
                args=(loss, point.shape, width),
                jac=True,
                method="L-BFGS-B",
                # The gradient is not tested: its norm has a unit.
                options={"maxiter": self.max_iter, "ftol": self.tol, "gtol": 0, "maxfun": np.inf},
            )
            point, n_iter = found.x.reshape(point.shape), n_iter + int(found.nit)
        if found.nit >= self.max_iter:
            warn_user(
                f"{type(self).__name__} stopped after max_iter={self.max_iter} steps, when the "
                "objective still decreased by more than tol times the mean target. Raise max_iter "
                "or tol, or choose a larger alpha.",
                ConvergenceWarning,
            )
        return point, n_iter

    def _objective(self, point, loss, shape, width):
        components = point.reshape(shape)
        value, gradient = loss.smoothed(components, width)
        value += self.alpha * float(np.square(components).sum())
        return value, (gradient + 2 * self.alpha * components).ravel()

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the squared distance of each pair in the space of the probe.

        Parameters
        ----------
        X : array-like of shape (n_pairs, n_features)
            Differences between the activations of two words.

        Returns
        -------
        distances : ndarray of shape (n_pairs,)
            Predicted tree distances, which are not negative.
        """
        return self._distances(X)

    def _distances(self, X):
        check_is_fitted(self)
        X = check_matrix(self, X, reset=False)
        dtype = np.result_type(X.dtype, np.float32)
        components = self.components_.T.astype(dtype)
        distances = np.empty(len(X), dtype=dtype)
        for block in row_blocks(X):
            projected = X[block].astype(dtype, copy=False) @ components
            distances[block] = np.square(projected).sum(axis=1)
        return distances


def _rotated(components):
    """Rotate the rows to be orthogonal, which changes no distance, and choose their signs."""
    _, norms, axes = np.linalg.svd(components, full_matrices=False)
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(len(axes)), largest])
    return axes * (norms * signs)[:, np.newaxis]
