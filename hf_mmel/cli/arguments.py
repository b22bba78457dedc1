"""Which arguments make two trainings the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from augment.registry import NAMES


CONTENT = "content of "
_BLOCK = 1 << 20

# Arguments of place, reports and speed: two trainings that differ in these alone are the same.
_WITHOUT_EFFECT = {
    *("seed", "seeds", "output_dir", "overwrite_output_dir", "dry_run", "resume_from_checkpoint"),
    *("cache_dir", "overwrite_cache", "preprocessing_num_workers"),
    *("disable_tqdm", "log_level", "log_level_replica", "log_on_each_node", "report_to", "run_name", "project"),
    *("dataloader_num_workers", "dataloader_persistent_workers", "dataloader_pin_memory"),
    *("dataloader_prefetch_factor", "save_total_limit", "save_on_each_node", "token"),
    *("logging_steps", "logging_strategy", "logging_first_step", "save_steps", "save_strategy"),
    "show_variants",
}


def arguments_of(groups: Sequence[Any]) -> dict[str, Any]:
    """All arguments that results depend on, as JSON holds them. No tokens, and not the seed."""
    values: dict[str, Any] = {"num_processes": groups[-1].world_size}
    for group in groups:
        values |= group.to_dict() if isinstance(group, TrainingArguments) else asdict(group)
    kept = {
        name: value
        for name, value in values.items()
        if name not in _WITHOUT_EFFECT and not name.startswith(("hub_", "push_to_hub"))
    }
    return json.loads(json.dumps(kept, default=str))


def contents_of(groups: Sequence[Any]) -> dict[str, Any]:
    """What the files hold that arguments name: a digest of data, and the description of an augmenter."""
    _, data_args, augmenter_args, *_ = groups
    contents = {f"{CONTENT}{split}_file": digest_of(Path(file)) for split, file in data_args.files().items()}
    if _is_file(augmenter_args.augmenter):
        contents[f"{CONTENT}augmenter"] = content_of_augmenter(augmenter_args.augmenter)
    return contents


def content_of_augmenter(what: str) -> Any:
    """The name of an augmenter, or what its file holds; a digest of that if it is not JSON."""
    if not _is_file(what):
        return what
    try:
        return json.loads(Path(what).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return digest_of(Path(what))


def digest_of(path: Path) -> str:
    """The digest of a file, or of the data in a folder written by `save_to_disk`, where caches may lie as well."""
    digest = blake2b(digest_size=8)
    for file in sorted(path.glob("data-*.arrow")) if path.is_dir() else [path]:
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def differences_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """In words, which arguments have changed; empty where none has. What was not kept of a file has not changed."""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    told = [
        name
        for name in changed
        if not name.startswith(CONTENT)
        or (name in before and name in after and name.removeprefix(CONTENT) not in changed)
    ]
    return ", ".join(f"{name} was {before.get(name)} and is {after.get(name)}" for name in told)


def _is_file(augmenter: str) -> bool:
    return augmenter not in (*NAMES, "none") and Path(augmenter).is_file()
