"""From a batch of groups to the loss that is trained on, in one pass over the variants or in several."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig

from augment.mlm.fill_mask import fast_dtype

from ..data.groups import (
    GROUP_KEY,
    LABELS,
    PERTURBATION,
    VARIANT_MASK,
    Groups,
    in_passes,
    in_quick_passes,
    take,
    trimmed,
)
from ..objective.heads import Head, Losses
from ..objective.weighting import Judged, select
from ..training_args import MMELTrainingArguments
from .adversarial import AdversarialVariants, perturbed
from .modes import evaluating, restore
from .nonfinite import OF_SHARDS
from .score_cache import ScoreTable


class StepResult(NamedTuple):
    """
    What a step makes of a batch of B groups.

    Attributes:
        loss (`torch.Tensor`): The objective summed over the items of the batch, times the scale, of whose passes but
            the last the gradient has been taken already.
        outputs: Those of the model in the last pass.
        losses, weights (`torch.Tensor` of shape `(B, V)`): Of all variants.
        variant_mask (`torch.Tensor` of shape `(B, V)`): The variants that are present and have not been left out.
    """

    loss: Tensor
    outputs: Any
    losses: Tensor
    weights: Tensor
    variant_mask: Tensor


@dataclass
class GroupStep:
    """
    Makes the loss of batches of groups.

    With `args.variant_backward="full"` variants are computed once, with a graph, and weighed by what they lose in it,
    unless the group of an example does not fit into one pass. Otherwise all variants are scored without a graph,
    weighed, and only those that are to be trained on are computed again. Either is done in passes of groups of like
    length, each of which is taken back through the model before the next one begins: what is in memory at once are
    the activations of one pass, of which `args.variant_chunk_size` limits the rows. Groups whose scores are known are
    not scored again; what training computes of a variant is its score from then on.

    Variants whose loss or divergence is not finite are left out where they show: before they are weighed, and so that
    no gradient comes from them. Those that seem to have lost their label have no weight.

    Args:
        model (`nn.Module`): The model as it is trained, wrapped for parallel training or not.
        scorer (`nn.Module`): The model that scores.
        args ([`MMELTrainingArguments`]): The objective, and what of it is trained on.
        config, label_smoothing, class_weights: Of the [`Head`].
        backward (`Callable`): Takes a part of the loss back through the model.
        no_sync (`Callable`): Context in which processes do not wait for each other.
        leave_out (`Callable`): Is told of the batch and of its variants that are left out, `(B, V)`; may raise.
        is_sharded (`bool`, *optional*, defaults to `False`):
            Whether all processes have to make the same passes: one that scores, and one that trains.
        in_one_pass (`bool`, *optional*, defaults to `False`):
            Whether to train in one pass also where more would be quicker, so that the loss that is returned has the
            whole gradient.
        scores ([`ScoreTable`], *optional*): What is known of groups by their keys. Without it all are scored.
        adversary ([`AdversarialVariants`], *optional*): What the model makes against itself.
        buffers (`Sequence[torch.Tensor]`, *optional*): What a pass changes in the model, such as the running means of
            batch normalisation. A pass that is made again leaves nothing in them.
    """

    model: nn.Module
    scorer: nn.Module
    args: MMELTrainingArguments
    config: PretrainedConfig | None
    label_smoothing: float
    class_weights: Tensor | None
    backward: Callable[[Tensor], None]
    no_sync: Callable[[], AbstractContextManager]
    leave_out: Callable[[dict[str, Tensor], Tensor], None]
    is_sharded: bool = False
    in_one_pass: bool = False
    scores: ScoreTable | None = None
    adversary: AdversarialVariants | None = None
    buffers: Sequence[Tensor] = ()

    def with_adversaries(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """
        The batch with the variants that the model makes against itself at the end of each group, if it is to make any:
        copies of the original, and a `perturbation` of its input.
        """
        if self.adversary is None:
            return inputs
        aim_at_divergences = self.args.mmel_loss == "soft"

        def aims(moved: dict[str, Tensor], part: Tensor) -> tuple[Tensor, Tensor]:
            chosen, head, groups, logits, _ = self._forward(self.scorer, moved, part)
            judged = Judged.of(head, logits.float(), groups, self.args)
            return chosen, judged.divergences if aim_at_divergences else judged.losses.mean()

        with evaluating(self.scorer):
            return self.adversary.added_to(inputs, self._free, aims, needs_originals=aim_at_divergences)

    def _free(self, inputs: dict[str, Tensor]) -> Tensor:
        """In the shape of what can be perturbed, `(B, V, ...)` in float32, 1 where it is and 0 for padding."""
        main = inputs[self._main_input]
        if main.is_floating_point():
            return torch.ones_like(main, dtype=torch.float32)
        width = self.scorer.get_input_embeddings().weight.shape[1]
        seen = inputs.get("attention_mask", torch.ones_like(main))
        return seen[..., None].float().expand(*main.shape, width).contiguous()

    @property
    def _main_input(self) -> str:
        return getattr(self.scorer, "main_input_name", "input_ids")

    def __call__(self, inputs: dict[str, Tensor], scale: Tensor | float) -> StepResult:
        """
        The loss of a batch.

        Args:
            inputs (`dict`): Groups, with a `variant_mask` of dtype `bool`.
            scale (`torch.Tensor` or `float`): Factor of the loss.

        Raises:
            `FloatingPointError`: if a variant is not finite and all processes have to make the same passes, so that
                none can make another one.
        """
        args, mask = self.args, inputs[VARIANT_MASK]
        most = None if args.variant_chunk_size is None else args.variant_chunk_size * len(mask)
        if args.variant_backward == "full" and (most is None or int(mask.sum(dim=1).max()) <= most):
            return self._whole_groups(inputs, self._passes(inputs, mask, most), scale)

        judged, soft_labels, places = self._known_or_scored(inputs, most)
        if (usable := self._usable(inputs, judged, mask)) is not None:
            mask = usable
            if not mask.any():
                zeros = torch.zeros_like(judged.losses.totals)
                return StepResult(self._nothing(self.model, inputs), None, zeros, zeros, mask)
        mask = judged.keeping_label(mask, args)
        weights = judged.weights(mask, args)
        factors = judged.factors(select(weights, args.variant_backward, args.variant_backward_count), args)
        used = mask & factors.used()
        if not used.any():  # nothing is labelled, and a pass is due all the same, for other processes wait for it
            used = mask & (torch.arange(mask.shape[1], device=mask.device) == 0)
        # A soft label that is not known, or has a gradient, is computed with the variants that need it.
        keeps_groups = args.mmel_loss == "soft" and (args.soft_label_gradient or soft_labels is None)
        passes = in_quick_passes(inputs, used, most) if most and keeps_groups else self._passes(inputs, used, most)

        def part_of_loss(chosen: Tensor, part: Tensor, judged: Judged) -> Tensor:
            if places is not None:
                row, variant = part.nonzero(as_tuple=True)
                self.scores.values[places[chosen][row], :, variant] = judged.rows()[row, :, variant]
            return judged.total(factors.take(chosen), part) * scale

        loss, outputs, left_out = self._in_turn(inputs, passes, part_of_loss, soft_labels)
        return StepResult(loss, outputs, judged.losses.mean(), weights, mask & ~left_out)

    def in_one_more_pass(self, inputs: dict[str, Tensor], scale: Tensor | float) -> StepResult:
        """
        The loss of a batch whose pass through the wrapper for data-parallel training has been in vain. `model` has to
        be what is inside the wrapper. This one waits for the other processes as that one would have done, once.
        """
        return self._whole_groups(inputs, [inputs[VARIANT_MASK]], scale)

    def _whole_groups(self, inputs: dict[str, Tensor], passes: list[Tensor], scale: Tensor | float) -> StepResult:
        """The loss in passes that hold groups as a whole, each with its weights."""
        given = inputs[VARIANT_MASK]
        mask = torch.zeros_like(given)
        losses, weights = torch.zeros((2, *given.shape), device=given.device)

        def part_of_loss(chosen: Tensor, part: Tensor, judged: Judged) -> Tensor:
            part = judged.keeping_label(part, self.args)
            of_part = judged.weights(part, self.args)
            mask[chosen] = part
            losses[chosen], weights[chosen] = judged.losses.mean().detach().to(losses.dtype), of_part.to(weights.dtype)
            return judged.total(judged.factors(of_part, self.args), part) * scale

        loss, outputs, _ = self._in_turn(inputs, passes, part_of_loss)
        return StepResult(loss, outputs, losses, weights, mask)

    def _passes(self, inputs: dict[str, Tensor], used: Tensor, most: int | None) -> list[Tensor]:
        """The passes with a graph that compute the used variants."""
        if most is not None:
            return in_passes(inputs, used, most)
        return [used] if self.is_sharded or self.in_one_pass else in_quick_passes(inputs, used)

    def _in_turn(
        self,
        inputs: dict[str, Tensor],
        passes: list[Tensor],
        part_of_loss: Callable[[Tensor, Tensor, Judged], Tensor],
        soft_labels: Tensor | None = None,
    ) -> tuple[Tensor, Any, Tensor]:
        """
        The sum of the parts, all but the last taken back through the model; outputs of the last; which variants have
        been left out, `(B, V)`. A part is what `part_of_loss` makes of the examples of a pass, their variants in it,
        and how these are judged, by `soft_labels` where the originals are not among them.
        """
        done = torch.zeros((), device=inputs[VARIANT_MASK].device)
        left_out = torch.zeros_like(inputs[VARIANT_MASK])
        for number, given in enumerate(passes, start=1):
            with nullcontext() if number == len(passes) else self.no_sync():
                before, part = [buffer.clone() for buffer in self.buffers], given
                chosen, judged, outputs = self._judged(self.model, inputs, part, soft_labels)
                while (usable := self._usable(inputs, judged, part[chosen], chosen, before)) is not None:
                    part = part.index_put((chosen,), usable)
                    if not part.any():
                        break
                    # Once more without them: a gradient of 0 through what is not finite is NaN. A wrapper for
                    # data-parallel training, which waits for other processes, has had its pass.
                    judged = outputs = None  # whose graph is not to be held beside the next
                    chosen, judged, outputs = self._judged(self.scorer, inputs, part, soft_labels)
                left_out |= given & ~part
                loss = part_of_loss(chosen, part[chosen], judged) if part.any() else self._nothing(self.scorer, inputs)
                if number < len(passes):
                    if loss.requires_grad:
                        self.backward(loss)
                    done += loss.detach()
        return loss + done, outputs, left_out

    def _judged(
        self, model: nn.Module, inputs: dict[str, Tensor], part: Tensor, soft_labels: Tensor | None
    ) -> tuple[Tensor, Judged, Any]:
        """A pass that is trained on: its examples, how their variants are judged, outputs."""
        chosen, head, groups, logits, outputs = self._forward(model, inputs, part)
        has_own = soft_labels is None or part[chosen, 0].all()
        return chosen, Judged.of(head, logits, groups, self.args, None if has_own else soft_labels[chosen]), outputs

    def _usable(
        self,
        inputs: dict[str, Tensor],
        judged: Judged,
        mask: Tensor,
        chosen: Tensor | None = None,
        before: Sequence[Tensor] | None = None,
    ) -> Tensor | None:
        """
        The variants that are left of the chosen examples `(b, V)`, or of all, when those that are not finite are left
        out, and the buffers are as `before`; `None` where all are finite.
        """
        unusable = judged.unusable(mask)
        if not unusable.any():
            return None
        if before is not None:
            restore(self.buffers, before)
        batch = inputs if chosen is None else take(inputs, chosen)
        main = batch.get(self._main_input)
        if main is not None and main.is_floating_point():
            # Batch normalisation makes all NaN where one is: those are to blame whose own input is not finite.
            itself = mask & ~main.flatten(2).isfinite().all(dim=2)
            if itself.any():
                unusable = itself | (mask & itself[:, :1])
        self.leave_out(batch, unusable)
        usable = mask & ~unusable
        if self.is_sharded and (chosen is not None or not usable.any()):
            raise FloatingPointError(OF_SHARDS)
        return usable

    def _nothing(self, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """
        A loss of 0 with a gradient of 0, which comes through the model as other processes wait for it to come: that of
        originals without content.
        """
        empty = {name: x for name, x in inputs.items() if name != PERTURBATION}
        for name, x in empty.items():
            if name == self._main_input or (x.is_floating_point() and name != LABELS):
                empty[name] = torch.zeros_like(x)
        originals = torch.zeros_like(inputs[VARIANT_MASK])
        originals[:, 0] = True
        before = [buffer.clone() for buffer in self.buffers]
        *_, logits, _ = self._forward(model, empty, originals)
        restore(self.buffers, before)
        return 0.0 * logits.float().sum()

    def _forward(
        self, model: nn.Module, inputs: dict[str, Tensor], part: Tensor
    ) -> tuple[Tensor, Head, Groups, Tensor, Any]:
        """A pass over a part of the variants `(B, V)`: examples, head, groups, logits `(b, V, ..., C)`, outputs."""
        chosen = part.any(dim=1).nonzero().squeeze(1)
        groups = Groups.of(trimmed({**take(inputs, chosen), VARIANT_MASK: part[chosen]}))
        head = Head.of(groups, self.config, self.label_smoothing, self.class_weights)
        rows = dict(groups.rows)
        delta = rows.pop(PERTURBATION, None)
        if delta is not None and rows[self._main_input].is_floating_point():
            rows[self._main_input] = rows[self._main_input] + delta.to(rows[self._main_input].dtype)
            delta = None
        with perturbed(self.scorer, delta):
            outputs = model(**rows)
        logits = groups.grouped(head.logits(outputs, len(groups.present), type(self.scorer).__name__))
        return chosen, head, groups, logits, outputs

    def _known_or_scored(
        self, inputs: dict[str, Tensor], most: int | None
    ) -> tuple[Judged, Tensor | None, Tensor | None]:
        """As `_score`, but for groups that are known, whose soft labels are not; and their places in the table."""
        if self.scores is None:
            return *self._score(inputs, most), None
        keys = inputs[GROUP_KEY].tolist()
        unknown = [i for i, key in enumerate(keys) if key not in self.scores]
        if unknown:
            judged, _ = self._score(take(inputs, torch.tensor(unknown, device=inputs[GROUP_KEY].device)), most)
            self.scores.put([keys[i] for i in unknown], judged.rows())
        places = self.scores.places(keys)
        return Judged.of_rows(self.scores.values[places]), None, places

    def _score(self, inputs: dict[str, Tensor], most: int | None) -> tuple[Judged, Tensor | None]:
        """All variants judged without a graph, and for MMEL-S the logits of the originals `(B, 1, ..., C)`."""
        args, mask = self.args, inputs[VARIANT_MASK]
        in_bf16 = args.scoring_bf16
        if in_bf16 is None:
            in_bf16 = fast_dtype(str(mask.device)) == "bfloat16"
        order, parts, soft_labels = [], [], []
        with (
            torch.no_grad(),
            # Training goes on from the random state that scoring began with.
            torch.random.fork_rng(enabled=args.scoring_dropout, devices=[mask.device] if mask.is_cuda else []),
            nullcontext() if args.scoring_dropout else evaluating(self.scorer),
            torch.autocast(mask.device.type, torch.bfloat16, enabled=in_bf16),
        ):
            for part in [mask] if self.is_sharded else in_quick_passes(inputs, mask, most):
                chosen, head, groups, logits, _ = self._forward(self.scorer, inputs, part)
                logits = logits.float()
                order.append(chosen)
                parts.append(Judged.of(head, logits, groups, args))
                if logits.dim() == 4:  # of tokens, whose rows have been trimmed
                    logits = F.pad(logits, (0, 0, 0, inputs["input_ids"].shape[-1] - logits.shape[2]))
                soft_labels.append(logits[:, :1])
        back = torch.cat(order).argsort()
        losses = Losses(*(torch.cat(column)[back] for column in zip(*(part.losses for part in parts), strict=True)))
        if args.mmel_loss != "soft":
            return Judged(losses, None), None
        divergences = torch.cat([part.divergences for part in parts])[back]
        return Judged(losses, divergences), torch.cat(soft_labels)[back]
