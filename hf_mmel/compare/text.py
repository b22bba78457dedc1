"""The comparison in words: the table, the conclusions, and `compare.md`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from scipy import stats

from ..hub.redaction import without_folders, without_tokens
from .plan import BASELINE, Criterion, Run, Setting
from .results import Row
from .statistics import CONFIDENCE, LEAST_SEEDS, Interval, accuracy_error


_INTERVAL = f"{CONFIDENCE:.0%} interval"
_HEADER = ("method", "augmenter", "{metric}", "std", "seeds", "difference to `none`", _INTERVAL, "time per run")
_NORMAL_QUANTILE = stats.norm.ppf((1 + CONFIDENCE) / 2)


def number(value: float) -> str:
    """A score, or a difference of scores, for readers."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.5g}"


def duration(seconds: float) -> str:
    """A time for readers."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def metric_name(metric: str) -> str:
    """The name of a metric for readers."""
    return metric.removeprefix("eval_")


def table(rows: Sequence[Row], metric: str) -> list[str]:
    """The rows as a Markdown table."""
    lines = [_table_row([name.format(metric=metric_name(metric)) for name in _HEADER]), "|" + "---|" * len(_HEADER)]
    for row in rows:
        seeds, shared = len(row.scores), len(row.differences)
        partly = f" ({shared} in the difference)" if shared not in (0, seeds) else ""
        cells = [row.setting.method, row.setting.augmenter or "–", number(row.mean)]
        cells += ["–" if row.std is None else number(row.std), f"{seeds}{partly}"]
        cells += ["–" if row.difference is None else _signed(row.difference)]
        cells += ["–" if row.interval is None else _ends(row.interval), duration(row.seconds)]
        lines.append(_table_row([cell.replace("|", "\\|") for cell in cells]))
    return lines


def document(
    lines: Sequence[str], sentences: Sequence[str], failed: Mapping[Run, str], picture: str | None, command: str
) -> str:
    """`compare.md`, from the lines of the table, the conclusions, and the reasons why runs have failed."""
    parts = ["# Comparison"]
    if picture is not None:
        parts += ["\n".join(lines), f"![Each seed's score, and the differences to none]({picture})"]
    parts += ["## What can be concluded", "\n".join(f"- {sentence}" for sentence in sentences)]
    if failed:
        reasons = [f"- {run}: {' '.join(reason.split())}" for run, reason in failed.items()]
        parts += ["## Failed", "\n".join(without_tokens(without_folders(reason)) for reason in reasons)]
    parts += ["## Command", f"```bash\n{command}\n```"]
    return "\n\n".join(parts) + "\n"


def conclusions(rows: Sequence[Row], criterion: Criterion, num_examples: int) -> Iterator[str]:
    """
    Sentences about settings that learned nothing, each setting against `none`, the choice of validation examples, and
    multiple comparisons.
    """
    unlearned = [row.setting for row in rows if not _beats_guess(row, criterion, num_examples)]
    if unlearned:
        yield _about_guess(unlearned, len(rows), criterion, num_examples)
    baseline = next((row for row in rows if row.setting == BASELINE), None)
    compared = [row for row in rows if row.differences]
    if baseline is None or not compared:
        yield "Nothing is compared yet: that needs a run of `none` and a run with variants that have the same seed."
        return
    better = "lower" if criterion.lower_is_better else "higher"
    yield f"Measured by {metric_name(criterion.metric)}; {better} is better."
    for row in compared:
        if row.setting in unlearned and baseline.setting in unlearned:
            yield f"{_named(row.setting)}: nothing can be concluded, as neither it nor `none` beats {criterion.guess}."
        else:
            yield _conclusion(row, baseline, criterion, num_examples)
    yield _about_examples(baseline, criterion.metric, num_examples)
    if sum(row.interval is not None for row in compared) > 1:
        yield (
            f"Each interval holds with {CONFIDENCE:.0%} confidence by itself. The best of {len(compared)} looks "
            "better than it is, because luck helped: measure it again with other seeds before you rely on it."
        )


def _beats_guess(row: Row, criterion: Criterion, num_examples: int) -> bool:
    """
    Whether the mean score is better than that of a guess; for accuracy, by more than the choice of the validation
    examples explains. Unknown and undefined scores pass.
    """
    if criterion.guess_score is None or math.isnan(row.mean):
        return True
    gain = (row.mean - criterion.guess_score) * (-1 if criterion.lower_is_better else 1)
    is_accuracy = _is_accuracy(criterion.metric)
    return gain > (_NORMAL_QUANTILE * accuracy_error(row.mean, num_examples=num_examples) if is_accuracy else 0)


def _about_guess(unlearned: Sequence[Setting], num_settings: int, criterion: Criterion, num_examples: int) -> str:
    all_of_them = len(unlearned) == num_settings
    settings = "all settings" if all_of_them else ", ".join(map(_named, unlearned))
    advice = " Train longer, or with another learning rate, before you compare methods." if all_of_them else ""
    return (
        f"Not shown to beat {criterion.guess}: {settings}. Predicting {criterion.guess} for all {num_examples:,} "
        f"validation examples has {metric_name(criterion.metric)} {number(criterion.guess_score or 0.0)}.{advice}"
    )


def _named(setting: Setting) -> str:
    return f"`{setting.method}`" + (f" with {setting.augmenter}" if setting.augmenter else "")


def _conclusion(row: Row, baseline: Row, criterion: Criterion, num_examples: int) -> str:
    interval, difference = row.interval, row.difference or 0.0
    n, name = len(row.differences), _named(row.setting)
    seeds = "1 seed" if n == 1 else f"{n} seeds"
    if math.isnan(difference):
        return f"{name}: nothing can be concluded, because the score of a run is not a number."
    if interval is None:
        against = "the same as" if difference == 0 else f"{_signed(difference)} against"
        reason = (
            f"Fewer than {LEAST_SEEDS} seeds do not tell what another seed would give."
            if n < LEAST_SEEDS
            else "The difference is the same for each, so their spread tells nothing."
        )
        return f"{name}: {against} `none` over {seeds}. {reason}"
    if interval.low <= 0 <= interval.high:
        return (
            f"{name}: no difference from `none` is shown. Over {seeds} it is {_signed(difference)} ({_INTERVAL} "
            f"{_ends(interval)}), which is inconclusive."
        )
    is_better = (difference < 0) == criterion.lower_is_better
    sentence = (
        f"{name}: {'better' if is_better else 'worse'} than `none` on these validation examples, by "
        f"{number(abs(difference))} over {seeds} ({_INTERVAL} {_ends(interval)})."
    )
    if not _is_accuracy(criterion.metric):
        return sentence
    error = _NORMAL_QUANTILE * accuracy_error(row.mean, baseline.mean, num_examples=num_examples)
    nearest = min(abs(interval.low), abs(interval.high))
    if abs(difference) > math.hypot(abs(difference) - nearest, error):
        return f"{sentence} That is also more than the choice of {num_examples:,} examples explains."
    return f"{sentence} It may not hold for other texts: the choice of {num_examples:,} examples may be the reason."


def _about_examples(baseline: Row, metric: str, num_examples: int) -> str:
    """How much of the score comes from the choice of the validation examples."""
    scope = f"All of this is about these {num_examples:,} validation examples."
    if not _is_accuracy(metric):
        return (
            f"{scope} The intervals do not include how much other texts would change it, and for "
            f"{metric_name(metric)} there is no simple formula."
        )
    one, two = (_NORMAL_QUANTILE * accuracy_error(*[baseline.mean] * n, num_examples=num_examples) for n in (1, 2))
    return (
        f"{scope} As a sample of all texts they leave an accuracy like that of `none` uncertain by ±{number(one)}, "
        f"and a difference between two by up to ±{number(two)}; more seeds do not change that."
    )


def _is_accuracy(metric: str) -> bool:
    return metric_name(metric).removesuffix("_mm") == "accuracy"


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def _ends(interval: Interval) -> str:
    return f"{_signed(interval.low)} to {_signed(interval.high)}"


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
