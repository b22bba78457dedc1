"""What is logged of variants and weights."""

from collections.abc import Callable

import torch
from torch import Tensor


class GroupFigures:
    """Averages over the batches of a logging window, summed on the device so that no step waits for them."""

    def __init__(self):
        self._sums: Tensor | None = None

    def add(self, losses: Tensor, variant_mask: Tensor, weights: Tensor | None = None) -> None:
        """Adds a batch: losses and weights of the variants, both `(B, V)`; without weights, one of originals alone."""
        variants = variant_mask[:, 1:]
        if weights is None:
            weights = torch.zeros_like(losses)
        has_variants = variants.any(dim=1)
        entropies = -torch.xlogy(weights, weights).sum(dim=1)
        sums = torch.stack(
            [
                torch.as_tensor(len(losses), device=losses.device, dtype=losses.dtype),
                losses[:, 0].sum(),
                variants.sum(),
                losses[:, 1:].masked_fill(~variants, 0).sum(),
                has_variants.sum(),
                weights.amax(dim=1).masked_fill(~has_variants, 0).sum(),
                entropies.exp().masked_fill(~has_variants, 0).sum(),
            ]
        )
        self._sums = sums if self._sums is None else self._sums + sums

    def taken(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """The averages over the batches of all processes, whose sums `reduce` gives; the window begins anew."""
        if self._sums is None:
            return {}
        sums, self._sums = self._sums, None
        examples, loss_original, variants, loss_variants, groups, max_weight, effective = reduce(sums).tolist()
        logs = {"mmel/loss_original": loss_original / examples}
        if groups:
            logs["mmel/loss_variants"] = loss_variants / variants
            logs["mmel/max_weight"] = max_weight / groups
            logs["mmel/effective_num_variants"] = effective / groups
        return logs
