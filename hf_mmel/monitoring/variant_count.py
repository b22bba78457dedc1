"""How many variants the training examples have, said at the start of training."""

import logging
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import PreTrainedTokenizerBase, TrainerCallback

from augment.core.variant_count import ADVICE

from ..data.group_collator import GroupCollator
from ..data.groups import VARIANT_MASK
from ..data.unlabeled import IndexedExamples
from ..objective.class_weights import is_stream
from .decoding import make_decoder, tokenizer_of


logger = logging.getLogger(__name__)


class WordChanges:
    """How many variants change a word of their example, and not only its punctuation (or spaces, or capitals)."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase):
        self._decode = make_decoder(tokenizer)
        self.num_variants = self.num_changed = 0

    def add(self, batch: Mapping[str, Any]) -> None:
        """Counts the variants of a batch of groups."""
        for group, mask in zip(batch["input_ids"].tolist(), batch[VARIANT_MASK].tolist(), strict=True):
            original, *variants = (ids for ids, is_present in zip(group, mask, strict=True) if is_present)
            changed = [ids for ids in variants if ids != original]  # copies may be trained on, too
            self.num_variants += len(changed)
            words = self._words(original) if changed else []
            self.num_changed += sum(self._words(ids) != words for ids in changed)

    def _words(self, ids: list) -> list[str]:
        return re.findall(r"\w+", self._decode(ids).casefold())

    @property
    def sentence(self) -> str:
        """The count in words; nothing if all variants change a word."""
        if self.num_changed == self.num_variants:
            return ""
        # Some and almost all are neither none nor all of them.
        percent = min(max(round(100 * self.num_changed / self.num_variants), 1), 99) if self.num_changed else 0
        return f" {percent}% of the variants change a word, the others only punctuation."


class VariantCountCallback(TrainerCallback):
    """
    Logs in the main process, at the start of training, how many of the training examples have no variant, how many
    different variants the others have, and how many of these change a word: as a warning if variants are few, else at
    the level of information.

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
        self.is_mixed = False  # with unlabelled examples, which are counted, too
        self.word_changes: WordChanges | None = None

    def on_epoch_begin(self, args, state, control, train_dataloader=None, processing_class=None, **kwargs):
        if not self.is_due or self.collator is not None:
            return
        self.collator = _collator_of(train_dataloader)
        if self.collator is None:
            return
        self.collator.reset_variant_count()
        if not is_stream(train_dataloader.dataset):
            self.num_all = len(train_dataloader.dataset)
            self.is_mixed = isinstance(train_dataloader.dataset, IndexedExamples)
            numbers = np.random.default_rng(0).permutation(self.num_all)[: self.num_sampled].tolist()
            with _random_states_kept(args.device):
                self._collate(train_dataloader, numbers, args.train_batch_size, processing_class)
        self._log(self.num_needed)

    def on_step_end(self, *args, **kwargs):
        self._log(self.num_needed)

    def on_epoch_end(self, *args, **kwargs):
        self._log(1)

    def _collate(self, loader: DataLoader, numbers: list[int], batch_size: int, processing_class: Any) -> None:
        """Collates examples as the data loader does, until the time is over."""
        deadline = time.monotonic() + self.max_seconds
        try:
            for start in range(0, len(numbers), batch_size):
                batch = loader.collate_fn([loader.dataset[i] for i in numbers[start : start + batch_size]])
                if VARIANT_MASK in batch and (tokenizer := tokenizer_of(processing_class, batch)) is not None:
                    self.word_changes = self.word_changes or WordChanges(tokenizer)
                    self.word_changes.add(batch)
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
        sentence = count.sentence(None if self.is_mixed else self.num_all)
        if self.word_changes is not None:
            sentence += self.word_changes.sentence
        with tqdm.external_write_mode():  # not at the end of a progress bar
            if count.are_few:
                logger.warning("%s %s", sentence, ADVICE)
            else:
                logger.info("%s", sentence)


def _collator_of(loader: DataLoader | None) -> GroupCollator | None:
    """The collator of groups in a data loader, in which it may be wrapped to remove columns or add rows."""
    collate = getattr(loader, "collate_fn", None)
    while not (collate is None or isinstance(collate, GroupCollator)):
        collate = getattr(collate, "data_collator", None)
    return collate


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
