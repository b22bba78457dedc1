"""The page of a comparison, `compare.html`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..hub.redaction import without_folders
from ..report.layout import write_html
from .picture import pictures
from .plan import TEMPERATURE, Criterion
from .results import PAGE
from .rows import Row
from .text import Document


# The arguments that readers of a comparison look for. All are in `compare.json`.
_SETTINGS = (
    *("model_name_or_path", "task_name", "dataset_name", "train_file", "validation_file"),
    *("max_train_samples", "max_eval_samples", "max_seq_length", "num_train_epochs", "max_steps", "learning_rate"),
    *("lr_scheduler_type", "warmup_steps", "weight_decay", "per_device_train_batch_size"),
    *("gradient_accumulation_steps", "num_processes", "num_variants", "lambda_p", "lambda_t", "replace_prob"),
    *("variants_column", "attack_budget", "attack_augmenter"),
)


def write_page(
    folder: Path,
    document: Document,
    rows: Sequence[Row],
    criterion: Criterion,
    num_examples: int,
    arguments: Mapping[str, Any],
) -> None:
    """Writes `compare.html`, which says what `compare.md` does, and needs no network."""
    settings = {name: arguments[name] for name in _SETTINGS if arguments.get(name) not in (None, -1)}  # those in use
    write_html(
        folder / PAGE,
        Path(__file__).with_name("compare.html.jinja"),
        name=folder.resolve().name,
        document=document,
        criterion=criterion,
        num_settings=len(rows),
        num_runs=sum(len(row.scores) for row in rows if row.setting != TEMPERATURE),
        num_examples=num_examples,
        pictures=pictures(rows, criterion) if rows else {},
        settings={name: without_folders(str(value)) for name, value in settings.items()},
    )
