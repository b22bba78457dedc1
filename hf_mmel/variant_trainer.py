"""The trainer's data: groups of variants where `Trainer` has single examples."""

from collections.abc import Callable, Sized
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from transformers import DataCollator, EvalPrediction, PreTrainedModel, Trainer, TrainerCallback, TrainingArguments
from transformers.integrations import is_deepspeed_zero3_enabled

from augment import GreedySearch

from .callbacks import EpochCallback
from .data.group_collator import GroupCollator
from .data.variant_collator import VariantCollator
from .hub.model_card import write_model_card
from .monitoring.history import VariantHistory
from .monitoring.metrics import GroupMetrics
from .objective.class_weights import class_weights_of
from .progress import replace_progress_bar
from .search import GreedySearchCallback
from .step.adversarial import AdversarialVariants
from .step.nonfinite import NonfiniteVariants
from .step.score_cache import ScoreTable
from .training_args import MMELTrainingArguments
from .validation import (
    check_adversary,
    check_interval,
    check_label_probability,
    check_labels,
    check_objective,
    check_passes_of_shards,
    check_source,
    check_train_dataset,
    check_vocabulary,
)


_COLLATORS = {"input_ids": VariantCollator}  # by what is varied; any other input is one array for each example


class VariantTrainer(Trainer):
    """
    A [`~transformers.Trainer`] whose training batches are groups of variants, and whose model card tells of them. What
    is learnt from groups is up to [`MMELTrainer`], whose arguments these are.
    """

    _class_weights: torch.Tensor | None = None  # of a training

    def __init__(
        self,
        model: PreTrainedModel | nn.Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: DataCollator | None = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., PreTrainedModel] | None = None,
        compute_loss_func: Callable | None = None,
        compute_metrics: Callable[[EvalPrediction], dict] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[torch.optim.Optimizer | None, torch.optim.lr_scheduler.LambdaLR | None] = (None, None),
        optimizer_cls_and_kwargs: tuple[type[torch.optim.Optimizer], dict[str, Any]] | None = None,
        preprocess_logits_for_metrics: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
        *,
        augmenter: Any = None,
        adversary: AdversarialVariants | None = None,
    ):
        variant_collator = None
        if isinstance(data_collator, GroupCollator):
            variant_collator, data_collator = data_collator, data_collator.data_collator
        super().__init__(
            model,
            MMELTrainingArguments(output_dir="tmp_trainer") if args is None else args,
            data_collator,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            model_init=model_init,
            compute_loss_func=compute_loss_func,
            compute_metrics=compute_metrics,
            callbacks=callbacks,
            optimizers=optimizers,
            optimizer_cls_and_kwargs=optimizer_cls_and_kwargs,
            preprocess_logits_for_metrics=preprocess_logits_for_metrics,
        )
        self.augmenter = augmenter
        self.adversary = adversary
        self._variant_collator = variant_collator
        self._scores = ScoreTable(self.args.device)
        self._figures = GroupMetrics()
        self._nonfinite = NonfiniteVariants()
        self._known_buffers: tuple[nn.Module, list[torch.Tensor]] | None = None
        if isinstance(self.args, MMELTrainingArguments):  # without them there are no groups
            self.add_callback(self._figures)
            if self._history is None:
                self.add_callback(VariantHistory())
            replace_progress_bar(self)
        if adversary is not None:
            check_objective(self.args, self.compute_loss_func)
            check_adversary(adversary, self.args, self._is_sharded)
        if augmenter is None and variant_collator is None:
            return
        check_source(augmenter, variant_collator)
        check_objective(self.args, self.compute_loss_func)
        check_vocabulary(self.model, self._reader)
        self._epoch_callback = EpochCallback(self._scores)
        self.add_callback(self._epoch_callback)
        self._build_variant_collator()  # what does not fit shows here, before any work is done
        source = augmenter if variant_collator is None else variant_collator.augmenter
        if isinstance(source, GreedySearch) and not self._search_callbacks():
            self.add_callback(GreedySearchCallback())

    def _build_variant_collator(self) -> GroupCollator | None:
        """The collator of the training examples, `None` where they are trained on as they are."""
        if (self.augmenter is None and self._variant_collator is None) or self.args.mmel_loss == "none":
            return None
        if self._variant_collator is not None:
            check_interval(self.args, self._variant_collator.epochs_per_draw)
            return self._variant_collator
        of_input = _COLLATORS.get(getattr(self.augmenter, "main_input_name", "input_ids"), GroupCollator)
        return of_input.of(
            self.augmenter,
            self.processing_class,
            num_variants=self.args.num_variants,
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            data_collator=self.data_collator,
            epochs_per_draw=self.args.score_interval,
        )

    def get_train_dataloader(self) -> DataLoader:
        """The stock data loader, collating groups of variants where there is an augmenter."""
        self._nonfinite, self._known_buffers = NonfiniteVariants(), None
        # Again, for the arguments may have been changed since.
        if self.augmenter is not None or self._variant_collator is not None or self.adversary is not None:
            check_objective(self.args, self.compute_loss_func)
            check_label_probability(self.args.min_label_probability, getattr(self.model, "config", None))
        if self.adversary is not None:
            check_adversary(self.adversary, self.args, self._is_sharded)
        self._class_weights = class_weights_of(self.args, self.train_dataset, getattr(self.model, "config", None))
        collator = self._build_variant_collator()
        if collator is None:
            check_interval(self.args, None)
            for callback in self._search_callbacks():
                callback.collator = None  # that of an earlier training, with variants
            return super().get_train_dataloader()
        check_train_dataset(self.train_dataset, collator.main_input_name)
        check_labels(self.train_dataset, getattr(self.model, "config", None), self.args.label_smoothing_factor)
        is_stream = isinstance(self.train_dataset, IterableDataset) or not isinstance(self.train_dataset, Sized)
        if hasattr(collator.augmenter, "precompute") and not is_stream:
            collator.augmenter.precompute(self.train_dataset)
        if self._is_sharded:
            check_passes_of_shards(self.args)
        self._epoch_callback.newest_collator = collator
        for callback in self._search_callbacks():
            callback.prepare(
                self.train_dataset,
                collator,
                self._get_collator_with_removed_columns(collator.data_collator),
                is_whole=not (self.is_fsdp_enabled or is_deepspeed_zero3_enabled()),
            )
        # `Trainer` knows one collator for training and evaluation; only training is to see variants.
        # So with the columns that the augmenter reads, which the model's forward does not name.
        self._set_signature_columns_if_needed()
        eval_collator, self.data_collator = self.data_collator, collator
        eval_columns = self._signature_columns
        self._signature_columns = [*eval_columns, *getattr(collator.augmenter, "columns", ())]
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator, self._signature_columns = eval_collator, eval_columns

    def _search_callbacks(self) -> list[GreedySearchCallback]:
        return [callback for callback in self.callback_handler.callbacks if isinstance(callback, GreedySearchCallback)]

    @property
    def _buffers(self) -> list[torch.Tensor]:
        """What passes change in the model, besides gradients."""
        if self._known_buffers is None or self._known_buffers[0] is not self.model:
            of_numbers = [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]
            self._known_buffers = (self.model, of_numbers)
        return self._known_buffers[1]

    @property
    def _is_sharded(self) -> bool:
        """Whether no process has the whole model, so that all have to make each pass together."""
        return self.is_fsdp_enabled or self.is_deepspeed_enabled

    @property
    def _reader(self) -> Any:
        """Reads the training examples, as a tokenizer does; there may be none."""
        return getattr(self._variant_collator, "tokenizer", self.processing_class)

    @property
    def _history(self) -> VariantHistory | None:
        """Looked for where it is, for `Trainer` makes callbacks that it restores from a checkpoint anew."""
        callbacks = self.callback_handler.callbacks
        return next((callback for callback in callbacks if isinstance(callback, VariantHistory)), None)

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        tasks: str | list[str] | None = None,
        dataset_tags: str | list[str] | None = None,
        dataset: str | list[str] | None = None,
        dataset_args: str | list[str] | None = None,
        *,
        scores: dict[str, dict[str, float]] | None = None,
        command: str | None = None,
    ) -> None:
        """
        Writes the model card, `README.md`, and the picture of the weights, `mmel_weights.svg`, to `output_dir`.
        `push_to_hub` calls this and hands its keyword arguments on. Under plain `TrainingArguments` the card is the
        stock one.

        Args:
            dataset, dataset_tags, dataset_args (*optional*):
                Name of the data for readers, its address on the Hub, its configuration.
            scores (`dict[str, dict[str, float]]`, *optional*):
                What `evaluate` returned, by split. By default that of the latest evaluation.
            command (`str`, *optional*): The command that trained the model.
            language, license, tags, model_name, finetuned_from, tasks (*optional*):
                As in [`~transformers.Trainer.create_model_card`].
        """
        facts = {"language": language, "license": license, "tags": tags, "model_name": model_name, "tasks": tasks}
        facts |= {"finetuned_from": finetuned_from, "dataset": dataset, "dataset_tags": dataset_tags}
        facts |= {"dataset_args": dataset_args}
        if not isinstance(self.args, MMELTrainingArguments):
            super().create_model_card(**facts)
        elif self.is_world_process_zero():
            write_model_card(self, self._build_variant_collator(), scores=scores, command=command, **facts)
