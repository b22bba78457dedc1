"""Numbers of `TrainingArguments` that fail in the midst of a run, or that no run is meant to have."""

from __future__ import annotations

import math

from transformers import TrainingArguments

from .run_args import MAX_SEED


_COUNTS = ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps")
_COUNTS += ("eval_accumulation_steps",)
_SEEDS = ("seed", "data_seed")
_WORKERS = ("dataloader_num_workers",)
_SIZES = ("learning_rate", "weight_decay", "adam_epsilon", "warmup_steps", "neftune_noise_alpha")
_DECAYS = ("adam_beta1", "adam_beta2")


def check_ranges(args: TrainingArguments) -> None:
    """
    Checks what `Trainer` hands to the optimizer, the schedule and the data loader as it is.

    Raises:
        `ValueError`: if a number is out of its range.
    """
    for names, holds, expected in (
        (_COUNTS, lambda value: value >= 1, "a whole number >= 1"),
        (_WORKERS, lambda value: value >= 0, "a whole number >= 0"),
        (_SEEDS, lambda value: 0 <= value <= MAX_SEED, f"a whole number from 0 to {MAX_SEED}"),
        (_SIZES, lambda value: 0 <= value < math.inf, "a finite number >= 0"),
        (("max_grad_norm",), lambda value: value >= 0, "a number >= 0, inf for none"),
        (_DECAYS, lambda value: 0 <= value < 1, "a number in [0, 1)"),
        (("label_smoothing_factor",), lambda value: 0 <= value <= 1, "a number in [0, 1]"),
        (("num_train_epochs",), math.isfinite, "a finite number"),
    ):
        for name in names:
            value = getattr(args, name)
            if value is not None and not holds(value):
                raise ValueError(f"{name} is {value}; expected {expected}.")
