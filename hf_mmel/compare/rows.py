"""The tables of a comparison: the runs of each setting, and their differences to the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
    calibration: Calibration | None = None
    worst_case: WorstCase | None = None

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
        calibration = {} if self.calibration is None else {"calibration": self.calibration._asdict()}
        worst_case = {} if self.worst_case is None else {"worst_case": self.worst_case.to_dict()}
        return self.setting._asdict() | scores | self.comparison() | calibration | worst_case

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


def rows_of(results: Results, criterion: Criterion) -> list[Row]:
    """The rows of all tables, from the results and the files that the runs have left."""
    finished, settings = dict(results.finished), results.settings
    predictions: dict[Run, Predictions] = {}
    for run in finished if criterion.has_one_class else ():
        if (found := read_predictions(results.plan.folder(run), criterion.split_suffix)) is not None:
            predictions[run] = found
    temperatures: dict[Run, float] = {}
    for run in [run for run in predictions if run.setting == BASELINE and TEMPERATURE in settings]:
        scaled = Run(TEMPERATURE, run.seed)
        logits, fitted = scale_temperature(*predictions[run])
        predictions[scaled] = predictions[run]._replace(logits=logits)
        finished[scaled] = finished[run]
        temperatures[scaled] = float(fitted.mean())
    correct = {run: found.correct for run, found in predictions.items()} if criterion.is_tested else {}
    worst_cases = _worst_cases(results)
    rows = []
    for row in summarize(finished, settings, criterion.metric, correct):
        calibration, of_seeds = None, [run for run in predictions if run.setting == row.setting]
        if of_seeds:
            calibration = Calibration(
                fmean(log_loss(*predictions[run]) for run in of_seeds),
                fmean(calibration_error(*predictions[run]) for run in of_seeds),
                fmean(temperatures[run] for run in of_seeds) if row.setting == TEMPERATURE else None,
            )
        rows.append(replace(row, calibration=calibration, worst_case=worst_cases.get(row.setting)))
    return rows


def _worst_cases(results: Results) -> dict[Setting, WorstCase]:
    attacked: dict[Run, AttackedRun] = {}
    for run, result in results.finished.items():
        if result.attack is not None and (found := read_attacked(results.plan.folder(run))) is not None:
            attacked[run] = found
    scores = {run: RunResult(found.scores, 0.0) for run, found in attacked.items()}
    clean = {run: found.clean for run, found in attacked.items()}
    robust = {run: found.robust for run, found in attacked.items()}
    tables = [
        summarize(scores, results.settings, metric, correct)
        for metric, correct in (("accuracy", clean), ("worst_case_accuracy", robust))
    ]
    return {rows[0].setting: WorstCase(*rows) for rows in zip(*tables, strict=True)}
