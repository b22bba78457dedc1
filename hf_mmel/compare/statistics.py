"""What a few seeds say about a mean."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


LEAST_SEEDS = 3
CONFIDENCE = 0.95
_TAILS = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
_MAX_EXACT_RESAMPLES = 50_000  # six values have 46,656
_NUM_RESAMPLES = 20_000
_MAX_WIDTH = 2.0  # in widths of Student's interval


class Interval(NamedTuple):
    """The 95 % confidence interval of a mean."""

    low: float
    high: float
    how: str  # "bootstrap-t" or "Student's t"


def mean_interval(values: Sequence[float]) -> Interval | None:
    """
    The confidence interval of the mean of a few values; `None` for fewer than three, for equal ones, and if one is not
    finite. For two values Student's interval relies on normality alone, and reaches nine standard deviations to each
    side.

    It is the bootstrap-t interval over all resamples; from seven values on, over the same 20,000 of them. Resamples of
    equal or nearly equal values have almost no spread to divide by, so with few values the interval may have no ends,
    or be far too wide: for 0.01, 0.0101, 0.03 and 0.04 it would end at 3.75. If it is more than twice as wide as
    Student's t interval, that one is returned; with three values this is always so. Percentile and BCa intervals cover
    far too little with so few values; docs/compare.md has the coverage of each.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5.
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < LEAST_SEEDS or not np.isfinite(sample).all():
        return None
    mean, deviation = sample.mean(), sample.std(ddof=1)
    if deviation <= 1e-12 * np.abs(sample).max():
        return None
    pivots = _pivots(sample)
    low = np.quantile(pivots, _TAILS[0], method="lower")
    high = np.quantile(pivots, _TAILS[1], method="higher")
    how, student = "bootstrap-t", stats.t.ppf(_TAILS[1], len(sample) - 1)
    if high - low > _MAX_WIDTH * 2 * student:
        low, high, how = -student, student, "Student's t"
    error = deviation / math.sqrt(len(sample))
    return Interval(float(mean - high * error), float(mean - low * error), how)


def _pivots(sample: np.ndarray) -> np.ndarray:
    """The distance of each resample's mean from the sample's, in standard errors of the resample's mean."""
    n = len(sample)
    if n**n <= _MAX_EXACT_RESAMPLES:
        drawn = np.array(list(itertools.product(range(n), repeat=n)))
    else:
        drawn = np.random.default_rng(0).integers(n, size=(_NUM_RESAMPLES, n))
    resamples = sample[drawn]
    distances, deviations = resamples.mean(axis=1) - sample.mean(), resamples.std(axis=1, ddof=1)
    rounding = 1e-9 * sample.std(ddof=1)  # equal values have a deviation of about 0
    has_spread = deviations > rounding
    limits = np.where(np.abs(distances) > rounding, np.copysign(np.inf, distances), 0.0)
    return np.where(has_spread, distances / np.where(has_spread, deviations, 1.0) * math.sqrt(n), limits)


def accuracy_error(*accuracies: float, num_examples: int) -> float:
    """
    The standard error of an accuracy, or of the difference between two, over other examples from the same source.

    Two models err on many of the same examples. The formula takes their answers for independent, so it overestimates
    the error of a difference. Two right and two wrong answers are added to the examples of each model; otherwise a
    model without an error on a few examples would have a standard error of 0.

    Source: Agresti and Coull, The American Statistician 52, 1998.
    """
    n = num_examples + 4
    return math.sqrt(sum(p * (1 - p) / n for p in ((num_examples * p + 2) / n for p in accuracies)))
