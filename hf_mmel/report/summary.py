"""What a report says of a training run without its model: arguments, curves, scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from numbers import Real
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import TrainerState, TrainingArguments

from ..hub.model_card import METHODS, objective_settings
from ..hub.redaction import plain_config, without_folders
from ..monitoring.history import history_of
from ..training_args import MMELTrainingArguments


# Folders, and arguments that do not change a result.
_HIDDEN = (
    *("output_dir", "run_name", "logging_dir", "report_to", "use_cpu", "tf32", "resume_from_checkpoint"),
    *("do_train", "do_eval", "do_predict", "disable_tqdm"),
)


@dataclass
class RunSummary:
    """A training run without its model."""

    name: str
    dataset: str | None = None
    scores: dict[str, float] = field(default_factory=dict)  # of the final model
    log: list[dict[str, Any]] = field(default_factory=list)  # `log_history` of the trainer's state
    weight_histograms: list[dict[str, Any]] = field(default_factory=list)  # as in `VariantHistory`
    hardest: list[dict[str, Any]] = field(default_factory=list)  # as in `VariantHistory`
    method: str | None = None  # `mmel_loss`; `None` without variants
    settings: dict[str, Any] = field(default_factory=dict)  # the arguments of the objective
    augmenter: dict[str, Any] | None = None  # the configuration, for readers
    adversary: dict[str, Any] | None = None  # the configuration of the adversarial variants
    arguments: dict[str, Any] = field(default_factory=dict)  # that differ from the defaults
    command: str | None = None  # that trained the model

    @property
    def formula(self) -> str | None:
        return None if self.method is None else METHODS.get(self.method)

    @property
    def num_weights(self) -> int | None:
        """The number of weights in a group that has all its variants; `None` if unknown."""
        if "num_variants" not in self.settings:
            return None
        return self.settings["num_variants"] + self.settings["reweight_original"]

    def curve(self, name: str) -> dict[float, float]:
        """A logged metric by its steps, where it is a finite number."""
        logged = {logs["step"]: logs[name] for logs in self.log if isinstance(logs.get(name), Real)}
        return {step: value for step, value in logged.items() if math.isfinite(value)}

    def late_mean(self, name: str) -> float | None:
        """The mean of a logged metric over the last quarter of training."""
        curve = self.curve(name)
        return fmean(value for step, value in curve.items() if step >= 0.75 * max(curve)) if curve else None

    def last(self, name: str) -> float | None:
        """The last value of a logged metric."""
        return next(reversed(self.curve(name).values()), None)


def summarize_run(
    output_dir: str | Path,
    args: TrainingArguments | None,
    state: TrainerState | None,
    augmenter: Mapping[str, Any] | None = None,
    num_variants: int | None = None,
    adversary: Mapping[str, Any] | None = None,
    **others: Any,
) -> RunSummary:
    """
    The summary of a training run that is named after its `output_dir`. `augmenter` and `adversary` are configurations,
    `num_variants` is K of the augmenter if it is not the one in `args`, and `others` are fields of `RunSummary`.
    """
    if getattr(args, "mmel_loss", None) == "none":
        adversary = None
    log = [] if state is None else state.log_history
    weight_histograms, hardest = ([], []) if state is None else history_of(state)
    has_variants = bool(augmenter or adversary) or any("mmel/loss_variants" in logs for logs in log)
    if has_variants and isinstance(args, MMELTrainingArguments) and args.mmel_loss != "none":
        total = 0 if augmenter is None else num_variants or args.num_variants
        total += 0 if adversary is None else adversary["num_variants"]
        others |= {"method": args.mmel_loss, "settings": objective_settings(args, total, log)}
    return RunSummary(
        name=Path(output_dir).resolve().name,
        log=log,
        weight_histograms=weight_histograms,
        hardest=hardest,
        augmenter=None if augmenter is None else plain_config(dict(augmenter)),
        adversary=None if adversary is None else dict(adversary),
        arguments={} if args is None else _changed_arguments(args),
        **others,
    )


def _changed_arguments(args: TrainingArguments) -> dict[str, str]:
    """Plain arguments that differ from their defaults, without tokens and folders."""
    known = MMELTrainingArguments if isinstance(args, MMELTrainingArguments) else TrainingArguments
    defaults = known(str(args.output_dir), use_cpu=args.use_cpu)  # some defaults depend on the device
    changed = {}
    for name in (argument.name for argument in fields(known)):
        value, is_shown = getattr(args, name), name not in _HIDDEN and not name.endswith("token")
        if is_shown and isinstance(value, bool | int | float | str) and value != getattr(defaults, name):
            changed[name] = without_folders(str(getattr(value, "value", value)))
    return changed
