"""Variants of some rows of a dataset, wherever in the dataset and on whichever machine they are made."""

from collections.abc import Mapping, Sequence
from itertools import compress
from operator import index as as_int
from typing import Any

from .base import Augmenter
from .configurable import check_count
from .core.given import check_object
from .core.running import shown
from .core.variant_count import are_first


CHUNK = 1000  # rows that commands read, augment and write at once

Texts = tuple[str, ...]  # of an original or a variant, one for each column


def variants_of_shard(
    rows: Mapping[str, Sequence[Any]],
    index: Sequence[int],
    seed: int = 0,
    *,
    augmenter: Augmenter,
    columns: str | Sequence[str] = "text",
    num_variants: int = 4,
    new_column: str = "variants",
    keep_copies: bool = False,
) -> dict[str, list[list[Any]]]:
    """
    The variants of any rows of a dataset, as a column of lists for `VariantsFromColumn`.

    The variants of a row depend only on its texts, its number in the dataset and the seed. So the result is the same
    for any number of shards, in any order. `python -m augment write` makes the same variants. With an augmenter that
    has a masked language model, rounding also depends on the batch: keep the number of rows of a call, the device and
    the `dtype`.

    It is a function for `datasets.Dataset.map(variants_of_shard, batched=True, with_indices=True, fn_kwargs={...})`.

    Args:
        rows (`Mapping`): Columns of B rows. Other columns than those of the texts are ignored.
        index (`Sequence` of B ints): The number of each row in the whole dataset.
        seed (`int`, *optional*, defaults to 0): Random seed.
        augmenter (`Augmenter`): Makes the variants.
        columns (`str` or a list of `str`, *optional*, defaults to `"text"`): The column of the text, or several.
        num_variants (`int`, *optional*, defaults to 4): K, at least 1.
        new_column (`str`, *optional*, defaults to `"variants"`): Name of the new column.
        keep_copies (`bool`, *optional*, defaults to `False`):
            Whether to keep variants that equal the original or an earlier variant. Every row then has K.

    Returns:
        `dict`: the new column, a list of at most K variants for each row. With several `columns`, a variant is a list
        of texts, one for each.

    Raises:
        `TypeError`: if the augmenter is not an `Augmenter`, a text is not a `str`, or a number not an `int`.
        `ValueError`: if a column is missing, the columns are of other lengths than `index`, `new_column` is one of the
            given columns, or K is below 1.
    """
    check_object("augmenter", augmenter, Augmenter)
    check_count("num_variants", num_variants)
    names = [columns] if isinstance(columns, str) else list(columns)
    if missing := [name for name in names if name not in rows]:
        raise ValueError(f"The rows have no column {missing[0]!r}; their columns are {shown(map(repr, rows))}.")
    if new_column in rows:
        raise ValueError(f"The rows already have a column {new_column!r}. Choose another new_column.")
    if sizes := {name: len(rows[name]) for name in names if len(rows[name]) != len(index)}:
        raise ValueError(f"Received the numbers of {len(index)} rows, and columns of other lengths: {sizes}.")
    groups = drawn_texts([rows[name] for name in names], index, seed, augmenter, num_variants)
    if not keep_copies:
        groups = [list(compress(group, are_first(group))) for group in groups]
    is_pair = len(names) > 1
    return {new_column: [[list(texts) if is_pair else texts[0] for texts in group[1:]] for group in groups]}


def drawn_texts(
    columns: Sequence[Sequence[str]], index: Sequence[int], seed: int, augmenter: Augmenter, num_variants: int
) -> list[list[Texts]]:
    """The original and the K variants of each row, given the columns of texts and the number of each row."""
    numbers = [as_int(number) for number in index]
    groups = []
    for position, texts in enumerate(columns):
        seeds = [(seed, number, position) for number in numbers]
        variants = augmenter.augment_text(list(texts), num_variants, seeds)
        groups.append([(text, *group) for text, group in zip(texts, variants, strict=True)])
    return [list(zip(*parts, strict=True)) for parts in zip(*groups, strict=True)]
