# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils.metadata_routing import UNUSED

from sklearn_neurox.evaluation._controls._control_task_classifier import ControlTaskClassifier


class SelectivityScorer(BaseEstimator):
    """Score a `ControlTaskClassifier` by its score on the task minus that on the control.

    A scorer, for ``scoring=`` of `sklearn.model_selection.cross_validate` and of searches. It
    requests ``control_y``, the control labels of the test rows, which metadata routing gives it.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        What to take the difference of; None takes the ``score`` method of the probe, the accuracy.

    See Also
    --------
    ControlTaskClassifier : What it scores.
    selectivity_score : Fits and scores at once, and tells the ceiling of the control too.

    Notes
    -----
    ``set_score_request(sample_weight=True)`` makes it weigh the test rows, in both scores.

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

    # The control is what it is about, so nobody need ask for it; the estimator is no metadata.
    __metadata_request__score = {"control_y": True, "estimator": UNUSED}

    def __init__(self, scoring: str | Callable | None = None):
        self.scoring = scoring

    def __call__(self, estimator, X, y, *args, **kwargs):
        """Score, as scikit-learn calls a scorer; see ``score``."""
        return self.score(estimator, X, y, *args, **kwargs)

    # What a scorer requests is read off the signature of a method with this name.
    def score(
        self,
        estimator: ControlTaskClassifier,
        X: ArrayLike,
        y: ArrayLike,
        control_y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Score on the task minus score on the control.

        Parameters
        ----------
        estimator : ControlTaskClassifier
            A fitted one.

        X : array-like of shape (n_samples, n_features)
            The rows to score.

        y : array-like of shape (n_samples,)
            Their labels of the task.

        control_y : array-like of shape (n_samples,)
            Their labels of the control.

        sample_weight : array-like of shape (n_samples,) or None, default=None
            Their weights.

        Returns
        -------
        selectivity : float
            The difference.

        Raises
        ------
        TypeError
            For another estimator.

        ValueError
            If there are no control labels.
        """
        if not hasattr(estimator, "control_estimator_"):
            raise TypeError(
                "SelectivityScorer scores a fitted ControlTaskClassifier, got a "
                f"{type(estimator).__name__}. Put a pipeline inside: "
                "ControlTaskClassifier(make_pipeline(...))."
            )
        if control_y is None:
            raise ValueError(
                "SelectivityScorer needs the control labels of the rows it scores. Enable metadata "
                "routing, sklearn.set_config(enable_metadata_routing=True), and pass control_y "
                "along, in params={'control_y': ...} of cross_validate or fit(..., control_y=...) "
                "of a search."
            )
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        task, control = (
            check_scoring(probe, scoring=self.scoring)(probe, X, labels, **weights)
            for probe, labels in (
                (estimator.estimator_, y),
                (estimator.control_estimator_, control_y),
            )
        )
        return task - control
