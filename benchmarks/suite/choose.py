"""The settings that were best on held-out training data."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from hf_mmel.compare.statistics import mean_interval

from .plan import Run
from .settings import read_settings


Cell = tuple  # task, size, augmenter, seed
Scores = dict[str, dict[Cell, float]]  # by a point of the grid


def choose(lines: Sequence[Mapping[str, Any]], file: Path) -> list[str]:
    """
    Writes to the file, for each method, the settings with the best mean score over tasks, sizes, augmenters and seeds,
    and for a task where others are clearly better than these, the others.

    Args:
        lines (`Sequence[Mapping]`): Of the stage "tune"; the points that not all cells have are left out.
        file (`Path`): The settings; layers that are not chosen stay.

    Returns:
        `list[str]`: what was chosen, in words.
    """
    layers, said = read_settings(file), []
    for method, scores in sorted(_by_method(lines).items()):
        best = _best(scores)
        chosen = layers["methods"].setdefault(method, {})
        chosen |= json.loads(best)
        said.append(f"{method}: {best}, mean score {fmean(scores[best].values()):.4f}, {len(scores[best])} runs")
        for task in sorted({cell[0] for cell in scores[best]}):
            of_task = {p: {cell: s for cell, s in found.items() if cell[0] == task} for p, found in scores.items()}
            other = _best(of_task)
            interval = mean_interval([of_task[other][cell] - of_task[best][cell] for cell in of_task[best]])
            if other != best and interval is not None and interval.low > 0:
                layers["tasks_methods"].setdefault(f"{task} {method}", {}).update(json.loads(other))
                said.append(f"{method} on {task}: {other}, better by {interval.low:.4f} to {interval.high:.4f}")
    file.write_text(json.dumps(layers, indent=2) + "\n", encoding="utf-8")
    return said


def _by_method(lines: Sequence[Mapping[str, Any]]) -> dict[str, Scores]:
    """The scores of each method by those settings that differ among its runs of one size."""
    runs: dict[str, list[tuple[Cell, dict, float]]] = defaultdict(list)
    for line in lines:
        run = Run(**line["run"])
        cell = (run.task, run.size, run.augmenter, run.seed)
        runs[run.method].append((cell, line["conditions"]["settings"], line["scores"]["score"]))
    found = {}
    for method, entries in runs.items():
        values: dict[tuple, set] = defaultdict(set)
        for cell, settings, _ in entries:
            for name, value in settings.items():
                values[(cell, name)].add(value)
        axes = sorted({name for (_, name), several in values.items() if len(several) > 1})
        scores: Scores = defaultdict(dict)
        for cell, settings, score in entries:
            scores[json.dumps({name: settings[name] for name in axes})][cell] = score
        cells = {cell for cell, *_ in entries}
        found[method] = {point: of for point, of in scores.items() if set(of) == cells}
    return {method: scores for method, scores in found.items() if scores}


def _best(scores: Scores) -> str:
    return max(sorted(scores), key=lambda point: fmean(scores[point].values()))
