"""How many variants the training examples have, said at the start of training."""

import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from augment.core.variant_count import ADVICE

from ..data.group_collator import GroupCollator
from ..objective.class_weights import is_stream


logger = logging.getLogger(__name__)


class VariantCountCallback(TrainerCallback):
    """
    Logs in the main process, at the start of training, how many of the training examples have no variant, and how many
    different variants the others have: as a warning if variants are few, else at the level of information.

    Before the first step it counts the variants of a sample of the training examples in their first epoch. This takes
    less than a second and changes neither random states nor variants. For a stream, and if an augmenter is so slow
    that the sample is too small, the first batches of training are counted instead.
    """

    num_sampled = 1000
    num_needed = 100  # examples, for a judgement, if there are as many
    max_seconds = 0.8

    def on_train_begin(self, args, state, control, **kwargs):
        self.is_due = state.is_world_process_zero
        self.collator: GroupCollator | None = None
        self.num_all: int | None = None

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        if not self.is_due or self.collator is not None:
            return
        self.collator = _collator_of(train_dataloader)
        if self.collator is None:
            return
        self.collator.reset_variant_count()
        if not is_stream(train_dataloader.dataset):
            self.num_all = len(train_dataloader.dataset)
            numbers = np.random.default_rng(0).permutation(self.num_all)[: self.num_sampled].tolist()
            with _random_states_kept(args.device):
                self._collate(train_dataloader, numbers, args.train_batch_size)
        self._log(self.num_needed)

    def on_step_end(self, *args, **kwargs):
        self._log(self.num_needed)

    def on_epoch_end(self, *args, **kwargs):
        self._log(1)

    def _collate(self, loader: DataLoader, numbers: list[int], batch_size: int) -> None:
        """Collates examples as the data loader does, until the time is over."""
        deadline = time.monotonic() + self.max_seconds
        try:
            for start in range(0, len(numbers), batch_size):
                loader.collate_fn([loader.dataset[i] for i in numbers[start : start + batch_size]])
                if time.monotonic() > deadline:
                    break
        except Exception:  # training may never put these examples into one batch; if it does, it says what is wrong
            logger.debug("The variants of a sample cannot be counted.", exc_info=True)

    def _log(self, num_needed: int) -> None:
        if not self.is_due or self.collator is None:
            return
        count = self.collator.variant_count
        if count.examples < min(num_needed, self.num_all or num_needed):
            return
        self.is_due = False
        if count.are_few:
            logger.warning("%s %s", count.sentence(self.num_all), ADVICE)
        else:
            logger.info("%s", count.sentence(self.num_all))


def _collator_of(loader: DataLoader | None) -> GroupCollator | None:
    """The collator of groups in a data loader, in which `Trainer` may have wrapped it to remove columns."""
    collate = getattr(loader, "collate_fn", None)
    for candidate in (collate, getattr(collate, "data_collator", None)):
        if isinstance(candidate, GroupCollator):
            return candidate
    return None


@contextmanager
def _random_states_kept(device: torch.device) -> Iterator[None]:
    """Restores the global random states after the block, whatever data sets and augmenters draw from them."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
