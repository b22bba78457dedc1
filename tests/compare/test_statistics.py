"""Intervals of the mean of few values: closed forms, a plain reference, and how often they hold it."""

import itertools
import statistics

import numpy as np
import pytest
from scipy import stats

from hf_mmel.compare.statistics import accuracy_error, mean_interval


VALUES = [0.012, -0.004, 0.021, 0.009, 0.03]


def test_five_values_have_the_interval_of_all_their_resamples():
    pivots, mean, n = [], statistics.fmean(VALUES), len(VALUES)
    for resample in itertools.product(VALUES, repeat=n):
        away, deviation = statistics.fmean(resample) - mean, statistics.stdev(resample)
        # A resample of one value over and over has no spread.
        pivots.append(away / deviation * n**0.5 if deviation > 1e-12 else np.sign(away) * np.inf)
    pivots.sort()
    low, high = pivots[int(0.025 * (len(pivots) - 1))], pivots[int(0.975 * (len(pivots) - 1)) + 1]
    error = statistics.stdev(VALUES) / n**0.5
    interval = mean_interval(VALUES)
    assert (interval.low, interval.high) == pytest.approx((mean - high * error, mean - low * error))
    assert interval.how == "bootstrap-t"


def test_three_values_have_students_interval():
    expected = stats.ttest_1samp(VALUES[:3], 0).confidence_interval(0.95)
    interval = mean_interval(VALUES[:3])
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))
    assert interval.how == "Student's t"


def test_values_of_which_most_are_the_same_have_students_interval():
    assert mean_interval([0.01] * 4 + [0.02]).how == "Student's t"


@pytest.mark.parametrize("values", [[0.01, 0.0101, 0.03, 0.04], [0.01, 0.0101, 0.0102, 0.03, 0.04]])
def test_values_of_which_some_are_nearly_the_same_have_an_interval_of_their_own_size(values):
    interval = mean_interval(values)
    assert interval.high - interval.low < 0.1 and interval.how == "Student's t"


@pytest.mark.parametrize("values", [[], [0.1], [0.1, 0.3], [0.1] * 5, [0.0] * 3, [0.1, 0.2, float("nan")]])
def test_too_few_values_and_those_without_spread_have_none(values):
    assert mean_interval(values) is None


@pytest.mark.parametrize("n", [3, 4, 5, 8])
def test_the_interval_moves_grows_and_turns_with_the_values(n):
    values = np.random.default_rng(n).normal(size=n)
    interval, moved, turned = mean_interval(values), mean_interval(7 + 3 * values), mean_interval(-values)
    assert (moved.low, moved.high) == pytest.approx((7 + 3 * interval.low, 7 + 3 * interval.high))
    if n < 7:  # of all resamples
        assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low))
    assert interval == mean_interval(values) and interval.low < values.mean() < interval.high


@pytest.mark.integration  # many draws
@pytest.mark.parametrize(
    ("n", "draw", "mean", "least"),
    [(3, "normal", 0, 0.92), (4, "normal", 0, 0.92), (5, "normal", 0, 0.92), (5, "exponential", 1, 0.88)],
)
def test_it_holds_the_mean_as_often_as_it_says(n, draw, mean, least):
    draws = getattr(np.random.default_rng(0), draw)(size=(600, n))
    held = [(interval := mean_interval(values)).low <= mean <= interval.high for values in draws]
    assert least <= np.mean(held) <= 0.98


def test_the_error_of_a_difference_is_that_of_independent_samples():
    assert accuracy_error(0.8, num_examples=100) == pytest.approx(0.04, rel=0.01)
    draws = np.random.default_rng(0).binomial(200, (0.7, 0.9), size=(20_000, 2)) / 200
    assert accuracy_error(0.7, 0.9, num_examples=200) == pytest.approx((draws[:, 1] - draws[:, 0]).std(), rel=0.03)


@pytest.mark.parametrize("accuracy", [0.9, 0.97])
def test_an_accuracy_of_few_examples_is_not_certain_where_none_is_wrong(accuracy):
    draws = np.random.default_rng(0).binomial(20, accuracy, size=2_000) / 20
    errors = [1.96 * accuracy_error(draw, num_examples=20) for draw in draws]
    assert np.mean(abs(draws - accuracy) <= errors) > 0.93
