# SPDX-License-Identifier: BSD-3-Clause
"""A score is the mean of its outcomes, and they are its derivatives in the weights of the rows."""

from functools import partial

import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import get_scorer, make_scorer

from sklearn_neurox.utils._scores._group_intervals import group_mean
from sklearn_neurox.utils._scores._outcomes import metric_scale
from sklearn_neurox.utils._scores._recorded_predictions import RecordedPredictions

RNG = np.random.default_rng(0)
GROUPS = np.repeat(np.arange(20), RNG.integers(1, 5, 20))
N = len(GROUPS)
LETTERS = RNG.choice(list("abc"), N, p=[0.6, 0.3, 0.1])
GUESSES = np.where(RNG.random(N) < 0.7, LETTERS, RNG.choice(list("abc"), N))
NUMBERS = RNG.normal(3, 2, N)
NEAR = NUMBERS + RNG.normal(size=N)
PROBA = RNG.dirichlet([1, 1, 1], N) + np.eye(3)[np.searchsorted(list("abc"), LETTERS)]
PROBA /= PROBA.sum(axis=1, keepdims=True)
SCORE = (LETTERS == "a") + RNG.normal(size=N)

# Scorer, labels, predictions, and the metric as a function of labels, predictions and weights.
BY_LABEL = [
    ("accuracy", metrics.accuracy_score),
    ("balanced_accuracy", metrics.balanced_accuracy_score),
    ("f1_macro", partial(metrics.f1_score, average="macro")),
    ("f1_weighted", partial(metrics.f1_score, average="weighted")),
    ("jaccard_macro", partial(metrics.jaccard_score, average="macro")),
    ("matthews_corrcoef", metrics.matthews_corrcoef),
    (make_scorer(metrics.cohen_kappa_score), metrics.cohen_kappa_score),
]
BY_NUMBER = [
    ("r2", metrics.r2_score),
    ("neg_mean_squared_error", lambda *a, **k: -metrics.mean_squared_error(*a, **k)),
    ("neg_mean_absolute_error", lambda *a, **k: -metrics.mean_absolute_error(*a, **k)),
]


def _recorded(scoring, y, responses, classes, weight=None):
    scorer = get_scorer(scoring)
    return RecordedPredictions(responses, y, GROUPS, classes=classes, scorer=scorer, weight=weight)


def _derivatives(metric, y, predicted, weight):
    """Differentiate the metric in the weight of each row."""
    slopes = []
    for row in range(len(y)):
        step = np.eye(1, len(y), row)[0] * 1e-4
        ends = [metric(y, predicted, sample_weight=weight + sign * step) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / 2e-4)
    return np.array(slopes)


@pytest.mark.slow
def test_outcomes_are_derivatives():
    classes = np.array(list("abc"))
    cases = [(*one, LETTERS, GUESSES, classes) for one in BY_LABEL]
    cases += [(*one, NUMBERS, NEAR, None) for one in BY_NUMBER]
    for scoring, metric, y, predicted, known in cases:
        for weight in (None, RNG.uniform(0.5, 2, N)):
            recorded = _recorded(scoring, y, {"predict": predicted}, known, weight)
            ones = np.ones(N) if weight is None else weight
            score = recorded.score()
            assert score == pytest.approx(metric(y, predicted, sample_weight=ones))
            outcomes = recorded.outcomes(score)
            assert np.average(outcomes, weights=weight) == pytest.approx(score)
            slopes = _derivatives(metric, y, predicted, ones)
            expected = score + ones.sum() * slopes
            np.testing.assert_allclose(
                outcomes, expected, rtol=1e-4, atol=1e-4, err_msg=f"{scoring}"
            )


def test_log_losses_are_those_of_the_words():
    recorded = _recorded("neg_log_loss", LETTERS, {"predict_proba": PROBA}, np.array(list("abc")))
    outcomes = recorded.outcomes(recorded.score())
    chosen = PROBA[np.arange(N), np.searchsorted(list("abc"), LETTERS)]
    np.testing.assert_allclose(outcomes, np.log(chosen))


def test_other_metrics_have_the_error_of_the_jackknife():
    y = LETTERS == "a"
    for scoring, metric in (
        ("roc_auc", metrics.roc_auc_score),
        ("average_precision", metrics.average_precision_score),
    ):
        classes = np.array([False, True])
        recorded = _recorded(scoring, y, {"decision_function": SCORE}, classes)
        score = recorded.score()
        outcomes = recorded.outcomes(score)
        assert score == metric(y, SCORE) == pytest.approx(outcomes.mean())
        without = [metric(y[GROUPS != g], SCORE[GROUPS != g]) for g in range(20)]
        jackknife = np.sqrt(19**2 / 20 * np.var(without, ddof=1))
        # The two differ by terms of the order of one over the number of groups.
        assert group_mean(outcomes, GROUPS).error == pytest.approx(jackknife, rel=0.1)


def test_undefined_scores_have_no_outcomes():
    y = GROUPS == 3
    classes = np.array([False, True])
    recorded = _recorded("roc_auc", y, {"decision_function": SCORE}, classes)
    assert np.isnan(recorded.outcomes(recorded.score())).all()
    assert np.isnan(recorded.outcomes(np.nan)).all()
    constant = _recorded("r2", np.ones(N), {"predict": NEAR}, None)
    assert np.isnan(constant.outcomes(0.0)).all()


def test_scales_stay_in_the_range_of_the_metric():
    scales = {
        "accuracy": "logit", "f1_macro": "logit", "roc_auc_ovr": "logit",
        "balanced_accuracy": "logit", "matthews_corrcoef": "atanh", "r2": "linear",
        "neg_log_loss": "linear", "neg_mean_squared_error": "linear",
    }  # fmt: skip
    assert {name: metric_scale(get_scorer(name)) for name in scales} == scales
    adjusted = make_scorer(metrics.balanced_accuracy_score, adjusted=True)
    assert metric_scale(adjusted) == metric_scale(lambda *_: 0) == "linear"
