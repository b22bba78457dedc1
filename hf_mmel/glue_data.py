"""The examples of a text classification task: GLUE, any data set of the Hub, or the user's own csv and json files.

Everything the command line asks of the data is checked here, before a model is loaded. All errors about the data are
`ValueError`s that name the file or split, the column and the row.
"""

from __future__ import annotations

import math
from pathlib import Path

from datasets import ClassLabel, Dataset, Value, load_dataset
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from .command_args import READERS, DataArguments


def load_splits(
    data_args: DataArguments, wanted: list[str], cache_dir: str | None = None, token: str | None = None
) -> dict[str, Dataset]:
    """
    Loads the splits `wanted`, by name, and refuses those that are missing or empty.

    Raises:
        `ValueError`: if a split or its file is missing, cannot be read, or has no rows.
    """
    splits = {}
    for split in wanted:
        where, file = data_args.where(split), data_args.files().get(split)
        if data_args.files() and file is None:
            raise ValueError(f"There is no file for the {split} data; pass --{split}_file.")
        empty = f"{where} has no rows; expected at least one example."
        if file is not None and Path(file).stat().st_size == 0:
            raise ValueError(empty)
        try:
            if file is not None:
                reader = READERS[Path(file).suffix.lower()]
                # pandas would read the texts "NA", "null" and "" as missing values.
                options = {"keep_default_na": False} if reader == "csv" else {}
                splits[split] = load_dataset(reader, data_files=file, split="train", cache_dir=cache_dir, **options)
            else:
                config = data_args.dataset_config_name or data_args.task_name
                path = data_args.dataset_name or "nyu-mll/glue"
                splits[split] = load_dataset(path, config, split=split, cache_dir=cache_dir, token=token)
        except Exception as error:  # readers fail in many ways, and all of them are about the data
            if "corresponds to no data" in str(error):
                raise ValueError(empty) from error
            reason = error.__cause__ or error
            raise ValueError(f"{where} cannot be read: {type(reason).__name__}: {reason}") from error
        if len(splits[split]) == 0:
            raise ValueError(empty)
    return splits


def find_text_columns(splits: dict[str, Dataset], data_args: DataArguments) -> tuple[str, ...]:
    """
    The one or two columns of text, checked in every split.

    Raises:
        `ValueError`: if a column is missing or does not hold strings, or a row has no text. Empty strings are fine.
    """
    columns = data_args.task.text_columns
    if data_args.text_column_names is not None:
        columns = tuple(name.strip() for name in data_args.text_column_names.split(","))
    columns = columns or _guess_text_columns(next(iter(splits.values())), data_args.label_column_name)
    if not 1 <= len(columns) <= 2:
        raise ValueError(
            f"Text columns are {list(columns)}; expected one, or two for pairs. Pass --text_column_names NAME or A,B."
        )
    for split, dataset in splits.items():
        for column in columns:
            _check_column(dataset, column, data_args.where(split), "--text_column_names")
            feature = dataset.features[column]
            if getattr(feature, "dtype", None) not in ("string", "large_string"):
                raise ValueError(
                    f"{data_args.where(split)}: column {column!r} holds {feature}; expected text. "
                    "Name the text with --text_column_names, or write it as strings in a json file."
                )
            for row, text in enumerate(dataset[column][:]):
                if text is None:
                    raise ValueError(
                        f"{data_args.where(split)}: column {column!r} has no text in row {row} (the first is 0); "
                        "write an empty string, or remove the row."
                    )
    return columns


def _guess_text_columns(dataset: Dataset, label_column: str) -> tuple[str, ...]:
    for columns in (("sentence1", "sentence2"), ("sentence",), ("text",)):
        if set(columns) <= set(dataset.column_names):
            return columns
    features = {name: feature for name, feature in dataset.features.items() if name != label_column}
    return tuple(n for n, feature in features.items() if getattr(feature, "dtype", "").endswith("string"))[:2]


def _check_column(dataset: Dataset, column: str, where: str, option: str) -> None:
    if column not in dataset.column_names:
        raise ValueError(
            f"{where} has no column {column!r}; its columns are {', '.join(dataset.column_names)}. "
            f"Name the right one with {option}."
        )


def find_label_names(
    splits: dict[str, Dataset], data_args: DataArguments, config: PretrainedConfig
) -> tuple[list[str] | None, list[str] | None]:
    """
    The classes in the data's own order and in the order of the model's outputs; `(None, None)` for regression.

    The data's order is that of its `ClassLabel`, else the sorted labels of the training data. The model's is the same,
    unless the checkpoint was trained on classes of these very names: then its order is kept, so that its head still
    means what it meant. Without training data the classes of the checkpoint count.

    Raises:
        `ValueError`: if the label column is missing or of another kind, or has only one class.
    """
    split = next((name for name in splits if not name.startswith("test")), None)
    own = [name for _, name in sorted(config.id2label.items())]
    if split is None:
        return (None, None) if config.num_labels == 1 else (own, own)

    column, where = data_args.label_column_name, data_args.where(split)
    _check_column(splits[split], column, where, "--label_column_name")
    feature = splits[split].features[column]
    if not isinstance(feature, Value | ClassLabel):
        raise ValueError(f"{where}: column {column!r} holds {feature}; expected one class or number per row.")
    trained_to_regress = "train" not in splits and config.num_labels == 1 and config.problem_type == "regression"
    if data_args.task.regression or feature.dtype.startswith("float") or trained_to_regress:
        return None, None
    if isinstance(feature, ClassLabel):
        names = feature.names
    else:
        values = splits[split][column][:]
        _check_present(values, column, where)
        names = [str(value) for value in sorted(set(values))]
    if "train" not in splits and set(names) <= set(own):
        names = own
    if len(names) < 2:
        raise ValueError(f"{where}: column {column!r} has one class only, {names}; expected two or more.")
    in_data = {name.lower(): name for name in names}
    if len(own) == len(names) == len(in_data) and in_data.keys() == {name.lower() for name in own}:
        return names, [in_data[name.lower()] for name in own]
    return names, names


def encode_labels(dataset: Dataset, column: str, names: list[str] | None, where: str) -> list[int] | list[float]:
    """
    Each row's class id, the place of its label in `names`, or its number where `names` is `None` (regression).

    Raises:
        `ValueError`: if a label is missing, unknown, out of range, or not a finite number.
    """
    _check_column(dataset, column, where, "--label_column_name")
    feature, values = dataset.features[column], dataset[column][:]
    _check_present(values, column, where)
    classes = feature.names if isinstance(feature, ClassLabel) else None
    ids = None if names is None else {name: i for i, name in enumerate(names)}
    labels = []
    for row, value in enumerate(values):
        if ids is None:
            label, expected = _finite_float(value), "a finite number"
        else:
            name = str(value) if classes is None else classes[value] if 0 <= value < len(classes) else None
            label, expected = ids.get(name), f"one of {', '.join(names)}"
        if label is None:
            raise ValueError(
                f"{where}: column {column!r} has the label {value!r} in row {row} (the first is 0); "
                f"expected {expected}. Correct or remove the row."
            )
        labels.append(label)
    return labels


def _check_present(values: list, column: str, where: str) -> None:
    for row, value in enumerate(values):
        if value is None or value == "":
            raise ValueError(
                f"{where}: column {column!r} has no label in row {row} (the first is 0); "
                "training and evaluation need one in every row. Fill it in, or remove the row."
            )


def _finite_float(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def encode_splits(
    splits: dict[str, Dataset],
    data_args: DataArguments,
    tokenizer: PreTrainedTokenizerBase,
    text_columns: tuple[str, ...],
    max_length: int,
    names: list[str] | None,
) -> dict[str, Dataset]:
    """
    What the trainer takes, of the first `max_..._samples` examples of each split: the tokenizer's columns, unpadded,
    and `label` (class ids in the order of `names`, numbers where `names` is `None`). Test splits go without labels.

    Raises:
        `ValueError`: if a label is missing or not one of `names`.
    """
    limits = {
        "train": data_args.max_train_samples,
        **dict.fromkeys(data_args.task.validation_splits, data_args.max_eval_samples),
        **dict.fromkeys(data_args.task.test_splits, data_args.max_predict_samples),
    }
    encoded = {}
    for split, dataset in splits.items():
        dataset = dataset.select(range(min(len(dataset), limits[split] or len(dataset))))
        tokenized = dataset.map(
            _tokenize,
            batched=True,
            fn_kwargs={"tokenizer": tokenizer, "text_columns": text_columns, "max_length": max_length},
            remove_columns=dataset.column_names,
            load_from_cache_file=not data_args.overwrite_cache,
            desc=f"Tokenising {split}",
        )
        if split not in data_args.task.test_splits:
            labels = encode_labels(dataset, data_args.label_column_name, names, data_args.where(split))
            tokenized = tokenized.add_column("label", labels)
        encoded[split] = tokenized
    return encoded


def _tokenize(batch: dict, tokenizer: PreTrainedTokenizerBase, text_columns: tuple[str, ...], max_length: int):
    return tokenizer(*(batch[column] for column in text_columns), truncation=True, max_length=max_length)
