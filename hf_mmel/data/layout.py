"""
What the host knows of a batch whose tensors are on a device, so that a training step does not wait for the device.

A collator knows which variants are present and how long they are. Once a batch is on a GPU, a question about it makes
the host wait until the GPU has done all of its work, and then the GPU is idle until the host has launched more. So a
batch remembers its tensors on the host (`HostedBatch`), and a step plans its forward passes by them (`Layout`). If a
batch remembers nothing, its layout is read from the device, in one copy.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate.utils import send_to_device
from torch import Tensor

from augment.core.devices import on_device as on_device


LAYOUT = "layout"  # the key of the `Layout` in a batch of groups, within a training step


class Layout(NamedTuple):
    """
    The layout of B groups of V variants, in NumPy arrays.

    Attributes:
        present (`(B, V)`, `bool`): Which variants are present.
        lengths (`(B, V)`, *optional*): Tokens of each variant up to its last that is no padding, at least 1; `None`
            where all padding stays.
        are_labelled (`(B,)`, `bool`): Whether an example has a label.
        are_weighted (`(B,)`, `bool`, *optional*): Whether an example has another weight than 1.
        group_keys (`(B,)`, *optional*): The `group_key` of the batch.
        extra_rows (`(B, V)`, *optional*): The `extra_rows` of the batch.
    """

    present: np.ndarray
    lengths: np.ndarray | None
    are_labelled: np.ndarray
    are_weighted: np.ndarray | None = None
    group_keys: np.ndarray | None = None
    extra_rows: np.ndarray | None = None

    def take(self, examples: np.ndarray) -> "Layout":
        """The layout of some of the examples, `(b,)`."""
        taken: dict[str, Any] = {name: None if x is None else x[examples] for name, x in self._asdict().items()}
        return Layout(**taken)

    def with_copies(self, count: int) -> "Layout":
        """The layout with `count` copies of each original at the end, `(B, V + count)`."""
        grown: dict[str, Any] = {
            name: np.concatenate([x, x[:, :1].repeat(count, axis=1)], axis=1)
            for name, x in self._asdict().items()
            if name in ("present", "lengths", "extra_rows") and x is not None
        }
        return self._replace(**grown)

    def longest(self, used: np.ndarray) -> np.ndarray | None:
        """The length of the longest used variant of each group, at least 1, `(B,)`; `None` if all padding stays."""
        return None if self.lengths is None else np.where(used, self.lengths, 1).max(axis=1)


class HostedBatch(dict):
    """
    A batch that remembers the tensors that `to` copies to a device.

    A dictionary that is made of it remembers nothing. A tensor that is replaced or changed on the device is forgotten.
    """

    def __init__(self, *args: Any, copies: Mapping[str, tuple[Tensor, Tensor, int]] | None = None):
        super().__init__(*args)
        self.copies = {} if copies is None else copies  # by name: on the host, on the device, version of the latter

    def to(self, device: Any, **options: Any) -> "HostedBatch":
        """The batch on a device; the options are those of `torch.Tensor.to`. Accelerate calls it."""
        moved = send_to_device(dict(self), device, **options)
        # torch counts the changes that are made to a tensor in place.
        copies = {name: (x, moved[name], moved[name]._version) for name, x in self.items() if _is_known(x)}
        return HostedBatch(moved, copies={**self.copies, **copies})

    def on_host(self) -> dict[str, Tensor]:
        """Those tensors of the batch that the host has as they are on the device."""
        return {
            name: on_host
            for name, (on_host, moved, version) in self.copies.items()
            if self.get(name) is moved and (on_host is moved or moved._version == version)
        }


class HostingCollator:
    """Makes each batch of a collator that is a plain dictionary a `HostedBatch`."""

    def __init__(self, data_collator: Callable[[list], Any]):
        self.data_collator = data_collator

    def __call__(self, examples: list) -> Any:
        batch = self.data_collator(examples)
        return HostedBatch(batch) if type(batch) is dict else batch


def is_on_host(tensor: Tensor) -> bool:
    """Whether a tensor can be read without waiting for a device."""
    return tensor.device.type == "cpu"


def _is_known(value: Any) -> bool:
    return isinstance(value, Tensor) and is_on_host(value)


def read(*tensors: Tensor) -> list[np.ndarray]:
    """The values of tensors of whole numbers or truth values, in one copy from their device."""
    if all(is_on_host(x) for x in tensors):
        return [x.detach().numpy().copy() for x in tensors]
    values = torch.cat([x.detach().reshape(-1).long() for x in tensors]).cpu().numpy()
    parts = np.split(values, np.cumsum([x.numel() for x in tensors])[:-1])
    return [
        (part.astype(bool) if x.dtype == torch.bool else part).reshape(x.shape)
        for part, x in zip(parts, tensors, strict=True)
    ]
