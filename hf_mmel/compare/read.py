"""The comparison that options ask for; those that make no sense are refused before anything is trained."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from augment.registry import NAMES

from ..cli.arguments import MAX_SEED, is_seed
from ..cli.data_arguments import listed
from ..cli.errors import UsageError
from ..cli.parser import read_options, value_of
from ..training_args import MMEL_LOSSES
from .grid import BASELINE
from .plan import Plan


_INSTEAD = {
    "mmel_loss": "pass --methods",
    "augmenter": "pass --augmenters",
    "seed": "pass --seeds",
    "seeds": "pass --seeds to compare itself",
    "dry_run": "run it on run_glue_mmel alone",
    "glue_submission": "it takes the predictions of one model",
    "resume_from_checkpoint": "each run begins by itself, and those that are finished are kept",
    "push_to_hub": "train the method of your choice by itself, and push that",
}
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_MAX_TIME = 1e9
_MAX_NUM_SEEDS = _MAX_NUM_JOBS = 1000


def read_plan(args: argparse.Namespace) -> Plan:
    """
    The comparison that the command line asks for.

    Args:
        args (`argparse.Namespace`):
            The options of the comparison, and as `options` those of the runs, which may begin with a file of them.

    Raises:
        `UsageError`: if an option is not known, or makes no sense here.
    """
    options = read_options(args.options)
    for name, instead in _INSTEAD.items():
        if _is_on(options, name):
            raise UsageError(f"{name} is not for a comparison; {instead}.")
    output_dir = value_of(options, "output_dir")
    if output_dir is None:
        raise UsageError("There is no output_dir; pass --output_dir with the folder for the results.")
    methods = _methods(args.methods)
    needs_augmenters = any(method != BASELINE.method for method in methods)
    return Plan(
        methods,
        _augmenters(args.augmenters) if needs_augmenters else {},
        _seeds(args.seeds),
        options,
        Path(output_dir),
        metric=args.metric,
        budget=_time("budget", args.budget),
        limit=_time("cell_limit", args.cell_limit),
        jobs=_jobs(args.jobs, args.launcher),
        launcher=_launcher(args.launcher),
        keep_models=args.keep_models,
        use_cpu=_is_on(options, "use_cpu"),
        overwrite=_is_on(options, "overwrite_output_dir"),
    )


def _methods(text: str) -> list[str]:
    methods = list(listed(text))
    if not methods or len(set(methods)) < len(methods) or not set(methods) <= set(MMEL_LOSSES):
        raise UsageError(f"methods is {text!r}; expected some of {', '.join(MMEL_LOSSES)}, each once.")
    return methods


def _augmenters(text: str) -> dict[str, str]:
    """The augmenters by their names; that of a JSON file is the file's."""
    given = listed(text)
    named = {name if name in NAMES else Path(name).stem: name for name in given}
    if not given or len(named) < len(given):
        raise UsageError(f"augmenters is {text!r}; expected one or more, each with a name of its own.")
    for name, what in named.items():
        if name == BASELINE.method:
            raise UsageError("augmenters has 'none', which stands for no augmenter; that is the method 'none'.")
        if what not in NAMES and not Path(what).is_file():
            raise UsageError(f"augmenters has {what!r}; expected {', '.join(NAMES)}, or a JSON file of yours.")
        if what not in NAMES and name in NAMES:
            raise UsageError(f"augmenters has the file {what!r}, whose name is that of an augmenter; rename it.")
    return named


def _seeds(text: str) -> list[int]:
    """`5` is 1 to 5, and `3,7` are these."""
    parts = listed(text)
    if not parts or not all(part.isdecimal() for part in parts) or parts == ("0",):
        raise UsageError(f"seeds is {text!r}; expected how many, such as 5, or which ones, such as 3,7,9.")
    if not all(map(is_seed, parts)) or len(set(map(int, parts))) < len(parts):
        raise UsageError(f"seeds is {text!r:.60}; expected each once, and none above {MAX_SEED}.")
    seeds = list(map(int, parts))
    if "," in text:
        return seeds
    if seeds[0] > _MAX_NUM_SEEDS:
        raise UsageError(
            f"seeds is {text!r}, which asks for so many, and at most {_MAX_NUM_SEEDS} can be; the single seed of this "
            f"number is '{text},'."
        )
    return list(range(1, seeds[0] + 1))


def _time(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if parts is None or not 0 < float(parts[1]) < _MAX_TIME:
        raise UsageError(f"{name} is {text!r:.60}; expected a time such as 90s, 30m or 2h.")
    return float(parts[1]) * _SECONDS[parts[2]]


def _jobs(jobs: int | None, launcher: str | None) -> int | None:
    if jobs is not None and not 1 <= jobs <= _MAX_NUM_JOBS:
        raise UsageError(f"jobs is {jobs}; expected a whole number from 1 to {_MAX_NUM_JOBS}.")
    if launcher is not None and jobs not in (None, 1):
        raise UsageError("jobs is for runs of one process; with a launcher the runs go one after the other.")
    return jobs


def _launcher(text: str | None) -> list[str]:
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise UsageError(f"launcher is {text!r}, whose quotes do not match: {error}.") from None
    if text is not None and (not words or shutil.which(words[0]) is None):
        raise UsageError(f"launcher is {text!r}; expected a command such as 'accelerate launch --multi_gpu'.")
    return words


def _is_on(options: Sequence[str], name: str) -> bool:
    """Whether an option is given; `--name=False`, which stands for an entry of a file, is as if it were not."""
    given = [option for option in options if option[2:].partition("=")[0].replace("-", "_") == name]
    return bool(given) and given[-1].startswith("--") and not given[-1].lower().endswith("=false")
