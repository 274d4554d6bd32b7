# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import assert_all_finite, check_consistent_length, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if

# Private, but scikit-learn's own meta-estimators delegate methods with it.
from sklearn.utils.validation import _estimator_has, check_is_fitted

from sklearn_neurox.utils._containers import to_pandas
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._labels import check_class_labels, check_no_missing_labels
from sklearn_neurox.utils._validation import check_row_order


def check_both_labels(X, y, control_y):
    """Check that task and control labels are present, one per row."""
    check_consistent_length(X, y, control_y)
    for labels, name in ((to_pandas(y), "y"), (to_pandas(control_y), "control_y")):
        check_no_missing_labels(labels, input_name=name)
        assert_all_finite(labels, input_name=name)
        check_class_labels(labels)


class ControlTaskClassifier(DocLinkMixin, MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Fit a probe to a task, and a clone of it to a control task.

    It predicts the task and can be scored like any classifier. `SelectivityScorer` scores it by its
    selectivity instead, which is the accuracy on the task minus the accuracy on the control task. A
    search can thus choose the probe that learns the task but memorizes little.

    Parameters
    ----------
    estimator : classifier instance
        The probe, or a pipeline that ends in it; cloned for both tasks. Supervised steps before
        the probe, such as a ranker, must be part of this pipeline, so that each task gets its own.

    Attributes
    ----------
    estimator_ : classifier instance
        The probe fitted to the task.

    control_estimator_ : classifier instance
        The probe fitted to the control task.

    classes_ : ndarray of shape (n_classes,)
        Class labels of the task.

    n_features_in_ : int
        Number of columns seen during ``fit``; only set if the probe has this attribute.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns seen during ``fit``; only set if the probe has this attribute.

    See Also
    --------
    control_labels : Draw the control labels.
    SelectivityScorer : Score this classifier by its selectivity.
    selectivity_score : Fit and score in one call, with the ceiling of the control task.

    Notes
    -----
    In `sklearn.model_selection.cross_validate` and in searches, metadata routing selects the
    control labels of each fold and passes them to ``fit`` and to the scorer. Set
    ``sklearn.set_config(enable_metadata_routing=True)`` (or use ``sklearn.config_context``), call
    ``set_fit_request(control_y=True)`` on this estimator, and pass ``control_y`` in ``params`` (or
    to the ``fit`` method of the search).

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn import config_context
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_validate
    >>> from sklearn_neurox.evaluation import (
    ...     ControlTaskClassifier, SelectivityScorer, control_labels
    ... )
    >>> types = np.random.RandomState(0).randint(50, size=1000)
    >>> X = np.random.RandomState(1).randn(50, 20)[types]  # an embedding: one point per type
    >>> y = np.where(X[:, 0] > 0, "a", "b")
    >>> control = control_labels([str(t) for t in types], y)
    >>> probe = ControlTaskClassifier(LogisticRegression())
    >>> with config_context(enable_metadata_routing=True):
    ...     scores = cross_validate(
    ...         probe.set_fit_request(control_y=True), X, y, scoring=SelectivityScorer(),
    ...         params={"control_y": control},
    ...     )
    >>> 0.0 < scores["test_score"].mean() < 0.5
    np.True_
    """

    _parameter_constraints: dict = {"estimator": [HasMethods(["fit", "predict"])]}

    def __init__(self, estimator: BaseEstimator):
        self.estimator = estimator

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        if inner.classifier_tags is not None:
            tags.classifier_tags = inner.classifier_tags
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata that is routed to the probe.

        Returns
        -------
        routing : MetadataRouter
            Metadata routing for ``fit``; ``control_y`` is used by this estimator itself.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    @_fit_context(
        # The probe validates its own parameters.
        prefer_skip_nested_validation=False
    )
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        control_y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **fit_params,
    ) -> "ControlTaskClassifier":
        """Fit one clone of the probe to the task, and one to the control task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data to fit the probe on.

        y : array-like of shape (n_samples,)
            Labels of the task.

        control_y : array-like of shape (n_samples,)
            Labels of the control task, for example from `control_labels`. Required, despite the
            default.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights for both fits, if the probe accepts them.

        **fit_params : dict
            Further arguments for the ``fit`` method of the probe, such as ``groups`` for a probe
            with internal cross-validation. With metadata routing enabled, the metadata that the
            probe requests; ``sample_weight`` must then be requested on this estimator and on the
            probe.

        Returns
        -------
        self : ControlTaskClassifier

        Raises
        ------
        ValueError
            If there are no control labels, a label is missing, or the number of labels differs
            from the number of rows.
        """
        self._check_labels(X, y, control_y)
        beside = {"control_y": control_y, "sample_weight": sample_weight}
        check_row_order(**{"X": X, "y": y} | beside | fit_params)
        # Routing treats even None as passed, and may reject it.
        if sample_weight is not None:
            fit_params["sample_weight"] = sample_weight
        if get_config()["enable_metadata_routing"] and fit_params:
            fit_params = process_routing(self, "fit", **fit_params).estimator.fit
        self.estimator_ = clone(self.estimator).fit(X, y, **fit_params)
        self.control_estimator_ = clone(self.estimator).fit(X, control_y, **fit_params)
        self.classes_ = self.estimator_.classes_
        for attribute in ("n_features_in_", "feature_names_in_"):
            # An earlier fit may have set it.
            self.__dict__.pop(attribute, None)
            if hasattr(self.estimator_, attribute):
                setattr(self, attribute, getattr(self.estimator_, attribute))
        return self

    def _check_labels(self, X, y, control_y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        if control_y is None:
            raise ValueError(
                "ControlTaskClassifier needs the labels of the control task: fit(X, y, "
                "control_y=control_labels(words, y)). In cross-validation and in searches, enable "
                "metadata routing, call set_fit_request(control_y=True) on it, and pass control_y, "
                "for example cross_validate(..., params={'control_y': control_y})."
            )
        check_both_labels(X, y, control_y)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the labels of the task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data as in ``fit``.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted labels.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict class probabilities for the task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data as in ``fit``.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probability of each class; columns follow ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict the logarithms of class probabilities for the task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data as in ``fit``.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Log-probability of each class, in nats; columns follow ``classes_``.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the decision function for the task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data as in ``fit``.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Decision function of the probe.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)
