"""
Counts where a program waits for a device: operations of which the host needs the result before it can go on.

`Waits` counts on a CPU. Every tensor passes for one of a device, but for those that the program has itself copied to
the host, or made of an array. `CudaWaits` has the CUDA runtime report the same.
"""

import sys
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


PACKAGES = [Path(__file__).parents[1] / name for name in ("hf_mmel", "augment")]
# Which copy to the host what others ask for.
READERS = PACKAGES[0] / "data" / "layout.py", PACKAGES[1] / "core" / "devices.py"

# Operations whose result, or its size, is read. `multinomial` checks probabilities that it draws from once.
_READING = {
    "_local_scalar_dense": 1,
    "nonzero": 1,
    "masked_select": 1,
    "masked_scatter_backward": 1,
    "_unique2": 1,
    "unique_dim": 1,
    "unique_consecutive": 1,
    "equal": 1,
    "bincount": 1,
}
_TO_HOST = {Tensor.cpu: "cpu", Tensor.numpy: "numpy", Tensor.tolist: "tolist"}
_MAKING = {torch.tensor: "tensor", torch.as_tensor: "as_tensor", Tensor.new_tensor: "new_tensor"}


class Wait(NamedTuple):
    """A wait: the operation, the line of a package that caused it, and whether the model did so within that line."""

    operation: str
    place: str
    in_model: bool


class Waits(TorchFunctionMode):
    """
    A context that counts.

    Attributes:
        found (`list[Wait]`): The waits caused by hf_mmel and augment, models included.
        elsewhere (`list[str]`): The operations of waits of `Trainer`, Accelerate and the optimizer.
    """

    def __init__(self):
        super().__init__()
        self.found: list[Wait] = []
        self.elsewhere: list[str] = []
        self._operations = _Operations(self)

    def __enter__(self):
        self._operations.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self._operations.__exit__(*error)

    @property
    def own(self) -> list[Wait]:
        """Without those of models, which `Trainer` has as well."""
        return [wait for wait in self.found if not wait.in_model]

    def add(self, operation: str) -> None:
        stack = traceback.extract_stack()
        frames = [Path(frame.filename) for frame in stack]
        ours = [i for i, path in enumerate(frames) if any(map(path.is_relative_to, PACKAGES)) and path not in READERS]
        if not ours:
            self.elsewhere.append(operation)
            return
        last = ours[-1]
        place = f"{frames[last].relative_to(PACKAGES[0].parent)}:{stack[last].lineno}"
        in_model = any("transformers" in path.parts for path in frames[last:])
        via_trainer = any(path.name == "trainer.py" and "transformers" in path.parts for path in frames[last:])
        if via_trainer and not any("models" in path.parts for path in frames[last:]):
            self.elsewhere.append(operation)
        else:
            self.found.append(Wait(operation, place, in_model))

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        first = args[0] if args else None
        is_host = is_on_host(first)
        if function in _TO_HOST:
            if not is_host:
                self.add(_TO_HOST[function])
            return on_host(function(*args, **kwargs).detach()) if function is Tensor.cpu else function(*args, **kwargs)
        if function is Tensor.to and is_host and _names_a_device(args[1:], kwargs):
            if not kwargs.get("non_blocking"):
                self.add("to(device)")
            return function(*args, **kwargs).detach()
        if function in _MAKING and not isinstance(args[-1], Tensor):
            on_device = kwargs.get("device") is not None or function is Tensor.new_tensor
            if on_device:
                self.add(_MAKING[function])
            made = function(*args, **kwargs)
            return made if on_device else on_host(made)
        result = function(*args, **kwargs)
        given = [x for x in args if isinstance(x, Tensor)]
        stays = function is torch.from_numpy or (given and all(map(is_on_host, given)))
        return on_host(result) if stays and isinstance(result, Tensor) else result

    def table(self) -> str:
        """A line for each place, with its number of waits and the operation."""
        counts = Counter(f"{wait.place}: {wait.operation}{' (model)' * wait.in_model}" for wait in self.found)
        lines = [f"{count:3} {place}" for place, count in sorted(counts.items())]
        return "\n".join([f"{len(self.own)} waits, and {len(self.elsewhere)} of Trainer:", *lines])


class _Operations(TorchDispatchMode):
    """Sees the operations that make up those of the Python API, and of the backward pass."""

    def __init__(self, waits: Waits):
        super().__init__()
        self.waits = waits

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operation._schema.name.removeprefix("aten::")
        if not is_on_host(args[0] if args else None):
            for _ in range(_number_of_waits(name, args, kwargs)):
                self.waits.add(name)
        return operation(*args, **kwargs)


def _number_of_waits(name: str, args: tuple, kwargs: dict[str, Any]) -> int:
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        is_mask = any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])
        is_fill = name != "index" and args[2].dim() == 0  # which is a masked_fill
        return int((is_mask and not is_fill) or any(is_on_host(x) and x.dim() for x in args[1]))
    if name == "repeat_interleave":
        return int(isinstance(args[0], Tensor) and kwargs.get("output_size") is None)
    if name == "multinomial":
        draws_once = args[1] == 1 or not (args[2] if len(args) > 2 else kwargs.get("replacement", False))
        return 2 if draws_once else 0
    return _READING.get(name, 0)


class CudaWaits:
    """As `Waits`, for tensors of a CUDA device."""

    def __init__(self):
        self.found: list[Wait] = []
        self.elsewhere: list[str] = []

    def __enter__(self):
        self._mode, self._caught = torch.cuda.get_sync_debug_mode(), warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *args, **kwargs: (
            Waits.add(self, "synchronisation") if "synchronizing CUDA operation" in str(message) else None
        )
        torch.cuda.set_sync_debug_mode("warn")
        return self

    def __exit__(self, *error):
        torch.cuda.set_sync_debug_mode(self._mode)
        self._caught.__exit__(*error)

    own, table = Waits.own, Waits.table


def on_host(tensor: Tensor) -> Tensor:
    """Marks a tensor as one that the host has."""
    tensor.is_on_host = True
    return tensor


def is_on_host(value: Any) -> bool:
    return isinstance(value, Tensor) and getattr(value, "is_on_host", False)


def _names_a_device(args: tuple, kwargs: dict[str, Any]) -> bool:
    return "device" in kwargs or any(isinstance(x, str | torch.device | Tensor) for x in args)


if __name__ == "__main__":
    sys.exit("This is a helper of tests.")
