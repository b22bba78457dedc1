"""What an earlier run left in an output folder: where training resumes, and what is removed to start over."""

import logging
import re
import shutil
import zipfile
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from transformers import PretrainedConfig, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from transformers.utils import CONFIG_NAME

from augment.core.atomic_file import write_json
from augment.registry import models_in

from ..distributed import gathered
from ..hub.redaction import without_token_options
from ..monitoring.history import history_of
from .arguments import Arguments
from .errors import UsageError
from .fingerprint import arguments_of, content_of_augmenter, contents_of, differences_of
from .parser import parse_arguments
from .saving import read_json


logger = logging.getLogger(__name__)

SEEDS_FILE = "seeds_results.json"
OPTIONS_FILE = "options.json"
CONTENTS_FILE = "contents.json"
TRAIN_RESULTS = "train_results.json"
# Arguments that a trained model does not depend on.
_AFTER_TRAINING = {
    *("do_eval", "do_predict", "glue_submission", "per_device_eval_batch_size", "metric_name"),
    *("validation_file", "test_file", "validation_split_name", "test_split_name"),
    *("max_eval_samples", "max_predict_samples"),
}
# Arguments that may change when training resumes.
_LENGTH = {"num_train_epochs", "max_steps"}
_EVALUATION = {"eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "eval_accumulation_steps"}
_OPTIMIZERS = ("optimizer*", "global_step*")  # the files of `Trainer` and FSDP, and the folder of DeepSpeed
# Arguments that may be paths of what a run reads.
_SOURCES = (
    *("model_name_or_path", "config_name", "tokenizer_name", "dataset_name", "train_file", "validation_file"),
    *("test_file", "unlabeled_file", "augmenter_model", "augmenter", "teacher_model_name_or_path"),
)


class ResumePoint(NamedTuple):
    """Where a training run resumes."""

    folder: str | None = None  # the checkpoint to resume from, or the folder of a finished training run
    metrics: dict[str, float] | None = None  # of the finished training run, whose model is not trained again


def resume_point_in(folder: Path) -> ResumePoint:
    """
    Where training resumes in a folder. Process 0 decides whether it is finished; each process finds its own last
    checkpoint, and these are compared before training resumes.
    """
    metrics = gathered(read_json(folder / TRAIN_RESULTS))[0]
    return ResumePoint(last_checkpoint(folder)) if metrics is None else ResumePoint(str(folder), metrics)


def last_checkpoint(folder: Path) -> str | None:
    """The last complete checkpoint. `Trainer` writes one file by file, so the last one may be incomplete."""
    for path in reversed(checkpoints_in(folder)):
        if is_complete(path):
            return str(path)
        logger.warning("%s is incomplete, perhaps because a run was stopped while writing it; skipping it.", path)
    return None


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint has its state, which is written last, and no truncated file."""
    try:
        load_state(checkpoint)
        if None in map(read_json, checkpoint.glob("*.json")):
            return False
        if (checkpoint / CONFIG_NAME).is_file():
            PretrainedConfig.from_json_file(checkpoint / CONFIG_NAME)
        for file in checkpoint.glob("*.safetensors"):
            with safe_open(file, "pt"):
                pass
    except Exception:  # damaged files raise all kinds of errors
        return False
    # The other processes of a launch write their random states at the same time.
    return all(zipfile.is_zipfile(file) for file in checkpoint.glob("*.pt*"))


def check_optimizer(point: ResumePoint, advice: str) -> None:
    """
    Raises a `UsageError` that ends in `advice` if a checkpoint holds the model alone: training would resume with
    another optimizer state and another learning rate than those of the run that was interrupted.
    """
    if point.folder is not None and point.metrics is None and not _has_optimizer(point.folder):
        raise UsageError(f"{_without_optimizer(point.folder)}, so no run can resume there; {advice}")


def _has_optimizer(checkpoint: str) -> bool:
    return any(True for pattern in _OPTIMIZERS for _ in Path(checkpoint).glob(pattern))


def _without_optimizer(checkpoint: str) -> str:
    return f"{checkpoint} holds a model without its optimizer, as --save_only_model writes it"


def load_state(folder: Path) -> TrainerState:
    """The trainer state in a folder. Raises a `UsageError` if it is missing or damaged."""
    try:
        state = TrainerState.load_from_json(str(folder / TRAINER_STATE_NAME))
        history_of(state)
        numbers = [state.global_step, state.max_steps, state.num_train_epochs]
        if all(isinstance(number, Real) for number in [*numbers, *(log["step"] for log in state.log_history)]):
            return state
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        pass
    raise UsageError(
        f"{folder / TRAINER_STATE_NAME} is missing or damaged; to train from the start pass --overwrite_output_dir."
    )


def find_resume_point(args: Arguments) -> ResumePoint:
    """
    Where a run resumes: after a finished training run with the same arguments, or from the last checkpoint of an
    unfinished one. The number of steps and the evaluation may change. A model is only trained again unasked if the
    earlier run with the same arguments stopped while it wrote the model.
    """
    training, overwrite = args.training, args.model.overwrite_output_dir
    folder, checkpoint = Path(training.output_dir), training.resume_from_checkpoint
    if overwrite and training.do_train and checkpoint is None:
        check_overwriting(args)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output_dir is {str(folder)!r}, which is a file; expected a folder.")
    if training.do_train and checkpoint is not None and not is_complete(Path(checkpoint)):
        raise UsageError(f"resume_from_checkpoint is {checkpoint!r}; expected the folder of a complete checkpoint.")
    if training.do_train and checkpoint is not None and not _has_optimizer(checkpoint):
        logger.warning("%s; the optimizer and the learning rate start over.", _without_optimizer(checkpoint))
    if not training.do_train or overwrite:
        return ResumePoint(checkpoint)
    if (folder / SEEDS_FILE).exists():
        raise UsageError(f"{folder} holds the results of --seeds; choose another --output_dir, or pass --seeds.")
    if checkpoint is not None:
        return ResumePoint(checkpoint)
    found = resume_point_in(folder)
    # Process 0 decides for all, which may see different files.
    differences = gathered(_differences(folder, args) if training.process_index == 0 else None)[0]
    of_model, of_training = differences or (None, "")
    if found.metrics is not None:
        if of_model == "":
            logger.warning("The training run in %s is finished; continuing with evaluation and prediction.", folder)
            return found
        asks_for_more = gathered(training.process_index == 0 and _asks_for_more(args, folder))[0]
        found = ResumePoint(last_checkpoint(folder) if asks_for_more and not of_training else None)
    if found.folder is not None:
        if of_training:
            raise UsageError(
                f"{folder} holds a training run with other arguments ({of_training}); choose another --output_dir, or "
                "pass --overwrite_output_dir to train from the start. To resume it all the same pass "
                f"--resume_from_checkpoint {found.folder}."
            )
        check_optimizer(
            found,
            "to train from the start pass --overwrite_output_dir. To continue from its weights, with an optimizer and "
            f"a learning rate that start over, pass --resume_from_checkpoint {found.folder}.",
        )
        logger.warning("Resuming from %s; to train from the start pass --overwrite_output_dir.", found.folder)
    elif (folder / "config.json").exists():
        if of_model != "":
            other = f", trained with other arguments ({of_model})" if of_model else ""
            raise UsageError(
                f"{folder} already holds a trained model{other}; choose another --output_dir, or pass "
                "--overwrite_output_dir to train again and replace it. To evaluate it or to predict with it pass "
                f"--model_name_or_path {folder}, and leave out --do_train."
            )
        logger.warning("The training run in %s stopped before its model was complete; training again.", folder)
    return found


def _differences(folder: Path, args: Arguments) -> tuple[str, str] | None:
    """
    The arguments that differ from those of the run that began in a folder, in words: those that its model depends on,
    and those that must not change when training resumes. `None` if the folder has no options.
    """
    options = read_json(folder / OPTIONS_FILE, list)
    if not is_options(options):
        return None
    try:
        earlier = parse_arguments(options)
    except UsageError as error:  # as on a machine that lacks the device it asked for
        reason = f"whose options cannot be parsed here: {error}"
        return reason, reason
    before = {"seed": earlier.training.seed, **arguments_of(earlier), **(read_json(folder / CONTENTS_FILE) or {})}
    after = {"seed": args.training.seed, **arguments_of(args), **contents_of(args)}
    # The best of several models depends on all arguments.
    keeps_best = any(values.get("load_best_model_at_end") for values in (before, after))
    ignored = set() if keeps_best else _AFTER_TRAINING
    may_change = _LENGTH if keeps_best else _LENGTH | _AFTER_TRAINING | _EVALUATION
    return differences_of(before, after, ignored), differences_of(before, after, may_change)


def _asks_for_more(args: Arguments, folder: Path) -> bool:
    """Whether a run asks for more steps than the finished training run in a folder took."""
    state, training = load_state(folder), args.training
    if training.max_steps > 0:
        return training.max_steps > state.global_step
    return training.num_train_epochs > state.num_train_epochs


def is_options(value: Any) -> bool:
    """Whether a JSON value is a list of options, as `record_run` writes them."""
    return isinstance(value, list) and all(isinstance(option, str) for option in value)


def record_run(args: Arguments, options: Sequence[str], overwrite: bool) -> None:
    """Writes the options, which repeat a run, and the contents of its files, and removes earlier results."""
    folder = Path(args.training.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRAIN_RESULTS).unlink(missing_ok=True)
    if overwrite:
        remove_checkpoints(folder)
    write_json(folder / CONTENTS_FILE, contents_of(args))
    write_json(folder / OPTIONS_FILE, without_token_options(options))


def remove_checkpoints(folder: Path) -> None:
    """Removes the checkpoints in a folder. Of a checkpoint that is a link the link is removed."""
    for path in checkpoints_in(folder):
        path.unlink() if path.is_symlink() else shutil.rmtree(path)


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder in the order of their steps, without folders of similar names."""
    return numbered_in(folder, PREFIX_CHECKPOINT_DIR)


def numbered_in(folder: Path, prefix: str) -> list[Path]:
    """The folders PREFIX-N in a folder, and links of such names, in the order of N."""
    paths = [path for path in folder.glob(f"{prefix}-*") if re.fullmatch(rf"{prefix}-\d+", path.name)]
    paths = [path for path in paths if path.is_dir() or path.is_symlink()]
    return sorted(paths, key=lambda path: int(path.name.removeprefix(f"{prefix}-")))


def check_overwriting(args: Arguments) -> None:
    """Raises a `UsageError` if a source of the run, such as its model, is in a folder that it would remove."""
    output_dir = Path(args.training.output_dir)
    removed = checkpoints_in(output_dir)
    if args.run.seeds is not None:
        removed = []
        for folder in numbered_in(output_dir, "seed"):
            removed += [folder] if folder.is_symlink() else checkpoints_in(folder)
    values = vars(args.model) | vars(args.data) | vars(args.augmenter)
    sources = [(name, values[name]) for name in _SOURCES if values[name] is not None]
    sources += [("augmenter", model) for model in models_in(content_of_augmenter(args.augmenter.augmenter))]
    for name, value in sources:
        if any(_is_within(Path(value), path) for path in removed):
            raise UsageError(
                f"{name} is {value!r}, which --overwrite_output_dir would remove; choose another --output_dir, or "
                "move it to another place first."
            )


def _is_within(path: Path, removed: Path) -> bool:
    """Whether a path is in a folder, or leads through a link, that is removed."""
    if not path.exists():  # a name on the Hub
        return False
    entry = removed.parent.resolve() / removed.name
    target, path = path.resolve(), path.absolute()
    # Either the folder holds the target of the path, or the path leads through the folder or the link.
    through = [part.parent.resolve() / part.name for part in (path, *path.parents)]
    return entry in (target, *target.parents, *through)
