"""What is known of variants from earlier steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..distributed import gathered


class ScoreTable:
    """
    The last known scores of groups, each found by its key.

    Args:
        device (`torch.device` or `str`, *optional*, defaults to `"cpu"`): Where they are.

    Attributes:
        values (`torch.Tensor` of shape `(N, ...)`): Of each group as many numbers.
    """

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = device
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self.values = torch.empty(0, device=self.device)
        self._places: dict[int, int] = {}
        self._changed: set[int] = set()

    def __contains__(self, key: int) -> bool:
        return key in self._places

    def put(self, keys: Sequence[int], values: Tensor) -> None:
        """Adds groups, or has their scores `(n, ...)` take the place of what was known."""
        for key in keys:
            self._places.setdefault(key, len(self._places))
        if len(self._places) > len(self.values):  # twice the room, so that little is copied
            room = values.new_empty(2 * len(self._places), *values.shape[1:])
            if len(self.values):
                room[: len(self.values)] = self.values
            self.values = room
        self.values[self.places(keys)] = values

    def places(self, keys: Sequence[int]) -> Tensor:
        """Where the scores of groups are in `values`, to be changed there, `(n,)`; so other processes are told."""
        self._changed.update(keys)
        return torch.tensor([self._places[key] for key in keys], dtype=torch.long, device=self.values.device)

    def share(self) -> None:
        """Has every process know what all of them know. All have to call this."""
        keys = list(self._changed)
        for others_keys, others_values in gathered((keys, self.values[self.places(keys)].cpu())):
            if others_keys:
                self.put(others_keys, others_values.to(self.device))
        self._changed.clear()
