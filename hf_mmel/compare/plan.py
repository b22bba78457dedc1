"""What is to be compared, and by which commands."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from augment.registry import NAMES

from ..cli.parser import without_options
from .grid import Cell, Kind, grid, kinds_of


CELLS = "cells"
# What a comparison has no use for; options of the user's own count over these.
_DEFAULTS = ("--save_strategy", "no", "--report_to", "none", "--disable_tqdm", "true")
# Options of augmenters that a name stands for; "mlm" and "embedding" have a model.
_OF_MODELS, _OF_NAMED = ("augmenter_model",), ("replace_prob", "augment_segments")


@dataclass
class Plan:
    """
    A comparison.

    Attributes:
        methods (`list[str]`): Of `mmel_loss`.
        augmenters (`dict[str, str]`): By its name, what `--augmenter` gets.
        seeds (`list[int]`): The seeds, in the order in which they are run.
        options (`list[str]`): Those of all runs.
        output_dir (`Path`): Where everything is written.
        metric (`str`, *optional*): The score, where the user names one.
        budget (`float`, *optional*): Seconds for all.
        limit (`float`, *optional*): Seconds for one cell.
        jobs (`int`, *optional*): Cells at a time.
        launcher (`list[str]`): What starts a module in one or several processes; empty for this Python.
        keep_models (`bool`): Whether weights are kept.
        use_cpu (`bool`): Whether the runs are to be on the CPU.
        overwrite (`bool`): Whether earlier results are to be forgotten.
    """

    methods: list[str]
    augmenters: dict[str, str]
    seeds: list[int]
    options: list[str]
    output_dir: Path
    metric: str | None = None
    budget: float | None = None
    limit: float | None = None
    jobs: int | None = None
    launcher: list[str] = field(default_factory=list)
    keep_models: bool = False
    use_cpu: bool = False
    overwrite: bool = False

    @property
    def kinds(self) -> list[Kind]:
        return kinds_of(self.methods, list(self.augmenters))

    @property
    def cells(self) -> list[Cell]:
        return grid(self.kinds, self.seeds)

    def folder(self, cell: Cell) -> Path:
        return self.output_dir / CELLS / str(cell)

    def options_of(self, cell: Cell) -> list[str]:
        """The options of a cell's run."""
        named = [*_DEFAULTS, *self.options]
        if cell.kind.augmenter is not None:
            named = [*_DEFAULTS, *self._options_for(cell.kind.augmenter)]
            named += ["--augmenter", self.augmenters[cell.kind.augmenter]]
        own = ["--mmel_loss", cell.kind.method, "--seed", str(cell.seed), "--output_dir", str(self.folder(cell))]
        return [*named, *own, "--do_train", "--do_eval", "--overwrite_output_dir"]

    def command(self, cell: Cell) -> list[str]:
        """What trains a cell."""
        return [*(self.launcher or [sys.executable]), "-m", "hf_mmel.cli.run", *self.options_of(cell)]

    def _options_for(self, augmenter: str) -> list[str]:
        """The options without those of other augmenters, which this one would refuse; all, if they are for none."""
        options = self.options
        for names, takes in ((_OF_MODELS, _takes_model), (_OF_NAMED, _is_named)):
            if not takes(augmenter) and any(map(takes, self.augmenters)):
                options = without_options(options, names)
        return options


def _takes_model(augmenter: str) -> bool:
    return augmenter in ("mlm", "embedding")


def _is_named(augmenter: str) -> bool:
    return augmenter in NAMES
