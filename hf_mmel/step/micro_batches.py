"""How the variants of a batch are cut into micro-batches, each of which is one forward pass."""

import math

import numpy as np


# What a forward pass costs besides its tokens, in tokens. On a GPU it takes milliseconds to launch, however few tokens
# there are. Constants, not measured in the run: the cut decides which numbers dropout draws, so it must not depend on
# the clock.
_TOKENS_PER_PASS = {"cpu": 128}
_TOKENS_PER_PASS_OF_A_GPU = 16_384


def fewest_micro_batches(used: np.ndarray, lengths: np.ndarray | None, max_rows: int) -> list[np.ndarray]:
    """
    Cuts variants into the fewest micro-batches: groups of like length together, the longest first. A group with more
    rows than a micro-batch is cut, and has micro-batches of its own.

    Args:
        used (`numpy.ndarray` of shape `(B, V)`): Which variants to compute.
        lengths (`numpy.ndarray` of shape `(B,)`, *optional*): Tokens of the longest used variant of each group.
        max_rows (`int`): Most rows of a micro-batch.

    Returns:
        `list[numpy.ndarray]`: The variants of each micro-batch, `(B, V)`.
    """
    counts = used.sum(axis=1)
    if counts.sum() <= max_rows:
        return [used]
    micro_batches: list[np.ndarray] = []
    rows = max_rows
    for i in _longest_first(used, lengths):
        if counts[i] > max_rows:
            # Of about the same size: memory is that of the largest.
            for variants in np.array_split(np.flatnonzero(used[i]), math.ceil(counts[i] / max_rows)):
                micro_batches.append(np.zeros_like(used))
                micro_batches[-1][i, variants] = True
            rows = max_rows
            continue
        if rows + counts[i] > max_rows:
            micro_batches.append(np.zeros_like(used))
            rows = 0
        micro_batches[-1][i] = used[i]
        rows += counts[i]
    return micro_batches


def fastest_micro_batches(
    used: np.ndarray, lengths: np.ndarray | None, device_type: str, max_rows: int | None = None
) -> list[np.ndarray]:
    """
    Cuts groups into the micro-batches that take the least time: more of them have less padding, but each costs a
    forward pass. Groups stay whole; those of like length share a micro-batch, the longest first.

    Args:
        used, lengths: As in `fewest_micro_batches`.
        device_type (`str`): Type of the device, such as `"cuda"`.
        max_rows (`int`, *optional*): Most rows of a micro-batch. A single group may have more.

    Returns:
        `list[numpy.ndarray]`: The variants of each micro-batch, `(B, V)`.
    """
    order = _longest_first(used, lengths)
    rows = np.concatenate([[0], used.sum(axis=1)[order].cumsum()])  # of the first groups in this order
    longest = np.ones(len(order), dtype=int) if lengths is None else lengths[order]
    # Least tokens that the first groups cost, padding included, and where the last of their micro-batches begins.
    costs, starts = np.zeros(len(rows)), np.zeros(len(rows), dtype=int)
    cost_of_a_pass = _TOKENS_PER_PASS.get(device_type, _TOKENS_PER_PASS_OF_A_GPU)
    for stop in range(1, len(rows)):
        rows_in_last = rows[stop] - rows[:stop]
        options = costs[:stop] + rows_in_last * longest[:stop] + cost_of_a_pass
        if max_rows is not None:
            options[:-1][rows_in_last[:-1] > max_rows] = np.inf
        costs[stop], starts[stop] = options.min(), options.argmin()
    micro_batches, stop = [], len(order)
    while stop > 0:
        micro_batches.append(np.zeros_like(used))
        examples = order[starts[stop] : stop]
        micro_batches[-1][examples] = used[examples]
        stop = int(starts[stop])
    return micro_batches[::-1]


def _longest_first(used: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """The numbers of the groups with used variants, those of the longest first."""
    order = np.arange(len(used)) if lengths is None else (-lengths).argsort(kind="stable")
    return order[used[order].any(axis=1)]
