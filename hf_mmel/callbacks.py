"""Callbacks of training on variants: new variants and searches at the beginning of epochs, and the progress bar."""

import logging
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import ProgressCallback, Trainer, TrainerCallback

from .data.group_collator import GroupCollator
from .search import search_variants
from .step.scoring import ScoreCache


logger = logging.getLogger(__name__)

_SHOWN_IN_BAR = {
    "original": "mmel/loss_original",
    "variants": "mmel/loss_variants",
    "effective": "mmel/effective_num_variants",
    "variants/s": "mmel/variants_per_second",
}


class CollatorCallback(TrainerCallback):
    """A callback that needs the collator of the training examples, which `MMELTrainer` sets."""

    newest_collator: GroupCollator | None = None  # of the newest data loader, which a callback may ask for as well


class EpochCallback(CollatorCallback):
    """
    Tells the collator which epoch begins, since `Trainer` tells only samplers and datasets, and clears the scores when
    new variants are drawn.
    """

    def __init__(self, scores: ScoreCache):
        self.scores = scores

    def on_train_begin(self, args, state, control, **kwargs):
        self.collator = self.newest_collator
        self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch
        self.scores.clear()

    def on_train_end(self, args, state, control, **kwargs):
        self.scores.clear()

    def on_epoch_begin(self, args, state, control, **kwargs):
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        if self.collator is None:
            return
        self.collator.set_epoch(epoch)
        if epoch % self.collator.epochs_per_draw == 0:
            self.scores.clear()
        else:
            self.scores.share()


class GreedySearchCallback(CollatorCallback):
    """
    Searches variants of the training examples with the current model at the beginning of epochs.

    `MMELTrainer` adds this callback if its augmenter is an `augment.GreedySearch`; pass your own in `callbacks` to
    change the options. A search finds K = `num_variants` variants of each example by the objective of the augmenter,
    which costs about K * positions * candidates forward passes per example. A resumed run searches when it resumes.

    Args:
        refresh_epochs (`int`, *optional*):
            Searches every so many epochs. Defaults to every epoch with new variants, see `score_interval`.
        max_examples (`int`, *optional*):
            Number of examples to search, drawn anew for each search. The other examples have random variants. Defaults
            to all.
        batch_size (`int`, *optional*, defaults to 128): Rows per forward pass, and examples searched together.

    Raises:
        `ValueError`: if a number is below 1.
    """

    # Makes tensors of a list of rows; `MMELTrainer` sets it before training.
    data_collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]] | None = None

    def __init__(self, refresh_epochs: int | None = None, max_examples: int | None = None, batch_size: int = 128):
        options = {"refresh_epochs": refresh_epochs, "max_examples": max_examples, "batch_size": batch_size}
        for name, value in options.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected a number >= 1.")
        self.refresh_epochs, self.max_examples, self.batch_size = refresh_epochs, max_examples, batch_size

    def on_train_begin(self, args, state, control, **kwargs):
        self.first_epoch = self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch

    def on_epoch_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        collator = self.newest_collator
        if collator is None:
            return
        if epoch % (self.refresh_epochs or collator.epochs_per_draw) and epoch != self.first_epoch:
            return
        began = time.monotonic()
        number = search_variants(
            model,
            collator.augmenter,
            train_dataloader.dataset,
            collator.num_variants,
            (collator.seed, epoch),
            max_examples=self.max_examples,
            batch_size=self.batch_size,
            label_smoothing=args.label_smoothing_factor,
            data_collator=self.data_collator,
        )
        logger.info("Searched the variants of %d examples in %.1f s.", number, time.monotonic() - began)


class VariantProgressCallback(ProgressCallback):
    """
    The stock progress bar with the latest metrics of the variants: losses of the originals and of the variants,
    effective number of variants, variants per second.
    """

    def on_log(self, args, state, control, logs=None, **kwargs):
        metrics = {name: f"{logs[key]:.3g}" for name, key in _SHOWN_IN_BAR.items() if key in (logs or {})}
        if self.training_bar is not None and metrics:
            self.training_bar.set_postfix(metrics, refresh=False)  # the stock line above the bar refreshes it
        super().on_log(args, state, control, logs=logs, **kwargs)


def replace_progress_bar(trainer: Trainer) -> None:
    """Replaces the stock progress bar, and no other, by `VariantProgressCallback`."""
    callbacks = trainer.callback_handler.callbacks
    for i, callback in enumerate(callbacks):
        if type(callback) is ProgressCallback:
            callbacks[i] = VariantProgressCallback(callback.max_str_len)
