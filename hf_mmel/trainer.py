"""`MMELTrainer`: transformers' `Trainer`, learning from groups of variants."""

from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import ModelOutput

from .data.groups import GROUP_KEY, VARIANT_MASK, as_groups, num_items, originals
from .step.group_step import GroupStep
from .step.modes import restore
from .step.nonfinite import OF_SHARDS
from .validation import check_objective
from .variant_trainer import VariantTrainer


class MMELTrainer(VariantTrainer):
    """
    A [`~transformers.Trainer`] that trains on groups of variants by minimising the maximal expected loss.

    A batch with a `variant_mask` of shape `(B, V)` is a batch of groups: every other tensor, `labels` aside, carries
    the variant axis after the batch axis, and variant 0 is the original. Per example i and variant v, with
    ℓ_iv the loss under the label and d_iv the divergence from the prediction on the original,

        hard:  w_iv = softmax_v(ℓ_iv / λ_P),   L_i = Σ_v w_iv ℓ_iv
        soft:  w_iv = softmax_v(d_iv / λ_P),   L_i = ℓ_i0 + λ_T Σ_v w_iv d_iv

    and the loss of an update is the mean of L_i over all its examples, however they are cut into micro-batches
    and processes. Batches without `variant_mask`, evaluation and prediction are exactly those of `Trainer`.

    With each logged training loss come, averaged over the same steps and over all processes, `mmel/loss_original`,
    `mmel/loss_variants` (of the augmented variants), `mmel/max_weight` (largest weight in a group),
    `mmel/effective_num_variants` (exponential of the entropy of a group's weights), and `mmel/variants_per_second`
    (augmented variants per second of training, without evaluation and saving). [`VariantHistory`] keeps how the
    weights were spread, and the hardest variants. Variants whose loss is infinite or NaN are left out, or end the
    training (`nonfinite_variants`); those that are left out, these and those of `min_label_probability`, are counted
    in `mmel/left_out`.

    Args:
        args ([`MMELTrainingArguments`], *optional*):
            `TrainingArguments` do where no augmenter is given.
        augmenter (*optional*):
            Makes the variants of the training examples, see [`GroupCollator`]; one of text needs `processing_class`,
            the tokenizer. `data_collator`, where given, goes on to pad. Not used with `mmel_loss="none"`. The
            variants of a [`~augment.GreedySearch`] are searched at the beginning of every epoch, see
            [`GreedySearchCallback`].
        adversary ([`AdversarialVariants`], *optional*):
            Adds to each group variants that the model makes against itself, beside those of the augmenter or instead
            of any. Not used with `mmel_loss="none"`.
        data_collator (*optional*):
            As in [`~transformers.Trainer`], or a [`GroupCollator`] instead of an augmenter: it serves training, and
            the collator inside it evaluation. All other arguments are those of [`~transformers.Trainer`].

    Raises:
        `TypeError` and `ValueError`: for what does not go together, before training starts.

    Source: Yi et al., ICLR 2021, arXiv 2103.08933, equations 6 to 9.
    """

    current_gradient_accumulation_steps = 1  # until a training says otherwise
    _takes_passes = False

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor | int | None:
        """Examples in all micro-batches of an update and in all processes: what their losses are divided by."""
        in_groups = batch_samples and (VARIANT_MASK in batch_samples[0] or self._takes_groups)
        if not in_groups:
            return super()._get_num_items_in_batch(batch_samples, device)
        batches = [batch if VARIANT_MASK in batch else as_groups(batch) for batch in batch_samples]
        count = sum(num_items(batch) for batch in batches)
        if self.accelerator.num_processes > 1:
            count = self.accelerator.reduce(torch.as_tensor(count, device=device), reduction="sum")
        return count if self._is_scaled(count) else count / len(batches)

    @property
    def _takes_groups(self) -> bool:
        """Whether training makes groups of plain examples, too."""
        return self._class_weights is not None or self._makes_adversaries

    @property
    def _makes_adversaries(self) -> bool:
        return self.adversary is not None and self.args.mmel_loss != "none"

    def _is_scaled(self, num_items_in_batch: torch.Tensor | float | None) -> bool:
        """Whether `Trainer` believes a loss to be scaled already; else it divides by the number of micro-batches."""
        if self.loss_is_scaled_for_ga is not None:
            return self.loss_is_scaled_for_ga
        return self.model_accepts_loss_kwargs and num_items_in_batch is not None

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor | Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """The stock step, in which alone the loss may come in parts that have been taken back through the model."""
        # A loss that a subclass changes has to have its whole gradient.
        self._takes_passes = getattr(self.compute_loss, "__func__", None) is MMELTrainer.compute_loss
        try:
            return super().training_step(model, inputs, num_items_in_batch)
        finally:
            self._takes_passes = False

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
            return_outputs (`bool`):
                Whether to return the model's outputs, too: on the N present variants, or those that are trained on;
                with `variant_chunk_size`, those of the last pass.
            num_items_in_batch (`torch.Tensor` or `int`, *optional*):
                Examples (labelled words, for token classification) in the whole update. The mean over this batch is
                returned where it is not given.

        The loss has its whole gradient, and nothing else is done, but with `variant_chunk_size`: then the gradient of
        all passes but the last has been added to that of the parameters already, and the loss has that of the last.

        Raises:
            `ValueError`: if a tensor lacks the variant axis, labels are missing, or the logits are not the head's.
        """
        if VARIANT_MASK in inputs and model.training:
            check_objective(self.args, self.compute_loss_func)
        if VARIANT_MASK in inputs and (not model.training or self.args.mmel_loss == "none"):
            inputs = originals(inputs)
        if VARIANT_MASK not in inputs and model.training and self._takes_groups:
            inputs = as_groups(inputs)
        if VARIANT_MASK not in inputs:
            return super().compute_loss(
                model, inputs, return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
            )

        num_here, mask = num_items(inputs), inputs[VARIANT_MASK].bool()
        # The mean over this batch, by the share that it has in the examples of the whole update, is exact for any cut
        # into micro-batches and processes. The stock rule is not: a `**kwargs` in the model's forward makes Trainer
        # believe that the model has divided by the item count already, yet the classification heads of BERT and others
        # return a plain mean, so that loss and gradient grow with the number of accumulation steps (transformers issue
        # 47688). Data-parallel training averages the gradients of the processes, where their sum is wanted.
        share = 1 if num_items_in_batch is None else num_here * self.accelerator.num_processes / num_items_in_batch
        # Originals alone are plain examples: the model's own loss, bit for bit what `Trainer` makes of them. Except
        # with `DataParallel`, under which it has one mean for each device, of unequal numbers of examples; and where
        # other processes score, whose passes all have to make.
        others_score = self._is_sharded and self.args.variant_backward != "full"
        is_plain = num_here and not mask[:, 1:].any() and not self._takes_groups
        is_once_more = False
        if is_plain and self.args.n_gpu <= 1 and not others_score:
            before = [buffer.clone() for buffer in self._buffers]
            mean_loss, outputs = super().compute_loss(model, originals(inputs), return_outputs=True)
            if mean_loss.isfinite():
                self._figures.add(mean_loss.detach().expand(mask.shape), mask)
                return (mean_loss * share, outputs) if return_outputs else mean_loss * share
            if self._is_sharded:
                raise FloatingPointError(OF_SHARDS)
            mean_loss = outputs = None  # whose graph is not to be held beside the next
            restore(self._buffers, before)
            is_once_more = True
        batches = 1 if self._is_scaled(num_items_in_batch) else self.current_gradient_accumulation_steps
        scale = share / (num_here or 1)  # without a label the total is 0, and 0 / 0 would not do
        loss, outputs = self._group_loss(
            model, {**inputs, VARIANT_MASK: mask}, scale, batches, return_outputs, is_once_more
        )
        return (loss, outputs) if return_outputs else loss

    def _group_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        scale: torch.Tensor | float,
        batches: int,
        return_outputs: bool,
        is_once_more: bool = False,
    ) -> tuple[torch.Tensor, Any]:
        """
        The objective, summed over the batch's items, times `scale`; the model's outputs in the last pass. With
        `is_once_more` the batch has had a pass, in vain.
        """

        def backward(loss: torch.Tensor) -> None:
            self.accelerator.backward(loss / batches)

        scores = self._scores if self.args.score_interval > 1 else None
        if scores is not None and GROUP_KEY not in inputs:
            raise ValueError(
                f"score_interval is {self.args.score_interval}, but a batch has no {GROUP_KEY}, by which groups are "
                "known again; expected one of shape (B,), such as VariantCollator makes with epochs_per_draw."
            )
        step = GroupStep(
            # A wrapper for data-parallel training has had its pass, and would wait for another one.
            self.model if is_once_more else model,
            # A wrapper for data-parallel training would have all processes wait for each other at each pass.
            scorer=model if self._is_sharded else self.model,
            args=self.args,
            config=getattr(self.accelerator.unwrap_model(self.model), "config", None),
            label_smoothing=0.0 if self.label_smoother is None else self.label_smoother.epsilon,
            class_weights=self._class_weights,
            backward=backward,
            no_sync=lambda: self.accelerator.no_sync(model),
            leave_out=lambda batch, left_out: self._nonfinite.tell(
                batch,
                left_out,
                self.model,
                self._reader,
                step=self.state.global_step + 1,
                raises=self.args.nonfinite_variants == "raise",
            ),
            is_sharded=self._is_sharded,
            in_one_pass=return_outputs or not self._takes_passes,
            scores=scores,
            adversary=self.adversary if self._makes_adversaries else None,
            buffers=self._buffers,
        )
        groups = step.with_adversaries(inputs)
        loss, outputs, losses, weights, mask = (step.in_one_more_pass if is_once_more else step)(groups, scale)
        left_out = groups[VARIANT_MASK] & ~mask
        self._figures.add(losses, mask, weights, self.args.weighs_original, left_out)
        if self._history is not None:  # of what can be read
            num_given = inputs[VARIANT_MASK].shape[1]
            given = {**inputs, VARIANT_MASK: mask[:, :num_given]}
            losses, weights = losses[:, :num_given], weights[:, :num_given]
            self._history.add(given, losses, weights, self.state.global_step + 1, self._reader)
        return loss, outputs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the figures of the variants to a training loss that is logged."""
        if "loss" in logs:
            figures, weight_counts = self._figures.taken(lambda sums: self.accelerator.reduce(sums, reduction="sum"))
            logs |= figures
            if self._history is not None:
                self._history.add_weights(weight_counts, self.state)
        super().log(logs, start_time)
