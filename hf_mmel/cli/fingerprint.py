"""The arguments and file contents that determine the results of a training run."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from augment.core.storage import location

from .arguments import Arguments, file_of_augmenter


CONTENT = "content of "

# Folders, reports and speed: training runs that differ in these alone have the same results.
_WITHOUT_EFFECT = {
    *("seed", "seeds", "output_dir", "overwrite_output_dir", "dry_run", "resume_from_checkpoint"),
    *("cache_dir", "overwrite_cache", "preprocessing_num_workers"),
    *("disable_tqdm", "log_level", "log_level_replica", "log_on_each_node", "report_to", "run_name", "project"),
    *("dataloader_num_workers", "dataloader_persistent_workers", "dataloader_pin_memory"),
    *("dataloader_prefetch_factor", "save_total_limit", "save_on_each_node", "token"),
    *("logging_steps", "logging_strategy", "logging_first_step", "save_steps", "save_strategy"),
    *("trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
    *("show_variants", "save_eval_predictions", "use_fast_tokenizer", "local_rank", "ddp_timeout"),
}
_OF_BEST = {"save_steps", "save_strategy"}  # the best model is one of those that were saved


def arguments_of(args: Arguments) -> dict[str, Any]:
    """All arguments that results depend on, except the seed, as JSON values. No tokens."""
    values: dict[str, Any] = {"num_processes": args.training.world_size}
    for group in args:
        values |= group.to_dict() if isinstance(group, TrainingArguments) else asdict(group)
    without_effect = _WITHOUT_EFFECT - _OF_BEST if args.training.load_best_model_at_end else _WITHOUT_EFFECT
    kept = {
        name: value
        for name, value in values.items()
        if name not in without_effect and not name.startswith(("hub_", "push_to_hub"))
    }
    return json.loads(json.dumps(kept, default=str))


def contents_of(args: Arguments) -> dict[str, Any]:
    """The contents of the files that the arguments name: digests of the data, and the augmenter's configuration."""
    files = args.data.files() | args.data.unlabeled()
    contents = {f"{CONTENT}{split}_file": digest_of(location(file)) for split, file in files.items()}
    if file_of_augmenter(args.augmenter.augmenter) is not None:
        contents[f"{CONTENT}augmenter"] = content_of_augmenter(args.augmenter.augmenter)
    return contents


def content_of_augmenter(augmenter: str | None) -> Any:
    """The name of an augmenter, or the JSON value in its file; a digest of the file if it is not JSON."""
    if (file := file_of_augmenter(augmenter)) is None:
        return augmenter
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return digest_of(file)


def digest_of(path: Path) -> str:
    """The digest of a file, or of the data files in a folder written by `save_to_disk`, which may also hold caches."""
    digest = blake2b(digest_size=8)
    for file in sorted(path.glob("data-*.arrow")) if path.is_dir() else [path]:
        with file.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def differences_of(before: Mapping[str, Any], after: Mapping[str, Any], ignored: Collection[str] = ()) -> str:
    """
    The arguments that changed, without those to ignore, in words; empty if none did. The content of a file counts if
    both sides recorded it and its name is the same.
    """
    # Earlier versions recorded some arguments without an effect.
    recorded = [name for name in {**before, **after} if name in after or name not in _WITHOUT_EFFECT]
    changed = [
        name for name in recorded if name.removeprefix(CONTENT) not in ignored and before.get(name) != after.get(name)
    ]
    shown = [
        name
        for name in changed
        if not name.startswith(CONTENT)
        or (name in before and name in after and name.removeprefix(CONTENT) not in changed)
    ]
    return ", ".join(f"{name} was {before.get(name)} and is {after.get(name)}" for name in shown)
