"""The tables of a comparison: the runs of each setting, and their differences to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from .calibration import calibration_error, log_loss, scale_temperature
from .examples import AttackedRun, PairedTest, Predictions, paired_test, read_attacked, read_predictions
from .plan import BASELINE, TEMPERATURE, Criterion, Run, Setting
from .results import Results, RunResult
from .statistics import Interval, mean_interval


@dataclass(frozen=True)
class Row:
    """The finished runs of a setting."""

    setting: Setting
    scores: dict[int, float]  # of each seed
    seconds: float  # mean time of a run
    differences: dict[int, float]  # each score minus that of the baseline with the same seed
    interval: Interval | None  # of the mean difference
    test: PairedTest | None = None  # against the baseline, over the examples
    baseline: Setting = BASELINE

    @property
    def mean(self) -> float:
        return fmean(self.scores.values())

    @property
    def std(self) -> float | None:
        """The sample standard deviation; `None` for a single seed."""
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else None

    @property
    def difference(self) -> float | None:
        """The mean difference to the baseline, over the seeds that both have."""
        return fmean(self.differences.values()) if self.differences else None

    def to_dict(self) -> dict[str, Any]:
        """For `compare.json`."""
        scores = {"seeds": list(self.scores), "mean": self.mean, "std": self.std, "seconds": self.seconds}
        return self.setting._asdict() | scores | self.comparison()

    def comparison(self) -> dict[str, Any]:
        """For `compare.json`: the difference to the baseline, and the paired test."""
        interval = None if self.interval is None else self.interval._asdict()
        difference = {"mean": self.difference, "interval": interval, "seeds": list(self.differences)}
        name = f"difference_to_{self.baseline}"
        test = None if self.test is None else self.test.to_dict()
        return {name: difference if self.differences else None, "paired_test": test}


class Calibration(NamedTuple):
    """How good the probabilities of a setting are: means over the seeds."""

    log_loss: float
    calibration_error: float
    temperature: float | None = None


class WorstCase(NamedTuple):
    """The accuracy of a setting without and with an attack, on the same examples."""

    clean: Row
    attacked: Row

    def to_dict(self) -> dict[str, Any]:
        """For `compare.json`."""
        named = {"accuracy": self.clean, "worst_case_accuracy": self.attacked}
        rows = {name: {"mean": row.mean, "std": row.std, **row.comparison()} for name, row in named.items()}
        return {"seeds": list(self.attacked.scores), **rows}


@dataclass
class Summary:
    """All that the finished runs show."""

    rows: list[Row]
    calibrations: dict[Setting, Calibration] = field(default_factory=dict)
    worst_cases: dict[Setting, WorstCase] = field(default_factory=dict)
    untested: str | None = None  # why there is no paired test of some settings, or of none

    def to_dict(self) -> list[dict[str, Any]]:
        """The rows, for `compare.json`."""
        entries = []
        for row in self.rows:
            entry, setting = row.to_dict(), row.setting
            if setting in self.calibrations:
                entry["calibration"] = self.calibrations[setting]._asdict()
            if setting in self.worst_cases:
                entry["worst_case"] = self.worst_cases[setting].to_dict()
            entries.append(entry)
        return entries


def summarize(
    finished: Mapping[Run, RunResult],
    settings: Sequence[Setting],
    metric: str,
    correct: Mapping[Run, np.ndarray] | None = None,
) -> list[Row]:
    """
    A row for each of the settings that has a finished run, with the scores in the order of their seeds. Each is
    compared with `none` or, if this is not among the settings, the first one. `correct` says which examples a run
    classifies correctly, each `(N,)`.
    """
    base = BASELINE if BASELINE in settings else settings[0]
    rows, runs = [], sorted(finished, key=lambda run: run.seed)
    baseline = {run.seed: finished[run].metrics[metric] for run in runs if run.setting == base}

    def correct_of(setting: Setting) -> dict[int, np.ndarray]:
        return {run.seed: array for run, array in (correct or {}).items() if run.setting == setting}

    for setting in settings:
        results = {run.seed: finished[run] for run in runs if run.setting == setting}
        if results:
            scores = {seed: result.metrics[metric] for seed, result in results.items()}
            shared = [] if setting == base else [seed for seed in scores if seed in baseline]
            differences = {seed: scores[seed] - baseline[seed] for seed in shared}
            seconds = fmean(result.seconds for result in results.values())
            test = None if setting == base else paired_test(correct_of(base), correct_of(setting))
            interval = mean_interval(list(differences.values()))
            rows.append(Row(setting, scores, seconds, differences, interval, test, base))
    return rows


def summary_of(results: Results, criterion: Criterion) -> Summary:
    """The tables, from the results and the files that the runs have left."""
    finished, settings = dict(results.finished), results.settings
    predictions: dict[Run, Predictions] = {}
    for run in finished if criterion.has_one_class else ():
        if (found := read_predictions(results.plan.folder(run), criterion.split_suffix)) is not None:
            predictions[run] = found
    temperatures: dict[Run, float] = {}
    for run in list(predictions) if TEMPERATURE in settings else ():
        if run.setting == BASELINE:
            scaled = Run(TEMPERATURE, run.seed)
            logits, fitted = scale_temperature(*predictions[run])
            predictions[scaled] = Predictions(logits, predictions[run].labels)
            finished[scaled] = finished[run]._replace(attack=None)
            temperatures[scaled] = float(fitted.mean())
    is_tested = criterion.has_one_class and criterion.is_accuracy
    correct = {run: found.correct for run, found in predictions.items()} if is_tested else {}
    rows = summarize(finished, settings, criterion.metric, correct)
    calibrations = {}
    for setting in settings:
        of_seeds = [run for run in predictions if run.setting == setting]
        if of_seeds:
            calibrations[setting] = Calibration(
                fmean(log_loss(*predictions[run]) for run in of_seeds),
                fmean(calibration_error(*predictions[run]) for run in of_seeds),
                fmean(temperatures[run] for run in of_seeds) if setting == TEMPERATURE else None,
            )
    return Summary(rows, calibrations, _worst_cases(results), _untested(rows, criterion))


def _worst_cases(results: Results) -> dict[Setting, WorstCase]:
    attacked: dict[Run, AttackedRun] = {}
    for run, result in results.finished.items():
        found = read_attacked(results.plan.folder(run)) if result.attack is not None else None
        if found is not None:
            attacked[run] = found
    scores = {run: RunResult(found.scores, 0.0) for run, found in attacked.items()}
    clean = {run: found.clean for run, found in attacked.items()}
    robust = {run: found.robust for run, found in attacked.items()}
    tables = (
        summarize(scores, results.settings, "accuracy", clean),
        summarize(scores, results.settings, "worst_case_accuracy", robust),
    )
    return {rows[0].setting: WorstCase(*rows) for rows in zip(*tables, strict=True)}


def _untested(rows: Sequence[Row], criterion: Criterion) -> str | None:
    name = criterion.metric.removeprefix("eval_")
    if not (criterion.has_one_class and criterion.is_accuracy):
        what = f"{name} is not the accuracy of one class for each example"
        return f"There is no paired test over the examples, as {what}."
    untested = [row.setting for row in rows if row.differences and row.test is None]
    if not untested:
        return None
    return (
        f"There is no paired test of {', '.join(map(str, untested))}: predictions on the same examples are missing, "
        "such as those of runs of an earlier version. Remove the folders of these runs to repeat them."
    )
