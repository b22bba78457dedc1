"""What can be concluded from a comparison, and what not, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from scipy import stats

from .grid import BASELINE
from .statistics import CONFIDENCE, LEAST_SEEDS, accuracy_error
from .summary import Row


_DEVIATIONS = stats.norm.ppf((1 + CONFIDENCE) / 2)


def number(value: float) -> str:
    """A score, or a difference of scores, for readers."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.5g}"


def signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def shown(metric: str) -> str:
    """The name of a metric for readers."""
    return metric.removeprefix("eval_")


def conclusions(rows: Sequence[Row], metric: str, less_is_better: bool, num_examples: int) -> Iterator[str]:
    """
    Sentences about each kind against `none`, about the examples it was measured on, and about several comparisons.

    Args:
        rows (`Sequence[Row]`): The table.
        metric (`str`): Name of the score.
        less_is_better (`bool`): Whether it is an error or a loss.
        num_examples (`int`): Examples of the validation.
    """
    baseline = next((row for row in rows if row.kind == BASELINE), None)
    others = [row for row in rows if row.differences]
    if baseline is None or not others:
        yield "Nothing is compared yet: that takes a run of `none` and one with variants of the same seed."
        return
    yield f"Measured by {shown(metric)}, of which {'less' if less_is_better else 'more'} is better."
    for row in others:
        yield _of_row(row, baseline, less_is_better, num_examples if _is_accuracy(metric) else None)
    yield from _of_examples(baseline, metric, num_examples)
    if sum(row.interval is not None for row in others) > 1:
        yield (
            f"Each interval holds with {CONFIDENCE:.0%} by itself. The best of {len(others)} looks better than it "
            "is, since luck has helped to make it the best: measure it again with other seeds before you count on it."
        )


def _of_row(row: Row, baseline: Row, less_is_better: bool, num_examples: int | None) -> str:
    """What is known of a kind; `num_examples` are those of an accuracy."""
    difference, interval, n = row.difference, row.interval, len(row.differences)
    name = f"`{row.kind.method}` with {row.kind.augmenter}"
    if math.isnan(difference):
        return f"{name}: nothing, since the score of a run is not a number."
    if interval is None:
        how = "the same as" if difference == 0 else f"{signed(difference)} against"
        reason = (
            f"With fewer than {LEAST_SEEDS} seeds there is no telling what another seed would give."
            if n < LEAST_SEEDS
            else "It is the same for each, so that their spread tells nothing."
        )
        return f"{name}: {how} `none` over {_seeds(n)}. {reason}"
    ends = f"{signed(interval.low)} to {signed(interval.high)}"
    if interval.low <= 0 <= interval.high:
        return (
            f"{name}: no difference from `none` is shown. Over {_seeds(n)} it is {signed(difference)}, and with "
            f"{CONFIDENCE:.0%} confidence lies in {ends}, so that an effect of that size may be there or not."
        )
    better = (difference < 0) == less_is_better
    sentence = (
        f"{name}: {'better' if better else 'worse'} than `none` on these validation examples, by "
        f"{number(abs(difference))} over {_seeds(n)} ({CONFIDENCE:.0%} interval {ends})."
    )
    if num_examples is None:
        return sentence
    error = _DEVIATIONS * accuracy_error(row.mean, baseline.mean, num_examples=num_examples)
    nearest = min(abs(interval.low), abs(interval.high))
    if abs(difference) > math.hypot(abs(difference) - nearest, error):
        return f"{sentence} It is more than the choice of {num_examples:,} examples explains, too."
    return f"{sentence} Whether it is so on other texts is open: the choice of {num_examples:,} examples may be why."


def _of_examples(baseline: Row, metric: str, num_examples: int) -> Iterator[str]:
    """How much of the score is the choice of the validation examples."""
    if not _is_accuracy(metric):
        yield (
            f"All of this is about these {num_examples:,} validation examples. How far other texts would change it is "
            f"not in the intervals, and for {shown(metric)} there is no simple formula."
        )
        return
    one, two = (_DEVIATIONS * accuracy_error(*[baseline.mean] * count, num_examples=num_examples) for count in (1, 2))
    yield (
        f"All of this is about these {num_examples:,} validation examples. As a sample of all texts they leave an "
        f"accuracy like that of `none` uncertain by ±{number(one)}, and a difference between two by up to "
        f"±{number(two)}; more seeds do not change that."
    )


def _is_accuracy(metric: str) -> bool:
    return shown(metric).removesuffix("_mm") == "accuracy"


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
