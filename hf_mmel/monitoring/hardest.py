"""The variants with the largest losses."""

from typing import Any

import torch
from torch import Tensor


ABSENT = -1  # pads ids where rows have different lengths


class HardestVariants:
    """
    The `size` variants with the largest losses so far, at most one per example of a batch. They stay on the device, so
    that no step waits for a synchronisation.
    """

    def __init__(self, size: int):
        self.size = size
        self._kept: dict[str, Tensor] = {}

    def add(
        self, ids: Tensor, labels: Tensor | None, losses: Tensor, weights: Tensor, variant_mask: Tensor, step: int
    ) -> None:
        """
        Adds a batch that the update `step` trains on: token ids `(B, V, ...)`, labels `(B, ...)` with every batch or
        with none, and the others of shape `(B, V)`. Losses that are not finite are skipped.
        """
        if losses.shape[1] < 2:
            return
        losses = losses.detach().float()
        is_candidate = variant_mask[:, 1:] & losses[:, 1:].isfinite()
        hardest, columns = losses[:, 1:].masked_fill(~is_candidate, -torch.inf).max(dim=1)
        rows, columns = torch.arange(len(losses), device=losses.device), columns + 1
        added = {"step": torch.full_like(rows, step), "original": ids[:, 0], "variant": ids[rows, columns]}
        added |= {} if labels is None else {"label": labels}
        added |= {"weight": weights.detach()[rows, columns].float(), "loss": hardest, "loss_original": losses[:, 0]}
        if self._kept:
            added = {name: _concatenate(self._kept[name], part) for name, part in added.items()}
        order = added["loss"].topk(min(self.size, len(added["loss"]))).indices
        self._kept = {name: part[order] for name, part in added.items()}

    def pop(self) -> list[dict[str, Any]]:
        """
        Returns the kept variants, the hardest first, and forgets them. Each has `step`, `original`, `variant`,
        `label`, `weight`, `loss` and `loss_original`, its ids padded with `ABSENT`. This waits for the device.
        """
        columns = {name: part.tolist() for name, part in self._kept.items()}
        self._kept = {}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return [row for row in rows if row["loss"] > -torch.inf]


def _concatenate(first: Tensor, second: Tensor) -> Tensor:
    """The rows of both, padded to the same shape."""
    shape = map(max, first.shape[1:], second.shape[1:])
    joined = first.new_full((len(first) + len(second), *shape), ABSENT)
    for rows, part in zip((first, second), joined.split([len(first), len(second)]), strict=True):
        part[tuple(map(slice, rows.shape))] = rows
    return joined
