"""Groups of variants: from tokenised examples to tensors of shape `(B, V, L)`."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase


class VariantCollator:
    """
    Collates B tokenised examples into groups of V = K + 1 variants, variant 0 being the original.

    A variant is a pure function of (seed, epoch, example), the example being known by its token ids: neither the
    number of workers or processes, nor the make-up of the batch, nor a resume in mid-epoch changes it. Two examples
    with the same ids have the same variants in the same epoch. Every epoch has new ones: call
    [`~VariantCollator.set_epoch`], as [`MMELTrainer`] does.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            The classifier's tokenizer, which pads.
        augmenter:
            Any object with `variants(examples, num_variants, seeds)`, which takes a list of B examples and a list of B
            seeds (tuples of ints) and returns B lists of K examples with the same keys. An augmenter that has a
            `tokenizer` must have one with the same vocabulary. One that has `columns` reads the columns so named,
            which no batch has. One that has `precompute(dataset)` is given the training set by [`MMELTrainer`], if
            that has a length, before its first batch.
        num_variants (`int`, *optional*, defaults to 4):
            Augmented variants per example (K), the original not counted.
        seed (`int`, *optional*, defaults to 42):
            Seed of the variants.
        pad_to_multiple_of (`int`, *optional*):
            Pads to a multiple of this length instead of to the longest row.
        data_collator (`Callable`, *optional*):
            Collates the B x V rows before they are folded into groups, and evaluation batches as they are. Defaults to
            [`~transformers.DataCollatorWithPadding`] with `tokenizer` and `pad_to_multiple_of`.

    Returns a dict: each model input of shape `(B, V, L)`, `labels` of shape `(B, ...)` (they belong to the example),
    and `variant_mask` of shape `(B, V)`, `False` for a variant that is only a copy of its original.

    Raises:
        `ValueError`: if `num_variants` is below 1, if the augmenter's tokenizer has another vocabulary, or if an
        example has no `input_ids`.

    Example:

    ```python
    >>> collator = VariantCollator(tokenizer, WordNetSynonyms(tokenizer), num_variants=2)
    >>> batch = collator([{"input_ids": [101, 2023, 3185, 102], "label": 1}])
    >>> batch["input_ids"].shape, batch["labels"].shape, batch["variant_mask"].shape
    (torch.Size([1, 3, 4]), torch.Size([1]), torch.Size([1, 3]))
    ```
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        augmenter: Any,
        num_variants: int = 4,
        seed: int = 42,
        pad_to_multiple_of: int | None = None,
        data_collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]] | None = None,
    ):
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1 augmented variant per example.")
        if not callable(getattr(augmenter, "variants", None)):
            raise TypeError(
                f"augmenter is a {type(augmenter).__name__}; expected an object with "
                "variants(examples, num_variants, seeds), such as augment.WordNetSynonyms(tokenizer)."
            )
        other = getattr(augmenter, "tokenizer", tokenizer)
        if other is not tokenizer and other.get_vocab() != tokenizer.get_vocab():
            raise ValueError(
                f"The augmenter writes token ids of a {type(other).__name__} with {len(other)} tokens, the collator "
                f"pads for a {type(tokenizer).__name__} with {len(tokenizer)} tokens and another vocabulary. "
                "Build the augmenter with the classifier's tokenizer."
            )
        if data_collator is not None and pad_to_multiple_of is not None:
            raise ValueError("pad_to_multiple_of goes to the data_collator when one is given; pass one of the two.")
        self.tokenizer = tokenizer
        self.augmenter = augmenter
        self.num_variants = num_variants
        self.seed = seed
        self.data_collator = data_collator or DataCollatorWithPadding(tokenizer, pad_to_multiple_of=pad_to_multiple_of)
        # Shared memory, because worker processes that outlive an epoch hold a copy of everything else.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Has all later batches, those of running worker processes included, made of the variants of this epoch."""
        self._epoch.fill_(epoch)

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        examples = [{name: _plain(value) for name, value in example.items()} for example in examples]
        for example in examples:
            if "input_ids" not in example:
                raise ValueError(
                    f"An example has the keys {sorted(example)}; expected input_ids among them. "
                    "Tokenise the data set first: dataset.map(lambda row: tokenizer(row['text']))."
                )
        epoch = int(self._epoch)
        seeds = [(self.seed, epoch, _fingerprint(example["input_ids"])) for example in examples]
        groups = self.augmenter.variants(examples, self.num_variants, seeds)

        columns = getattr(self.augmenter, "columns", ())
        rows = [
            {name: value for name, value in row.items() if name not in columns}
            for example, variants in zip(examples, groups, strict=True)
            for row in (example, *variants)
        ]
        shape = (len(examples), self.num_variants + 1)
        batch = {name: tensor.view(*shape, *tensor.shape[1:]) for name, tensor in self.data_collator(rows).items()}
        if "labels" in batch:
            batch["labels"] = batch["labels"][:, 0].contiguous()
        batch["variant_mask"] = torch.tensor(
            [
                [True, *(variant["input_ids"] != example["input_ids"] for variant in variants)]
                for example, variants in zip(examples, groups, strict=True)
            ]
        )
        return batch


def _plain(value: Any) -> Any:
    """A list for the tuple, tensor or array that a formatted data set gives, so that all rows are of one kind."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _fingerprint(input_ids: list[int]) -> int:
    """64 bits that identify an example by its content, the same in every process and interpreter."""
    digest = hashlib.blake2b(np.asarray(input_ids, dtype=np.int64).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little")
