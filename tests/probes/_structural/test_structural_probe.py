# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from sklearn_neurox.probes import StructuralProbe
from sklearn_neurox.probes._structural._distance_loss import DistanceLoss


def _random_trees(sizes, rng):
    """Return the distance matrix of a random tree of each size, by a walk from each node."""
    trees = []
    for size in sizes:
        parents = [int(rng.integers(node)) if node else -1 for node in range(size)]
        paths = []
        for node in range(size):
            path = [node]
            while parents[path[-1]] >= 0:
                path.append(parents[path[-1]])
            paths.append(set(path))
        trees.append(np.array([[len(a ^ b) for b in paths] for a in paths], dtype=float))
    return trees


def _sentences(sizes=(3, 9, 6, 12, 2, 7), n_features=5, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(len(tree), n_features)), tree) for tree in _random_trees(sizes, rng)]


def _pairs(sentences):
    """Return the differences, distances and weights of the pairs of the paper, in one order."""
    X, y, weight = [], [], []
    for H, tree in sentences:
        for i in range(len(H)):
            for j in range(i):
                X.append(H[i] - H[j])
                y.append(tree[i, j])
                weight.append(1 / len(H) ** 2)
    return np.array(X), np.array(y), np.array(weight)


def _paper_loss(B, sentences, width=0.0):
    """Return the mean over sentences of the sum over all ordered pairs, by the squared length."""
    total = 0.0
    for H, tree in sentences:
        words = torch.as_tensor(H) @ B.T
        squared = (words[:, None] - words[None]).pow(2).sum(-1)
        error = squared - torch.as_tensor(tree)
        smooth = (error**2 + width**2).sqrt() - width if width else error.abs()
        total = total + smooth.sum() / len(H) ** 2
    return total / len(sentences)


def _paper_scale(sentences):
    """Return what the loss of the paper is, in units of the weighted mean over pairs."""
    return 2 * _pairs(sentences)[2].sum() / len(sentences)


def test_loss_and_gradient_are_those_of_the_paper():
    sentences = _sentences()
    X, y, weight = _pairs(sentences)
    ours = DistanceLoss(X, y, weight, torch.device("cpu"))
    unit = _paper_scale(sentences)
    rng = np.random.default_rng(1)
    for rank in (1, 3, 5):
        B = rng.normal(size=(rank, 5))
        exact = float(_paper_loss(torch.tensor(B), sentences))
        # The matrix acts on columns divided by their scale.
        assert unit * ours.absolute(B * ours.scale) == pytest.approx(exact)
        for width in (1.0, 0.1, 1e-6):
            free = torch.tensor(B, requires_grad=True)
            smooth = _paper_loss(free, sentences, width)
            smooth.backward()
            value, gradient = ours.smoothed(B * ours.scale, width)
            assert unit * value == pytest.approx(float(smooth.detach()))
            np.testing.assert_allclose(unit * gradient * ours.scale, free.grad.numpy(), rtol=1e-9)
            assert exact - width * unit <= float(smooth.detach()) <= exact


def test_loss_attribute_is_the_loss_of_the_paper_at_the_components():
    sentences = _sentences()
    X, y, weight = _pairs(sentences)
    probe = StructuralProbe(3).fit(X, y, sample_weight=weight)
    exact = float(_paper_loss(torch.tensor(probe.components_), sentences))
    assert _paper_scale(sentences) * probe.loss_ == pytest.approx(exact)
    np.testing.assert_allclose(probe.predict(X), ((X @ probe.components_.T) ** 2).sum(axis=1))
    assert probe.score(X, y) == pytest.approx(r2_score(y, probe.predict(X)))


@pytest.mark.slow
def test_no_random_start_of_another_solver_finds_a_better_solution():
    alpha = 0.02
    sentences = _sentences((8, 11, 14, 9, 13, 10) * 4, n_features=12)
    X, y, weight = _pairs(sentences)
    probe = StructuralProbe(4, alpha=alpha, tol=1e-7, max_iter=2000).fit(X, y, weight)
    scale = np.sqrt(np.average(X**2, axis=0, weights=weight))

    def objective(B):
        error = torch.as_tensor(y) - (torch.as_tensor(X) @ B.T).pow(2).sum(1)
        penalty = alpha * (B * torch.as_tensor(scale)).pow(2).sum()
        return (error.abs() * torch.as_tensor(weight)).sum() / weight.sum() + penalty

    ours, others = float(objective(torch.as_tensor(probe.components_))), []
    for seed in range(3):
        B = torch.tensor(np.random.default_rng(seed).uniform(-0.5, 0.5, (4, 12)))
        B.requires_grad_()
        adam = torch.optim.Adam([B], lr=0.03)
        decay = torch.optim.lr_scheduler.ExponentialLR(adam, 0.996)
        for _ in range(1200):
            adam.zero_grad()
            objective(B).backward()
            adam.step()
            decay.step()
        others.append(float(objective(B.detach())))
    assert ours < min(others) * 1.01 and ours < np.mean(others)


def _embedded_trees(n_features=10, noise=3.0):
    """Return sentences whose squared distances in three hidden columns are those of their trees."""
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(n_features, n_features))
    sentences = []
    for tree in _random_trees([4] * 40, rng):
        # The arc above each of the three nodes below the root has its own axis.
        gram = (tree[:1] + tree[:, :1] - tree) / 2
        value, vector = np.linalg.eigh(gram[1:, 1:])
        inside = np.vstack([np.zeros(3), vector * np.sqrt(value)])
        noisy = noise * rng.normal(size=(4, n_features - 3))
        sentences.append((np.hstack([inside, noisy]) @ mix, tree))
    return sentences


@pytest.mark.slow
def test_trees_embedded_under_noise_are_recovered():
    sentences = _embedded_trees()
    X, y, weight = _pairs(sentences)
    probe = StructuralProbe(3, tol=1e-7, max_iter=5000).fit(X[:180], y[:180], weight[:180])
    assert probe.loss_ < 0.02
    np.testing.assert_allclose(probe.predict(X[180:]), y[180:], atol=0.15)
    # Fewer dimensions than the trees need do not suffice.
    assert StructuralProbe(1).fit(X, y).loss_ > 0.1


def test_components_are_orthogonal_sorted_and_of_the_rank_asked_for():
    X, y, weight = _pairs(_sentences())
    for rank, n_rows in ((2, 2), (5, 5), (64, 5), (None, 5)):
        components = StructuralProbe(rank, tol=1e-2).fit(X, y, weight).components_
        assert components.shape == (n_rows, 5)
        products = components @ components.T
        np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-9)
        assert (np.diff(np.diag(products)) <= 1e-12).all()
        assert (components[np.arange(n_rows), np.abs(components).argmax(axis=1)] >= 0).all()


def test_a_fit_is_repeatable_and_does_not_depend_on_what_should_not_matter():
    X, y, weight = _pairs(_sentences())
    given = StructuralProbe(3, alpha=0.01, tol=1e-3)
    probe = given.fit(X, y, weight)
    before, components = probe.predict(X), probe.components_
    assert np.array_equal(given.fit(X, y, weight).components_, components)
    # The order of the words of a pair, the unit of the columns, that of the weights.
    signs = np.where(np.arange(len(y)) % 3, 1, -1)[:, None]
    np.testing.assert_allclose(given.fit(X * signs, y, weight).predict(X), before, rtol=1e-6)
    units = 2.0 ** np.arange(-10, 15, 5)
    np.testing.assert_allclose(given.fit(X * units, y, weight).predict(X * units), before)
    np.testing.assert_allclose(given.fit(X, y, weight * 8).predict(X), before)
    # Distances of another unit.
    np.testing.assert_allclose(given.fit(X, y * 16, weight).predict(X), before * 16)
    # A weight of zero is no pair, and a weight of two is two.
    repeated = np.repeat(np.arange(len(y)), np.arange(len(y)) % 3)
    fewer = given.fit(X[repeated], y[repeated]).predict(X)
    weighted = given.fit(X, y, np.arange(len(y)) % 3).predict(X)
    np.testing.assert_allclose(weighted, fewer, rtol=1e-5)


def test_a_penalty_shrinks_and_a_strong_one_predicts_zero():
    X, y, weight = _pairs(_sentences())
    norms = [
        np.linalg.norm(StructuralProbe(alpha=alpha).fit(X, y, weight).components_)
        for alpha in (0.0, 0.1, 0.5)
    ]
    assert norms[0] > norms[1] > norms[2]
    assert StructuralProbe(alpha=50).fit(X, y, weight).predict(X).max() < 1e-3


def test_half_precision_and_blocks_give_the_same_solution(monkeypatch):
    X, y, weight = _pairs(_sentences())
    X = X.astype(np.float16)
    given = StructuralProbe(2, tol=1e-3)
    expected = given.fit(X.astype(np.float32), y, weight)
    half = StructuralProbe(2, tol=1e-3).fit(X, y, weight)
    np.testing.assert_array_equal(half.components_, expected.components_)
    assert half.predict(X).dtype == np.float32
    monkeypatch.setattr("sklearn_neurox.utils._row_blocks._BLOCK_BYTES", 7 * 5 * 8)
    exact = X.astype(np.float64)
    in_blocks = given.fit(exact, y, weight).predict(exact)
    monkeypatch.undo()
    np.testing.assert_allclose(given.fit(exact, y, weight).predict(exact), in_blocks, rtol=1e-6)


def test_nothing_to_fit():
    X = np.eye(4)
    assert StructuralProbe().fit(X, np.zeros(4)).predict(X).tolist() == [0] * 4
    probe = StructuralProbe().fit(np.zeros((4, 3)), np.ones(4))
    assert probe.predict(np.zeros((2, 3))).tolist() == [0, 0] and probe.loss_ == 1
    constant = np.column_stack([X, np.zeros(4)])
    assert np.isfinite(StructuralProbe().fit(constant, np.arange(4.0)).components_).all()


def test_errors_and_the_warning_say_what_to_do():
    X, y, weight = _pairs(_sentences())
    with pytest.raises(
        ValueError, match=r"Negative values in y of StructuralProbe: -1\.0 at row 3"
    ):
        StructuralProbe().fit(X, np.where(np.arange(len(y)) == 3, -1, y))
    with pytest.raises(ValueError, match="at least one non-zero"):
        StructuralProbe().fit(X, y, np.zeros(len(y)))
    with pytest.warns(ConvergenceWarning, match="after max_iter=2 steps.*Raise max_iter or tol"):
        StructuralProbe(max_iter=2, tol=0).fit(X, y, weight)
