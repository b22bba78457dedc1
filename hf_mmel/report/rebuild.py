"""The report of a folder in which the command has trained: the trainer is made again from what is there."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification, HfArgumentParser
from transformers.trainer import TRAINER_STATE_NAME

from ..cli.arguments import AugmenterArguments
from ..cli.errors import UsageError, usage_errors
from ..cli.hub import name_of_data
from ..cli.resuming import OPTIONS_FILE, is_options, load_state, resume_point_in
from ..hub.model_card import scores_of
from ..hub.redaction import command_line, without_tokens
from ..trainer import MMELTrainer
from ..training_args import MMELTrainingArguments
from . import check_numbers, write_report
from .facts import collect_facts
from .page import write_page


logger = logging.getLogger(__name__)

# A report needs neither the device of the training, nor what a masked LM says of all examples, nor the Hub.
_OVERRIDES = ("--dry_run", "--push_to_hub", "false", "--glue_submission", "false", "--do_predict", "false")
_OVERRIDES += ("--report_to", "none", "--resume_from_checkpoint", "")
_CANNOT = (ValueError, TypeError, OSError, LookupError, ImportError, RuntimeError)


def report_of_folder(
    folder: Path, max_examples: int, min_confidence: float, max_shown: int, trust_remote_code: bool = False
) -> Path:
    """
    Writes the report of a folder; where the training was interrupted, of its last checkpoint. Where the data or the
    augmenter are not to be found any more, it tells what the files of the folder tell.

    Args:
        folder (`Path`): The `output_dir` of a run of the command.
        max_examples, min_confidence, max_shown: As in [`write_report`].
        trust_remote_code (`bool`, *optional*, defaults to `False`): Runs the code that comes with the model, which the
            options of the folder cannot ask for, since it may be anyone's.

    Returns:
        `Path`: the page.

    Raises:
        `UsageError`: if nothing was trained there, a file is damaged, or a number is out of range.
    """
    with usage_errors(ValueError):
        check_numbers(max_examples, min_confidence, max_shown)
    if not (folder / TRAINER_STATE_NAME).is_file() and not (folder / OPTIONS_FILE).is_file():
        raise UsageError(
            f"{folder} has neither {TRAINER_STATE_NAME} nor {OPTIONS_FILE}; expected the output_dir of a run of "
            "run_glue_mmel with --do_train. The runs of --seeds are in the folders seed-N."
        )
    options = _read(folder / OPTIONS_FILE, is_options) or []
    command = command_line("python run_glue_mmel.py", options) if options else None
    earlier = resume_point_in(folder)
    if options and earlier.folder is None:
        raise UsageError(f"The training in {folder} has not come to its end, and has left no checkpoint to tell of.")
    trained, missing = Path(earlier.folder or folder), []
    if trained != folder:
        missing.append(f"The training has not come to its end: what it did after {trained.name} is left out.")
    try:
        trainer, dataset = _trainer_of(folder, trained, options, trust_remote_code)
    except _CANNOT as error:
        missing.append(f"Predictions and variants are left out: {' '.join(str(error).split())}")
        logger.warning(without_tokens(missing[-1]))
        return _page_of_files(folder, trained, options, command, missing)
    return write_report(
        trainer,
        folder,
        max_examples=max_examples,
        min_confidence=min_confidence,
        max_shown=max_shown,
        dataset=dataset,
        command=command,
        missing=missing,
    )


def _trainer_of(
    folder: Path, trained: Path, options: Sequence[str], trust_remote_code: bool
) -> tuple[MMELTrainer, str | None]:
    """The trainer as it was when it wrote the folder `trained`, and the name of the data."""
    from hf_mmel.cli import run as cli

    if not options:
        raise ValueError(f"There is no {OPTIONS_FILE}, in which the command keeps its options.")
    args = cli.parse_arguments([*options, *_OVERRIDES, "--output_dir", str(folder)])
    model_args, data_args, augmenter_args, _, _ = args
    # Tokenizer and labels are those of the model, the augmenter is the one that was saved. Nothing is evaluated anew,
    # so that the code of a metric is not needed.
    of_model = {"model_name_or_path": str(trained), "config_name": None, "tokenizer_name": None}
    model_args = replace(model_args, **of_model, trust_remote_code=trust_remote_code)
    data_args = replace(data_args, metric_name=None)
    if (folder / "augmenter.json").is_file():
        of_file = AugmenterArguments(augmenter=str(folder / "augmenter.json"))
        adversarial = {name: value for name, value in vars(augmenter_args).items() if name.startswith("adversarial_")}
        augmenter_args = replace(of_file, **adversarial)
    args = args._replace(model=model_args, data=data_args, augmenter=augmenter_args)
    prepared = cli.prepare(args)
    trainer = cli.build_trainer(
        args, prepared, AutoModelForSequenceClassification.from_pretrained(trained, **model_args.hub_options)
    )
    if (trained / TRAINER_STATE_NAME).is_file():
        trainer.state = load_state(trained)
    return trainer, name_of_data(data_args)


def _page_of_files(
    folder: Path, trained: Path, options: Sequence[str], command: str | None, missing: list[str]
) -> Path:
    """A page without predictions."""
    args, augmenter_args = _arguments(folder, options)
    adversary = None if augmenter_args is None else augmenter_args.adversary()
    facts = collect_facts(
        folder,
        args,
        load_state(trained) if (trained / TRAINER_STATE_NAME).is_file() else None,
        _read(folder / "augmenter.json"),
        adversary=None if adversary is None else adversary.to_dict(),
        scores=scores_of(_read(trained / "eval_results.json") or {}),
        command=command,
    )
    return write_page(folder, facts, missing=missing)


def _arguments(
    folder: Path, options: Sequence[str]
) -> tuple[MMELTrainingArguments, AugmenterArguments] | tuple[None, None]:
    """Those of the training and of its variants alone, without a look at model and data."""
    parser = HfArgumentParser((MMELTrainingArguments, AugmenterArguments), allow_abbrev=False)
    options = [*options, *_OVERRIDES[1:], "--output_dir", str(folder), "--use_cpu", "--tf32", "false"]
    try:
        *args, _ = parser.parse_args_into_dataclasses(options, return_remaining_strings=True, look_for_args_file=False)
    except _CANNOT:
        return None, None
    return tuple(args)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _read(file: Path, is_right: Callable[[Any], bool] = _is_object) -> Any:
    """What a JSON file holds, `None` where there is none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        if value is None or is_right(value):
            return value
        reason = f"it holds {value!r:.60}"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UsageError(f"{file} is damaged: {reason}. Delete it to have a report of what else is there.")
