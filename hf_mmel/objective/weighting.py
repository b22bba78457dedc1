"""
The objective of a batch of groups, as a sum over its variants.

With weights of eq. 6 or 8, which carry no gradient, the objective is linear in what the variants lose: Σ_iv a_iv n_iv
for MMEL-H, with n the total loss of the items of a variant, and Σ_i n_i0 + Σ_iv b_iv d_iv for MMEL-S. Once the factors
a and b are known, any part of the variants can be trained on by itself, and the gradients of the parts add up.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.groups import Groups
from ..functional import expectation, mmel_weights
from ..training_args import MMELTrainingArguments
from .heads import Head, Losses


class Judged(NamedTuple):
    """
    Predictions on variants, judged.

    Attributes:
        losses ([`Losses`]): Under the labels.
        divergences (`torch.Tensor` of shape `(B, V)`, *optional*): From the predictions on the originals, for MMEL-S.
    """

    losses: Losses
    divergences: Tensor | None

    @classmethod
    def of(
        cls,
        head: Head,
        logits: Tensor,
        groups: Groups,
        args: MMELTrainingArguments,
        soft_labels: Tensor | None = None,
    ) -> "Judged":
        """Judges logits `(B, V, ..., C)`; the soft labels `(B, 1, ..., C)` are those of variant 0 if not given."""
        losses = head.losses(logits, groups)
        if args.mmel_loss != "soft":
            return cls(losses, None)
        if soft_labels is None:
            soft_labels = logits[:, :1] if args.soft_label_gradient else logits[:, :1].detach()
        return cls(losses, head.divergences(logits, soft_labels, groups))

    @classmethod
    def of_rows(cls, rows: Tensor) -> "Judged":
        """From numbers of shape `(B, 2, V)`, or `(B, 3, V)` with divergences, as `rows` gives them."""
        totals, sizes, *divergences = rows.unbind(dim=1)
        return cls(Losses(totals, sizes), divergences[0] if divergences else None)

    def rows(self) -> Tensor:
        """All that there is as one tensor `(B, 2, V)`, or `(B, 3, V)` with divergences, without a gradient."""
        columns = [*self.losses] if self.divergences is None else [*self.losses, self.divergences]
        return torch.stack(columns, dim=1).detach().float()

    def unusable(self, variant_mask: Tensor) -> Tensor:
        """Which of the present variants have a loss or divergence that is not finite, or such an original."""
        values = self.losses.totals if self.divergences is None else self.losses.totals + self.divergences
        unusable = variant_mask & ~values.isfinite()
        return unusable | (variant_mask & unusable[:, :1])

    def keeping_label(self, variant_mask: Tensor, args: MMELTrainingArguments) -> Tensor:
        """The variants but for those that seem to have lost their label, as `args.min_label_probability` says."""
        if args.min_label_probability is None:
            return variant_mask
        losses = self.losses.mean().detach()
        is_right = losses[:, :1] < math.log(2)
        return variant_mask & ~(is_right & (losses > -math.log(args.min_label_probability)))

    def weights(self, variant_mask: Tensor, args: MMELTrainingArguments) -> Tensor:
        """The weights of the variants, `(B, V)`: eq. 6 for MMEL-H, eq. 8 for MMEL-S, even ones for "uniform"."""
        mask = variant_mask
        if self.divergences is not None:
            if not args.weighs_original:
                mask = torch.cat([torch.zeros_like(mask[:, :1]), mask[:, 1:]], dim=1)
            return mmel_weights(self.divergences, args.lambda_p, mask)
        if not args.weighs_original:  # an original without any variant stands for itself
            mask = torch.cat([~mask[:, 1:].any(dim=1, keepdim=True), mask[:, 1:]], dim=1)
        return mmel_weights(self.losses.mean(), args.lambda_p if args.mmel_loss == "hard" else math.inf, mask)

    def factors(self, weights: Tensor, args: MMELTrainingArguments) -> "Factors":
        """What each variant counts under these weights."""
        if self.divergences is None:
            return Factors(weights * self.losses.item_ratio(), None)
        original = torch.zeros_like(weights)
        original[:, 0] = 1.0
        return Factors(original, args.lambda_t * self.losses.sizes[:, :1] * weights)

    def total(self, factors: "Factors", variant_mask: Tensor) -> Tensor:
        """The objective, summed over the variants that are present and their items."""
        total = expectation(factors.of_losses, self.losses.totals, variant_mask).sum()
        if factors.of_divergences is None:
            return total
        return total + expectation(factors.of_divergences, self.divergences, variant_mask).sum()


class Factors(NamedTuple):
    """
    What each variant counts in the objective of a batch.

    Attributes:
        of_losses (`torch.Tensor` of shape `(B, V)`): Factors of the total losses.
        of_divergences (`torch.Tensor` of shape `(B, V)`, *optional*): Factors of the divergences, for MMEL-S.
    """

    of_losses: Tensor
    of_divergences: Tensor | None

    def used(self) -> Tensor:
        """Which variants count at all, `(B, V)`."""
        used = self.of_losses != 0
        return used if self.of_divergences is None else used | (self.of_divergences != 0)

    def take(self, examples: Tensor) -> "Factors":
        """The factors of some of the examples."""
        divergences = self.of_divergences
        return Factors(self.of_losses[examples], None if divergences is None else divergences[examples])


def select(weights: Tensor, how: str, count: int) -> Tensor:
    """
    Weights of the few variants of each example that are trained on in place of all.

    Args:
        weights (`torch.Tensor` of shape `(B, V)`): Of all variants. A row that is all 0 stays so.
        how (`str`):
            `"top"` keeps the largest and scales them to the sum that all have. `"sample"` draws with replacement, each
            variant with its weight as its probability, and gives a variant its share in the draws, whose expectation
            is its weight: the gradient under the new weights is an unbiased estimate of that under the old ones.
        count (`int`): Variants to keep, or draws.

    Returns:
        `torch.Tensor` of shape `(B, V)`.
    """
    if how == "full" or count >= weights.shape[1]:
        return weights
    total = weights.sum(dim=1, keepdim=True)
    if how == "top":
        largest, places = weights.topk(count, dim=1)
        kept = torch.zeros_like(weights).scatter(1, places, largest)
        return kept * (total / kept.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny))
    # A row without weights has nothing to draw from; its draws are taken back.
    draws = torch.multinomial(torch.where(total > 0, weights, 1.0), count, replacement=True)
    shares = torch.zeros_like(weights).scatter_add(1, draws, torch.full_like(draws, 1 / count, dtype=weights.dtype))
    return shares * (total > 0)
