"""The comparison at one glance: each seed's score, and the differences to `none`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO

from .conclusions import shown
from .grid import BASELINE
from .statistics import CONFIDENCE
from .summary import Row


# Okabe and Ito's colours, which remain different for those who do not see all of them.
COLORS = {"none": "#555555", "uniform": "#E69F00", "hard": "#0072B2", "soft": "#009E73"}
_GRID, _TEXT = "#dddddd", "#222222"


def draw(file: Path | IO[bytes], rows: Sequence[Row], metric: str, less_is_better: bool) -> None:
    """
    Writes the picture.

    Args:
        file (`Path` or `IO`): The PNG.
        rows (`Sequence[Row]`): The table, whose augmenters become groups.
        metric (`str`): Name of the score.
        less_is_better (`bool`): Whether it is an error or a loss.
    """
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    heights = _heights(rows)
    compares = any(row.differences for row in rows)
    figure = Figure(figsize=(9, 1.5 + 0.42 * (heights[-1] + 1)), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots(1, 2 if compares else 1, sharey=True, squeeze=False)[0]
    for row, height in zip(rows, heights, strict=True):
        color = COLORS[row.kind.method]
        scores = list(row.scores.values())
        axes[0].plot(scores, [height] * len(scores), "o", color=color, alpha=0.55, markersize=7, markeredgewidth=0)
        axes[0].plot([row.mean] * 2, [height - 0.32, height + 0.32], color=color, linewidth=2.5)
        if row.differences:
            differences = list(row.differences.values())
            below = [height + 0.24] * len(differences)
            axes[1].plot(differences, below, "o", color=color, alpha=0.55, markersize=4.5, markeredgewidth=0)
            axes[1].plot(row.difference, height, "D", color=color, markersize=7)
            if row.interval is not None:
                axes[1].hlines(height, row.interval.low, row.interval.high, color=color, linewidth=2.5)
    arrow = "less is better" if less_is_better else "more is better"
    axes[0].set_xlabel(f"{shown(metric)} ({arrow}): seeds, and their mean", color=_TEXT)
    if compares:
        axes[1].axvline(0, color=COLORS["none"], linewidth=1.5, linestyle="--")
        interval = f", {CONFIDENCE:.0%} interval" if any(row.interval for row in rows) else ""
        axes[1].set_xlabel(f"difference to none: mean{interval}", color=_TEXT)
    axes[0].set_yticks(heights, [_label(row) for row in rows], fontsize=11, color=_TEXT)
    axes[0].set_ylim(heights[-1] + 0.7, -0.7)  # the first row on top
    for axis in axes:
        axis.grid(axis="x", color=_GRID)
        axis.set_axisbelow(True)
        axis.locator_params(axis="x", nbins=6)
        axis.tick_params(length=0, colors=_TEXT)
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(file, format="png", metadata={"Software": None})


def _heights(rows: Sequence[Row]) -> list[float]:
    """Where the rows are, with a gap before each augmenter."""
    heights = [0.0]
    for before, row in pairwise(rows):
        heights.append(heights[-1] + (1.0 if row.kind.augmenter == before.kind.augmenter else 1.5))
    return heights


def _label(row: Row) -> str:
    return row.kind.method if row.kind == BASELINE else f"{row.kind.method} · {row.kind.augmenter}"
