# SPDX-License-Identifier: BSD-3-Clause
"""Intervals of means over words: against formulas written out, and their coverage in simulation."""

import numpy as np
import pytest
from scipy import stats

from benchmarks import _intervals
from sklearn_neurox.utils._scores._group_intervals import mean_interval


def by_hand(totals, groups, sizes, scale, confidence):
    """Compute the mean and its bounds with a loop over groups, by the delta method."""
    pairs = [(totals[groups == g].sum(), sizes[groups == g].sum()) for g in sorted(set(groups))]
    n, size = len(pairs), sum(m for _, m in pairs)
    mean = sum(h for h, _ in pairs) / size
    squares = [(h - mean * m) ** 2 for h, m in pairs]
    variance = n / (n - 1) * sum(squares) / size**2
    # Satterthwaite: twice the squared mean of the sum of squares, over its variance.
    spread = sum(square**2 for square in squares) - sum(squares) ** 2 / n
    df = min(max(2 * sum(squares) ** 2 / spread, 1), n - 1)
    reach = stats.t(df).ppf(0.5 + confidence / 2) * variance**0.5
    if scale == "linear":
        return mean, mean - reach, mean + reach
    if scale == "log":
        center, reach = np.log(mean), reach / mean
        return mean, np.exp(center - reach), np.exp(center + reach)
    if scale == "atanh":
        halves = by_hand((totals + sizes) / 2, groups, sizes, "logit", confidence)
        return tuple(2 * bound - 1 for bound in halves)
    center, reach = np.log(mean / (1 - mean)), reach / (mean * (1 - mean))
    low, high = [1 / (1 + np.exp(-(center + sign * reach))) for sign in (-1, 1)]
    if any(h < 0 or h > m for h, m in zip(totals, sizes, strict=True)):  # outcomes, not shares
        return mean, low, high
    # A share cannot exceed that of the groups that have any, whose bound is a binomial one.
    having, lacking = sum(h > 0 for h, _ in pairs), sum(h < m for h, m in pairs)
    most = [
        stats.binomtest(k, n).proportion_ci(confidence, method="exact").high
        for k in (having, lacking)
    ]
    largest = max(m for _, m in pairs) / (size / n)
    return mean, max(low, 1 - largest * most[1]), min(high, largest * most[0])


def test_bounds_equal_the_formula():
    rng = np.random.RandomState(0)
    groups = rng.randint(0, 9, 80)
    sizes = rng.randint(1, 4, 80).astype(float)
    shares, numbers = rng.binomial(1, 0.3, 80), rng.normal(0.5, 1, 80)
    cases = [
        (shares, None, "logit"), (numbers, None, "linear"), (numbers**2, None, "log"),
        (numbers, sizes, "linear"), (shares * sizes, sizes, "logit"), (numbers**2, sizes, "log"),
        (2 * shares - 1, None, "atanh"), (np.eye(1, 80)[0], None, "logit"),
        (20 * np.eye(1, 80)[0], None, "logit"), (1 - np.eye(1, 80)[0], None, "atanh"),
    ]  # fmt: skip
    for totals, size, scale in cases:
        for confidence in (0.5, 0.95, 0.99):
            found = mean_interval(totals, groups, sizes=size, scale=scale, confidence=confidence)
            ones = np.ones(80) if size is None else size
            np.testing.assert_allclose(found, by_hand(totals, groups, ones, scale, confidence))


def test_one_word_per_group_gives_the_t_interval():
    # Evenly spread, so that no few words have most of the squares.
    values = np.random.RandomState(1).uniform(size=25)
    found = mean_interval(values, np.arange(25))
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found[1:], expected)


def test_edges():
    empty = np.empty(0)
    assert np.isnan(mean_interval(empty, empty.astype(int))).all()
    mean, low, high = mean_interval(np.arange(3.0), np.zeros(3, dtype=int))
    assert mean == 1 and np.isnan([low, high]).all()
    groups = np.repeat(np.arange(10), 4)
    # If no group has it, the bound is that on the share of groups that have it.
    exact = stats.binomtest(0, 10).proportion_ci(0.95, method="exact")
    assert mean_interval(np.zeros(40), groups, scale="logit") == (0, 0, pytest.approx(exact.high))
    exact = stats.binomtest(10, 10).proportion_ci(0.95, method="exact")
    assert mean_interval(np.ones(40), groups, scale="logit") == (1, pytest.approx(exact.low), 1)
    # Without a range, nothing says how far other groups could be.
    for scale in ("linear", "log"):
        for value in (0.0, 0.1, 1e9):
            mean, *bounds = mean_interval(np.full(40, value), groups, scale=scale)
            assert mean == pytest.approx(value) and np.isnan(bounds).all()
    found = mean_interval(-np.ones(40), groups, scale="atanh")
    assert found == (-1, -1, pytest.approx(2 * (1 - exact.low) - 1))
    # All groups have the same share, which says little about others.
    found = mean_interval(np.tile([1.0, 0, 0, 0], 10), groups, scale="logit")
    beyond = 1 - exact.low
    assert found == pytest.approx((0.25, 0.25 - beyond * 0.25, 0.25 + beyond * 0.75))
    # One error widens an interval only a little; from s alone, it would be .48 wide.
    widths = []
    for n_errors in range(6):
        outcomes = np.r_[np.zeros(n_errors), np.ones(60 - n_errors)]
        groups_of_two = np.r_[0:30, 0:30]
        _, low, high = mean_interval(outcomes, groups_of_two, scale="logit")
        exact = stats.binomtest(30 - n_errors, 30).proportion_ci(0.95, method="exact")
        assert low >= exact.low - 1e-12 and high > 1 - n_errors / 60 - 1e-12
        widths.append(high - low)
        mirrored = mean_interval(1 - outcomes, groups_of_two, scale="logit")
        np.testing.assert_allclose(mirrored[1:], (1 - high, 1 - low), atol=1e-12)
    assert max(widths) < 0.2
    # A few large groups may have nearly all words, so their number does not limit the share.
    sizes = np.r_[[1000] * 2, [1] * 28]
    mean, low, high = mean_interval(
        np.r_[[900, 800], np.zeros(28)], np.arange(30), sizes=sizes, scale="logit"
    )
    assert low < mean < high and mean > 0.8
    huge = mean_interval(np.eye(1, 40)[0] * 1e100, groups, scale="log")
    assert 0 <= huge.low < huge.mean < huge.high


def test_without_an_error_long_texts_count_more():
    """None of n independent texts has an error with probability (1 - share)^n."""
    sizes = np.array([1, 1, 2, 4, 8, 24])
    words, groups = np.repeat(0.0, 40), np.repeat(np.arange(6), sizes)
    # The effective number of texts (Kish): (sum of sizes)^2 / sum of their squares.
    high = 1 - 0.025 ** (1 / (40**2 / (sizes**2).sum()))
    assert mean_interval(words, groups, scale="logit") == (0, 0, pytest.approx(high))
    assert mean_interval(words + 1, groups, scale="logit") == (1, pytest.approx(1 - high), 1)
    found = mean_interval(words - 1, groups, scale="atanh")
    assert found == (-1, -1, pytest.approx(2 * high - 1))
    half = mean_interval(sizes / 2, np.arange(6), sizes=sizes * 1.0, scale="logit")
    assert half == pytest.approx((0.5, 0.5 - high / 2, 0.5 + high / 2))
    for unit in (1e-200, 1e200):
        found = mean_interval(np.zeros(6), np.arange(6), sizes=sizes * unit, scale="logit")
        assert found.high == pytest.approx(high)
    # Texts without words, and words without weight, are not there.
    found = mean_interval(np.zeros(7), np.arange(7), sizes=np.append(sizes, 0.0), scale="logit")
    assert found.high == pytest.approx(high)


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [10, 30, 100])
@pytest.mark.parametrize("spread", [0.7, 1.2])
def test_coverage_where_whole_texts_fail(n_groups, spread):
    """A text fails as a whole, and the chance of it grows with its length."""
    rng, n_repeats = np.random.RandomState(n_groups), 500
    lengths = np.ceil(rng.lognormal(1.5, spread, size=(5000, n_groups)))
    for n_failures in (1, 2):
        chance = np.minimum(n_failures / n_groups * lengths / lengths.mean(), 1)
        fails = rng.random_sample(lengths.shape) < chance
        truth = np.sum(lengths * fails) / lengths.sum()
        hits = 0
        for sizes, failing in zip(lengths[:n_repeats], fails, strict=False):
            totals, groups = sizes * failing, np.arange(n_groups)
            _, low, high = mean_interval(totals, groups, sizes=sizes, scale="logit")
            hits += low <= truth <= high
        assert hits / n_repeats > 0.85, (n_failures, hits / n_repeats)


@pytest.mark.slow
def test_the_benchmark_of_intervals_runs():
    tables = list(_intervals.run(quick=True).values())
    of_accuracy, of_metrics, error = tables
    assert of_accuracy.filter(like="texts").to_numpy().min() > 0.85
    assert of_metrics.filter(like="texts").to_numpy().min() > 0.6
    assert error.drop(columns=["texts", "correlation"]).to_numpy().max() < 0.4


@pytest.mark.slow
@pytest.mark.parametrize("n_groups", [10, 30, 100])
def test_coverage(n_groups):
    """Words of a text share a random effect, and texts differ in length."""
    rng, n_repeats = np.random.RandomState(n_groups), 3000
    hits = {"share": 0, "high share": 0, "difference": 0, "positive": 0}
    # Texts of the population: their length, and an effect that does not depend on it.
    truths = {
        "share": stats.norm.cdf(0.3 / np.sqrt(2)),
        "high share": stats.norm.cdf(1.8 / np.sqrt(2)),
        "difference": 0.2,
        "positive": np.exp(-2 + (0.4**2 + 0.8**2) / 2),
    }
    for _ in range(n_repeats):
        groups = np.repeat(np.arange(n_groups), rng.randint(4, 25, n_groups))
        shared, own = rng.normal(size=n_groups)[groups], rng.normal(size=len(groups))
        drawn = {
            "share": (0.3 + shared + own > 0, "logit"),
            "high share": (1.8 + shared + own > 0, "logit"),
            "difference": (0.2 + 0.5 * shared + own, "linear"),
            "positive": (np.exp(-2 + 0.4 * shared + 0.8 * own), "log"),
        }
        # P(c + shared + own > 0) has a variance of 2, hence the truths above.
        for name, (values, scale) in drawn.items():
            _, low, high = mean_interval(values, groups, scale=scale)
            hits[name] += low <= truths[name] <= high
    for name, n_hits in hits.items():
        assert 0.915 < n_hits / n_repeats < 0.975, (name, n_hits / n_repeats)
