"""`MMELTrainer`: transformers' `Trainer`, with groups of variants where it had single examples."""

from collections.abc import Sized
from typing import Any

import torch
from torch import nn
from torch.utils.data import IterableDataset
from transformers import Trainer, TrainerCallback
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.modeling_outputs import ModelOutput

from augment import GreedySearch

from .data_collator import VariantCollator
from .functional import divergence, mmel_hard_loss, mmel_soft_loss, per_variant_loss, uniform_loss
from .heads import logits_of, problem_type_of
from .search import GreedySearchCallback, check_searchable
from .training_args import MMELTrainingArguments
from .validation import IGNORE_INDEX, check_labels, check_train_dataset, check_vocabulary


class MMELTrainer(Trainer):
    r"""
    A [`~transformers.Trainer`] that trains on groups of variants by minimising the maximal expected loss.

    A batch with a `variant_mask` of shape `(B, V)` is a batch of groups: every other tensor, `labels` aside, carries
    the variant axis after the batch axis, and variant 0 is the original. Per example i and variant v, with
    \\(\ell_{iv}\\) the loss under the label and \\(d_{iv}\\) the divergence from the prediction on the original,

    $$\text{hard:} \quad w_{iv} = \mathrm{softmax}_v(\ell_{iv} / \lambda_P), \quad L_i = \sum_v w_{iv} \ell_{iv}$$
    $$\text{soft:} \quad w_{iv} = \mathrm{softmax}_v(d_{iv} / \lambda_P), \quad
      L_i = \ell_{i0} + \lambda_T \sum_v w_{iv} d_{iv}$$

    and the loss of an update is the mean of \\(L_i\\) over all its examples, however they are cut into micro-batches
    and processes. Batches without `variant_mask`, evaluation and prediction are exactly those of `Trainer`.

    With each logged training loss come, averaged over the same steps and over all processes, `mmel/loss_original`,
    `mmel/loss_variants` (of the augmented variants), `mmel/max_weight` (largest weight in a group) and
    `mmel/effective_num_variants` (exponential of the entropy of a group's weights).

    Args:
        args ([`MMELTrainingArguments`], *optional*):
            `TrainingArguments` do where no augmenter is given.
        augmenter (*optional*):
            Makes the variants of the training examples, see [`VariantCollator`]; needs `processing_class`, the
            tokenizer. `data_collator`, where given, goes on to pad. Not used with `mmel_loss="none"`. The variants of
            a [`~augment.GreedySearch`] are searched at the beginning of every epoch, see [`GreedySearchCallback`].
        args_and_kwargs:
            All the rest as in [`~transformers.Trainer`]. A [`VariantCollator`] may be given as `data_collator`
            instead of an augmenter: it serves training, and the collator inside it evaluation.

    Raises:
        `TypeError` and `ValueError`: for what does not go together, before training starts.

    Source: Yi et al., ICLR 2021, arXiv 2103.08933, equations 6 to 9.
    """

    def __init__(self, model=None, args=None, data_collator=None, *args_and_kwargs, augmenter: Any = None, **kwargs):
        if args is None:
            args = MMELTrainingArguments(output_dir="tmp_trainer")
        variant_collator = None
        if isinstance(data_collator, VariantCollator):
            variant_collator, data_collator = data_collator, data_collator.data_collator
        super().__init__(model, args, data_collator, *args_and_kwargs, **kwargs)

        self.augmenter = augmenter
        self._variant_collator = variant_collator
        self._log_sums = None
        if augmenter is None and variant_collator is None:
            return
        if augmenter is not None and variant_collator is not None:
            raise ValueError(
                "Both an augmenter and a VariantCollator are given; the collator has an augmenter already."
            )
        self._check_objective()
        if augmenter is not None and self.processing_class is None:
            raise ValueError("An augmenter is given, but no tokenizer; pass it as processing_class=tokenizer.")
        check_vocabulary(self.model, self.processing_class if variant_collator is None else variant_collator.tokenizer)
        self._epoch_callback = _EpochCallback()
        self.add_callback(self._epoch_callback)
        collator = self._build_variant_collator()  # what does not fit shows here, before any work is done
        if collator is not None and isinstance(collator.augmenter, GreedySearch) and not self._search_callbacks():
            self.add_callback(GreedySearchCallback())

    def _check_objective(self) -> None:
        """Refuses arguments that leave open how groups are to be trained on."""
        if not isinstance(self.args, MMELTrainingArguments):
            raise TypeError(
                f"args is a {type(self.args).__name__}, which says nothing of the objective; to train on variants "
                "pass hf_mmel.MMELTrainingArguments (the same fields and mmel_loss, lambda_p, lambda_t, num_variants)."
            )
        if self.compute_loss_func is not None:
            raise ValueError(
                "compute_loss_func takes the place of the loss that MMEL weighs, so the two cannot be combined; leave "
                "out compute_loss_func, or the variants."
            )

    def _build_variant_collator(self) -> VariantCollator | None:
        """The collator of the training examples, `None` where they are trained on as they are."""
        if (self.augmenter is None and self._variant_collator is None) or self.args.mmel_loss == "none":
            return None
        if self._variant_collator is not None:
            return self._variant_collator
        return VariantCollator(
            self.processing_class,
            self.augmenter,
            num_variants=self.args.num_variants,
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            data_collator=self.data_collator,
        )

    def get_train_dataloader(self) -> torch.utils.data.DataLoader:
        """The stock data loader, collating groups of variants where there is an augmenter."""
        collator = self._build_variant_collator()
        if collator is None:
            return super().get_train_dataloader()
        check_train_dataset(self.train_dataset)
        check_labels(self.train_dataset, getattr(self.model, "config", None))
        is_stream = isinstance(self.train_dataset, IterableDataset) or not isinstance(self.train_dataset, Sized)
        if hasattr(collator.augmenter, "precompute") and not is_stream:
            collator.augmenter.precompute(self.train_dataset)
        self._epoch_callback.collator = collator
        self._prepare_search(collator)
        self._log_sums = None
        # `Trainer` knows one collator for training and evaluation; only training is to see variants.
        # So with the columns that the augmenter reads, which the model's forward does not name.
        self._set_signature_columns_if_needed()
        eval_collator, self.data_collator = self.data_collator, collator
        eval_columns, self._signature_columns = (
            self._signature_columns,
            [
                *self._signature_columns,
                *getattr(collator.augmenter, "columns", ()),
            ],
        )
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator, self._signature_columns = eval_collator, eval_columns

    def _search_callbacks(self) -> list[GreedySearchCallback]:
        return [callback for callback in self.callback_handler.callbacks if isinstance(callback, GreedySearchCallback)]

    def _prepare_search(self, collator: VariantCollator) -> None:
        """Tells a greedy search of what it is to find variants, and refuses what it cannot search."""
        for callback in self._search_callbacks():
            check_searchable(self.train_dataset)
            if self.is_fsdp_enabled or is_deepspeed_zero3_enabled():
                raise ValueError(
                    "A greedy search needs the whole model in every process, which FSDP and DeepSpeed ZeRO-3 shard; "
                    "train without them, or with the candidates of the GreedySearch as the augmenter."
                )
            callback.collator = collator
            callback.data_collator = self._get_collator_with_removed_columns(collator.data_collator)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor | int | None:
        """Examples in all micro-batches of an update and in all processes: what their losses are divided by."""
        if not batch_samples or "variant_mask" not in batch_samples[0]:
            return super()._get_num_items_in_batch(batch_samples, device)
        num_examples = sum(_num_examples(batch) for batch in batch_samples)
        if self.accelerator.num_processes > 1:
            num_examples = self.accelerator.reduce(torch.as_tensor(num_examples, device=device), reduction="sum")
        return num_examples

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """
        The MMEL loss of a batch of groups; the stock loss of any other batch.

        Args:
            model (`nn.Module`): The model, wrapped or not.
            inputs (`dict`): Groups as described in [`MMELTrainer`], or the stock inputs.
            return_outputs (`bool`): Whether to return the model's outputs on the N present variants, too.
            num_items_in_batch (`torch.Tensor` or `int`, *optional*):
                Examples in the whole update. The mean over this batch is returned where it is not given.

        Raises:
            `ValueError`: if a tensor lacks the variant axis, labels are missing, or the logits are not `(N, C)`.
        """
        if "variant_mask" in inputs and model.training:
            self._check_objective()
        if "variant_mask" in inputs and (not model.training or self.args.mmel_loss == "none"):
            inputs = {k: v if k == "labels" else v[:, 0] for k, v in inputs.items() if k != "variant_mask"}
        if "variant_mask" not in inputs:
            self.loss_is_scaled_for_ga = type(self).loss_is_scaled_for_ga
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        rows, present, labels, variant_mask = _present_variants(inputs)
        outputs = model(**rows)
        logits = logits_of(outputs, len(present), type(self.model).__name__)
        # Absent variants stay zero here, and the objective leaves them out.
        grouped = logits.new_zeros(variant_mask.numel(), logits.shape[1]).index_copy(0, present, logits)
        losses, weights, example_losses = self._objective(grouped.view(*variant_mask.shape, -1), labels, variant_mask)
        self._add_to_log(losses.detach(), weights, variant_mask)

        # A sum over examples, divided by the examples of the whole update, is exact for any cut into micro-batches
        # and processes. The stock rule is not: a `**kwargs` in the model's forward makes Trainer believe that the
        # model has divided by the item count already, yet the classification heads of BERT and others return a plain
        # mean, so that loss and gradient grow with the number of accumulation steps (transformers issue 47688).
        self.loss_is_scaled_for_ga = num_items_in_batch is not None
        if num_items_in_batch is None:
            loss = example_losses.sum() / _num_examples({"labels": labels})
        else:  # data-parallel training averages the gradients of the processes, where their sum is wanted
            loss = example_losses.sum() * (self.accelerator.num_processes / num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def _objective(
        self, logits: torch.Tensor, labels: torch.Tensor, variant_mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Losses `(B, V)`, weights `(B, V)` and the objective `(B,)` from logits `(B, V, C)`."""
        args, num_variants = self.args, variant_mask.shape[1]
        config = getattr(self.accelerator.unwrap_model(self.model), "config", None)
        problem_type = problem_type_of(config, logits.shape[-1], labels)
        # Smoothing is off for several labels, as in `Trainer`, which warns of it and has no smoother then.
        smoothing = self.label_smoother.epsilon if self.label_smoother is not None else 0.0
        losses = per_variant_loss(
            logits.flatten(0, 1), labels.repeat_interleave(num_variants, dim=0), problem_type, smoothing
        ).view(variant_mask.shape)

        if args.mmel_loss != "soft":
            mask = variant_mask
            if args.reweight_original is False:  # an original without any variant stands for itself
                mask = torch.cat([~variant_mask[:, 1:].any(dim=1, keepdim=True), variant_mask[:, 1:]], dim=1)
            if args.mmel_loss == "hard":
                example_losses, weights = mmel_hard_loss(losses, args.lambda_p, mask, return_weights=True)
            else:
                example_losses, weights = uniform_loss(losses, mask, return_weights=True)
            return losses, weights, example_losses

        soft_labels = logits[:, :1] if args.soft_label_gradient else logits[:, :1].detach()
        divergences = divergence(logits, soft_labels, problem_type)
        mask = variant_mask
        if not args.reweight_original:
            mask = torch.cat([torch.zeros_like(variant_mask[:, :1]), variant_mask[:, 1:]], dim=1)
        example_losses, weights = mmel_soft_loss(
            losses[:, 0], divergences, args.lambda_p, args.lambda_t, mask, return_weights=True
        )
        return losses, weights, example_losses

    def _add_to_log(self, losses: torch.Tensor, weights: torch.Tensor, variant_mask: torch.Tensor) -> None:
        """Adds a batch to the sums of the logging window, on the device, so that no step waits for the figures."""
        variants = variant_mask[:, 1:]
        has_variants = variants.any(dim=1)
        entropies = -torch.xlogy(weights, weights).sum(dim=1)
        sums = torch.stack(
            [
                torch.as_tensor(len(losses), device=losses.device, dtype=losses.dtype),
                losses[:, 0].sum(),
                variants.sum(),
                losses[:, 1:].masked_fill(~variants, 0).sum(),
                has_variants.sum(),
                weights.amax(dim=1).masked_fill(~has_variants, 0).sum(),
                entropies.exp().masked_fill(~has_variants, 0).sum(),
            ]
        )
        self._log_sums = sums if self._log_sums is None else self._log_sums + sums

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the figures of the variants to a training loss that is logged."""
        if "loss" in logs and self._log_sums is not None:
            sums = self.accelerator.reduce(self._log_sums, reduction="sum").tolist()
            self._log_sums = None
            examples, loss_original, variants, loss_variants, groups, max_weight, effective = sums
            logs["mmel/loss_original"] = loss_original / examples
            if groups:
                logs["mmel/loss_variants"] = loss_variants / variants
                logs["mmel/max_weight"] = max_weight / groups
                logs["mmel/effective_num_variants"] = effective / groups
        super().log(logs, start_time)


class _EpochCallback(TrainerCallback):
    """Tells the collator which epoch begins; `Trainer` tells samplers and data sets only."""

    collator: VariantCollator | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        self.next_epoch = int(state.epoch or 0)  # a resumed run begins in the middle of this epoch

    def on_epoch_begin(self, args, state, control, **kwargs):
        if self.collator is not None:
            self.collator.set_epoch(self.next_epoch)
        self.next_epoch += 1


def _present_variants(
    inputs: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor, torch.Tensor]:
    """
    Takes a batch of groups apart: the model's inputs for the N present variants `(N, ...)`, their places among all
    B * V `(N,)`, `labels` `(B, ...)` and `variant_mask` `(B, V)`. For a variant that is only a copy of its original
    nothing is computed.
    """
    inputs = dict(inputs)
    variant_mask = inputs.pop("variant_mask").bool()
    labels = inputs.pop("labels", None)
    if labels is None or len(labels) != len(variant_mask):
        raise ValueError(
            f"A batch of groups has variant_mask of shape {tuple(variant_mask.shape)} and "
            f"{'no labels' if labels is None else f'labels of shape {tuple(labels.shape)}'}; expected labels of shape "
            f"({len(variant_mask)}, ...), one for each example."
        )
    for name, tensor in inputs.items():
        if tensor.shape[:2] != variant_mask.shape:
            raise ValueError(
                f"{name} has the shape {tuple(tensor.shape)}; expected {tuple(variant_mask.shape)} and whatever "
                "follows: every tensor of a batch of groups but labels carries the variant axis after the batch axis."
            )
    present = variant_mask.flatten().nonzero().squeeze(1)
    rows = {name: tensor.flatten(0, 1)[present] for name, tensor in inputs.items()}
    return rows, present, labels, variant_mask


def _num_examples(batch: dict[str, torch.Tensor]) -> torch.Tensor | int:
    """Examples of a batch with a label; -100 means none, as it does to torch's cross entropy."""
    labels = batch["labels"]
    return len(labels) if labels.dim() > 1 or labels.is_floating_point() else labels.ne(IGNORE_INDEX).sum()
