# SPDX-License-Identifier: BSD-3-Clause
import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from sklearn_neurox.evaluation import compare


def test_groups_of_one_size_give_the_t_test_of_their_means():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 5)
    a, b = rng.normal(0.3, 1, 60), rng.normal(size=60)
    for confidence in (0.9, 0.95):
        found = compare(a, b, rng.permutation(12)[groups], confidence=confidence)
        right = ttest_1samp((a - b).reshape(12, 5).mean(axis=1), 0)
        bounds = right.confidence_interval(confidence)
        assert found["p_value"] == pytest.approx(right.pvalue)
        assert found[["low", "high"]].tolist() == pytest.approx([bounds.low, bounds.high])
        assert found["difference"] == pytest.approx((a - b).mean())
        assert found[["n_words", "n_groups"]].tolist() == [60, 12]
        assert found[["mean_a", "mean_b"]].tolist() == pytest.approx([a.mean(), b.mean()])


def test_groups_of_all_sizes_have_the_error_of_a_ratio():
    rng = np.random.default_rng(1)
    sizes = rng.integers(1, 9, 20)
    groups = np.repeat([f"text {i}" for i in range(20)], sizes)
    a, b = rng.random(len(groups)) < 0.8, rng.random(len(groups)) < 0.7
    found = compare(a, b, groups)
    sums = pd.Series(a.astype(int) - b).groupby(groups).agg(["sum", "size"])
    mean = sums["sum"].sum() / sums["size"].sum()
    # Least squares on a constant, with the errors clustered by group.
    scores = sums["sum"] - mean * sums["size"]
    error = np.sqrt(20 / 19 * (scores**2).sum()) / sums["size"].sum()
    assert found["difference"] == pytest.approx(mean)
    assert found["high"] - found["low"] == pytest.approx(2 * 2.0930240544 * error)


def test_swapping_the_two_turns_the_difference_around():
    rng = np.random.default_rng(2)
    a, b, groups = rng.random(30), rng.random(30), np.repeat(range(6), 5)
    found, swapped = compare(a, b, groups), compare(b, a, groups)
    assert swapped["difference"] == -found["difference"]
    assert swapped["low"] == pytest.approx(-found["high"])
    assert swapped["p_value"] == pytest.approx(found["p_value"])


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3, 1 / 3, 0.7, 1.0, 1.1, 1e-200, 1e200])
@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_difference_that_is_the_same_in_all_words(shift, start):
    groups = np.repeat(range(5), [3, 1, 7, 2, 6])
    found = compare(np.full(19, start) + shift, np.full(19, start), groups)
    difference = (start + shift) - start
    assert found["difference"] == pytest.approx(difference, rel=1e-15, abs=0)
    assert found[["low", "high"]].isna().all()
    assert found["p_value"] == (1 if difference == 0 else 2.0**-4)


def test_differences_that_cancel_in_every_group():
    a, b = [1, 0, 0.5, 1, 0, 1], [0, 1, 0.5, 0, 1, 1]
    found = compare(a, b, [0, 0, 1, 2, 2, 3])
    assert found[["difference", "p_value"]].tolist() == [0, 1]
    assert found[["low", "high"]].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": [0] * 6}, "at least two groups, got 1"),
        ({"groups": [0, 0, 1, 1, 2, None]}, "group"),
        ({"outcomes_a": [1, 0, 1, 1, np.nan, 0]}, "outcomes_a of compare are nan at row 4"),
        ({"outcomes_b": list("NVNVNV")}, "predicted == y"),
        ({"outcomes_b": np.zeros((6, 2))}, r"one axis, got shape \(6, 2\)"),
        ({"outcomes_b": [1, 0]}, "inconsistent numbers of samples"),
    ],
)
def test_wrong_input_is_named(change, message):
    right = {"outcomes_a": [1, 0] * 3, "outcomes_b": [0] * 6, "groups": [0, 0, 1, 1, 2, 2]}
    with pytest.raises(ValueError, match=message):
        compare(**right | change)


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [10, 30, 100])
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_equally_good_probes_differ_in_one_of_twenty_samples(n_groups, correlation):
    rng = np.random.default_rng(3)
    rejected, n_samples = 0, 1000
    for _ in range(n_samples):
        sizes = rng.integers(3, 15, n_groups)
        groups = np.repeat(np.arange(n_groups), sizes)
        # How hard a text is, for each of the two probes: a share of the variance of its words.
        hard = rng.normal(size=(2, n_groups))[:, groups] * np.sqrt(correlation)
        latent = hard + rng.normal(size=(2, len(groups))) * np.sqrt(1 - correlation)
        right = latent < 1.2
        rejected += compare(right[0], right[1], groups)["p_value"] < 0.05
    assert 0.03 < rejected / n_samples < 0.07


@pytest.mark.slow
@pytest.mark.parametrize("loss", [1, 8])
def test_equally_good_models_that_agree_on_nearly_all_words(loss):
    """One model is right on a word more in many texts, or wrong on several more in a few."""
    rng, groups, n_samples = np.random.default_rng(5), np.repeat(np.arange(300), 10), 1500
    places, rejected = np.arange(3000) % 10, 0
    for _ in range(n_samples):
        drawn = rng.random(300)
        wins, loses = drawn < 0.08, drawn > 1 - 0.08 / loss
        a = wins[groups] & (places == 0)
        b = loses[groups] & (places < loss)
        rejected += compare(a, b, groups)["p_value"] < 0.05
    assert 0.03 < rejected / n_samples < 0.07


def test_the_number_of_groups_that_differ_bounds_the_p_value():
    """An exact sign test of k groups has a p-value of 2^(1 - k)."""
    groups = np.repeat(np.arange(300), 4)
    for n_differ, expected in {1: 0.42, 3: 0.13, 4: 0.08, 5: 0.05, 6: 0.03, 8: 0.01}.items():
        a = (groups < n_differ) & (np.arange(1200) % 4 == 0)
        p_value = compare(a, np.zeros(1200), groups)["p_value"]
        assert p_value == pytest.approx(expected, abs=0.005)


def _frame(groups, order=None, **columns):
    frame = pd.DataFrame({"row": range(len(groups)), "group": groups, "fold": 0} | columns)
    return frame if order is None else frame.iloc[order]


def test_groups_that_belong_to_other_rows_are_an_error():
    """Groups of a frame may be coarser or finer than those given, or have other names."""
    rng = np.random.default_rng(0)
    texts, documents, order = np.arange(60) // 3, np.arange(60) // 12, rng.permutation(60)
    a = _frame(texts, outcome=rng.normal(size=60))
    b = _frame(texts, order, outcome=rng.normal(size=60)[order])
    right, swapped = compare(a, b), compare(b, a)
    renamed = b.assign(group=b["group"].map("text {}".format))
    for same in (renamed, b.assign(group=np.nan)):
        pd.testing.assert_series_equal(compare(a, same), right)
        pd.testing.assert_series_equal(compare(same, a), swapped)
    pd.testing.assert_series_equal(compare(a, b, texts), right)
    assert compare(a, b, documents)["n_groups"] == 5
    assert compare(a, b.assign(group=documents[b["row"]]))["n_groups"] == 20
    assert compare(a, b, range(60))["n_groups"] == 60
    wrong = {
        "outcomes_b": lambda: compare(a, b.assign(group=texts)),
        "groups": lambda: compare(a.iloc[order], b, texts),
        "groups, coarser": lambda: compare(a.iloc[order], b, documents),
    }
    for name, call in wrong.items():
        with pytest.raises(ValueError, match="cut across each other"):
            pytest.fail(f"{name}: {call()}")


@pytest.mark.parametrize("method", ["groups", "splits"])
def test_units_change_nothing(method):
    rng = np.random.default_rng(0)
    folds = {"fold": np.arange(60) % 5, "n_train": 48}
    a, b = (_frame(np.arange(60) // 3, outcome=rng.normal(size=60)) for _ in "ab")
    right = compare(a.assign(**folds), b.assign(**folds), method=method)
    for unit in (1e-200, 1e-14, 1e200):
        scaled = (one.assign(outcome=one["outcome"] * unit, **folds) for one in (a, b))
        found = compare(*scaled, method=method)
        numbers = ["mean_a", "mean_b", "difference", "low", "high"]
        np.testing.assert_allclose(found[numbers] / unit, right[numbers])
        np.testing.assert_allclose(found["p_value"], right["p_value"])
