"""The collator of groups of variants, for examples of any array: tensors of shape `(B, V, ...)`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info
from transformers import default_data_collator

from augment.core.variant_count import VariantCount, are_first

from .groups import GROUP_KEY, LABELS, VARIANT_MASK, folded


Example = dict[str, Any]

_MAX_COUNTING = 64  # worker processes that count for themselves; more would share a count, and may miss some examples


class GroupCollator:
    """
    Collates B examples into groups of V = K + 1 variants, variant 0 being the original.

    A variant is a pure function of (seed, epoch, example), and the main input identifies the example. Neither the
    number of workers or processes, nor the other examples of the batch, nor a resume in mid-epoch changes it. Examples
    with the same input have the same variants in the same epoch. Each call of `GroupCollator.set_epoch` gives new
    variants, every `epochs_per_draw` epochs; `MMELTrainer` calls it.

    Args:
        augmenter:
            Any object with `variants(examples, num_variants, seeds)`, which takes a list of B examples and a list of B
            seeds (tuples of ints) and returns B lists of K examples with the same keys. Optional attributes:
            `main_input_name` is the column that it varies (`"input_ids"` by default); `columns` names columns that
            only the augmenter reads, not the model; `keeps_copies` says that the variants of an example which are all
            equal to it are meant to be, as those of `augment.SameText`; `MMELTrainer` calls `precompute(dataset)`
            before the first batch, unless the training set is a stream.
        num_variants (`int`, *optional*, defaults to 4):
            Augmented variants per example (K), the original not counted.
        seed (`int`, *optional*, defaults to 42):
            Seed of the variants.
        data_collator (`Callable`, *optional*, defaults to `transformers.default_data_collator`):
            Collates the B x V rows before they are folded into groups, and evaluation batches as they are.
        epochs_per_draw (`int`, *optional*, defaults to 1):
            Epochs for which an example keeps its variants.

    Returns a dict: each model input of shape `(B, V, ...)`, `labels` of shape `(B, ...)`, and `variant_mask` of shape
    `(B, V)`, `False` for a variant that repeats its original or another variant, unless the augmenter `keeps_copies`
    and the example has no other variant. With `epochs_per_draw` above 1 there is also `group_key` of shape `(B,)`,
    which identifies the group. `data_collator` may pass on other values than tensors with an entry for each row, such
    as texts, numbers, `None`, arrays and nested dicts. They reach the model, too; of those with an entry for each row
    it gets the entries of the rows that it computes.

    Raises:
        `TypeError`: if the augmenter has no method `variants`.
        `ValueError`: if `num_variants` or `epochs_per_draw` is below 1, if the augmenter makes another number of
            variants, or if an example has no main input.

    Example:

    ```python
    >>> collator = GroupCollator(ImageVariants(), num_variants=2)
    >>> batch = collator([{"pixel_values": torch.rand(3, 32, 32), "labels": 1}])
    >>> batch["pixel_values"].shape, batch["labels"].shape, batch["variant_mask"].shape
    (torch.Size([1, 3, 3, 32, 32]), torch.Size([1]), torch.Size([1, 3]))
    ```
    """

    def __init__(
        self,
        augmenter: Any,
        num_variants: int = 4,
        seed: int = 42,
        data_collator: Callable[[list[Example]], dict[str, torch.Tensor]] | None = None,
        epochs_per_draw: int = 1,
    ):
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1 augmented variant per example.")
        if epochs_per_draw < 1:
            raise ValueError(f"epochs_per_draw is {epochs_per_draw}; expected at least 1 epoch.")
        check_is_object("augmenter", augmenter)
        if not callable(getattr(augmenter, "variants", None)):
            raise TypeError(
                f"augmenter is a {type(augmenter).__name__}; expected an object with "
                "variants(examples, num_variants, seeds), such as augment.WordNetSynonyms(tokenizer) or "
                "augment.ImageVariants()."
            )
        self.augmenter = augmenter
        self.num_variants = num_variants
        self.seed = seed
        self.epochs_per_draw = epochs_per_draw
        self.data_collator = data_collator or default_data_collator
        # Shared memory, because worker processes that outlive an epoch hold a copy of everything else.
        self._draw = torch.zeros((), dtype=torch.int64).share_memory_()
        self._counted = torch.zeros(_MAX_COUNTING, 3, dtype=torch.int64).share_memory_()

    @property
    def main_input_name(self) -> str:
        """The column that is varied."""
        return getattr(self.augmenter, "main_input_name", "input_ids")

    def set_epoch(self, epoch: int) -> None:
        """Has all later batches, those of running worker processes included, made of the variants of this epoch."""
        self._draw.fill_(epoch // self.epochs_per_draw)

    @property
    def variant_count(self) -> VariantCount:
        """How many variants the examples had that were collated since the last reset, in worker processes as well."""
        return VariantCount(self.num_variants, *self._counted.sum(dim=0).tolist())

    def reset_variant_count(self) -> None:
        """Begins a new `variant_count`."""
        self._counted.zero_()

    def read_columns(self, dataset: Any, used: Collection[str] | None = None) -> None:
        """
        Reads, before training, what a single example does not say: which columns have an entry for each token.

        Args:
            dataset: The training set. One that is no `datasets.Dataset` is not read.
            used (`Collection[str]`, *optional*): The columns that the collator gets; all by default.

        Raises:
            `TypeError`: if the augmenter does not have the entries of tokens follow them.
            `ValueError`: if a column has tokens on an axis other than its first.
        """

    def __call__(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        self._check_input(examples)
        name = self.main_input_name
        rows = [{**row, name: x if isinstance(x := row[name], torch.Tensor) else torch.tensor(x)} for row in examples]
        return self._collate(self._with_variants(rows))

    def _check_input(self, examples: list[Example]) -> None:
        for example in examples:
            if self.main_input_name not in example:
                raise ValueError(
                    f"An example has the keys {sorted(example)}; expected {self.main_input_name} among them. "
                    f"{how_to_read(self.main_input_name)}"
                )

    def _with_variants(self, rows: list[Example]) -> list[list[Example]]:
        """Each row, and its K variants."""
        draw = int(self._draw)
        seeds = [(self.seed, draw, fingerprint(row[self.main_input_name])) for row in rows]
        variants = self.augmenter.variants(rows, self.num_variants, seeds)
        counts = [len(group) for group in variants]
        if counts != [self.num_variants] * len(rows):
            raise ValueError(
                f"The augmenter, a {type(self.augmenter).__name__}, gave lists of {counts} variants; expected "
                f"{len(rows)} lists of {self.num_variants} variants. Where there are fewer, it has to fill up with "
                "copies of the example."
            )
        return [[row, *group] for row, group in zip(rows, variants, strict=True)]

    def _collate(self, groups: list[list[Example]]) -> dict[str, torch.Tensor]:
        """Tensors of groups of V examples."""
        left_out = getattr(self.augmenter, "columns", ())
        rows = [
            {name: value for name, value in row.items() if name not in left_out} for group in groups for row in group
        ]
        batch = folded(self.data_collator(rows), len(groups), len(rows))
        if LABELS in batch:
            batch[LABELS] = batch[LABELS][:, 0].contiguous()
        return self._marked_batch(batch, groups)

    def _marked_batch(self, batch: dict[str, torch.Tensor], groups: list[list[Example]]) -> dict[str, torch.Tensor]:
        """The batch with its `variant_mask`, and the `group_key` where it needs one."""
        inputs = [[row[self.main_input_name] for row in group] for group in groups]
        mask = torch.tensor([self._are_first(variants) for variants in inputs])
        if getattr(self.augmenter, "keeps_copies", False):
            mask |= ~mask[:, 1:].any(dim=1, keepdim=True)
        batch[VARIANT_MASK] = mask
        self._count(VariantCount.of(mask.tolist(), self.num_variants))
        if self.epochs_per_draw > 1:
            batch[GROUP_KEY] = torch.tensor([self._group_key(group) for group in groups])
        return batch

    def _are_first(self, variants: list[Any]) -> list[bool]:
        """Which main inputs of a group are not among those before them."""
        return are_first([fingerprint(variant) for variant in variants])

    def _count(self, new: VariantCount) -> None:
        worker = get_worker_info()
        place = 0 if worker is None else worker.id % _MAX_COUNTING
        self._counted[place] += torch.tensor([new.examples, new.without, new.different])

    def _group_key(self, group: list[Example]) -> int:
        """64 bits that identify an example, its label included, with these variants."""
        prints = [fingerprint(row[self.main_input_name]) for row in group]
        rest = {name: plain(value) for name, value in group[0].items() if name != self.main_input_name}
        return hashed(repr((prints, rest)).encode(), signed=True)


def check_is_object(name: str, value: Any) -> None:
    """Raises a `TypeError` if a class is given where an object of it is meant."""
    if isinstance(value, type):
        raise TypeError(f"{name} is the class {value.__name__}; expected an object of it, {value.__name__}(...).")


def how_to_read(main_input_name: str) -> str:
    """How examples come by their main input."""
    if main_input_name == "input_ids":
        return "Tokenise it first: dataset.map(lambda row: tokenizer(row['text'], truncation=True), batched=True)."
    return f"Have the data set read with what makes {main_input_name}: dataset.with_transform(processor)."


def fingerprint(value: Any) -> int:
    """64 bits that identify an input by its content, the same in every process and interpreter."""
    if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16:  # which NumPy does not have
        value = value.view(torch.int16)
    array = np.ascontiguousarray(value)
    if array.ndim == 1 and array.dtype.kind in "iu":  # ids, of whatever width
        return hashed(array.astype(np.int64).tobytes())
    return hashed(repr((array.shape, array.dtype.str)).encode() + array.tobytes())


def hashed(content: bytes, signed: bool = False) -> int:
    """64 bits of a hash."""
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little", signed=signed)


def plain(value: Any) -> Any:
    """A list for the tuple, tensor or array that a formatted data set gives, so that all rows are of one kind."""
    value = value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
    if isinstance(value, list) and value and (hasattr(value[0], "tolist") or isinstance(value[0], tuple)):
        return [plain(part) for part in value]  # choices of different lengths
    return value
