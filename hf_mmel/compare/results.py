"""What `compare.json` keeps of each run, and which step of a run is next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..attack.results import FOLDER as ATTACK_FOLDER
from ..attack.setup import weights_in
from ..cli.errors import UsageError
from ..cli.fingerprint import content_of_augmenter, differences_of
from ..cli.resuming import remove_checkpoints
from .examples import read_attacked
from .plan import BASELINE, Plan, Run, Setting


RESULTS, TABLE, PICTURE, PAGE = "compare.json", "compare.md", "compare.png", "compare.html"


class RunResult(NamedTuple):
    """
    The metrics of a trained run, and the seconds that training took; of an attacked model also the scores of the
    attack, with its seconds.
    """

    metrics: dict[str, float]
    seconds: float
    attack: dict[str, float] | None = None

    @property
    def total_seconds(self) -> float:
        return self.seconds + (0.0 if self.attack is None else self.attack["seconds"])


class Results:
    """
    The trained and the failed runs, as `compare.json` keeps them together with the arguments that they share. A
    trained run whose folder is gone is repeated. A `UsageError` says if the folder holds another comparison.
    """

    def __init__(self, plan: Plan, arguments: dict[str, Any]):
        self.plan, self.arguments = plan, arguments
        # A name, or what a JSON file holds.
        self.augmenters = {name: content_of_augmenter(value) for name, value in plan.augmenters.items()}
        self.finished: dict[Run, RunResult] = {}  # runs that are trained
        self.failed: dict[Run, str] = {}
        self.attack = None if plan.attack is None else plan.attack.to_dict()
        if (plan.output_dir / RESULTS).is_file() and not plan.overwrite:
            self._load(plan.output_dir / RESULTS)

    @property
    def settings(self) -> list[Setting]:
        """The settings of this command and of earlier ones, in the order of the table."""
        settings = dict.fromkeys([*self.plan.settings, *(run.setting for run in self.finished)])
        augmenters = list(dict.fromkeys([None, *(setting.augmenter for setting in settings)]))
        return sorted(settings, key=lambda setting: (setting != BASELINE, augmenters.index(setting.augmenter)))

    def next_step(self, run: Run) -> Literal["train", "attack"] | None:
        """
        What is to be done next for a run: training or, if asked for, an attack on the model; `None` if it has failed
        or is finished. A model whose weights have been removed before its attack is trained again.
        """
        if run in self.failed:
            return None
        if run not in self.finished:
            return "train"
        if self.plan.attack is None or self.finished[run].attack is not None:
            return None
        return "attack" if weights_in(self.plan.folder(run)) else "train"

    def prepare(self, run: Run) -> None:
        """Forgets an earlier training of a run that is to be trained, and removes what an attack on it has left."""
        self.finished.pop(run, None)
        shutil.rmtree(self.plan.folder(run) / ATTACK_FOLDER, ignore_errors=True)

    def add(self, run: Run, seconds: float, error: str | None, metric: str) -> str | None:
        """Records a step of a run that has ended, and returns why it counts as failed, if it does."""
        is_attack = self.next_step(run) == "attack"
        if error is None:
            error = self._add_attack(run, seconds) if is_attack else self._add_training(run, seconds, metric)
        if error is not None:
            self.failed[run] = error
        elif self.next_step(run) is None and not self.plan.keep_models:
            remove_checkpoints(self.plan.folder(run))
            for file in weights_in(self.plan.folder(run)):
                file.unlink()
        return error

    def _add_training(self, run: Run, seconds: float, metric: str) -> str | None:
        file = self._file_of(run)
        metrics = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if metric not in metrics:
            return f"It has no {metric}."
        self.finished[run] = RunResult(metrics, seconds)
        return None

    def _add_attack(self, run: Run, seconds: float) -> str | None:
        attacked = read_attacked(self.plan.folder(run))
        if attacked is None:
            return f"Its attack has left no results in {self.plan.folder(run) / ATTACK_FOLDER}."
        self.finished[run] = self.finished[run]._replace(attack={**attacked.scores, "seconds": seconds})
        return None

    def to_dict(self) -> dict[str, Any]:
        """What `compare.json` needs, so that the comparison can be continued."""
        outcomes: dict[Run, dict[str, Any]] = {}
        for run, result in self.finished.items():
            outcomes[run] = {name: value for name, value in result._asdict().items() if value is not None}
        for run, error in self.failed.items():
            outcomes[run] = outcomes.get(run, {}) | {"error": error}
        runs = [run.setting._asdict() | {"seed": run.seed} | outcome for run, outcome in outcomes.items()]
        attack = {} if self.attack is None else {"attack": self.attack}
        return {"arguments": self.arguments, "augmenters": self.augmenters, **attack, "cells": runs}

    def _load(self, file: Path) -> None:
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            arguments, augmenters = dict(content["arguments"]), dict(content["augmenters"])
            attack = dict(content.get("attack") or {})
            finished = {}
            for entry in content["cells"]:
                if "metrics" in entry:
                    run = Run(Setting(entry["method"], entry["augmenter"]), entry["seed"])
                    scores = dict(entry["attack"]) if "attack" in entry else None
                    finished[run] = RunResult(dict(entry["metrics"]), float(entry["seconds"]), scores)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(f"{file} is damaged ({reason}); delete it to repeat all runs.") from None
        shared = self.augmenters.keys() & augmenters.keys()
        changed = differences_of(
            arguments | {name: augmenters[name] for name in shared},
            self.arguments | {name: self.augmenters[name] for name in shared},
        )
        if any(result.attack is not None for result in finished.values()):
            self.attack = self.attack or attack
            changed = changed or differences_of(attack, self.attack)
        elif attack != self.attack:  # no attack has finished
            for run in finished:
                shutil.rmtree(self.plan.folder(run) / ATTACK_FOLDER, ignore_errors=True)
        if changed:
            raise UsageError(
                f"{self.plan.output_dir} holds a comparison with other arguments: {changed}. Choose another "
                "--output_dir, or pass --overwrite_output_dir to repeat all runs."
            )
        self.augmenters = augmenters | self.augmenters
        self.finished = {run: result for run, result in finished.items() if self._file_of(run).is_file()}

    def _file_of(self, run: Run) -> Path:
        return self.plan.folder(run) / "all_results.json"
