"""The pictures of a comparison: the score of each seed, and the differences to the baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..report.layout import LIGHT, Picture, Theme, Value, picture, png
from .plan import Criterion
from .rows import Row
from .statistics import CONFIDENCE
from .text import named


# The palette of Okabe and Ito, for colour-blind readers, on a light and on a dark page.
COLORS = {
    "none": ("#555555", "#a9b4c0"),
    "uniform": ("#E69F00", "#E69F00"),
    "hard": ("#0072B2", "#56A8E8"),
    "soft": ("#009E73", "#2CC295"),
    "longer": ("#000000", "#ffffff"),
    "label_smoothing": ("#56B4E9", "#9AD4F5"),
    "r-drop": ("#CC79A7", "#DD94BC"),
    "temperature": ("#D55E00", "#F07B28"),
}
WIDTH, LEAST_HEIGHT, ROW_HEIGHT = 4.6, 1.5, 0.52  # inches
MAX_LETTERS = 50  # of the name of a row, and of a line of a label
DrawOn = Callable[[Axes, Theme, Sequence[Row], Criterion], list[Value]]


def panels(rows: Sequence[Row]) -> dict[str, DrawOn]:
    """What is drawn of the rows: the scores and, if there are any, the differences."""
    has_differences = any(row.differences for row in rows)
    return {"scores": draw_scores, **({"differences": draw_differences} if has_differences else {})}


def pictures(rows: Sequence[Row], criterion: Criterion) -> dict[str, Picture]:
    """A picture for each panel."""

    def drawn(draw_on: DrawOn) -> Picture:
        return picture(lambda figure, theme: draw_on(figure.subplots(), theme, rows, criterion), _size(rows, 1))

    return {name: drawn(draw_on) for name, draw_on in panels(rows).items()}


def draw(rows: Sequence[Row], criterion: Criterion) -> bytes:
    """A PNG with all panels side by side."""
    draws = list(panels(rows).values())

    def draw_all(figure: Figure, theme: Theme) -> list[Value]:
        all_axes = figure.subplots(1, len(draws), squeeze=False)[0]
        return [value for on, axes in zip(draws, all_axes, strict=True) for value in on(axes, theme, rows, criterion)]

    content, _ = png(draw_all, LIGHT, _size(rows, len(draws)))
    return content


def draw_scores(axes: Axes, theme: Theme, rows: Sequence[Row], criterion: Criterion) -> list[Value]:
    """The score of each seed, and the mean."""
    values, factor = list[Value](), _factor(criterion)
    unit = " %" if criterion.is_accuracy else ""
    for row, height in zip(rows, _heights(axes, theme, rows), strict=True):
        color, mean = _color(row, theme), row.mean * factor
        scores = {seed: score * factor for seed, score in row.scores.items()}
        axes.plot([mean] * 2, [height - 0.2, height + 0.2], color=color, linewidth=2.5)
        axes.plot(list(scores.values()), [height] * len(scores), "o", color=color, alpha=0.55, markeredgewidth=0)
        for name, score in {"mean": mean, **{f"seed {seed}": score for seed, score in scores.items()}}.items():
            text = f"{named(row.setting)}, {name}: {_shown(score, criterion)}{unit}"
            values.append(Value(text, axes, (score, score), (height, height)))
    better = "lower is better" if criterion.lower_is_better else "higher is better"
    label = criterion.name.replace("_", " ") + (" (%)" if criterion.is_accuracy else "")
    _label(axes, f"{label}, {better}", "each seed, and their mean")
    return values


def draw_differences(axes: Axes, theme: Theme, rows: Sequence[Row], criterion: Criterion) -> list[Value]:
    """The difference to the baseline with each seed, and the mean with its interval."""
    values, factor = list[Value](), _factor(criterion)
    unit = " points" if criterion.is_accuracy else ""
    for row, height in zip(rows, _heights(axes, theme, rows), strict=True):
        if row.difference is None:
            continue
        color, mean, below = _color(row, theme), row.difference * factor, height + 0.26
        differences = {seed: difference * factor for seed, difference in row.differences.items()}
        low, high, interval = mean, mean, ""
        if row.interval is not None:
            low, high = row.interval.low * factor, row.interval.high * factor
            interval = f", {CONFIDENCE:.0%} interval {_shown(low, criterion, '+')} to {_shown(high, criterion, '+')}"
        axes.hlines(height, low, high, color=color, linewidth=2.5)
        axes.plot(mean, height, "D", color=color, markersize=6.5)
        text = f"{named(row.setting)}, mean: {_shown(mean, criterion, '+')}{unit}{interval}"
        values.append(Value(text, axes, (low, high), (height, height)))
        axes.plot(list(differences.values()), [below] * len(differences), "o", color=color, alpha=0.55, markersize=4)
        for seed, difference in differences.items():
            text = f"{named(row.setting)}, seed {seed}: {_shown(difference, criterion, '+')}{unit}"
            values.append(Value(text, axes, (difference, difference), (below, below)))
    axes.axvline(0, color=theme.lines[-1], linewidth=1.5, linestyle="--")
    in_points = " (percentage points)" if criterion.is_accuracy else ""
    _label(axes, f"difference to {named(rows[0].baseline)}{in_points}", interval_in_words(rows))
    return values


def interval_in_words(rows: Sequence[Row]) -> str:
    """What the lines of the differences show."""
    intervals = [row.interval for row in rows if row.interval is not None]
    counts = {len(row.differences) for row in rows if row.differences and (row.interval or not intervals)}
    seeds = " to ".join(map(str, sorted({min(counts), max(counts)}))) + (" seed" if counts == {1} else " seeds")
    if not intervals:
        return f"mean over {seeds}, without an interval"
    how = " or ".join(sorted({interval.how for interval in intervals}))
    return f"mean and {CONFIDENCE:.0%} interval over {seeds} ({how})"


def _size(rows: Sequence[Row], num_panels: int) -> tuple[float, float]:
    return WIDTH * num_panels, LEAST_HEIGHT + ROW_HEIGHT * _positions(rows)[-1]


def _positions(rows: Sequence[Row]) -> list[float]:
    """The heights of the rows, grouped by augmenter."""
    positions = [0.0]
    for above, row in pairwise(rows):
        positions.append(positions[-1] + (1.0 if row.setting.augmenter == above.setting.augmenter else 1.3))
    return positions


def _heights(axes: Axes, theme: Theme, rows: Sequence[Row]) -> list[float]:
    """Writes the name of each row above its height, where a narrow picture has room, and returns the heights."""
    heights = _positions(rows)
    for row, height in zip(rows, heights, strict=True):
        name = named(row.setting)
        name = name if len(name) <= MAX_LETTERS else name[: MAX_LETTERS - 1] + "…"
        box = {"facecolor": theme.background, "linewidth": 0, "pad": 1}  # hides the lines of the grid
        axes.text(0, height - 0.36, name, transform=axes.get_yaxis_transform(), va="center", bbox=box)
    axes.set_ylim(heights[-1] + 0.5, -0.6)  # the first row on top
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(length=0)
    return heights


def _label(axes: Axes, *lines: str) -> None:
    axes.set_xlabel("\n".join(fill(line, MAX_LETTERS) for line in lines))


def _color(row: Row, theme: Theme) -> str:
    return COLORS[row.setting.method][theme != LIGHT]


def _factor(criterion: Criterion) -> float:
    """Accuracies are drawn in percent."""
    return 100 if criterion.is_accuracy else 1


def _shown(value: float, criterion: Criterion, sign: str = "") -> str:
    """A score that is drawn, or with the sign "+" a difference, with the digits that the tables have."""
    digits = 2 if criterion.is_accuracy else 4
    return f"{value:{sign}.{digits}f}".replace("-", "−")
