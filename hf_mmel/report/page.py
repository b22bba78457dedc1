"""The page: one file, with the pictures inside."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from augment.core.atomic_file import atomic_write
from augment.core.marking import differences

from ..hub.redaction import without_folders, without_tokens
from . import FOLDER, PAGE
from .collect import EPOCH, Predictions, ScoredVariants
from .facts import Facts, hardest_by_epoch
from .plots import pictures
from .statistics import Flip, Move, Reliability, calibration, label_flips, label_scores, moves
from .theme import DARK, LIGHT, png


class VariantFigures(NamedTuple):
    """
    What is told of the variants that the final model has scored.

    Attributes:
        scored ([`ScoredVariants`]): The variants.
        flips (`list[Flip]`), moves (`list[Move]`): Those that a page shows; `moves` are those of a regression.
        num_flips, num_confident (`int`): How many flips there are, and how many of the confidence that is shown.
        mean_move (`float`): Mean distance of the predictions on variant and original, of a regression.
    """

    scored: ScoredVariants
    flips: list[Flip]
    moves: list[Move]
    num_flips: int
    num_confident: int
    mean_move: float


def variant_figures(scored: ScoredVariants, min_confidence: float, max_shown: int) -> VariantFigures:
    """The flips of a classifier, or the moves of a regression, of which so many are shown."""
    arrays = scored.labels, scored.before, scored.after
    if scored.problem_type == "regression":
        mean_move = float(np.abs(scored.after - scored.before).mean()) if len(scored.texts) else 0.0
        return VariantFigures(scored, [], moves(*arrays)[:max_shown], 0, 0, mean_move)
    flips = label_flips(*arrays)
    confident = [flip for flip in flips if flip.after >= min_confidence]
    return VariantFigures(scored, confident[:max_shown], [], len(flips), len(confident), 0.0)


def write_page(
    folder: Path,
    facts: Facts,
    predictions: Predictions | None = None,
    variants: VariantFigures | None = None,
    missing: list[str] | None = None,
    min_confidence: float = 0.0,
) -> Path:
    """
    Writes `report.html` and the pictures of `report/`.

    Args:
        folder (`Path`): Where to.
        facts ([`Facts`]): What needs no model.
        predictions ([`Predictions`], *optional*): Those on the validation data.
        variants ([`VariantFigures`], *optional*): What the model makes of the variants.
        missing (`list[str]`, *optional*): What could not be told, and why, each a sentence.
        min_confidence (`float`, *optional*): Of the flips that are shown.
    """
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, draw in pictures(facts, predictions).items():
        drawn[name] = {}
        for theme, colours in {"light": LIGHT, "dark": DARK}.items():
            picture = png(draw, colours)
            with atomic_write(folder / FOLDER / f"{name}{'' if theme == 'light' else '-dark'}.png") as file:
                file.write(picture)
            drawn[name][theme] = Markup("data:image/png;base64," + b64encode(picture).decode())
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["differences"] = differences
    environment.filters |= {"number": _number, "label": _label, "json": _json}
    page = environment.get_template("report.html.jinja").render(
        facts=facts,
        predictions=predictions,
        variants=variants,
        missing=[without_folders(reason) for reason in missing or []],
        pictures=drawn,
        min_confidence=min_confidence,
        epoch=EPOCH,
        hardest=hardest_by_epoch(facts.hardest),
        calibration=_calibration(predictions),
        label_scores=_label_scores(predictions),
    )
    path = folder / PAGE
    with atomic_write(path) as file:
        file.write(without_tokens(page).encode(errors="replace"))  # names of files are any bytes
    return path


def _calibration(predictions: Predictions | None) -> Reliability | None:
    if predictions is None or predictions.problem_type == "regression":
        return None
    return calibration(predictions.outputs, predictions.labels)


def _label_scores(predictions: Predictions | None) -> list:
    if predictions is None or predictions.problem_type != "multi_label_classification":
        return []
    return label_scores(predictions.labels, predictions.outputs)


def _number(value: float) -> str:
    """A number with three or four digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3g}"


def _json(config: Any) -> str:
    return json.dumps(config, indent=2, ensure_ascii=False)


def _label(value: Any) -> str:
    """The label of an example: a name, a number, or several of either, of which there may be none."""
    if isinstance(value, list):
        return ", ".join(map(_label, value)) or "none"
    return _number(value) if isinstance(value, float) else str(value) or "none"
