"""Columns of a dataset with an entry for each token: which they are, and how they are padded."""

from collections.abc import Collection
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from transformers import PreTrainedTokenizerBase

from augment.core.batch import IGNORE_INDEX, SPANS_KEY, TOKEN_COLUMNS_KEY, TOKEN_LEVEL_KEYS

from .groups import ALIGNMENT, LABEL_COLUMNS


_NUM_READ = 256  # rows: enough to tell a column of tokens from one that is as long by chance
_KNOWN = {"input_ids", ALIGNMENT, SPANS_KEY, TOKEN_COLUMNS_KEY, *TOKEN_LEVEL_KEYS, *LABEL_COLUMNS}


def token_columns_of(dataset: datasets.Dataset, used: Collection[str] | None = None) -> tuple[str, ...] | None:
    """
    The columns that have an entry for each token in each of the first rows, besides those of tokenizers. In multiple
    choice it is an entry for each token of each choice.

    Args:
        dataset (`datasets.Dataset`): Rows with `input_ids`.
        used (`Collection[str]`, *optional*): The columns that the model and the augmenter get; all by default.

    Returns:
        `tuple[str, ...]`: Their names, or `None` if no column is a list, so that there is nothing to tell apart.

    Raises:
        `ValueError`: if a column has tokens on an axis other than its first, which no edit can follow.
    """
    names = [name for name in dataset.column_names if name not in _KNOWN and (used is None or name in used)]
    if "input_ids" not in dataset.column_names or not names:
        return None
    table = dataset.select_columns(["input_ids", *names]).with_format("arrow")[:_NUM_READ]
    ids = _storage(table["input_ids"])
    has_choices = _is_nested(ids)
    if has_choices:
        ids = pc.list_flatten(ids)
    found, has_lists = [], False
    for name in names:
        column, num_choices = _storage(table[name]), _storage(table["input_ids"])
        if has_choices and not (_is_nested(column) and _lengths(column).equals(_lengths(num_choices))):
            continue
        column = pc.list_flatten(column) if has_choices else column
        if not _is_list(column.type):
            continue
        has_lists = True
        is_of_tokens = _are_equal(_lengths(column), _lengths(ids))
        if is_of_tokens:
            found.append(name)
        if _is_nested(column) and len(entries := pc.list_flatten(column)):
            tokens = _lengths(ids).take(pc.list_parent_indices(column))
            if _are_equal(_lengths(entries), tokens):
                axes = "first two axes" if is_of_tokens else "second axis"
                raise ValueError(
                    f"The column {name} of train_dataset has the tokens on its {axes}, where it cannot follow them "
                    "into a variant; expected one entry for each of input_ids. Remove the column, or make it of what "
                    "follows the tokens in the data_collator."
                )
    return tuple(found) if has_lists else None


def padded(entries: list, ids: list, length: int, tokenizer: PreTrainedTokenizerBase) -> list:
    """The entries of the tokens of a row, or of each of its choices, padded to a length with zeros, or -100."""
    if ids and isinstance(ids[0], list):
        return [padded(*choice, length, tokenizer) for choice in zip(entries, ids, strict=True)]
    padding = [filler(entries)] * (length - len(entries))
    return [*padding, *entries] if tokenizer.padding_side == "left" else [*entries, *padding]


def filler(entries: list) -> Any:
    """The entry of a token of padding: -100 in a column that holds it, else zeros."""
    if not entries:
        return 0
    return IGNORE_INDEX if IGNORE_INDEX in entries else np.zeros_like(entries[0]).tolist()


def _storage(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The lists of an `Array2D` and its like."""
    if not isinstance(column.type, pa.ExtensionType):
        return column
    return pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_nested(column: pa.ChunkedArray) -> bool:
    return _is_list(column.type) and _is_list(column.type.value_type)


def _lengths(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.list_value_length(column).cast(pa.int64())


def _are_equal(some: pa.ChunkedArray, others: pa.ChunkedArray) -> bool:
    """Whether lengths are equal wherever there are any."""
    return bool(pc.all(pc.equal(some, others)).as_py())
