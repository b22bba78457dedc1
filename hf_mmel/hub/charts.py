"""Line charts as SVG."""

import math
from collections.abc import Sequence
from html import escape


WIDTH, HEIGHT = 380, 300  # of a panel's axes
COLORS = ("#0b6bcb", "#c2410c", "#e59866", "#15803d", "#6b7280", "#9333ea")
MOST_MARKS = 40  # of a line; with more points it is a line alone

Lines = dict[str, dict[float, float]]


def draw(
    panels: dict[str, Lines],
    x_label: str,
    dashed: tuple[str, ...] = (),
    logarithmic: bool = False,
    legend: bool = True,
) -> str:
    """
    Panels of lines, side by side.

    Args:
        panels (`dict`): Of each panel, by its title, the lines: by their names, y for each x.
        x_label (`str`): What x is.
        dashed (`tuple[str]`): Names of lines that are not measured.
        logarithmic (`bool`): Whether both axes are logarithmic, to the base 2. Linear ones show y from 0 on.
        legend (`bool`): Whether the names of the lines are shown.

    Returns:
        `str`: An SVG.
    """
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    width, height = (WIDTH + 90) * len(panels), HEIGHT + (160 if legend else 100)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, (title, lines) in enumerate(panels.items()):
        parts += _panel(60 + i * (WIDTH + 90), 40, title, lines, x_label, names, dashed, logarithmic)
    for i, name in enumerate(names if legend else []):
        x, y = 60 + i % 3 * (width - 60) / 3, HEIGHT + 112 + i // 3 * 24
        parts.append(f'<path d="M{x:.0f} {y}h28" {_stroke(names, name, dashed)}/>')
        parts.append(f'<text x="{x + 36:.0f}" y="{y + 4}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(
    left: int,
    top: int,
    title: str,
    lines: Lines,
    x_label: str,
    names: list[str],
    dashed: tuple[str, ...],
    logarithmic: bool,
) -> list[str]:
    all_x = sorted({x for line in lines.values() for x in line})
    all_y = [y for line in lines.values() for y in line.values()]
    if logarithmic:
        scale = math.log2
        x_marks = all_x
        y_marks = [2.0**power for power in range(math.floor(scale(min(all_y))), math.ceil(scale(max(all_y))) + 1)]
    else:
        scale = float
        x_marks, y_marks = _round_numbers(all_x[0], all_x[-1]), _round_numbers(0, max(all_y))

    def share(value: float, marks: Sequence[float]) -> float:
        """Where a value lies on its axis, from 0 to 1."""
        span = scale(marks[-1]) - scale(marks[0])
        return (scale(value) - scale(marks[0])) / span if span else 0.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + share(x, x_marks) * WIDTH, top + (1 - share(y, y_marks)) * HEIGHT

    parts = [f'<text x="{left + WIDTH / 2}" y="{top - 16}" text-anchor="middle" font-weight="bold">{title}</text>']
    for number in y_marks:
        x, y = place(x_marks[0], number)
        parts.append(f'<path d="M{x:.1f} {y:.1f}h{WIDTH}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{number:g}</text>')
    for number in x_marks:
        x, y = place(number, y_marks[0])
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{number:g}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{top + HEIGHT + 42}" text-anchor="middle">{x_label}</text>')
    for name, line in lines.items():
        points = [place(x, y) for x, y in sorted(line.items())]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" {_stroke(names, name, dashed)}/>')
        if name not in dashed and len(points) <= MOST_MARKS:
            color = COLORS[names.index(name)]
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points]
    return parts


def _round_numbers(lowest: float, highest: float) -> list[float]:
    """Some five round numbers, from one that is not above `lowest` to one that is not below `highest`."""
    rough = (highest - lowest) / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(lowest / step + 1e-9), math.ceil(highest / step - 1e-9)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _stroke(names: list[str], name: str, dashed: tuple[str, ...]) -> str:
    dashes = ' stroke-dasharray="6 4"' if name in dashed else ""
    return f'fill="none" stroke="{COLORS[names.index(name)]}" stroke-width="2"{dashes}'
