"""The files that a run writes: complete or not at all, and no finished model is lost."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from augment.core.atomic_file import atomic_write, write_json

from ..trainer import MMELTrainer
from .errors import UsageError, errno_of, file_error_text
from .labels import Labels


def save_metrics(folder: Path, split: str, metrics: Mapping[str, float]) -> None:
    """
    Writes `SPLIT_results.json`, and adds it to `all_results.json`, as `Trainer.save_metrics` does, but each file is
    complete or not written at all, as a resumed run reads it.
    """
    write_json(folder / f"{split}_results.json", dict(metrics))
    write_json(folder / "all_results.json", {**(read_json(folder / "all_results.json") or {}), **metrics})


def read_json(file: Path, expected: type = dict) -> Any:
    """The value in a JSON file; `None` if there is no file, it is truncated, or its value has another type."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    return value if isinstance(value, expected) else None


def write_predictions(file: Path, outputs: np.ndarray, labels: Labels) -> None:
    """Writes one line per example: its index, and its class, its number, or the list of its classes in JSON."""
    names = labels.names
    if names is None:
        predictions = [f"{output:.3f}" for output in outputs]
    elif labels.is_multi_label:
        classes = ([names[i] for i in np.flatnonzero(output)] for output in outputs)
        predictions = [json.dumps(some, ensure_ascii=False) for some in classes]
    else:
        predictions = [names[output] for output in outputs]
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(file) as written:
        written.write(table_of(predictions))


def table_of(predictions: Iterable[str]) -> bytes:
    """The content of a tsv file of predictions and their indices, in the format of GLUE's leaderboard."""
    rows = (f"{i}\t{prediction}\n" for i, prediction in enumerate(predictions))
    return "".join(["index\tprediction\n", *rows]).encode()


def save_outputs(file: Path, outputs: Any, labels: Any) -> None:
    """Writes the row `id` `(N,)`, the `label` and the `logits` `(N, C)` of N examples as NumPy arrays."""
    logits = outputs[0] if isinstance(outputs, tuple) else outputs
    with atomic_write(file) as written:
        np.savez_compressed(written, id=np.arange(len(logits)), label=labels, logits=logits)


@contextmanager
def finished_model_kept(trainer: MMELTrainer) -> Iterator[None]:
    """
    Saves a model to a temporary folder, which is often on another disk, if training in the block is finished but the
    file system, such as a full disk, refuses the model. Then raises a `UsageError` that names the folder.
    """
    try:
        yield
    except Exception as error:
        number, state = errno_of(error), trainer.state
        is_finished = 0 < state.max_steps <= state.global_step
        if number is None or not is_finished or trainer.args.world_size > 1:
            raise
        folder = tempfile.mkdtemp(prefix="hf_mmel-")
        try:
            trainer.save_model(folder, _internal_call=True)
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise error from None
        raise UsageError(
            f"{file_error_text(error, number)} Training is finished, and the model of the last step has been saved to "
            f"{folder}. Move it to a permanent place."
        ) from error
