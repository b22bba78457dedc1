"""What the pages of reports and comparisons share: themes, pictures with values to hover over, and the HTML."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from augment.core.atomic_file import atomic_write
from augment.core.marking import differences

from ..hub.redaction import without_tokens
from ..version import __version__


SIZE, DPI = (4.6, 3.2), 190  # inches; small, so that letters can be read on a phone
MAX_SPOTS = 2000  # a picture with more values, which would make the page large, shows none
LEAST_SPOT = 16  # pixels; the width and the height of the spot of a point
_STYLE: dict[Any, Any] = {
    **{"font.size": 11, "font.family": "DejaVu Sans", "legend.frameon": False},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True},
    "text.parse_math": False,  # names of classes and metrics are not formulas
}
_PACKAGES = ("transformers", "torch", "datasets", "tokenizers", "numpy")


class Theme(NamedTuple):
    """Colours for colour-blind readers, too: blue and orange; further lines differ by their dashes."""

    background: str
    text: str
    grid: str
    lines: tuple[str, ...]
    ramp: tuple[str, ...]

    @property
    def colormap(self) -> LinearSegmentedColormap:
        return LinearSegmentedColormap.from_list("ramp", self.ramp)


LIGHT = Theme(
    "#ffffff", "#1f2933", "#dfe4ea", ("#1f6fc4", "#c65102", "#6a4c93", "#4a5560"), ("#ffffff", "#9cc4ec", "#0b3d73")
)
DARK = Theme(
    "#161c24", "#e4e9f0", "#313b48", ("#6cb2f5", "#ffa45c", "#c4a3ec", "#a9b4c0"), ("#161c24", "#2f6fae", "#d3e8fd")
)


class Value(NamedTuple):
    """A text, and the area of the axes that shows it under the mouse, in data coordinates: a point or a rectangle."""

    text: str
    axes: Axes
    x: tuple[float, float]
    y: tuple[float, float]


class Spot(NamedTuple):
    """The same in pixels from the top left corner of the picture."""

    text: str
    x: float
    y: float
    width: float
    height: float


Draw = Callable[[Figure, Theme], Iterable[Value]]


class Picture(NamedTuple):
    """A picture in both themes, as PNGs of the same size, and its values."""

    light: bytes
    dark: bytes
    width: int  # pixels
    height: int
    spots: list[Spot]


def picture(draw: Draw, size: tuple[float, float] = SIZE) -> Picture:
    """The picture of `size` inches in both themes."""
    light, spots = png(draw, LIGHT, size)
    dark, _ = png(draw, DARK, size)  # has the same layout
    return Picture(light, dark, round(size[0] * DPI), round(size[1] * DPI), spots)


def png(draw: Draw, theme: Theme, size: tuple[float, float] = SIZE) -> tuple[bytes, list[Spot]]:
    """The picture in one theme, and its values."""
    colors: dict[Any, Any] = dict.fromkeys(("axes.labelcolor", "text.color", "xtick.color", "ytick.color"), theme.text)
    colors |= {"axes.facecolor": theme.background, "axes.edgecolor": theme.grid, "grid.color": theme.grid}
    with matplotlib.rc_context(_STYLE | colors):
        figure = Figure(size, dpi=DPI, facecolor=theme.background, layout="constrained")
        FigureCanvasAgg(figure)
        values = [value for value in draw(figure, theme) if np.isfinite([*value.x, *value.y]).all()]
        file = io.BytesIO()
        figure.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue(), [_spot(value, figure) for value in values] if len(values) <= MAX_SPOTS else []


def write_html(path: Path, template: Path, **values: Any) -> None:
    """
    Writes a page that needs no network, from a template that extends `page.html.jinja` and the values that it names.
    Tokens are left out.
    """
    options: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, "undefined": StrictUndefined}
    folders = [template.parent, Path(__file__).parent]
    environment = Environment(loader=FileSystemLoader(folders), autoescape=True, **options)
    environment.globals |= {"differences": differences, "versions": _versions()}
    to_json = partial(json.dumps, indent=2, ensure_ascii=False)
    environment.filters |= {"number": number, "label": _label, "json": to_json, "data_uri": _data_uri}
    page = environment.get_template(template.name).render(values)
    with atomic_write(path) as file:
        file.write(without_tokens(page).encode(errors="replace"))  # file names may hold any bytes


def number(value: float) -> str:
    """A number with three or four significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3g}"


def _label(value: Any) -> str:
    """The label of an example: a name, a number, or a list of either, which may be empty."""
    if isinstance(value, list):
        return ", ".join(map(_label, value)) or "none"
    return number(value) if isinstance(value, float) else str(value) or "none"


def _data_uri(picture: bytes) -> str:
    return "data:image/png;base64," + b64encode(picture).decode()


def _versions() -> dict[str, str]:
    """The versions of Python and of the packages that write the page."""
    versions = {"Python": platform.python_version(), "hf_mmel": __version__}
    return versions | {package: importlib.metadata.version(package) for package in _PACKAGES}


def _spot(value: Value, figure: Figure) -> Spot:
    corners = value.axes.transData.transform(list(zip(value.x, value.y, strict=True)))
    (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
    width, height = max(LEAST_SPOT, right - left), max(LEAST_SPOT, top - bottom)
    x, y = (left + right - width) / 2, figure.bbox.height - (top + bottom + height) / 2
    return Spot(value.text, *(round(float(number), 1) for number in (x, y, width, height)))
