# SPDX-License-Identifier: BSD-3-Clause
"""What each ranker can and cannot find, and what holds for all rankers."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.probes import ElasticNetProbeClassifierCV
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    ConsensusRanker,
    CrossModelRanker,
    GaussianRanker,
    IoURanker,
    LCARanker,
    ProbelessRanker,
    RandomRanker,
)

RANKERS = {
    "lca": LCARanker(LogisticRegression(C=0.1)),
    "probeless": ProbelessRanker(),
    "scaled": ProbelessRanker(scale=True),
    "precision": AveragePrecisionRanker(),
    "iou": IoURanker(),
    "quantile": IoURanker(0.8),
    "gaussian": GaussianRanker(max_neurons=8),
    "consensus": ConsensusRanker(
        [("probeless", ProbelessRanker()), ("precision", AveragePrecisionRanker())]
    ),
    "random": RandomRanker(random_state=0),
    "maxcorr": CrossModelRanker(),
}
# From the table in the guide.
SEES = {
    "mean": {*RANKERS} - {"random", "maxcorr"},
    "variance": {"gaussian"},
    "xor": set(),
}
# They may find some, with scores close to those of noise.
SEES_WEAKLY = {"variance": {"precision", "iou", "quantile", "consensus"}}


def _fit(ranker, X, y):
    metadata = {}
    if isinstance(ranker, GaussianRanker):
        metadata["groups"] = np.arange(len(X)) // 10
    if isinstance(ranker, CrossModelRanker):
        metadata["reference"] = np.random.RandomState(7).permutation(X)
    return clone(ranker).fit(X, y, **metadata)


@pytest.mark.parametrize("kind", ["mean", "variance", "xor"])
@pytest.mark.parametrize("name", RANKERS)
def test_planted_neurons_are_found_by_those_that_can_see_them(name, kind):
    found = []
    for seed in range(3):
        planted = make_planted_neurons(
            3000, 80, n_informative=8, kind=kind, n_classes=2, effect=1.5, random_state=seed
        )
        order = _fit(RANKERS[name], planted.X, planted.y).order_
        found.append(np.isin(order[:8], planted.informative).sum())
    if name in SEES[kind]:
        # A greedy step may choose a noise neuron over one that is no longer needed.
        assert min(found) >= (7 if name == "gaussian" else 8)
    elif name not in SEES_WEAKLY.get(kind, ()):
        # By chance, 2.4 of the 24 are found.
        assert sum(found) <= 9


@pytest.mark.parametrize("name", ["precision", "iou", "quantile"])
def test_the_smallest_shift_of_a_mean_outranks_any_variance(name):
    """What the guide says about rankers that are weakly sensitive to variance."""
    wide = make_planted_neurons(
        3000, 40, n_informative=4, kind="variance", n_classes=2, effect=1.5, random_state=0
    )
    X = wide.X.copy()
    shifted = np.setdiff1d(np.arange(40), wide.informative)[:4]
    X[:, shifted] += wide.y[:, np.newaxis]
    assert set(_fit(RANKERS[name], X, wide.y).order_[:4]) == set(shifted)


@pytest.mark.parametrize("name", [name for name in RANKERS if name != "random"])
def test_the_order_of_columns_changes_nothing(name):
    planted = make_planted_neurons(600, 15, n_informative=9, effect=0.7, random_state=0)
    X, y = planted.X.astype(np.float64), planted.y
    columns = np.random.RandomState(0).permutation(15)
    whole, permuted = _fit(RANKERS[name], X, y), _fit(RANKERS[name], X[:, columns], y)
    np.testing.assert_array_equal(columns[permuted.order_], whole.order_)
    np.testing.assert_allclose(permuted.scores_, whole.scores_[columns], atol=1e-6)
    np.testing.assert_array_equal(permuted.ranks_, whole.ranks_[columns])


@pytest.mark.parametrize("name", RANKERS)
def test_more_neurons_than_there_are_is_an_error(name):
    X, y = np.random.RandomState(0).randn(20, 4), np.arange(20) % 2
    ranker = clone(RANKERS[name]).set_params(n_neurons=5)
    with pytest.raises(ValueError, match=f"{type(ranker).__name__}.*n_neurons=5.*4 columns"):
        _fit(ranker, X, y)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:GaussianRanker was given no groups:UserWarning")
@pytest.mark.parametrize("name", [name for name in RANKERS if name in SEES["mean"]])
def test_chosen_inside_the_fold_noise_predicts_no_better_than_chance(name):
    """Ranked once on all rows, the best of 400 noise columns predict these rows well."""
    rng = np.random.RandomState(0)
    X, y = rng.randn(150, 400), rng.permutation(np.arange(150) % 2)
    ranker, grid = clone(RANKERS[name]), {"n_neurons": [5, 20]}
    pipe = make_pipeline(ranker, GaussianNB())
    step = pipe.steps[0][0]
    search = GridSearchCV(pipe, {f"{step}__{key}": v for key, v in grid.items()}, cv=3)
    inside = cross_val_score(search, X, y, cv=5).mean()
    chosen = X[:, _fit(ranker, X, y).order_[:20]]
    outside = cross_val_score(GaussianNB(), chosen, y, cv=5).mean()
    assert abs(inside - 0.5) < 3 * 0.5 / np.sqrt(150)
    # The Gaussian ranker selects on a fifth of the rows, so it gains little on the others.
    assert name == "gaussian" or outside > inside + 0.1


@pytest.mark.slow
def test_groups_are_routed_to_what_splits_inside():
    planted = make_planted_neurons(300, 12, effect=2.0, random_state=0)
    groups = np.arange(300) // 3
    probe = ElasticNetProbeClassifierCV(alphas=2, eps=0.1, cv=3)
    with sklearn.config_context(enable_metadata_routing=True):
        by_weights = LCARanker(probe, n_neurons=6).set_fit_request(groups=True)
        gaussian = GaussianRanker(max_neurons=2).set_fit_request(groups=True)
        votes = ConsensusRanker([("lca", by_weights), ("gaussian", gaussian)], n_neurons=6)
        for ranker in (by_weights, votes):
            # Without groups, each of them warns, which is an error here.
            scores = cross_val_score(
                make_pipeline(ranker, LogisticRegression()),
                planted.X,
                planted.y,
                cv=GroupKFold(3),
                params={"groups": groups},
            )
            assert scores.mean() > 0.8
