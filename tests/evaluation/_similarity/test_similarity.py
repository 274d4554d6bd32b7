# SPDX-License-Identifier: BSD-3-Clause
"""CKA, SVCCA, PWCCA and mean MaxCorr: identities, known answers, and naive computations."""

import warnings

import numpy as np
import pandas as pd
import pytest

from sklearn_neurox.evaluation import cka, maxcorr, pwcca, svcca
from sklearn_neurox.evaluation._similarity._paired_rows import (
    CenteredMatrix,
    cross_product,
    shared_blocks,
)
from sklearn_neurox.ranking import CrossModelRanker
from sklearn_neurox.words import words_frame

SIMILARITIES = [cka, svcca, pwcca]
ALL = [*SIMILARITIES, maxcorr]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def spaces(rng, n=60, widths=(7, 5)):
    """Return two representations that share some directions, far from the origin."""
    shared = rng.normal(size=(n, 3))
    return [
        shared @ rng.normal(size=(3, d)) + rng.normal(size=(n, d)) + 100 * rng.normal(size=d)
        for d in widths
    ]


def orthonormal(rng, n, d):
    """Return centered columns of length 1."""
    columns = rng.normal(size=(n, d))
    return np.linalg.qr(columns - columns.mean(axis=0))[0]


def rotation(rng, d):
    return np.linalg.qr(rng.normal(size=(d, d)))[0]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("widths", [(7, 5), (90, 5), (5, 90)])
def test_rotation_scale_and_shift_change_nothing(rng, similarity, widths):
    X, Y = spaces(rng, 60, widths)
    moved = 0.1 * Y @ rotation(rng, widths[1]) - 3
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*for any data")
        assert similarity(X, X @ rotation(rng, widths[0])) == pytest.approx(1)
        assert similarity(X, moved) == pytest.approx(similarity(X, Y))
        assert 0 < similarity(X, Y) <= 1


def test_an_invertible_map_changes_only_what_looks_at_strength(rng):
    X, Y = spaces(rng)
    mapped = Y @ rng.normal(size=(5, 5))
    assert svcca(X, mapped, variance=1.0) == pytest.approx(svcca(X, Y, variance=1.0))
    assert pwcca(X, mapped) == pytest.approx(pwcca(X, Y))
    assert cka(X, mapped) != pytest.approx(cka(X, Y), rel=0.01)


def test_known_answers(rng):
    U = orthonormal(rng, 50, 4)
    X, Y = U[:, :2], U[:, 1:3]
    assert cka(X, Y) == pytest.approx(1 / 2)
    assert cka(X, U[:, 1:2]) == pytest.approx(1 / np.sqrt(2))
    assert svcca(X, Y) == pytest.approx(1 / 2)
    assert pwcca(X, Y) == pytest.approx(1 / 2)
    # The shared direction has three quarters of the weight in X, and half of it in Y.
    assert pwcca(X * [1, 3], Y) == pytest.approx(3 / 4)
    assert pwcca(Y, X * [1, 3]) == pytest.approx(1 / 2)
    # A weak direction is not kept.
    assert svcca(X * [0.05, 1], Y * [1, 0.05]) == pytest.approx(1)
    assert svcca(X * [0.05, 1], Y * [1, 0.05], variance=1.0) == pytest.approx(1 / 2)
    # In a plane, with correlation r in one direction.
    mixed = 0.6 * U[:, :1] + 0.8 * U[:, 3:]
    assert svcca(U[:, :1], mixed) == pytest.approx(0.6)
    assert pwcca(U[:, :1], mixed) == pytest.approx(0.6)
    assert cka(U[:, :1], mixed) == pytest.approx(0.36)


def naive_cka(X, Y, debiased):
    """Compute it from the kernels, as published."""
    n = len(X)
    kernels = [A @ A.T for A in (X, Y)]
    if not debiased:
        H = np.eye(n) - 1 / n
        K, L = (H @ kernel @ H for kernel in kernels)
        return np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L))

    def criterion(K, L):
        one = np.ones(n)
        K, L = (kernel - np.diag(np.diag(kernel)) for kernel in (K, L))
        terms = np.trace(K @ L) + (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
        return terms - 2 / (n - 2) * (one @ K @ L @ one)

    K, L = kernels
    return criterion(K, L) / np.sqrt(criterion(K, K) * criterion(L, L))


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize("widths", [(7, 5), (90, 5), (90, 80)])
def test_cka_is_what_the_kernels_give(rng, widths, debiased):
    X, Y = spaces(rng, 60, widths)
    expected = naive_cka(X - X.mean(axis=0), Y - Y.mean(axis=0), debiased)
    assert cka(X, Y, debiased=debiased) == pytest.approx(expected)
    far = X - X.mean(axis=0) + 5
    assert naive_cka(far, Y - Y.mean(axis=0), debiased) == pytest.approx(expected)


def test_debiased_cka_does_not_see_what_is_not_there(rng):
    values = [
        [cka(*pair, debiased=d) for d in (False, True)]
        for pair in (rng.normal(size=(2, 50, 200)) for _ in range(20))
    ]
    plain, debiased = np.mean(values, axis=0)
    assert plain > 0.7
    assert abs(debiased) < 0.01


@pytest.mark.parametrize("widths", [(7, 5), (90, 5)])
def test_mean_maxcorr_is_that_of_numpy_and_of_the_ranker(rng, widths):
    X, Y = spaces(rng, 60, widths)
    rho = np.abs(np.corrcoef(X, Y, rowvar=False)[: widths[0], widths[0] :])
    assert maxcorr(X, Y) == pytest.approx(rho.max(axis=1).mean())
    assert maxcorr(Y, X) == pytest.approx(rho.max(axis=0).mean())
    ranker = CrossModelRanker("maxcorr").fit(X, reference=Y)
    assert maxcorr(X, Y) == pytest.approx(ranker.scores_.mean())


def test_mean_maxcorr_knows_no_sign_scale_shift_or_order_but_rotation(rng):
    X, Y = spaces(rng)
    units = rng.choice([-3.0, 0.01], size=5)
    assert maxcorr(X, (Y * units + 9)[:, ::-1]) == pytest.approx(maxcorr(X, Y))
    assert maxcorr(X, -X) == pytest.approx(1)
    assert maxcorr(X, X @ rotation(rng, 7)) < 0.95


def naive_cca(X, Y):
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    (Q, _), (R, _) = np.linalg.qr(X), np.linalg.qr(Y)
    P, sigma, _ = np.linalg.svd(Q.T @ R, full_matrices=False)
    weights = np.abs((Q @ P).T @ X).sum(axis=1)
    return sigma.mean(), (weights * sigma).sum() / weights.sum()


@pytest.mark.parametrize("widths", [(7, 5), (5, 7), (40, 3)])
def test_canonical_correlations_are_those_of_qr(rng, widths):
    X, Y = spaces(rng, 60, widths)
    mean, weighted = naive_cca(X, Y)
    assert svcca(X, Y, variance=1.0) == pytest.approx(mean)
    assert pwcca(X, Y) == pytest.approx(weighted)
    U, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    V, t, _ = np.linalg.svd(Y - Y.mean(axis=0), full_matrices=False)
    cores = [B[:, : 1 + np.sum(np.cumsum(v**2) < 0.9 * np.sum(v**2))] for B, v in ((U, s), (V, t))]
    assert svcca(X, Y, variance=0.9) == pytest.approx(naive_cca(*cores)[0])


@pytest.mark.parametrize("similarity", ALL)
def test_duplicate_and_dead_neurons_are_no_trouble(rng, similarity):
    X, Y = spaces(rng)
    dead = np.hstack([X, X, np.full((60, 2), 0.1)])
    assert similarity(dead, Y) == pytest.approx(similarity(X, Y))


@pytest.mark.parametrize("similarity", [svcca, pwcca])
def test_neurons_that_others_determine_add_no_direction(rng, similarity):
    X, Y = spaces(rng)
    options = {"variance": 1.0} if similarity is svcca else {}
    for n_neurons in (20, 50, 200):
        mixed = (X - X.mean(axis=0)) @ rng.normal(size=(7, n_neurons))
        assert similarity(Y, mixed, **options) == pytest.approx(similarity(Y, X, **options))


@pytest.mark.parametrize("similarity", ALL)
@pytest.mark.parametrize("widths", [(7, 5), (90, 5)])
def test_blocks_of_a_memory_mapped_half_precision_file(
    rng, similarity, widths, tmp_path, monkeypatch
):
    X, Y = (A.astype(np.float16) for A in spaces(rng, 200, widths))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = similarity(X.astype(np.float64), Y.astype(np.float64))
    monkeypatch.setattr("sklearn_neurox.utils._row_blocks._BLOCK_BYTES", 1000)
    assert similarity(mapped, Y) == pytest.approx(expected)


def test_rows_are_upcast_a_block_at_a_time(rng, monkeypatch):
    widest = []

    class Watched(np.ndarray):
        def __getitem__(self, key):
            part = super().__getitem__(key)
            widest.append(np.size(part))
            return np.asarray(part)

    monkeypatch.setattr("sklearn_neurox.utils._row_blocks._BLOCK_BYTES", 80 * 10)
    A = CenteredMatrix(rng.normal(size=(500, 10)).astype(np.float16).view(Watched))
    cross_product(A.rows, A.rows, shared_blocks(A, A))
    assert max(widest) == 100


@pytest.mark.parametrize("similarity", ALL)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, Y: (X, Y[:-1]), "X has 60 rows and Y has 59"),
        (lambda X, Y: (X, np.where(Y == Y[3, 2], np.nan, Y)), "Y contains NaN: column 2, row 3"),
        (
            lambda X, Y: (pd.DataFrame(X * np.inf).add_prefix("n"), Y),
            "X contains infinity: column 'n0'",
        ),
        (lambda X, Y: (np.ones_like(X) / 3, Y), "every column of X is constant"),
        (lambda X, Y: (X[:2], Y[:2]), "minimum of 3 is required"),
        (lambda X, Y: (X, words_frame([["Dogs", "bark"]])), "takes a matrix .* frame of words"),
    ],
)
def test_wrong_input_is_named(rng, similarity, change, message):
    with pytest.raises(ValueError, match=message):
        similarity(*change(*spaces(rng)))


def test_parameters_are_checked(rng):
    X, Y = spaces(rng)
    for similarity in (svcca, pwcca):
        for wrong in (1.5, 0, None, "all"):
            message = rf"'variance'.* of {similarity.__name__} must be a float in the range \(0"
            with pytest.raises(ValueError, match=message):
                similarity(X, Y, variance=wrong)
    with pytest.raises(ValueError, match="'debiased' parameter of cka must be"):
        cka(X, Y, debiased="yes")
    with pytest.raises(ValueError, match="needs at least four rows, got 3"):
        cka(X[:3], Y[:3], debiased=True)


def test_correlations_that_are_sure_are_warned_of(rng):
    X, Y = rng.normal(size=(2, 10, 7))
    with pytest.warns(UserWarning, match="7 with 7 directions on 10 rows: 5 canonical"):
        assert pwcca(X, Y) > 5 / 7


@pytest.mark.parametrize("n_shared", [2, 3, 6])
def test_pwcca_with_shared_neurons_is_the_same_for_any_order_of_rows(rng, n_shared):
    """Equal correlations leave directions free; theirs are the principal axes."""
    X = rng.normal(size=(80, 6)) * [1, 2, 3, 4, 5, 6]
    shared = X[:, :n_shared] @ rng.normal(size=(n_shared, n_shared))
    Y = np.column_stack([shared, rng.normal(size=(80, 3))])
    right = pwcca(X, Y)
    for order in (rng.permutation(80), np.arange(80)[::-1]):
        assert pwcca(X[order], Y[order]) == pytest.approx(right, abs=1e-8)
    rotation = np.linalg.qr(rng.normal(size=(Y.shape[1], Y.shape[1])))[0]
    assert pwcca(np.asfortranarray(X), Y @ rotation) == pytest.approx(right, abs=1e-8)
    # By hand: within the shared directions, sums over the axes of X projected onto them.
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    Q, R = np.linalg.qr(Xc)[0], np.linalg.qr(Yc)[0]
    U, correlations, _ = np.linalg.svd(Q.T @ R, full_matrices=False)
    scores = (Q @ U).T @ Xc
    _, lengths, axes = np.linalg.svd(scores[:n_shared], full_matrices=False)
    scores[:n_shared] = lengths[:, np.newaxis] * axes
    weights = np.abs(scores).sum(axis=1)
    assert right == pytest.approx(weights @ correlations / weights.sum(), abs=1e-8)
