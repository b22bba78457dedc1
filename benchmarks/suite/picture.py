"""What each method changes, next to training without variants, at one glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from hf_mmel.compare.methods import METHODS
from hf_mmel.compare.statistics import mean_interval

from .plan import ALL, Kind, Run
from .tables import NONE, Cell, Line, averaged, cells_of, differences, has, kinds_in, newest, worst_names


# Okabe and Ito's colours, which remain different for those who do not see all of them.
COLORS = {
    "none_time": "#777777",
    "uniform": "#E69F00",
    "hard": "#0072B2",
    "soft": "#009E73",
    "worst": "#D55E00",
    "rdrop": "#CC79A7",
}
MARKERS = "osD^vP*X"
# How readers call what is in the picture.
LABELS = {name: method.label for name, method in METHODS.items()} | {
    "none_time": "no augmentation, same time",
    "worst": "hardest variant only (λ_P = 0)",
    "rdrop": "R-Drop",
}
SOURCES = {"wordnet": "WordNet", "mlm": "masked LM", "both": "both", "delete": "deletion"}
TASKS = {"sst2": "SST-2", "rte": "RTE", "stsb": "STS-B", "wnli": "WNLI"}


def named(kind: Kind) -> str:
    """A method and the source of its variants, for readers. `none_time` has none itself."""
    has_variants = kind.augmenter is not None and kind.method != "none_time"
    return f"{LABELS[kind.method]}, {SOURCES[kind.augmenter]}" if has_variants else LABELS[kind.method]


def draw(file: Path, lines: Sequence[Line]) -> None:
    """
    Writes the picture: for each method the difference to `none`, seed by seed, as its mean over the slices with the
    interval over seeds, and small, for each slice alone. Lines of several models or devices are not mixed: those of
    the newest line are drawn.
    """
    if not lines:
        return
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    facts = [(line["conditions"]["model"], line["conditions"]["device"]) for line in lines]
    runs = newest([line for line, fact in zip(lines, facts, strict=True) if fact == facts[-1]])
    slices = [cell for cell in cells_of(runs) if cell[1] != ALL] or cells_of(runs)
    classified = [cell for cell in slices if has(runs, cell, "accuracy")]
    panels = {
        "accuracy" if classified == slices else "score": (slices, ["score"]),
        "worst-case accuracy": (classified, worst_names(runs, classified)),
        "calibration error (less is better)": (classified, ["ece"]),
    }
    panels = {title: of for title, of in panels.items() if all(of)}
    kinds = [kind for kind in kinds_in(runs) if kind != NONE][::-1]
    marks = dict(zip(slices, MARKERS * len(slices), strict=False))
    height = 1.6 + 0.42 * len(kinds)
    figure = Figure(figsize=(11, height), dpi=150, facecolor="white", layout="constrained")
    for axes, (title, (cells, names)) in zip(
        figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True
    ):
        for place, kind in enumerate(kinds):
            _draw_kind(axes, runs, kind, place, cells, names, marks)
        axes.axvline(0, color="#333333", linewidth=1)
        axes.set_yticks(range(len(kinds)), [named(kind) for kind in kinds])
        axes.set_title(title, fontsize=11, loc="left")
        axes.grid(axis="x", color="#dddddd")
        axes.set_axisbelow(True)
        axes.set_xlabel("difference to no augmentation\n(percentage points)")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
    handles = [
        axes.plot([], [], mark, color="#999999", markersize=5, label=f"{TASKS.get(task, task)}, {size} examples")[0]
        for (task, size), mark in marks.items()
    ]
    seeds = len({run.seed for run in runs})
    label = f"mean of these, and its 95 % interval over {seeds} seeds"
    handles.append(axes.errorbar([], [], xerr=[], fmt="o", color="black", label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_kind(
    axes,
    runs: Mapping[Run, Line],
    kind: Kind,
    place: int,
    cells: Sequence[Cell],
    names: Sequence[str],
    marks: Mapping[Cell, str],
) -> None:
    color = COLORS[kind.method]
    for cell in cells:
        if found := _points(runs, kind, [cell], names):
            axes.plot(fmean(found), place - 0.18, marks[cell], color=color, markersize=4, alpha=0.6)
    found = _points(runs, kind, cells, names)
    interval = mean_interval(found) if found else None
    if interval is not None:
        axes.plot([interval.low, interval.high], [place + 0.1] * 2, color=color, linewidth=2.5)
    if found:
        axes.plot(fmean(found), place + 0.1, "o", color=color, markersize=8)


def _points(runs: Mapping[Run, Line], kind: Kind, cells: Sequence[Cell], names: Sequence[str]) -> list[float]:
    """How much more than `none` with each seed, in points."""
    one, none = (averaged(runs, cells, names, of) for of in (kind, NONE))
    return [100 * value for value in differences(one, none)]
