"""Which cell is next, when all will have ended, and how many seeds fit into a time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from ..cli.errors import UsageError
from .grid import BASELINE, Cell, Kind
from .table import duration


MARGIN = 0.1  # of the time that is left, for runs that take longer than those before them


class Schedule:
    """
    Hands out cells in their order. With a budget one cell with variants comes first and alone, and its time says how
    many seeds there can be; each further one makes that better known. A seed whose cells would not end in time is left
    out, the last one first.

    Args:
        cells (`Sequence[Cell]`): The whole grid, seed by seed.
        finished (`Mapping[Cell, float]`): Seconds of those that are done.
        num_places (`int`): How many run at the same time.
        budget (`float`, *optional*): Seconds for all of them.
        begun (`float`, *optional*): When the budget begins to run, by the clock. Defaults to now.
        clock (`Callable`, *optional*): Tells the time, in seconds.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        finished: Mapping[Cell, float],
        num_places: int = 1,
        budget: float | None = None,
        begun: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.clock, self.num_places, self.budget = clock, num_places, budget
        self.begun = clock() if begun is None else begun
        self.end = None if budget is None else self.begun + budget
        self.grid, self.seconds = list(cells), dict(finished)
        self.pending = [cell for cell in cells if cell not in finished]
        self.running: dict[Cell, float] = {}
        self.failed: list[Cell] = []
        self.left_out: list[int] = []  # seeds that do not fit

    def next_cell(self) -> Cell | None:
        """
        The cell to start now; `None` if none is left, or one has to be measured before.

        Raises:
            `UsageError`: if not even one seed fits into the budget, or the cell that was to be measured has failed.
        """
        if self.end is not None and self.seconds:
            self._fit()
            if self.grid[0].seed in self.left_out and not self.running:
                raise UsageError(self._nothing_fits())
        if not self.pending:
            return None
        cell = self.pending[0]
        if self.end is not None and not self.seconds:
            if self.failed:
                raise UsageError(f"{self.failed[0]}, which was to be measured for --budget, has failed.")
            if self.running:
                return None
            cell = next((cell for cell in self.pending if cell.kind != BASELINE), cell)
        self.pending.remove(cell)
        self.running[cell] = self.clock()
        return cell

    def ended(self, cell: Cell, seconds: float | None) -> None:
        """Takes down that a cell has ended; `seconds` is `None` if it failed."""
        del self.running[cell]
        if seconds is None:
            self.failed.append(cell)
        else:
            self.seconds[cell] = seconds

    def remaining(self, cells: Iterable[Cell] | None = None) -> float | None:
        """Seconds until the pending cells, or those given, and those that run have ended; `None` if unknown."""
        if not self.seconds:
            return None
        loads = [max(0.0, self._expected(cell.kind) - self.clock() + start) for cell, start in self.running.items()]
        loads += [0.0] * (self.num_places - len(loads))
        for cell in self.pending if cells is None else cells:
            loads.sort()
            loads[0] += self._expected(cell.kind)
        return max(loads)

    def _expected(self, kind: Kind) -> float:
        """Seconds of a cell: the mean of its kind, else that of the slowest kind."""
        by_kind: dict[Kind, list[float]] = {}
        for cell, seconds in self.seconds.items():
            by_kind.setdefault(cell.kind, []).append(seconds)
        return fmean(by_kind[kind]) if kind in by_kind else max(map(fmean, by_kind.values()))

    def _fit(self) -> None:
        """Leaves out seeds, from the last one on, until the rest ends in time."""
        left = (self.end - self.clock()) * (1 - MARGIN)
        while self.pending and self.remaining() > left:
            last = self.pending[-1].seed
            self.pending = [cell for cell in self.pending if cell.seed != last]
            self.left_out.append(last)

    def _nothing_fits(self) -> str:
        first = [cell for cell in self.grid if cell.seed == self.grid[0].seed and cell not in self.seconds]
        spent = self.clock() - self.begun
        needed = math.ceil((spent + self.remaining(first) / (1 - MARGIN)) / 60)
        return (
            f"budget is {duration(self.budget)}, and the first seed takes some {needed} min here: "
            f"{len(first)} runs are to be made, and one takes up to {duration(max(self.seconds.values()))}. Pass "
            f"--budget {needed}m, fewer --methods or --augmenters, or --max_train_samples or --num_train_epochs for "
            "shorter runs. What is finished is kept."
        )
