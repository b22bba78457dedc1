"""The comparison in words: the table, the conclusions, and `compare.md`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from scipy import stats

from ..hub.redaction import without_folders, without_tokens
from .examples import PairedTest
from .plan import TEMPERATURE, Criterion, Run, Setting
from .results import PICTURE
from .rows import Row
from .statistics import CONFIDENCE, LEAST_SEEDS, Interval, accuracy_error


_INTERVAL = f"{CONFIDENCE:.0%} interval"
_LEAST_P = 0.0001  # that is shown
_NORMAL_QUANTILE = stats.norm.ppf((1 + CONFIDENCE) / 2)

T = TypeVar("T")


def number(value: float) -> str:
    """A score, or a difference of scores, for readers."""
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.5g}"


def duration(seconds: float) -> str:
    """A time for readers."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def table(rows: Sequence[Row], metric: str) -> list[str]:
    """The rows as a Markdown table, given the name of the metric, with a column p if there are paired tests."""
    has_tests = any(row.test for row in rows)
    difference = f"difference to {named(rows[0].baseline)}"
    header = [metric, "std", "seeds", difference, _INTERVAL, *(["p"] if has_tests else []), "time per run"]
    body = []
    for row in rows:
        seeds, shared = len(row.scores), len(row.differences)
        partly = f" ({shared} in the difference)" if shared not in (0, seeds) else ""
        cells = [number(row.mean), _cell(number, row.std), f"{seeds}{partly}", _cell(_signed, row.difference)]
        cells += [_cell(_ends, row.interval), *([_cell(_bare_p, row.test)] if has_tests else [])]
        body.append((row.setting, [*cells, duration(row.seconds)]))
    return _markdown(header, body)


def worst_case_table(rows: Sequence[Row]) -> list[str]:
    """The accuracy without and with an attack as a Markdown table."""
    body = []
    for setting, worst_case in [(row.setting, row.worst_case) for row in rows if row.worst_case is not None]:
        cells = [str(len(worst_case.attacked.scores))]
        for row in worst_case:
            interval = "" if row.interval is None else f" ({_ends(row.interval)})"
            cells += [number(row.mean), _cell(_signed, row.difference) + interval, _cell(_bare_p, row.test)]
        body.append((setting, cells))
    difference = f"difference to {named(rows[0].baseline)} ({_INTERVAL})"
    return _markdown(["seeds", "accuracy", difference, "p", "worst-case accuracy", difference, "p"], body)


def calibration_table(rows: Sequence[Row]) -> list[str]:
    """How good the probabilities are, as a Markdown table."""
    found = [(row.setting, row.calibration) for row in rows if row.calibration is not None]
    num_columns = 3 if any(calibration.temperature for _, calibration in found) else 2
    header = ["log loss", "calibration error", "temperature"][:num_columns]
    return _markdown(header, [(setting, [_cell(number, x) for x in row[:num_columns]]) for setting, row in found])


def sections(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The lines of the tables below the first one, by their titles."""
    found = {}
    if any(row.worst_case for row in rows):
        found["Worst case"] = worst_case_table(rows)
    if any(row.calibration for row in rows):
        found["Calibration"] = calibration_table(rows)
    return found


def _markdown(header: Sequence[str], body: Sequence[tuple[Setting, Sequence[str]]]) -> list[str]:
    rows = [["method", "augmenter", *header]]
    rows += [[setting.method, setting.augmenter or "–", *cells] for setting, cells in body]
    first, *others = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows)
    return [f"| {first} |", "|" + "---|" * len(rows[0]), *(f"| {row} |" for row in others)]


def document(
    lines: Sequence[str],
    sentences: Sequence[str],
    failed: Mapping[Run, str],
    command: str,
    more: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """
    `compare.md`, from the lines of the table, the conclusions, the reasons why runs have failed, and the lines of more
    tables by their titles.
    """
    parts = ["# Comparison"]
    if lines:
        parts += ["\n".join(lines), f"![Each seed's score, and the differences to the baseline]({PICTURE})"]
    for title, table_lines in (more or {}).items():
        parts += [f"## {title}", "\n".join(table_lines)]
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
    base = rows[0].baseline
    baseline = next((row for row in rows if row.setting == base), None)
    compared = [row for row in rows if row.differences]
    if baseline is None or not compared:
        yield f"Nothing is compared yet: that needs runs of {named(base)} and of another setting with the same seed."
        return
    better = "lower" if criterion.lower_is_better else "higher"
    yield f"Measured by {criterion.name}; {better} is better."
    for row in compared:
        if row.setting == TEMPERATURE:
            yield f"{named(row.setting)} changes the probabilities of {named(base)}, and none of its predictions."
        elif row.setting in unlearned and baseline.setting in unlearned:
            neither = f"neither it nor {named(base)} beats {criterion.guess}"
            yield f"{named(row.setting)}: nothing can be concluded, as {neither}."
        else:
            yield _conclusion(row, baseline, criterion, num_examples)
    yield _about_examples(baseline, criterion, num_examples)
    if any(row.test for row in compared):
        yield (
            "p is that of an exact paired test over the examples. It is about these runs on other examples, as the "
            "interval is about runs with other seeds on these examples."
        )
    if sum(row.interval is not None for row in compared) > 1:
        yield (
            f"Each interval holds with {CONFIDENCE:.0%} confidence by itself. The best of {len(compared)} looks "
            "better than it is, because luck helped: measure it again with other seeds before you rely on it."
        )


def worst_case_conclusions(rows: Sequence[Row], criterion: Criterion, num_examples: int) -> Iterator[str]:
    """Sentences about each setting against the baseline under attack, unless both have learned nothing."""
    unlearned = [row.setting for row in rows if not _beats_guess(row, criterion, num_examples)]
    attacked = {row.setting: row.worst_case.attacked for row in rows if row.worst_case is not None}
    for row in attacked.values():
        if row.differences and not {row.setting, row.baseline}.issubset(unlearned):
            sentence = _conclusion(row, attacked[row.baseline], Criterion("worst_case_accuracy", False), 0)
            yield f"Under attack, {sentence}"


def reasons_without_test(rows: Sequence[Row], criterion: Criterion) -> Iterator[str]:
    """Why there is no paired test of some settings, or of none; at most one sentence."""
    if not criterion.is_tested:
        what = f"{criterion.name} is not the accuracy of one class for each example"
        yield f"There is no paired test over the examples, as {what}."
    elif untested := [str(row.setting) for row in rows if row.differences and row.test is None]:
        yield (
            f"There is no paired test of {', '.join(untested)}: predictions on the same examples are missing, such as "
            "those of runs of an earlier version. Remove the folders of these runs to repeat them."
        )


def _beats_guess(row: Row, criterion: Criterion, num_examples: int) -> bool:
    """
    Whether the mean score is better than that of a guess; for accuracy, by more than the choice of the validation
    examples explains. Unknown and undefined scores pass.
    """
    if criterion.guess_score is None or math.isnan(row.mean):
        return True
    gain = (row.mean - criterion.guess_score) * (-1 if criterion.lower_is_better else 1)
    return gain > (_error(num_examples, row.mean) if criterion.is_accuracy else 0)


def _about_guess(unlearned: Sequence[Setting], num_settings: int, criterion: Criterion, num_examples: int) -> str:
    all_of_them = len(unlearned) == num_settings
    settings = "all settings" if all_of_them else ", ".join(map(named, unlearned))
    advice = " Train longer, or with another learning rate, before you compare methods." if all_of_them else ""
    return (
        f"Not shown to beat {criterion.guess}: {settings}. Predicting {criterion.guess} for all {num_examples:,} "
        f"validation examples has {criterion.name} {number(criterion.guess_score or 0.0)}.{advice}"
    )


def named(setting: Setting) -> str:
    """A setting in a sentence."""
    return f"`{setting.method}`" + (f" with {setting.augmenter}" if setting.augmenter else "")


def _conclusion(row: Row, baseline: Row, criterion: Criterion, num_examples: int) -> str:
    test, interval, difference = row.test, row.interval, row.difference or 0.0
    n, name, base = len(row.differences), named(row.setting), named(baseline.setting)
    seeds = "1 seed" if n == 1 else f"{n} seeds"
    tested = "" if test is None else f" The paired test over the {test.num_examples:,} examples has {_p(test)}."
    if math.isnan(difference):
        return f"{name}: nothing can be concluded, because the score of a run is not a number."
    if interval is None:
        against = "the same as" if difference == 0 else f"{_signed(difference)} against"
        reason = (
            f"Fewer than {LEAST_SEEDS} seeds do not tell what another seed would give."
            if n < LEAST_SEEDS
            else "The difference is the same for each, so their spread tells nothing."
        )
        return f"{name}: {against} {base} over {seeds}. {reason}{tested}"
    if interval.low <= 0 <= interval.high:
        return (
            f"{name}: no difference from {base} is shown. Over {seeds} it is {_signed(difference)} ({_INTERVAL} "
            f"{_ends(interval)}), which is inconclusive.{tested}"
        )
    is_better = (difference < 0) == criterion.lower_is_better
    sentence = (
        f"{name}: {'better' if is_better else 'worse'} than {base} on these validation examples, by "
        f"{number(abs(difference))} over {seeds} ({_INTERVAL} {_ends(interval)})."
    )
    if test is not None:
        num_examples, is_beyond = test.num_examples, test.p <= 1 - CONFIDENCE
    elif criterion.is_accuracy:
        error = _error(num_examples, row.mean, baseline.mean)
        nearest = min(abs(interval.low), abs(interval.high))
        is_beyond = abs(difference) > math.hypot(abs(difference) - nearest, error)
    else:
        return sentence
    how = "" if test is None else f" ({_p(test)} in the paired test)"
    if is_beyond:
        return f"{sentence} That is also more than the choice of {num_examples:,} examples explains{how}."
    return (
        f"{sentence} It may not hold for other texts: the choice of {num_examples:,} examples may be the reason{how}."
    )


def _about_examples(baseline: Row, criterion: Criterion, num_examples: int) -> str:
    """How much of the score comes from the choice of the validation examples."""
    scope = f"All of this is about these {num_examples:,} validation examples."
    if not criterion.is_accuracy:
        return (
            f"{scope} The intervals do not include how much other texts would change it, and for "
            f"{criterion.name} there is no simple formula."
        )
    one, two = (_error(num_examples, *[baseline.mean] * n) for n in (1, 2))
    return (
        f"{scope} As a sample of all texts they leave an accuracy like that of {named(baseline.setting)} uncertain by "
        f"±{number(one)}, and a difference between two by up to ±{number(two)}; more seeds do not change that."
    )


def _error(num_examples: int, *accuracies: float) -> float:
    """The half width of the interval of an accuracy, or of the difference between two."""
    return _NORMAL_QUANTILE * accuracy_error(*accuracies, num_examples=num_examples)


def _p(test: PairedTest) -> str:
    return f"p = {test.p:.2g}" if test.p >= _LEAST_P else f"p < {_LEAST_P}"


def _bare_p(test: PairedTest) -> str:
    return _p(test).removeprefix("p = ").removeprefix("p ")


def _cell(shown: Callable[[T], str], value: T | None) -> str:
    return "–" if value is None else shown(value)


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def _ends(interval: Interval) -> str:
    return f"{_signed(interval.low)} to {_signed(interval.high)}"
