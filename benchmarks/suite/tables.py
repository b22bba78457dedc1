"""The tables of the results, in points: hundred times an accuracy or a correlation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from hf_mmel.compare.statistics import mean_interval

from .plan import ALL, AUGMENTERS, METHODS, Kind, Run


Line = Mapping[str, Any]
Cell = tuple[str, str]  # a task and a size
BySeed = dict[int, float]
WORST = tuple(f"{name}_worst_accuracy" for name in ("wordnet", "mlm", "typo"))
MEAN = tuple(f"{name}_mean_accuracy" for name in ("wordnet", "mlm", "typo"))
MSE = ("mse", *(f"{name}_{what}" for name in ("wordnet", "mlm", "typo") for what in ("worst_mse", "mean_change")))
NONE = Kind("none")
NOTE = """\
Intervals over seeds are bootstrap-t, or Student's t where they have a †. Uniform is that of the same augmenter, for a
rival without one that of the first."""


def tables(lines: Sequence[Line]) -> Iterator[str]:
    """Markdown: averages over the slices, then each task and size; of each model and device by themselves."""
    for model, device in sorted({(line["conditions"]["model"], line["conditions"]["device"]) for line in lines}):
        runs = newest([x for x in lines if (x["conditions"]["model"], x["conditions"]["device"]) == (model, device)])
        cells = cells_of(runs)
        yield f"## On {device}, {model.rstrip('/').rpartition('/')[2]}"
        yield f"\n{NOTE}"
        slices = [cell for cell in cells if cell[1] != ALL]
        if slices:
            yield from _summary(runs, slices)
            yield from _table(f"score, mean over {_named(slices)}", runs, slices, ("score",))
            classified = [cell for cell in slices if has(runs, cell, "accuracy")]
            yield from _table(f"calibration error, mean over {_named(classified)}", runs, classified, ("ece",))
            for title, names in (("worst-case accuracy", WORST), ("mean accuracy of perturbed examples", MEAN)):
                yield from _tables_of(title, runs, classified, names)
        for cell in cells:
            yield from _table(f"score, {' '.join(cell)}", runs, [cell], ("score",))
            yield from _table(f"calibration error, {' '.join(cell)}", runs, [cell], ("ece",))
            yield from _tables_of(f"worst-case accuracy, {' '.join(cell)}", runs, [cell], WORST)
            for name in MSE:
                yield from _table(f"{name}, {' '.join(cell)}", runs, [cell], (name,), points=1)


def _summary(runs: Mapping[Run, Line], slices: Sequence[Cell]) -> Iterator[str]:
    """All that counts of each method on one line, with the means over the slices that have it."""
    classified = [cell for cell in slices if has(runs, cell, "accuracy")]
    columns = {
        "score": (slices, ("score",)),
        "worst-case accuracy": (classified, worst_names(runs, classified)),
        "calibration error": (classified, ("ece",)),
    }
    columns = {title: of for title, of in columns.items() if all(of)}
    yield f"\n**all in one, means over {_named(slices)}; after the semicolon the difference to none**\n"
    yield f"| method | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for kind in kinds_in(runs):
        parts = []
        for cells, names in columns.values():
            one, none = (
                {seed: 100 * value for seed, value in averaged(runs, cells, names, of).items()} for of in (kind, NONE)
            )
            mean = f"{fmean(one.values()):.1f}" if one else "–"
            parts.append(mean if kind == NONE or not one else f"{mean}; {_difference(one, none)}")
        yield f"| {kind} | {' | '.join(parts)} |"


def newest(lines: Sequence[Line]) -> dict[Run, Line]:
    """The last line of each run, which has the settings of now."""
    return {Run(**line["run"]): line for line in lines}


def cells_of(runs: Mapping[Run, Line]) -> list[Cell]:
    cells = {(run.task, run.size) for run in runs}
    return sorted(cells, key=lambda cell: (cell[0], float("inf") if cell[1] == ALL else int(cell[1])))


def kinds_in(runs: Mapping[Run, Line]) -> list[Kind]:
    """Those without an augmenter first, then by augmenter."""
    augmenters = (None, *AUGMENTERS)
    kinds = {run.kind for run in runs}
    return sorted(kinds, key=lambda kind: (augmenters.index(kind.augmenter), METHODS.index(kind.method)))


def has(runs: Mapping[Run, Line], cell: Cell, name: str) -> bool:
    """Whether the runs of a cell have a score of this name."""
    return any(name in line["scores"] for run, line in runs.items() if (run.task, run.size) == cell)


def worst_names(runs: Mapping[Run, Line], cells: Sequence[Cell]) -> list[str]:
    """The worst-case accuracies that all of the cells have."""
    return [name for name in WORST if cells and all(has(runs, cell, name) for cell in cells)]


def averaged(runs: Mapping[Run, Line], cells: Sequence[Cell], names: Sequence[str], kind: Kind) -> BySeed:
    """The mean over cells and names for each seed that has all of them."""
    found = {}
    for seed in sorted({run.seed for run in runs}):
        lines = [runs.get(Run(*cell, *kind, seed)) for cell in cells]
        if all(line is not None and all(name in line["scores"] for name in names) for line in lines):
            found[seed] = fmean(line["scores"][name] for line in lines for name in names)
    return found


def differences(one: BySeed, other: BySeed) -> list[float]:
    """Seed by seed, where both have it."""
    return [value - other[seed] for seed, value in one.items() if seed in other]


def _tables_of(title: str, runs: Mapping[Run, Line], cells: Sequence[Cell], names: Sequence[str]) -> Iterator[str]:
    """Of the mean of several scores, and of each."""
    there = [name for name in names if cells and all(has(runs, cell, name) for cell in cells)]
    if len(there) > 1:
        yield from _table(f"{title}, mean of {', '.join(map(_perturbation, there))}", runs, cells, there)
    for name in there:
        yield from _table(f"{title}, {_perturbation(name)}", runs, cells, (name,))


def _table(
    title: str, runs: Mapping[Run, Line], cells: Sequence[Cell], names: Sequence[str], points: float = 100
) -> Iterator[str]:
    kinds = kinds_in(runs)
    values = {kind: averaged(runs, cells, names, kind) for kind in kinds} if cells else {}
    values = {kind: {seed: points * value for seed, value in found.items()} for kind, found in values.items() if found}
    if not values:
        return
    yield f"\n**{title}**\n"
    yield "| method | mean | std | seeds | difference to none | difference to uniform | steps | seconds |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    first = next((kind.augmenter for kind in values if kind.method == "uniform"), None)
    for kind, found in values.items():
        of_kind = [line for run, line in runs.items() if run.kind == kind and (run.task, run.size) in cells]
        spread = f"{stdev(found.values()):.2f}" if len(found) > 1 else "–"
        others = (NONE, kind if kind == NONE else Kind("uniform", kind.augmenter or first))
        to = [_difference(found, values.get(other, {})) if other != kind else "–" for other in others]
        steps, seconds = fmean(x["steps"] for x in of_kind), fmean(x["seconds"]["train"] for x in of_kind)
        parts = [str(kind), f"{fmean(found.values()):.2f}", spread, str(len(found)), *to]
        yield f"| {' | '.join(parts)} | {steps:.0f} | {seconds:.0f} |"


def _difference(one: BySeed, other: BySeed) -> str:
    found = differences(one, other)
    if not found:
        return "–"
    interval = mean_interval(found)
    mark = "†" if interval is not None and interval.how != "bootstrap-t" else ""
    ends = "" if interval is None else f" ({interval.low:+.2f} to {interval.high:+.2f}{mark})"
    return f"{fmean(found):+.2f}{ends}"


def _perturbation(name: str) -> str:
    return name.partition("_")[0]


def _named(cells: Sequence[Cell]) -> str:
    tasks, sizes = (list(dict.fromkeys(part)) for part in zip(*cells, strict=True)) if cells else ([], [])
    return f"{', '.join(tasks)} with {', '.join(sizes)} examples"
