"""How long runs take, by those that have been measured, and which of them end in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

from .plan import Run


Work = Callable[[Run], float]  # examples that a run goes through, all epochs together


class Estimate:
    """
    Expected seconds of runs. Training takes its time by example, evaluation by task.

    Args:
        lines (`Sequence[dict]`): Of finished runs on the same device, in the same stage.
    """

    def __init__(self, lines: Sequence[dict[str, Any]]):
        self._rates: dict[tuple, list[float]] = {}
        self._rests: dict[tuple, list[float]] = {}
        for line in lines:
            self.add(line)

    def add(self, line: dict[str, Any]) -> None:
        if "error" in line:
            return
        run, seconds = Run(**line["run"]), line["seconds"]
        rate = seconds["train"] / (line["num_examples"] * line["epochs"])
        for key in _keys(run):
            self._rates.setdefault(key, []).append(rate)
            self._rests.setdefault(key, []).append(seconds["prepare"] + seconds["evaluate"])

    def seconds(self, run: Run, num_examples: int, epochs: float) -> float | None:
        """Of a run like this one, else of another size, else of another task; `None` where none is known."""
        if run.method == "none_time":  # as long as the training of hard
            run = run._replace(method="hard")
        key = next((key for key in _keys(run) if key in self._rates), None)
        return None if key is None else fmean(self._rates[key]) * num_examples * epochs + fmean(self._rests[key])


def _keys(run: Run) -> list[tuple]:
    """From the most like to the least."""
    return [(run.task, run.size, run.kind), (run.task, run.kind), (run.kind,)]
