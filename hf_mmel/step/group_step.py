"""The training step on a batch of groups: from the batch to the loss that is trained on."""

from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import TrainerState

from ..data.groups import LABELS, VARIANT_MASK, layout_of, with_layout, with_variants
from ..data.layout import on_device, read
from ..objective.separation import classes_of, group_separation
from ..objective.unlabelled import without_variants
from ..training_args import MMELTrainingArguments
from .adversarial import AdversarialVariants
from .forward import ForwardResult, VariantForward
from .loss_check import check_loss
from .nonfinite import NONFINITE_SHARD, NonfiniteBefore, NonfiniteVariants
from .scoring import ScoreCache, Scorer
from .soft_labels import with_soft_labels
from .strategies import Chunked, Full, Plan, Selected, Strategy


class StepResult(NamedTuple):
    """The result of a step on B groups, with adversarial variants as the last of V."""

    loss: Tensor  # the scaled objective; the gradients of all micro-batches but the last are in the parameters already
    outputs: Any  # the model's, in the last forward pass
    losses: Tensor  # of all variants, (B, V)
    weights: Tensor
    variant_mask: Tensor  # the variants that took part, (B, V)
    left_out: Tensor  # the variants that were present and did not take part, (B, V)
    lambda_p: Tensor | None  # of each example, (B,), where it is solved
    unlabelled: Tensor | None  # whether each example has no label and counts, (B,), where such examples count
    unlabelled_losses: Tensor | None  # of these examples, (B,)


class GroupStep:
    """
    Computes the loss of batches of groups. Made once for a training run.

    A strategy plans the step: which variants are trained on, in which micro-batches. Each micro-batch is
    backpropagated before the next, so that memory is that of the largest one. Variants that are not finite are left
    out before they are weighed, and no gradient comes from them.

    Args:
        accelerator (`Accelerator`): Backpropagates.
        scores (`ScoreCache`): Scores that are known from earlier steps.
        adversary (`AdversarialVariants`, *optional*): Adds adversarial variants to each group.
        is_sharded (`bool`): Whether all processes have to make the same forward passes, as under FSDP.
        soft_label_model (`nn.Module`, *optional*): Predicts the soft labels of MMEL-S in place of the trained model.
    """

    def __init__(
        self,
        forward: VariantForward,
        nonfinite: NonfiniteVariants,
        accelerator: Accelerator,
        scores: ScoreCache,
        adversary: AdversarialVariants | None = None,
        is_sharded: bool = False,
        soft_label_model: nn.Module | None = None,
    ):
        self.forward, self.nonfinite, self.accelerator = forward, nonfinite, accelerator
        self.adversary, self.is_sharded, self.soft_label_model = adversary, is_sharded, soft_label_model
        scorer = Scorer(forward, scores, is_sharded)
        # Under label smoothing `Trainer` does not use the model's own loss either.
        self._is_checked = not forward.args.loss_check or bool(forward.label_smoothing)
        self.full = Full(forward.args, nonfinite.state)
        self.chunked, self.selected = Chunked(scorer, nonfinite), Selected(scorer, nonfinite)

    def check_loss(self, model: nn.Module, inputs: Mapping[str, Tensor]) -> None:
        """Checks the loss on the first batch that has labels, see `check_loss`; of sharded models on the first one."""
        if not self._is_checked:
            inner = model if self.is_sharded else self.forward.model
            self._is_checked = check_loss(inner, inputs, self.forward) or self.is_sharded

    def is_for(self, model: Any, args: MMELTrainingArguments, state: TrainerState) -> bool:
        """Whether the step was made for these very objects, which a training run or a user may replace."""
        return self.forward.model is model and self.forward.args is args and self.nonfinite.state is state

    def __call__(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        scale: Tensor | float,
        *,
        unlabelled_weight: Tensor | float = 0.0,
        accumulation_steps: int = 1,
        single_pass: bool = False,
        retry: bool = False,
    ) -> StepResult:
        """
        The loss of a batch.

        Args:
            model (`nn.Module`): The model as it is trained, wrapped for parallel training or not.
            inputs (`Mapping`): The groups, with a `variant_mask` of dtype `bool`.
            scale (`torch.Tensor` or `float`): Factor of the loss.
            unlabelled_weight (`torch.Tensor` or `float`): Weight of an example without a label, in items.
            accumulation_steps (`int`): What `Trainer` divides the loss by.
            single_pass (`bool`): Whether the returned loss has the whole gradient, unless `variant_chunk_size` is set.
            retry (`bool`): Whether the wrapped model has made a forward pass for this batch in vain. The wrapper waits
                for other processes in each, so the step takes the model inside it.

        Raises:
            `FloatingPointError`: if a variant is not finite and cannot be left out, see `NonfiniteVariants`.
        """
        # A wrapper for data-parallel training has all processes wait for each other in each forward pass.
        inner = model if self.is_sharded else self.forward.model
        inputs = with_layout(inputs, inputs)
        if self.soft_label_model is not None and self.forward.args.mmel_loss == "soft":
            with self.accelerator.autocast():
                inputs = with_soft_labels(inputs, self.soft_label_model, self.forward.problem_type)
        if self.adversary is not None and self.forward.args.mmel_loss != "none":
            inputs = self.adversary.add_to(inputs, self.forward)
        labels, layout = inputs.get(LABELS), layout_of(inputs)
        if self.forward.args.uses_own_predictions and labels is not None and labels.dim() < 3:
            inputs = with_variants(inputs, without_variants(layout.present, ~layout.are_labelled))
        run = partial(
            self._plan_and_run,
            inputs=inputs,
            scale=scale,
            unlabelled_weight=unlabelled_weight,
            accumulation_steps=accumulation_steps,
            single_pass=single_pass,
        )
        # To know of each forward pass whether all variants are finite, the host would wait for the device each time.
        # It looks once, and makes the step anew where it was wrong. A sharded model cannot make more forward passes.
        if self.is_sharded or retry:
            return run(inner if retry else model, inner, retry=retry, is_careful=True)
        before = self._state()
        try:
            return run(model, inner)
        except NonfiniteBefore as error:
            is_last = error.is_last
        self._restore(*before)
        return run(inner if is_last else model, inner, is_careful=True)

    def _state(self) -> tuple[list[Tensor], Tensor, Tensor | None, list[nn.Parameter]]:
        """What a step changes: buffers, the states of the random generators, and which weights have no gradient."""
        model, device = self.forward.model, self.accelerator.device
        of_device = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        without = [weight for weight in model.parameters() if weight.grad is None]
        return self.forward.saved_buffers(), torch.get_rng_state(), of_device, without

    def _restore(
        self, buffers: list[Tensor], random: Tensor, of_device: Tensor | None, without: list[nn.Parameter]
    ) -> None:
        self.forward.restore(buffers)
        torch.set_rng_state(random)
        if of_device is not None:
            torch.cuda.set_rng_state(of_device, self.accelerator.device)
        for weight in without:
            weight.grad = None

    def _plan_and_run(
        self,
        model: nn.Module,
        inner: nn.Module,
        inputs: Mapping[str, Any],
        scale: Tensor | float,
        unlabelled_weight: Tensor | float,
        accumulation_steps: int,
        single_pass: bool,
        retry: bool = False,
        is_careful: bool = False,
    ) -> StepResult:
        mask, present = inputs[VARIANT_MASK], layout_of(inputs).present
        self.nonfinite.forget()
        if retry:
            plan = self.full.plan(inner, inputs, None, single_pass=True)
        else:
            max_rows = self._max_rows(present)
            # Representations are compared within a micro-batch, which is therefore the whole batch if it may be.
            single_pass = single_pass or self.is_sharded or self.forward.args.feature_separation > 0
            plan = self._strategy(present, max_rows).plan(inner, inputs, max_rows, single_pass, is_careful)
        plan.unlabelled_weight = unlabelled_weight
        loss, outputs = self._run(model, inner, plan, scale, accumulation_steps, is_careful)
        left_out, unlabelled = mask & ~plan.variant_mask, (plan.unlabelled, plan.unlabelled_losses)
        values = plan.losses, plan.weights, plan.variant_mask, left_out, plan.lambda_p
        return StepResult(loss, outputs, *values, *unlabelled)

    def _max_rows(self, present: np.ndarray) -> int | None:
        chunk = self.forward.args.variant_chunk_size
        return None if chunk is None else chunk * len(present)

    def _strategy(self, present: np.ndarray, max_rows: int | None) -> Strategy:
        if self.forward.args.variant_backward != "full" and present.shape[1] > 1:  # there is something to choose from
            return self.selected
        return self.full if max_rows is None or present.sum(axis=1).max() <= max_rows else self.chunked

    def _run(
        self,
        model: nn.Module,
        inner: nn.Module,
        plan: Plan,
        scale: Tensor | float,
        accumulation_steps: int,
        is_careful: bool,
    ) -> tuple[Tensor, Any]:
        """The loss of a plan, whose micro-batches but the last are backpropagated, and the last outputs."""
        if not plan.micro_batches:
            return self.forward.zero_loss(model, plan.inputs)
        total, outputs = torch.zeros((), device=plan.variant_mask.device), None
        num_passes = len(plan.micro_batches)
        # A step that is made anew drops gradients, which must be of this batch and not have changed weights already.
        has_gradients = any(weight.grad is not None for weight in self.forward.model.parameters())
        updates_at_once = any(name in str(self.forward.args.optim) for name in ("layerwise", "lomo"))
        is_careful |= num_passes > 1 and (has_gradients or updates_at_once)
        for number, variants in enumerate(plan.micro_batches, start=1):
            is_last = number == num_passes
            if is_last and not is_careful and num_passes > 1:
                self.nonfinite.read()  # before a wrapper for data-parallel training expects the last backward pass
                is_careful = True
            with nullcontext() if is_last else self.accelerator.no_sync(model):
                result, finite = self._finite_forward(model, inner, plan, variants, is_careful)
                if result is None:
                    loss, outputs = self.forward.zero_loss(inner, plan.inputs)
                else:
                    loss, outputs = plan.strategy.loss(plan, result, finite), result.outputs
                    loss = (loss + self._separation(plan, result, finite)) * scale
                if not is_last:
                    if loss.requires_grad:
                        self.accelerator.backward(loss / accumulation_steps)
                    total += loss.detach()
        if not is_careful:
            self.nonfinite.read(is_last=True)  # once all is launched
        return loss + total, outputs

    def _separation(self, plan: Plan, result: ForwardResult, finite: Tensor) -> Tensor | float:
        """The term of `feature_separation` of a forward pass, with its finite variants `(b, V)`, over its examples."""
        factor, features, examples = self.forward.args.feature_separation, result.features, result.examples
        if not factor or features is None:
            return 0.0
        trained = finite & plan.variant_mask[examples]  # without those that lost their label
        in_passes = on_device(np.any(plan.micro_batches, axis=0), plan.variant_mask.device)
        num_rows = (in_passes & plan.variant_mask).sum(dim=1)[examples]
        weights = None if plan.example_weights is None else plan.example_weights[examples]
        groups = classes_of(plan.inputs)[examples], trained, num_rows, weights
        computed, is_trained = read(result.variant_mask, trained)
        rows = on_device(np.flatnonzero(is_trained[computed]), features.device)
        return factor * group_separation(features[rows], *groups)

    def _finite_forward(
        self, model: nn.Module, inner: nn.Module, plan: Plan, variants: np.ndarray, is_careful: bool
    ) -> tuple[Any, Any]:
        """
        A forward pass over the variants that are finite, and which these are, `(b, V)`; `None` if there are none. If
        not `is_careful`, over all variants, and without waiting for the device.
        """
        planned, soft_labels = variants, plan.soft_labels
        while variants.any():
            buffers = self.forward.saved_buffers() if is_careful else None
            result = self.forward(model, plan.inputs, variants, soft_labels)
            mask = result.variant_mask
            if not is_careful:
                return result, self.nonfinite.expected(result.values, mask)
            examples = np.flatnonzero(variants.any(axis=1))
            finite = self.nonfinite.left_in(plan.inputs, result.values, mask, examples, buffers)
            if finite is mask:
                self._leave_out(plan, planned & ~variants)
                return result, finite
            if self.is_sharded:
                raise FloatingPointError(NONFINITE_SHARD)
            # Once more without them, since a gradient of 0 through a value that is not finite is NaN. A wrapper for
            # data-parallel training, which waits for other processes, has had its forward pass.
            variants, model = variants.copy(), inner
            (variants[examples],) = read(finite)
            del result  # whose graph is not to be held beside the next
        self._leave_out(plan, planned)
        return None, None

    @staticmethod
    def _leave_out(plan: Plan, variants: np.ndarray) -> None:
        if variants.any():
            plan.variant_mask = plan.variant_mask & ~on_device(variants, plan.variant_mask.device)
