"""What an earlier run of the command has left in an output folder, and how a run goes on from it."""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from transformers import PretrainedConfig, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import CONFIG_NAME

from augment.core.atomic_file import write_json

from ..distributed import gathered
from ..hub.redaction import without_token_options
from ..monitoring.history import history_of
from .arguments import CONTENT, differences_of
from .overwriting import checkpoints_in, remove_checkpoints
from .usage import UsageError


logger = logging.getLogger(__name__)

SEEDS_FILE = "seeds_results.json"
OPTIONS_FILE = "options.json"
CONTENTS_FILE = "contents.json"
TRAIN_RESULTS = "train_results.json"
# Arguments of what is done with a model once it is trained.
_AFTER_TRAINING = {
    *("do_eval", "do_predict", "glue_submission", "per_device_eval_batch_size", "metric_name"),
    *("validation_file", "test_file", "validation_split_name", "test_split_name"),
    *("max_eval_samples", "max_predict_samples"),
}
_LENGTH = {"num_train_epochs", "max_steps"}
_WITHIN_TRAINING = {"eval_strategy", "eval_steps", "eval_delay", "eval_on_start", "eval_accumulation_steps"}


class Earlier(NamedTuple):
    """
    Where a training goes on.

    Attributes:
        folder (`str`, *optional*): The checkpoint to resume from, or the folder of a training that is finished.
        metrics (`dict[str, float]`, *optional*): Those of the finished training, whose model is not trained again.
    """

    folder: str | None = None
    metrics: dict[str, float] | None = None


class Differences(NamedTuple):
    """
    In what a run differs from an earlier one, in words, empty where in nothing.

    Attributes:
        of_model (`str`): In whatever the trained model depends on.
        of_training (`str`): In what one training cannot change on its way, which its length is not.
    """

    of_model: str
    of_training: str


def left_in(folder: Path) -> Earlier:
    """
    What a training has left in its folder: whether it is finished is for process 0 to say, and which checkpoint is the
    last for each, since they are compared before it is gone on from.
    """
    metrics = gathered(_read(folder / TRAIN_RESULTS))[0]
    if isinstance(metrics, dict):
        return Earlier(str(folder), metrics)
    return Earlier(last_checkpoint(folder))


def last_checkpoint(folder: Path) -> str | None:
    """The last checkpoint that is whole. `Trainer` writes one file by file, so that a run can be ended in between."""
    for path in reversed(checkpoints_in(folder)):
        if is_whole(path):
            return str(path)
        logger.warning("%s is not whole, as where a run is ended over it, and is not gone on from.", path)
    return None


def is_whole(checkpoint: Path) -> bool:
    """
    Whether a checkpoint has its state, which is written last, and no file that was cut off. Damage in the midst of
    weights does not show.
    """
    try:
        load_state(checkpoint)
        if not all(isinstance(_read(file), dict) for file in checkpoint.glob("*.json")):
            return False
        if (checkpoint / CONFIG_NAME).is_file():
            PretrainedConfig.from_json_file(checkpoint / CONFIG_NAME)
        for file in checkpoint.glob("*.safetensors"):
            with safe_open(file, "pt"):
                pass
    except Exception:  # damaged files raise all kinds
        return False
    # The other processes of a launch write their random states at the same time.
    return all(zipfile.is_zipfile(file) for file in checkpoint.glob("*.pt*"))


def find_earlier(
    args: TrainingArguments, overwrite: bool, arguments: dict[str, Any], read: Callable[[list[str]], dict[str, Any]]
) -> Earlier:
    """
    Where a run goes on: behind a training that has been finished with the same arguments, or from the last checkpoint
    of one that was begun with the same; it may become longer, and be evaluated at other steps. A finished model is not
    overwritten unasked; one over which the same run was ended is made again.

    Args:
        args ([`~transformers.TrainingArguments`]): Those of the run.
        overwrite (`bool`): Whether to begin anew.
        arguments (`dict`):
            All arguments of the run, see [`~arguments.arguments_of`], and what its files hold, see
            [`~arguments.contents_of`].
        read (`Callable`): The arguments alone from the options of a command.

    Raises:
        `UsageError`: if there is another training, or no checkpoint where one is named.
    """
    folder, checkpoint = Path(args.output_dir), args.resume_from_checkpoint
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"output_dir is {str(folder)!r}, which is a file; expected a folder.")
    if args.do_train and checkpoint is not None and not is_whole(Path(checkpoint)):
        raise UsageError(f"resume_from_checkpoint is {checkpoint!r}; expected the folder of a whole checkpoint.")
    if not args.do_train or overwrite:
        return Earlier(checkpoint)
    if (folder / SEEDS_FILE).exists():
        raise UsageError(f"{folder} holds the results of --seeds; choose another --output_dir, or pass --seeds.")
    if checkpoint is not None:
        return Earlier(checkpoint)
    earlier = left_in(folder)
    found = _differences(folder, arguments, read) if args.process_index == 0 else None
    differences = gathered(found)[0]  # by all, whatever each of them has found
    is_same = differences is not None and not differences.of_model
    may_go_on = differences is None or not differences.of_training
    if earlier.metrics is not None:
        if is_same:
            logger.warning("The training in %s is finished; going on with what comes after it.", folder)
            return earlier
        asks_for_more = gathered(args.process_index == 0 and _asks_for_more(args, folder))[0]
        earlier = Earlier(last_checkpoint(folder) if asks_for_more and may_go_on else None)
    if earlier.folder is not None:
        if not may_go_on:
            raise UsageError(
                f"{folder} holds a training that was begun with other arguments ({differences.of_training}); choose "
                "another --output_dir, or pass --overwrite_output_dir to train anew. To go on from it all the same "
                f"pass --resume_from_checkpoint {earlier.folder}."
            )
        logger.warning("Resuming from %s; to start anew pass --overwrite_output_dir.", earlier.folder)
        return earlier
    if (folder / "config.json").exists() and is_same:
        logger.warning("The training in %s was ended before its model was whole; training again.", folder)
    elif (folder / "config.json").exists():
        other = f", trained with other arguments ({differences.of_model})" if differences else ""
        raise UsageError(
            f"{folder} holds a trained model already{other}; choose another --output_dir, or pass "
            "--overwrite_output_dir to train again and replace it. To evaluate it or to predict with it pass "
            f"--model_name_or_path {folder}, and leave out --do_train."
        )
    return earlier


def is_options(value: Any) -> bool:
    """Whether a value is what [`begin`] writes."""
    return isinstance(value, list) and all(isinstance(option, str) for option in value)


def begin(folder: Path, options: Sequence[str], contents: Mapping[str, Any], overwrite: bool) -> None:
    """
    Writes the options, from which a run can be repeated, and what their files hold, and has an earlier training
    neither gone on from, if it is to be overwritten, nor taken for this one, when it has been finished.
    """
    if overwrite:
        forget(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TRAIN_RESULTS).unlink(missing_ok=True)
    write_json(folder / CONTENTS_FILE, dict(contents))
    write_json(folder / OPTIONS_FILE, without_token_options(options))


def forget(folder: Path) -> None:
    """Removes what an earlier training would be gone on from, as if it were a later one."""
    (folder / TRAIN_RESULTS).unlink(missing_ok=True)
    remove_checkpoints(folder)


def load_state(folder: Path) -> TrainerState:
    """
    What a training wrote down in its folder, or in a checkpoint.

    Raises:
        `UsageError`: if the file is missing or damaged.
    """
    try:
        state = TrainerState.load_from_json(str(folder / TRAINER_STATE_NAME))
        history_of(state)
        numbers = [state.global_step, state.max_steps, state.num_train_epochs]
        numbers += [log["step"] for log in state.log_history]
        if all(isinstance(number, Real) for number in numbers):
            return state
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        pass
    raise UsageError(
        f"{folder / TRAINER_STATE_NAME} is missing or damaged; to train anew pass --overwrite_output_dir."
    )


def _differences(
    folder: Path, arguments: dict[str, Any], read: Callable[[list[str]], dict[str, Any]]
) -> Differences | None:
    """In what a run differs from the one that was begun in a folder; `None` if its options are not there."""
    options, contents = _read(folder / OPTIONS_FILE), _read(folder / CONTENTS_FILE)
    if not is_options(options):
        return None
    try:
        before = read(options)
    except UsageError as error:  # as on a machine without what it asked for
        return Differences(*[f"whose own cannot be taken here: {error}"] * 2)
    before |= contents if isinstance(contents, dict) else {}
    # Where the best of several models is kept, it depends on all arguments.
    keeps_best = any(values.get("load_best_model_at_end") for values in (before, arguments))
    of_no_account = set() if keeps_best else _AFTER_TRAINING
    may_change = _LENGTH if keeps_best else _LENGTH | _AFTER_TRAINING | _WITHIN_TRAINING
    return Differences(*(_differences_but_of(names, before, arguments) for names in (of_no_account, may_change)))


def _differences_but_of(names: set[str], *both: Mapping[str, Any]) -> str:
    kept = [
        {name: value for name, value in values.items() if name.removeprefix(CONTENT) not in names} for values in both
    ]
    return differences_of(*kept)


def _asks_for_more(args: TrainingArguments, folder: Path) -> bool:
    """Whether a run asks for more steps than the finished training has made."""
    state = load_state(folder)
    if args.max_steps > 0:
        return args.max_steps > state.global_step
    return args.num_train_epochs > state.num_train_epochs


def _read(file: Path) -> dict | list | None:
    """What a JSON file holds; `None` where there is none, or the run that wrote it was ended over it."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
