"""Checks before a training run of what would fail in the middle of it."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from datasets import Dataset
from transformers import Trainer, TrainingArguments

from ..argument_groups import Range
from ..hub.redaction import without_tokens
from ..unlabeled_data import check_unlabeled_loss
from .arguments import MAX_SEED, Arguments
from .errors import UsageError, errno_of, usage_errors
from .metrics import ComputeMetrics, is_time, leading_metric, listed_scores, score_names


logger = logging.getLogger(__name__)

_BATCH_SIZES = ("per_device_train_batch_size", "per_device_eval_batch_size")
_STEPS = ("gradient_accumulation_steps", "eval_accumulation_steps")
_SIZES = ("learning_rate", "weight_decay", "adam_epsilon", "warmup_steps", "neftune_noise_alpha")
# Numbers that `Trainer` passes on unchecked.
RANGES: tuple[Range, ...] = (
    ((*_BATCH_SIZES, *_STEPS), lambda value: value >= 1, "a whole number >= 1"),
    (("dataloader_num_workers",), lambda value: value >= 0, "a whole number >= 0"),
    (("seed", "data_seed"), lambda value: 0 <= value <= MAX_SEED, f"a whole number from 0 to {MAX_SEED}"),
    (_SIZES, lambda value: 0 <= value < math.inf, "a finite number >= 0"),
    (("max_grad_norm",), lambda value: value >= 0, "a number >= 0, inf for none"),
    (("adam_beta1", "adam_beta2"), lambda value: 0 <= value < 1, "a number in [0, 1)"),
    (("label_smoothing_factor",), lambda value: 0 <= value <= 1, "a number in [0, 1]"),
    (("num_train_epochs",), math.isfinite, "a finite number"),
)


def check_combinations(args: Arguments) -> None:
    """Raises a `ValueError` if arguments do not fit together, or the name of the output folder cannot be used."""
    data, run, training = args.data, args.run, args.training
    if not (training.do_train or training.do_eval or training.do_predict):
        raise ValueError("There is nothing to do; pass --do_train, --do_eval or --do_predict, or several of them.")
    # Tokenizers need a name in UTF-8. Python keeps other bytes of file names as characters that cannot be encoded.
    if "\0" in training.output_dir or training.output_dir.encode(errors="replace").decode() != training.output_dir:
        raise ValueError(f"output_dir is {training.output_dir!a}; expected a name in UTF-8, without zero bytes.")
    if data.unlabeled() and training.do_train and training.lambda_u and training.unlabeled_ratio:
        augmenter = args.augmenter
        has_variants = augmenter.augmenter != "none" or augmenter.variants_column is not None
        check_unlabeled_loss(training, has_variants or augmenter.adversary() is not None)
    if run.seeds is not None and not training.do_train:
        raise ValueError("seeds is for training; pass --do_train, or leave out --seeds.")
    teacher = args.model.teacher_model_name_or_path
    if (teacher is None) == (training.soft_labels == "teacher"):
        expected = "a teacher; pass --teacher_model_name_or_path" if teacher is None else "--soft_labels teacher"
        raise ValueError(
            f"soft_labels is {training.soft_labels!r} and teacher_model_name_or_path is {teacher!r}; expected "
            f"{expected}, or leave both out."
        )
    for name in ("resume_from_checkpoint", "push_to_hub") if run.seeds is not None else ():
        if getattr(training, name):
            raise ValueError(
                f"{name} is for a single training run, and there are {len(run.seeds or ())} seeds; leave it out. Each "
                "seed resumes from its own last checkpoint, and its folder is a model that can be pushed."
            )
    if training.label_names not in (None, ["labels"]):
        raise ValueError(
            f"label_names is {training.label_names}; expected labels alone, the input of the model that holds the "
            "labels. Leave it out: classes have their names from the data, in the column of --label_column_name."
        )
    if not training.eval_do_concat_batches:
        raise ValueError("Scores and predictions need all batches together; leave out eval_do_concat_batches.")
    if training.do_predict and training.prediction_loss_only:
        raise ValueError("prediction_loss_only leaves no predictions to write; leave it out, or --do_predict.")
    if run.glue_submission is None:
        return
    if run.seeds is not None:
        raise ValueError(
            "glue_submission takes the predictions of one model, and --seeds trains several; predict with one of them "
            "afterwards: --model_name_or_path OUTPUT_DIR/seed-N --do_predict --glue_submission."
        )
    if not training.do_predict or data.task_name is None:
        raise ValueError("glue_submission takes the predictions for a GLUE task; pass --task_name and --do_predict.")
    if data.max_predict_samples is not None:
        raise ValueError("The leaderboard takes predictions for all examples; leave out --max_predict_samples.")


def examples_per_batch(args: TrainingArguments) -> int:
    """The training examples in a batch of all processes together."""
    split_batches = getattr(args.accelerator_config, "split_batches", False)
    return args.train_batch_size * (1 if split_batches else args.world_size)


def check_full_batch(args: TrainingArguments, num_examples: int) -> None:
    """Raises a `ValueError` if `dataloader_drop_last` drops all training examples, as they do not fill a batch."""
    size = examples_per_batch(args)
    if args.dataloader_drop_last and num_examples < size:
        raise ValueError(
            f"There are {num_examples} training examples, and a batch of all processes has {size}, so that "
            "dataloader_drop_last leaves none; leave it out, or pass a smaller --per_device_train_batch_size."
        )


def check_weights(args: TrainingArguments, dtype: torch.dtype) -> None:
    """Raises a `ValueError` if `fp16`, which scales gradients, is to train float16 weights; it needs float32 ones."""
    if args.fp16 and dtype == torch.float16:
        raise ValueError(
            "fp16 computes in float16 and needs float32 weights, but --dtype keeps them in float16; leave out --dtype."
        )


def check_best_metric(
    args: TrainingArguments, compute_metrics: ComputeMetrics, dataset: Dataset, num_outputs: int
) -> None:
    """Raises a `ValueError` if no evaluation has `metric_for_best_model`, which `Trainer` looks up only after one."""
    named = args.metric_for_best_model
    if not args.do_train or named is None or args.eval_strategy == "no" or is_time(named):
        return
    try:
        names = ["eval_loss"] if args.prediction_loss_only else score_names(compute_metrics, dataset, num_outputs)
    except Exception:  # some scores need more examples
        return
    if leading_metric(names, named) not in names:
        raise ValueError(f"metric_for_best_model is {named!r}; expected one of {listed_scores(names)}.")


@contextmanager
def first_step_errors(trainer: Trainer, first_step: int) -> Iterator[None]:
    """
    Turns errors of the block into a `UsageError` of one line if training, which begins at `first_step`, has not taken
    a step yet: `Trainer` makes the optimizer, the schedule and the data loaders only then. Does the same if training
    diverges.
    """
    try:
        with usage_errors(FloatingPointError):
            yield
    except Exception as error:
        is_clear = isinstance(error, UsageError) or errno_of(error) is not None
        if is_clear or trainer.state.global_step > first_step:
            raise
        logger.debug("Training cannot begin.", exc_info=True)
        reason = without_tokens(" ".join(f"{type(error).__name__}: {error}".split())).rstrip(".")
        raise UsageError(f"Training cannot begin: {reason}; --log_level debug shows where.") from error
