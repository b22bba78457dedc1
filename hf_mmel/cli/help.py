"""The help of the training command: a page of the options that most runs need, and the groups of all of them.

This module imports neither torch nor transformers, whose import takes seconds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any, NamedTuple

from ..argument_groups import ObjectiveArguments, SoftLabelArguments, UnlabeledArguments
from .arguments import AugmenterArguments, ModelArguments, RunArguments
from .data_arguments import DataArguments


PROGRAM = "run_glue_mmel.py"
DESCRIPTION = "Fine-tune a sequence classifier with MMEL on a GLUE task, a dataset of the Hub, or your own files."
ALL = "--help all lists every option"
_EXAMPLES = (
    "--model_name_or_path bert-base-uncased --task_name rte",
    "--model_name_or_path bert-base-uncased --train_file train.csv --validation_file dev.csv",
)
_SECOND_LINE = "--do_train --do_eval --num_variants 4 --output_dir outputs"
_INDENT = 32  # columns of the names


class Group(NamedTuple):
    """Options that the help lists under one title."""

    title: str
    classes: tuple[Any, ...]  # the dataclasses whose fields they are
    shown: tuple[str, ...]  # the options in the short help; they belong to this group, whichever class has them


GROUPS = (
    Group(
        "Model and data",
        (ModelArguments, DataArguments),
        (
            *("model_name_or_path", "task_name", "dataset_name", "train_file", "validation_file", "test_file"),
            *("text_column_names", "label_column_name", "metric_name", "max_seq_length", "max_train_samples"),
        ),
    ),
    Group(
        "Augmentation",
        (AugmenterArguments,),
        (
            *("augmenter", "augmenter_model", "augmenter_lang", "variants_column", "replace_prob", "mlm_masking"),
            *("greedy_search", "adversarial_num_steps"),
        ),
    ),
    Group(
        "MMEL",
        (ObjectiveArguments,),
        (
            *("mmel_loss", "num_variants", "lambda_p", "effective_num_variants", "lambda_t", "reweight_original"),
            *("variant_backward", "variant_chunk_size", "min_label_probability"),
            *("class_weights", "weight_column", "feature_separation", "show_variants"),
        ),
    ),
    Group(
        "Unlabelled text and soft labels",
        (UnlabeledArguments, SoftLabelArguments),
        (
            *("unlabeled_file", "unlabeled_loss", "unlabeled_ratio", "lambda_u", "confidence_threshold"),
            *("soft_labels", "teacher_model_name_or_path"),
        ),
    ),
    Group(
        "Run",
        (RunArguments,),
        ("seeds", "dry_run", "overwrite_output_dir", "save_eval_predictions", "glue_submission"),
    ),
    Group("Training", (), ()),  # the options of transformers
)
# The fields of `TrainingArguments` in the short help, with their defaults: transformers' own texts are not at hand.
TRAINING = {
    "output_dir": (None, "Folder of the model, its checkpoints and its results"),
    "do_train": (False, "Train"),
    "do_eval": (False, "Evaluate on the validation data"),
    "do_predict": (False, "Predict the test data"),
    "num_train_epochs": (3.0, "Epochs of training"),
    "max_steps": (-1, "Updates of training, in place of epochs if positive"),
    "per_device_train_batch_size": (8, "Examples per batch and device, without their variants"),
    "gradient_accumulation_steps": (1, "Batches per update"),
    "learning_rate": (5e-05, "Largest learning rate"),
    "seed": (42, "Random seed"),
    "bf16": (False, "Compute in bfloat16"),
    "push_to_hub": (False, "Push the model to the Hub"),
}


def title_of(option: str) -> str:
    """The title of the group that an option belongs to."""
    for group in GROUPS:
        if option in group.shown:
            return group.title
    return next((group.title for group in GROUPS if option in _fields_of(*group.classes)), GROUPS[-1].title)


def asked_help(argv: Sequence[str]) -> str | None:
    """`"all"` if the help of all options is asked for, `"short"` for the short help, else `None`."""
    for option, value in pairwise([*argv, ""]):
        if option in ("-h", "--help", "--help=all"):
            return "all" if "all" in (value, option.partition("=")[2]) else "short"
    return None


def short_help(program: str) -> str:
    """The help of the options that most runs need, a line for each, of a program that is started by this name."""
    command = f"python {program}" if program.endswith(".py") else program
    lines = [f"usage: {program} [FILE] [options]", "", DESCRIPTION, "", "Examples:"]
    for example in _EXAMPLES:
        lines += [f"  {command} {example} \\", f"      {_SECOND_LINE}"]
    for title, _, shown in GROUPS:
        lines += ["", f"{title}:", *map(_line, shown or TRAINING)]
    return "\n".join([*lines, "", f"FILE is a .json or .yaml file of options. {ALL}.", ""])


def _line(option: str) -> str:
    """An option with the beginning of its help, its choices and its default."""
    if option in TRAINING:
        default, text = TRAINING[option]
        choices: Sequence[str] = ()
    else:
        field = _fields_of(*(cls for group in GROUPS for cls in group.classes))[option]
        default, choices = field.default, field.metadata.get("choices", ())
        text = re.split(r"[.:;](?:\s|$)", field.metadata["help"], maxsplit=1)[0]
    if choices:
        text += ": " + ", ".join(f"{choice} (default)" if choice == default else choice for choice in choices)
    elif default is MISSING:
        text += " (required)"
    elif default is not None and default is not False:
        text += f" (default: {default})"
    return f"  --{option}".ljust(_INDENT) + text


def _fields_of(*classes: Any) -> dict[str, Any]:
    return {field.name: field for cls in classes for field in fields(cls)}
