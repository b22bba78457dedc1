"""The values of the options of a comparison. A `UsageError` says what was received and what is expected."""

from __future__ import annotations

import math
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from augment.registry import NAMES, is_class_path

from ..cli.arguments import MAX_SEED, is_seed
from ..cli.data_arguments import listed
from ..cli.errors import UsageError
from ..cli.parser import value_of
from .methods import METHODS


COLUMN = "column"  # among the augmenters: the variants of `--variants_column` alone
MAX_NUM_JOBS = 1000
_MAX_NUM_SEEDS = 1000
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_MAX_SECONDS = 1e9


def read_methods(text: str, options: Sequence[str]) -> list[str]:
    """The names of the methods; `options` are those that all runs share."""
    methods = list(listed(text))
    if not methods or len(set(methods)) < len(methods) or not set(methods) <= set(METHODS):
        raise UsageError(f"methods is {text!r}; expected some of {', '.join(METHODS)}, each once.")
    if "temperature" in methods and "none" not in methods:
        raise UsageError("methods has 'temperature', which scales the predictions of 'none'; add 'none'.")
    factor = value_of(options, "label_smoothing_factor")
    if "label_smoothing" in methods and factor is not None:
        raise UsageError(
            f"label_smoothing_factor is {factor}, which all runs would share, and the method label_smoothing has its "
            "own, 0.1; leave one of them out."
        )
    return methods


def read_augmenters(text: str, variants_column: str | None) -> dict[str, str]:
    """
    The augmenters by their names; a JSON file is named after the file, `MODULE:CLASS` after the class. If there is a
    `variants_column`, `COLUMN` names its variants alone.
    """
    values = listed(text)
    augmenters = {value.rpartition(":")[2] if is_class_path(value) else Path(value).stem: value for value in values}
    if variants_column is not None and augmenters.get(COLUMN) == COLUMN:
        augmenters[COLUMN] = "none"
    if not values or len(augmenters) < len(values):
        raise UsageError(f"augmenters is {text!r}; expected one or more, each with a name of its own.")
    for name, value in augmenters.items():
        if name == COLUMN and value == "none":
            continue
        if name == "none":
            raise UsageError("augmenters has 'none'; to train without an augmenter, add 'none' to --methods.")
        if value not in NAMES and not Path(value).is_file() and not is_class_path(value):
            raise UsageError(
                f"augmenters has {value!r}; expected {', '.join(NAMES)}, your own JSON file, the MODULE:CLASS of your "
                f"own class, or {COLUMN!r} with --variants_column."
            )
        if value not in NAMES and name in NAMES:
            raise UsageError(f"augmenters has {value!r}, but {name} is an augmenter; rename yours.")
    return augmenters


def read_seeds(text: str) -> list[int]:
    """`5` means the seeds 1 to 5, and `3,7` these two."""
    parts = listed(text)
    if not parts or not all(part.isdecimal() for part in parts) or parts == ("0",):
        raise UsageError(f"seeds is {text!r}; expected how many, such as 5, or which ones, such as 3,7,9.")
    seeds = list(map(int, parts)) if all(map(is_seed, parts)) else []
    if not seeds or len(set(seeds)) < len(seeds):
        raise UsageError(f"seeds is {text!r:.60}; expected each once, and none above {MAX_SEED}.")
    if "," in text:
        return seeds
    if seeds[0] > _MAX_NUM_SEEDS:
        raise UsageError(
            f"seeds is {text!r}, a number of seeds; expected at most {_MAX_NUM_SEEDS}. To run that one seed, pass "
            f"'{text},'."
        )
    return list(range(1, seeds[0] + 1))


def read_seconds(name: str, text: str | None) -> float:
    """The seconds of a time with its unit; infinity without one."""
    if text is None:
        return math.inf
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if parts is None or not 0 < float(parts[1]) < _MAX_SECONDS:
        raise UsageError(f"{name} is {text!r:.60}; expected a time such as 90s, 30m or 2h.")
    return float(parts[1]) * _SECONDS[parts[2]]


def read_launcher(text: str | None) -> list[str]:
    """The words of a command."""
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise UsageError(f"launcher is {text!r}, whose quotes do not match: {error}.") from None
    if text is not None and (not words or shutil.which(words[0]) is None):
        raise UsageError(f"launcher is {text!r}; expected a command such as 'accelerate launch --multi_gpu'.")
    return words
