"""What is told of a training without asking its model: arguments, curves, scores."""

from __future__ import annotations

import importlib.metadata
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from pathlib import Path
from typing import Any

from transformers import TrainerState, TrainingArguments

from ..hub.model_card import METHODS, objective_settings
from ..hub.redaction import plain_config, without_folders
from ..monitoring.history import history_of
from ..training_args import MMELTrainingArguments


# Where things are, and what does not change a result.
_NOT_TOLD = ("output_dir", "run_name", "logging_dir", "report_to", "use_cpu", "tf32", "resume_from_checkpoint")
_NOT_TOLD += ("do_train", "do_eval", "do_predict", "disable_tqdm")
_PACKAGES = ("hf_mmel", "transformers", "torch", "datasets", "tokenizers", "numpy")


@dataclass
class Facts:
    """
    A training without its model.

    Attributes:
        name (`str`): That of the model.
        dataset (`str`, *optional*): What it was trained on.
        scores (`dict[str, float]`): Those of the final model.
        log (`list[dict]`): `log_history` of the trainer's state.
        weight_histograms, hardest (`list[dict]`): What the training kept of its variants, see [`VariantHistory`].
        method (`str`, *optional*): The objective, `None` where there were no variants.
        settings (`dict`): The objective's arguments.
        augmenter (`dict`, *optional*): Its configuration, for readers.
        adversary (`dict`, *optional*): That of the adversarial variants.
        arguments (`dict`): Those that differ from the defaults.
        command (`str`, *optional*): The command that trained the model.
    """

    name: str
    dataset: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    log: list[dict[str, Any]] = field(default_factory=list)
    weight_histograms: list[dict[str, Any]] = field(default_factory=list)
    hardest: list[dict[str, Any]] = field(default_factory=list)
    method: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    augmenter: dict[str, Any] | None = None
    adversary: dict[str, Any] | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    command: str | None = None

    @property
    def formula(self) -> str | None:
        return METHODS.get(self.method)

    @property
    def num_weighed(self) -> int | None:
        """Weights in a group whose variants are all there; `None` where that is not known."""
        if "num_variants" not in self.settings:
            return None
        return self.settings["num_variants"] + self.settings["reweight_original"]

    @property
    def augmenter_name(self) -> str | None:
        return None if self.augmenter is None else self.augmenter["class"]

    @property
    def makers(self) -> list[dict[str, Any]]:
        """The configurations of what made variants."""
        return [maker for maker in (self.augmenter, self.adversary) if maker is not None]

    @property
    def versions(self) -> dict[str, str]:
        """Those that the report was written with."""
        versions = {"Python": sys.version.split()[0]}
        for package in _PACKAGES:
            try:
                versions[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:  # run from a checkout
                versions[package] = getattr(sys.modules.get(package), "__version__", "unknown")
        return versions

    def curve(self, name: str) -> dict[float, float]:
        """A logged figure by its steps, where it is a finite number."""
        logged = {logs["step"]: logs[name] for logs in self.log if isinstance(logs.get(name), Real)}
        return {step: value for step, value in logged.items() if math.isfinite(value)}

    def late(self, name: str) -> float | None:
        """The mean of a logged figure over the last quarter of the training."""
        curve = self.curve(name)
        values = [value for step, value in curve.items() if step >= 0.75 * max(curve)]
        return sum(values) / len(values) if values else None

    def last(self, name: str) -> float | None:
        """The last value of a logged figure."""
        return next(reversed(self.curve(name).values()), None)


def collect_facts(
    output_dir: str | Path,
    args: TrainingArguments | None,
    state: TrainerState | None,
    augmenter: Mapping[str, Any] | None = None,
    num_variants: int | None = None,
    adversary: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Facts:
    """
    The facts of a training.

    Args:
        output_dir (`str` or `Path`): Whose name the model has.
        args ([`~transformers.TrainingArguments`], *optional*): Those of the training.
        state ([`~transformers.TrainerState`], *optional*): What the training wrote down.
        augmenter (`Mapping`, *optional*): The configuration of the augmenter.
        num_variants (`int`, *optional*): K of the augmenter, where it is not that of the arguments.
        adversary (`Mapping`, *optional*): The configuration of the adversarial variants.
        **facts: Others of [`Facts`].
    """
    if getattr(args, "mmel_loss", None) == "none":
        adversary = None
    log = [] if state is None else state.log_history
    weight_histograms, hardest = ([], []) if state is None else history_of(state)
    has_variants = bool(augmenter or adversary) or any("mmel/loss_variants" in logs for logs in log)
    if has_variants and isinstance(args, MMELTrainingArguments) and args.mmel_loss != "none":
        of_each = 0 if augmenter is None else num_variants or args.num_variants
        of_each += 0 if adversary is None else adversary["num_variants"]
        facts |= {"method": args.mmel_loss, "settings": objective_settings(args, of_each)}
    return Facts(
        name=Path(output_dir).resolve().name,
        log=log,
        weight_histograms=weight_histograms,
        hardest=hardest,
        augmenter=None if augmenter is None else plain_config(dict(augmenter)),
        adversary=None if adversary is None else dict(adversary),
        arguments={} if args is None else _changed(args),
        **facts,
    )


def hardest_by_epoch(hardest: Sequence[Mapping[str, Any]]) -> dict[float, list[Mapping[str, Any]]]:
    """The hardest variants of each epoch, the last epoch first."""
    epochs = sorted({row["epoch"] for row in hardest}, reverse=True)
    return {epoch: [row for row in hardest if row["epoch"] == epoch] for epoch in epochs}


def _changed(args: TrainingArguments) -> dict[str, str]:
    """Plain arguments with another value than their default, without tokens and folders."""
    known = MMELTrainingArguments if isinstance(args, MMELTrainingArguments) else TrainingArguments
    defaults = known(args.output_dir, use_cpu=args.use_cpu)  # some defaults depend on the device
    changed = {}
    for name in (argument.name for argument in fields(known)):
        value, hidden = getattr(args, name), name in _NOT_TOLD or name.endswith("token")
        if not hidden and isinstance(value, bool | int | float | str) and value != getattr(defaults, name):
            changed[name] = without_folders(str(getattr(value, "value", value)))
    return changed
