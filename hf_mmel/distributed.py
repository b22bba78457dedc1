"""What the processes of a training do together."""

from typing import Any

import torch
from transformers import Trainer


def is_in_processes() -> bool:
    """Whether there is a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def gathered(part: Any) -> list[Any]:
    """The parts of all processes, in their order; there may be but one. All have to call this."""
    if not is_in_processes():
        return [part]
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, part)
    return parts


def end_training(trainer: Trainer) -> None:
    """
    Ends the trackers and the process group of a trainer that is not used any more.

    Threads of gloo that outlive the interpreter abort the process. And if the wrapper for data-parallel training is
    the last to hold the group, torch waits for these threads with Python's global lock in hand, which they may need.
    """
    trainer.model_wrapped = trainer.model
    trainer.accelerator.free_memory()  # where the wrapper is held, too
    trainer.accelerator.end_training()
