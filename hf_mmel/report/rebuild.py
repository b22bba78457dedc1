"""The report of an output folder of the command: the trainer is built again from the files in it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoModelForSequenceClassification, HfArgumentParser
from transformers.trainer import TRAINER_STATE_NAME

from augment.registry import import_class, is_class_path

from ..cli import run as cli
from ..cli.arguments import AugmenterArguments
from ..cli.errors import UsageError, usage_errors
from ..cli.hub import name_of_data
from ..cli.resuming import OPTIONS_FILE, is_options, load_state, resume_point_in
from ..hub.model_card import scores_of
from ..hub.redaction import command_line, without_tokens
from ..trainer import MMELTrainer
from ..training_args import MMELTrainingArguments
from .page import check_numbers, write_page, write_report
from .summary import summarize_run


logger = logging.getLogger(__name__)

# Nothing is trained or pushed, and a masked LM does not have to see all examples.
_OVERRIDES = (
    *("--push_to_hub", "false", "--glue_submission", "false", "--do_predict", "false"),
    *("--report_to", "none", "--resume_from_checkpoint", ""),
)
_ERRORS = (ValueError, TypeError, OSError, LookupError, ImportError, RuntimeError)


def report_of_folder(
    folder: Path,
    max_examples: int,
    min_confidence: float,
    max_shown: int,
    trust_remote_code: bool = False,
    augmenter_class: str | None = None,
) -> Path:
    """
    Writes the report of an output folder; if the training run was interrupted, of its last checkpoint. If the data or
    the augmenter cannot be loaded any more, the page shows what the files of the folder hold. A `UsageError` says if
    nothing was trained there, a file is damaged, or a number is out of range.

    `trust_remote_code` runs the code that comes with the model, and `augmenter_class`, the `MODULE:CLASS` of the run's
    augmenter, imports its module. The options in the folder, which anyone may have written, cannot ask for either.
    """
    with usage_errors(ValueError):
        check_numbers(max_examples, min_confidence, max_shown)
        if augmenter_class is not None:
            if not is_class_path(augmenter_class):
                raise ValueError(f"augmenter is {augmenter_class!r}; expected the MODULE:CLASS of your own class.")
            import_class(augmenter_class)
    if not (folder / TRAINER_STATE_NAME).is_file() and not (folder / OPTIONS_FILE).is_file():
        raise UsageError(
            f"{folder} has neither {TRAINER_STATE_NAME} nor {OPTIONS_FILE}; expected the output_dir of a run of "
            "run_glue_mmel with --do_train. The runs of --seeds are in the folders seed-N."
        )
    options = _read(folder / OPTIONS_FILE, is_options) or []
    command = command_line("python run_glue_mmel.py", options) if options else None
    trained_folder = resume_point_in(folder).folder
    if options and trained_folder is None:
        raise UsageError(f"The training run in {folder} has not finished and has left no checkpoint to report.")
    trained, missing = Path(trained_folder or folder), []
    if trained != folder:
        missing.append(f"The training run was interrupted: the page shows it up to {trained.name}.")
    try:
        trainer, dataset = _build_trainer(folder, trained, options, trust_remote_code)
    except _ERRORS as error:
        missing.append(f"Predictions and variants are left out: {' '.join(str(error).split())}")
        logger.warning(without_tokens(missing[-1]))
        return _page_without_model(folder, trained, options, command, missing)
    limits: dict[str, Any] = {"min_confidence": min_confidence, "max_shown": max_shown, "max_examples": max_examples}
    return write_report(trainer, folder, dataset=dataset, command=command, missing=missing, **limits)


def _build_trainer(
    folder: Path, trained: Path, options: Sequence[str], trust_remote_code: bool
) -> tuple[MMELTrainer, str | None]:
    """The trainer as it was when it wrote the folder `trained`, and the name of the dataset."""
    if not options:
        raise ValueError(f"There is no {OPTIONS_FILE}, in which the command keeps its options.")
    parsed = cli.parse_arguments([*options, "--dry_run", *_OVERRIDES, "--output_dir", str(folder)])
    model_args, data_args, augmenter_args, _, _ = parsed
    # Tokenizer and labels are those of the trained model.
    model_args = replace(model_args, model_name_or_path=str(trained), config_name=None, tokenizer_name=None)
    model_args.trust_remote_code = trust_remote_code
    data_args = replace(data_args, metric_name=None)  # which may bring code, and no score is computed
    if (folder / "augmenter.json").is_file():
        adversarial = {name: value for name, value in vars(augmenter_args).items() if name.startswith("adversarial_")}
        augmenter_args = AugmenterArguments(augmenter=str(folder / "augmenter.json"), **adversarial)
    elif is_class_path(augmenter_args.augmenter or ""):
        raise ValueError(f"There is no augmenter.json, in which the arguments of {augmenter_args.augmenter} are kept.")
    args = parsed._replace(model=model_args, data=data_args, augmenter=augmenter_args)
    prepared = cli.prepare(args)
    model = AutoModelForSequenceClassification.from_pretrained(trained, **model_args.hub_options)
    trainer = cli.build_trainer(args, prepared, model)
    if (trained / TRAINER_STATE_NAME).is_file():
        trainer.state = load_state(trained)
    return trainer, name_of_data(data_args)


def _page_without_model(
    folder: Path, trained: Path, options: Sequence[str], command: str | None, missing: list[str]
) -> Path:
    # The arguments alone, without loading model and data.
    groups: Any = (MMELTrainingArguments, AugmenterArguments)  # which HfArgumentParser types as a NewType
    parser = HfArgumentParser(groups, allow_abbrev=False)
    options = [*options, *_OVERRIDES, "--output_dir", str(folder), "--use_cpu", "--tf32", "false"]
    args, adversary = None, None
    with suppress(*_ERRORS):
        args, augmenter_args, *_ = parser.parse_args_into_dataclasses(options, True, look_for_args_file=False)
        adversary = augmenter_args.adversary()
    run = summarize_run(
        folder,
        args,
        load_state(trained) if (trained / TRAINER_STATE_NAME).is_file() else None,
        _read(folder / "augmenter.json"),
        adversary=None if adversary is None else adversary.to_dict(),
        scores=scores_of(_read(trained / "eval_results.json") or {}),
        command=command,
    )
    return write_page(folder, run, missing=missing)


def _read(file: Path, is_valid: Callable[[Any], bool] = lambda value: isinstance(value, dict)) -> Any:
    """The content of a JSON file, `None` if there is none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
        if value is None or is_valid(value):
            return value
        reason = f"it holds {value!r:.60}"
    except (ValueError, RecursionError) as error:
        reason = str(error)
    raise UsageError(f"{file} is damaged: {reason}. Delete it to have a report of the other files.")
