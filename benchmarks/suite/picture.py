"""Score and worst-case accuracy against the number of training examples, at one glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from hf_mmel.compare.statistics import mean_interval

from .plan import Kind, Run
from .tables import WORST, Line, averaged, cells_of, has, kinds_in, newest


# Okabe and Ito's colours, which remain different for those who do not see all of them.
COLORS = {
    "none": "#555555",
    "none_time": "#999999",
    "uniform": "#E69F00",
    "hard": "#0072B2",
    "soft": "#009E73",
    "worst": "#D55E00",
    "rdrop": "#CC79A7",
}
STYLES = {None: "-", "wordnet": "-", "mlm": "--", "both": ":"}


def draw(file: Path, lines: Sequence[Line]) -> None:
    """
    Writes the picture: one line per method, the mean over the tasks of which all is known, and the interval of the
    mean over seeds as a band. Lines of several models or devices are not mixed: those of the newest line are drawn.
    """
    if not lines:
        return
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    facts = [(line["conditions"]["model"], line["conditions"]["device"]) for line in lines]
    runs = newest([line for line, fact in zip(lines, facts, strict=True) if fact == facts[-1]])
    figure = Figure(figsize=(10, 4.6), dpi=150, facecolor="white", layout="constrained")
    panels = {"score": ("score",), "worst case of each example's perturbed forms": _worst_names(runs)}
    for axes, (title, names) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        sizes = list(dict.fromkeys(size for _, size in sorted(cells_of(runs), key=lambda cell: _order(cell[1]))))
        for kind in kinds_in(runs):
            _draw_kind(axes, runs, kind, sizes, names)
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_xlabel("training examples")
        axes.set_title(title, fontsize=11, loc="left")
        axes.grid(axis="y", color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
    figure.supylabel("points, mean over tasks", fontsize=10)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(file, format="png", metadata={"Software": None})


def _draw_kind(axes, runs: Mapping[Run, Line], kind: Kind, sizes: Sequence[str], names: Sequence[str]) -> None:
    points = []
    for place, size in enumerate(sizes):
        cells = [cell for cell in cells_of(runs) if cell[1] == size and names and has(runs, cell, names[0])]
        values = [100 * value for value in averaged(runs, cells, names, kind).values()] if cells else []
        if values:
            mean, interval = fmean(values), mean_interval(values)
            points.append((place, mean, *((mean, mean) if interval is None else interval[:2])))
    if points:
        places, means, lows, highs = zip(*points, strict=True)
        color = COLORS[kind.method]
        axes.plot(places, means, STYLES[kind.augmenter], marker="o", color=color, label=str(kind), linewidth=2)
        axes.fill_between(places, lows, highs, color=color, alpha=0.13, linewidth=0)


def _worst_names(runs: Mapping[Run, Line]) -> list[str]:
    return [name for name in WORST if any(name in line["scores"] for line in runs.values())]


def _order(size: str) -> float:
    return int(size) if size.isdecimal() else float("inf")
