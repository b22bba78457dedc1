"""The arguments of the data, and the GLUE tasks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from augment.core.storage import file_type, location
from augment.core.tables import READERS


class Task(NamedTuple):
    """A GLUE task. Its dataset configuration and its metric have the name of the task."""

    text_columns: tuple[str, ...]
    regression: bool | None = False  # `None`: regression if the labels are floats
    validation_splits: tuple[str, ...] = ("validation",)
    test_splits: tuple[str, ...] = ("test",)


TASKS = {
    "cola": Task(("sentence",)),
    "mnli": Task(
        ("premise", "hypothesis"),
        validation_splits=("validation_matched", "validation_mismatched"),
        test_splits=("test_matched", "test_mismatched"),
    ),
    "mrpc": Task(("sentence1", "sentence2")),
    "qnli": Task(("question", "sentence")),
    "qqp": Task(("question1", "question2")),
    "rte": Task(("sentence1", "sentence2")),
    "sst2": Task(("sentence",)),
    "stsb": Task(("sentence1", "sentence2"), regression=True),
    "wnli": Task(("sentence1", "sentence2")),
}
GLUE = "nyu-mll/glue"
FORMATS = "csv, tsv, json (lines) or parquet, or a folder written by save_to_disk"
SPLITS = ("train", "validation", "test")
UNLABELED = "unlabeled"  # the split of the examples of unlabeled_file
_LIMITS = ("max_seq_length", "max_train_samples", "max_eval_samples", "max_predict_samples")


def argument(default: Any, help: str, **metadata: Any) -> Any:
    """A dataclass field with a help text for `HfArgumentParser`."""
    return field(default=default, metadata={"help": help, **metadata})


def listed(names: str | None) -> tuple[str, ...]:
    """The names in a list separated by commas."""
    return () if names is None else tuple(name.strip() for name in names.split(",") if name.strip())


@dataclass
class DataArguments:
    """Which examples to train on, evaluate and predict, and how to read them."""

    task_name: str | None = argument(None, f"GLUE task, one of {', '.join(TASKS)}.")
    dataset_name: str | None = argument(
        None,
        "Dataset on the Hub, local folder, or folder written by save_to_disk. With task_name: a mirror of GLUE "
        f"({GLUE}).",
    )
    dataset_config_name: str | None = argument(None, "Configuration of the dataset. Default: task_name, if given.")
    train_file: str | None = argument(None, f"Your training data: {FORMATS}.")
    validation_file: str | None = argument(None, f"Your validation data: {FORMATS}.")
    test_file: str | None = argument(None, f"Your data to predict: {FORMATS}; labels in it are ignored.")
    unlabeled_file: str | None = argument(
        None,
        f"More training texts, without labels: {FORMATS}, with the text columns of the training data. See "
        "unlabeled_ratio and unlabeled_loss.",
    )
    train_split_name: str | None = argument(None, "Split to train on. Default: train.")
    validation_split_name: str | None = argument(None, "Split to evaluate. Default: validation, else test.")
    test_split_name: str | None = argument(None, "Split to predict. Default: test.")
    remove_splits: str | None = argument(None, "Splits of the dataset to ignore, separated by commas.")
    remove_columns: str | None = argument(None, "Columns of the data to ignore, separated by commas.")
    text_column_names: str | None = argument(
        None,
        "Text column, or several separated by commas. Two are a pair, unless text_column_delimiter is given; more "
        "are joined. Default: the task's columns, else sentence1 and sentence2, sentence, text, or the first one or "
        "two columns of strings.",
        aliases=["--text_column_name", "--text-column-name"],  # used in the README of run_classification.py
    )
    text_column_delimiter: str | None = argument(
        None, "Joins text columns. Default: a space, if there are more than two."
    )
    label_column_name: str = argument(
        "label",
        "Column of the labels: a class, a number, a list of classes, or a list of a probability for each class. "
        "Several columns separated by commas are the probabilities of the classes that they are named after.",
    )
    do_regression: bool | None = argument(
        None,
        "Whether the labels are numbers rather than classes. Default: if the data has them as floats, which csv and "
        "strings are not.",
        nargs="?",
        const=True,
    )
    metric_name: str | None = argument(
        None,
        "Score to compute: accuracy, f1, precision, recall, mse, mae, or any metric of `evaluate`, by name or path. "
        "Default: the metrics of the task, else accuracy, micro F1 for multi-label, or mse and correlations for "
        "regression.",
    )
    max_seq_length: int = argument(128, "Longest input in tokens; longer ones are truncated.")
    pad_to_max_length: bool = argument(
        False,
        "Pad every row to max_seq_length. Off by default: K variants multiply the rows of a batch, and padding only "
        "to the longest of them saves much of that cost. Use it if shapes must be fixed.",
    )
    overwrite_cache: bool = argument(False, "Tokenise again instead of using cached results.")
    preprocessing_num_workers: int | None = argument(None, "Number of processes for tokenisation.")
    shuffle_train_dataset: bool = argument(False, "Shuffle the training data before max_train_samples are taken.")
    shuffle_seed: int = argument(42, "Seed of shuffle_train_dataset.")
    max_train_samples: int | None = argument(None, "Train on the first N examples only.")
    max_eval_samples: int | None = argument(None, "Evaluate the first N examples only.")
    max_predict_samples: int | None = argument(None, "Predict the first N examples only.")

    def __post_init__(self):
        if self.task_name is not None:
            self.task_name = self.task_name.lower()
            if self.task_name not in TASKS:
                raise ValueError(f"task_name is {self.task_name!r}; expected one of {', '.join(TASKS)}.")
        files, named = self.files(), self.task_name or self.dataset_name
        if not files and not named:
            raise ValueError("There is no data to work on; pass --task_name, --dataset_name or --train_file.")
        dataset_options = ["remove_splits", "dataset_config_name", *(f"{split}_split_name" for split in SPLITS)]
        if files and (unused := [name for name in dataset_options if getattr(self, name) is not None]):
            raise ValueError(f"{unused[0]} is for datasets that hold all splits; leave it out with files of your own.")
        for split, file in (files | self.unlabeled()).items():
            path = location(file)
            if (kind := file_type(path)) == "directory":
                continue
            if path.suffix.lower() not in READERS:
                raise ValueError(
                    f"{split}_file is {file!r}; expected a name that ends in {', '.join(READERS)}, or a folder "
                    "written by save_to_disk."
                )
            if kind is None:
                raise ValueError(f"{split}_file is {file!r}, and there is no such file; check the path.")
        for name in (*_LIMITS, "preprocessing_num_workers"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected a whole number >= 1.")
        if self.task_name is not None and self.do_regression is not None:
            raise ValueError(f"do_regression is given, but {self.task_name} determines it; leave it out.")
        if self.task_name == "mnli" and (self.validation_split_name or self.test_split_name):
            raise ValueError(
                "mnli has two splits to evaluate and two to predict; leave out validation_split_name and "
                "test_split_name."
            )

    @property
    def task(self) -> Task:
        """The GLUE task, or the defaults for other data."""
        if self.task_name is None:
            return Task(text_columns=(), regression=self.do_regression)
        return TASKS[self.task_name]

    @property
    def dataset(self) -> str:
        """The name or path of the dataset that holds all splits."""
        return self.dataset_name or GLUE

    def files(self) -> dict[str, str]:
        """The user's own files by split. None if a task or a dataset is named, which wins as in `run_glue.py`."""
        return {} if self.task_name or self.dataset_name else self.given_files()

    def unlabeled(self) -> dict[str, str]:
        """The user's own file of unlabelled examples, which may go with a task or a dataset, by its split."""
        return {} if self.unlabeled_file is None else {UNLABELED: self.unlabeled_file}

    def given_files(self) -> dict[str, str]:
        """The user's own files by split, also those that a task or a dataset takes the place of."""
        return {split: file for split in SPLITS if (file := getattr(self, f"{split}_file")) is not None}

    def delimiter(self, text_columns: Sequence[str]) -> str | None:
        """What joins the text columns; `None` if there is one, or two of a pair."""
        return " " if self.text_column_delimiter is None and len(text_columns) > 2 else self.text_column_delimiter

    def split_name(self, split: str) -> str:
        """The name of a split in the dataset."""
        return getattr(self, f"{split}_split_name", None) or split

    def max_samples(self, split: str) -> int | None:
        """The limit on the rows of a split; `None` if there is none."""
        if split in self.task.validation_splits:
            return self.max_eval_samples
        if split in self.task.test_splits:
            return self.max_predict_samples
        return self.max_train_samples if split == "train" else None

    def num_read(self, split: str) -> int | None:
        """How many of the first rows of a split are read; `None` for all, as shuffled data may use any row."""
        return None if split == "train" and self.shuffle_train_dataset else self.max_samples(split)

    def where(self, split: str) -> str:
        """The name of a split in error messages."""
        return (self.files() | self.unlabeled()).get(split) or f"{self.dataset} (split {self.split_name(split)!r})"


def has_labels(split: str) -> bool:
    """Whether the labels of a split are read."""
    return not split.startswith(("test", UNLABELED))
