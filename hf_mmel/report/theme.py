"""How the pictures of a report look, by day and by night."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


SIZE, DPI = (4.6, 3.2), 190  # small, so that letters can be read on a phone


class Theme(NamedTuple):
    """Colours that can be told apart by those who do not see all of them: blue, orange, and others by their line."""

    background: str
    text: str
    grid: str
    lines: tuple[str, ...]
    ramp: tuple[str, ...]


LIGHT = Theme(
    "#ffffff", "#1f2933", "#dfe4ea", ("#1f6fc4", "#c65102", "#6a4c93", "#4a5560"), ("#ffffff", "#9cc4ec", "#0b3d73")
)
DARK = Theme(
    "#161c24", "#e4e9f0", "#313b48", ("#6cb2f5", "#ffa45c", "#c4a3ec", "#a9b4c0"), ("#161c24", "#2f6fae", "#d3e8fd")
)
Draw = Callable[[Figure, Theme], None]


def png(draw: Draw, theme: Theme) -> bytes:
    """The picture as a PNG."""
    style = {
        "font.size": 11,
        "font.family": "DejaVu Sans",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.facecolor": theme.background,
        "axes.edgecolor": theme.grid,
        "axes.labelcolor": theme.text,
        "text.color": theme.text,
        "text.parse_math": False,  # names of classes and metrics are no formulas
        "xtick.color": theme.text,
        "ytick.color": theme.text,
        "grid.color": theme.grid,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        figure = Figure(SIZE, dpi=DPI, facecolor=theme.background, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure, theme)
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()


def legend(figure: Figure, axes: Axes) -> None:
    """Above the axes, where it hides no line."""
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 3), fontsize=10)
