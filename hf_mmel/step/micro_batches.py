"""How the variants of a batch are cut into micro-batches, each of which is one forward pass."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ..data.groups import variant_lengths


# What a forward pass costs besides its tokens, in tokens: on a GPU it takes milliseconds however few there are.
_TOKENS_PER_PASS = {"cpu": 128, "cuda": 8192}


def fewest_micro_batches(inputs: Mapping[str, Tensor], used: Tensor, max_rows: int) -> list[Tensor]:
    """
    Cuts variants into the fewest micro-batches: groups of like length together, the longest first. A group with more
    rows than a micro-batch is cut, and has micro-batches of its own.

    Args:
        inputs (`Mapping`): The batch of groups.
        used (`torch.Tensor` of shape `(B, V)`): Which variants to compute.
        max_rows (`int`): Most rows of a micro-batch.

    Returns:
        `list[torch.Tensor]`: The variants of each micro-batch, `(B, V)`.
    """
    counts = used.sum(dim=1).tolist()
    if sum(counts) <= max_rows:
        return [used]
    lengths = variant_lengths(inputs, used)
    order = range(len(counts)) if lengths is None else lengths.argsort(descending=True, stable=True).tolist()
    micro_batches: list[Tensor] = []
    rows = max_rows
    for i in order:
        if not counts[i]:
            continue
        if counts[i] > max_rows:
            # Of about the same size: memory is that of the largest.
            for variants in used[i].nonzero().squeeze(1).tensor_split(math.ceil(counts[i] / max_rows)):
                micro_batches.append(torch.zeros_like(used))
                micro_batches[-1][i, variants] = True
            rows = max_rows
            continue
        if rows + counts[i] > max_rows:
            micro_batches.append(torch.zeros_like(used))
            rows = 0
        micro_batches[-1][i] = used[i]
        rows += counts[i]
    return micro_batches


def fastest_micro_batches(inputs: Mapping[str, Tensor], used: Tensor, max_rows: int | None = None) -> list[Tensor]:
    """
    Cuts groups into the micro-batches that take the least time: more of them have less padding, but each costs a
    forward pass. Groups stay whole; those of like length share a micro-batch, the longest first.

    Args:
        inputs, used: As in `fewest_micro_batches`.
        max_rows (`int`, *optional*): Most rows of a micro-batch. A single group may have more.

    Returns:
        `list[torch.Tensor]`: The variants of each micro-batch, `(B, V)`.
    """
    lengths = variant_lengths(inputs, used)
    if lengths is None:
        lengths = torch.ones(len(used), dtype=torch.long, device=used.device)
    order = lengths.argsort(descending=True, stable=True)
    order = order[used.any(dim=1)[order]]
    rows = np.concatenate([[0], used.sum(dim=1)[order].cumsum(dim=0).cpu()])  # of the first groups in this order
    longest = lengths[order].cpu().numpy()
    # Least tokens that the first groups cost, padding included, and where the last of their micro-batches begins.
    costs, starts = np.zeros(len(rows)), np.zeros(len(rows), dtype=int)
    for stop in range(1, len(rows)):
        rows_in_last = rows[stop] - rows[:stop]
        options = costs[:stop] + rows_in_last * longest[:stop] + _TOKENS_PER_PASS.get(used.device.type, 8192)
        if max_rows is not None:
            options[:-1][rows_in_last[:-1] > max_rows] = np.inf
        costs[stop], starts[stop] = options.min(), options.argmin()
    micro_batches, stop = [], len(order)
    while stop > 0:
        micro_batches.append(torch.zeros_like(used))
        examples = order[starts[stop] : stop]
        micro_batches[-1][examples] = used[examples]
        stop = int(starts[stop])
    return micro_batches[::-1]
