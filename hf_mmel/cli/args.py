"""The GLUE tasks and the arguments of the command line, but for those of the training itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from augment.registry import NAMES, augmenter_config, limited

from ..step.adversarial import NORMS, AdversarialVariants


class Task(NamedTuple):
    """What has to be known of a GLUE task; its configuration and its metric go by the task's name."""

    text_columns: tuple[str, ...]
    regression: bool | None = False  # `None`: if the labels are floats
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
READERS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".parquet": "parquet"}
FILES = "csv, json (lines) or parquet, or a folder written by save_to_disk"
SPLITS = ("train", "validation", "test")
SAMPLES = ("max_train_samples", "max_eval_samples", "max_predict_samples")


def listed(names: str | None) -> tuple[str, ...]:
    """The names in a list separated by commas."""
    return () if names is None else tuple(name.strip() for name in names.split(",") if name.strip())


@dataclass
class ModelArguments:
    """Which model is fine-tuned, and where it comes from."""

    model_name_or_path: str = field(metadata={"help": "Name on the Hub or local path of the pretrained model."})
    config_name: str | None = field(default=None, metadata={"help": "Configuration, where it is not the model's own."})
    tokenizer_name: str | None = field(default=None, metadata={"help": "Tokenizer, where it is not the model's own."})
    cache_dir: str | None = field(
        default=None, metadata={"help": "Folder for downloaded models and data and for the augmenter's lexicon."}
    )
    use_fast_tokenizer: bool = field(
        default=True,
        metadata={"help": "Has no effect: transformers 5 takes a fast tokenizer where there is one."},
    )
    model_revision: str = field(default="main", metadata={"help": "Branch, tag or commit of the model on the Hub."})
    token: str | None = field(
        default=None, metadata={"help": "Access token for the Hub. Default: the one stored by `hf auth login`."}
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Run model code that comes with the checkpoint. Only for sources you trust."}
    )
    ignore_mismatched_sizes: bool = field(
        default=False, metadata={"help": "Start from a new head where the checkpoint's has another number of labels."}
    )
    overwrite_output_dir: bool = field(
        default=False,
        metadata={"help": "Train anew even if output_dir holds a checkpoint or a saved model."},
    )

    def __post_init__(self):
        if self.cache_dir is not None and not {"{", "}"}.isdisjoint(self.cache_dir):
            raise ValueError(f"cache_dir is {self.cache_dir!r}; datasets can keep nothing in a folder with braces.")

    @property
    def hub_options(self) -> dict:
        """What every `from_pretrained` is told."""
        return {
            "cache_dir": self.cache_dir,
            "revision": self.model_revision,
            "token": self.token,
            "trust_remote_code": self.trust_remote_code,
        }


@dataclass
class DataArguments:
    """Which examples are trained on, evaluated and predicted, and how they are read."""

    task_name: str | None = field(default=None, metadata={"help": f"GLUE task, one of {', '.join(TASKS)}."})
    dataset_name: str | None = field(
        default=None,
        metadata={
            "help": "Data set on the Hub, local folder, or folder written by save_to_disk. With task_name: a mirror "
            "of GLUE (nyu-mll/glue)."
        },
    )
    dataset_config_name: str | None = field(
        default=None, metadata={"help": "Configuration of the data set. Default: task_name, where one is given."}
    )
    train_file: str | None = field(default=None, metadata={"help": f"Your training data: {FILES}."})
    validation_file: str | None = field(default=None, metadata={"help": f"Your validation data: {FILES}."})
    test_file: str | None = field(
        default=None, metadata={"help": f"Your data to predict: {FILES}; labels in it are ignored."}
    )
    train_split_name: str | None = field(default=None, metadata={"help": "Split to train on. Default: train."})
    validation_split_name: str | None = field(
        default=None,
        metadata={"help": "Split to evaluate. Default: validation, or test where the data set has none."},
    )
    test_split_name: str | None = field(default=None, metadata={"help": "Split to predict. Default: test."})
    remove_splits: str | None = field(
        default=None, metadata={"help": "Splits of the data set that are not to be used, separated by commas."}
    )
    remove_columns: str | None = field(
        default=None, metadata={"help": "Columns of the data that are not to be used, separated by commas."}
    )
    text_column_names: str | None = field(
        default=None,
        metadata={
            "help": "Text column, or several separated by commas. Two are a pair, unless text_column_delimiter is "
            "given; more are joined. Default: the task's columns, else sentence1 and sentence2, sentence, text, or "
            "the first one or two columns of strings.",
            "aliases": ["--text_column_name", "--text-column-name"],  # which run_classification.py's README uses
        },
    )
    text_column_delimiter: str | None = field(
        default=None,
        metadata={"help": "What the text columns are joined by into one text. More than two: a space by default."},
    )
    label_column_name: str = field(
        default="label",
        metadata={"help": "Column of the labels: a class, a number, or the list of the classes of a row."},
    )
    do_regression: bool = field(
        default=None,
        metadata={"help": "Whether the labels are numbers rather than classes. Default: if they are floats."},
    )
    metric_name: str | None = field(
        default=None,
        metadata={
            "help": "Score to compute: accuracy, f1, precision, recall, mse, mae, or any metric of `evaluate`, by "
            "name or path. Default: that of the task, else accuracy, the micro F1 of several labels, or mse and the "
            "correlations of regression."
        },
    )
    max_seq_length: int = field(default=128, metadata={"help": "Longest input in tokens; longer ones are truncated."})
    pad_to_max_length: bool = field(
        default=False,
        metadata={
            "help": "Pad every row to max_seq_length. Off by default: K variants multiply the rows of a batch, and "
            "padding only to the longest of them saves much of that cost. Use it where shapes must be fixed."
        },
    )
    overwrite_cache: bool = field(default=False, metadata={"help": "Tokenise again instead of using cached results."})
    preprocessing_num_workers: int | None = field(default=None, metadata={"help": "Processes that tokenise."})
    shuffle_train_dataset: bool = field(
        default=False, metadata={"help": "Shuffle the training data before max_train_samples of them are taken."}
    )
    shuffle_seed: int = field(default=42, metadata={"help": "Seed of shuffle_train_dataset."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Train on the first N examples only."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Evaluate the first N examples only."})
    max_predict_samples: int | None = field(default=None, metadata={"help": "Predict the first N examples only."})

    def __post_init__(self):
        if self.task_name is not None:
            self.task_name = self.task_name.lower()
            if self.task_name not in TASKS:
                raise ValueError(f"task_name is {self.task_name!r}; expected one of {', '.join(TASKS)}.")
        files, named = self.files(), self.task_name or self.dataset_name
        if not files and not named:
            raise ValueError("There is no data to work on; pass --task_name, --dataset_name or --train_file.")
        if files and named:
            raise ValueError(f"Both {named!r} and files of your own are given; pass the one or the other.")
        of_data_sets = ["remove_splits", "dataset_config_name", *(f"{split}_split_name" for split in SPLITS)]
        if files and (unused := [name for name in of_data_sets if getattr(self, name) is not None]):
            raise ValueError(
                f"{unused[0]} is for data sets that hold all splits; leave it out with files of your own."
            )
        for split, file in files.items():
            if Path(file).is_dir():
                continue
            if Path(file).suffix.lower() not in READERS:
                raise ValueError(
                    f"{split}_file is {file!r}; expected a name that ends in {', '.join(READERS)}, or a folder "
                    "written by save_to_disk."
                )
            if not Path(file).is_file():
                raise ValueError(f"{split}_file is {file!r}, and there is no such file; check the path.")
        for name in ("max_seq_length", *SAMPLES, "preprocessing_num_workers"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise ValueError(f"{name} is {value}; expected a whole number >= 1.")
        if self.task_name is not None and self.do_regression is not None:
            raise ValueError(f"do_regression is given, but {self.task_name} says itself what it is; leave it out.")
        if self.task_name == "mnli" and (self.validation_split_name or self.test_split_name):
            raise ValueError(
                "mnli has two splits to evaluate and two to predict; leave out validation_split_name and "
                "test_split_name."
            )

    @property
    def task(self) -> Task:
        """The facts of the GLUE task, or the defaults for other data."""
        return TASKS.get(self.task_name) or Task(text_columns=(), regression=self.do_regression)

    @property
    def data_set(self) -> str:
        """The name or path of the data set that holds all splits."""
        return self.dataset_name or "nyu-mll/glue"

    def files(self) -> dict[str, str]:
        """The user's own files by split."""
        files = {split: getattr(self, f"{split}_file") for split in SPLITS}
        return {split: file for split, file in files.items() if file is not None}

    def split_name(self, split: str) -> str:
        """What the data set calls a split."""
        return getattr(self, f"{split}_split_name", None) or split

    def delimiter(self, text_columns: tuple[str, ...]) -> str | None:
        """What joins the texts of a row into one; `None` where they are one text, or a pair."""
        return " " if self.text_column_delimiter is None and len(text_columns) > 2 else self.text_column_delimiter

    def splits(self, train: bool, evaluate: bool, predict: bool) -> list[str]:
        """The names of the splits that a run needs."""
        return [
            *(["train"] if train else []),
            *(self.task.validation_splits if evaluate else []),
            *(self.task.test_splits if predict else []),
        ]

    def max_samples(self, split: str) -> int | None:
        """How many rows of a split are asked for; `None`: all."""
        if split in self.task.validation_splits:
            return self.max_eval_samples
        if split in self.task.test_splits:
            return self.max_predict_samples
        return self.max_train_samples if split == "train" else None

    def is_shuffled(self, split: str) -> bool:
        return split == "train" and self.shuffle_train_dataset

    def num_used(self, split: str) -> int | None:
        """How many rows are used, from the first one; `None`: any row may be, since all are, or they are shuffled."""
        return None if self.is_shuffled(split) else self.max_samples(split)

    def where(self, split: str) -> str:
        """The name of a split in messages."""
        return self.files().get(split) or f"{self.data_set} (split {self.split_name(split)!r})"


@dataclass
class AugmenterArguments:
    """How the variants are made."""

    augmenter: str = field(
        default="wordnet",
        metadata={
            "help": f"Source of variants: {', '.join(NAMES)}, a JSON file with the configuration of an augmenter, or "
            "'none', which trains on the originals."
        },
    )
    augmenter_model: str | None = field(
        default=None,
        metadata={
            "help": "Model of the augmenters mlm and embedding, with the classifier's vocabulary; by default "
            "model_name_or_path, whose checkpoint has a masked-LM head if it is a pretrained one."
        },
    )
    mlm_masking: str = field(
        default="grouped",
        metadata={
            "help": "What the masked LM sees: 'grouped' masks some 15 percent of a text in each pass, 'single' one "
            "word, 'none' nothing, in one pass.",
            "choices": ["grouped", "single", "none"],
        },
    )
    greedy_search: str = field(
        default="none",
        metadata={
            "help": "Search the candidates at every epoch for those that raise the model's loss, or the divergence of "
            "its prediction from that on the original, most.",
            "choices": ["none", "loss", "divergence"],
        },
    )
    replace_prob: float | None = field(
        default=None,
        metadata={"help": "Probability that a replaceable word is replaced; the augmenter's own by default."},
    )
    augment_segments: str | None = field(
        default=None, metadata={"help": "Which text of a pair may change.", "choices": ["all", "first", "second"]}
    )
    adversarial_num_steps: int = field(
        default=0,
        metadata={
            "help": "Gradient steps by which the model makes one more variant of each example against itself, beside "
            "those of the augmenter or, with --augmenter none, in place of any. 0: no such variant."
        },
    )
    adversarial_step_size: float = field(
        default=0.1, metadata={"help": "Length of such a step, in the unit of the word embeddings."}
    )
    adversarial_norm: str = field(
        default="l2", metadata={"help": "Norm in which it is measured.", "choices": list(NORMS)}
    )

    def __post_init__(self):
        try:
            self.adversary()
        except ValueError as error:
            raise ValueError(f"adversarial_{error}") from None

    def adversary(self) -> AdversarialVariants | None:
        """Makes the adversarial variants; `None` where there are none."""
        if not self.adversarial_num_steps:
            return None
        return AdversarialVariants(self.adversarial_num_steps, self.adversarial_step_size, self.adversarial_norm)

    def config(self, model: str, max_length: int, cache_dir: str | None) -> dict[str, Any]:
        """
        The augmenter's configuration.

        Args:
            model (`str`): The classifier's checkpoint.
            max_length (`int`): Longest variant, in tokens.
            cache_dir (`str`, *optional*): Where lexicons and candidates are kept.

        Raises:
            `ValueError`: if the arguments do not go together, or a file cannot be read.
        """
        with_model = self.augmenter in ("mlm", "embedding")
        options: dict[str, Any] = {"replace_prob": self.replace_prob, "segments": self.augment_segments}
        if self.augmenter in ("mlm", "wordnet"):
            options["cache_dir"] = cache_dir
        if self.augmenter == "mlm":
            options["masking"] = self.mlm_masking
        config = augmenter_config(self.augmenter, self.augmenter_model or (model if with_model else None), **options)
        config = limited(config, max_length)
        if self.greedy_search != "none":
            config = {"class": "GreedySearch", "candidates": config, "objective": self.greedy_search}
        return config
