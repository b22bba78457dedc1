"""Callbacks of training on variants: new variants and searches at the beginning of epochs, and the progress bar."""

import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import ProgressCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import HubStrategy

from augment.core.atomic_file import atomic_write
from augment.core.variant_table import VariantTable
from augment.greedy import GreedySearch

from .data.group_collator import GroupCollator
from .distributed import gathered
from .monitoring.variant_count import VariantCountCallback
from .search import search_variants
from .step.scoring import ScoreCache


logger = logging.getLogger(__name__)

SEARCHED_VARIANTS = "searched_variants.json"  # in a checkpoint

_SHOWN_IN_BAR = {
    "original": "mmel/loss_original",
    "variants": "mmel/loss_variants",
    "effective": "mmel/effective_num_variants",
    "variants/s": "mmel/variants_per_second",
}


class CollatorCallback(TrainerCallback):
    """
    A callback that needs the collator of the training examples, which `MMELTrainer` sets, and may add files to
    checkpoints.
    """

    newest_collator: GroupCollator | None = None  # of the newest data loader, which a callback may ask for as well
    checkpoint: Path | None = None  # that training resumes from

    def save(self, folder: Path, args: TrainingArguments) -> None:
        """Adds to a checkpoint what a run needs to resume exactly. Called in all processes."""

    def found(self, file_name: str, needed: bool) -> Path | None:
        """
        The file of this name in the checkpoint that training resumes from, if every process has its own there. Warns
        if it is `needed` and missing. All processes have to call this.
        """
        if self.checkpoint is None:
            return None
        file = self.checkpoint / file_name
        if all(gathered(file.is_file())):
            return file
        if needed:
            logger.warning(
                "%s has no %s, so training resumes close to the uninterrupted run, but not exactly.",
                self.checkpoint,
                file_name,
            )
        return None


class ResumableTrainer(Trainer):
    """A `Trainer` whose checkpoints hold the files of its `CollatorCallback`s."""

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, CollatorCallback):
                callback.save(Path(output_dir), self.args)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, CollatorCallback):
                callback.checkpoint = None if checkpoint is None else Path(checkpoint)


class EpochCallback(CollatorCallback):
    """
    Tells the collator which epoch begins, since `Trainer` tells only samplers and datasets, and clears the scores when
    new variants are drawn. Each process adds its scores to checkpoints.
    """

    def __init__(self, scores: ScoreCache):
        self.scores = scores

    def on_train_begin(self, args, state, control, **kwargs):
        self.collator = self.newest_collator
        self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch
        self.num_begun = 0  # epochs that began before the checkpoint
        self.scores.clear()
        if self.collator is not None and self.collator.epochs_per_draw > 1:
            is_within = bool((state.epoch or 0) % self.collator.epochs_per_draw)
            if file := self.found(self._file_name(args), needed=is_within):
                stored = torch.load(file, map_location="cpu", weights_only=True)
                if stored["objective"] == _objective(args):
                    self.num_begun = stored["num_begun"]
                    self.scores.load_state_dict(stored["scores"])
        self.checkpoint = None

    def save(self, folder: Path, args: TrainingArguments) -> None:
        if self.collator is None or self.collator.epochs_per_draw == 1:
            return
        folder.mkdir(parents=True, exist_ok=True)
        state = {"num_begun": self.next_epoch, "objective": _objective(args), "scores": self.scores.state_dict()}
        torch.save(state, folder / self._file_name(args))

    def on_train_end(self, args, state, control, **kwargs):
        self.scores.clear()

    def on_epoch_begin(self, args, state, control, **kwargs):
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        if self.collator is None:
            return
        self.collator.set_epoch(epoch)
        if epoch < self.num_begun:
            return
        if epoch % self.collator.epochs_per_draw == 0:
            self.scores.clear()
        else:
            self.scores.share()

    @staticmethod
    def _file_name(args: TrainingArguments) -> str:
        return "scores.pth" if args.world_size <= 1 else f"scores_{args.process_index}.pth"


def _objective(args: Any) -> list[Any]:
    """The arguments that scores depend on. A run that resumes with other ones does not take those of a checkpoint."""
    names = [
        *("mmel_loss", "label_smoothing_factor", "class_weights", "soft_labels", "soft_label_temperature"),
        *("counts_unlabeled", "unlabeled_loss", "confidence_threshold"),
    ]
    has_probabilities = args.min_label_probability is not None or args.training_signal_annealing != "none"
    return [*(getattr(args, name) for name in names), has_probabilities]


class GreedySearchCallback(CollatorCallback):
    """
    Searches variants of the training examples with the current model at the beginning of epochs.

    `MMELTrainer` adds this callback if its augmenter is an `augment.GreedySearch`; pass your own in `callbacks` to
    change the options. A search finds K = `num_variants` variants of each example by the objective of the augmenter,
    which costs about K * positions * candidates forward passes per example. Checkpoints hold the variants, and a
    resumed run continues with them. Where `hub_strategy` pushes checkpoints they are left out, since they show parts
    of the training texts, and a resumed run searches when it resumes.

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

    # `MMELTrainer` sets these before training: what makes tensors of a list of rows, its `compute_loss_func`, and what
    # gives its `soft_label_model`.
    data_collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]] | None = None
    compute_loss_func: Callable | None = None
    soft_label_model: Callable[[], nn.Module | None] | None = None

    def __init__(self, refresh_epochs: int | None = None, max_examples: int | None = None, batch_size: int = 128):
        options = {"refresh_epochs": refresh_epochs, "max_examples": max_examples, "batch_size": batch_size}
        for name, value in options.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected a number >= 1.")
        self.refresh_epochs, self.max_examples, self.batch_size = refresh_epochs, max_examples, batch_size

    def on_train_begin(self, args, state, control, **kwargs):
        self.first_epoch = self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch
        self.num_begun = 0  # epochs that began before the checkpoint
        collator = self.newest_collator
        if collator is not None:
            is_within = bool((state.epoch or 0) % self._interval(collator))
            if file := self.found(SEARCHED_VARIANTS, needed=is_within):
                stored = json.loads(file.read_text(encoding="utf-8"))
                self.num_begun = stored["num_begun"]
                texts = {int(key): text for key, text in stored["variants"].items()}
                collator.augmenter.keep(VariantTable(texts))
        self.checkpoint = None

    def save(self, folder: Path, args: TrainingArguments) -> None:
        collator = self.newest_collator
        goes_to_hub = args.push_to_hub and args.hub_strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS)
        table = None if collator is None else collator.augmenter.table
        if table is None or goes_to_hub or not args.should_save:
            return
        content = json.dumps({"num_begun": self.next_epoch, "variants": table.texts})
        with atomic_write(folder / SEARCHED_VARIANTS) as file:
            file.write(content.encode())

    def _interval(self, collator: GroupCollator) -> int:
        return self.refresh_epochs or collator.epochs_per_draw

    def on_epoch_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
        epoch, self.next_epoch = self.next_epoch, self.next_epoch + 1
        collator = self.newest_collator
        if collator is None:
            return
        is_due = epoch % self._interval(collator) == 0 or (epoch == self.first_epoch and not self.num_begun)
        if epoch < self.num_begun or not is_due:
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
            compute_loss_func=self.compute_loss_func,
            data_collator=self.data_collator,
            soft_label_model=None if self.soft_label_model is None else self.soft_label_model(),
            soft_label_temperature=args.soft_label_temperature if args.mmel_loss == "soft" else 1.0,
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
    """
    Replaces the stock progress bar by `VariantProgressCallback`, and that of notebooks by `VariantNotebookCallback`.
    All others stay.
    """
    callbacks = trainer.callback_handler.callbacks
    notebook = sys.modules.get("transformers.utils.notebook")  # imported in notebooks alone, since it needs IPython
    for i, callback in enumerate(callbacks):
        if type(callback) is ProgressCallback:
            callbacks[i] = VariantProgressCallback(callback.max_str_len)
        elif notebook is not None and type(callback) is notebook.NotebookProgressCallback:
            from .monitoring.notebook_table import VariantNotebookCallback

            callbacks[i] = VariantNotebookCallback()


def add_callbacks(trainer: Trainer, augmenter: Any, scores: ScoreCache) -> None:
    """Adds the callbacks of training on the variants of an augmenter. Variants are counted after they are searched."""
    trainer.add_callback(EpochCallback(scores))
    is_there = any(isinstance(callback, GreedySearchCallback) for callback in trainer.callback_handler.callbacks)
    if isinstance(augmenter, GreedySearch) and not is_there:
        trainer.add_callback(GreedySearchCallback())
    trainer.add_callback(VariantCountCallback())
