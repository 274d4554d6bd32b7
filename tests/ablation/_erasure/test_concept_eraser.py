# SPDX-License-Identifier: BSD-3-Clause
"""Concept erasure, against least squares, cross-covariances and refitted probes."""

import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.ablation import ConceptEraser
from sklearn_neurox.datasets import make_planted_neurons

_METHODS = ["leace", "mean", "inlp", "random"]


def _data(n=400, d=12, n_classes=3, seed=0, scales=1.0):
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    X = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 3 * rng.normal(size=(n_classes, d))[y]
    return (X + rng.normal(size=d)) * scales, y


def _indicators(*columns):
    """Return numbers as they are, and labels as one column per class."""
    parts = []
    for column in columns:
        column = np.asarray(column)
        parts.append(
            column[:, np.newaxis]
            if column.dtype.kind == "f"
            else (column[:, np.newaxis] == np.unique(column)).astype(float)
        )
    return np.hstack(parts)


def _correlations(X, Z):
    """Compute the largest correlation of a column of X with a column of Z; 0 if one is constant."""
    X, Z = (values - values.mean(axis=0) for values in (np.asarray(X, dtype=float), Z))
    norms = np.outer(np.linalg.norm(X, axis=0), np.linalg.norm(Z, axis=0))
    return np.abs(np.divide(X.T @ Z, norms, out=np.zeros_like(norms), where=norms > 0)).max()


def _covariance(X, Z):
    return (X - X.mean(axis=0)).T @ (Z - Z.mean(axis=0)) / len(X)


def _nearest(X, Z):
    """Compute the nearest affine map without covariance, by least squares.

    A map without covariance reads X only through projections that have none; the nearest such map
    predicts X from these projections.
    """
    centered = X - X.mean(axis=0)
    left, sizes, _ = np.linalg.svd(_covariance(X, Z))
    hidden = centered @ left[:, (sizes > 1e-10 * sizes[0]).sum() :]
    return X.mean(axis=0) + hidden @ np.linalg.lstsq(hidden, centered, rcond=None)[0]


def _concepts(y, rng):
    other = rng.integers(4, size=len(y)) * (y > 0)
    number = y + rng.normal(size=len(y))
    return {
        "ints": (y, _indicators(y)),
        "words": (np.array(["DET", "NOUN", "VERB"])[y], _indicators(y)),
        "bools": (y > 0, _indicators(y > 0)),
        "categories": (pd.Series(y).astype("category"), _indicators(y)),
        "strings": (pd.Series(list("abc"), dtype="string")[y].array, _indicators(y)),
        "numbers": (number, _indicators(number)),
        "two columns of labels": (np.column_stack([y, other]), _indicators(y, other)),
        "two columns of numbers": (
            np.column_stack([number, number**2]),
            _indicators(number, number**2),
        ),
        "mixed": (
            pd.DataFrame({"a": np.array(["x", "y", "z"])[y], "b": number, "c": other}),
            _indicators(y, number, other),
        ),
    }  # fmt: skip


def test_leace_is_exact_and_nearest_for_every_kind_of_concept():
    X, y = _data()
    for name, (concept, Z) in _concepts(y, np.random.default_rng(1)).items():
        eraser = ConceptEraser().fit(X, concept)
        erased = eraser.transform(X)
        left = np.abs(_covariance(erased, Z)).max() / np.abs(_covariance(X, Z)).max()
        assert left < 1e-12, name
        np.testing.assert_allclose(erased, _nearest(X, Z), atol=1e-9, err_msg=name)
        np.testing.assert_allclose(erased.mean(axis=0), X.mean(axis=0), err_msg=name)
        assert len(eraser.directions_) == np.linalg.matrix_rank(Z - Z.mean(axis=0)), name


@pytest.mark.filterwarnings("ignore:ConceptEraser removes all:UserWarning")
@pytest.mark.parametrize("method", ["leace", "mean"])
def test_hard_matrices_keep_no_correlation(method):
    rng = np.random.default_rng(0)
    X, y = _data()
    wide, wide_y = _data(n=30, d=80)
    rare = np.r_[np.zeros(397, dtype=int), 1, 1, 2]
    doubled = np.hstack([X, X[:, :3], X[:, :2].sum(axis=1, keepdims=True)])
    # Orthogonal projections mix the columns.
    extreme = 1e6 if method == "leace" else 1e3
    cases = {
        "scales": (X * np.geomspace(1 / extreme, extreme, 12), y),
        "offset": (X + 1e5, y),
        "dead neurons": (np.where(np.arange(12) < 3, 7.0, X), y),
        "dependent columns": (doubled, y),
        "more columns than rows": (wide, wide_y),
        "more columns than rows, scales": (wide * np.geomspace(1 / extreme, extreme, 80), wide_y),
        "rare classes": (X, rare),
        "many classes": (X, rng.integers(40, size=400)),
        "one column": (X[:, :1], y),
        "the concept itself": (np.column_stack([X, y == 1, y == 2]), y),
        "sinks": (np.where(rng.uniform(size=(400, 1)) < 0.02, X * 1e4, X), y),
    }
    for name, (values, concept) in cases.items():
        eraser = ConceptEraser(method).fit(values, concept)
        erased = eraser.transform(values)
        assert _correlations(erased, _indicators(concept)) < 1e-6, name
        projection = eraser.projection_
        np.testing.assert_allclose(
            projection @ projection,
            projection,
            atol=1e-6 * max(1, abs(projection).max()),
            err_msg=name,
        )
        assert np.isfinite(erased).all(), name


def test_leace_is_nearest_where_columns_are_dependent():
    X, y = _data()
    wide, wide_y = _data(n=30, d=80)
    doubled = np.hstack([X, X[:, :3], X[:, :2].sum(axis=1, keepdims=True)])
    for values, concept in ((doubled, y), (wide, wide_y)):
        erased = ConceptEraser().fit_transform(values, concept)
        np.testing.assert_allclose(erased, _nearest(values, _indicators(concept)), atol=1e-8)


def test_no_refitted_linear_probe_beats_the_majority():
    X, y = _data(n_classes=4)
    y = np.where(y == 3, 0, y)  # a majority
    majority = DummyClassifier().fit(X, y).score(X, y)
    for method in ("leace", "mean"):
        erased = ConceptEraser(method).fit_transform(X, y)
        for probe in (LogisticRegression(C=1e6, max_iter=5000), LogisticRegression(C=0.01)):
            probe = make_pipeline(StandardScaler(), probe).fit(erased, y)
            assert probe.score(erased, y) == majority
        number = X[:, 0] + y
        erased = ConceptEraser(method).fit_transform(X, number)
        assert abs(LinearRegression().fit(erased, number).score(erased, number)) < 1e-10


@pytest.mark.filterwarnings("ignore:ConceptEraser removes all:UserWarning")
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounding_errors_of_an_erased_column_are_not_left_to_be_scaled_up(dtype):
    X, y = _data(n_classes=2)
    X = np.column_stack([X, 0.1 + 0.7 * y, 3 - y]).astype(dtype)
    majority = DummyClassifier().fit(X, y).score(X, y)
    for method in _METHODS[:3]:
        eraser = ConceptEraser(method).fit(X[:, -1:], y)
        assert np.ptp(eraser.transform(X[:, -1:])) == 0
    for method in ("leace", "mean"):
        erased = ConceptEraser(method).fit_transform(X, y)
        assert erased.dtype == (np.float64 if dtype == np.float64 else np.float32)
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=10, max_iter=1000))
        assert probe.fit(erased, y).score(erased, y) <= majority + 0.02


def test_leace_does_not_depend_on_the_units_of_neurons():
    X, y = _data()
    turn = np.random.default_rng(3).normal(size=(12, 12))
    expected = ConceptEraser().fit_transform(X, y) @ turn
    np.testing.assert_allclose(ConceptEraser().fit_transform(X @ turn, y), expected, atol=1e-8)


def test_leace_moves_rows_less_than_any_other_complete_erasure():
    X, y = _data()
    moved = {m: np.square(ConceptEraser(m).fit_transform(X, y) - X).sum() for m in _METHODS}
    assert moved["leace"] < moved["mean"]
    again = ConceptEraser().fit(ConceptEraser().fit_transform(X, y), y)
    assert again.directions_.shape == (0, 12)
    np.testing.assert_array_equal(again.transform(X), X)


def test_mean_projects_out_the_differences_between_class_means():
    X, y = _data()
    means = np.stack([X[y == label].mean(axis=0) for label in range(3)])
    basis = np.linalg.qr((means[1:] - means[0]).T)[0]
    eraser = ConceptEraser("mean").fit(X, y)
    np.testing.assert_allclose(eraser.projection_, np.eye(12) - basis @ basis.T, atol=1e-12)
    np.testing.assert_allclose(eraser.directions_ @ eraser.directions_.T, np.eye(2), atol=1e-12)


def test_fewer_directions_leave_the_smaller_relations():
    X, y = _data(n_classes=5)

    def whitened(values):
        """Compute the singular values of the covariance of whitened rows with scaled indicators."""
        left, sizes, _ = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
        Z = _indicators(y)
        Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
        return np.linalg.svd(left[:, sizes > 1e-9 * sizes[0]].T @ Z, compute_uv=False)

    before = whitened(X)
    for n_directions in (1, 2, 3):
        eraser = ConceptEraser(n_directions=n_directions).fit(X, y)
        assert eraser.directions_.shape == (n_directions, 12)
        after = whitened(eraser.transform(X))
        np.testing.assert_allclose(after[: 4 - n_directions], before[n_directions:4], rtol=1e-8)
        assert (after[4 - n_directions :] < 1e-8).all()
        projection = eraser.projection_
        np.testing.assert_allclose(projection @ projection, projection, atol=1e-10)
    # The direction in which the means differ most, in units of the deviations of the classes.
    eraser = ConceptEraser("mean", n_directions=1).fit(X, y)
    gaps = _covariance(X, (Z := _indicators(y)) / Z.std(axis=0))
    leading = np.linalg.svd(gaps)[0][:, 0]
    assert abs(eraser.directions_[0] @ leading) == pytest.approx(1)


def test_random_directions_are_orthonormal_and_as_many():
    X, y = _data(n_classes=4)
    eraser = ConceptEraser("random", random_state=0).fit(X, y)
    assert eraser.directions_.shape == (3, 12)
    np.testing.assert_allclose(eraser.directions_ @ eraser.directions_.T, np.eye(3), atol=1e-12)
    other = ConceptEraser("random", random_state=1).fit(X, y)
    assert not np.allclose(other.directions_, eraser.directions_)
    again = ConceptEraser("random", random_state=0).fit(X, y)
    np.testing.assert_array_equal(again.directions_, eraser.directions_)
    assert ConceptEraser("random", n_directions=7).fit(X, y).directions_.shape == (7, 12)
    assert ConceptEraser("random", n_directions=12).fit(X, y).directions_.shape == (12, 12)


def test_inlp_removes_directions_until_probes_are_at_chance():
    planted = make_planted_neurons(1000, 50, effect=2.0, random_state=0)
    X, y = planted.X, planted.y
    eraser = ConceptEraser("inlp").fit(X, y)
    n_removed = len(eraser.directions_)
    assert 2 <= n_removed < 25
    assert 1 <= eraser.n_iter_ <= n_removed
    projection = eraser.projection_
    np.testing.assert_allclose(projection @ projection, projection, atol=1e-12)
    np.testing.assert_allclose(projection, projection.T, atol=1e-12)
    erased = eraser.transform(X)
    held_out = np.arange(len(X)) % 5 == 0
    probe = LogisticRegression(C=0.01).fit(erased[~held_out], y[~held_out])
    assert probe.score(erased[held_out], y[held_out]) < np.bincount(y).max() / len(y) + 0.05
    assert LogisticRegression(C=0.01).fit(X, y).score(X, y) > 0.9
    capped = ConceptEraser("inlp", n_directions=1).fit(X, y)
    assert capped.directions_.shape == (1, 50)
    own = ConceptEraser("inlp", estimator=LogisticRegression(C=0.01)).fit(X, y)
    assert 2 <= len(own.directions_) < 25


def test_inlp_on_numbers_and_on_nothing():
    X, y = _data(n=600)
    number = X[:, 0] + 0.1 * np.random.default_rng(0).normal(size=600)
    eraser = ConceptEraser("inlp").fit(X, number)
    erased = eraser.transform(X)
    assert LinearRegression().fit(X, number).score(X, number) > 0.9
    assert LinearRegression().fit(erased, number).score(erased, number) < 0.05
    noise = np.random.default_rng(5).integers(2, size=600)
    assert len(ConceptEraser("inlp").fit(X, noise).directions_) <= 4
    both = ConceptEraser("inlp").fit(X, pd.DataFrame({"y": y, "number": number}))
    assert len(both.directions_) >= len(eraser.directions_)


@pytest.mark.parametrize("method", ["leace", "mean", "random"])
def test_batches_of_any_sizes_give_what_one_fit_gives(method):
    X, y = _data(n_classes=4)
    order = np.argsort(y, kind="stable")  # classes appear one after the other
    number = X[:, 1] - y
    frame = pd.DataFrame({"word": np.array(list("dbca"))[y], "number": number})
    for concept in (y, number, frame):
        whole = ConceptEraser(method, random_state=0).fit(X, concept)
        for cuts in ([200], [1, 2, 150, 399]):
            stream = ConceptEraser(method, random_state=0, target_type="auto")
            for rows in np.split(order, cuts):
                part = concept.iloc[rows] if concept is frame else concept[rows]
                # A single number may be an integer by chance; its type is known from the first.
                stream.partial_fit(X[rows], part)
            np.testing.assert_allclose(stream.projection_, whole.projection_, atol=1e-9)
            np.testing.assert_allclose(stream.mean_, whole.mean_)
    stream = ConceptEraser(method, random_state=0).fit(X[:100], y[:100])
    stream.partial_fit(X[100:], y[100:])
    whole = ConceptEraser(method, random_state=0).fit(X, y)
    np.testing.assert_allclose(stream.projection_, whole.projection_, atol=1e-9)


def test_weights_count_rows():
    X, y = _data()
    weight = np.random.default_rng(0).integers(3, size=len(y))
    for method in ("leace", "mean"):
        weighted = ConceptEraser(method).fit(X, y, sample_weight=weight)
        repeated = ConceptEraser(method).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        np.testing.assert_allclose(weighted.projection_, repeated.projection_, atol=1e-9)
        np.testing.assert_allclose(weighted.mean_, repeated.mean_)


@pytest.mark.slow
def test_float16_memory_maps_are_read_in_blocks(tmp_path):
    X, y = _data(n=40_000, d=64)
    mapped = np.memmap(tmp_path / "X", dtype=np.float16, mode="w+", shape=X.shape)
    mapped[:] = X
    expected = ConceptEraser().fit(np.asarray(mapped).astype(np.float64), y)
    tracemalloc.start()
    try:
        eraser = ConceptEraser().fit(mapped[:2000], y[:2000])
        _, small = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        erased = expected.transform(mapped)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - small < erased.nbytes + 30e6
    eraser = ConceptEraser().fit(mapped, y)
    np.testing.assert_allclose(eraser.projection_, expected.projection_, atol=1e-9)
    assert erased.dtype == np.float32
    assert _correlations(erased, _indicators(y)) < 1e-6


def test_the_type_of_a_target_is_chosen_or_said():
    X, y = _data(n_classes=4)
    assert len(ConceptEraser().fit(X, y).directions_) == 3
    assert len(ConceptEraser(target_type="numbers").fit(X, y).directions_) == 1
    assert len(ConceptEraser().fit(X, y.astype(float)).directions_) == 3
    assert len(ConceptEraser().fit(X, y + 0.5 * (y == 1)).directions_) == 1
    coarse = ConceptEraser(target_type="classes").fit(X, y / 2)
    assert len(coarse.directions_) == 3


def test_a_concept_that_takes_all_of_X_warns():
    X, _ = _data(n=200)
    depth = np.arange(200) % 50
    with pytest.warns(UserWarning, match="removes all 12 directions of X.*target_type='numbers'"):
        erased = ConceptEraser().fit_transform(X, depth)
    np.testing.assert_allclose(erased, np.tile(X.mean(axis=0), (200, 1)), atol=1e-9)
    assert len(ConceptEraser(target_type="numbers").fit(X, depth).directions_) == 1


@pytest.mark.slow
def test_names_pass_through_pipelines_and_searches():
    X, y = _data()
    frame = pd.DataFrame(X, columns=[f"hidden.3.{unit}" for unit in range(12)])
    eraser = ConceptEraser().set_output(transform="pandas").fit(frame, y)
    erased = eraser.transform(frame)
    assert list(erased.columns) == list(frame.columns)
    np.testing.assert_array_equal(eraser.feature_names_in_, frame.columns)
    pipe = make_pipeline(StandardScaler(), ConceptEraser(), LogisticRegression())
    assert pipe.fit(X, y).score(X, y) < 0.45
    search = GridSearchCV(
        pipe, {"concepteraser__method": _METHODS, "concepteraser__n_directions": [1, None]}, cv=2
    )
    scores = search.fit(X, y).cv_results_["mean_test_score"]
    assert dict(search.best_params_)["concepteraser__method"] in ("random", "inlp", "mean", "leace")
    assert scores.max() > 0.9


def test_a_concept_other_than_y_is_routed_to_the_eraser():
    X, y = _data(n_classes=2)
    other = (X[:, 0] > X[:, 0].mean()).astype(int)
    with sklearn.config_context(enable_metadata_routing=True):
        eraser = ConceptEraser().set_fit_request(concept=True)
        pipe = make_pipeline(eraser, LogisticRegression(max_iter=1000))
        pipe.fit(X, y, concept=other)
        search = GridSearchCV(pipe, {"concepteraser__method": ["leace", "mean"]}, cv=2)
        search.fit(X, y, concept=other)
    direct = ConceptEraser().fit(X, other)
    np.testing.assert_allclose(pipe[0].projection_, direct.projection_)
    alone = ConceptEraser().fit(X, concept=other)
    np.testing.assert_allclose(alone.projection_, direct.projection_)
    assert search.best_score_ > 0.8


def test_tables_of_other_libraries_are_those_of_pandas():
    X, y = _data()
    frame = pd.DataFrame({"word": np.array(list("abc"))[y], "number": X[:, 0] + 0.1})
    expected = ConceptEraser().fit(X, frame).projection_
    records = frame.to_dict("records")
    for same in (pa.Table.from_pandas(frame), records):
        np.testing.assert_allclose(ConceptEraser().fit(X, same).projection_, expected, atol=1e-12)
    rows = frame.to_numpy().tolist()
    np.testing.assert_allclose(ConceptEraser().fit(X, rows).projection_, expected, atol=1e-12)
    one = ConceptEraser().fit(X, pa.array(frame["word"])).projection_
    np.testing.assert_allclose(one, ConceptEraser().fit(X, frame["word"]).projection_)


def test_bad_input_is_named():
    X, y = _data()
    eraser = ConceptEraser()
    with pytest.raises(ValueError, match="concept has only 1 class: 'a'. There is nothing"):
        eraser.fit(X, ["a"] * len(X))
    with pytest.raises(ValueError, match="column 1 of the concept has only 1 class: 1"):
        eraser.fit(X, np.column_stack([y, np.ones_like(y)]))
    with pytest.raises(ValueError, match="only 1 class"):
        eraser.fit(X, y, sample_weight=(y == 1).astype(float))
    with pytest.raises(ValueError, match="n_directions.*is 13, but X has only 12 columns"):
        ConceptEraser(n_directions=13).fit(X, y)
    with pytest.raises(ValueError, match="y as numbers, but a value is not a number"):
        ConceptEraser(target_type="numbers").fit(X, np.array(list("abc"))[y])
    with pytest.raises(ValueError, match="Input y of ConceptEraser contains infinity: row 4"):
        eraser.fit(X, np.where(np.arange(len(y)) == 4, np.inf, y + 0.5))
    with pytest.raises(ValueError, match="labels are missing, the first at row 4"):
        eraser.fit(X, np.where(np.arange(len(y)) == 4, np.nan, y + 0.5))
    mixed = pd.DataFrame({"a": y, "b": np.where(y == 1, "x", y.astype(object))})
    with pytest.raises(ValueError, match="Input y mixes strings and other types"):
        eraser.fit(X, mixed)
    with pytest.raises(ValueError, match=r"Got shape \(400, 1, 1\)"):
        eraser.fit(X, y[:, np.newaxis, np.newaxis])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        eraser.fit(X, y[:-1])
    with pytest.raises(AttributeError) as caught:
        _ = ConceptEraser("inlp").partial_fit
    assert "fits probes on all rows" in str(caught.value.__cause__)
    eraser.partial_fit(X, y)
    with pytest.raises(ValueError, match="has 2 columns, but it had 1 in the first call"):
        eraser.partial_fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="without their covariances"):
        ConceptEraser("mean").fit(X, y).set_params(method="leace").partial_fit(X, y)
    with pytest.raises(ValueError, match="X has 3 features, but ConceptEraser is expecting 12"):
        eraser.transform(X[:, :3])


@pytest.mark.slow
def test_the_package_concept_erasure_agrees():
    package = pytest.importorskip("concept_erasure")
    import torch

    for n, d, n_classes in ((500, 20, 2), (3000, 60, 10), (60, 100, 3)):
        X, y = _data(n, d, n_classes)
        Z = _indicators(y)
        fitter = package.LeaceFitter(
            d, n_classes, dtype=torch.float64, shrinkage=False, constrain_cov_trace=False,
            svd_tol=1e-6,
        )  # fmt: skip
        theirs = fitter.update(torch.tensor(X), torch.tensor(Z)).eraser
        ours = ConceptEraser().fit(X, y)
        np.testing.assert_allclose(ours.projection_, theirs.P.numpy(), atol=1e-8)
        erased = theirs(torch.tensor(X)).numpy()
        np.testing.assert_allclose(ours.transform(X), erased, atol=1e-8)
        orth = package.LeaceFitter(d, n_classes, "orth", dtype=torch.float64, svd_tol=1e-6)
        theirs = orth.update(torch.tensor(X), torch.tensor(Z)).eraser
        ours = ConceptEraser("mean").fit(X, y)
        np.testing.assert_allclose(ours.projection_, theirs.P.numpy(), atol=1e-8)
