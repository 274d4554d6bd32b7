# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.probes import GaussianProbeClassifier
from sklearn_neurox.ranking import GaussianRanker
from sklearn_neurox.ranking._gaussian._conditional_scores import column_weights, conditional_scores


def _labeled(n_samples=400, n_features=12, n_classes=4, seed=0):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=n_samples)
    mixing = rng.randn(n_classes, n_features, n_features) / 4 + np.eye(n_features)
    X = np.einsum("ij,ijk->ik", rng.randn(n_samples, n_features), mixing[y])
    X += 0.5 * rng.randn(n_classes, n_features)[y]
    return X * np.logspace(-3, 3, n_features) + 2, np.array(list("NVXD"))[y]


def _value(probe, X, y, criterion):
    log_likelihood = -log_loss(y, probe.predict_proba(X), labels=probe.classes_)
    if criterion == "accuracy":
        return accuracy_score(y, probe.predict(X)), log_likelihood
    if criterion == "mutual_information":
        return probe.mutual_information(X, y), log_likelihood
    return log_likelihood, log_likelihood


def _naive(X, y, train, n_steps, criterion, prior):
    """Try each candidate in each step with a separate probe."""
    probe = GaussianProbeClassifier(covariance_prior=prior).fit(X[train], y[train])
    chosen, path = [], []
    for _ in range(n_steps):
        values = {}
        for column in sorted(set(range(X.shape[1])) - set(chosen)):
            columns = [*chosen, column]
            values[column] = _value(
                probe.subset(columns), X[~train][:, columns], y[~train], criterion
            )
        best = max(values, key=values.get)
        chosen.append(best)
        path.append(values[best][0])
    return chosen, path


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["mutual_information", "log_likelihood", "accuracy"])
@pytest.mark.parametrize("seed, prior", [(0, "mean"), (1, "mode"), (2, "mean")])
def test_greedy_equals_trying_every_candidate_anew(criterion, seed, prior):
    X, y = _labeled(seed=seed)
    groups = np.repeat(np.arange(40), 10)
    ranker = GaussianRanker(criterion, max_neurons=8, covariance_prior=prior).fit(
        X, y, groups=groups
    )
    chosen, path = _naive(X, y, groups < 32, 8, criterion, prior)
    assert ranker.order_[:8].tolist() == chosen
    np.testing.assert_allclose(ranker.greedy_scores_, path, rtol=1e-7)
    assert ranker.scores_[chosen].tolist() == list(range(8, 0, -1))


@pytest.mark.parametrize("criterion", ["mutual_information", "log_likelihood", "accuracy"])
def test_the_rest_follows_by_what_each_tells_alone(criterion):
    X, y = _labeled()
    groups = np.repeat(np.arange(40), 10)
    ranker = GaussianRanker(criterion, max_neurons=3).fit(X, y, groups=groups)
    train = groups < 32
    probe = GaussianProbeClassifier().fit(X[train], y[train])
    alone = [_value(probe.subset([j]), X[~train][:, [j]], y[~train], criterion) for j in range(12)]
    np.testing.assert_allclose(ranker.single_scores_, [a[0] for a in alone], rtol=1e-4, atol=1e-6)
    rest = sorted(set(range(12)) - set(ranker.order_[:3]), key=lambda j: alone[j], reverse=True)
    assert ranker.order_[3:].tolist() == rest
    assert ranker.scores_[rest].max() <= 0
    assert (np.diff(ranker.scores_[ranker.order_]) <= 0).all()
    assert ranker.single_scores_[ranker.order_[0]] == ranker.single_scores_.max()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mean", "variance"])
def test_planted_neurons_are_found_and_their_copies_are_not(kind):
    planted = make_planted_neurons(
        6000, 300, n_informative=6, n_redundant=6, kind=kind, effect=1.5, random_state=0
    )
    groups = np.repeat(np.arange(600), 10)
    ranker = GaussianRanker(max_neurons=12).fit(planted.X, planted.y, groups=groups)
    source = np.arange(300)
    source[planted.redundant] = planted.redundant_of
    assert set(source[ranker.order_[:6]]) == set(planted.informative)
    copies = {*planted.informative, *planted.redundant} - {*ranker.order_[:6]}
    assert not copies & {*ranker.order_[6:12]}
    # Alone, copies are as informative as their originals, so they lead the remaining neurons.
    assert copies == {*ranker.order_[12:18]}


def test_a_pair_that_tells_only_together_is_completed():
    planted = make_planted_neurons(
        6000, 30, n_classes=2, n_informative=2, kind="xor", effect=3, random_state=0
    )
    groups = np.repeat(np.arange(600), 10)
    ranker = GaussianRanker(max_neurons=30).fit(planted.X, planted.y, groups=groups)
    places = np.sort(ranker.ranks_[planted.informative])
    # The first is chosen by chance, and its partner right after it.
    assert places[1] == places[0] + 1
    assert np.diff(ranker.greedy_scores_)[places[0] - 1] > 0.3


@pytest.mark.slow
def test_many_held_out_rows_are_screened_in_stages():
    planted = make_planted_neurons(
        12_000, 80, n_informative=4, n_classes=2, kind="variance", effect=0.5, random_state=0
    )
    groups = np.repeat(np.arange(1200), 10)
    ranker = GaussianRanker(max_neurons=4, validation_fraction=0.5)
    ranker.fit(planted.X, planted.y, groups=groups)
    train = groups < 600
    chosen, path = _naive(
        planted.X[:, planted.informative], planted.y, train, 4, "log_likelihood", "mean"
    )
    assert ranker.order_[:4].tolist() == planted.informative[chosen].tolist()


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-3), (np.float64, 1e-9)])
def test_scores_of_columns_where_every_density_underflows(dtype, rtol):
    rng = np.random.RandomState(0)
    n, k, d, c = 700, 3, 5, 4
    X = rng.randn(n, d) * np.where(rng.rand(n, d) < 0.1, 100, 1)
    Z = np.concatenate([np.ones((c, n, 1)), rng.randn(c, n, k)], axis=2)
    regression, variances = rng.randn(c, k + 1, d), rng.uniform(0.5, 2, size=(c, d))
    base, codes = -rng.gamma(1, 5, size=(c, n)), rng.randint(c, size=n)
    residuals = X - Z @ regression
    joint = base[..., np.newaxis] - residuals**2 / (2 * variances[:, np.newaxis])
    joint -= np.log(variances)[:, np.newaxis] / 2
    assert (joint.max(axis=0) < -800).any()
    log_likelihoods, right = conditional_scores(
        X.astype(dtype), Z, base, codes, *column_weights(regression, variances)
    )
    true = joint[codes, np.arange(n)]
    expected = true - logsumexp(joint, axis=0)
    np.testing.assert_allclose(log_likelihoods, expected, rtol=rtol, atol=5 * rtol)
    assert (right == (joint.argmax(axis=0) == codes[:, np.newaxis])).mean() > 0.999


def test_candidates_alone_compete():
    X, y = _labeled()
    groups = np.repeat(np.arange(40), 10)
    every = GaussianRanker(max_neurons=4).fit(X, y, groups=groups)
    some = GaussianRanker(max_neurons=4, candidates=[9, 2, 5]).fit(X, y, groups=groups)
    assert some.candidates_.tolist() == [2, 5, 9]
    assert set(some.order_[:3]) == {2, 5, 9}
    assert len(some.greedy_scores_) == 3
    best = GaussianRanker(max_neurons=4, candidates=0.5).fit(X, y, groups=groups)
    assert set(best.candidates_) == set(np.argsort(-best.single_scores_)[:6])
    # The prior depends on the number of candidates: twelve dimensions here, three there.
    assert not np.allclose(every.single_scores_, some.single_scores_)
    narrow = GaussianRanker(max_neurons=3).fit(X[:, [2, 5, 9]], y, groups=groups)
    assert np.array([2, 5, 9])[narrow.order_].tolist() == some.order_[:3].tolist()


def test_units_and_half_precision_do_not_change_the_order(tmp_path):
    X, y = _labeled()
    X = X / np.logspace(-3, 3, 12)
    X[:, 3] += 300
    groups = np.repeat(np.arange(40), 10)
    half = X.astype(np.float16)
    np.save(tmp_path / "X.npy", half)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    exact = GaussianRanker().fit(half.astype(np.float64), y, groups=groups)
    np.testing.assert_array_equal(
        GaussianRanker().fit(mapped, y, groups=groups).order_, exact.order_
    )
    scaled = GaussianRanker().fit(half * np.logspace(-9, 9, 12), y, groups=groups)
    np.testing.assert_array_equal(scaled.order_, exact.order_)


def test_dead_and_equal_neurons():
    X, y = _labeled()
    groups = np.repeat(np.arange(40), 10)
    X = np.column_stack([np.full(len(X), 7.0), X, X[:, 4], np.zeros(len(X))])
    ranker = GaussianRanker(max_neurons=20).fit(X, y, groups=groups)
    assert np.isfinite(ranker.greedy_scores_).all()
    assert ranker.single_scores_[0] == ranker.single_scores_[14]
    # Rounding decides which of two equal columns comes first, but not their scores.
    np.testing.assert_allclose(*ranker.single_scores_[[5, 13]], rtol=1e-9)
    dead = ranker.ranks_[[0, 14]] - 1
    gains = np.diff(ranker.greedy_scores_)
    np.testing.assert_allclose(gains[dead - 1], 0, atol=1e-9)


def test_groups_are_whole_and_the_last_are_held_out():
    X, y = _labeled()
    rng = np.random.RandomState(0)
    groups = rng.randint(30, size=400)
    first_seen = pd.unique(groups)
    ranker = GaussianRanker(validation_fraction=0.3, max_neurons=1).fit(X, y, groups=groups)
    # The value reveals the split: the smallest set of last groups with 30 percent.
    for n_last in range(1, 30):
        held_out = np.isin(groups, first_seen[-n_last:])
        if held_out.mean() >= 0.3:
            break
    probe = GaussianProbeClassifier().fit(X[~held_out], y[~held_out])
    best = ranker.order_[:1]
    expected = probe.mutual_information(X[held_out], y[held_out], neurons=best)
    np.testing.assert_allclose(ranker.greedy_scores_[0], expected)


@pytest.mark.parametrize("criterion", ["mutual_information", "accuracy"])
@pytest.mark.parametrize("values", [[0, 1], [1, 2], [0, 1, 3]])
def test_weights_of_rows_are_repetitions(criterion, values):
    X, y = _labeled()
    groups = np.repeat(np.arange(40), 10)
    weight = np.random.RandomState(0).choice(values, size=400)
    ranker = GaussianRanker(criterion, max_neurons=5)
    weighted = clone(ranker).fit(X, y, groups=groups, sample_weight=weight)
    rows = np.repeat(np.arange(400), weight)
    repeated = clone(ranker).fit(X[rows], y[rows], groups=groups[rows])
    np.testing.assert_allclose(weighted.greedy_scores_, repeated.greedy_scores_)
    np.testing.assert_allclose(weighted.single_scores_, repeated.single_scores_, rtol=1e-6)
    np.testing.assert_array_equal(weighted.order_, repeated.order_)
    plain = clone(ranker).fit(X, y, groups=groups)
    assert not np.allclose(plain.greedy_scores_, weighted.greedy_scores_)


@pytest.mark.filterwarnings("ignore:GaussianRanker was given no groups:UserWarning")
def test_rows_without_weight_are_not_there_without_groups_either():
    X, y = _labeled()
    counts = np.random.RandomState(0).rand(400) < 0.7
    y[~counts & (y == "N")] = "never counts"
    weighted = GaussianRanker(max_neurons=3).fit(X, y, sample_weight=1.0 * counts)
    dropped = GaussianRanker(max_neurons=3).fit(X[counts], y[counts])
    assert weighted.classes_.tolist() == dropped.classes_.tolist()
    np.testing.assert_array_equal(weighted.order_[:3], dropped.order_[:3])


def test_without_groups_it_warns_and_holds_out_the_last_of_every_class():
    X, y = _labeled()
    order = np.argsort(y, kind="stable")
    with pytest.warns(UserWarning, match=r'no groups.*groups=words\["text"\]'):
        plain = GaussianRanker().fit(X, y)
    with pytest.warns(UserWarning, match="no groups"):
        by_class = GaussianRanker().fit(X[order], y[order])
    np.testing.assert_array_equal(plain.order_, by_class.order_)
    train = pd.Series(y).groupby(y).cumcount() < np.ceil(
        0.8 * pd.Series(y).groupby(y).transform("size")
    )
    probe = GaussianProbeClassifier().fit(X[train], y[train])
    expected = probe.mutual_information(X[~train], y[~train], neurons=plain.order_[:1])
    np.testing.assert_allclose(plain.greedy_scores_[0], expected)


def test_held_out_rows_of_unseen_classes_are_left_out_with_a_warning():
    X, y = _labeled()
    groups = np.repeat(np.arange(40), 10)
    odd = np.where(np.isin(np.arange(400), [390, 395]), "SYM", y)
    with pytest.warns(UserWarning, match=r"ignores 2 of 80 held-out rows.*\(SYM\)"):
        ranker = GaussianRanker().fit(X, odd, groups=groups)
    assert "SYM" not in ranker.classes_
    keep = odd != "SYM"
    clean = GaussianRanker(validation_fraction=0.19).fit(X[keep], y[keep], groups=groups[keep])
    np.testing.assert_allclose(ranker.greedy_scores_, clean.greedy_scores_)


def test_errors():
    X, y = _labeled()
    with pytest.raises(ValueError, match="needs two rows of one class, or two groups"):
        GaussianRanker().fit(X, y, groups=np.zeros(400))
    with pytest.raises(ValueError, match="only 1 class: 'N'"):
        GaussianRanker().fit(X, np.full(400, "N"), groups=np.arange(400))
    with pytest.raises(ValueError, match="max_memory=1e-06. Set candidates=5 or less"):
        GaussianRanker(max_memory=1e-6).fit(X, y, groups=np.arange(400))
    with pytest.raises(ValueError, match="candidates=13, but X has 12 columns"):
        GaussianRanker(candidates=13).fit(X, y, groups=np.arange(400))
    with pytest.raises(ValueError, match="selects no columns"):
        GaussianRanker(candidates=[]).fit(X, y, groups=np.arange(400))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        GaussianRanker().fit(X, y, groups=np.arange(399))


def test_as_a_step_of_a_pipeline_groups_are_routed():
    planted = make_planted_neurons(1000, 40, n_informative=4, kind="variance", random_state=0)
    groups = np.repeat(np.arange(100), 10)
    with sklearn.config_context(enable_metadata_routing=True):
        ranker = GaussianRanker(max_neurons=4, n_neurons=4).set_fit_request(groups=True)
        scores = cross_val_score(
            make_pipeline(ranker, GaussianProbeClassifier()),
            planted.X,
            planted.y,
            cv=GroupKFold(4),
            params={"groups": groups},
        )
    assert scores.mean() > 0.5


def test_noise_is_not_ranked_above_chance_in_other_rows():
    rng = np.random.RandomState(0)
    X, y = rng.randn(300, 500), rng.randint(2, size=300)
    groups = np.arange(300)
    pipe = make_pipeline(GaussianRanker(n_neurons=10, max_neurons=10), GaussianProbeClassifier())
    pipe.fit(X[:200], y[:200], gaussianranker__groups=groups[:200])
    assert pipe.score(X[200:], y[200:]) < 0.62
    assert pipe[0].greedy_scores_[-1] > 0.1
