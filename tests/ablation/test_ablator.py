# SPDX-License-Identifier: BSD-3-Clause
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_neurox.ablation import NeuronAblator

FILLS = ["drop", "zero", "mean", "resample", -2.5]


def _matrix(n_samples=50, n_features=6, dtype=np.float64, seed=0):
    rng = np.random.RandomState(seed)
    return (rng.randn(n_samples, n_features) + np.arange(n_features)).astype(dtype)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("params", [{}, {"keep": True}, {"neurons": []}])
def test_ablating_nothing_changes_nothing(fill, params):
    X = _matrix()
    ablated = NeuronAblator(fill=fill, random_state=0, **params).fit_transform(X)
    np.testing.assert_array_equal(ablated, X)
    assert not np.shares_memory(ablated, X)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtype_survivors_and_input_are_kept(fill, dtype):
    X = _matrix(dtype=dtype)
    before = X.copy()
    ablator = NeuronAblator([4, 1], fill=fill, random_state=0).fit(X)
    ablated = ablator.transform(X)
    assert ablated.dtype == dtype
    assert ablator.get_support(indices=True).tolist() == [0, 2, 3, 5]
    assert ablator.ablated_.tolist() == [1, 4]
    survivors = ablated if fill == "drop" else ablated[:, ablator.get_support()]
    np.testing.assert_array_equal(survivors, X[:, [0, 2, 3, 5]])
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "fill, expected", [("zero", 0.0), ("mean", [1.5, 4.5]), (7, 7.0), (-0.25, -0.25)]
)
def test_what_is_filled_in_comes_from_the_training_rows(fill, expected):
    train, test = np.zeros((2, 6)), _matrix()
    train[0], train[1] = np.arange(6), np.arange(6) + 1
    filled = NeuronAblator([1, 4], fill=fill).fit(train).transform(test)
    np.testing.assert_array_equal(filled[:, [1, 4]], np.broadcast_to(expected, (50, 2)))


@pytest.mark.parametrize(
    "neurons",
    [
        [1, 4],
        [-2, 1],
        ["b", "e"],
        np.array([0, 1, 0, 0, 1, 0], dtype=bool),
        pd.Index(["e", "b"]),
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_neurons_by_index_name_and_mask(neurons, keep):
    X = pd.DataFrame(_matrix(), columns=list("abcdef"))
    ablator = NeuronAblator(neurons, keep=keep).fit(X)
    names = list("be") if keep else list("acdf")
    assert ablator.get_feature_names_out().tolist() == names
    np.testing.assert_array_equal(ablator.transform(X), X[names])


@pytest.mark.parametrize("fill", FILLS)
def test_pandas_output_keeps_names_index_and_dtype(fill):
    X = pd.DataFrame(_matrix(dtype=np.float32), columns=list("abcdef"), index=range(100, 150))
    ablator = NeuronAblator(["c"], fill=fill, random_state=0).set_output(transform="pandas")
    ablated = ablator.fit_transform(X)
    names = list("abdef") if fill == "drop" else list("abcdef")
    assert ablated.columns.tolist() == names == ablator.get_feature_names_out().tolist()
    assert (ablated.index == X.index).all() and (ablated.dtypes == np.float32).all()
    pd.testing.assert_frame_equal(ablated[list("abdef")], X[list("abdef")])


def test_resample_draws_whole_training_rows():
    train = np.repeat(np.arange(3000.0)[:, np.newaxis], 4, axis=1) + np.arange(4) / 8
    test = np.full((500, 4), -1.0)
    ablator = NeuronAblator([0, 2, 3], fill="resample", random_state=0).fit(train)
    assert ablator.fill_rows_.shape == (1000, 3)
    filled = ablator.transform(test)
    assert (filled[:, 1] == -1).all()
    # All columns of a row come from one training row, and rows differ.
    np.testing.assert_array_equal(filled[:, 2] - filled[:, 0], 2 / 8)
    np.testing.assert_array_equal(filled[:, 3] - filled[:, 0], 3 / 8)
    assert 300 < len(np.unique(filled[:, 0])) < 500
    assert abs(filled[:, 0].mean() - 1500) < 150


def test_resample_is_reproducible():
    X = _matrix()
    ablator = NeuronAblator([0, 2], fill="resample", random_state=3).fit(X)
    first = ablator.transform(X)
    np.testing.assert_array_equal(ablator.transform(X), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(ablator)).transform(X), first)
    np.testing.assert_array_equal(ablator.fit_transform(X), first)
    other = NeuronAblator([0, 2], fill="resample", random_state=4).fit_transform(X)
    assert (other != first).any()


def test_weights_count_in_the_mean_and_in_the_draws():
    X, weight = _matrix(400), np.array([0, 1, 2, 5] * 100)
    mean = NeuronAblator([1], fill="mean").fit(X, sample_weight=weight).fill_rows_
    np.testing.assert_allclose(mean[0, 0], np.repeat(X[:, 1], weight).mean())
    drawn = NeuronAblator([1], fill="resample", random_state=0).fit(X, sample_weight=weight)
    counts = (drawn.fill_rows_ == X[:, 1]).sum(axis=0)
    # Each row is stored in proportion to its weight, rounded up or down.
    assert (np.abs(counts - 1000 * weight / weight.sum()) < 1).all()
    assert not counts[weight == 0].any()
    with pytest.raises(ValueError, match="[Nn]egative"):
        NeuronAblator([1]).fit(X, sample_weight=-weight)


def test_a_constant_of_the_rows_that_count_is_constant():
    X = np.full((50, 2), 0.1)
    X[0] = 1e6
    weight = np.append(0.0, np.ones(49))
    mean = NeuronAblator([0], fill="mean").fit(X, sample_weight=weight).fill_rows_
    assert mean[0, 0] == 0.1


def test_mean_of_half_precision_is_that_of_double():
    X = (_matrix(20_000, 3) + 500).astype(np.float16)
    ablator = NeuronAblator([0, 1, 2], fill="mean").fit(X)
    np.testing.assert_allclose(ablator.fill_rows_[0], X.astype(np.float64).mean(axis=0), rtol=1e-13)


def test_a_fill_acts_where_the_ablator_stands():
    X = _matrix(200, 4) * [1, 10, 100, 1000]
    y = (X[:, 0] > X[:, 0].mean()).astype(int)

    def decisions(*steps):
        return make_pipeline(*steps, LogisticRegression()).fit(X, y).decision_function(X)

    def ablator(fill):
        return NeuronAblator([1, 3], fill=fill)

    after = decisions(StandardScaler(), ablator("zero"))
    np.testing.assert_allclose(decisions(StandardScaler(), ablator("mean")), after, atol=1e-9)
    np.testing.assert_allclose(decisions(ablator("mean"), StandardScaler()), after, atol=1e-9)
    # For a fitted scaler, however, a zero inserted before it is an outlier.
    scaler = StandardScaler().fit(X)
    outlier = scaler.transform(ablator("zero").fit_transform(X))
    assert (outlier[:, 3] < -2).all()
    mean = scaler.transform(ablator("mean").fit_transform(X))
    np.testing.assert_allclose(mean[:, [1, 3]], 0, atol=1e-12)


def test_inverse_transform():
    X = _matrix()
    expected = X.copy()
    expected[:, [1, 4]] = 0
    dropped = NeuronAblator([1, 4]).fit(X)
    np.testing.assert_array_equal(dropped.inverse_transform(dropped.transform(X)), expected)
    zeroed = NeuronAblator([1, 4], fill="zero").fit(X)
    np.testing.assert_array_equal(zeroed.inverse_transform(zeroed.transform(X)), expected)


def test_bad_choices_are_named():
    X = _matrix()
    with pytest.raises(ValueError, match="neuron 6.*numbered 0 to 5"):
        NeuronAblator([6]).fit(X)
    with pytest.raises(ValueError, match="neuron twice: 2"):
        NeuronAblator([2, 0, 2]).fit(X)
    with pytest.raises(ValueError, match="by name, but X has no feature names"):
        NeuronAblator(["hidden.0.1"]).fit(X)
    named = pd.DataFrame(X, columns=list("abcdef"))
    with pytest.raises(
        ValueError, match=r"'x1', which is not a column of X \(2 unknown in total\)"
    ):
        NeuronAblator(["a", "x1", "hidden.0.9"]).fit(named)
    with pytest.raises(ValueError, match="neuron twice: b"):
        NeuronAblator(["b", "b"]).fit(named)
    with pytest.raises(ValueError, match="5 entries, but there are 6"):
        NeuronAblator([True] * 5).fit(X)
    with pytest.raises(
        ValueError, match="1000000.0, which is too large for the dtype of X, float16"
    ):
        NeuronAblator([0], fill=1e6).fit(X.astype(np.float16))
    for fill in (np.nan, np.inf, True, False, np.True_):
        with pytest.raises(ValueError, match="The 'fill' parameter of NeuronAblator must be"):
            NeuronAblator([0], fill=fill).fit(X)
