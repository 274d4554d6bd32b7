# SPDX-License-Identifier: BSD-3-Clause
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_neurox.ablation._erasure._concept import (
    ConceptColumn,
    check_varies,
    concept_columns,
)
from sklearn_neurox.ablation._erasure._inlp import inlp_subspace
from sklearn_neurox.ablation._erasure._joint_moments import JointMoments
from sklearn_neurox.ablation._erasure._subspaces import (
    concept_rank,
    erased_columns,
    leace_subspace,
    mean_subspace,
    random_subspace,
)
from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._row_blocks import row_blocks
from sklearn_neurox.utils._validation import (
    check_equal_lengths,
    check_matrix,
    check_weight,
    forget_fit,
)
from sklearn_neurox.utils._warn_user import warn_user


def _can_stream(estimator):
    if estimator.method == "inlp":
        raise AttributeError(
            "partial_fit is not available with method='inlp', which fits probes on all rows. Call "
            "fit, or use method='leace'."
        )
    return True


class ConceptEraser(DocLinkMixin, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Make a concept unreadable for linear probes, and change the activations as little as can be.

    ``transform`` removes what is linearly related to the concept, such as part of speech, and
    keeps the columns. If a model or another probe does worse on the result, it used the concept or
    what correlates with it.

    Parameters
    ----------
    method : {"leace", "inlp", "mean", "random"}, default="leace"
        What is removed:

        - ``"leace"``: least-squares concept erasure [1]_. Of all affine maps that leave no
          covariance with the concept, it is the one that moves the rows the least.
        - ``"mean"``: the differences between class means are projected out orthogonally. No
          covariance is left either, but rows move further, since columns are correlated.
        - ``"inlp"``: iterative nullspace projection [2]_. The coefficients of a probe are
          projected out, then those of a new probe, until probes predict held-out rows no better
          than chance: the most frequent class (up to one standard error), or the mean.
        - ``"random"``: random directions, as a control. By default as many as ``"leace"`` removes.

    n_directions : int or None, default=None
        The largest number of directions to remove. None removes as many as the method needs, which
        is the number of classes minus one for ``"leace"``, ``"mean"`` and ``"random"``. With
        fewer, part of the concept stays. With ``"random"``, the exact number.

    target_type : {"auto", "classes", "numbers"}, default="auto"
        What the concept is. ``"auto"`` takes columns with fractional numbers for numbers, and all
        others for class labels, for each column by itself. Of a number, only its linear relation
        to the activations is erased; of classes, the relation to every class.

    estimator : estimator instance or None, default=None
        The linear probe of ``"inlp"``, with ``coef_``; it receives standardized columns. None uses
        `ElasticNetProbeClassifier` or `ElasticNetProbeRegressor` with ``alpha=0.01`` and
        ``l1_ratio=0``.

    random_state : int, RandomState instance or None, default=None
        Controls the directions of ``"random"``.

    Attributes
    ----------
    directions_ : ndarray of shape (n_removed, n_features)
        Directions of unit length along which rows are moved; orthonormal, except for ``"leace"``.

    readouts_ : ndarray of shape (n_removed, n_features)
        Linear functions of the rows, in the order of ``directions_``, which tell how far they are
        moved: a row x becomes ``x - (x - mean_) @ readouts_.T @ directions_``. Equal to
        ``directions_`` except for ``"leace"``.

    projection_ : ndarray of shape (n_features, n_features)
        The matrix ``I - directions_.T @ readouts_``, computed when it is accessed: x becomes
        ``mean_ + projection_ @ (x - mean_)``. Applying it twice is the same as once.

    mean_ : ndarray of shape (n_features,)
        Mean of the rows, which stays as it is.

    n_iter_ : int
        Number of rounds of ``"inlp"`` in which directions were removed; 1 for other methods.

    n_features_in_ : int
        Number of columns seen during ``fit``.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if all of them are strings.

    See Also
    --------
    erasure_table : Measure what erasing a concept costs.
    ablate_model : Erase the concept inside a model while it runs.
    NeuronAblator : Ablate neurons instead of directions.
    sklearn_neurox.probes.MeanDifferenceProbeClassifier : A probe with such directions.

    Notes
    -----
    With :math:`\Sigma` the covariance of the rows and :math:`C` their covariance with the concept
    (one column per class or number), LEACE is

    .. math::

        r(x) = x - C (C^\top \Sigma^+ C)^+ C^\top \Sigma^+ (x - \mu)

    which equals equation 1 of [1]_. No linear classifier or regression, however it is fitted, can
    then do better on the training rows than one that ignores X. New rows are erased as well as
    the covariances generalize: with fewer rows than a few times the columns, a probe may find the
    concept in new rows again.

    Moments are computed in double precision, in one pass over blocks of rows. ``"leace"`` needs
    memory for a matrix of ``8e-9 * n_features ** 2`` GB; ``"inlp"`` holds a copy of X.

    The last fifth of the rows of each class is held out by ``"inlp"``, and has no part in the
    directions. Its stopping rule is that of [2]_. It is lenient: a probe that is fitted to other
    rows may still do better than chance, and with classes of very different sizes, accuracy at the
    rate of the most frequent class does not mean that nothing can be read.

    References
    ----------
    .. [1] N. Belrose, D. Schneider-Joseph, S. Ravfogel, R. Cotterell, E. Raff, S. Biderman, "LEACE:
       Perfect linear concept erasure in closed form", NeurIPS 2023.

    .. [2] S. Ravfogel, Y. Elazar, H. Gonen, M. Twiton, Y. Goldberg, "Null It Out: Guarding
       Protected Attributes by Iterative Nullspace Projection", ACL 2020.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.ablation import ConceptEraser
    >>> from sklearn_neurox.datasets import make_planted_neurons
    >>> planted = make_planted_neurons(effect=2.0, random_state=0)
    >>> eraser = ConceptEraser().fit(planted.X, planted.y)
    >>> eraser.directions_.shape
    (2, 200)
    >>> probe = LogisticRegression()
    >>> probe.fit(planted.X, planted.y).score(planted.X, planted.y) > 0.9
    True
    >>> X = eraser.transform(planted.X)
    >>> round(probe.fit(X, planted.y).score(X, planted.y), 1)
    0.3
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({"leace", "inlp", "mean", "random"})],
        "n_directions": [Interval(Integral, 1, None, closed="left"), None],
        "target_type": [StrOptions({"auto", "classes", "numbers"})],
        "estimator": [HasMethods(["fit", "predict"]), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method: str = "leace",
        *,
        n_directions: int | None = None,
        target_type: str = "auto",
        estimator: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.method = method
        self.n_directions = n_directions
        self.target_type = target_type
        self.estimator = estimator
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __sklearn_is_fitted__(self):
        # An interrupted fit may have set other attributes only.
        return hasattr(self, "readouts_")

    @property
    def projection_(self) -> np.ndarray:
        """Matrix of the erasure."""
        check_is_fitted(self)
        return np.eye(self.n_features_in_) - self.directions_.T @ self.readouts_

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        concept: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "ConceptEraser":
        """Find the directions to remove.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_columns)
            The concept: labels or numbers, in one or several columns, which are erased together.
            Ignored if ``concept`` is given.

        concept : array-like of shape (n_samples,) or (n_samples, n_columns), or None, default=None
            The concept, if it is not y. In a pipeline that predicts y, request it with
            ``set_fit_request(concept=True)`` under
            ``sklearn.set_config(enable_metadata_routing=True)``.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights: weight 2 counts a row twice, weight 0 leaves it out.

        Returns
        -------
        self : ConceptEraser
            The fitted eraser.

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, a column of the concept has only one
            value, or more directions are asked for than there are columns.

        Warns
        -----
        UserWarning
            If all directions of X are removed, so that nothing is left.
        """
        X, columns, weights = self._check_input(X, y, concept, sample_weight, reset=True)
        check_varies(columns, weights, caller=type(self).__name__)
        moments = self._start(columns).updated(X, columns, weights)
        self._set_moments(moments, columns)
        if self.method == "inlp":
            directions, n_rounds = inlp_subspace(
                X,
                moments,
                columns,
                weights,
                estimator=self.estimator,
                n_directions=self.n_directions,
            )
            self._set_subspace(moments, directions, directions, n_rounds)
        return self

    @available_if(_can_stream)
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        concept: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> "ConceptEraser":
        """Add a batch of rows; the result equals that of ``fit`` on all rows, up to rounding.

        A class may occur for the first time in any call. Not available with ``method="inlp"``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations, of float16, float32 or float64; never modified.

        y : array-like of shape (n_samples,) or (n_samples, n_columns)
            The concept. Ignored if ``concept`` is given.

        concept : array-like of shape (n_samples,) or (n_samples, n_columns), or None, default=None
            The concept, if it is not y.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights.

        Returns
        -------
        self : ConceptEraser
            The updated eraser.

        Raises
        ------
        ValueError
            If X contains NaN or infinity, a label is missing, or the concept has another number of
            columns than before.
        """
        is_first = not hasattr(self, "_moments")
        X, columns, weights = self._check_input(X, y, concept, sample_weight, reset=is_first)
        moments = self._start(columns)
        if not is_first:
            moments, columns = self._continued(columns)
        self._set_moments(moments.updated(X, columns, weights), columns)
        return self

    def _check_input(self, X, y, concept, sample_weight, *, reset):
        caller = type(self).__name__
        if reset:
            forget_fit(self)
            vars(self).pop("_moments", None)
            vars(self).pop("_classes", None)
        name = "y" if concept is None else "concept"
        concept = to_pandas(y if concept is None else concept)
        # Without a concept, scikit-learn raises its own error.
        given = (None,) if concept is None else ()
        beside = {name: concept, "sample_weight": sample_weight}
        options = {"reset": reset, "forget": False, "squares": True, "beside": beside}
        X = check_matrix(self, X, *given, **options)
        kinds = self.target_type
        if hasattr(self, "_classes"):
            kinds = ["numbers" if classes is None else "classes" for classes in self._classes]
        columns = concept_columns(concept, kinds, caller=caller, name=name)
        check_equal_lengths(caller, X=X, **{name: columns[0].values})
        if self.n_directions is not None and self.n_directions > X.shape[1]:
            raise ValueError(
                f"The 'n_directions' parameter of {caller} is {self.n_directions}, but X has only "
                f"{X.shape[1]} columns."
            )
        return X, columns, check_weight(sample_weight, X)

    def _start(self, columns):
        n_columns = sum(column.width for column in columns)
        with_scatter = self.method == "leace"
        return JointMoments.empty(self.n_features_in_, n_columns, with_scatter=with_scatter)

    def _continued(self, columns):
        """Return the moments so far and the columns, both with the classes of both."""
        moments = JointMoments(**self._moments)
        if self.method == "leace" and moments.scatter.ndim == 1:
            raise ValueError(
                "The 'method' parameter of ConceptEraser was set to 'leace' after rows were read "
                "without their covariances. Call fit."
            )
        both, places, start = [], [], 0
        for known, column in zip(self._classes, columns, strict=True):
            if known is not None:
                classes = np.union1d(known, column.classes)
                values = np.searchsorted(classes, column.classes)[column.values]
                column, known = ConceptColumn(values, classes), np.searchsorted(classes, known)
            places.append(start + (np.arange(1) if known is None else known))
            both.append(column)
            start += column.width
        return moments.widened(np.concatenate(places), start), both

    def _set_moments(self, moments, columns):
        self._moments = vars(moments)
        self._classes = [column.classes for column in columns]
        self.mean_ = moments.mean
        if self.method == "inlp":
            return
        rank = concept_rank(moments)
        if self.method == "random":
            n_directions = rank if self.n_directions is None else self.n_directions
            random_state = check_random_state(self.random_state)
            subspace = random_subspace(len(self.mean_), n_directions, random_state)
        elif not rank:
            subspace = (np.zeros((0, len(self.mean_))),) * 2
        else:
            find = leace_subspace if self.method == "leace" else mean_subspace
            subspace = find(moments, self.n_directions)
        self._set_subspace(moments, *subspace)

    def _set_subspace(self, moments, directions, readouts, n_rounds=1):
        self._is_erased = erased_columns(moments, directions, readouts)
        self.n_iter_, self.directions_, self.readouts_ = n_rounds, directions, readouts
        if len(directions) == self.n_features_in_ and self.n_directions is None:
            warn_user(
                f"ConceptEraser removes all {len(directions)} directions of X, so each row becomes "
                "the mean. The concept has at least as many classes as X has columns, or its "
                "probes never came down to chance. If its labels are numbers, use "
                "target_type='numbers'; otherwise limit n_directions."
            )

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Erase the concept.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Activations; read block by block.

        Returns
        -------
        X_erased : ndarray of shape (n_samples, n_features)
            A copy of float64, or of float32 if X is float32 or float16: half precision has too few
            digits for an erased concept to stay unreadable.
        """
        check_is_fitted(self)
        matrix: np.ndarray = check_matrix(self, X, reset=False)
        erased = np.empty(matrix.shape, dtype=np.result_type(matrix.dtype, np.float32))
        for block in row_blocks(matrix):
            rows = matrix[block].astype(np.float64)
            rows -= (rows - self.mean_) @ self.readouts_.T @ self.directions_
            # What rounding leaves of a column could be scaled up again, and read.
            erased[block] = np.where(self._is_erased, self.mean_, rows)
        return erased
