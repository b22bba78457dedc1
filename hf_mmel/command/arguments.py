"""Which arguments make two trainings the same."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from transformers import TrainingArguments


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


def differences_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """In words, which arguments have changed; empty where none has."""
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return ", ".join(f"{name} was {before.get(name)} and is {after.get(name)}" for name in changed)
