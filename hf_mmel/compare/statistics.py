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
_ALL_RESAMPLES = 50_000  # up to here all of them are taken: six seeds have 46,656
_NUM_RESAMPLES = 20_000
_WIDEST = 2.0  # times Student's interval


class Interval(NamedTuple):
    """
    Where a mean lies, with a confidence of 95 %.

    Attributes:
        low (`float`), high (`float`): The ends.
        how (`str`): "bootstrap-t" or "Student's t".
    """

    low: float
    high: float
    how: str


def mean_interval(values: Sequence[float]) -> Interval | None:
    """
    The confidence interval of a mean of few values.

    It is the bootstrap-t interval, over all resamples, or 20,000 of them, always the same, from seven values on. Where
    more resamples than the tails hold are of equal or nearly equal values, which have next to no spread to divide by,
    it has no ends or is of any width: of 0.01, 0.0101, 0.03 and 0.04 it would end at 3.75. So Student's t interval
    stands in for one that is more than twice as wide. With three values that is always so.

    Bootstrap percentiles cover far too little with few values, and correcting them (BCa) changes little. Of intervals
    of 95 %, 1,500 to 2,000 each, so many held the mean of the distribution that n values were drawn from; the last
    column has Student's where it stands in:

        | n | values      | percentile | BCa  | Student's t | bootstrap-t |
        |---|-------------|------------|------|-------------|-------------|
        | 2 | normal      | 47 %       | 50 % | 94 %        | no ends     |
        | 3 | normal      | 67 %       | 72 % | 95 %        | no ends     |
        | 3 | exponential | 62 %       | 67 % | 88 %        | no ends     |
        | 4 | normal      | 80 %       | 80 % | 95 %        | 94 %        |
        | 4 | exponential | 75 %       | 75 % | 88 %        | 89 %        |
        | 5 | normal      | 85 %       | 84 % | 95 %        | 95 %        |
        | 5 | exponential | 77 %       | 79 % | 89 %        | 91 %        |

    Args:
        values (`Sequence[float]`): One value of each seed.

    Returns:
        `Interval` or `None`: `None` for fewer than three values, and where they do not differ at all. Student's
        interval of two covers, but only if the values are normal, and is nine standard deviations to each side.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5.
    """
    sample = np.asarray(values, dtype=float)
    if len(sample) < LEAST_SEEDS or not np.isfinite(sample).all():
        return None
    mean, deviation = sample.mean(), sample.std(ddof=1)
    if deviation <= 1e-12 * np.abs(sample).max():
        return None
    pivots = _pivots(sample)
    low, high = (np.quantile(pivots, tail, method=to) for tail, to in zip(_TAILS, ("lower", "higher"), strict=True))
    how, of_student = "bootstrap-t", stats.t.ppf(_TAILS[1], len(sample) - 1)
    if high - low > _WIDEST * 2 * of_student:
        low, high, how = -of_student, of_student, "Student's t"
    error = deviation / math.sqrt(len(sample))
    return Interval(float(mean - high * error), float(mean - low * error), how)


def _pivots(sample: np.ndarray) -> np.ndarray:
    """The distance of each resample's mean from the sample's, in standard errors of the resample's mean."""
    n = len(sample)
    if n**n <= _ALL_RESAMPLES:
        drawn = np.array(list(itertools.product(range(n), repeat=n)))
    else:
        drawn = np.random.default_rng(0).integers(n, size=(_NUM_RESAMPLES, n))
    resamples = sample[drawn]
    away, deviations = resamples.mean(axis=1) - sample.mean(), resamples.std(axis=1, ddof=1)
    # Rounding aside, a resample of equal values has no spread.
    rounding = 1e-9 * sample.std(ddof=1)
    has_spread = deviations > rounding
    limits = np.where(np.abs(away) > rounding, np.copysign(np.inf, away), 0.0)
    return np.where(has_spread, away / np.where(has_spread, deviations, 1.0) * math.sqrt(n), limits)


def accuracy_error(*accuracies: float, num_examples: int) -> float:
    """
    The standard error, over other examples of the same source, of an accuracy, or of the difference between two.

    Two models err on many of the same examples, so that of the difference is in truth smaller than this sum, which
    takes their answers for independent. Two right and two wrong answers are added to the examples of each, without
    which a model that errs on none of a few would be certain never to err.

    Source: Agresti and Coull, The American Statistician 52, 1998.
    """
    n = num_examples + 4
    return math.sqrt(sum(p * (1 - p) / n for p in ((num_examples * p + 2) / n for p in accuracies)))
