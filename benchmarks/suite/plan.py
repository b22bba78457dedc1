"""Which runs there are, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


METHODS = ("none", "hard", "none_time", "uniform", "soft", "worst", "rdrop")
AUGMENTERS = ("wordnet", "mlm", "both", "delete")
ALL = "all"  # as a size, the whole training set
WITHOUT_VARIANTS = ("none", "rdrop")
PRESETS: dict[str, dict[str, Any]] = {
    "cpu": {"sizes": ["100", "500", "2000"], "methods": list(METHODS), "augmenters": ["wordnet"], "num_seeds": 5},
    "gpu": {
        "sizes": ["100", "500", "2000", ALL],
        "methods": list(METHODS),
        "augmenters": list(AUGMENTERS),
        "num_seeds": 10,
    },
}


class Kind(NamedTuple):
    """A method, and the augmenter of its variants; `none_time` has the one whose training takes the time."""

    method: str
    augmenter: str | None = None

    def __str__(self) -> str:
        return self.method if self.augmenter is None else f"{self.method} · {self.augmenter}"


class Run(NamedTuple):
    """One training: `size` is the number of examples as text, or `all`."""

    task: str
    size: str
    method: str
    augmenter: str | None
    seed: int

    @property
    def kind(self) -> Kind:
        return Kind(self.method, self.augmenter)

    def __str__(self) -> str:
        return f"{self.task} {self.size} {self.kind} seed {self.seed}"


def kinds_of(methods: Sequence[str], augmenters: Sequence[str]) -> list[Kind]:
    """Methods without variants once, others with each augmenter; what `none_time` waits for comes before it."""
    ordered = [method for method in METHODS if method in methods]
    plain = [Kind(method) for method in ordered if method in WITHOUT_VARIANTS]
    return plain + [Kind(m, augmenter) for augmenter in augmenters for m in ordered if m not in WITHOUT_VARIANTS]


def runs_of(tasks: Sequence[str], sizes: Sequence[str], kinds: Sequence[Kind], seeds: Sequence[int]) -> list[Run]:
    """All runs, seed by seed and of each seed the small slices first: at any moment kinds have been run alike."""
    by_size = sorted(sizes, key=lambda size: float("inf") if size == ALL else int(size))
    return [Run(task, size, *kind, seed) for seed in seeds for size in by_size for task in tasks for kind in kinds]
