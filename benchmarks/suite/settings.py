"""The settings of a run, and the grid that they are chosen from.

The file of settings has up to six layers, each an object of options of the command: `common`, `sizes` (by the number
of examples), `methods`, `augmenters`, `tasks`, and `tasks_methods` (by `TASK METHOD`). Later layers win, and `null`
takes an option away.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from .plan import Run


FILE = Path(__file__).with_name("settings.json")
Settings = dict[str, Any]
_OF_VARIANTS = ("num_variants", "replace_prob", "top_m", "min_label_probability")
_LAMBDA_P = ("lambda_p", "lambda_p_start", "max_weight")  # the last two are of mending.py
# Which of the settings below a method knows; all others are those of any training.
_OWN = {
    "none": (),
    "none_time": (),
    "uniform": _OF_VARIANTS,
    "worst": _OF_VARIANTS,
    "hard": (*_OF_VARIANTS, *_LAMBDA_P),
    "soft": (*_OF_VARIANTS, *_LAMBDA_P, "lambda_t"),
    "rdrop": ("rdrop_alpha",),
}
_SOME = {name for names in _OWN.values() for name in names}


def read_settings(path: Path = FILE) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def settings_of(run: Run, layers: Mapping[str, Any], chosen: Mapping[str, Any] | None = None) -> Settings:
    """The settings that matter to a run; `chosen`, a point of the grid, wins over the file."""
    like = "none" if run.method == "none_time" else run.method
    settings = dict(layers["common"])
    for layer, key in (
        ("sizes", run.size),
        ("methods", like),
        ("augmenters", run.augmenter),
        ("tasks", run.task),
        ("tasks_methods", f"{run.task} {like}"),
    ):
        settings |= layers.get(layer, {}).get(key, {})
    settings |= chosen or {}
    return _known({name: value for name, value in settings.items() if value is not None}, run.method)


def grid_of(axes: Mapping[str, Sequence[Any]], method: str) -> list[Settings]:
    """The points of a grid, those that are the same for a method once."""
    points = (dict(zip(axes, values, strict=True)) for values in product(*axes.values()))
    known = [_known(point, method) for point in points]
    return [point for i, point in enumerate(known) if point not in known[:i]]


def read_axes(texts: Sequence[str]) -> dict[str, list[float]]:
    """
    The axes of a grid, from texts such as `lambda_p=0.1,1`.

    Raises:
        `ValueError`: if a text is not of this form.
    """
    axes = {}
    for text in texts:
        name, _, values = text.partition("=")
        try:
            axes[name] = [json.loads(value) for value in values.split(",")]
        except json.JSONDecodeError:
            raise ValueError(f"grid has {text!r}; expected NAME=NUMBER,NUMBER,...") from None
    return axes


def _known(settings: Settings, method: str) -> Settings:
    return {name: value for name, value in settings.items() if name not in _SOME or name in _OWN[method]}
