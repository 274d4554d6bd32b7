# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge

from sklearn_neurox.ranking import LCARanker, ProbelessRanker, RandomRanker
from sklearn_neurox.ranking._base import BaseRanker
from sklearn_neurox.utils._counts import count_neurons


class _GivenScoresRanker(BaseRanker):
    def fit(self, X, y=None):
        self._check_fit_input(X)
        self._set_ranking(
            np.array([0.1, 0.9, 0.5, 0.9, 0.0]), [np.array([0.0, 1.0, 0.0, 2.0, 0.0])]
        )
        return self


X = np.arange(15.0).reshape(3, 5)


def test_order_ranks_and_tie_breaker_agree():
    ranker = _GivenScoresRanker().fit(X)
    assert ranker.order_.tolist() == [3, 1, 2, 0, 4]
    assert ranker.ranks_.tolist() == [4, 2, 3, 1, 5]


@pytest.mark.parametrize(
    "params, columns",
    [
        ({}, [0, 1, 2, 3, 4]),
        ({"n_neurons": 2}, [1, 3]),
        ({"n_neurons": 2, "which": "bottom"}, [0, 4]),
        ({"n_neurons": 1.0}, [0, 1, 2, 3, 4]),
        ({"n_neurons": 1}, [3]),
        ({"n_neurons": 0.5}, [1, 2, 3]),
        ({"n_neurons": 0.01, "which": "bottom"}, [4]),
    ],
)
def test_transform_keeps_the_chosen_in_column_order(params, columns):
    ranker = _GivenScoresRanker(**params).fit(X)
    np.testing.assert_array_equal(ranker.transform(X), X[:, columns])
    assert ranker.get_support(indices=True).tolist() == columns


def test_one_fit_serves_many_selections():
    ranker = _GivenScoresRanker().fit(X)
    assert ranker.set_params(n_neurons=1).get_support(indices=True).tolist() == [3]
    assert ranker.set_params(which="bottom").get_support(indices=True).tolist() == [4]


def test_top_and_bottom_are_complements():
    ranker = RandomRanker(n_neurons=3, random_state=0).fit(np.zeros((2, 10)))
    bottom = clone(ranker).set_params(n_neurons=7, which="bottom").fit(np.zeros((2, 10)))
    np.testing.assert_array_equal(ranker.get_support(), ~bottom.get_support())


@pytest.mark.parametrize(
    "fraction, n_features, count",
    [(0.15, 10, 2), (0.25, 10, 3), (0.24, 10, 2), (1e-9, 10, 1), (1.0, 10, 10), (0.1, 2688, 269)],
)
def test_fraction_rounds_to_nearest_and_is_at_least_one(fraction, n_features, count):
    assert count_neurons(fraction, n_features, caller="test") == count


def test_too_many_neurons_is_an_error_with_both_counts():
    with pytest.raises(ValueError, match=r"_GivenScoresRanker.*n_neurons=6.*5 columns"):
        _GivenScoresRanker(n_neurons=6).fit(X)


def test_unfitted():
    with pytest.raises(NotFittedError):
        _GivenScoresRanker().transform(X)
    with pytest.raises(NotFittedError):
        _GivenScoresRanker().to_frame()


def test_to_frame_reads_names():
    frame = _GivenScoresRanker().fit(X).to_frame([f"hidden.{i}.{i + 7}" for i in range(5)])
    assert frame.columns.tolist() == ["neuron", "layer", "unit", "score", "rank"]
    assert frame.index.name == "column"
    assert frame.index.tolist() == [3, 1, 2, 0, 4]
    assert frame["neuron"].iloc[0] == "hidden.3.10"
    assert frame["layer"].tolist() == frame.index.tolist()
    assert frame["unit"].tolist() == [10, 8, 9, 7, 11]
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5]
    assert frame["score"].is_monotonic_decreasing


def test_to_frame_without_names_and_with_feature_names_in():
    frame = _GivenScoresRanker().fit(X).to_frame()
    assert frame["neuron"].tolist() == ["x3", "x1", "x2", "x0", "x4"]
    assert frame["layer"].isna().all() and frame["unit"].isna().all()
    named = _GivenScoresRanker().fit(pd.DataFrame(X, columns=list("abcde")))
    assert named.to_frame()["neuron"].tolist() == list("dbcae")
    with pytest.raises(ValueError, match="feature_names_in_"):
        named.to_frame(list("vwxyz"))


def test_to_frame_has_one_column_a_class():
    y = ["N", "V", "N"]
    ranker = ProbelessRanker().fit(X, y)
    frame = ranker.to_frame()
    assert frame.columns.tolist()[5:] == ["score_N", "score_V"]
    np.testing.assert_array_equal(frame.loc[2, ["score_N", "score_V"]], ranker.class_scores_[:, 2])


def test_to_frame_of_one_class():
    names = [f"hidden.{layer}.{unit}" for layer in (1, 2) for unit in (0, 1, 2)]
    rng = np.random.default_rng(0)
    y = rng.choice(["N", "V", "X"], size=60)
    H = pd.DataFrame(rng.normal(size=(60, 6)), columns=names)
    H.iloc[:, 4] += 9 * (y == "V")
    ranker = ProbelessRanker().fit(H, y)
    frame = ranker.to_frame(label="V")
    assert frame.columns.tolist() == ["neuron", "layer", "unit", "score", "rank"]
    assert frame.iloc[0].tolist()[:3] == ["hidden.2.1", 2, 1]
    assert frame.index.name == "column" and frame.index.tolist() == ranker.class_order_[1].tolist()
    assert frame["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_array_equal(frame["score"], ranker.class_scores_[1][ranker.class_order_[1]])
    orders = {tuple(ranker.to_frame(label=label).index) for label in ("N", "V", "X")}
    assert len(orders) > 1
    given = ProbelessRanker().fit(H.to_numpy(), y).to_frame(names, label="V")
    pd.testing.assert_frame_equal(given, frame)
    # Labels need not be strings.
    ranker = ProbelessRanker().fit(H, y == "V")
    assert ranker.to_frame(label=True).index[0] == 4


def test_to_frame_of_a_class_that_is_not_there():
    ranker = ProbelessRanker().fit(X, ["N", "V", "N"])
    with pytest.raises(
        ValueError, match=r"'label' .*ProbelessRanker.*one of \['N', 'V'\], got 'W'"
    ):
        ranker.to_frame(label="W")
    rng = np.random.default_rng(0)
    without = LCARanker(Ridge()).fit(rng.normal(size=(20, 3)), rng.normal(size=20))
    for ranker in (without, RandomRanker().fit(X)):
        with pytest.raises(ValueError, match="Ranker has no class scores: .* Use label=None"):
            ranker.to_frame(label="N")


def test_a_fit_to_numbers_leaves_no_classes_of_an_earlier_one():
    rng = np.random.default_rng(0)
    H, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    ranker = LCARanker(LogisticRegression()).fit(H, y > 0).set_params(estimator=Ridge())
    again, fresh = ranker.fit(H, y), LCARanker(Ridge()).fit(H, y)
    pd.testing.assert_frame_equal(again.to_frame(), fresh.to_frame())
    assert set(vars(again)) == set(vars(fresh))


def test_half_precision_passes_through_even_where_its_sum_overflows():
    big = np.full((400, 4), 60000, dtype=np.float16)
    big[::2] *= -1
    transformed = RandomRanker(n_neurons=2, random_state=0).fit(big).transform(big)
    assert transformed.dtype == np.float16
    np.testing.assert_array_equal(transformed, big[:, :2])


def test_memory_map(tmp_path):
    rng = np.random.RandomState(0)
    dense = rng.randn(50, 6).astype(np.float16)
    np.save(tmp_path / "X.npy", dense)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    y = rng.randint(3, size=50)
    np.testing.assert_array_equal(
        ProbelessRanker().fit(mapped, y).scores_, ProbelessRanker().fit(dense, y).scores_
    )


def test_not_finite_names_the_column():
    bad = X.copy()
    bad[1, 3] = np.nan
    with pytest.raises(ValueError, match="column 3, row 1"):
        RandomRanker().fit(bad)
    with pytest.raises(ValueError, match="column 3, row 1"):
        RandomRanker().fit(X).transform(bad)
