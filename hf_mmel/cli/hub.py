"""A run of the command that ends on the Hub: refused before any work, and the model on disk where a push fails."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HTTPError
from transformers import TrainingArguments

from ..distributed import gathered
from ..hub.redaction import command_line, without_folders, without_tokens
from ..report import FOLDER, PAGE
from ..trainer import MMELTrainer
from .args import DataArguments
from .usage import reason_of


GLUE = "nyu-mll/glue"


class HubError(RuntimeError):
    """What the Hub refused. It has no cause, since that of an HTTP error may hold what was sent."""


def check_tokens(**tokens: str | None) -> None:
    """
    Refuses what cannot be a token: what is sent with it fails with a message that shows it.

    Args:
        **tokens (`str`, *optional*): Tokens by the names of their options. That of the environment is looked at, too.

    Raises:
        `HubError`: if one has a character that no token has.
    """
    named = {f"--{name}": token for name, token in tokens.items()} | {"HF_TOKEN": get_token()}
    for name, token in named.items():
        if token and not re.fullmatch("[!-~]+", token):
            raise HubError(
                f"The token of {name} has a space, a line break or a letter that no token has; copy it anew."
            )


def open_repository(args: TrainingArguments) -> None:
    """
    Makes the repository, and the branch, that the model is to be pushed to, where they are not there yet. Process 0
    asks the Hub, and all processes learn what came of it.

    Raises:
        `HubError`: if the token is refused, or may not write there, or if there is a report, which would be pushed.
    """
    if not args.push_to_hub:
        return
    if (report := Path(args.output_dir) / PAGE).exists():
        raise HubError(
            f"{report} shows texts of the data, and would be pushed with the model; move it, and the folder "
            f"{FOLDER} beside it, to another place."
        )
    refusal = None
    if args.process_index == 0:
        try:
            _make_repository(args)
        except HubError as error:
            refusal = str(error)
    if (refusal := gathered(refusal)[0]) is not None:
        raise HubError(refusal)


def _make_repository(args: TrainingArguments) -> None:
    api, source = HfApi(), "--hub_token" if args.hub_token else "HF_TOKEN or `hf auth login`"
    try:
        api.whoami(token=args.hub_token)
    except (HTTPError, OSError) as error:
        reason = _reason(error, args)
        raise HubError(
            f"{api.endpoint} does not take the token of {source}: {reason} Pass one that may write, or leave out "
            "--push_to_hub."
        ) from None
    name = args.hub_model_id or Path(args.output_dir).absolute().name  # as Trainer names it
    try:
        repository = api.create_repo(name, private=args.hub_private_repo, exist_ok=True, token=args.hub_token)
        if args.hub_revision is not None:
            api.create_branch(repository.repo_id, branch=args.hub_revision, exist_ok=True, token=args.hub_token)
    except (HTTPError, OSError, ValueError) as error:
        reason = _reason(error, args)
        raise HubError(f"The repository {name!r} cannot be pushed to with the token of {source}: {reason}") from None


def push(trainer: MMELTrainer, data_args: DataArguments, metrics: dict[str, float], options: Sequence[str]) -> None:
    """
    Pushes the model with its card.

    Args:
        metrics (`dict[str, float]`): Those of the run; scores of a second evaluation end in `_mm`.
        options (`Sequence[str]`): The options of the command.

    Raises:
        `HubError`: if the upload failed. The model is in the output folder.
    """
    args = trainer.args
    try:
        trainer.push_to_hub(
            tasks="text-classification",
            scores=_scores_by_split(metrics, _evaluated_splits(trainer, data_args), data_args.max_eval_samples),
            command=command_line("python run_glue_mmel.py", options),
            **data_facts(data_args),
        )
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        reason, revision = _reason(error, args), f" --revision {args.hub_revision}" if args.hub_revision else ""
        raise HubError(
            f"The model is in {args.output_dir}, but could not be pushed to {trainer.hub_model_id}: {reason} To push "
            f'it later: hf upload {trainer.hub_model_id} {args.output_dir} . --exclude "checkpoint-*"{revision}'
        ) from None


def _evaluated_splits(trainer: MMELTrainer, data_args: DataArguments) -> list[str]:
    """The names that the data itself has for the splits that were scored."""
    first, *others = [data_args.split_name(split) for split in data_args.task.validation_splits]
    took_test = not data_args.files() and str(getattr(trainer.eval_dataset, "split", None)) == "test"
    return ["test" if took_test and first == "validation" else first, *others]


def _scores_by_split(
    metrics: dict[str, float], splits: Sequence[str], limit: int | None
) -> dict[str, dict[str, float]] | None:
    second = {name.removesuffix("_mm"): value for name, value in metrics.items() if name.endswith("_mm")}
    first = {name: value for name, value in metrics.items() if name.startswith("eval_") and not name.endswith("_mm")}
    return {
        f"{split}[:{limit}]" if limit is not None and scores["eval_samples"] == limit else split: scores
        for split, scores in zip(splits, (first, second), strict=False)
        if scores
    } or None


def name_of_data(data_args: DataArguments) -> str:
    """The data as readers know them."""
    names = data_facts(data_args)["dataset"]
    return names if isinstance(names, str) else ", ".join(names)


def data_facts(data_args: DataArguments) -> dict[str, str | list[str] | None]:
    """
    The data as the card names it: a data set of the Hub with its address, files by their names. A local copy of GLUE
    may hold anything, and does not have the address of the original.
    """
    name = data_args.dataset_name
    is_local = name is not None and Path(name).exists()
    if data_args.task_name is not None:
        dataset, config = f"GLUE {data_args.task_name.upper()}", data_args.dataset_config_name or data_args.task_name
        if is_local:
            return {"dataset": f"{dataset} (local copy)", "dataset_tags": None, "dataset_args": None}
        return {"dataset": dataset, "dataset_tags": name or GLUE, "dataset_args": config}
    if name is None:
        return {"dataset": list(dict.fromkeys(Path(file).name for file in data_args.files().values()))}
    tag = None if is_local else name
    return {"dataset": without_folders(name), "dataset_tags": tag, "dataset_args": data_args.dataset_config_name}


def _reason(error: BaseException, args: TrainingArguments) -> str:
    """What went wrong, without a token."""
    text = reason_of(error)
    for token in (args.hub_token, get_token()):
        text = text.replace(token, "<token>") if token else text
    return without_tokens(text)
