"""The results of a comparison: what `compare.json` keeps of each run, and the row of each setting."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from ..cli.errors import UsageError
from ..cli.fingerprint import content_of_augmenter, differences_of
from ..cli.resuming import remove_checkpoints
from .plan import BASELINE, Plan, Run, Setting
from .statistics import Interval, mean_interval


RESULTS, TABLE, PICTURE = "compare.json", "compare.md", "compare.png"
ALL_RESULTS = "all_results.json"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


class RunResult(NamedTuple):
    """The metrics of a finished run, and the seconds that it took."""

    metrics: dict[str, float]
    seconds: float


class Results:
    """
    The finished and the failed runs, as `compare.json` keeps them together with the arguments that they share. A
    finished run whose folder is gone is repeated. A `UsageError` says if the folder holds another comparison.
    """

    def __init__(self, plan: Plan, arguments: dict[str, Any]):
        self.plan, self.arguments = plan, arguments
        # A name, or what a JSON file holds.
        self.augmenters = {name: content_of_augmenter(value) for name, value in plan.augmenters.items()}
        self.finished: dict[Run, RunResult] = {}
        self.failed: dict[Run, str] = {}
        if (plan.output_dir / RESULTS).is_file() and not plan.overwrite:
            self._load(plan.output_dir / RESULTS)

    @property
    def settings(self) -> list[Setting]:
        """The settings of this command and of earlier ones, in the order of the table."""
        settings = dict.fromkeys([*self.plan.settings, *(run.setting for run in self.finished)])
        augmenters = list(dict.fromkeys(setting.augmenter for setting in settings))
        return sorted(settings, key=lambda setting: (setting != BASELINE, augmenters.index(setting.augmenter)))

    def add(self, run: Run, seconds: float, error: str | None, metric: str) -> str | None:
        """Records a run that has ended, and returns why it counts as failed, if it does."""
        if error is None:
            file = self._file_of(run)
            metrics = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
            if metric in metrics:
                self.finished[run] = RunResult(metrics, seconds)
                if not self.plan.keep_models:
                    remove_checkpoints(file.parent)
                    for pattern in _WEIGHTS:
                        for weights in list(file.parent.glob(pattern)):
                            weights.unlink()
                return None
            error = f"It has no {metric}."
        self.failed[run] = error
        return error

    def to_dict(self) -> dict[str, Any]:
        """What `compare.json` needs, so that the comparison can be continued."""
        outcomes: dict[Run, dict[str, Any]] = {run: result._asdict() for run, result in self.finished.items()}
        outcomes |= {run: {"error": error} for run, error in self.failed.items()}
        runs = [run.setting._asdict() | {"seed": run.seed} | outcome for run, outcome in outcomes.items()]
        return {"arguments": self.arguments, "augmenters": self.augmenters, "cells": runs}

    def _load(self, file: Path) -> None:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            arguments, augmenters = dict(content["arguments"]), dict(content["augmenters"])
            finished = {}
            for entry in content["cells"]:
                if "metrics" in entry:
                    run = Run(Setting(entry["method"], entry["augmenter"]), entry["seed"])
                    finished[run] = RunResult(dict(entry["metrics"]), float(entry["seconds"]))
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(f"{file} is damaged ({reason}); delete it to repeat all runs.") from None
        shared = self.augmenters.keys() & augmenters.keys()
        changed = differences_of(
            arguments | {name: augmenters[name] for name in shared},
            self.arguments | {name: self.augmenters[name] for name in shared},
        )
        if changed:
            raise UsageError(
                f"{self.plan.output_dir} holds a comparison with other arguments: {changed}. Choose another "
                "--output_dir, or pass --overwrite_output_dir to repeat all runs."
            )
        self.augmenters = augmenters | self.augmenters
        self.finished = {run: result for run, result in finished.items() if self._file_of(run).is_file()}

    def _file_of(self, run: Run) -> Path:
        return self.plan.folder(run) / ALL_RESULTS


@dataclass(frozen=True)
class Row:
    """The finished runs of a setting."""

    setting: Setting
    scores: dict[int, float]  # of each seed
    seconds: float  # mean time of a run
    differences: dict[int, float]  # each score minus that of `none` with the same seed
    interval: Interval | None  # of the mean difference

    @property
    def mean(self) -> float:
        return fmean(self.scores.values())

    @property
    def std(self) -> float | None:
        """The sample standard deviation; `None` for a single seed."""
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else None

    @property
    def difference(self) -> float | None:
        """The mean difference to `none`, over the seeds that both have."""
        return fmean(self.differences.values()) if self.differences else None

    def to_dict(self) -> dict[str, Any]:
        """For `compare.json`."""
        interval = None if self.interval is None else self.interval._asdict()
        difference = {"mean": self.difference, "interval": interval, "seeds": list(self.differences)}
        scores = {"seeds": list(self.scores), "mean": self.mean, "std": self.std, "seconds": self.seconds}
        return self.setting._asdict() | scores | {"difference_to_none": difference if self.differences else None}


def summarize(finished: Mapping[Run, RunResult], settings: Sequence[Setting], metric: str) -> list[Row]:
    """A row for each of the settings that has a finished run, with the scores in the order of their seeds."""
    rows, runs = [], sorted(finished, key=lambda run: run.seed)
    baseline = {run.seed: finished[run].metrics[metric] for run in runs if run.setting == BASELINE}
    for setting in settings:
        results = {run.seed: finished[run] for run in runs if run.setting == setting}
        if results:
            scores = {seed: result.metrics[metric] for seed, result in results.items()}
            shared = [] if setting == BASELINE else [seed for seed in scores if seed in baseline]
            differences = {seed: scores[seed] - baseline[seed] for seed in shared}
            seconds = fmean(result.seconds for result in results.values())
            rows.append(Row(setting, scores, seconds, differences, mean_interval(list(differences.values()))))
    return rows
