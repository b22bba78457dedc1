"""How models run: the device, the type that it computes in, the mode, and copies to the device and back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np


if TYPE_CHECKING:
    import torch
    from torch import Tensor


def default_device() -> str:
    """`"cuda"` if there is a GPU, else `"cpu"`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def fast_dtype(device: str) -> str:
    """`"bfloat16"` if the device has instructions for it, else `"float32"`."""
    import torch

    if torch.device(device).type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if capabilities.get("amx_bf16") else "float32"


def is_on(model, device: str, dtype: str) -> bool:
    """
    Whether a model is on the device and has the type. A device without a number is the current one: a model on
    `"cuda:0"` is on `"cuda"`, although the names differ.
    """
    import torch

    return (model.device, model.dtype) == (torch.empty(0, device=device).device, getattr(torch, dtype))


@contextmanager
def evaluation(model) -> Iterator[None]:
    """Puts a model into evaluation mode, and back."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def on_device(values: np.ndarray, device: torch.device) -> Tensor:
    """An array on a device, without waiting for the device."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(values))
    # From other memory, and without `non_blocking`, a copy waits until the device has done all of its work.
    tensor = tensor.pin_memory() if device.type == "cuda" else tensor
    return tensor.to(device, non_blocking=device.type != "mps")


class HostCopy:
    """A copy of a tensor that is on its way to the host: the device makes it when it has done its earlier work."""

    def __init__(self, tensor: Tensor):
        import torch

        is_cuda = tensor.device.type == "cuda"  # there, the copy is in pinned memory
        self._copy = tensor.to("cpu", non_blocking=is_cuda)
        self._event = torch.cuda.current_stream(tensor.device).record_event() if is_cuda else None

    def is_ready(self) -> bool:
        """Whether the copy can be read without waiting."""
        return self._event is None or self._event.query()

    def numpy(self) -> np.ndarray:
        """The copy. Waits until it is complete."""
        if self._event is not None:
            self._event.synchronize()
        return self._copy.numpy()
