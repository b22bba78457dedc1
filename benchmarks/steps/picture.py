"""Time and memory of a step against the number of variants, drawn as SVG."""

import math


WIDTH, HEIGHT = 380, 300  # of a panel's axes
COLORS = ("#0b6bcb", "#c2410c", "#e59866", "#15803d", "#6b7280", "#9333ea")


def draw(panels: dict[str, dict[str, dict[float, float]]], x_label: str, dashed: tuple[str, ...] = ()) -> str:
    """
    Lines on logarithmic axes.

    Args:
        panels (`dict`): Of each panel, by its title, the lines: by their names, y for each x.
        x_label (`str`): What x is.
        dashed (`tuple[str]`): Names of lines that are not measured.

    Returns:
        `str`: An SVG.
    """
    width, height = (WIDTH + 90) * len(panels), HEIGHT + 160
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for i, (title, lines) in enumerate(panels.items()):
        parts += _panel(60 + i * (WIDTH + 90), 40, title, lines, x_label, names, dashed)
    for i, name in enumerate(names):
        x, y = 60 + i % 3 * (width - 60) / 3, HEIGHT + 112 + i // 3 * 24
        parts.append(f'<path d="M{x:.0f} {y}h28" {_stroke(names, name, dashed)}/>')
        parts.append(f'<text x="{x + 36:.0f}" y="{y + 4}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(left: int, top: int, title: str, lines: dict, x_label: str, names: list[str], dashed) -> list[str]:
    xs = sorted({x for line in lines.values() for x in line})
    highest = math.ceil(math.log2(max(y for line in lines.values() for y in line.values())))
    lowest = math.floor(math.log2(min(y for line in lines.values() for y in line.values())))

    def place(x: float, y: float) -> tuple[float, float]:
        across = math.log2(x / xs[0]) / max(math.log2(xs[-1] / xs[0]), 1)
        up = (math.log2(y) - lowest) / max(highest - lowest, 1)
        return left + across * WIDTH, top + (1 - up) * HEIGHT

    parts = [f'<text x="{left + WIDTH / 2}" y="{top - 16}" text-anchor="middle" font-weight="bold">{title}</text>']
    for power in range(lowest, highest + 1):
        x, y = place(xs[0], 2**power)
        parts.append(f'<path d="M{x:.1f} {y:.1f}h{WIDTH}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{x - 8:.1f}" y="{y + 4:.1f}" text-anchor="end">{2**power:g}</text>')
    for number in xs:
        x, y = place(number, 2**lowest)
        parts.append(f'<text x="{x:.1f}" y="{y + 20:.1f}" text-anchor="middle">{number:g}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{top + HEIGHT + 42}" text-anchor="middle">{x_label}</text>')
    for name, line in lines.items():
        points = [place(x, y) for x, y in sorted(line.items())]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}" {_stroke(names, name, dashed)}/>')
        if name not in dashed:
            color = COLORS[names.index(name)]
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points]
    return parts


def _stroke(names: list[str], name: str, dashed: tuple[str, ...]) -> str:
    dashes = ' stroke-dasharray="6 4"' if name in dashed else ""
    return f'fill="none" stroke="{COLORS[names.index(name)]}" stroke-width="2"{dashes}'
