"""What each method changes compared with training without variants, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .methods import METHODS
from .tables import LARGE_TEXTS, TEMPERATURE, TEXTS, Line, Scores, kind_of


if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANELS = {
    "accuracy": "accuracy",
    "greedy_accuracy": "accuracy, greedy attack",
    "calibration_error": "calibration error (less is better)",
}
LABELS = {
    TEMPERATURE: "no augmentation, temperature scaling",
    "longer": "no augmentation, three times the steps",
    "label_smoothing": "label smoothing",
    "r_drop": "R-Drop",
    "uniform": "plain augmentation, uniform weights",
    "hard": "MMEL-H",
    "hard_effective": "MMEL-H, set effective number",
    "worst": "hardest variant only",
    "soft": "MMEL-S",
    "soft_teacher": "MMEL-S, soft labels of a teacher",
    "soft_ema": "MMEL-S, soft labels of averaged weights",
    "soft_unlabelled": "MMEL-S with unlabelled text",
    "pseudo_label": "pseudo-labels of unlabelled text",
    "entropy": "entropy minimisation on unlabelled text",
    "uniform_search": "uniform weights, greedy search",
    "hard_search": "MMEL-H, greedy search",
    "adversarial": "MMEL-H, adversarial variant",
}
PLAIN, MMEL = "#777777", "#0072B2"


def draw(lines: Sequence[Line], methods: Sequence[str]) -> Figure:
    """
    The differences of the methods to `none` on texts, in points: the mean over the tasks and sizes of which all of
    them have runs, with its 95 % interval over the seeds.

    Raises:
        `SystemExit`: if there is no task and size with runs of all methods.
    """
    from matplotlib.figure import Figure  # without pyplot, which would look for a display

    scores = Scores([line for line in lines if kind_of(line) in (TEXTS, LARGE_TEXTS)])
    names = [name for name in METHODS if name in methods and scores.lines[name]]
    cells = scores.cells(*names) if "none" in names else []
    if not cells:
        raise SystemExit("The picture needs runs of none and of the other methods on the same texts; there are none.")
    names = [TEMPERATURE, *(name for name in names if name != "none")][::-1]
    figure = Figure(figsize=(11, 1.6 + 0.34 * len(names)), dpi=150, facecolor="white", layout="constrained")
    for axes, (score, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        for place, name in enumerate(names):
            found = scores.difference(name, "none", score, cells)
            if found is None or (name == TEMPERATURE and score != "calibration_error"):
                continue
            color = MMEL if name.startswith(("hard", "soft", "worst", "adversarial")) else PLAIN
            if not np.isnan(found.low):
                axes.plot([found.low, found.high], [place, place], color=color, linewidth=2)
            axes.plot(found.mean, place, "o", color=color, markersize=7)
        axes.axvline(0, color="#333333", linewidth=1)
        axes.set_yticks(range(len(names)), [LABELS[name] for name in names])
        axes.set_title(title, fontsize=10, loc="left")
        axes.set_xlabel("difference to no\naugmentation, in points", fontsize=9)
        axes.grid(axis="x", color="#dddddd")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
    return figure
