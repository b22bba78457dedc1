"""The attack on each trained model of a comparison, by `python -m hf_mmel attack`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from augment.registry import NAMES, WITH_MODEL, WITH_WORDS, is_class_path

from ..attack.setup import OF_AUGMENTER
from ..cli import run as cli
from ..cli.errors import UsageError
from ..cli.fingerprint import content_of_augmenter
from ..cli.parser import value_of, without_options
from .methods import is_on


class AttackOptions(NamedTuple):
    """The attack on all models: most variants of an example, and what makes them."""

    budget: int
    augmenter: str  # a name, a JSON file, or MODULE:CLASS

    def options(self, shared: Sequence[str]) -> list[str]:
        """The options of the command, given those that the training runs share."""
        flags = [f"--{name}" for name in ("use_cpu", "trust_remote_code") if is_on(shared, name)]
        own = ["--budget", str(self.budget), "--num_shown", "0"]
        return [*self._augmenter(shared), *own, *_given(["token"], shared), *flags]

    def check(self, options: Sequence[str]) -> None:
        """Builds the augmenter, given the options of a run, so that a `UsageError` comes before all training."""
        options = [*without_options(options, OF_AUGMENTER), *self._augmenter(options), "--mmel_loss", "uniform"]
        cli.prepare(cli.parse_arguments([*options, "--dry_run", "--use_cpu", "--tf32", "false"]))

    def to_dict(self) -> dict[str, Any]:
        """What the results depend on, for `compare.json`."""
        return {"attack_budget": self.budget, "attack_augmenter": content_of_augmenter(self.augmenter)}

    def _augmenter(self, shared: Sequence[str]) -> list[str]:
        names = ["augmenter_lang"] if self.augmenter in WITH_WORDS else []
        names += ["augmenter_model"] if self.augmenter in WITH_MODEL else []
        return ["--augmenter", self.augmenter, *_given(names, shared)]


def read_attack_options(args: argparse.Namespace) -> AttackOptions | None:
    """The attack that the command line asks for; `None` without one. A `UsageError` says what is out of range."""
    if not args.attack:
        for name in ("attack_budget", "attack_augmenter"):
            if getattr(args, name) is not None:
                raise UsageError(f"{name} is {getattr(args, name)!r}, but there is no attack; add --attack.")
        return None
    budget = 100 if args.attack_budget is None else args.attack_budget
    augmenter = args.attack_augmenter or "synonyms"
    if budget < 1:
        raise UsageError(f"attack_budget is {budget}; expected a whole number >= 1.")
    is_own = Path(augmenter).is_file() or is_class_path(augmenter)
    if augmenter == "same_text" or (augmenter not in NAMES and not is_own):
        expected = ", ".join(name for name in NAMES if name != "same_text")
        raise UsageError(
            f"attack_augmenter is {augmenter!r}; expected {expected}, your own JSON file, or the MODULE:CLASS of your "
            "own class."
        )
    return AttackOptions(budget, augmenter)


def _given(names: Sequence[str], shared: Sequence[str]) -> list[str]:
    """Those of the named options that are among the shared ones, with their values."""
    values = {name: value_of(shared, name) for name in names}
    return [part for name, value in values.items() if value is not None for part in (f"--{name}", value)]
