# SPDX-License-Identifier: BSD-3-Clause
"""Best subsets against brute force, planted supports, and the bound below every subset."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_neurox.datasets import make_planted_neurons
from sklearn_neurox.selection import BestSubsetSelector
from sklearn_neurox.selection._best_subset._relaxation import Relaxation


def _problem(kind, seed=0, n_samples=150, n_columns=12):
    """Make correlated columns of very different scales, and a target of a few of them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, 4)) @ rng.standard_normal((4, n_columns))
    X += rng.standard_normal(X.shape)
    signal = X[:, [1, 2, 3]] @ rng.standard_normal((3, 3))
    X = X * 10.0 ** rng.integers(-3, 4, n_columns) + rng.standard_normal(n_columns)
    if kind == "numbers":
        return X, signal[:, 0] + rng.standard_normal(n_samples)
    if kind == "two":
        return X, np.where(signal[:, 0] + rng.logistic(size=n_samples) > 0, "yes", "no")
    return X, np.array(list("abc"))[(signal + rng.gumbel(size=signal.shape)).argmax(axis=1)]


def _ridge_loss(Z, y, alpha, weight=None):
    """Compute the least penalized loss of a linear model, by a general optimizer."""
    weight = np.ones(len(y)) if weight is None else weight
    share = weight / weight.sum()
    if y.dtype.kind == "f":
        Y = y.reshape(len(y), -1)
        A = np.column_stack([np.ones(len(Z)), Z])
        ridge = np.diag(np.r_[0, np.full(Z.shape[1], alpha)])
        coef = np.linalg.solve(A.T @ (share[:, None] * A) + ridge, A.T @ (share[:, None] * Y))
        return share @ np.square(Y - A @ coef).sum(1) / 2 + np.sum(ridge @ coef**2) / 2
    classes, codes = np.unique(y, return_inverse=True)
    truth = np.eye(len(classes))[codes]
    is_binary = len(classes) == 2
    truth = truth[:, 1:] if is_binary else truth
    n_rows = truth.shape[1]

    def objective(flat):
        W = flat.reshape(n_rows, -1)
        scores = W[:, 0] + Z @ W[:, 1:].T
        full = np.hstack([np.zeros((len(Z), 1)), scores]) if is_binary else scores
        total = logsumexp(full, axis=1)
        loss = share @ (total - (truth * scores).sum(1)) + alpha / 2 * (W[:, 1:] ** 2).sum()
        residual = share[:, None] * (np.exp(scores - total[:, None]) - truth)
        return loss, np.column_stack([residual.sum(0), residual.T @ Z + alpha * W[:, 1:]]).ravel()

    start = np.zeros(n_rows * (Z.shape[1] + 1))
    options = {"ftol": 1e-14, "gtol": 1e-9, "maxiter": 1000}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).fun


def _standardized(X, weight=None):
    mean = np.average(X, axis=0, weights=weight)
    return (X - mean) / np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))


def _brute_force(Z, y, n_neurons, alpha):
    losses = {
        subset: _ridge_loss(Z[:, subset], y, alpha)
        for subset in combinations(range(Z.shape[1]), n_neurons)
    }
    best = min(losses, key=losses.get)
    return list(best), losses[best]


@pytest.mark.slow
def test_the_best_of_all_subsets_of_three_among_twelve_columns():
    for kind in ("two", "several", "numbers"):
        for seed, alpha in ((0, 0.01), (1, 0.1), (2, 1.0)):
            X, y = _problem(kind, seed)
            best, loss = _brute_force(_standardized(X), y, 3, alpha)
            selector = BestSubsetSelector(3, alpha=alpha).fit(X, y)
            assert selector.get_support(indices=True).tolist() == best, (kind, seed)
            assert selector.loss_ == pytest.approx(loss, rel=1e-6)
            assert selector.lower_bound_ <= loss * (1 + 1e-9)
            # Steps and swaps alone may end at another subset, for which no swap is better.
            alone = BestSubsetSelector(3, alpha=alpha, compute_bound=False).fit(X, y)
            assert alone.loss_ == pytest.approx(loss, rel=0.05)
            assert np.isnan(alone.gap_) and np.isnan(alone.lower_bound_)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two", "several", "numbers"])
def test_the_bound_is_never_above_the_best_of_all_subsets(kind, monkeypatch):
    # The selector cuts a bound at the loss it reached, so the bound is taken before that.
    proven, solve = {}, Relaxation.solve

    def spy(self, *args):
        relaxed = solve(self, *args)
        proven[self.n_units] = relaxed.bound
        return relaxed

    monkeypatch.setattr(Relaxation, "solve", spy)
    for seed in range(6):
        alpha = 10.0 ** (seed % 3 - 2)
        X, y = _problem(kind, seed, n_samples=40, n_columns=5)
        Z = _standardized(X)
        selector = BestSubsetSelector([1, 2, 5], alpha=alpha).fit(X, y)
        for size, loss, bound in zip(
            selector.sizes_, selector.losses_, selector.lower_bounds_, strict=True
        ):
            _, best = _brute_force(Z, y, size, alpha)
            assert bound <= best * (1 + 1e-8)
            assert proven[size] <= best * (1 + 1e-8)
            assert loss >= best * (1 - 1e-7)
        # With all columns, the relaxation is the problem itself.
        assert selector.gap_ < 0.006


def test_no_swap_improves_on_a_subset_of_many_columns(tmp_path):
    # With so many columns, later additions and swaps are searched on a shortlist.
    X, y = _problem("numbers", n_samples=80, n_columns=330)
    np.save(tmp_path / "X.npy", X)
    Z, alpha, found = _standardized(X), 0.01, []
    for H in (X, np.load(tmp_path / "X.npy", mmap_mode="r"), csr_matrix(X)):
        selector = BestSubsetSelector([9, 14], alpha=alpha, compute_bound=False).fit(H, y)
        found.append(selector.supports_)
        for support, loss in zip(selector.supports_, selector.losses_, strict=True):
            subset = np.flatnonzero(support)
            assert loss == pytest.approx(_ridge_loss(Z[:, subset], y, alpha), rel=1e-8)
            for place in range(len(subset)):
                others = _swapped_losses(Z, y - y.mean(), np.delete(subset, place), alpha)
                assert others.min() >= loss * (1 - 2e-6)
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


def _swapped_losses(Z, y, kept, alpha):
    """Compute the least loss of a linear model with each column added to those kept."""
    pairs = np.concatenate([np.repeat(Z[None, :, kept], Z.shape[1], 0), Z.T[:, :, None]], axis=2)
    grams = pairs.transpose(0, 2, 1) @ pairs / len(y) + alpha * np.eye(len(kept) + 1)
    slopes = y @ pairs / len(y)
    solved = np.linalg.solve(grams, slopes[:, :, None])[:, :, 0]
    losses = (y @ y / len(y) - (slopes * solved).sum(axis=1)) / 2
    losses[kept] = np.inf
    return losses


def test_planted_supports_in_a_matrix_a_file_and_a_sparse_matrix(tmp_path):
    planted = make_planted_neurons(
        400, 60, n_informative=4, n_classes=2, effect=2.0, random_state=0, dtype=np.float32
    )
    informative = sorted(planted.informative.tolist())
    np.save(tmp_path / "X.npy", planted.X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    losses = []
    for X in (planted.X, mapped, csr_matrix(planted.X), planted.X.astype(np.float64)):
        selector = BestSubsetSelector(4, alpha=0.1).fit(X, planted.y)
        assert selector.get_support(indices=True).tolist() == informative
        losses.append((selector.loss_, selector.lower_bound_))
    np.testing.assert_allclose(losses, [losses[0]] * 4, rtol=1e-4)
    half = BestSubsetSelector(4, alpha=0.1).fit(planted.X.astype(np.float16), planted.y)
    assert half.get_support(indices=True).tolist() == informative


def test_several_targets_and_planted_numbers():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 30))
    y = np.column_stack([X[:, 3] - X[:, 7], X[:, 11]])
    selector = BestSubsetSelector(3, alpha=1e-4).fit(X, y)
    assert selector.get_support(indices=True).tolist() == [3, 7, 11]
    loss = _ridge_loss(_standardized(X[:, [3, 7, 11]]), y, 1e-4)
    assert selector.loss_ == pytest.approx(loss, rel=1e-7)


def test_of_duplicated_columns_one_is_kept():
    X, y = _problem("two")
    for k in (2, 3):
        alone = BestSubsetSelector(k, alpha=0.01).fit(X, y)
        twice = BestSubsetSelector(k, alpha=0.01).fit(np.hstack([X, X]), y)
        kept = twice.get_support(indices=True) % 12
        assert len(set(kept.tolist())) == k
        assert sorted(kept.tolist()) == alone.get_support(indices=True).tolist()
        assert twice.loss_ == pytest.approx(alone.loss_, rel=1e-9)


def test_constant_columns_are_kept_only_if_nothing_else_is_left():
    X, y = _problem("two", n_columns=4)
    X = np.hstack([np.full((len(X), 2), 1e6), X])
    selector = BestSubsetSelector([4, 5], alpha=0.01).fit(X, y)
    assert not selector.supports_[0, :2].any()
    assert selector.losses_[1] == pytest.approx(selector.losses_[0], rel=1e-9)


def test_columns_far_below_the_range_of_squares_in_single_precision():
    X, y = _problem("two")
    X = _standardized(X)
    scaled = (X * np.r_[1e-30, np.ones(10), 1e-25]).astype(np.float32)
    plain, small = (BestSubsetSelector(6, alpha=0.01).fit(own, y) for own in (X, scaled))
    np.testing.assert_array_equal(plain.supports_, small.supports_)
    assert small.lower_bound_ == pytest.approx(plain.lower_bound_, rel=1e-3)


@pytest.mark.slow
def test_groups_of_columns_are_kept_as_a_whole():
    groups = np.array(list("abcdabcdabcd"))
    for kind in ("two", "several", "numbers"):
        X, y = _problem(kind, seed=3)
        Z = _standardized(X)
        pairs = {
            pair: _ridge_loss(Z[:, np.isin(groups, pair)], y, 0.05)
            for pair in combinations("abcd", 2)
        }
        best = min(pairs, key=pairs.get)
        for own in (X, csr_matrix(X)):
            selector = BestSubsetSelector(2, alpha=0.05, column_groups=groups).fit(own, y)
            np.testing.assert_array_equal(selector.get_support(), np.isin(groups, best))
            assert selector.loss_ == pytest.approx(pairs[best], rel=1e-6)
            assert selector.lower_bound_ <= pairs[best]
    with pytest.raises(ValueError, match=r"one group for each of the 12 columns.*\(3,\)"):
        BestSubsetSelector(1, column_groups=[0, 1, 2]).fit(X, y)


def test_weights_of_rows_are_repetitions():
    for kind in ("two", "numbers"):
        X, y = _problem(kind)
        weight = np.random.default_rng(0).integers(0, 3, len(y))
        rows = np.repeat(np.arange(len(y)), weight)
        weighted = BestSubsetSelector([2, 3]).fit(X, y, sample_weight=weight)
        repeated = BestSubsetSelector([2, 3]).fit(X[rows], y[rows])
        np.testing.assert_array_equal(weighted.supports_, repeated.supports_)
        np.testing.assert_allclose(weighted.losses_, repeated.losses_, rtol=1e-7)
        Z = _standardized(X, weight)[:, weighted.get_support()]
        assert weighted.loss_ == pytest.approx(_ridge_loss(Z, y, 0.01, weight), rel=1e-7)


def test_the_path_of_several_sizes():
    X, y = _problem("two")
    selector = BestSubsetSelector([4, 1, 0.5, 2]).fit(pd.DataFrame(X).add_prefix("n"), y)
    assert selector.sizes_.tolist() == [1, 2, 4, 6]
    assert selector.supports_.sum(axis=1).tolist() == [1, 2, 4, 6]
    assert (np.diff(selector.losses_) < 0).all()
    assert (np.diff(selector.lower_bounds_) <= 0).all()
    assert selector.transform(pd.DataFrame(X).add_prefix("n")).shape == (150, 6)
    frame = selector.to_frame()
    assert frame["neurons"].iloc[-1] == selector.get_feature_names_out().tolist()
    assert (
        frame["gap"].iloc[-1]
        == selector.gap_
        == pytest.approx(1 - selector.lower_bound_ / selector.loss_)
    )


def test_no_time_still_gives_a_subset_and_a_bound():
    X, y = _problem("two")
    hasty = BestSubsetSelector([2, 5], max_time=0).fit(X, y)
    patient = BestSubsetSelector([2, 5], max_time=1000).fit(X, y)
    assert hasty.supports_.sum(axis=1).tolist() == [2, 5]
    assert (hasty.losses_ >= patient.losses_).all()
    assert (hasty.lower_bounds_ <= patient.lower_bounds_ + 1e-12).all()
    # No loss is negative, so no bound needs to be, and no gap exceeds the loss itself.
    planted = make_planted_neurons(300, 200, n_classes=2, random_state=0)
    for target in (planted.y, np.random.default_rng(0).random(300)):
        hasty = BestSubsetSelector(5, alpha=1e-6, max_time=0).fit(planted.X, target)
        assert 0 <= hasty.lower_bound_ <= hasty.loss_ and 0 <= hasty.gap_ <= 1


def test_in_a_pipeline_that_is_tuned():
    planted = make_planted_neurons(200, 20, n_informative=2, n_classes=3, random_state=0)
    pipe = make_pipeline(BestSubsetSelector(compute_bound=False), LogisticRegression())
    grid = {"bestsubsetselector__n_neurons": [1, 2], "bestsubsetselector__alpha": [0.01]}
    search = GridSearchCV(pipe, grid, cv=3).fit(planted.X, planted.y)
    assert search.best_params_["bestsubsetselector__n_neurons"] == 2
    assert search.best_score_ > 0.55


def test_wrong_parameters_are_named():
    X, y = _problem("two")
    for parameters, message in (
        ({"n_neurons": [3, 13]}, "n_neurons=13, but X has 12 columns"),
        ({"n_neurons": [0]}, "ints from 1"),
        ({"alpha": 0}, "'alpha' parameter"),
        ({"loss": "squared_error"}, "needs numbers in y"),
    ):
        with pytest.raises(ValueError, match=message):
            BestSubsetSelector(**parameters).fit(X, y)
