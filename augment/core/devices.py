"""How models run: the device, the type that it computes in, and the mode."""

from collections.abc import Iterator
from contextlib import contextmanager


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
