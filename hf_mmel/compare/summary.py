"""The rows of the table: what the cells of each kind come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .grid import BASELINE, Cell, Kind
from .statistics import Interval, mean_interval


class Measured(NamedTuple):
    """A finished cell: its metrics, and how long it took."""

    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Row:
    """
    What is known of a kind.

    Attributes:
        kind (`Kind`): The method and the augmenter.
        scores (`dict[int, float]`): The score of each seed that is finished.
        seconds (`float`): Mean time of a run.
        differences (`dict[int, float]`): How far each score is above that of `none` with the same seed.
        interval (`Interval`, *optional*): Of the mean difference.
    """

    kind: Kind
    scores: dict[int, float]
    seconds: float
    differences: dict[int, float]
    interval: Interval | None

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.scores.values())))

    @property
    def std(self) -> float | None:
        """The sample standard deviation; `None` for a single seed."""
        return float(np.std(list(self.scores.values()), ddof=1)) if len(self.scores) > 1 else None

    @property
    def difference(self) -> float | None:
        """The mean difference to `none`, over the seeds that both have."""
        return float(np.mean(list(self.differences.values()))) if self.differences else None

    def to_dict(self) -> dict[str, Any]:
        """For `compare.json`."""
        interval = self.interval
        difference = {
            "mean": self.difference,
            "interval": None
            if interval is None
            else {"low": interval.low, "high": interval.high, "how": interval.how},
            "seeds": list(self.differences),
        }
        return {
            "method": self.kind.method,
            "augmenter": self.kind.augmenter,
            "seeds": list(self.scores),
            "mean": self.mean,
            "std": self.std,
            "seconds": self.seconds,
            "difference_to_none": difference if self.differences else None,
        }


def summarise(finished: Mapping[Cell, Measured], kinds: Sequence[Kind], metric: str) -> list[Row]:
    """
    A row for each kind that has a finished cell, in the order of `kinds`.

    Args:
        finished (`Mapping[Cell, Measured]`): The cells that are done.
        kinds (`Sequence[Kind]`): Which rows there may be.
        metric (`str`): Name of the score.
    """
    scores: dict[Kind, dict[int, float]] = {kind: {} for kind in kinds}
    seconds: dict[Kind, list[float]] = {kind: [] for kind in kinds}
    for cell in sorted(finished, key=lambda cell: cell.seed):
        if cell.kind in scores:
            scores[cell.kind][cell.seed] = finished[cell].metrics[metric]
            seconds[cell.kind].append(finished[cell].seconds)
    baseline = scores.get(BASELINE, {})
    rows = []
    for kind, of_kind in scores.items():
        common = [] if kind == BASELINE else [seed for seed in of_kind if seed in baseline]
        differences = {seed: of_kind[seed] - baseline[seed] for seed in common}
        if of_kind:
            interval = mean_interval(list(differences.values()))
            rows.append(Row(kind, of_kind, float(np.mean(seconds[kind])), differences, interval))
    return rows
