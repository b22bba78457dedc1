"""The training step on a batch of groups: from the batch to the loss that is trained on."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from transformers import TrainerState

from ..data.groups import VARIANT_MASK, WEIGHT, are_unlabelled, take
from ..objective.separation import classes_of, group_separation
from ..objective.unlabelled import without_variants
from ..training_args import MMELTrainingArguments
from .adversarial import AdversarialVariants
from .forward import ForwardResult, VariantForward
from .loss_check import check_loss
from .nonfinite import NONFINITE_SHARD, NonfiniteVariants
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
        if self.soft_label_model is not None and self.forward.args.mmel_loss == "soft":
            with self.accelerator.autocast():
                inputs = with_soft_labels(inputs, self.soft_label_model, self.forward.problem_type)
        if self.adversary is not None and self.forward.args.mmel_loss != "none":
            inputs = self.adversary.add_to(inputs, self.forward)
        if self.forward.args.uses_own_predictions:
            mask = without_variants(inputs[VARIANT_MASK], are_unlabelled(inputs))
            inputs = {**inputs, VARIANT_MASK: mask}
        mask = inputs[VARIANT_MASK]
        if retry:
            model, plan = inner, self.full.plan(inner, inputs, None, single_pass=True)
        else:
            max_rows = self._max_rows(mask)
            # Representations are compared within a micro-batch, which is therefore the whole batch if it may be.
            single_pass = single_pass or self.is_sharded or self.forward.args.feature_separation > 0
            plan = self._strategy(mask, max_rows).plan(inner, inputs, max_rows, single_pass)
        plan.unlabelled_weight = unlabelled_weight
        loss, outputs = self._run(model, inner, inputs, plan, scale, accumulation_steps)
        left_out, unlabelled = mask & ~plan.variant_mask, (plan.unlabelled, plan.unlabelled_losses)
        values = plan.losses, plan.weights, plan.variant_mask, left_out, plan.lambda_p
        return StepResult(loss, outputs, *values, *unlabelled)

    def _max_rows(self, mask: Tensor) -> int | None:
        chunk = self.forward.args.variant_chunk_size
        return None if chunk is None else chunk * len(mask)

    def _strategy(self, mask: Tensor, max_rows: int | None) -> Strategy:
        if self.forward.args.variant_backward != "full" and mask.shape[1] > 1:  # there is something to choose from
            return self.selected
        return self.full if max_rows is None or int(mask.sum(dim=1).max()) <= max_rows else self.chunked

    def _run(
        self,
        model: nn.Module,
        inner: nn.Module,
        inputs: Mapping[str, Tensor],
        plan: Plan,
        scale: Tensor | float,
        accumulation_steps: int,
    ) -> tuple[Tensor, Any]:
        """The loss of a plan, whose micro-batches but the last are backpropagated, and the last outputs."""
        if not plan.micro_batches:
            return self.forward.zero_loss(model, inputs)
        total, outputs = torch.zeros((), device=plan.variant_mask.device), None
        for number, variants in enumerate(plan.micro_batches, start=1):
            is_last = number == len(plan.micro_batches)
            with nullcontext() if is_last else self.accelerator.no_sync(model):
                result, finite = self._finite_forward(model, inner, inputs, variants, plan.soft_labels)
                plan.variant_mask = plan.variant_mask & (finite | ~variants)
                if result is None:
                    loss, outputs = self.forward.zero_loss(inner, inputs)
                else:
                    loss, outputs = plan.strategy.loss(plan, result, finite[result.examples]), result.outputs
                    loss = (loss + self._separation(inputs, plan, result, finite)) * scale
                if not is_last:
                    if loss.requires_grad:
                        self.accelerator.backward(loss / accumulation_steps)
                    total += loss.detach()
        return loss + total, outputs

    def _separation(
        self, inputs: Mapping[str, Tensor], plan: Plan, result: ForwardResult, variants: Tensor
    ) -> Tensor | float:
        """The term of `feature_separation` of a forward pass over `variants` `(B, V)`, summed over its examples."""
        factor, features = self.forward.args.feature_separation, result.features
        if not factor or features is None:
            return 0.0
        trained = variants & plan.variant_mask  # without those that lost their label
        num_rows = (torch.stack(plan.micro_batches).any(dim=0) & plan.variant_mask).sum(dim=1)
        groups = classes_of(inputs), trained, num_rows, inputs.get(WEIGHT)
        return factor * group_separation(features[trained[variants]], *groups)

    def _finite_forward(
        self, model: nn.Module, inner: nn.Module, inputs: Mapping[str, Tensor], variants: Tensor, soft_labels: Any
    ) -> tuple[ForwardResult | None, Tensor]:
        """A forward pass over the variants that are finite, and which these are, `(B, V)`."""
        while variants.any():
            buffers = self.forward.saved_buffers()
            result = self.forward(model, inputs, variants, soft_labels)
            mask = variants[result.examples]
            finite = self.nonfinite.left_in(take(inputs, result.examples), result.values, mask, buffers)
            if finite is mask:
                return result, variants
            if self.is_sharded:
                raise FloatingPointError(NONFINITE_SHARD)
            # Once more without them, since a gradient of 0 through a value that is not finite is NaN. A wrapper for
            # data-parallel training, which waits for other processes, has had its forward pass.
            variants, model = variants.index_put((result.examples,), finite), inner
            del result  # whose graph is not to be held beside the next
        return None, variants
