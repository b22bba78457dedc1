"""Token ids as text for people."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from transformers import PreTrainedTokenizerBase

from augment.core.words import special_ids


def tokenizer_of(processing_class: Any, batch: Mapping[str, Any]) -> PreTrainedTokenizerBase | None:
    """The tokenizer, or that of a processor, if the batch holds its main input; else `None`."""
    tokenizer = getattr(processing_class, "tokenizer", processing_class)
    is_tokenizer = isinstance(tokenizer, PreTrainedTokenizerBase) and tokenizer.model_input_names[0] in batch
    return tokenizer if is_tokenizer else None


def make_decoder(tokenizer: PreTrainedTokenizerBase) -> Callable[[Sequence], str]:
    """
    A function from token ids to text, without special tokens and without ids below 0. It separates the texts of a pair
    as "a | b", and the choices of a multiple-choice example as "a | b || a | c".
    """
    special = special_ids(tokenizer)  # with the padding

    def decode(ids: Sequence) -> str:
        if ids and isinstance(ids[0], Sequence):
            return " || ".join(filter(None, map(decode, ids)))
        runs = groupby(ids, lambda index: index < 0 or index in special)
        texts = tokenizer.batch_decode([list(run) for is_special, run in runs if not is_special])
        return " | ".join(text.strip() for text in texts)

    return decode
