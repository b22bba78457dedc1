"""The metrics of variants and weights that are logged with the training loss."""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from transformers import IntervalStrategy, TrainerCallback

from ..data.groups import are_labelled


NUM_BINS = 20  # of a histogram of weights, over [0, 1]


class GroupMetrics(TrainerCallback):
    """
    The metrics of the variants that are logged with each training loss, averaged over the same steps and over all
    processes:

    - `mmel/loss_original` and `mmel/loss_variants`: losses of the originals and of the augmented variants;
    - `mmel/max_weight`: largest weight in a group;
    - `mmel/effective_num_variants`: exponential of the entropy of a group's weights;
    - `mmel/lambda_p`: λ_P of the examples, where it is solved for `effective_num_variants`, without those with uniform
      weights, whose λ_P is infinite;
    - `mmel/variants_per_second`: augmented variants per second of training, without evaluation and saving;
    - `mmel/left_out`: number of variants left out, see `nonfinite_variants` and `min_label_probability`;
    - `mmel/confident_unlabeled` and `mmel/loss_unlabeled`: the share of the unlabelled examples that reach
      `confidence_threshold`, and their mean loss, in which the others are 0; without `lambda_u`.

    Examples without a label, -100, are in none of the other means. A histogram of the weights is kept as well. Sums
    stay on the device, so that no step waits for a synchronisation.

    A run with fewer steps than `logging_steps` is logged at the end of each epoch, since it would log nothing else.
    """

    def __init__(self):
        self.on_train_begin()

    def on_train_begin(self, *args, **kwargs):
        self._sums: Tensor | None = None
        self._seconds, self._since = 0.0, time.perf_counter()

    def on_epoch_end(self, args, state, control, **kwargs):
        is_short = args.logging_strategy == IntervalStrategy.STEPS and state.max_steps < state.logging_steps
        control.should_log |= self._sums is not None and is_short

    def on_step_end(self, *args, **kwargs):
        self._count_seconds()

    def _count_seconds(self) -> None:
        now = time.perf_counter()
        self._seconds, self._since = self._seconds + now - self._since, now

    # Both come after the end of a step or a log: the time since then was not spent on training.
    def on_evaluate(self, *args, **kwargs):
        self._since = time.perf_counter()

    on_save = on_evaluate

    def add(
        self,
        losses: Tensor,
        variant_mask: Tensor,
        weights: Tensor | None = None,
        weighs_original: bool = True,
        left_out: Tensor | None = None,
        labels: Tensor | None = None,
        lambda_p: Tensor | None = None,
        unlabelled: Tensor | None = None,
        unlabelled_losses: Tensor | None = None,
    ) -> None:
        """
        Adds a batch: losses, weights, and whether a variant is present or was left out, all of shape `(B, V)`, the
        labels, `(B, ...)`, and the λ_P of each example, `(B,)`, if it is solved. A batch of originals alone has no
        weights. Means are over the examples that have a label. Of those that have none, `unlabelled` says which ones
        count and `unlabelled_losses` has their losses, both `(B,)`.
        """
        computed = variant_mask[:, 1:].sum()
        lack_label = torch.zeros_like(variant_mask[:, 0]) if labels is None else ~are_labelled(labels)
        variant_mask = variant_mask & ~lack_label[:, None]
        lack_label = lack_label & (unlabelled is not None)
        unlabelled = lack_label if unlabelled is None else unlabelled
        unlabelled_losses = torch.zeros_like(losses[:, 0]) if unlabelled_losses is None else unlabelled_losses
        weights = torch.zeros_like(losses) if weights is None else weights
        originals, variants = variant_mask[:, 0], variant_mask[:, 1:]
        has_variants = variants.any(dim=1)
        lambda_p = torch.full_like(losses[:, 0], torch.inf) if lambda_p is None else lambda_p
        is_solved = has_variants & lambda_p.isfinite()
        effective = (-torch.xlogy(weights, weights).sum(dim=1)).exp()
        sums = {
            "examples": originals.sum(),
            "loss_original": losses[:, 0].masked_fill(~originals, 0).sum(),
            "variants": variants.sum(),
            "loss_variants": losses[:, 1:].masked_fill(~variants, 0).sum(),
            "groups": has_variants.sum(),
            "max_weight": weights.amax(dim=1).masked_fill(~has_variants, 0).sum(),
            "effective": effective.masked_fill(~has_variants, 0).sum(),
            "solved": is_solved.sum(),
            "lambda_p": lambda_p.masked_fill(~is_solved, 0).sum(),
            "unlabelled": lack_label.sum(),
            "confident": unlabelled.sum(),
            "loss_unlabelled": (unlabelled * unlabelled_losses).sum(),
            "computed": computed,
            "left_out": torch.zeros_like(losses[0, 0]) if left_out is None else left_out.sum(),
        }
        self._names = [*sums]
        added = torch.cat([torch.stack([*sums.values()]), weight_histogram(weights, variant_mask, weighs_original)])
        self._sums = added if self._sums is None else self._sums + added

    def pop(self, reduce: Callable[[Tensor], Tensor]) -> tuple[dict[str, float], list[int]]:
        """
        Returns the metrics of the logging window and its `weight_histogram`, and begins the next window. `reduce`
        sums a tensor over all processes.
        """
        if self._sums is None:
            return {}, [0] * NUM_BINS
        self._count_seconds()  # by now the device has finished its work
        time_and_processes = self._sums.new_tensor([self._seconds, 1])
        seconds, processes, *sums = reduce(torch.cat([time_and_processes, self._sums])).tolist()
        self._sums, self._seconds = None, 0.0
        of = dict(zip(self._names, sums, strict=False))  # what follows is the histogram
        logs = {"mmel/loss_original": of["loss_original"] / of["examples"]} if of["examples"] else {}
        if of["left_out"]:
            logs["mmel/left_out"] = int(of["left_out"])
        if of["unlabelled"]:
            logs["mmel/confident_unlabeled"] = of["confident"] / of["unlabelled"]
            logs["mmel/loss_unlabeled"] = of["loss_unlabelled"] / of["unlabelled"]
        if of["groups"]:
            logs["mmel/loss_variants"] = of["loss_variants"] / of["variants"]
            logs["mmel/max_weight"] = of["max_weight"] / of["groups"]
            logs["mmel/effective_num_variants"] = of["effective"] / of["groups"]
            if of["solved"]:
                logs["mmel/lambda_p"] = of["lambda_p"] / of["solved"]
            logs["mmel/variants_per_second"] = of["computed"] * processes / seconds
        return logs, [int(count) for count in sums[-NUM_BINS:]]


def weight_histogram(weights: Tensor, variant_mask: Tensor, weighs_original: bool = True) -> Tensor:
    """
    Counts the weights in each of 20 bins of equal width over [0, 1]. A bin has its lower edge, the last one both.
    Groups with fewer than two weighted variants are left out. From `weights` and `variant_mask`, both `(B, V)`, to
    counts `(20,)` in the dtype of the weights.
    """
    is_weighted = variant_mask.clone()
    is_weighted[:, 0] &= weighs_original
    is_weighted &= is_weighted.sum(dim=1, keepdim=True) > 1
    # Rounding must not separate weights that are meant to be equal: 1/5 is an edge.
    bins = (weights * NUM_BINS + 1e-4).long().clamp(max=NUM_BINS - 1)
    # `bincount` waits for the device, and `histc` has no deterministic implementation on a GPU.
    is_in_bin = bins.unsqueeze(-1) == torch.arange(NUM_BINS, device=weights.device)
    return (is_in_bin & is_weighted.unsqueeze(-1)).sum(dim=(0, 1)).to(weights.dtype)
