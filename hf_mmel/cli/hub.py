"""Pushing to the Hub: access is checked before any work, and the model stays on disk if a push fails."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import HTTPError

from ..distributed import gathered
from ..hub.redaction import REPORT_FOLDER, REPORT_PAGE, command_line, without_folders, without_tokens
from ..trainer import MMELTrainer
from ..training_args import MMELTrainingArguments
from .data_arguments import GLUE, DataArguments
from .errors import reason_of


class HubError(RuntimeError):
    """A refusal of the Hub. It has no cause, since the cause of an HTTP error may hold what was sent."""


def check_tokens(token: str | None, hub_token: str | None) -> None:
    """Raises a `HubError` if a token has a character that no token has: requests with it fail and show the token."""
    for name, given in (("--token", token), ("--hub_token", hub_token), ("HF_TOKEN", get_token())):
        if given and not re.fullmatch("[!-~]+", given):
            fault = "has a space, a line break or a letter that no token has"
            raise HubError(f"The token of {name} {fault}; copy it again.")


def open_repository(args: MMELTrainingArguments) -> None:
    """
    Creates the repository, and the branch, to push the model to, unless they exist. Process 0 asks the Hub for all.
    Raises a `HubError` if the token may not write there, or if there is a report, which would be pushed.
    """
    if not args.push_to_hub:
        return
    if (report := Path(args.output_dir) / REPORT_PAGE).exists():
        raise HubError(
            f"{report} shows texts of the data, and would be pushed with the model; move it, and the folder "
            f"{REPORT_FOLDER} beside it, to another place."
        )
    refusal = _create_repository(args) if args.process_index == 0 else None
    if (refusal := gathered(refusal)[0]) is not None:
        raise HubError(refusal)


def _create_repository(args: MMELTrainingArguments) -> str | None:
    """Creates the repository; the reason if the Hub refuses."""
    api, source = HfApi(), "--hub_token" if args.hub_token else "HF_TOKEN or `hf auth login`"
    try:
        api.whoami(token=args.hub_token)
    except (HTTPError, OSError) as error:
        reason = _reason(error, args.hub_token)
        return f"{api.endpoint} rejects the token of {source}: {reason} Pass another one, or leave out --push_to_hub."
    name = args.hub_model_id or Path(args.output_dir).absolute().name  # as in `Trainer`
    try:
        repository = api.create_repo(name, private=args.hub_private_repo, exist_ok=True, token=args.hub_token)
        if args.hub_revision is not None:
            api.create_branch(repository.repo_id, branch=args.hub_revision, exist_ok=True, token=args.hub_token)
    except (HTTPError, OSError, ValueError) as error:
        return f"Cannot push to the repository {name!r} with the token of {source}: {_reason(error, args.hub_token)}"
    return None


def push(trainer: MMELTrainer, data_args: DataArguments, metrics: dict[str, float], options: Sequence[str]) -> None:
    """Pushes the model with its card, or raises a `HubError` that says how to push it from the output folder later."""
    args = trainer.args
    try:
        trainer.push_to_hub(
            tasks="text-classification",
            scores=_scores_by_split(trainer, data_args, metrics),
            command=command_line("python run_glue_mmel.py", options),
            **data_facts(data_args),
        )
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        revision = f" --revision {args.hub_revision}" if args.hub_revision else ""
        raise HubError(
            f"The model is in {args.output_dir}, but could not be pushed to {trainer.hub_model_id}: "
            f"{_reason(error, args.hub_token)} To push it later: hf upload {trainer.hub_model_id} {args.output_dir} . "
            f'--exclude "checkpoint-*"{revision}'
        ) from None


def _scores_by_split(
    trainer: MMELTrainer, data_args: DataArguments, metrics: dict[str, float]
) -> dict[str, dict[str, float]] | None:
    """The scores by the name of the split in the dataset, cut to `max_eval_samples`."""
    splits = [data_args.split_name(split) for split in data_args.task.validation_splits]
    limit = data_args.max_eval_samples
    used_test = not data_args.files() and str(getattr(trainer.eval_dataset, "split", None)) == "test"
    if used_test and splits[0] == "validation":
        splits[0] = "test"
    second = {name.removesuffix("_mm"): value for name, value in metrics.items() if name.endswith("_mm")}
    first = {name: value for name, value in metrics.items() if name.startswith("eval_") and not name.endswith("_mm")}
    return {
        f"{split}[:{limit}]" if limit is not None and scores["eval_samples"] == limit else split: scores
        for split, scores in zip(splits, (first, second), strict=False)
        if scores
    } or None


def name_of_data(data_args: DataArguments) -> str:
    """The name of the data for readers."""
    names = data_facts(data_args)["dataset"]
    return names if isinstance(names, str) else ", ".join(names)


def data_facts(data_args: DataArguments) -> dict[str, Any]:
    """
    The data as the model card names it: a dataset of the Hub with its address, files by their names. A local copy of
    GLUE may differ from the original, and has no address.
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


def _reason(error: BaseException, hub_token: str | None) -> str:
    text = reason_of(error)
    for token in filter(None, (hub_token, get_token())):
        text = text.replace(token, "<token>")
    return without_tokens(text)
