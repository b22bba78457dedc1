"""Sampling of tokens in which each row of a batch has random numbers of its own."""

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ..core.randomness import GOLDEN, mix, unit


class RowSampling(TorchFunctionMode):
    """
    Within this context, `torch.multinomial(probs, 1)` draws row i by a random number that is a hash of `keys[i]` and
    of how many draws there were before.

    `generate` samples by `torch.multinomial`, whose random numbers depend on the number of rows. With this context a
    row gets the tokens that it would get alone, as far as its probabilities are the same. `keys` are `(B,)`, `uint64`.
    """

    def __init__(self, keys: np.ndarray):
        super().__init__()
        self.keys = keys
        self._num_draws = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.multinomial, torch.Tensor.multinomial):
            return self._draw(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _draw(self, probs: torch.Tensor, num_samples: int) -> torch.Tensor:
        """One token for each row, `(B, 1)`: the first one at which the sum of probabilities exceeds the number."""
        if num_samples != 1 or probs.shape[0] != len(self.keys):
            raise ValueError(f"{num_samples} draws of {probs.shape[0]} rows; expected 1 of {len(self.keys)} rows.")
        with np.errstate(over="ignore"):
            numbers = unit(mix(self.keys + GOLDEN * np.uint64(self._num_draws)))
        self._num_draws += 1
        sums = probs.double().cumsum(dim=-1)
        if not sums[:, -1].isfinite().all():
            raise ValueError("The model's probabilities are not finite. Load it in float32 or bfloat16.")
        return torch.searchsorted(sums, torch.from_numpy(numbers).to(sums.device)[:, None] * sums[:, -1:], right=True)
