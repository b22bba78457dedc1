"""Ways to keep MMEL from variants that have lost their label, tried on held-out training data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor
from transformers import TrainerCallback

from hf_mmel.objective import Judged


class LambdaSchedule(TrainerCallback):
    """
    Has λ_P go from one value to another in the course of a training, by the same factor in each step: from a large one
    down is a schedule from uniform weights to hard ones, from a small one up the reverse.

    Args:
        start, end (`float`): λ_P of the first and of the last step, above 0.
    """

    def __init__(self, start: float, end: float):
        self.start, self.end = start, end

    def on_step_begin(self, args, state, control, **kwargs):
        done = state.global_step / max(1, state.max_steps - 1)
        args.lambda_p = self.start * (self.end / self.start) ** done


@contextmanager
def mended_weights(max_weight: float | None = None, flip_probability: float | None = None) -> Iterator[None]:
    """
    Has all trainings weigh variants otherwise as long as it lasts.

    Args:
        max_weight (`float`, *optional*): No variant has a larger weight, see [`capped`].
        flip_probability (`float`, *optional*): Variants that have lost their label are left out, see [`flipped`].
    """
    stock = Judged.weights

    def weights(judged: Judged, variant_mask: Tensor, args) -> Tensor:
        if flip_probability is not None:
            variant_mask = variant_mask & ~flipped(judged.losses.mean(), flip_probability)
        found = stock(judged, variant_mask, args)
        return found if max_weight is None else capped(found, max_weight)

    with mock.patch.object(Judged, "weights", weights):
        yield


def flipped(losses: Tensor, probability: float) -> Tensor:
    """
    Which variants seem to have lost their label: those whose label is less probable than this to the model, although
    it is right on the original.

    Args:
        losses (`torch.Tensor` of shape `(B, V)`): Cross entropies, in nats; a probability is their `exp(-loss)`.
        probability (`float`): Between 0 and 0.5.
    """
    return (losses > -math.log(probability)) & (losses[:, :1] < math.log(2))


def capped(weights: Tensor, most: float) -> Tensor:
    """
    Weights none of which is larger than this, or than even ones where that is more. What is too much goes to the
    other variants in the proportion of their weights, so that they are the maximum of eq. 6 under this constraint.

    Args:
        weights (`torch.Tensor` of shape `(B, V)`): Of the variants; 0 for those that do not count.
        most (`float`): The largest weight.
    """
    limit = (1 / (weights > 0).sum(dim=1, keepdim=True).clamp(min=1)).clamp(min=most)
    total = weights.sum(dim=1, keepdim=True)
    full = torch.zeros_like(weights, dtype=torch.bool)
    for _ in range(weights.shape[1]):
        left = total - (full * limit).sum(dim=1, keepdim=True)
        free = weights.masked_fill(full, 0.0)
        found = torch.where(full, limit, free * left / free.sum(dim=1, keepdim=True).clamp(min=1e-30))
        full = full | (found >= limit)
    return found.clamp(max=limit)
