"""Runs of a flat array, which may share their items."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .ragged import ranges


@dataclass(frozen=True)
class Runs:
    """
    N runs of a flat array. Run n is `items[first[n] : first[n] + count[n]]`, and runs may share their items. A boolean
    mask or numbers in square brackets select some of the runs.
    """

    items: np.ndarray
    first: np.ndarray
    count: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], numbers: np.ndarray) -> "Runs":
        """The rows of whole numbers with these numbers, `(N,)`, which may repeat."""
        count = np.array([len(row) for row in rows], dtype=np.int64)
        items = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
        return cls(items, (count.cumsum() - count)[numbers], count[numbers])

    @classmethod
    def grouped(cls, items: np.ndarray, run: np.ndarray, num_runs: int) -> "Runs":
        """Runs of items `(I,)`, each of which belongs to the run with the number in `run`, `(I,)`."""
        count = np.bincount(run, minlength=num_runs)
        return cls(items[run.argsort(kind="stable")], count.cumsum() - count, count)

    def __getitem__(self, keep: np.ndarray) -> "Runs":
        return Runs(self.items, self.first[keep], self.count[keep])

    def __len__(self) -> int:
        return len(self.first)

    def flat(self) -> np.ndarray:
        """The items of all runs, one run after the other."""
        return self.items[ranges(self.first, self.count)]
