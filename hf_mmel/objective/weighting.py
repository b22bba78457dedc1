"""
The objective of a batch of groups: the weights of its variants, and the loss under these weights.

The weights of eq. 6 and 8 carry no gradient, so the objective is linear in the losses and divergences. Once the
weights are known, any part of the variants can be trained on by itself, and the gradients of the parts add up.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..functional import expectation, mmel_weights
from ..training_args import MMELTrainingArguments
from .effective_number import solve_lambda_p


class VariantLosses(NamedTuple):
    """
    Per-variant losses and divergences of B groups of V variants.

    Attributes:
        losses (`torch.Tensor` of shape `(B, V)`): Mean loss under the label over the items of each variant. An item is
            the example as a whole or, for token classification, a labelled word.
        item_weights (`torch.Tensor` of shape `(B,)`): Sum of the class weights of the original's items: their number
            without class weights, and 0 for an example without a label.
        divergences (`torch.Tensor` of shape `(B, V)`, *optional*): From the prediction on the original, for MMEL-S.
        label_probabilities, are_right (`torch.Tensor` of shape `(B, V)`, *optional*): As of `Head`, both for
            `min_label_probability`.
        unlabelled (`torch.Tensor` of shape `(B,)`, *optional*): 1 for an example without a label that counts by its
            divergence or its own prediction, else 0.
    """

    losses: Tensor
    item_weights: Tensor
    divergences: Tensor | None = None
    label_probabilities: Tensor | None = None
    are_right: Tensor | None = None
    unlabelled: Tensor | None = None

    @classmethod
    def unpacked(cls, packed: Tensor) -> "VariantLosses":
        """The inverse of `packed`."""
        losses, item_weights, unlabelled, *others = packed.unbind(dim=1)
        divergences = others.pop(0) if len(others) % 2 else None
        values = cls(losses, item_weights[:, 0], divergences, *others)
        return values._replace(unlabelled=unlabelled[:, 0])

    def packed(self) -> Tensor:
        """All values as one detached tensor, `(B, n, V)`, with 3 to 6 columns: those that are there."""
        of_examples = self.item_weights, torch.zeros_like(self.item_weights)
        if self.unlabelled is not None:
            of_examples = self.item_weights, self.unlabelled
        columns = [self.losses, *(x[:, None].expand_as(self.losses) for x in of_examples)]
        columns += [x for x in (self.divergences, self.label_probabilities, self.are_right) if x is not None]
        return torch.stack([column.float() for column in columns], dim=1).detach()

    def nonfinite(self, variant_mask: Tensor) -> Tensor:
        """The present variants with an infinite or NaN loss or divergence, or with such an original, `(B, V)`."""
        values = self.losses if self.divergences is None else self.losses + self.divergences
        nonfinite = variant_mask & ~values.isfinite()
        return nonfinite | (variant_mask & nonfinite[:, :1])

    def keeping_label(self, variant_mask: Tensor, args: MMELTrainingArguments) -> Tensor:
        """The present variants that seem to have kept their label, see `min_label_probability`, `(B, V)`."""
        if args.min_label_probability is None:
            return variant_mask
        assert self.label_probabilities is not None and self.are_right is not None
        original_is_right = self.are_right[:, :1] > 0
        return variant_mask & ~(original_is_right & (self.label_probabilities < args.min_label_probability))

    def lambda_p(self, variant_mask: Tensor, args: MMELTrainingArguments) -> float | Tensor:
        """λ_P, or that of each example, `(B,)`, if it is solved for `effective_num_variants`."""
        if args.mmel_loss == "uniform":
            return math.inf
        if args.effective_num_variants is None:
            return args.lambda_p
        return solve_lambda_p(self._weighed, args.effective_num_variants, self._weighed_mask(variant_mask, args))

    def weights(
        self, variant_mask: Tensor, args: MMELTrainingArguments, lambda_p: float | Tensor | None = None
    ) -> Tensor:
        """
        The weights of the present variants, `(B, V)`: eq. 6 for MMEL-H, eq. 8 for MMEL-S, else uniform. λ_P is that of
        the method `lambda_p` unless it is given.
        """
        lambda_p = self.lambda_p(variant_mask, args) if lambda_p is None else lambda_p
        return mmel_weights(self._weighed, lambda_p, self._weighed_mask(variant_mask, args))

    @property
    def _weighed(self) -> Tensor:
        """What variants are weighed by."""
        return self.losses if self.divergences is None else self.divergences

    def _weighed_mask(self, variant_mask: Tensor, args: MMELTrainingArguments) -> Tensor:
        """Which variants have a weight, `(B, V)`."""
        if args.weighs_original:
            return variant_mask
        # Under hard labels the loss of an original without variants counts in full.
        original = ~variant_mask[:, 1:].any(dim=1, keepdim=True) & (self.divergences is None)
        return torch.cat([original, variant_mask[:, 1:]], dim=1)

    def objective(
        self,
        weights: Tensor,
        item_weights: Tensor,
        variant_mask: Tensor,
        args: MMELTrainingArguments,
        lambda_t: float | None = None,
        unlabelled: Tensor | None = None,
        supervised: Tensor | None = None,
    ) -> Tensor:
        """
        The objective, summed over the items of the batch: `Σ_i n_i L_i` with `L_i` of `mmel_hard_loss`,
        `mmel_soft_loss` or `uniform_loss`, and `n_i` the item weight, and `Σ_j m_j u_j` with `u_j` of
        `unlabelled_losses`. Of absent variants nothing is added.

        Args:
            weights (`torch.Tensor` of shape `(B, V)`): Of all variants of each group.
            item_weights (`torch.Tensor` of shape `(B,)`): As the attribute.
            variant_mask (`torch.Tensor` of shape `(B, V)`): The variants whose part of the sum is returned.
            lambda_t (`float`, *optional*): λ_T at this update. Defaults to `args.lambda_t`.
            unlabelled (`torch.Tensor` of shape `(B,)`, *optional*): The weight m_j of each example without a label.
            supervised (`torch.Tensor` of shape `(B,)`, *optional*): Factor of the loss under the label of each
                example, in `L_i`.
        """
        lambda_t = args.lambda_t if lambda_t is None else lambda_t
        loss, divergence = self._parts(weights, variant_mask)
        loss = loss if supervised is None else supervised * loss
        total = (item_weights * (loss if divergence is None else loss + lambda_t * divergence)).sum()
        if unlabelled is None:
            return total
        return total + (unlabelled * self.unlabelled_losses(weights, variant_mask)).sum()

    def unlabelled_losses(self, weights: Tensor, variant_mask: Tensor) -> Tensor:
        """
        The losses u_j of examples without a label, `(B,)`, see `UnlabeledArguments`: the divergence term, or the loss
        of the original. The other is 0.
        """
        loss, divergence = self._parts(weights, variant_mask)
        return loss if divergence is None else loss + divergence

    def _parts(self, weights: Tensor, variant_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """The loss of each example, `(B,)`, and its expected divergence, for MMEL-S."""
        if self.divergences is None:
            return expectation(weights, self.losses, variant_mask), None
        original_loss = self.losses[:, 0].masked_fill(~variant_mask[:, 0], 0.0)
        return original_loss, expectation(weights, self.divergences, variant_mask)

    def used(self, weights: Tensor, args: MMELTrainingArguments, lambda_t: float | None = None) -> Tensor:
        """
        The variants that are trained on under these weights and λ_T, `(B, V)`: those that add to the objective and,
        for MMEL-S, all originals.
        """
        lambda_t = args.lambda_t if lambda_t is None else lambda_t
        counts = self.item_weights != 0
        if self.divergences is not None:
            counts = counts & (lambda_t != 0)
        if self.unlabelled is not None:
            counts = counts | (self.unlabelled != 0)
        used = (weights != 0) & counts[:, None]
        if self.divergences is not None:
            used[:, 0] = True
        return used


def reweighting_share(warmup: float, global_step: int, max_steps: int) -> float:
    """
    Share a of the weights of eq. 6 or 8 in those that variants are trained with, `(1 - a) / V + a w_iv`:

        a = min(1, max(0, (s - r T) / min(r T, T - r T)))

    It is 0 for the first share r of the updates, and then grows linearly to 1 over as many updates again or, for
    r > 1/2, until the end of training. It is always 1 for r = 0, and outside a training run, where T is 0.

    Args:
        warmup (`float`): r, the `reweighting_warmup`, in [0, 1).
        global_step (`int`): s, the updates before this one.
        max_steps (`int`): T, all updates of the training run.
    """
    first = warmup * max_steps
    length = min(first, max_steps - first)
    return min(1.0, max(0.0, (global_step - first) / length)) if length > 0 else 1.0


def lambda_t_share(warmup: float, global_step: int, max_steps: int) -> float:
    """
    Share of λ_T in the update after s of T updates, `min(1, s / (r T))`. It is 0 in the first update, and always 1 for
    r = 0 and outside a training run, where T is 0.

    Args:
        warmup (`float`): r, the `lambda_t_warmup`, in [0, 1).
        global_step, max_steps (`int`): s and T, as of `reweighting_share`.
    """
    length = warmup * max_steps
    return min(1.0, global_step / length) if length > 0 else 1.0


def select(weights: Tensor, how: str, count: int) -> Tensor:
    """
    Weights of the few variants of each example that are trained on in place of all.

    Args:
        weights (`torch.Tensor` of shape `(B, V)`): Of all variants. A row of zeros stays so.
        how (`str`):
            `"top"` keeps the largest weights and scales them to the sum of all. `"sample"` draws variants with
            replacement, with the weights as probabilities, and gives each its share of the draws. The expectation of
            a share is the weight, so the gradient is an unbiased estimate of that under the weights.
        count (`int`): Number of variants to keep, or of draws.

    Returns:
        `torch.Tensor` of shape `(B, V)`.
    """
    if count >= weights.shape[1]:
        return weights
    total = weights.sum(dim=1, keepdim=True)
    if how == "top":
        largest, variants = weights.topk(count, dim=1)
        kept = torch.zeros_like(weights).scatter(1, variants, largest)
        return kept * (total / kept.sum(dim=1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny))
    # `multinomial` refuses a row of zeros: it draws from a uniform row, and the draws are dropped.
    probabilities = torch.where(total > 0, weights, 1.0)
    if count == 1:  # as `multinomial` draws once, but without its check of the probabilities, which waits for a device
        draws = (probabilities / torch.empty_like(probabilities).exponential_()).argmax(dim=1, keepdim=True)
    else:
        draws = torch.multinomial(probabilities, count, replacement=True)
    shares = torch.zeros_like(weights).scatter_add(1, draws, torch.full_like(draws, 1 / count, dtype=weights.dtype))
    return shares * (total > 0)
