"""Ways to keep MMEL from variants that have lost their label, tried on held-out training data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from unittest import mock

import torch
from torch import Tensor
from transformers import TrainerCallback

from hf_mmel.objective.weighting import VariantLosses


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
def mended_weights(max_weight: float | None) -> Iterator[None]:
    """Has no variant of any training have a larger weight as long as it lasts, see [`capped`]."""
    stock = VariantLosses.weights

    def weights(*args) -> Tensor:
        return capped(stock(*args), max_weight)

    with mock.patch.object(VariantLosses, "weights", weights) if max_weight is not None else nullcontext():
        yield


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
