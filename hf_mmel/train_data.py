"""The training data of `MMELTrainer`: its data loader, which collates groups of variants, and what its batches are."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback
from transformers.integrations import is_deepspeed_zero3_enabled

from . import validation
from .callbacks import CollatorCallback, GreedySearchCallback
from .data.group_collator import GroupCollator
from .data.groups import LABELS, VARIANT_MASK, WEIGHT, are_unlabelled, as_groups, num_items
from .data.layout import HostedBatch, HostingCollator
from .data.variant_collator import collator_for
from .objective.class_weights import is_stream
from .objective.example_weights import WeightCollator, has_weights
from .objective.heads import are_probabilities
from .search import check_searchable
from .step.adversarial import AdversarialVariants
from .streams import check_stream, has_own_passes
from .unlabeled_data import UnlabeledDataTrainer, check_unlabeled


Inputs = dict[str, torch.Tensor | Any]


class GroupDataTrainer(UnlabeledDataTrainer):
    """
    A `Trainer` whose training examples become groups of variants, and may have weights. Its evaluation is the stock
    one.
    """

    augmenter: Any = None
    adversary: AdversarialVariants | None = None
    _given_collator: GroupCollator | None = None
    _class_weights: torch.Tensor | None = None
    _has_probability_labels = False
    _items_per_unlabelled: torch.Tensor | None = None  # of the whole update
    _begun_update: Sequence[Inputs] = ()  # batches of a stream that has ended in the middle of an update

    def build_group_collator(self) -> GroupCollator | None:
        """The collator of the training examples, or `None` if they are trained on as they are."""
        if (self.augmenter is None and self._given_collator is None) or self.args.mmel_loss == "none":
            return None
        if self._given_collator is not None:
            validation.check_interval(self.args, self._given_collator.epochs_per_draw)
            return self._given_collator
        return collator_for(
            self.augmenter,
            self.processing_class,
            num_variants=self.args.num_variants,
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            data_collator=self.data_collator,
            epochs_per_draw=self.args.score_interval,
        )

    def get_train_dataloader(self) -> DataLoader:
        """The stock data loader. It collates groups of variants if there is an augmenter, and weights of examples."""
        are_weighted = has_weights(self.train_dataset, self._weight_column)
        collator, config = self.build_group_collator(), getattr(self.model, "config", None)
        for callback in self._callbacks_of(CollatorCallback):
            callback.newest_collator = collator
        # Only training may see variants, weights, and the columns that the augmenter reads but the model does not.
        self._set_signature_columns_if_needed()
        eval_collator, eval_columns = self.data_collator, self._signature_columns
        columns: Any = [*(eval_columns or ()), *getattr(getattr(collator, "augmenter", None), "columns", ())]
        if collator is None:
            validation.check_interval(self.args, None)
        else:
            data = self.train_dataset, self.eval_dataset
            validation.check_datasets(*data, collator.main_input_name, config, self.args)
            collator.read_columns(self.train_dataset, columns if self.args.remove_unused_columns else None)
            if hasattr(collator.augmenter, "precompute") and not is_stream(self.train_dataset):
                collator.augmenter.precompute(self._all_examples)
            for search in self._callbacks_of(GreedySearchCallback):
                search.data_collator = self._get_collator_with_removed_columns(collator.data_collator)
                if self._weight_column is not None:
                    search.data_collator = WeightCollator(search.data_collator, self._weight_column, keep=False)
                search.compute_loss_func = self.compute_loss_func
                check_searchable(self.train_dataset, is_sharded=self.is_fsdp_enabled or is_deepspeed_zero3_enabled())
        train_collator: Any = collator or self.data_collator
        if self._weight_column is not None:
            columns.append(self._weight_column)
            train_collator = WeightCollator(train_collator, self._weight_column, keep=are_weighted)
        train_collator = HostingCollator(train_collator)
        self.data_collator, self._signature_columns = train_collator, columns
        try:
            loader = super().get_train_dataloader()
        finally:
            self.data_collator, self._signature_columns = eval_collator, eval_columns
        check_stream(self.train_dataset, loader, self.args)
        self._begun_update = []
        return loader

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device) -> Any:
        """
        The stock batches of an update. If the processes read their own parts of a stream, the update that the end of
        a pass interrupts is completed in the next pass. Otherwise the other processes would be one update ahead.
        """
        if has_own_passes(self.callback_handler.train_dataloader):
            batches = [*self._begun_update, *islice(epoch_iterator, num_batches - len(self._begun_update))]
            self._begun_update = batches if len(batches) < num_batches else []
            batches = [] if self._begun_update else batches
            num_items_in_batch = self._get_num_items_in_batch(batches, device)
        else:
            batches, num_items_in_batch = super().get_batch_samples(epoch_iterator, num_batches, device)
        makes_variants = self.augmenter is not None or self._given_collator is not None
        if batches and makes_variants and self.args.mmel_loss != "none" and VARIANT_MASK not in batches[0]:
            raise _no_variants_in(batches[0])
        return batches, num_items_in_batch

    def _prepare_inputs(self, inputs: Inputs) -> Inputs:
        """The stock inputs, of which a batch on the device still remembers what it is on the host."""
        prepared = super()._prepare_inputs(inputs)
        return HostedBatch(prepared, copies=inputs.copies) if isinstance(inputs, HostedBatch) else prepared

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Any:
        """Examples in all micro-batches of an update and in all processes: the divisor of their losses."""
        self._items_per_unlabelled = None
        if not batch_samples or not (VARIANT_MASK in batch_samples[0] or self._takes_as_groups(batch_samples[0])):
            return super()._get_num_items_in_batch(batch_samples, device)
        count: Any = sum(self._counts_of(as_groups(batch, self.model)) for batch in batch_samples)
        if self.accelerator.num_processes > 1:
            count = self.accelerator.reduce(count.to(device), reduction="sum")
        count, num_unlabelled = count.clamp(min=1)  # without any label the loss is 0
        self._items_per_unlabelled = count / num_unlabelled
        return count if self._is_scaled(count) else count / len(batch_samples)

    @staticmethod
    def _counts_of(groups: Inputs) -> torch.Tensor:
        """Items and unlabelled examples, `(2,)`."""
        are_without = are_unlabelled(groups).sum()
        count = num_items(groups)
        count = are_without.new_full((), count) if isinstance(count, int) else count
        return torch.stack([count, are_without])

    def prediction_step(
        self,
        model: nn.Module,
        inputs: Inputs,
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """The stock step, without the weights of examples, which an evaluation does not use."""
        if self._weight_column in inputs:
            inputs = {name: x for name, x in inputs.items() if name != self._weight_column}
        return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)

    @property
    def _weight_column(self) -> str | None:
        return getattr(self.args, "weight_column", None)  # plain `TrainingArguments` have none

    def _check_unlabeled(self, adversary: Any) -> None:
        """Raises what `check_unlabeled` does, if unlabelled examples are used."""
        if self._unlabelled is not None:
            augmenter = getattr(self._given_collator, "augmenter", self.augmenter)
            has_variants = augmenter is not None or adversary is not None
            check_unlabeled(self._unlabelled, self.train_dataset, self.args, augmenter, has_variants)

    def _takes_as_groups(self, inputs: Inputs) -> bool:
        """Whether training takes plain examples as groups of one variant."""
        return self._have_weights(inputs) or self._needs_groups(inputs)

    def _needs_groups(self, inputs: Inputs) -> bool:
        """Whether the model's own loss of a batch is not trained on, even without variants and with equal weights."""
        makes_adversaries = self.adversary is not None and self.args.mmel_loss != "none"
        needs_groups = self._class_weights is not None or getattr(self.args, "feature_separation", 0) > 0
        needs_groups |= makes_adversaries or getattr(self.args, "needs_class_probabilities", False)
        return needs_groups or self._are_probabilities(inputs)

    def _have_weights(self, inputs: Inputs) -> bool:
        """Whether a batch has the weights of its examples; in plain batches another tensor may have their name."""
        return WEIGHT in inputs and (VARIANT_MASK in inputs or self._weight_column is not None)

    def _are_probabilities(self, inputs: Inputs) -> bool:
        return self.compute_loss_func is None and are_probabilities(inputs.get(LABELS), self._problem_type)

    @property
    def _problem_type(self) -> str | None:
        config = getattr(self.accelerator.unwrap_model(self.model), "config", None)
        return "single_label_classification" if self._has_probability_labels else getattr(config, "problem_type", None)

    def _is_scaled(self, num_items_in_batch: torch.Tensor | float | None) -> bool:
        """Whether `Trainer` takes a loss as scaled; if not it divides by the number of micro-batches."""
        by_model = self.model_accepts_loss_kwargs and num_items_in_batch is not None
        stock = by_model or self.compute_loss_func is not None
        return stock if self.loss_is_scaled_for_ga is None else self.loss_is_scaled_for_ga

    @property
    def _is_sharded(self) -> bool:
        """Whether no process has the whole model, so that all have to make each forward pass together."""
        return self.is_fsdp_enabled or self.is_deepspeed_enabled

    def _callbacks_of(self, kind: type[TrainerCallback]) -> list[Any]:
        """Looked for anew, since `Trainer` replaces callbacks when it restores them from a checkpoint."""
        return [callback for callback in self.callback_handler.callbacks if isinstance(callback, kind)]

    @property
    def _reader(self) -> Any:
        """What reads the training examples, a tokenizer or a processor, if there is one."""
        return getattr(self._given_collator, "tokenizer", self.processing_class)


def _no_variants_in(batch: Any) -> TypeError:
    """The error for a training batch without variants, although there is something that makes them."""
    return TypeError(
        "An augmenter or a VariantCollator is given, but a training batch has no variant_mask, only "
        f"{', '.join(batch)}. If you make the batches yourself, as in the collate_fn of iter_torch_batches, make them "
        "with the VariantCollator."
    )
