"""The picture of a comparison: the score of each seed, and the differences to the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO

from matplotlib.figure import Figure  # pyplot would look for a display

from .plan import Criterion
from .rows import Row
from .statistics import CONFIDENCE


# The palette of Okabe and Ito, for colour-blind readers.
COLORS = {
    **{"none": "#555555", "uniform": "#E69F00", "hard": "#0072B2", "soft": "#009E73"},
    **{"longer": "#000000", "label_smoothing": "#56B4E9", "r-drop": "#CC79A7", "temperature": "#D55E00"},
}
_GRID, _TEXT = "#dddddd", "#222222"


def draw(file: Path | IO[bytes], rows: Sequence[Row], criterion: Criterion) -> None:
    """Draws the rows of the table, grouped by augmenter, as a PNG."""
    heights = [0.0]
    for above, row in pairwise(rows):
        heights.append(heights[-1] + (1.0 if row.setting.augmenter == above.setting.augmenter else 1.5))
    has_differences = any(row.differences for row in rows)
    figure = Figure(figsize=(9, 1.5 + 0.42 * (heights[-1] + 1)), dpi=150, facecolor="white", layout="constrained")
    axes = figure.subplots(1, 2 if has_differences else 1, sharey=True, squeeze=False)[0]
    for row, height in zip(rows, heights, strict=True):
        color = COLORS[row.setting.method]
        scores, differences = list(row.scores.values()), list(row.differences.values())
        axes[0].plot(scores, [height] * len(scores), "o", color=color, alpha=0.55, markersize=7, markeredgewidth=0)
        axes[0].plot([row.mean] * 2, [height - 0.32, height + 0.32], color=color, linewidth=2.5)
        if differences:
            below = [height + 0.24] * len(differences)
            axes[1].plot(differences, below, "o", color=color, alpha=0.55, markersize=4.5, markeredgewidth=0)
            axes[1].plot(row.difference, height, "D", color=color, markersize=7)
            if row.interval is not None:
                axes[1].hlines(height, row.interval.low, row.interval.high, color=color, linewidth=2.5)
    better = "lower is better" if criterion.lower_is_better else "higher is better"
    axes[0].set_xlabel(f"{criterion.name} ({better}): seeds, and their mean", color=_TEXT)
    if has_differences:
        axes[1].axvline(0, color=COLORS["none"], linewidth=1.5, linestyle="--")
        interval = f", {CONFIDENCE:.0%} interval" if any(row.interval for row in rows) else ""
        axes[1].set_xlabel(f"difference to {rows[0].baseline}: mean{interval}", color=_TEXT)
    labels = [" · ".join(filter(None, row.setting)) for row in rows]
    axes[0].set_yticks(heights, labels, fontsize=11, color=_TEXT)
    axes[0].set_ylim(heights[-1] + 0.7, -0.7)  # the first row on top
    for axis in axes:
        axis.grid(axis="x", color=_GRID)
        axis.set_axisbelow(True)
        axis.locator_params(axis="x", nbins=6)
        axis.tick_params(length=0, colors=_TEXT)
        axis.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(file, format="png", metadata={"Software": None})
