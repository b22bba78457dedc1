"""The comparison in words: the tables, the conclusions, and `compare.md`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from scipy import stats

from ..hub.redaction import without_folders, without_tokens
from .examples import PairedTest
from .methods import METHODS
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


def named(setting: Setting) -> str:
    """The name of a setting for readers, in tables, sentences and pictures."""
    label = METHODS[setting.method].label
    return f"{label} with {setting.augmenter}" if setting.augmenter else label


class Table(NamedTuple):
    """A table of a comparison: how to read it, and the cells; the first two columns are method and augmenter."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]

    @property
    def markdown(self) -> str:
        first, *others = (" | ".join(cell.replace("|", "\\|") for cell in row) for row in [self.header, *self.rows])
        return "\n".join([f"| {first} |", "|" + "---|" * len(self.header), *(f"| {row} |" for row in others)])


def tables(rows: Sequence[Row], metric: str) -> list[Table]:
    """The scores, given the name of the metric; if there are any, the worst case and the calibration."""
    found = [_scores(rows, metric)]
    if any(row.worst_case for row in rows):
        found.append(_worst_case(rows))
    if any(row.calibration for row in rows):
        found.append(_calibration(rows))
    return found


def paired_tests(rows: Sequence[Row]) -> list[Table]:
    """The paired test of each seed, if there are any."""
    body = []
    for row in rows:
        for seed, test in row.test.seeds.items() if row.test is not None else ():
            cells = [str(seed), str(test.only_baseline), str(test.only_setting), _bare_p(test.p)]
            body.append(_start_of(row.setting) + cells)
    if not body:
        return []
    header = ["method", "augmenter", "seed", f"right only with {named(rows[0].baseline)}"]
    header += ["right only with this method", "p"]
    note = "The examples that only one of two runs with the same seed classifies correctly, and McNemar's exact test."
    return [Table("Paired tests of each seed", note, header, body)]


def _scores(rows: Sequence[Row], metric: str) -> Table:
    has_tests = any(row.test for row in rows)
    base = named(rows[0].baseline)
    header = ["method", "augmenter", metric, "std", "seeds", f"difference to {base}", _INTERVAL]
    header += [*(["p"] if has_tests else []), "time per run"]
    body = []
    for row in rows:
        seeds, shared = len(row.scores), len(row.differences)
        partly = f" ({shared} in the difference)" if shared not in (0, seeds) else ""
        cells = [number(row.mean), _cell(number, row.std), f"{seeds}{partly}", _cell(_signed, row.difference)]
        cells += [_cell(_ends, row.interval), *([_p_of(row)] if has_tests else []), duration(row.seconds)]
        body.append(_start_of(row.setting) + cells)
    note = f"Means over the seeds, and the differences to {base}, seed by seed."
    note += " p is that of an exact paired test over the examples." if has_tests else ""
    return Table("Scores", note, header, body)


def _worst_case(rows: Sequence[Row]) -> Table:
    body = []
    for setting, worst_case in [(row.setting, row.worst_case) for row in rows if row.worst_case is not None]:
        cells = [str(len(worst_case.attacked.scores))]
        for row in worst_case:
            interval = "" if row.interval is None else f" ({_ends(row.interval)})"
            cells += [number(row.mean), _cell(_signed, row.difference) + interval, _p_of(row)]
        body.append(_start_of(setting) + cells)
    difference = f"difference to {named(rows[0].baseline)} ({_INTERVAL})"
    header = ["method", "augmenter", "seeds", "accuracy", difference, "p", "worst-case accuracy", difference, "p"]
    note = "In the worst case, an example counts as wrong if an attack finds a variant that is predicted incorrectly."
    return Table("Worst case", note, header, body)


def _calibration(rows: Sequence[Row]) -> Table:
    found = [(row.setting, row.calibration) for row in rows if row.calibration is not None]
    num_columns = 3 if any(calibration.temperature for _, calibration in found) else 2
    header = ["method", "augmenter", *["log loss", "calibration error", "temperature"][:num_columns]]
    body = [[*_start_of(setting), *(_cell(number, x) for x in row[:num_columns])] for setting, row in found]
    return Table("Calibration", "How good the probabilities are; smaller errors are better.", header, body)


def _start_of(setting: Setting) -> list[str]:
    return [METHODS[setting.method].label, setting.augmenter or "–"]


class Document(NamedTuple):
    """What `compare.md` and `compare.html` say."""

    tables: list[Table]
    conclusions: list[str]
    failed: list[str]  # which runs have failed, and why
    command: str

    @property
    def markdown(self) -> str:
        parts = ["# Comparison"]
        for i, table in enumerate(self.tables):
            parts += [*([f"## {table.title}"] if i else []), table.note, table.markdown]
            parts += [f"![Each seed's score, and the differences to the baseline]({PICTURE})"] if i == 0 else []
        parts += ["## What can be concluded", "\n".join(f"- {sentence}" for sentence in self.conclusions)]
        if self.failed:
            parts += ["## Failed", "\n".join(f"- {reason}" for reason in self.failed)]
        parts += ["## Command", f"```bash\n{self.command}\n```"]
        return "\n\n".join(parts) + "\n"


def failures(failed: Mapping[Run, str]) -> list[str]:
    """Which runs have failed and why, without tokens and folders."""
    reasons = [f"{run}: {' '.join(reason.split())}" for run, reason in failed.items()]
    return [without_tokens(without_folders(reason)) for reason in reasons]


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
        yield f"Nothing is compared yet: that needs runs of {_quoted(base)} and of another setting with the same seed."
        return
    better = "lower" if criterion.lower_is_better else "higher"
    yield f"Measured by {criterion.name}; {better} is better."
    for row in compared:
        if row.setting == TEMPERATURE:
            yield f"{_quoted(row.setting)} changes the probabilities of {_quoted(base)}, and none of its predictions."
        elif row.setting in unlearned and baseline.setting in unlearned:
            neither = f"neither it nor {_quoted(base)} beats {criterion.guess}"
            yield f"{_quoted(row.setting)}: nothing can be concluded, as {neither}."
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
    elif untested := [_quoted(row.setting) for row in rows if row.differences and row.test is None]:
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
    settings = "all settings" if all_of_them else ", ".join(map(_quoted, unlearned))
    advice = " Train longer, or with another learning rate, before you compare methods." if all_of_them else ""
    return (
        f"Not shown to beat {criterion.guess}: {settings}. Predicting {criterion.guess} for all {num_examples:,} "
        f"validation examples has {criterion.name} {number(criterion.guess_score or 0.0)}.{advice}"
    )


def _quoted(setting: Setting) -> str:
    """The name of a setting in a sentence."""
    return f"“{named(setting)}”"


def _conclusion(row: Row, baseline: Row, criterion: Criterion, num_examples: int) -> str:
    test, interval, difference = row.test, row.interval, row.difference or 0.0
    n, name, base = len(row.differences), _quoted(row.setting), _quoted(baseline.setting)
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
        f"{scope} With {num_examples:,} examples, an accuracy like that of {_quoted(baseline.setting)} is uncertain "
        f"by ±{one:.2g}, and a difference between two by up to ±{two:.2g}. More seeds do not change that."
    )


def _error(num_examples: int, *accuracies: float) -> float:
    """The half width of the interval of an accuracy, or of the difference between two."""
    return _NORMAL_QUANTILE * accuracy_error(*accuracies, num_examples=num_examples)


def _p(test: PairedTest) -> str:
    return f"p = {_bare_p(test.p)}".replace("= <", "<")


def _bare_p(p: float) -> str:
    return f"{p:.2g}" if p >= _LEAST_P else f"< {_LEAST_P}"


def _p_of(row: Row) -> str:
    return "–" if row.test is None else _bare_p(row.test.p)


def _cell(shown: Callable[[T], str], value: T | None) -> str:
    return "–" if value is None else shown(value)


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'}{number(abs(value))}"


def _ends(interval: Interval) -> str:
    return f"{_signed(interval.low)} to {_signed(interval.high)}"
