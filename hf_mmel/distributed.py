"""What the processes of a training do together."""

from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
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


def check_seen_by_all(checkpoint: str | None) -> None:
    """
    Raises a `ValueError` in all processes if some of them do not see the checkpoint that the others resume from, as on
    machines that do not share `output_dir`. They would start from scratch, and all would wait for each other forever.
    """
    is_here = checkpoint is not None and Path(checkpoint).is_dir()
    files = [path.name for path in Path(checkpoint or "").iterdir()] if is_here else []
    seen = [set(names) for names in gathered([name for name in files if name.endswith((".json", ".safetensors"))])]
    for process, names in enumerate(seen):
        if missing := set.union(*seen) - names:
            raise ValueError(
                f"Process {process} sees no {', '.join(sorted(missing))} in the checkpoint that others resume from "
                f"(here: {checkpoint}). Have output_dir on a file system that all machines share, or copy the folder "
                "of the checkpoint to each of them, where its process looks for it."
            )


def release(trainer: Trainer) -> None:
    """Releases the distributed wrapper and the memory of a trainer that is no longer used."""
    model: Any = trainer.model
    trainer.model_wrapped = model
    trainer.accelerator.free_memory()  # where the wrapper is held, too


def end_processes() -> None:
    """
    Ends the process group, if there is one, once its trainers are released.

    Threads of gloo that outlive the interpreter abort the process. And if the wrapper for data-parallel training is
    the last to hold the group, torch waits for these threads with Python's global lock in hand, which they may need.
    """
    PartialState().destroy_process_group()


def end_training(trainer: Trainer) -> None:
    """Ends the trackers and the process group of a trainer that is not used any more."""
    release(trainer)
    trainer.accelerator.end_training()
