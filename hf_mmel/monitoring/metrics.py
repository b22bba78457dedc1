"""What is logged of variants and weights."""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import IntervalStrategy, TrainerCallback


NUM_BINS = 20  # of a histogram of weights, over [0, 1]


class GroupMetrics(TrainerCallback):
    """
    Averages over the batches of a logging window, summed on the device so that no step waits for them; how the weights
    are spread; and variants per second of training, which is all that happens but evaluation and saving.

    A training of fewer steps than `logging_steps`, 500 by default, would show nothing. It is logged at the end of each
    epoch.
    """

    def __init__(self):
        self._begin()

    def _begin(self) -> None:
        self._sums: Tensor | None = None
        self._seconds, self._since = 0.0, time.perf_counter()

    def on_train_begin(self, args, state, control, **kwargs):
        self._begin()  # what an earlier training left is not mixed in

    def on_epoch_end(self, args, state, control, **kwargs):
        is_short = args.logging_strategy == IntervalStrategy.STEPS and state.max_steps < state.logging_steps
        if self._sums is not None and is_short:
            control.should_log = True

    def on_step_end(self, args, state, control, **kwargs):
        self._count_seconds()

    # Either follows the end of a step, or a log: what has passed since is not training.
    def on_evaluate(self, args, state, control, **kwargs):
        self._since = time.perf_counter()

    def on_save(self, args, state, control, **kwargs):
        self._since = time.perf_counter()

    def _count_seconds(self) -> None:
        now = time.perf_counter()
        self._seconds, self._since = self._seconds + now - self._since, now

    def add(
        self,
        losses: Tensor,
        variant_mask: Tensor,
        weights: Tensor | None = None,
        weighs_original: bool = True,
        left_out: Tensor | None = None,
    ) -> None:
        """
        Adds a batch: losses and weights of the variants, both `(B, V)`, and which of them were left out; without
        weights, one of originals alone.
        """
        variants = variant_mask[:, 1:]
        if weights is None:
            weights = torch.zeros_like(losses)
        has_variants = variants.any(dim=1)
        entropies = -torch.xlogy(weights, weights).sum(dim=1)
        sums = torch.stack(
            [
                variant_mask[:, 0].sum(),
                losses[:, 0].masked_fill(~variant_mask[:, 0], 0).sum(),
                variants.sum(),
                losses[:, 1:].masked_fill(~variants, 0).sum(),
                has_variants.sum(),
                weights.amax(dim=1).masked_fill(~has_variants, 0).sum(),
                entropies.exp().masked_fill(~has_variants, 0).sum(),
                torch.zeros_like(losses[0, 0]) if left_out is None else left_out.sum(),
            ]
        )
        sums = torch.cat([sums, weight_counts(weights, variant_mask, weighs_original)])
        self._sums = sums if self._sums is None else self._sums + sums

    def taken(self, reduce: Callable[[Tensor], Tensor]) -> tuple[dict[str, float], list[int]]:
        """
        The averages over the batches of all processes, whose sums `reduce` gives, and how many weights are in each bin
        of [`weight_counts`]; the window begins anew.
        """
        if self._sums is None:
            return {}, [0] * NUM_BINS
        self._count_seconds()  # the device has caught up
        time_of_all = self._sums.new_tensor([self._seconds, 1])
        sums = reduce(torch.cat([time_of_all, self._sums])).tolist()
        self._sums, self._seconds = None, 0.0
        seconds, processes, *sums = sums
        examples, loss_original, variants, loss_variants, groups, max_weight, effective, left_out, *counts = sums
        logs = {"mmel/loss_original": loss_original / examples} if examples else {}
        if left_out:
            logs["mmel/left_out"] = int(left_out)
        if groups:
            logs["mmel/loss_variants"] = loss_variants / variants
            logs["mmel/max_weight"] = max_weight / groups
            logs["mmel/effective_num_variants"] = effective / groups
            logs["mmel/variants_per_second"] = variants * processes / seconds
        return logs, [int(count) for count in counts]


def weight_counts(weights: Tensor, variant_mask: Tensor, weighs_original: bool = True) -> Tensor:
    """
    How many weights fall into each of 20 bins of equal width over [0, 1], the lower edge in the bin, as is 1.

    Args:
        weights (`torch.Tensor` of shape `(B, V)`): Of all variants.
        variant_mask (`torch.Tensor` of shape `(B, V)`): Which are present.
        weighs_original (`bool`, *optional*, defaults to `True`): Whether variant 0 is one of those that are weighed.

    Returns:
        `torch.Tensor` of shape `(20,)`: In the dtype of the weights. Groups in which fewer than two variants are
        weighed are left out.
    """
    columns = torch.arange(weights.shape[1], device=weights.device)
    weighed = variant_mask & (columns >= (0 if weighs_original else 1))
    weighed = weighed & (weighed.sum(dim=1, keepdim=True) > 1)
    # Rounding shall not part weights that are meant to be equal: 1/5 is an edge.
    bins = (weights * NUM_BINS + 1e-4).long().clamp(max=NUM_BINS - 1)
    # Unlike `bincount`, this does not wait for the device.
    is_in = bins.unsqueeze(-1) == torch.arange(NUM_BINS, device=weights.device)
    return (is_in & weighed.unsqueeze(-1)).sum(dim=(0, 1)).to(weights.dtype)
