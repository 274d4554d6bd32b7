# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pytest
from scipy.linalg import orth, subspace_angles
from sklearn import config_context
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.ranking import CrossModelRanker
from sklearn_neurox.utils import _correlations

CRITERIA = ["maxcorr", "mincorr", "linreg", "svcca"]
MODELS = np.array(["a"] * 5 + ["b"] * 4)


def _models(n_samples=300, seed=0):
    """Return three models that share a few latent directions."""
    rng = np.random.RandomState(seed)
    latent = rng.randn(n_samples, 3)
    X = latent @ rng.randn(3, 6) + rng.randn(n_samples, 6)
    return X, latent @ rng.randn(3, 9) + rng.randn(n_samples, 9)


def _fit(criterion, X, reference, models=MODELS, **params):
    return CrossModelRanker(criterion, **params).fit(
        X, reference=reference, reference_models=models
    )


def test_correlations_by_numpy():
    X, reference = _models()
    rho = np.abs(np.corrcoef(X.T, reference.T)[:6, 6:])
    by_model = np.stack([rho[:, MODELS == m].max(axis=1) for m in "ab"])
    ranker = _fit("maxcorr", X, reference)
    np.testing.assert_allclose(ranker.model_scores_, by_model)
    np.testing.assert_allclose(ranker.scores_, by_model.max(axis=0))
    np.testing.assert_allclose(_fit("mincorr", X, reference).scores_, by_model.min(axis=0))
    assert ranker.models_.tolist() == ["a", "b"]


def test_linreg_is_the_root_of_r2():
    X, reference = _models()
    ranker = _fit("linreg", X, reference)
    for row, model in enumerate("ab"):
        Z = reference[:, model == MODELS]
        r2 = [LinearRegression().fit(Z, x).score(Z, x) for x in X.T]
        np.testing.assert_allclose(ranker.model_scores_[row], np.sqrt(r2))


def test_svcca_by_projections_and_canonical_correlations():
    X, reference = _models()
    # A copy with little noise adds a direction with less than one percent of the variance.
    X = np.column_stack([X, X[:, 0] + 0.01 * np.random.RandomState(1).randn(len(X))])
    kept = []
    for Z in (X, reference):
        Z = StandardScaler().fit_transform(Z)
        U, s, _ = np.linalg.svd(Z, full_matrices=False)
        kept.append(U[:, : np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.99) + 1])
    assert kept[0].shape[1] < 7
    own, other = kept
    Z = StandardScaler().fit_transform(X) / np.sqrt(len(X))
    projected = other @ (other.T @ (own @ (own.T @ Z)))
    ranker = CrossModelRanker("svcca").fit(X, reference=reference)
    np.testing.assert_allclose(ranker.scores_, np.linalg.norm(projected, axis=0))
    # The same from the definition, with canonical correlations.
    left, sigma, _ = np.linalg.svd(own.T @ other)
    np.testing.assert_allclose(sigma, np.cos(subspace_angles(own, other))[::-1])
    coordinates = left[:, : len(sigma)].T @ own.T @ Z
    np.testing.assert_allclose(ranker.scores_, np.linalg.norm(sigma[:, None] * coordinates, axis=0))
    assert ranker.models_.tolist() == ["reference"]


@pytest.mark.parametrize("criterion", CRITERIA)
def test_sign_scale_and_shift_change_nothing_and_order_follows_columns(criterion):
    X, reference = _models()
    rng = np.random.RandomState(2)
    plain = _fit(criterion, X, reference)
    for _ in range(3):
        units, other_units = (
            rng.choice([-1, 1], size=n) * 10.0 ** rng.uniform(-2, 2, n) for n in (6, 9)
        )
        columns, others = rng.permutation(6), rng.permutation(9)
        changed = _fit(
            criterion,
            (X * units + units)[:, columns],
            (reference * other_units - 5)[:, others],
            MODELS[others],
        )
        np.testing.assert_allclose(changed.scores_, plain.scores_[columns], atol=1e-9)


def test_linreg_knows_only_the_space_of_a_model():
    X, reference = _models()
    rotated = reference.copy()
    rotated[:, :5] = orth(reference[:, :5] - reference[:, :5].mean(axis=0))
    expected = _fit("linreg", X, reference).model_scores_[0]
    np.testing.assert_allclose(_fit("linreg", X, rotated).model_scores_[0], expected)
    redundant = np.column_stack([reference[:, :5], reference[:, :5].sum(axis=1)])
    doubled = CrossModelRanker("linreg").fit(X, reference=redundant)
    np.testing.assert_allclose(doubled.scores_, expected, atol=1e-7)


def test_each_criterion_finds_its_own_and_not_what_others_find():
    rng = np.random.RandomState(0)
    X = rng.randn(2000, 20)
    a, b = rng.randn(2000, 20), rng.randn(2000, 20)
    a[:, 3] = -(X[:, 7] ** 3)  # one neuron of one model
    a[:, 4], b[:, 9] = X[:, 11] + rng.randn(2000), rng.randn(2000) - X[:, 11]  # of both
    a[:, 10:] += X[:, [2]]  # many weakly
    models = np.repeat(["a", "b"], 20)
    orders = {c: _fit(c, X, np.hstack([a, b]), models).order_ for c in CRITERIA}
    assert orders["maxcorr"][0] == 7
    assert orders["mincorr"][0] == 11
    assert orders["linreg"][0] == 2
    assert set(orders["svcca"][:3]) == {2, 7, 11}
    # Neuron 7, the best by maxcorr, is not the best by mincorr.
    assert orders["mincorr"].tolist().index(7) > 0


@pytest.mark.parametrize("criterion", CRITERIA)
def test_constant_neurons_score_nothing(criterion):
    X, reference = _models()
    X[:, 2], reference[:, 1] = 0.1, 0.1
    ranker = _fit(criterion, X, reference)
    assert ranker.scores_[2] == 0 and ranker.order_[-1] == 2
    itself = CrossModelRanker(criterion).fit(X, reference=X)
    kept = np.arange(6) != 2
    np.testing.assert_allclose(itself.scores_[kept], 1, atol=0.05 if criterion == "svcca" else 1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_blocks_and_kinds_of_input_agree(dtype, monkeypatch, tmp_path):
    X, reference = (Z.astype(dtype) for Z in _models())
    exact = _fit("linreg", X.astype(float), reference.astype(float)).scores_
    monkeypatch.setattr(_correlations, "_BLOCK_ROWS", 7)
    np.save(tmp_path / "reference.npy", reference)
    mapped = np.load(tmp_path / "reference.npy", mmap_mode="r")
    np.testing.assert_allclose(_fit("linreg", X, mapped).scores_, exact, rtol=1e-12)


def test_the_reference_is_routed_and_cut_to_the_fold():
    X, reference = _models()
    y = (X[:, 0] > 0).astype(int)
    with config_context(enable_metadata_routing=True):
        ranker = CrossModelRanker(n_neurons=2).set_fit_request(
            reference=True, reference_models=True
        )
        results = cross_validate(
            make_pipeline(ranker, LogisticRegression()),
            X,
            y,
            cv=KFold(3),
            params={"reference": reference, "reference_models": MODELS},
            return_estimator=True,
        )
    for (train, _), pipe in zip(KFold(3).split(X), results["estimator"], strict=True):
        expected = _fit("maxcorr", X[train], reference[train]).scores_
        np.testing.assert_array_equal(pipe[0].scores_, expected)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_weights_of_rows_are_repetitions(criterion):
    X, reference = _models()
    weight = np.random.RandomState(0).randint(3, size=300)
    ranker = CrossModelRanker(criterion)
    metadata = {"reference_models": MODELS}
    scores = ranker.fit(X, reference=reference, sample_weight=weight, **metadata).model_scores_
    X, repeated = X.repeat(weight, axis=0), reference.repeat(weight, axis=0)
    expected = ranker.fit(X, reference=repeated, **metadata).model_scores_
    np.testing.assert_allclose(scores, expected)


def test_its_mean_is_the_similarity_of_two_models():
    X, reference = _models()
    rho = np.abs(np.corrcoef(X.T, reference.T)[:6, 6:])
    ranker = CrossModelRanker("maxcorr").fit(X, reference=reference)
    np.testing.assert_allclose(ranker.scores_.mean(), rho.max(axis=1).mean())


def test_what_does_not_fit_together_is_named():
    X, reference = _models()
    with pytest.raises(ValueError, match="X has 300 rows, but the reference has 299"):
        _fit("maxcorr", X, reference[:-1])
    with pytest.raises(ValueError, match=r"reference_models has shape \(2,\).*has 9 columns"):
        _fit("maxcorr", X, reference, ["a", "b"])
    reference[4, 2] = np.nan
    with pytest.raises(ValueError, match="Input reference contains NaN: column 2, row 4"):
        _fit("maxcorr", X, reference)
    with pytest.warns(UserWarning, match="'a' has 5 columns.*on 6 rows perfectly"):
        _fit("linreg", X[:6], _models()[1][:6])
