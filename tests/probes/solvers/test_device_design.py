# SPDX-License-Identifier: BSD-3-Clause
"""The design for GPUs computes the same on the CPU, whichever way it gets its rows."""

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.model_selection import KFold

from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeClassifierCV,
    ElasticNetProbeRegressor,
)
from sklearn_neurox.probes.solvers import _certified, _device_design, _problem
from sklearn_neurox.probes.solvers._device_design import DeviceDesign
from sklearn_neurox.probes.solvers._host_feed import HostFeed
from sklearn_neurox.probes.solvers._row_view import RowView
from sklearn_neurox.probes.solvers._streamed_design import reading_order
from tests.probes.oracles import Problem, classes_data, numbers_data, objective_of

CPU = torch.device("cpu")


@pytest.fixture(params=["kept", "sent"])
def on_device(request, monkeypatch):
    """Make every fit use the design for GPUs, with small blocks and large batches."""
    design = partial(DeviceDesign, is_kept=request.param == "kept")
    monkeypatch.setattr(_problem, "_choose_design", lambda X, *_: (design, X))
    monkeypatch.setattr(_device_design, "_BLOCK_NUMBERS", 5000)
    monkeypatch.setattr(_device_design, "_SENT_BYTES", 10_000)


def layouts(X):
    mapped = np.asfortranarray(X)
    frozen = X.copy()
    frozen.flags.writeable = False
    return {
        "rows": X,
        "columns": mapped,
        "read-only": frozen,
        "reversed": X[::-1, ::-1].copy()[::-1, ::-1],
        "foreign": X.astype(X.dtype.newbyteorder(">")),
        "view": RowView(np.repeat(X, 2, axis=0), np.arange(0, 2 * len(X), 2)),
    }


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_feed_sends_any_layout_as_it_stands(dtype):
    X = np.random.RandomState(0).normal(size=(103, 7)).astype(dtype)
    order = np.random.RandomState(1).permutation(103)
    for name, matrix in layouts(X).items():
        feed = HostFeed(matrix, CPU)
        parts = [slice(0, 40), slice(40, 80), slice(80, 103), order[:50], order[50:51], order[51:]]
        parts += [np.r_[20:60, 5:9, 60:64, 3], np.r_[0:103]]
        sent = [rows.numpy().copy() for rows in feed.visit(parts)]
        for part, rows in zip(parts, sent, strict=True):
            assert rows.dtype == dtype, name
            np.testing.assert_array_equal(rows, X[part], err_msg=name)


def test_short_rows_that_are_sent_are_shuffled_in_chunks():
    def order(n_samples, n_features):
        X = np.zeros((n_samples, n_features), dtype=np.float16)
        rows = reading_order(X, n_samples, np.random.RandomState(0), is_sent=True)
        np.testing.assert_array_equal(np.sort(rows), np.arange(n_samples))
        return rows

    rows = order(50_000, 4)
    assert (np.diff(rows) == 1).mean() > 0.9
    # Every batch of a GPU has rows from both halves of the matrix.
    for batch in np.array_split(rows, 256):
        assert np.unique(batch // 25_000).tolist() == [0, 1]
    assert np.any(np.diff(order(3000, 4)) < 0)
    # Rows of four kilobytes are gathered one by one.
    assert (np.diff(order(20_000, 2048)) == 1).mean() < 0.01
    assert (np.diff(order(20_000, 2047)) == 1).mean() > 0.5


def test_a_large_part_is_copied_by_several_threads(monkeypatch):
    monkeypatch.setattr("sklearn_neurox.probes.solvers._host_feed._BYTES_PER_THREAD", 100)
    X = np.arange(3000.0).reshape(1000, 3)
    order = np.random.RandomState(0).permutation(1000)
    # torch cannot read the second matrix, so that its rows are gathered by NumPy.
    for matrix in (X, X.astype(">f8")):
        feed = HostFeed(matrix, CPU)
        feed.n_threads = 3
        for part in (slice(0, 1000), order):
            (rows,) = feed.visit([part])
            np.testing.assert_array_equal(rows.numpy(), X[part])
        assert list(feed.visit([])) == []


def test_a_feed_does_not_copy_a_read_only_matrix(recwarn):
    X = np.zeros((10, 3))
    X.flags.writeable = False
    feed = HostFeed(X, CPU)
    assert feed.source.data_ptr() == X.ctypes.data
    assert not recwarn.list


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_kept", [True, False])
def test_every_product_is_that_of_the_standardized_matrix(is_kept, weighted, monkeypatch):
    monkeypatch.setattr(_device_design, "_BLOCK_NUMBERS", 100)
    monkeypatch.setattr(_device_design, "_SENT_BYTES", 300)
    rng = np.random.RandomState(0)
    X = (rng.normal(size=(203, 9)) * np.geomspace(1, 50, 9) + 20).astype(np.float16)
    X[:, 4] = 3.0
    rows = rng.permutation(203)
    weight = rng.uniform(0, 2, 203) if weighted else None
    design = DeviceDesign(
        X,
        weight=None if weight is None else torch.from_numpy(weight),
        moments=None,
        center=True,
        rows=rows,
        device=CPU,
        is_kept=is_kept,
    )
    exact = X.astype(np.float64)
    mean = np.average(exact, axis=0, weights=weight)
    scale = np.sqrt(np.average((exact - mean) ** 2, axis=0, weights=weight))
    scale[4] = 1.0
    np.testing.assert_allclose(design.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(design.scale, scale, rtol=1e-10)
    Z = (exact - mean) / scale
    coef, residual = rng.normal(size=(3, 9)), rng.normal(size=(203, 3))
    np.testing.assert_allclose(design.scores(torch.from_numpy(coef)), Z @ coef.T, rtol=1e-9)
    gradient = design.correlate(torch.from_numpy(residual))
    np.testing.assert_allclose(gradient, residual.T @ Z / 203, rtol=1e-9, atol=1e-12)
    single, close = torch.float32, {"rtol": 1e-4, "atol": 1e-4}
    product = design.product(torch.from_numpy(coef).to(single))
    np.testing.assert_allclose(product, Z[rows] @ coef.T, **close)
    gradient = design.gradient(torch.from_numpy(residual[rows]).to(single))
    np.testing.assert_allclose(gradient, residual.T @ Z / 203, **close)
    np.testing.assert_allclose(design.head(50)[0], Z[rows[:50]], **close)
    batches = design.batches(4)
    for number, part in batches.visit(np.array([2, 0, 3, 1])):
        np.testing.assert_allclose(part, Z[rows[batches.slices[number]]], **close)
    fine = design.in_double().product(torch.from_numpy(coef))
    np.testing.assert_allclose(fine, Z[rows] @ coef.T, rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [ElasticNetProbeClassifier, ElasticNetProbeRegressor])
def test_fits_are_certified_and_repeat_bit_for_bit(on_device, kind, dtype):
    X, y = (classes_data if kind is ElasticNetProbeClassifier else numbers_data)(2500)
    X = X.astype(dtype)
    weight = np.random.RandomState(0).uniform(0.5, 2, size=len(X))
    probe = kind(1e-2, tol=1e-5, standardize=True, random_state=0, max_iter=5000)
    probe.fit(X, y, sample_weight=weight)
    best = Problem.of(probe, X, y, sample_weight=weight).optimum()
    found = objective_of(probe, X, y, sample_weight=weight)
    assert found - best <= probe.dual_gap_ + 1e-9 * abs(best)
    assert probe.dual_gap_ <= 1e-5 * found
    first = probe.coef_
    np.testing.assert_array_equal(probe.fit(X, y, sample_weight=weight).coef_, first)


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["saga", "svrg", "newton", "fista"])
def test_every_algorithm_reaches_the_same_optimum(on_device, solver):
    X, y = classes_data(2500)
    y = y == y[0]
    probe = ElasticNetProbeClassifier(1e-2, tol=1e-6, random_state=0, solver=solver)
    probe.fit(X.astype(np.float32), y)
    other = ElasticNetProbeClassifier(1e-2, tol=1e-6, random_state=0).fit(X.astype(np.float32), y)
    np.testing.assert_allclose(probe.coef_, other.coef_, atol=3e-3)


@pytest.mark.slow
def test_a_path_makes_the_same_choice(on_device, monkeypatch):
    X, y = classes_data(2500)
    options = {"alphas": 4, "cv": KFold(3), "tol": 1e-5, "random_state": 0, "standardize": True}
    found = ElasticNetProbeClassifierCV(**options).fit(X, y)
    monkeypatch.undo()
    expected = ElasticNetProbeClassifierCV(**options).fit(X, y)
    assert found.alpha_ == pytest.approx(expected.alpha_)
    np.testing.assert_allclose(found.scores_, expected.scores_, atol=5e-3)


@pytest.mark.slow
def test_a_float32_fit_that_rounding_stops_goes_on_in_float64(on_device):
    X, y = numbers_data(2500)
    X = X.astype(np.float32) * np.geomspace(1, 1e4, X.shape[1], dtype=np.float32)
    probe = ElasticNetProbeRegressor(1e-3, tol=1e-9, random_state=0, max_iter=3000).fit(X, y)
    assert probe.dual_gap_ <= 1e-9 * objective_of(probe, X, y)


@pytest.mark.parametrize("place", ["values", "copy"])
def test_a_matrix_is_sent_if_another_fit_took_the_memory_that_was_free(monkeypatch, place):
    X = np.random.RandomState(0).normal(size=(103, 7)).astype(np.float32)
    options = {"weight": None, "moments": None, "center": True, "rows": np.arange(103)[::-1]}
    expected = DeviceDesign(X, device=CPU, **options)
    full = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 8 GiB.")

    def fail(*_, **__):
        raise full

    with monkeypatch.context() as patch:
        if place == "values":
            patch.setattr(_device_design._KeptRows, "__init__", fail)
        else:
            patch.setattr(torch.Tensor, "index_copy_", fail)
        design = DeviceDesign(X, device=CPU, **options)
    assert expected.is_kept and not design.is_kept
    coef = torch.ones(2, 7, dtype=torch.float64)
    np.testing.assert_allclose(design.scores(coef), expected.scores(coef), rtol=1e-12)
    full = RuntimeError("no kernel image is available")
    monkeypatch.setattr(_device_design._KeptRows, "__init__", fail)
    with pytest.raises(RuntimeError, match="no kernel image"):
        DeviceDesign(X, device=CPU, **options)


def test_batches_on_a_gpu_grow_with_the_matrix():
    class Shaped:
        device = torch.device("cuda")

        def __init__(self, is_kept, *shape):
            self.is_kept, self.shape = is_kept, shape

    class Posed:
        def __init__(self, *design):
            self.problem = type("Problem", (), {"design": Shaped(*design)})

    shapes = [(3000, 64), (200_000, 4096), (1_000_000, 4096), (4_000_000, 4096)]
    sizes = {
        is_kept: [_certified.CertifiedSolver._rows_per_batch(Posed(is_kept, *s)) for s in shapes]
        for is_kept in (True, False)
    }
    assert sizes == {True: [128, 1041, 5208, 8192], False: [128, 781, 3906, 8192]}
