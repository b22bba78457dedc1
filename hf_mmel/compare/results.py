"""What is kept of a comparison, and what is written of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..cli.errors import UsageError
from ..cli.fingerprint import differences_of
from ..cli.resuming import remove_checkpoints
from .grid import BASELINE, Cell, Kind
from .plan import Plan
from .summary import Measured


RESULTS, TABLE, PICTURE = "compare.json", "compare.md", "compare.png"
ALL_RESULTS = "all_results.json"
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


class Results:
    """
    The cells that are finished, and those that have failed, kept in `compare.json` together with the arguments that
    they hold for. A finished cell whose folder is gone is to be run again.

    Args:
        plan (`Plan`): The comparison.
        arguments (`dict`): What all runs have in common.
        augmenters (`dict`): By its name, what an augmenter is.

    Raises:
        `UsageError`: if the folder holds another comparison, or a file that cannot be read.
    """

    def __init__(self, plan: Plan, arguments: dict[str, Any], augmenters: dict[str, Any]):
        self.plan, self.arguments, self.augmenters = plan, arguments, augmenters
        self.finished: dict[Cell, Measured] = {}
        self.failed: dict[Cell, str] = {}
        file = plan.output_dir / RESULTS
        if file.is_file() and not plan.overwrite:
            self._take_up(file)

    def add(self, cell: Cell, seconds: float, error: str | None, metric: str) -> str | None:
        """
        Takes down how a cell has ended.

        Returns:
            `str` or `None`: why it counts as failed, if it does.
        """
        folder = self.plan.folder(cell)
        if error is None:
            file = folder / ALL_RESULTS
            metrics = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
            if metric in metrics:
                self.finished[cell] = Measured(metrics, seconds)
                if not self.plan.keep_models:
                    remove_weights(folder)
                return None
            error = f"It has no {metric}."
        self.failed[cell] = error
        return error

    def kinds(self) -> list[Kind]:
        """The kinds of this command, and others that earlier ones have measured, in the order of the table."""
        kinds = dict.fromkeys([*self.plan.kinds, *(cell.kind for cell in self.finished)])
        augmenters = list(dict.fromkeys(kind.augmenter for kind in kinds))
        return sorted(kinds, key=lambda kind: (kind != BASELINE, augmenters.index(kind.augmenter)))

    def to_dict(self) -> dict[str, Any]:
        """What is needed to go on."""
        cells = [
            {**_named(cell), "seconds": measured.seconds, "metrics": measured.metrics}
            for cell, measured in self.finished.items()
        ]
        cells += [{**_named(cell), "error": error} for cell, error in self.failed.items()]
        return {"arguments": self.arguments, "augmenters": self.augmenters, "cells": cells}

    def _take_up(self, file: Path) -> None:
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
            arguments, augmenters = dict(before["arguments"]), dict(before["augmenters"])
            finished = dict(_finished(entry) for entry in before["cells"] if "metrics" in entry)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UsageError(f"{file} is damaged ({reason}); delete it to have all cells run again.") from None
        both = {name: (augmenters[name], what) for name, what in self.augmenters.items() if name in augmenters}
        changed = differences_of(
            {**arguments, **{name: was for name, (was, _) in both.items()}},
            {**self.arguments, **{name: now for name, (_, now) in both.items()}},
        )
        if changed:
            raise UsageError(
                f"{self.plan.output_dir} holds a comparison with other arguments: {changed}. Choose another "
                "--output_dir, or pass --overwrite_output_dir to run all of it again."
            )
        self.augmenters = {**augmenters, **self.augmenters}
        for cell, measured in finished.items():
            if (self.plan.folder(cell) / ALL_RESULTS).is_file():
                self.finished[cell] = measured


def remove_weights(folder: Path) -> None:
    """Removes the model and the checkpoints of a run, and leaves all that tells about it."""
    remove_checkpoints(folder)
    for pattern in _WEIGHTS:
        for file in folder.glob(pattern):
            file.unlink()


def _finished(entry: dict[str, Any]) -> tuple[Cell, Measured]:
    """A finished cell, as [`Results.to_dict`] writes it."""
    cell = Cell(Kind(entry["method"], entry["augmenter"]), entry["seed"])
    return cell, Measured(dict(entry["metrics"]), float(entry["seconds"]))


def _named(cell: Cell) -> dict[str, Any]:
    return {"method": cell.kind.method, "augmenter": cell.kind.augmenter, "seed": cell.seed}
