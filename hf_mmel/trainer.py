"""`MMELTrainer`: transformers' `Trainer`, learning from groups of variants."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import DataCollator, EvalPrediction, PreTrainedModel, TrainerCallback, TrainingArguments
from transformers.modeling_outputs import ModelOutput

from . import validation
from .callbacks import CollatorCallback, ResumableTrainer, add_callbacks, replace_progress_bar
from .data.group_collator import GroupCollator
from .data.groups import (
    LABELS,
    VARIANT_MASK,
    WEIGHT,
    as_groups,
    has_known_labels,
    layout_of,
    num_items,
    originals,
    with_layout,
)
from .hub.card_trainer import ModelCardTrainer
from .monitoring.history import VariantHistory
from .monitoring.metrics import GroupMetrics
from .objective.class_weights import class_weights_of
from .objective.heads import loss_of_probabilities, zero_without_labels
from .objective.probability_labels import has_probability_labels
from .soft_label_models import SoftLabelTrainer, WeightAverageCallback, check_teacher, compares_originals
from .step.adversarial import AdversarialVariants
from .step.forward import VariantForward
from .step.group_step import GroupStep
from .step.nonfinite import NONFINITE_SHARD, NonfiniteVariants
from .step.scoring import ScoreCache
from .train_data import GroupDataTrainer, Inputs
from .training_args import MMELTrainingArguments


class MMELTrainer(SoftLabelTrainer, GroupDataTrainer, ResumableTrainer, ModelCardTrainer):
    """
    A `transformers.Trainer` that trains on groups of variants by minimising the maximal expected loss.

    A batch with a `variant_mask` of shape `(B, V)` is a batch of groups: every other tensor, `labels` and `weight`
    aside, carries the variant axis after the batch axis, and variant 0 is the original. Per example i and variant v,
    with ℓ_iv the loss under the label and d_iv the divergence from the prediction on the original,

        hard:  w_iv = softmax_v(ℓ_iv / λ_P),   L_i = Σ_v w_iv ℓ_iv
        soft:  w_iv = softmax_v(d_iv / λ_P),   L_i = ℓ_i0 + λ_T Σ_v w_iv d_iv

    and the loss of an update is the mean of L_i over all its examples, however they are cut into micro-batches
    and processes. The `weight` `(B,)` of an example is a factor of its L_i. Batches without `variant_mask`, evaluation
    and prediction are exactly those of `Trainer`.

    With each training loss the metrics of `GroupMetrics` are logged; `VariantHistory` keeps more.

    Args:
        args (`MMELTrainingArguments`, *optional*):
            Plain `TrainingArguments` are enough for training without variants.
        augmenter (*optional*):
            Makes the variants of the training examples, see `GroupCollator`. An augmenter of text needs the
            tokenizer as `processing_class`. `data_collator`, if given, still pads. Not used with `mmel_loss="none"`.
            A `augment.GreedySearch` searches at the beginning of every epoch, see `GreedySearchCallback`.
        adversary (`AdversarialVariants`, *optional*):
            Adds adversarial variants to each group, with or without an augmenter. Not used with `mmel_loss="none"`.
        teacher (`nn.Module`, *optional*):
            Predicts the soft labels with `soft_labels="teacher"`, in evaluation mode. It gets the inputs of the model,
            so both share the vocabulary and the labels. It is neither trained nor saved.
        unlabeled_dataset (*optional*):
            Examples without a label, of which each labelled example of a batch brings `unlabeled_ratio` along. They
            have the columns of `train_dataset` without the label, and a length and an index. They count like examples
            with the label -100, see `hf_mmel.argument_groups.UnlabeledArguments`.
        data_collator (*optional*):
            As in `Trainer`, or a `GroupCollator` instead of an augmenter: it collates training batches, and the
            collator inside it evaluation batches. All other arguments are those of `Trainer`.

    Raises:
        `TypeError` and `ValueError`: if arguments, model or data do not fit together, before training starts.

    Source: Yi et al., ICLR 2021, arXiv 2103.08933, equations 6 to 9.
    """

    current_gradient_accumulation_steps = 1  # `Trainer` sets it in training
    adversary: AdversarialVariants | None
    _step: GroupStep | None = None
    _backpropagates_micro_batches = False

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
        teacher: nn.Module | None = None,
        unlabeled_dataset: Any = None,
        tokenizer: None = None,
    ):
        given_collator = data_collator if isinstance(data_collator, GroupCollator) else None
        validation.check_given(augmenter, given_collator, train_dataset, tokenizer)
        data_collator = data_collator if given_collator is None else given_collator.data_collator
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
        self.augmenter, self.adversary, self._given_collator = augmenter, adversary, given_collator
        self.teacher = teacher
        self.unlabeled_dataset = unlabeled_dataset
        self._scores, self._metrics = ScoreCache(self.args.device), GroupMetrics()
        if isinstance(self.args, MMELTrainingArguments):  # without them there are no groups
            self.add_callback(self._metrics)
            self.add_callback(WeightAverageCallback())
            if not self._callbacks_of(VariantHistory):
                self.add_callback(VariantHistory())
            replace_progress_bar(self)
        self._check_arguments()
        if augmenter is None and given_collator is None:
            return
        validation.check_vocabulary(self.model, self._reader)
        self.build_group_collator()  # raises what does not fit before any work is done
        add_callbacks(self, augmenter if given_collator is None else given_collator.augmenter, self._scores)
        for callback in self._callbacks_of(CollatorCallback):  # also for a data loader of Ray, which calls it itself
            callback.newest_collator = given_collator

    def _check_arguments(self, config: Any = None) -> None:
        sources = self.augmenter, self._given_collator, self.adversary, getattr(self.args, "class_weights", None)
        needs_groups = any(
            getattr(self.args, name, False) for name in ("feature_separation", "needs_class_probabilities")
        )
        if needs_groups or any(source is not None for source in (*sources, self.teacher, self.unlabeled_dataset)):
            validation.check_objective(self.args, self.compute_loss_func, self.adversary, self._is_sharded, config)
            self._check_unlabeled(self.adversary)
        if self.teacher is not None:
            check_teacher(self.teacher, self.model, self._reader, self.args)

    # Data

    def get_train_dataloader(self) -> DataLoader:
        """The stock data loader, which collates groups of variants if there is an augmenter."""
        self._step, config = None, getattr(self.model, "config", None)
        self._check_arguments(config)  # once more, since they may have changed
        validation.check_label_names(self.args, self.model, self.eval_dataset, self.data_collator)
        validation.check_separation(self.args, self.train_dataset, config, self.model)
        class_weights = class_weights_of(self.args, self.train_dataset, config)
        self._class_weights = None if class_weights is None else class_weights.to(self.args.device)
        self._has_probability_labels = has_probability_labels(self.train_dataset, config)
        return super().get_train_dataloader()

    # Loss

    def training_step(self, model: nn.Module, inputs: Inputs, num_items_in_batch: Any = None) -> torch.Tensor:
        """The stock step, the only caller of `compute_loss` for which it may backpropagate micro-batches itself."""
        # A subclass that changes the loss needs its whole gradient.
        is_own = getattr(self.compute_loss, "__func__", None) is MMELTrainer.compute_loss
        self._backpropagates_micro_batches, self._has_computed_loss = is_own, False
        try:
            return super().training_step(model, inputs, num_items_in_batch)
        except Exception as error:
            if is_own or self._has_computed_loss or VARIANT_MASK not in inputs:
                raise
            raise validation.no_groups_in(type(self), error) from error
        finally:
            self._backpropagates_micro_batches = False

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Inputs,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ModelOutput]:
        """
        The MMEL loss of a batch of groups; the stock loss of any other batch.

        Args:
            model (`nn.Module`): The model, wrapped or not.
            inputs (`dict`): Groups as described in `MMELTrainer`, or the stock inputs.
            return_outputs (`bool`):
                Whether to return the model's outputs as well: on the N variants that are trained on, or with
                `variant_chunk_size` those of the last micro-batch.
            num_items_in_batch (`torch.Tensor` or `int`, *optional*):
                Examples (labelled words, for token classification) in the whole update. Without it the mean over this
                batch is returned.

        The returned loss has the whole gradient, except with `variant_chunk_size`: then the gradients of all
        micro-batches but the last have been added to those of the parameters.
        """
        self._has_computed_loss = True
        kind, groups = self._kind_of(model, inputs)
        if VARIANT_MASK in inputs and (kind == "stock" or self.args.mmel_loss == "none"):
            inputs = originals(inputs, with_weights=kind != "stock")
        if kind == "stock":
            if self._have_weights(inputs):
                inputs = {name: x for name, x in inputs.items() if name != WEIGHT}
            if self._are_probabilities(inputs):  # a loss that few models have
                loss, outputs = loss_of_probabilities(model, inputs)
            else:
                options: Any = {"return_outputs": True, "num_items_in_batch": num_items_in_batch}
                loss, outputs = super().compute_loss(model, dict(inputs), **options)  # may remove the labels
                if model.training and not has_known_labels(inputs):
                    loss = zero_without_labels(loss, outputs, inputs.get(LABELS))
            return (loss, outputs) if return_outputs else loss
        inputs, mask = groups, groups[VARIANT_MASK]
        self._group_step.check_loss(model, inputs)
        # Without a label that sum is 0, but unlabelled examples may count.
        num_here = num_items(inputs) if layout_of(inputs).are_labelled.any() else 1
        # The mean over this batch, times its share of all examples of the update, is exact for any cut into parts and
        # processes, whose gradients are averaged. The stock rule is not: BERT's heads return a plain mean, although
        # their forward takes `num_items_in_batch` (transformers issue 47688).
        share = 1 if num_items_in_batch is None else num_here * self.accelerator.num_processes / num_items_in_batch
        items_per_unlabelled = self._items_per_unlabelled
        if num_items_in_batch is None or items_per_unlabelled is None:
            num_labelled, num_unlabelled = self._counts_of(inputs).clamp(min=1)
            items_per_unlabelled = num_labelled / num_unlabelled
        if kind == "originals":
            before = self._group_step.forward.saved_buffers()
            loss, outputs = super().compute_loss(model, originals(inputs), return_outputs=True)
            if loss.isfinite():
                self._metrics.add(loss.detach().expand(mask.shape), mask, labels=inputs.get(LABELS))
                return (loss * share, outputs) if return_outputs else loss * share
            if self._is_sharded:
                raise FloatingPointError(NONFINITE_SHARD)
            self._group_step.forward.restore(before)
            del loss, outputs  # whose graph is not to be held beside the next
        result = self._group_step(
            model,
            inputs,
            share / num_here,
            unlabelled_weight=self.args.lambda_u * items_per_unlabelled,
            accumulation_steps=1 if self._is_scaled(num_items_in_batch) else self.current_gradient_accumulation_steps,
            single_pass=return_outputs or not self._backpropagates_micro_batches,
            retry=kind == "originals",
        )
        losses, weights, mask = result.losses, result.weights, result.variant_mask
        options = self.args.weighs_original, result.left_out, inputs.get(LABELS), result.lambda_p
        options += result.unlabelled, result.unlabelled_losses
        self._metrics.add(losses, mask, weights, *options)
        for history in self._callbacks_of(VariantHistory):
            history.add(inputs, losses, weights, mask, self.state.global_step + 1, self._reader)
        return (result.loss, result.outputs) if return_outputs else result.loss

    def _kind_of(self, model: nn.Module, inputs: Inputs) -> tuple[Literal["stock", "originals", "groups"], Inputs]:
        """
        Whether a batch has the stock loss, as groups of originals alone that of the model, or the MMEL loss; and the
        batch, as groups with their layout unless it has the stock loss.
        """
        has_mask, takes_as_groups = VARIANT_MASK in inputs, self._takes_as_groups(inputs)
        if not model.training or not (has_mask or takes_as_groups):
            return "stock", inputs
        if has_mask:
            validation.check_objective(self.args, self.compute_loss_func, self.adversary, self._is_sharded)
            if self.args.mmel_loss == "none" and not takes_as_groups:
                return "stock", inputs
        # Plain examples come without weights, if all of them are 1.
        groups = with_layout(as_groups(inputs, self.model), inputs, self.model)
        layout = layout_of(groups)
        # The model's own loss of originals alone is bit for bit that of `Trainer`. But under `DataParallel` it is one
        # mean per device over unequal numbers of rows, and while others score all processes make forward passes.
        others_score = self._is_sharded and self.args.variant_backward != "full"
        has_own_loss = self.args.loss_check and self.compute_loss_func is None and not compares_originals(self.args)
        are_weighted = layout.are_weighted is not None and layout.are_weighted.any() and self._have_weights(inputs)
        needs_groups = are_weighted or self._needs_groups(inputs) or self.args.n_gpu > 1 or others_score
        has_variants = not layout.are_labelled.any() or layout.present[:, 1:].any()
        return "groups" if needs_groups or not has_own_loss or has_variants else "originals", groups

    @property
    def _group_step(self) -> GroupStep:
        """The step of this training run."""
        if self._step is None or not self._step.is_for(self.model, self.args, self.state):
            smoothing = 0.0 if self.label_smoother is None else self.label_smoother.epsilon
            losses = self._problem_type, smoothing, self._class_weights, self.compute_loss_func
            forward = VariantForward(self.model, self.args, *losses)
            nonfinite = NonfiniteVariants(forward, self.state, self._reader)
            options = self.accelerator, self._scores, self.adversary, self._is_sharded, self.soft_label_model
            self._step = GroupStep(forward, nonfinite, *options)
        return self._step

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the metrics of the variants to a training loss that is logged."""
        if "loss" in logs:
            metrics, histogram = self._metrics.pop(lambda sums: self.accelerator.reduce(sums, reduction="sum"))
            logs |= metrics
            for history in self._callbacks_of(VariantHistory):
                history.add_weights(histogram, self.state)
        super().log(logs, start_time)
