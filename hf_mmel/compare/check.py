"""What is looked at before the first cell: arguments, data, augmenters, and which scores there will be."""

from __future__ import annotations

from typing import Any, NamedTuple

from hf_mmel.cli import run as cli

from ..cli.errors import UsageError
from ..cli.fingerprint import CONTENT, arguments_of, content_of_augmenter, contents_of
from ..cli.metrics import leading_metric, less_is_better, listed_scores, score_names
from ..cli.parser import value_of
from .grid import Cell
from .plan import Plan


# No run begins in this process, and it is not to take memory of a GPU from one.
_LOOKING_ONLY = ("--dry_run", "--use_cpu", "--tf32", "false")
_BY_CELL = ("mmel_loss", "augmenter", f"{CONTENT}augmenter", "use_cpu", "tf32")


class Checked(NamedTuple):
    """
    What is known of the runs.

    Attributes:
        arguments (`dict`): What they have in common and their results depend on.
        metric (`str`): The score that they are compared by.
        less_is_better (`bool`): Whether it is an error or a loss.
    """

    arguments: dict[str, Any]
    metric: str
    less_is_better: bool


def check(plan: Plan) -> Checked:
    """
    Parses the arguments of each kind, and prepares data and augmenters as the runs will do.

    Raises:
        `UsageError`: if a run would refuse them, or there is no such score.
    """
    args = cli.parse_arguments([*plan.options_of(plan.cells[0]), *_LOOKING_ONLY])
    training_args = args[-1]
    names: list[str] = []
    augmenters = set()
    for kind in plan.kinds:
        of_kind = cli.parse_arguments([*plan.options_of(Cell(kind, plan.seeds[0])), *_LOOKING_ONLY])
        if kind.augmenter not in augmenters:
            augmenters.add(kind.augmenter)
            names = _score_names(cli.prepare(of_kind))
    # `TrainingArguments` fill in the loss, and whether less is better, where the user has named neither.
    of_best = value_of(plan.options, "metric_for_best_model")
    named = plan.metric or of_best
    metric = leading_metric(names, named)
    if metric not in names:
        raise UsageError(f"metric is {named!r}; expected one of {listed_scores(names)}.")
    arguments = arguments_of(args) | contents_of(args)
    arguments = {name: value for name, value in arguments.items() if name not in _BY_CELL}
    arguments["launcher"] = " ".join(plan.launcher)
    is_of_best = of_best is not None and metric == leading_metric(names, of_best)
    less = less_is_better(metric, training_args.greater_is_better if is_of_best else None)
    return Checked(arguments, metric, less)


def contents_of_augmenters(augmenters: dict[str, str]) -> dict[str, Any]:
    """What the augmenters are: their names, or what their files hold."""
    return {name: content_of_augmenter(what) for name, what in augmenters.items()}


def _score_names(prepared: cli.Prepared) -> list[str]:
    """The names of the metrics of an evaluation; those of MNLI's second validation set end in `_mm`."""
    splits = [name for name in prepared.encoded if name.startswith("validation")]
    names = score_names(prepared.compute_metrics, prepared.encoded[splits[0]], prepared.labels.num_outputs)
    return [name + suffix for suffix in ("", "_mm")[: len(splits)] for name in names]
