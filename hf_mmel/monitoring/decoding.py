"""Ids as people read them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from transformers import PreTrainedTokenizerBase

from augment.core.words import special_ids


def tokenizer_of(processing_class: Any, batch: Mapping[str, Any]) -> PreTrainedTokenizerBase | None:
    """What reads a batch: the tokenizer, or that of a processor, if its first input is in the batch."""
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    is_one = isinstance(tokenizer, PreTrainedTokenizerBase) and tokenizer.model_input_names[0] in batch
    return tokenizer if is_one else None


def reader(tokenizer: PreTrainedTokenizerBase) -> Callable[[Sequence], str]:
    """
    A function from ids to what the model reads, without special tokens and ids below 0: the texts of a pair apart, as
    "a | b", and so the rows of choices, as "a | b || a | c".
    """
    special = special_ids(tokenizer)

    def read(ids: Sequence) -> str:
        if ids and isinstance(ids[0], Sequence):
            return " || ".join(filter(None, map(read, ids)))
        # Padding is special, too.
        parts = groupby(ids, lambda index: index < 0 or index in special)
        return " | ".join(tokenizer.decode(list(part)).strip() for is_special, part in parts if not is_special)

    return read
