"""What is compared: the options of a comparison, its grid of runs, and the checks before the first run."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from augment.registry import WITH_MODEL, WITH_WORDS

from ..cli import run as cli
from ..cli.arguments import Arguments
from ..cli.errors import UsageError
from ..cli.fingerprint import CONTENT, arguments_of, contents_of
from ..cli.hub import name_of_data
from ..cli.metrics import listed_scores, majority_guess, score_names
from ..cli.model import load_config
from ..cli.parser import read_options, value_of, without_options
from ..cli.seeds import leading_metric, less_is_better
from ..training_args import MMEL_LOSSES
from .attacking import AttackOptions, read_attack_options
from .methods import METHODS, is_on, options_of_method
from .options import (
    COLUMN,
    MAX_NUM_JOBS,
    read_augmenters,
    read_launcher,
    read_methods,
    read_seconds,
    read_seeds,
)


RUNS_FOLDER = "cells"
# Options that a comparison refuses, and what to do instead.
_REFUSED = {
    "mmel_loss": "pass --methods",
    "save_eval_predictions": "predictions are always kept",
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


class Setting(NamedTuple):
    """What is compared, a row of the table. The method "none" and other rivals of MMEL have no augmenter to choose."""

    method: str
    augmenter: str | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, self))


BASELINE = Setting("none")
TEMPERATURE = Setting("temperature")  # is not trained


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
    has_one_class: bool = False  # whether each example has one class
    data: str = ""  # the name of the data for readers

    @property
    def name(self) -> str:
        """The name of the metric for readers."""
        return self.metric.removeprefix("eval_")

    @property
    def is_accuracy(self) -> bool:
        return self.name.removesuffix("_mm") == "accuracy"

    @property
    def is_tested(self) -> bool:
        """Whether there is a paired test over the examples."""
        return self.has_one_class and self.is_accuracy

    @property
    def split_suffix(self) -> str:
        """That of the second validation set of MNLI, if the metric is of this set."""
        return "_mm" if self.metric.endswith("_mm") else ""


@dataclass
class Plan:
    """A comparison, as the command line asks for it."""

    methods: list[str]  # names in `METHODS`
    augmenters: dict[str, str]  # the value of `--augmenter` for each name
    seeds: list[int]  # in the order in which they are run
    options: list[str]  # that all runs share
    output_dir: Path
    metric: str | None = None
    budget: float = math.inf  # seconds for all runs
    time_limit: float = math.inf  # seconds for one run
    jobs: int | None = None  # runs at a time
    launcher: list[str] = field(default_factory=list)  # the command that starts a module; empty for this Python
    keep_models: bool = False
    attack: AttackOptions | None = None  # of each trained model
    use_cpu: bool = False
    overwrite: bool = False

    @property
    def settings(self) -> list[Setting]:
        """
        The settings in the order of the table: `none` first, then the other methods without a choice of the augmenter,
        then all other methods of each augmenter.
        """
        single = [Setting(method) for method in self.methods if not METHODS[method].has_augmenter]
        single.sort(key=lambda setting: setting != BASELINE)
        methods = [method for method in self.methods if METHODS[method].has_augmenter]
        return [*single, *(Setting(method, augmenter) for augmenter in self.augmenters for method in methods)]

    @property
    def runs(self) -> list[Run]:
        """The grid, seed by seed: at any time all settings have been trained with the same seeds, except for one."""
        return [Run(setting, seed) for seed in self.seeds for setting in self.settings if setting != TEMPERATURE]

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
        options = options_of_method(run.setting.method, options)
        own = ["--seed", str(run.seed), "--output_dir", str(self.folder(run)), "--save_eval_predictions"]
        return [*_DEFAULTS, *options, *own, "--do_train", "--do_eval", "--overwrite_output_dir"]

    def command(self, run: Run) -> list[str]:
        """The command that trains."""
        return [*(self.launcher or [sys.executable]), "-m", "hf_mmel.cli", *self.options_of(run)]

    def attack_command(self, run: Run) -> list[str]:
        """The command that attacks the trained model."""
        assert self.attack is not None
        options = self.attack.options(self.options)
        return [sys.executable, "-m", "hf_mmel", "attack", str(self.folder(run)), *options]


def read_plan(args: argparse.Namespace) -> Plan:
    """
    The comparison that the command line asks for; `args.options` are the options that the runs share, which may begin
    with a file of options. A `UsageError` says which option is out of range, or not for a comparison.
    """
    options = read_options(args.options)
    for name, instead in _REFUSED.items():
        if is_on(options, name):
            raise UsageError(f"{name} is not for a comparison; {instead}.")
    output_dir = value_of(options, "output_dir")
    if output_dir is None:
        raise UsageError("There is no output_dir; pass --output_dir with the folder for the results.")
    methods = read_methods(args.methods, options)
    if args.jobs is not None and not 1 <= args.jobs <= MAX_NUM_JOBS:
        raise UsageError(f"jobs is {args.jobs}; expected a whole number from 1 to {MAX_NUM_JOBS}.")
    if args.launcher is not None and args.jobs not in (None, 1):
        raise UsageError(f"jobs is {args.jobs}, but with a launcher the runs go one after the other; leave one out.")
    augmenters: dict[str, str] = {}
    if any(METHODS[method].has_augmenter for method in methods):
        names = _default_augmenter(options) if args.augmenters is None else args.augmenters
        augmenters = read_augmenters(names, value_of(options, "variants_column"))
    return Plan(
        methods,
        augmenters,
        read_seeds(args.seeds),
        options,
        Path(output_dir),
        metric=args.metric,
        budget=read_seconds("budget", args.budget),
        time_limit=read_seconds("cell_limit", args.cell_limit),
        jobs=args.jobs,
        launcher=read_launcher(args.launcher),
        keep_models=args.keep_models,
        attack=read_attack_options(args),
        use_cpu=is_on(options, "use_cpu"),
        overwrite=is_on(options, "overwrite_output_dir"),
    )


def check(plan: Plan) -> tuple[Criterion, dict[str, Any]]:
    """
    Parses the arguments of each setting, and loads data and augmenters as the runs will do. A `UsageError` says what a
    run would refuse. Returns what the runs are compared by, and the arguments that all results depend on.
    """
    seed = plan.seeds[0]
    runs = [run for run in plan.runs if run.seed == seed]
    parsed = {run.setting: cli.parse_arguments([*plan.options_of(run), *_CHECK_OPTIONS]) for run in runs}
    # The arguments that all runs share are those of a method without arguments of its own.
    plain = next((setting for setting in parsed if setting.method in MMEL_LOSSES), BASELINE)
    if plain not in parsed:
        parsed[plain] = cli.parse_arguments([*plan.options_of(Run(plain, seed)), *_CHECK_OPTIONS])
    args = parsed[plain]
    by_augmenter = {run_args.augmenter.augmenter: run_args for run_args in parsed.values() if _has_variants(run_args)}
    for run_args in [*by_augmenter.values(), *([args] if not _has_variants(args) else [])]:
        prepared = cli.prepare(run_args)
    needs_classes = plan.attack is not None or TEMPERATURE.method in plan.methods
    if needs_classes and prepared.labels.problem_type != "single_label_classification":
        what = "--attack" if plan.attack is not None else "the method temperature"
        kind = prepared.labels.problem_type.removesuffix("_classification").replace("_", "-")
        raise UsageError(f"The labels are those of {kind}, and {what} needs one class for each example; leave it out.")
    if plan.attack is not None:
        plan.attack.check(plan.options_of(Run(BASELINE, seed)))
    arguments = arguments_of(args) | contents_of(args)
    arguments = {name: value for name, value in arguments.items() if name not in _VARIED_ARGUMENTS}
    return _criterion(plan, prepared, args), arguments | {"launcher": " ".join(plan.launcher)}


def _criterion(plan: Plan, prepared: cli.Prepared, args: Arguments) -> Criterion:
    labels, compute_metrics = prepared.labels, prepared.compute_metrics
    splits = [data for name, data in prepared.encoded.items() if name.startswith("validation")]
    assert compute_metrics is not None  # with --do_eval
    names = score_names(compute_metrics, splits[0], labels.num_outputs)
    # The scores of the second validation set of MNLI end in `_mm`.
    names = [name + suffix for suffix in ("", "_mm")[: len(splits)] for name in names]
    # Read from the options, since `TrainingArguments` fill in defaults for both.
    best_metric = value_of(plan.options, "metric_for_best_model")
    named = plan.metric or best_metric
    metric = leading_metric(names, named)
    if metric not in names:
        raise UsageError(f"metric is {named!r}; expected one of {listed_scores(names)}.")
    smoothed = {"label_smoothing", TEMPERATURE.method}.intersection(plan.methods)
    if metric.removesuffix("_mm") == "eval_loss" and smoothed:
        raise UsageError(
            f"metric is 'loss', which is not comparable for {' and '.join(sorted(smoothed))}; expected one of "
            f"{listed_scores(names).removesuffix(', loss')}. The log loss of all settings is in the results as well."
        )
    decides_best = best_metric is not None and metric == leading_metric(names, best_metric)
    lower_is_better = less_is_better(metric, args.training.greater_is_better if decides_best else None)
    guess = majority_guess(compute_metrics, splits[metric.endswith("_mm")], labels)
    guess_score = guess.scores.get(metric.removesuffix("_mm"))
    has_one_class = labels.problem_type == "single_label_classification"
    return Criterion(metric, lower_is_better, guess.name, guess_score, has_one_class, name_of_data(args.data))


def _has_variants(args: Arguments) -> bool:
    return args.training.mmel_loss != BASELINE.method


def _default_augmenter(options: Sequence[str]) -> str:
    args = cli.parse_arguments([*_DEFAULTS, *options, "--do_train"])
    if args.augmenter.variants_column is not None:
        return COLUMN
    args.augmenter.choose(load_config(args.model))
    return args.augmenter.augmenter
