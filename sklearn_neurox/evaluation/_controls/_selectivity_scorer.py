# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.metadata_routing import UNUSED

from sklearn_neurox.evaluation._controls._control_task_classifier import ControlTaskClassifier
from sklearn_neurox.utils._doc_link import DocLinkMixin
from sklearn_neurox.utils._scores._fold_score import score_fold


class SelectivityScorer(DocLinkMixin, BaseEstimator):
    """Score a `ControlTaskClassifier` by its selectivity: task score minus control score.

    Pass it as ``scoring`` to `sklearn.model_selection.cross_validate` or to a search. It requests
    ``control_y``, the control labels of the test rows, through metadata routing.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        Scorer for both tasks. None uses the ``score`` method of the probe, which is the accuracy.

    See Also
    --------
    ControlTaskClassifier : Fit a probe to a task and to a control task.
    selectivity_score : Fit and score in one call, with the ceiling of the control task.

    Notes
    -----
    With ``set_score_request(sample_weight=True)``, both scores weight the test rows.

    References
    ----------
    .. [1] J. Hewitt, P. Liang, "Designing and Interpreting Probes with Control Tasks", EMNLP 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn_neurox.evaluation import (
    ...     ControlTaskClassifier, SelectivityScorer, control_labels
    ... )
    >>> X, y = load_iris(return_X_y=True)
    >>> control = control_labels([str(i) for i in range(150)], y)  # every row a type of its own
    >>> probe = ControlTaskClassifier(LogisticRegression(max_iter=500))
    >>> probe = probe.fit(X[::2], y[::2], control_y=control[::2])
    >>> bool(SelectivityScorer()(probe, X[1::2], y[1::2], control[1::2]) > 0.4)
    True
    """

    # Always request control_y, so that users need not; estimator is not metadata.
    __metadata_request__score = {"control_y": True, "estimator": UNUSED}

    def __init__(self, scoring: str | Callable | None = None):
        self.scoring = scoring

    def __call__(self, estimator, X, y, *args, **kwargs):
        """Score as scikit-learn calls scorers; see ``score``."""
        return self.score(estimator, X, y, *args, **kwargs)

    # scikit-learn reads the metadata requests from the signature of the method named score.
    def score(
        self,
        estimator: ControlTaskClassifier,
        X: ArrayLike,
        y: ArrayLike,
        control_y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Compute the score on the task minus the score on the control task.

        Parameters
        ----------
        estimator : ControlTaskClassifier
            Fitted estimator.

        X : array-like of shape (n_samples, n_features)
            Test data.

        y : array-like of shape (n_samples,)
            Labels of the task.

        control_y : array-like of shape (n_samples,)
            Labels of the control task. Required, despite the default.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Sample weights.

        Returns
        -------
        selectivity : float
            The score on the task minus the score on the control task; higher means more selective.

        Raises
        ------
        TypeError
            If the estimator is not a fitted `ControlTaskClassifier`.

        ValueError
            If there are no control labels.
        """
        validate_parameter_constraints(
            {"scoring": [str, callable, None]},
            {"scoring": self.scoring},
            caller_name=type(self).__name__,
        )
        if not hasattr(estimator, "control_estimator_"):
            raise TypeError(
                "SelectivityScorer can only score a fitted ControlTaskClassifier, got a "
                f"{type(estimator).__name__}. Wrap the whole pipeline instead of its last step: "
                "ControlTaskClassifier(make_pipeline(...))."
            )
        if control_y is None:
            raise ValueError(
                "SelectivityScorer needs the control labels of the rows it scores. Enable metadata "
                "routing with sklearn.set_config(enable_metadata_routing=True), and pass "
                "control_y: in params={'control_y': ...} of cross_validate, or in fit(..., "
                "control_y=...) of a search."
            )
        pairs = (estimator.estimator_, y), (estimator.control_estimator_, control_y)
        task, control = (
            score_fold(
                check_scoring(probe, scoring=self.scoring),
                probe,
                X,
                labels,
                where="The test part of SelectivityScorer",
                sample_weight=sample_weight,
            )
            for probe, labels in pairs
        )
        return task - control
