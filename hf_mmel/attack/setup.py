"""What is attacked, and with what: model, examples and augmenter, from the options and the folder of a run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from augment.base import Augmenter
from augment.core.devices import default_device
from augment.core.lexicon import tokenizer_fingerprint
from augment.core.running import shown
from augment.registry import limited
from augment.substitution import Substitution

from ..cli.arguments import AugmenterArguments, ModelArguments
from ..cli.data import find_text_columns, input_texts, load_splits
from ..cli.data_arguments import TASKS, DataArguments
from ..cli.errors import UsageError, usage_errors
from ..cli.fingerprint import digest_of
from ..cli.labels import encode_labels, find_labels
from ..cli.model import load_config, load_model, load_tokenizer, longest_input, name_classes
from ..cli.parser import OptionParser, read_options, value_of, without_options
from ..cli.resuming import OPTIONS_FILE, is_options, resume_point_in
from ..cli.saving import read_json
from .attacks import ATTACKS, candidates_of
from .results import FOLDER
from .texts import Classifier, Texts


ERRORS = (ValueError, LookupError, TypeError, OSError, ImportError)  # of data and augmenters
# Options that say which data a run has read. Others of a run, such as the columns, hold for new data, too.
_SOURCES = ("task_name", "dataset_name", "train_file", "validation_file", "test_file")
_PARTS = ("dataset_config_name", "train_split_name", "validation_split_name", "test_split_name", "remove_splits")
OF_AUGMENTER = (
    *("augmenter", "augmenter_model", "augmenter_lang", "mlm_masking", "replace_prob", "augment_segments"),
    *("variants_column", "greedy_search"),
)


@dataclass
class Setup:
    """A classifier, N examples of a class each, and the attacks on them."""

    classifier: Classifier
    data: str  # its name, for people
    texts: list[Texts]
    labels: list[int]
    names: list[str]  # of the classes
    augmenter: Augmenter
    source: Substitution | None  # the candidates of the greedy attack
    attacks: list[str]
    config: dict[str, Any]  # of the augmenter
    folder: Path  # to write to
    weights: dict[str, str]  # digests of the model's files by their name, or where the Hub has the model

    @property
    def settings(self) -> dict[str, Any]:
        """What the results depend on, besides the examples and the arguments of the attack."""
        tokenizer = tokenizer_fingerprint(self.classifier.tokenizer)
        lengths = {"max_seq_length": self.classifier.max_length}
        return {"augmenter": self.config, "weights": self.weights, "tokenizer": tokenizer, **lengths}


def read_setup(args: argparse.Namespace) -> Setup:
    """Reads the options and the folder of a run, and loads the data and the model. Errors are a `UsageError`."""
    attacks = _attacks(args)
    model_args, data_args, augmenter_args, output_dir, base = _read_arguments(args)
    with usage_errors(*ERRORS):
        split = data_args.task.validation_splits[0]
        splits = load_splits(data_args, [split], model_args.cache_dir, model_args.token)
        columns = find_text_columns(splits, data_args)
        config = load_config(model_args)
        augmenter_args.choose(config)
        if not any("SequenceClassification" in name for name in config.architectures or []):
            raise ValueError(f"{args.model} has no trained head for sequence classification; expected a classifier.")
        labels = find_labels(splits, data_args, config)
        if labels.problem_type != "single_label_classification" or labels.names is None:
            kind = labels.problem_type.removesuffix("_classification").replace("_", "-")
            raise ValueError(f"The labels are those of {kind}; an attack needs one class for each example.")
        if config.num_labels != labels.num_outputs:
            raise ValueError(
                f"{args.model} predicts {config.num_labels} classes, and {data_args.where(split)} has "
                f"{labels.num_outputs}: {shown(labels.names)}; expected the classes of the model."
            )
        name_classes(config, labels, model_args)
        dataset, where = splits[split], data_args.where(split)
        dataset = dataset.select(range(min(len(dataset), data_args.num_read(split) or len(dataset))))
        ids = encode_labels(dataset, data_args.label_column_name, labels, where)
        texts = list(zip(*input_texts(dataset[:], columns, data_args.delimiter(columns)), strict=True))
        tokenizer = load_tokenizer(model_args, config, augmenter_args)
        max_length = longest_input(tokenizer, config, model_args, data_args.max_seq_length)
        options = augmenter_args.config(base or model_args.model_name_or_path, max_length, model_args.cache_dir)
        options = _attackable(options)
        if args.max_replaced is not None:
            options = limited(options, args.max_replaced, "max_replaced")
        augmenter = Augmenter.from_dict(options, tokenizer)
        source = candidates_of(augmenter)
        if source is None and args.attacks is not None and "greedy" in attacks:
            raise ValueError(
                f"The greedy attack searches among the candidates of words, and {options['class']} has none; pass "
                "--attacks random, or an --augmenter such as wordnet, mlm or typos."
            )
    attacks = [name for name in attacks if name != "greedy" or source is not None]
    model: Any = load_model(model_args, config, default_dtype="auto")
    model = model.to("cpu" if args.use_cpu else default_device())
    classifier = Classifier(model, tokenizer, max_length, args.per_device_eval_batch_size)
    # Of probabilities of the classes, the likeliest one.
    classes = [max(range(len(label)), key=label.__getitem__) if isinstance(label, list) else label for label in ids]
    weights = {file.name: digest_of(file) for file in weights_in(Path(model_args.model_name_or_path))}
    return Setup(
        *(classifier, where, texts, classes, labels.names, augmenter, source, attacks),
        augmenter.to_dict(),
        output_dir,
        weights or {"model": args.model, "revision": model_args.model_revision},
    )


def weights_in(folder: Path) -> list[Path]:
    """The files of a model's weights."""
    return sorted(file for pattern in ("*.safetensors", "pytorch_model*.bin") for file in folder.glob(pattern))


def _attacks(args: argparse.Namespace) -> list[str]:
    """The names of the attacks, after a check of the numbers."""
    for name, least in (("budget", 0), ("max_replaced", 1), ("per_device_eval_batch_size", 1), ("num_shown", 0)):
        if (value := getattr(args, name)) is not None and value < least:
            raise UsageError(f"{name} is {value}; expected a whole number >= {least}.")
    names = [name.strip() for name in (args.attacks or ",".join(ATTACKS)).split(",")]
    if not set(names) <= set(ATTACKS) or len(set(names)) < len(names):
        raise UsageError(f"attacks is {args.attacks!r}; expected {' or '.join(ATTACKS)}, or both with a comma.")
    return names


def _read_arguments(
    args: argparse.Namespace,
) -> tuple[ModelArguments, DataArguments, AugmenterArguments, Path, str | None]:
    """The arguments of model, data and augmenter, the folder of the results, and the model that a run fine-tuned."""
    if args.argv[1] != args.model:  # a value of an option of run_glue_mmel.py would be taken for it
        raise UsageError("MODEL comes first: python -m hf_mmel attack MODEL, and then the options.")
    given, folder = read_options(args.options), Path(args.model)
    if value_of(given, "model_name_or_path") is not None:
        raise UsageError("--model_name_or_path is given; name the model by the first argument alone.")
    parser = OptionParser([ModelArguments, DataArguments, AugmenterArguments], allow_abbrev=False)  # type: ignore
    if unknown := parser.parse_known_args([*given, "--model_name_or_path", "model"])[1]:
        name = unknown[0].partition("=")[0]
        raise UsageError(f"attack has no option {name}; python -m hf_mmel attack --help lists all of them.")
    recorded = read_json(folder / OPTIONS_FILE, list)
    if recorded is not None and not is_options(recorded):
        raise UsageError(f"{folder / OPTIONS_FILE} holds {recorded!r:.60}; expected the options of a training run.")
    output_dir = args.output_dir or (None if recorded is None else folder / FOLDER)
    if output_dir is None:
        raise UsageError(
            f"{args.model} is no output_dir of a run of run_glue_mmel.py with --do_train; for another model name the "
            "folder of the results with --output_dir. The runs of --seeds are in the folders seed-N."
        )
    trained = args.model if recorded is None else resume_point_in(folder).folder
    if trained is None:
        raise UsageError(f"The training run in {folder} has not finished and has left no checkpoint to attack.")
    options = [*_recorded_data(recorded or [], given), *given, "--model_name_or_path", trained]
    with usage_errors(Exception):
        model_args, data_args, augmenter_args, *_ = parser.parse_args_into_dataclasses(
            options, return_remaining_strings=True, look_for_args_file=False
        )
    if recorded is not None:  # tokenizer and labels are those of the trained model
        model_args = replace(model_args, config_name=None, tokenizer_name=value_of(given, "tokenizer_name"))
    if value_of(given, "augmenter") is None and (file := folder / "augmenter.json").is_file():
        augmenter_args = replace(augmenter_args, augmenter=str(file))
    if augmenter_args.augmenter == "none":
        raise UsageError("augmenter is 'none', which makes no variants to attack with; name another with --augmenter.")
    base = value_of(recorded or [], "model_name_or_path")
    return model_args, data_args, augmenter_args, Path(output_dir), base


def _recorded_data(recorded: list[str], given: Sequence[str]) -> list[str]:
    """The options of a run, without those of its model and augmenter, and of its data if other data is given."""
    recorded = without_options(recorded, ["model_name_or_path", "unlabeled_file", *OF_AUGMENTER])
    # Only who runs this command may ask for code that a model brings.
    recorded = [option for option in recorded if not option.startswith(("--trust_remote_code", "--trust-remote-code"))]
    if all(value_of(given, name) is None for name in _SOURCES):
        unused = ["train_file", "test_file"] if value_of(recorded, "validation_file") is not None else []
        return without_options(recorded, unused)
    columns: list[str] = []
    if value_of(given, "task_name") is None and (task := TASKS.get(str(value_of(recorded, "task_name")).lower())):
        columns = ["--text_column_names", ",".join(task.text_columns)]
    return [*columns, *without_options(recorded, [*_SOURCES, *_PARTS])]


def _attackable(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without the search of a training run. A `ValueError` refuses variants that the data brings."""
    if config["class"] == "GreedySearch":
        return config["candidates"]
    if config["class"] == "VariantsFromColumn":
        raise ValueError(
            "The variants of the training run are a column of its training data, which other data lacks; name an "
            "augmenter with --augmenter."
        )
    return config
