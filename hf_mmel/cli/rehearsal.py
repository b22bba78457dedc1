"""What a training would fail on later is looked for before it: the score it goes by, and all of its first step."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from datasets import Dataset
from transformers import EvalPrediction, Trainer, TrainingArguments

from ..hub.redaction import without_tokens
from .saving import errno_of
from .seeds import is_speed, leading_metric, scores_among
from .usage import UsageError


logger = logging.getLogger(__name__)

_FEW = 8


def score_names(
    compute_metrics: Callable[[EvalPrediction], dict[str, float]], dataset: Dataset, num_outputs: int
) -> list[str]:
    """The names of the metrics of an evaluation, found by scoring answers that are drawn."""
    labels = np.array(dataset[:_FEW]["label"])
    logits = np.random.default_rng(0).normal(size=(len(labels), num_outputs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scores that so few examples do not have
        scores = compute_metrics(EvalPrediction(predictions=logits, label_ids=labels))
    return ["eval_loss", *(f"eval_{name}" for name in scores)]


def check_best_metric(
    args: TrainingArguments,
    compute_metrics: Callable[[EvalPrediction], dict[str, float]],
    dataset: Dataset,
    num_outputs: int,
) -> None:
    """
    Checks `metric_for_best_model`, which `Trainer` looks for only after an evaluation.

    Raises:
        `ValueError`: if no evaluation has such a score.
    """
    named = args.metric_for_best_model
    if not args.do_train or named is None or args.eval_strategy == "no" or is_speed(named):
        return
    try:
        names = ["eval_loss"] if args.prediction_loss_only else score_names(compute_metrics, dataset, num_outputs)
    except Exception:  # some scores there are only of more examples
        return
    if leading_metric(names, named) not in names:
        raise ValueError(f"metric_for_best_model is {named!r}; expected one of {listed_scores(names)}.")


def listed_scores(names: list[str]) -> str:
    """Scores and the loss, as an option names them."""
    return ", ".join(name.removeprefix("eval_") for name in [*scores_among(names), "eval_loss"])


@contextmanager
def first_step_errors(trainer: Trainer, begins_at: int) -> Iterator[None]:
    """
    What fails in the block before a first step has been made becomes a `UsageError`, whose message is one line: an
    optimizer, a schedule, a kernel or a data loader that `Trainer` only makes then. So does a training that diverges.

    Args:
        trainer ([`~transformers.Trainer`]): Trains in the block.
        begins_at (`int`): The step that it goes on from.
    """
    try:
        yield
    except FloatingPointError as error:
        raise UsageError(" ".join(str(error).split())) from error
    except Exception as error:
        is_told = isinstance(error, UsageError) or errno_of(error) is not None
        if is_told or trainer.state.global_step > begins_at:
            raise
        logger.debug("The training cannot begin.", exc_info=True)
        reason = without_tokens(" ".join(f"{type(error).__name__}: {error}".split())).rstrip(".")
        raise UsageError(f"The training cannot begin: {reason}; --log_level debug shows where.") from error
