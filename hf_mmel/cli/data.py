"""The examples of a text classification task: which columns are read, and what the trainer takes of them.

What is wrong with a column is a `ValueError` that names the file or split, the column and the row.
"""

from __future__ import annotations

import logging

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from .args import DataArguments, listed
from .checks import check_column, check_texts
from .labels import Labels, encode_labels


logger = logging.getLogger(__name__)


def find_text_columns(splits: dict[str, Dataset], data_args: DataArguments) -> tuple[str, ...]:
    """
    The columns of text, checked in the rows of every split that are used: one, two of a pair, or those that are
    joined.

    Raises:
        `ValueError`: if a column is missing or does not hold strings, or a row has no text. Empty strings are fine.
    """
    columns = listed(data_args.text_column_names) or data_args.task.text_columns
    if not columns:
        split, dataset = next(iter(splits.items()))
        columns = _guess_text_columns(dataset, data_args.label_column_name)
        if not columns:
            raise ValueError(
                f"{data_args.where(split)} has no column of strings; its columns are "
                f"{', '.join(map(repr, dataset.column_names))}. Name the text with --text_column_names."
            )
        logger.warning(
            "Taking the text from %s; name other columns with --text_column_names.", " and ".join(map(repr, columns))
        )
    for split, dataset in splits.items():
        for column in columns:
            check_column(dataset, column, data_args.where(split), "--text_column_names")
            check_texts(_first(dataset, data_args.num_used(split)), column, data_args.where(split))
    if data_args.label_column_name in columns:
        raise ValueError(
            f"text_column_names has {data_args.label_column_name!r}, which is the column of the labels; leave it "
            "out, or name another with --label_column_name."
        )
    return columns


def _guess_text_columns(dataset: Dataset, label_column: str) -> tuple[str, ...]:
    for columns in (("sentence1", "sentence2"), ("sentence",), ("text",)):
        if set(columns) <= set(dataset.column_names):
            return columns
    features = {name: feature for name, feature in dataset.features.items() if name != label_column}
    return tuple(n for n, feature in features.items() if getattr(feature, "dtype", "").endswith("string"))[:2]


def encode_splits(
    splits: dict[str, Dataset],
    data_args: DataArguments,
    tokenizer: PreTrainedTokenizerBase,
    text_columns: tuple[str, ...],
    max_length: int,
    labels: Labels,
) -> dict[str, Dataset]:
    """
    What the trainer takes, of the first `max_..._samples` examples of each split: the tokenizer's columns, unpadded,
    and `label`, as [`encode_labels`] gives it. Test splits go without labels. Training data that is to be shuffled is
    shuffled as a whole beforehand.

    Raises:
        `ValueError`: if a label is missing or not one of `labels`.
    """
    encoded = {}
    for split, dataset in splits.items():
        dataset = _first(dataset, data_args.num_used(split))
        tokenized = dataset.map(
            _tokenize,
            batched=True,
            fn_kwargs={
                "tokenizer": tokenizer,
                "text_columns": text_columns,
                "delimiter": data_args.delimiter(text_columns),
                "max_length": max_length,
            },
            remove_columns=dataset.column_names,
            load_from_cache_file=not data_args.overwrite_cache,
            num_proc=data_args.preprocessing_num_workers,
            desc=f"Tokenising {split}",
        )
        if not split.startswith("test"):
            column = encode_labels(dataset, data_args.label_column_name, labels, data_args.where(split))
            tokenized = tokenized.add_column("label", column)  # before rows move, so that errors name the file's own
        if data_args.is_shuffled(split):
            tokenized = _first(tokenized.shuffle(seed=data_args.shuffle_seed), data_args.max_samples(split))
        encoded[split] = tokenized
    return encoded


def _first(dataset: Dataset, limit: int | None) -> Dataset:
    return dataset.select(range(min(len(dataset), limit or len(dataset))))


def _tokenize(
    batch: dict,
    tokenizer: PreTrainedTokenizerBase,
    text_columns: tuple[str, ...],
    delimiter: str | None,
    max_length: int,
):
    texts = [batch[column] for column in text_columns]
    if delimiter is not None:
        texts = [[delimiter.join(parts) for parts in zip(*texts, strict=True)]]
    return tokenizer(*texts, truncation=True, max_length=max_length)
