# SPDX-License-Identifier: BSD-3-Clause
"""Without ``scoring``, the outcomes are those of the probe's own score, whatever its metric."""

import warnings

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.utils._scores._scored_rows import score_rows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
NUMBERS = X[:, 0] + RNG.normal(size=60)
LABELS = np.where(NUMBERS > 0.5, "yes", "no")
GROUPS = np.arange(60) // 4


def _search(scoring, probe=None, kind=GridSearchCV, **options):
    probe = LogisticRegression() if probe is None else probe
    name = "alpha" if isinstance(probe, Ridge) else "C"
    return kind(probe, {name: [0.1, 1.0]}, scoring=scoring, cv=3, **options)


def _by_hand(probe, X, y):
    return np.mean(probe.predict(X) == y)


@pytest.mark.slow
def test_outcomes_of_scores_that_estimators_define():
    both = {"f1": "f1_macro", "mcc": "matthews_corrcoef"}
    for probe, y, is_known in (
        (_search(None), LABELS, True),
        (_search("f1_macro"), LABELS, True),
        (_search(make_scorer(lambda y, predicted: np.mean(y == predicted))), LABELS, True),
        (_search(both, refit="mcc"), LABELS, True),
        (_search("matthews_corrcoef", kind=RandomizedSearchCV, n_iter=2), LABELS, True),
        (_search(None, Ridge()), NUMBERS, True),
        (_search("neg_mean_squared_error", Ridge()), NUMBERS, True),
        (make_pipeline(StandardScaler(), _search("balanced_accuracy")), LABELS, True),
        (LogisticRegressionCV(Cs=[0.1, 1.0], scoring="balanced_accuracy"), LABELS, True),
        (LogisticRegressionCV(Cs=[0.1, 1.0], scoring="neg_log_loss"), LABELS, True),
        (LogisticRegressionCV(Cs=[0.1, 1.0]), LABELS, True),
        (FrozenEstimator(LogisticRegression().fit(X, LABELS)), LABELS, True),
        (DummyClassifier(), LABELS, True),
        (DummyRegressor(), NUMBERS, True),
        (_search(_by_hand), LABELS, False),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # defaults of LogisticRegressionCV
            probe.fit(X, y)
            own = probe.score(X, y)
        found = score_rows(None, probe, X, y, GROUPS, where="Here")
        np.testing.assert_allclose(found.score, own, err_msg=repr(probe))
        if is_known:
            np.testing.assert_allclose(found.outcomes.mean(), own, err_msg=repr(probe))
        else:
            assert np.isnan(found.outcomes).all()
