# SPDX-License-Identifier: BSD-3-Clause
"""Finite values of any size have the right results, or an error that names the column."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone

from sklearn_neurox.ablation import ConceptEraser, NeuronAblator
from sklearn_neurox.evaluation import cka, maxcorr, pwcca, svcca
from sklearn_neurox.extraction import Activations
from sklearn_neurox.inspection import top_words
from sklearn_neurox.inspection._report._gathering import _standardized
from sklearn_neurox.probes import (
    ElasticNetProbeClassifier,
    ElasticNetProbeRegressor,
    GaussianProbeClassifier,
    MeanDifferenceProbeClassifier,
)
from sklearn_neurox.ranking import (
    AveragePrecisionRanker,
    CrossModelRanker,
    GaussianRanker,
    IoURanker,
    ProbelessRanker,
)
from sklearn_neurox.selection import CorrelationClusterSelector
from sklearn_neurox.words import words_frame

RNG = np.random.RandomState(0)
Y = np.arange(60) % 3
BASE = RNG.randn(60, 6)
BASE[:, 0] += Y
BASE[:, 3] -= 2 * (Y == 1)
OTHER = RNG.randn(60, 4) + BASE[:, :4]
SCALES = [
    *((np.float32, scale) for scale in (1e-37, 1e-30, 1e-20, 1e15, 1e20, 1e30, 1e37, 5e37)),
    *((np.float64, scale) for scale in (1e-300, 1e-200, 1e-160, 1e100, 1e150, 1e200, 1e300)),
    *((np.float16, scale) for scale in (1e-3, 1e4)),
]


def scaled():
    """Yield matrices of each scale and dtype, and what they are in units of the scale, exactly."""
    for dtype, scale in SCALES:
        X = (BASE * scale).astype(dtype)
        assert np.isfinite(X).all()
        yield X, (X.astype(np.longdouble) / np.longdouble(scale)).astype(np.float64), scale


def distances(Z, weight=None):
    """Sum the distances between the means of three classes."""
    weight = np.ones(len(Z)) if weight is None else weight
    means = [np.average(Z[Y == v], axis=0, weights=weight[Y == v]) for v in range(3)]
    return sum(abs(means[a] - means[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_probeless_scores_of_any_size():
    for X, Z, scale in scaled():
        expected = distances(Z)
        for matrix in (X, csr_matrix(X.astype(np.float64))):
            ranker = ProbelessRanker().fit(matrix, Y)
            found = (ranker.scores_.astype(np.longdouble) / np.longdouble(scale)).astype(float)
            np.testing.assert_allclose(found, expected, rtol=1e-5, err_msg=f"{X.dtype} {scale}")
            np.testing.assert_array_equal(ranker.order_, np.argsort(-expected))


def test_probeless_differences_that_overflow_are_named():
    X = BASE.copy()
    X[:, 2] *= 7e307 / abs(X[:, 2]).max()
    X[:2, 2] = 1.7e308, -1.7e308
    for matrix in (X, csr_matrix(X)):
        with pytest.raises(ValueError, match="values of column 2 of X are too large: Probeless"):
            ProbelessRanker().fit(matrix, Y)
    extreme = np.finfo(np.float32).max
    single = np.array([[extreme, 1], [-extreme, 2], [extreme, 3], [0, 3]], np.float32)
    scores = ProbelessRanker().fit(single, [0, 1, 0, 1]).scores_
    np.testing.assert_allclose(scores, [1.5 * float(extreme), 0.5])


def test_weights_of_any_size():
    """Rows of weight zero count for nothing, however large their values are."""
    weight = RNG.rand(60)
    weight[0] = 0
    for factor in (1e-300, 1e-50, 1e300):
        for dtype in (np.float32, np.float64):
            X = BASE.astype(dtype)
            X[0] *= 1e12
            for matrix in (X, csr_matrix(X)):
                scores = ProbelessRanker().fit(matrix, Y, sample_weight=weight * factor).scores_
                np.testing.assert_allclose(scores, distances(BASE, weight), rtol=1e-4)
                mean = NeuronAblator([0], fill="mean")
                filled = mean.fit(X, sample_weight=weight * factor).transform(X)[0, 0]
                assert filled == pytest.approx(np.average(BASE[:, 0], weights=weight), rel=1e-4)
            for probe in (
                ElasticNetProbeRegressor(0.01, standardize=True),
                MeanDifferenceProbeClassifier(),
            ):
                if isinstance(probe, MeanDifferenceProbeClassifier) and factor == 1e300:
                    continue  # an error says that their squares overflow
                found = clone(probe).fit(X, Y, sample_weight=weight * factor).coef_
                fresh = clone(probe).fit(BASE[1:].astype(dtype), Y[1:], sample_weight=weight[1:])
                np.testing.assert_allclose(found, fresh.coef_, atol=2e-3 * abs(found).max())


def test_rankers_that_do_not_depend_on_scale():
    correlation = abs(np.corrcoef(OTHER.T, BASE.T)[:4, 4:]).max(axis=1)
    rankers = (AveragePrecisionRanker(), IoURanker(0.8))
    for X, Z, scale in scaled():
        for ranker in rankers:
            expected = clone(ranker).fit(Z, Y).scores_
            np.testing.assert_array_equal(clone(ranker).fit(X, Y).scores_, expected)
        if scale < 1e300:
            found = CrossModelRanker().fit(OTHER, reference=X).scores_
            np.testing.assert_allclose(found, correlation, rtol=2e-3, err_msg=str(scale))


def test_what_computes_with_squares_reads_them_or_names_the_column():
    estimators = [
        ElasticNetProbeClassifier(0.01, standardize=True), GaussianProbeClassifier(),
        GaussianRanker(), ProbelessRanker(scale=True), CorrelationClusterSelector(0.9),
        MeanDifferenceProbeClassifier(0.1), ConceptEraser(), CrossModelRanker(),
    ]  # fmt: skip
    for estimator in estimators:
        for value, message in ((1e-200, "too small for float64"), (1e200, "too large for float64")):
            X = pd.DataFrame(BASE.copy(), columns=list("abcdef"))
            X["c"] *= value
            options = {"reference": OTHER} if isinstance(estimator, CrossModelRanker) else {}
            for matrix in (X, X.to_numpy()):
                where = r"column '?[c2]'?, row \d+ is -?\d\.\d+e[-+]\d+,"
                with pytest.raises(ValueError, match=f"{message}: {where}.*Rescale the column"):
                    clone(estimator).fit(matrix, Y, **options)
    probe = ElasticNetProbeClassifier(0.01, standardize=True)
    with pytest.raises(ValueError, match=r"too small for float64: column 2, row"):
        probe.fit(csr_matrix(BASE * [1, 1, 1e-200, 1, 1, 0]), Y)
    probe.fit(BASE * [1, 1, 0, 1, 1, 0], Y)  # zeros are not small


def test_similarities_of_any_size():
    def centered(A):
        return A - A.mean(axis=0)

    def gram(A, B):
        return ((centered(A).T @ centered(B)) ** 2).sum()

    for X, Z, scale in scaled():
        correlation = abs(np.corrcoef(Z.T, OTHER.T)[:6, 6:])
        expected = {
            cka: gram(Z, OTHER) / np.sqrt(gram(Z, Z) * gram(OTHER, OTHER)),
            maxcorr: correlation.max(axis=1).mean(),
            svcca: svcca(Z, OTHER),
            pwcca: pwcca(Z, OTHER),
        }
        for function, value in expected.items():
            found = function(X, OTHER)
            assert found == pytest.approx(value, rel=1e-6), (function.__name__, X.dtype, scale)
        both = cka(X, X[:, :3], debiased=True)
        assert both == pytest.approx(cka(Z, Z[:, :3], debiased=True), rel=1e-6)


def test_tables_of_words_of_any_size():
    words = words_frame([[f"w{i % 5}" for i in range(60)]])
    for X, Z, scale in scaled():
        of_word = pd.DataFrame(Z[:, :1]).groupby(words["word"])[0]
        z = (of_word.mean() - Z[:, 0].mean()) / Z[:, 0].std()
        for matrix in (X, csr_matrix(X.astype(np.float64))):
            table = top_words(matrix, words, [0], n_words=1).iloc[0]
            assert table["word"] == z.idxmax()
            assert table["z"] == pytest.approx(z.max(), rel=1e-5)
            std = float(np.longdouble(table["std"]) / np.longdouble(scale))
            assert std == pytest.approx(of_word.std(ddof=0)[table["word"]], rel=1e-4)


def test_reports_standardize_columns_of_any_size():
    for X, Z, scale in scaled():
        values, _, deviations = _standardized(X)
        np.testing.assert_allclose(values.T, (Z - Z.mean(0)) / Z.std(0), atol=1e-4)
        found = (deviations.astype(np.longdouble) / np.longdouble(scale)).astype(float)
        np.testing.assert_allclose(found, Z.std(0), rtol=1e-5)


def test_arrays_that_float32_cannot_hold():
    for value in (1e200, -1e39, 1e-60):
        arrays = [np.ones((2, 2)), np.array([[1.0, value]])]
        arrays[0][:, 1] = 0
        with pytest.raises(ValueError, match=r"arrays\[1\] has the value .* neuron 'x1', which fl"):
            Activations.from_arrays(arrays)
    largest = np.finfo(np.float32).max
    arrays = [np.array([[largest, 1], [largest, 2], [-largest, 6]], np.float32)]
    pooled = Activations.from_arrays(arrays).pool("mean")
    np.testing.assert_allclose(pooled, [[largest / 3, 3]], rtol=1e-6)
