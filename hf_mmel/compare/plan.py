"""What is compared: the options of a comparison, its grid of runs, and the checks before the first run."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from augment.registry import NAMES, WITH_MODEL, WITH_WORDS

from ..cli import run as cli
from ..cli.arguments import MAX_SEED, is_seed
from ..cli.data_arguments import listed
from ..cli.errors import UsageError
from ..cli.fingerprint import CONTENT, arguments_of, contents_of
from ..cli.metrics import Guess, listed_scores, majority_guess, score_names
from ..cli.model import load_config
from ..cli.parser import read_options, value_of, without_options
from ..cli.seeds import leading_metric, less_is_better
from ..training_args import MMEL_LOSSES


RUNS_FOLDER = "cells"
COLUMN = "column"  # among the augmenters: the variants of `--variants_column` alone
# Options that a comparison refuses, and what to do instead.
_REFUSED = {
    "mmel_loss": "pass --methods",
    "augmenter": "pass --augmenters",
    "seed": "pass --seeds",
    "seeds": "pass --seeds to compare itself",
    "dry_run": "pass it to run_glue_mmel.py",
    "glue_submission": "it takes the predictions of one model",
    "resume_from_checkpoint": "every run starts from scratch, and finished runs are kept",
    "push_to_hub": "train the method that you choose by itself, and push that model",
}
_DEFAULTS = ("--save_strategy", "no", "--report_to", "none", "--disable_tqdm", "true")  # the user's options override
# Options with the augmenters that accept them; a JSON file holds its augmenter's own values.
_AUGMENTER_OPTIONS = {
    ("augmenter_model",): WITH_MODEL,
    ("replace_prob", "augment_segments", "augmenter_lang"): WITH_WORDS,
}
# The checks run on the CPU, so that they take no GPU memory from the runs.
_CHECK_OPTIONS = ("--dry_run", "--use_cpu", "--tf32", "false")
_VARIED_ARGUMENTS = ("mmel_loss", "augmenter", f"{CONTENT}augmenter", "use_cpu", "tf32")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_MAX_SECONDS = 1e9
_MAX_NUM_SEEDS = _MAX_NUM_JOBS = 1000


class Setting(NamedTuple):
    """What is compared, a row of the table. The method "none" has no variants, and so no augmenter."""

    method: str
    augmenter: str | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, self))


BASELINE = Setting("none")


class Run(NamedTuple):
    """A training run of one setting with one seed."""

    setting: Setting
    seed: int

    def __str__(self) -> str:
        return f"{self.setting}-seed-{self.seed}"


class Criterion(NamedTuple):
    """The metric that runs are compared by, whether a lower value is better, and what a guess scores, if known."""

    metric: str
    lower_is_better: bool
    guess: str = "the majority class"  # the best prediction that is the same for all examples
    guess_score: float | None = None


@dataclass
class Plan:
    """A comparison, as the command line asks for it."""

    methods: list[str]  # values of `mmel_loss`
    augmenters: dict[str, str]  # the value of `--augmenter` for each name
    seeds: list[int]  # in the order in which they are run
    options: list[str]  # that all runs share
    output_dir: Path
    metric: str | None = None
    budget: float | None = None  # seconds for all runs
    time_limit: float | None = None  # seconds for one run
    jobs: int | None = None  # runs at a time
    launcher: list[str] = field(default_factory=list)  # the command that starts a module; empty for this Python
    keep_models: bool = False
    use_cpu: bool = False
    overwrite: bool = False

    @property
    def settings(self) -> list[Setting]:
        """The settings in the order of the table: `none` first, then all methods of each augmenter."""
        baseline = [BASELINE] if BASELINE.method in self.methods else []
        methods = [method for method in self.methods if method != BASELINE.method]
        return [*baseline, *(Setting(method, augmenter) for augmenter in self.augmenters for method in methods)]

    @property
    def runs(self) -> list[Run]:
        """The grid, seed by seed: at any time all settings have been trained with the same seeds, except for one."""
        return [Run(setting, seed) for seed in self.seeds for setting in self.settings]

    def folder(self, run: Run) -> Path:
        return self.output_dir / RUNS_FOLDER / str(run)

    def options_of(self, run: Run) -> list[str]:
        """The options of a run, without those that only the other augmenters accept."""
        options, augmenter = self.options, run.setting.augmenter
        if augmenter is not None:
            for names, accepting in _AUGMENTER_OPTIONS.items():
                if augmenter not in accepting and not set(accepting).isdisjoint(self.augmenters):
                    options = without_options(options, names)
            options = [*options, "--augmenter", self.augmenters[augmenter]]
        own = ["--mmel_loss", run.setting.method, "--seed", str(run.seed), "--output_dir", str(self.folder(run))]
        return [*_DEFAULTS, *options, *own, "--do_train", "--do_eval", "--overwrite_output_dir"]

    def command(self, run: Run) -> list[str]:
        return [*(self.launcher or [sys.executable]), "-m", "hf_mmel.cli", *self.options_of(run)]


def read_plan(args: argparse.Namespace) -> Plan:
    """
    The comparison that the command line asks for; `args.options` are the options that the runs share, which may begin
    with a file of options. A `UsageError` says which option is out of range, or not for a comparison.
    """
    options = read_options(args.options)
    for name, instead in _REFUSED.items():
        if _is_on(options, name):
            raise UsageError(f"{name} is not for a comparison; {instead}.")
    output_dir = value_of(options, "output_dir")
    if output_dir is None:
        raise UsageError("There is no output_dir; pass --output_dir with the folder for the results.")
    methods = list(listed(args.methods))
    if not methods or len(set(methods)) < len(methods) or not set(methods) <= set(MMEL_LOSSES):
        raise UsageError(f"methods is {args.methods!r}; expected some of {', '.join(MMEL_LOSSES)}, each once.")
    if args.jobs is not None and not 1 <= args.jobs <= _MAX_NUM_JOBS:
        raise UsageError(f"jobs is {args.jobs}; expected a whole number from 1 to {_MAX_NUM_JOBS}.")
    if args.launcher is not None and args.jobs not in (None, 1):
        raise UsageError(f"jobs is {args.jobs}, but with a launcher the runs go one after the other; leave one out.")
    augmenters = args.augmenters
    if augmenters is None:
        augmenters = _default_augmenter(options) if methods != [BASELINE.method] else ""
    return Plan(
        methods,
        _augmenters(augmenters, value_of(options, "variants_column")) if methods != [BASELINE.method] else {},
        _seeds(args.seeds),
        options,
        Path(output_dir),
        metric=args.metric,
        budget=_seconds("budget", args.budget),
        time_limit=_seconds("cell_limit", args.cell_limit),
        jobs=args.jobs,
        launcher=_launcher(args.launcher),
        keep_models=args.keep_models,
        use_cpu=_is_on(options, "use_cpu"),
        overwrite=_is_on(options, "overwrite_output_dir"),
    )


def check(plan: Plan) -> tuple[Criterion, dict[str, Any]]:
    """
    Parses the arguments of each setting, and loads data and augmenters as the runs will do. A `UsageError` says what a
    run would refuse. Returns what the runs are compared by, and the arguments that all results depend on.
    """
    runs = [Run(setting, plan.seeds[0]) for setting in plan.settings]
    parsed = [(run, cli.parse_arguments([*plan.options_of(run), *_CHECK_OPTIONS])) for run in runs]
    for run_args in {run.setting.augmenter: run_args for run, run_args in parsed}.values():
        prepared = cli.prepare(run_args)
    names, args = _metric_names(prepared), parsed[0][1]
    # Read from the options, since `TrainingArguments` fill in defaults for both.
    best_metric = value_of(plan.options, "metric_for_best_model")
    named = plan.metric or best_metric
    metric = leading_metric(names, named)
    if metric not in names:
        raise UsageError(f"metric is {named!r}; expected one of {listed_scores(names)}.")
    decides_best = best_metric is not None and metric == leading_metric(names, best_metric)
    lower_is_better = less_is_better(metric, args[-1].greater_is_better if decides_best else None)
    arguments = arguments_of(args) | contents_of(args)
    arguments = {name: value for name, value in arguments.items() if name not in _VARIED_ARGUMENTS}
    guess = _guess(prepared, is_mismatched=metric.endswith("_mm"))
    guess_score = guess.scores.get(metric.removesuffix("_mm"))
    criterion = Criterion(metric, lower_is_better, guess.name, guess_score)
    return criterion, arguments | {"launcher": " ".join(plan.launcher)}


def _metric_names(prepared: cli.Prepared) -> list[str]:
    """The names of the evaluation metrics; those of MNLI's second validation set end in `_mm`."""
    splits = [data for name, data in prepared.encoded.items() if name.startswith("validation")]
    assert prepared.compute_metrics is not None  # with --do_eval
    names = score_names(prepared.compute_metrics, splits[0], prepared.labels.num_outputs)
    return [name + suffix for suffix in ("", "_mm")[: len(splits)] for name in names]


def _guess(prepared: cli.Prepared, is_mismatched: bool) -> Guess:
    splits = [data for name, data in prepared.encoded.items() if name.startswith("validation")]
    assert prepared.compute_metrics is not None  # with --do_eval
    return majority_guess(prepared.compute_metrics, splits[is_mismatched], prepared.labels)


def _default_augmenter(options: Sequence[str]) -> str:
    args = cli.parse_arguments([*_DEFAULTS, *options, "--do_train"])
    if args.augmenter.variants_column is not None:
        return COLUMN
    args.augmenter.choose(load_config(args.model))
    return args.augmenter.augmenter


def _augmenters(text: str, variants_column: str | None) -> dict[str, str]:
    """
    The augmenters by their names; a JSON file is named after the file. If there is a `variants_column`, `COLUMN` names
    its variants alone.
    """
    values = listed(text)
    augmenters = {value if value in NAMES else Path(value).stem: value for value in values}
    if variants_column is not None and augmenters.get(COLUMN) == COLUMN:
        augmenters[COLUMN] = "none"
    if not values or len(augmenters) < len(values):
        raise UsageError(f"augmenters is {text!r}; expected one or more, each with a name of its own.")
    for name, value in augmenters.items():
        if name == COLUMN and value == "none":
            continue
        if name == BASELINE.method:
            raise UsageError("augmenters has 'none'; to train without an augmenter, add 'none' to --methods.")
        if value not in NAMES and not Path(value).is_file():
            raise UsageError(
                f"augmenters has {value!r}; expected {', '.join(NAMES)}, your own JSON file, or {COLUMN!r} with "
                "--variants_column."
            )
        if value not in NAMES and name in NAMES:
            raise UsageError(f"augmenters has the file {value!r}, but {name} is an augmenter; rename the file.")
    return augmenters


def _seeds(text: str) -> list[int]:
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


def _seconds(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if parts is None or not 0 < float(parts[1]) < _MAX_SECONDS:
        raise UsageError(f"{name} is {text!r:.60}; expected a time such as 90s, 30m or 2h.")
    return float(parts[1]) * _SECONDS[parts[2]]


def _launcher(text: str | None) -> list[str]:
    try:
        words = shlex.split(text or "")
    except ValueError as error:
        raise UsageError(f"launcher is {text!r}, whose quotes do not match: {error}.") from None
    if text is not None and (not words or shutil.which(words[0]) is None):
        raise UsageError(f"launcher is {text!r}; expected a command such as 'accelerate launch --multi_gpu'.")
    return words


def _is_on(options: Sequence[str], name: str) -> bool:
    """Whether an option is given; `--name=False`, which an options file yields for `false`, counts as not given."""
    given = [option for option in options if option.partition("=")[0].replace("-", "_") == f"__{name}"]
    return bool(given) and not given[-1].lower().endswith("=false")
