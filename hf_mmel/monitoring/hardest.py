"""The variants of the largest losses."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


ABSENT = -1  # in place of ids, where rows of different lengths stand side by side


class HardVariant(NamedTuple):
    """
    A variant and what became of it.

    Attributes:
        loss, loss_original, weight (`float`): Its loss, that of the original, its weight in the group.
        step (`int`): The update in which it was so.
        original, variant (`list`): Ids, in a list for each choice where there are choices; some are `ABSENT`.
        label (*optional*): A number, or several, as in the batch.
    """

    loss: float
    loss_original: float
    weight: float
    step: int
    original: list
    variant: list
    label: Any


class HardestVariants:
    """
    Those that have lost most since the beginning, at most one of each example of a batch. They stay on the device, and
    no step waits for them.

    Args:
        size (`int`): How many are kept.
    """

    def __init__(self, size: int):
        self.size = size
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._kept: tuple[Tensor, ...] = ()

    def add(
        self, ids: Tensor, labels: Tensor | None, losses: Tensor, weights: Tensor, variant_mask: Tensor, step: int
    ) -> None:
        """
        Adds a batch.

        Args:
            ids (`torch.Tensor` of shape `(B, V, ...)`): What is to be read later.
            labels (`torch.Tensor` of shape `(B, ...)`, *optional*): In every batch, or in none.
            losses, weights, variant_mask (`torch.Tensor` of shape `(B, V)`): Of the variants, 0 the original.
            step (`int`): The update.
        """
        if losses.shape[1] < 2:
            return
        losses, weights = losses.detach().float(), weights.detach().float()
        counted = variant_mask[:, 1:] & losses[:, 1:].isfinite()
        hardest, places = losses[:, 1:].masked_fill(~counted, -torch.inf).max(dim=1)
        rows, places = torch.arange(len(losses), device=losses.device), places + 1
        figures = [hardest, losses[:, 0], weights[rows, places], torch.full_like(hardest, step)]
        added = [torch.stack(figures, dim=1), torch.stack([ids[:, 0], ids[rows, places]], dim=1)]
        if labels is not None:
            added.append(labels)
        if self._kept:
            added = [_joined(kept, new) for kept, new in zip(self._kept, added, strict=True)]
        order = added[0][:, 0].topk(min(self.size, len(added[0]))).indices
        self._kept = tuple(part[order] for part in added)

    def taken(self) -> list[HardVariant]:
        """What is kept, the hardest first; then begins anew. This waits for the device."""
        if not self._kept:
            return []
        figures, ids, *labels = (part.tolist() for part in self._kept)
        self.clear()
        labels = labels[0] if labels else [None] * len(ids)
        return [
            HardVariant(loss, loss_original, weight, int(step), original, variant, label)
            for (loss, loss_original, weight, step), (original, variant), label in zip(
                figures, ids, labels, strict=True
            )
            if loss > -torch.inf
        ]


def _joined(first: Tensor, second: Tensor) -> Tensor:
    """Rows of both, which may be of different lengths."""
    shape = [max(sizes) for sizes in zip(first.shape[1:], second.shape[1:], strict=True)]
    return torch.cat([_padded(first, shape), _padded(second, shape)])


def _padded(rows: Tensor, shape: list[int]) -> Tensor:
    missing = [size - has for size, has in zip(shape, rows.shape[1:], strict=True)]
    return F.pad(rows, [n for size in reversed(missing) for n in (0, size)], value=ABSENT) if any(missing) else rows
