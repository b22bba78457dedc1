"""The splits of a data set: GLUE, any data set of the Hub or of a folder, or the user's own files.

Whatever is wrong with them is a `ValueError` that names the file or split, before a model is loaded.
"""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from datasets import Dataset, DatasetDict, load_dataset, load_from_disk

from ..hub.redaction import without_tokens
from .args import READERS, DataArguments, listed
from .files import INDEX, check_encoding, check_header, check_nesting, find_fault
from .hub_errors import refusal
from .usage import reason_of


logger = logging.getLogger(__name__)


def load_splits(
    data_args: DataArguments, wanted: list[str], cache_dir: str | None = None, token: str | None = None
) -> dict[str, Dataset]:
    """
    Loads the splits `wanted`, without the columns that are not to be used.

    Where a data set has no `validation` split, its `test` split is evaluated, unless a GLUE task is asked for.

    Args:
        data_args (`DataArguments`): Where the data is.
        wanted (`list[str]`): `train`, and the validation and test splits of the task.
        cache_dir (`str`, *optional*): Folder for what is downloaded and converted.
        token (`str`, *optional*): Access token for the Hub.

    Raises:
        `ValueError`: if a split, its file or a column to remove is missing, cannot be read, or a split has no rows.
    """
    if data_args.files():
        splits = {split: _load_file(data_args, split, cache_dir) for split in wanted}
    else:
        splits = _load_data_set(data_args, wanted, cache_dir, token)
    for split, dataset in splits.items():
        if len(dataset) == 0:
            raise ValueError(_no_rows(data_args.where(split)))
    removed = listed(data_args.remove_columns)
    for column in removed:
        if not any(column in dataset.column_names for dataset in splits.values()):
            raise ValueError(f"remove_columns has {column!r}, but no data has such a column; leave it out.")
    return {
        split: dataset.remove_columns([column for column in removed if column in dataset.column_names])
        for split, dataset in splits.items()
    }


def _load_file(data_args: DataArguments, split: str, cache_dir: str | None) -> Dataset:
    where = file = data_args.files().get(split)
    if file is None:
        raise ValueError(f"There is no file for the {split} data; pass --{split}_file.")
    if Path(file).is_dir():
        with _errors_of_reading(where):
            dataset = _load_saved(file)
            if isinstance(dataset, DatasetDict):
                raise ValueError(f"it holds the splits {', '.join(dataset)}; pass it as --dataset_name")
            return dataset
    if Path(file).stat().st_size == 0:
        raise ValueError(_no_rows(where))
    reader = READERS[Path(file).suffix.lower()]
    if reader != "parquet":
        check_encoding(file)
    if reader == "csv":
        check_header(file)
    if reader == "json":
        check_nesting(file)
    pattern = glob.escape(str(Path(file).absolute()))  # as datasets reads names, and that of the working folder
    # pandas would read the texts "NA", "null" and "" as missing values.
    options = {"keep_default_na": False} if reader == "csv" else {}
    with _errors_of_reading(where, lambda _: find_fault(file, data_args.label_column_name)):
        dataset = load_dataset(reader, data_files=pattern, split="train", cache_dir=cache_dir, **options)
    if INDEX in dataset.column_names and (fault := find_fault(file, data_args.label_column_name)) is not None:
        raise ValueError(fault)
    return dataset


def _load_data_set(
    data_args: DataArguments, wanted: list[str], cache_dir: str | None, token: str | None
) -> dict[str, Dataset]:
    path, where = Path(data_args.data_set), data_args.data_set
    if path.is_file():
        raise ValueError(f"dataset_name is {where!r}, which is a file; pass it as --train_file or its like.")

    def explain(error: Exception) -> str | None:
        reason = refusal(error, token)
        return reason and f"{where} cannot be read: {reason}"

    with _errors_of_reading(where, explain):
        if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
            saved = _load_saved(path)
            available = saved if isinstance(saved, DatasetDict) else {"train": saved}
        else:
            if path.exists() and glob.has_magic(str(path.absolute())):
                raise ValueError(
                    f"it is {path.absolute()}, whose name has * ? or [, which datasets takes for a pattern; rename it"
                )
            config = data_args.dataset_config_name or data_args.task_name
            available = load_dataset(data_args.data_set, config, cache_dir=cache_dir, token=token)
    removed = listed(data_args.remove_splits)
    for name in removed:
        if name not in available:
            raise ValueError(f"remove_splits has {name!r}; the splits of {where} are {', '.join(available)}.")
    available = {name: dataset for name, dataset in available.items() if name not in removed}
    splits = {}
    for split in wanted:
        name = data_args.split_name(split)
        if name == "validation" and name not in available and "test" in available and data_args.task_name is None:
            logger.warning("%s has no validation split; evaluating its test split.", where)
            name = "test"
        if name not in available:
            raise ValueError(
                f"{where} has no split {name!r}; its splits are {', '.join(available)}. "
                f"Name the right one with --{split.partition('_')[0]}_split_name."
            )
        splits[split] = available[name]
    return splits


def _load_saved(folder: str | Path) -> Dataset | DatasetDict:
    """A folder of `save_to_disk`. What is made of it is kept beside it, but where it cannot be written to."""
    return load_from_disk(str(folder), keep_in_memory=None if os.access(folder, os.W_OK) else True)


def _no_rows(where: str) -> str:
    return f"{where} has no rows; expected at least one example."


@contextmanager
def _errors_of_reading(where: str, explain: Callable[[Exception], str | None] = lambda error: None) -> Iterator[None]:
    """Readers fail in many ways, and all of them are about the data. Their own log of it has the line of no file."""
    readers = logging.getLogger("datasets.packaged_modules")
    level = readers.level
    readers.setLevel(logging.CRITICAL)
    try:
        yield
    except Exception as error:
        cause = error.__cause__ or error
        if any(text in f"{error} {cause}" for text in ("corresponds to no data", "No columns to parse")):
            raise ValueError(_no_rows(where)) from error
        raise ValueError(explain(error) or f"{where} cannot be read: {without_tokens(reason_of(cause))}") from error
    finally:
        readers.setLevel(level)
