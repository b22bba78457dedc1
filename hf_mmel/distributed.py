"""The end of a training on several processes."""

from transformers import Trainer


def end_training(trainer: Trainer) -> None:
    """
    Ends the trackers and the process group of a trainer that is not used any more.

    Threads of gloo that outlive the interpreter abort the process. And if the wrapper for data-parallel training is
    the last to hold the group, torch waits for these threads with Python's global lock in hand, which they may need.
    """
    trainer.model_wrapped = trainer.model
    trainer.accelerator.free_memory()  # where the wrapper is held, too
    trainer.accelerator.end_training()
