"""The comparison in words: the table, the conclusions, and `compare.md`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from scipy import stats

from ..hub.redaction import without_folders, without_tokens
from .plan import TEMPERATURE, Criterion, Run, Setting
from .rows import Calibration, Row, Summary, WorstCase
from .statistics import CONFIDENCE, LEAST_SEEDS, Interval, accuracy_error


_INTERVAL = f"{CONFIDENCE:.0%} interval"
_SETTING = ("method", "augmenter")
_LEAST_P = 0.0001  # that is shown
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
    """The rows as a Markdown table. There is a column for the paired test if there is one."""
    has_tests = any(row.test for row in rows)
    difference = f"difference to {named(rows[0].baseline)}" if rows else ""
    header = [
        metric_name(metric),
        "std",
        "seeds",
        difference,
        _INTERVAL,
        *(["p"] if has_tests else []),
        "time per run",
    ]
    body = []
    for row in rows:
        seeds, shared = len(row.scores), len(row.differences)
        partly = f" ({shared} in the difference)" if shared not in (0, seeds) else ""
        cells = [number(row.mean), "–" if row.std is None else number(row.std), f"{seeds}{partly}"]
        cells += ["–" if row.difference is None else _signed(row.difference)]
        cells += ["–" if row.interval is None else _ends(row.interval), *([_p_of(row)] if has_tests else [])]
        body.append((row.setting, [*cells, duration(row.seconds)]))
    return _markdown(header, body)


def worst_case_table(worst_cases: Mapping[Setting, WorstCase]) -> list[str]:
    """The accuracy without and with an attack as a Markdown table."""
    body = []
    for setting, rows in worst_cases.items():
        cells = []
        for row in rows:
            interval = "" if row.interval is None else f" ({_ends(row.interval)})"
            cells += [
                number(row.mean),
                "–" if row.difference is None else _signed(row.difference) + interval,
                _p_of(row),
            ]
        body.append((setting, [str(len(rows.attacked.scores)), *cells]))
    baseline = next(iter(worst_cases.values())).clean.baseline
    difference = f"difference to {named(baseline)} ({_INTERVAL})"
    return _markdown(["seeds", "accuracy", difference, "p", "worst-case accuracy", difference, "p"], body)


def calibration_table(calibrations: Mapping[Setting, Calibration]) -> list[str]:
    """How good the probabilities are, as a Markdown table."""
    has_temperature = any(row.temperature for row in calibrations.values())
    body = []
    for setting, row in calibrations.items():
        cells = [number(row.log_loss), number(row.calibration_error)]
        cells += ["–" if row.temperature is None else number(row.temperature)] if has_temperature else []
        body.append((setting, cells))
    return _markdown(["log loss", "calibration error", *(["temperature"] if has_temperature else [])], body)


def sections(summary: Summary) -> list[tuple[str, list[str]]]:
    """The titles and the lines of the tables below the first one."""
    found = []
    if summary.worst_cases:
        found.append(("Worst case", worst_case_table(summary.worst_cases)))
    if summary.calibrations:
        found.append(("Calibration", calibration_table(summary.calibrations)))
    return found


def _markdown(header: Sequence[str], body: Sequence[tuple[Setting, Sequence[str]]]) -> list[str]:
    names = [*_SETTING, *header]
    lines = [_table_row(names), "|" + "---|" * len(names)]
    for setting, cells in body:
        texts = [setting.method, setting.augmenter or "–", *cells]
        lines.append(_table_row([text.replace("|", "\\|") for text in texts]))
    return lines


def document(
    lines: Sequence[str],
    sentences: Sequence[str],
    failed: Mapping[Run, str],
    picture: str | None,
    command: str,
    more: Sequence[tuple[str, Sequence[str]]] = (),
) -> str:
    """
    `compare.md`, from the lines of the table, the conclusions, the reasons why runs have failed, and the titles and
    lines of more tables.
    """
    parts = ["# Comparison"]
    if picture is not None:
        parts += ["\n".join(lines), f"![Each seed's score, and the differences to the baseline]({picture})"]
    for title, table_lines in more:
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
    yield f"Measured by {metric_name(criterion.metric)}; {better} is better."
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


def worst_case_conclusions(summary: Summary, criterion: Criterion, num_examples: int) -> Iterator[str]:
    """Sentences about each setting against the baseline under attack, unless both have learned nothing."""
    unlearned = [row.setting for row in summary.rows if not _beats_guess(row, criterion, num_examples)]
    rows = {setting: of.attacked for setting, of in summary.worst_cases.items()}
    for row in rows.values():
        if row.differences and not {row.setting, row.baseline}.issubset(unlearned):
            sentence = _conclusion(row, rows[row.baseline], Criterion("worst_case_accuracy", False), 0)
            yield f"Under attack, {sentence}"


def _beats_guess(row: Row, criterion: Criterion, num_examples: int) -> bool:
    """
    Whether the mean score is better than that of a guess; for accuracy, by more than the choice of the validation
    examples explains. Unknown and undefined scores pass.
    """
    if criterion.guess_score is None or math.isnan(row.mean):
        return True
    gain = (row.mean - criterion.guess_score) * (-1 if criterion.lower_is_better else 1)
    is_accuracy = criterion.is_accuracy
    return gain > (_NORMAL_QUANTILE * accuracy_error(row.mean, num_examples=num_examples) if is_accuracy else 0)


def _about_guess(unlearned: Sequence[Setting], num_settings: int, criterion: Criterion, num_examples: int) -> str:
    all_of_them = len(unlearned) == num_settings
    settings = "all settings" if all_of_them else ", ".join(map(named, unlearned))
    advice = " Train longer, or with another learning rate, before you compare methods." if all_of_them else ""
    return (
        f"Not shown to beat {criterion.guess}: {settings}. Predicting {criterion.guess} for all {num_examples:,} "
        f"validation examples has {metric_name(criterion.metric)} {number(criterion.guess_score or 0.0)}.{advice}"
    )


def named(setting: Setting) -> str:
    """A setting in a sentence."""
    return f"`{setting.method}`" + (f" with {setting.augmenter}" if setting.augmenter else "")


def _conclusion(row: Row, baseline: Row, criterion: Criterion, num_examples: int) -> str:
    interval, difference = row.interval, row.difference or 0.0
    n, name, base = len(row.differences), named(row.setting), named(baseline.setting)
    seeds = "1 seed" if n == 1 else f"{n} seeds"
    tested = "" if row.test is None else f" The paired test over the {row.test.num_examples:,} examples has {_p(row)}."
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
    if row.test is not None:
        num_examples, is_beyond = row.test.num_examples, row.test.p <= 1 - CONFIDENCE
    elif criterion.is_accuracy:
        error = _NORMAL_QUANTILE * accuracy_error(row.mean, baseline.mean, num_examples=num_examples)
        nearest = min(abs(interval.low), abs(interval.high))
        is_beyond = abs(difference) > math.hypot(abs(difference) - nearest, error)
    else:
        return sentence
    how = "" if row.test is None else f" ({_p(row)} in the paired test)"
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
            f"{metric_name(criterion.metric)} there is no simple formula."
        )
    one, two = (_NORMAL_QUANTILE * accuracy_error(*[baseline.mean] * n, num_examples=num_examples) for n in (1, 2))
    return (
        f"{scope} As a sample of all texts they leave an accuracy like that of {named(baseline.setting)} uncertain by "
        f"±{number(one)}, and a difference between two by up to ±{number(two)}; more seeds do not change that."
    )


def _p(row: Row) -> str:
    assert row.test is not None
    return f"p = {row.test.p:.2g}" if row.test.p >= _LEAST_P else f"p < {_LEAST_P}"


def _p_of(row: Row) -> str:
    return "–" if row.test is None else _p(row).removeprefix("p = ").removeprefix("p ")


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def _ends(interval: Interval) -> str:
    return f"{_signed(interval.low)} to {_signed(interval.high)}"


def _table_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
