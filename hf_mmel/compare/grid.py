"""The cells of a comparison: a method, an augmenter and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Kind(NamedTuple):
    """
    What a row of the table is for.

    Attributes:
        method (`str`): The `mmel_loss`.
        augmenter (`str`, *optional*): Its name; `None` for the method "none", which has no variants.
    """

    method: str
    augmenter: str | None = None

    def __str__(self) -> str:
        return self.method if self.augmenter is None else f"{self.method}-{self.augmenter}"


BASELINE = Kind("none")


class Cell(NamedTuple):
    """A training of one kind with one seed."""

    kind: Kind
    seed: int

    def __str__(self) -> str:
        return f"{self.kind}-seed-{self.seed}"


def kinds_of(methods: Sequence[str], augmenters: Sequence[str]) -> list[Kind]:
    """The kinds in the order of the table: `none` first, then all methods of an augmenter before the next one."""
    baseline = [BASELINE] if BASELINE.method in methods else []
    others = [method for method in methods if method != BASELINE.method]
    return [*baseline, *(Kind(method, augmenter) for augmenter in augmenters for method in others)]


def grid(kinds: Sequence[Kind], seeds: Sequence[int]) -> list[Cell]:
    """All cells, seed by seed, so that at any moment all kinds have been trained with the same seeds, but for one."""
    return [Cell(kind, seed) for seed in seeds for kind in kinds]
