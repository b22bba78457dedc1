"""Training on streams in several processes: who reads which rows, and checks of what would lose or repeat rows."""

import logging
from typing import Any

import datasets
from accelerate.data_loader import DataLoaderDispatcher, IterableDatasetShard
from torch.utils.data import DataLoader, IterableDataset
from transformers import TrainingArguments

from .distributed import gathered, is_in_processes


logger = logging.getLogger(__name__)


def has_own_passes(loader: DataLoader | None) -> bool:
    """
    Whether each process reads rows of its own from a stream. Processes with fewer rows then begin their next pass
    while others are still in this one, so that no process may wait for the others at the end of a pass.
    """
    if not is_in_processes() or loader is None or isinstance(loader, DataLoaderDispatcher):
        return False
    return isinstance(loader.dataset, IterableDataset) and not isinstance(loader.dataset, IterableDatasetShard)


def check_stream(stream: Any, loader: DataLoader, args: TrainingArguments) -> None:
    """
    Raises a `ValueError` if the processes would train on the wrong rows of a stream, and warns if they read more than
    their share of it. All processes have to call this.
    """
    num_processes = args.world_size
    warn = logger.warning if args.process_index == 0 else logger.debug
    if num_processes < 2 or not isinstance(stream, IterableDataset):
        return
    if getattr(stream, "_distributed", None) is not None:
        raise ValueError(
            "train_dataset was split by split_dataset_by_node, and Trainer would split this part once more, so that "
            "rows were lost. Pass the whole stream; each process then reads its own parts of it."
        )
    if isinstance(loader, DataLoaderDispatcher):
        if not loader.split_batches:
            warn(
                "Process 0 reads the stream for all %d processes and joins their batches, which fails if they are "
                "padded to different lengths. To have each process read its own parts, pass "
                "accelerator_config={'dispatch_batches': False}.",
                num_processes,
            )
        return
    states = gathered(_random_state(stream))
    if any(state != states[0] for state in states):
        raise ValueError(
            "train_dataset is shuffled in another order in each process, so that some rows would be read twice and "
            "others not at all. Pass a seed: train_dataset.shuffle(seed=42, buffer_size=...)."
        )
    if not isinstance(stream, datasets.IterableDataset):
        return
    if not has_own_passes(loader):
        warn(
            "The stream has %d parts for %d processes, so each process reads all rows and trains on its share. "
            "Expected at least one part (file) for each process.",
            stream.num_shards,
            num_processes,
        )
        return
    score_interval = getattr(args, "score_interval", 1)
    if score_interval > 1:
        raise ValueError(
            f"score_interval is {score_interval}, but each process reads its own parts of the stream and may begin "
            "its passes at another time, so scores cannot be shared; expected an interval of 1."
        )
    if stream.num_shards % num_processes:
        warn(
            "The stream has %d parts for %d processes. Processes with fewer parts begin their next pass earlier, and "
            "train on their rows more often. Expected a multiple of the number of processes.",
            stream.num_shards,
            num_processes,
        )


def _random_state(stream: Any) -> Any:
    """The state of the generator that shuffles a stream of `datasets`, which shows it nowhere else."""
    source = getattr(stream, "_ex_iterable", None)
    while source is not None and not hasattr(source, "generator"):
        source = getattr(source, "ex_iterable", None)
    return None if source is None else source.generator.bit_generator.state
