"""The examples of a task, from GLUE, any dataset of the Hub or of a folder, or the user's own files.

Each fault in them is a `ValueError` that names the file or split, before a model is loaded.
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict
from transformers import BatchEncoding, PreTrainedTokenizerBase

from augment.core.running import shown
from augment.core.storage import file_type, location

from ..hub.redaction import without_tokens
from ..training_args import MMELTrainingArguments
from .data_arguments import UNLABELED, DataArguments, has_labels, listed
from .errors import hub_error_reason, reason_of
from .file_checks import check_column, check_texts, finite_float, read_weights
from .files import load_file
from .labels import Labels, encode_labels, joined_columns
from .named_data import find_splits, load_saved


logger = logging.getLogger(__name__)


def split_names(data_args: DataArguments, training_args: MMELTrainingArguments) -> list[str]:
    """The splits that a run reads."""
    is_mixed = training_args.do_train and training_args.lambda_u and training_args.unlabeled_ratio
    return [
        *(["train"] if training_args.do_train else ()),
        *(data_args.unlabeled() if is_mixed else ()),
        *(data_args.task.validation_splits if training_args.do_eval else ()),
        *(data_args.task.test_splits if training_args.do_predict else ()),
    ]


def load_splits(
    data_args: DataArguments, names: list[str], cache_dir: str | None = None, token: str | None = None
) -> dict[str, Dataset]:
    """
    Loads splits, such as `train` and the validation splits of the task, without the columns to remove. If a dataset
    has no `validation` split, its `test` split takes its place, except for GLUE tasks.
    """
    named = [] if data_args.files() else [name for name in names if name != UNLABELED]
    splits = _load_dataset(data_args, named, cache_dir, token) if named else {}
    splits |= {split: _load_file(data_args, split, cache_dir) for split in names if split not in named}
    for split, dataset in splits.items():
        if len(dataset) == 0:
            raise ValueError(_no_rows(data_args.where(split)))
    for column in listed(data_args.remove_columns):
        holders = [split for split, dataset in splits.items() if column in dataset.column_names]
        if not holders:
            raise ValueError(f"remove_columns has {column!r}, but no data has such a column; leave it out.")
        splits |= {split: splits[split].remove_columns(column) for split in holders}
    labels = data_args.label_column_name
    return {
        split: joined_columns(dataset, labels, data_args.where(split)) if has_labels(split) else dataset
        for split, dataset in splits.items()
    }


def _load_file(data_args: DataArguments, split: str, cache_dir: str | None) -> Dataset:
    file = (data_args.files() | data_args.unlabeled()).get(split)
    if file is None:
        raise ValueError(f"There is no file for the {split} data; pass --{split}_file.")
    with _reader_errors(file):
        kind = file_type(location(file))
        if kind == "file" and location(file).stat().st_size == 0:
            raise ValueError(_no_rows(file))
        dataset = load_saved(file) if kind == "directory" else load_file(file, cache_dir)
        if isinstance(dataset, DatasetDict):
            raise ValueError(f"it holds the splits {', '.join(dataset)}; pass it as --dataset_name")
        return dataset


def _load_dataset(
    data_args: DataArguments, names: list[str], cache_dir: str | None, token: str | None
) -> dict[str, Dataset]:
    where = data_args.dataset
    if Path(where).is_file():
        raise ValueError(f"dataset_name is {where!r}, which is a file; pass it as --train_file or its like.")
    with _reader_errors(where, token):
        config = data_args.dataset_config_name or data_args.task_name
        available = find_splits(where, config, data_args.label_column_name, cache_dir, token)
    removed = listed(data_args.remove_splits)
    for name in removed:
        if name not in available:
            raise ValueError(f"remove_splits has {name!r}; the splits of {where} are {shown(available)}.")
    available = {name: load for name, load in available.items() if name not in removed}
    splits = {}
    for split in names:
        name = data_args.split_name(split)
        if name == "validation" and name not in available and "test" in available and data_args.task_name is None:
            logger.warning("%s has no validation split; evaluating its test split.", where)
            name = "test"
        if name not in available:
            raise ValueError(
                f"{where} has no split {name!r}; its splits are {shown(available)}. "
                f"Name the right one with --{split.partition('_')[0]}_split_name."
            )
        with _reader_errors(where, token):
            splits[split] = available[name]()
    return splits


def _no_rows(where: str) -> str:
    return f"{where} has no rows; expected at least one example."


@contextmanager
def _reader_errors(where: str, token: str | None = None) -> Iterator[None]:
    """Turns the many kinds of errors of readers into a `ValueError`, and silences their log, which names no file."""
    readers = logging.getLogger("datasets.packaged_modules")
    level = readers.level
    readers.setLevel(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        names = where, str(Path(where)), str(Path(where).absolute())
        if isinstance(error, ValueError) and str(error).startswith(names):  # of `Table`
            raise
        if "corresponds to no data" in f"{error} {cause}":
            raise ValueError(_no_rows(where)) from error
        reason = hub_error_reason(error, token) or without_tokens(reason_of(cause))
        raise ValueError(f"{where} cannot be read: {reason}") from error
    finally:
        readers.setLevel(level)


def find_text_columns(
    splits: dict[str, Dataset], data_args: DataArguments, *other_columns: str | None
) -> tuple[str, ...]:
    """
    The text columns: one, two of a pair, or several to join. Checks that each row that is read has a text. None of the
    `other_columns`, which are for something else, is guessed to be one of them.
    """
    columns = listed(data_args.text_column_names) or data_args.task.text_columns
    if not columns:
        split, dataset = next(iter(splits.items()))
        not_text = (data_args.label_column_name, *listed(data_args.label_column_name), *other_columns)
        columns = _guess_text_columns(dataset, not_text)
        if not columns:
            raise ValueError(
                f"{data_args.where(split)} has no column of strings; its columns are "
                f"{shown(map(repr, dataset.column_names))}. Name the text with --text_column_names."
            )
        named = " and ".join(map(repr, columns))
        logger.warning("Taking the text from %s; name other columns with --text_column_names.", named)
    for split, dataset in splits.items():
        for column in columns:
            check_column(dataset, column, data_args.where(split), "--text_column_names")
            check_texts(_first(dataset, data_args.num_read(split)), column, data_args.where(split))
    if data_args.label_column_name in columns:
        raise ValueError(
            f"text_column_names has {data_args.label_column_name!r}, which is the column of the labels; leave it "
            "out, or name another with --label_column_name."
        )
    return columns


def _guess_text_columns(dataset: Dataset, not_text: Collection[str | None]) -> tuple[str, ...]:
    for columns in (("sentence1", "sentence2"), ("sentence",), ("text",)):
        if set(columns) <= set(dataset.column_names):
            return columns
    features = {name: feature for name, feature in dataset.features.items() if name not in not_text}
    strings = (name for name, feature in features.items() if getattr(feature, "dtype", "").endswith("string"))
    return tuple(islice((name for name in strings if not _holds_numbers(dataset, name)), 2))


def _holds_numbers(dataset: Dataset, column: str) -> bool:
    """Whether a column of strings, such as the ids in a csv, holds nothing but numbers."""
    return all(not text or finite_float(text) is not None for text in dataset[column][:])


def encode_splits(
    splits: dict[str, Dataset],
    data_args: DataArguments,
    tokenizer: PreTrainedTokenizerBase,
    text_columns: tuple[str, ...],
    max_length: int,
    labels: Labels,
    kept_columns: Sequence[str] = (),
    weight_column: str | None = None,
) -> dict[str, Dataset]:
    """
    The tokenizer's columns, unpadded, and `label`, see `encode_labels`, of the first `max_..._samples` examples of
    each split. Test splits and unlabelled examples have no labels. Training data is shuffled before it is cut. It and
    unlabelled examples keep some of their own columns; it keeps that of the weights of its examples as numbers.
    """
    options = {"tokenizer": tokenizer, "text_columns": text_columns, "max_length": max_length}
    options["delimiter"] = data_args.delimiter(text_columns)
    encoded = {}
    for split, dataset in splits.items():
        dataset = _first(dataset, data_args.num_read(split))
        kept = kept_columns if split in ("train", UNLABELED) else ()
        tokenized = dataset.map(
            _tokenize,
            batched=True,
            fn_kwargs=options,
            remove_columns=[name for name in dataset.column_names if name not in kept],
            load_from_cache_file=not data_args.overwrite_cache,
            num_proc=data_args.preprocessing_num_workers,
            desc=f"Tokenising {split}",
        )
        if has_labels(split):  # before rows are shuffled, so that errors name the rows of the file
            column = encode_labels(dataset, data_args.label_column_name, labels, data_args.where(split))
            tokenized = tokenized.add_column("label", column)
        if split == "train" and weight_column is not None:
            label_columns = data_args.label_column_name, *listed(data_args.label_column_name)
            weights = read_weights(dataset, weight_column, label_columns, data_args.where(split))
            tokenized = tokenized.add_column(weight_column, weights)
        if split == "train" and data_args.shuffle_train_dataset:
            tokenized = _first(tokenized.shuffle(seed=data_args.shuffle_seed), data_args.max_samples(split))
        encoded[split] = tokenized
    return encoded


def _first(dataset: Dataset, limit: int | None) -> Dataset:
    return dataset.select(range(min(len(dataset), limit or len(dataset))))


def _tokenize(
    batch: dict[str, list[str]],
    tokenizer: PreTrainedTokenizerBase,
    text_columns: tuple[str, ...],
    delimiter: str | None,
    max_length: int,
) -> BatchEncoding:
    return tokenizer(*input_texts(batch, text_columns, delimiter), truncation=True, max_length=max_length)


def input_texts(batch: Mapping[str, Any], text_columns: Sequence[str], delimiter: str | None) -> list[list[str]]:
    """The texts that the tokenizer gets of a batch of rows: one column, or two of pairs, of a text per row."""
    texts = [list(batch[column]) for column in text_columns]
    return texts if delimiter is None else [[delimiter.join(parts) for parts in zip(*texts, strict=True)]]
