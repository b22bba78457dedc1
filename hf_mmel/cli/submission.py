"""The zip of predictions for the GLUE leaderboard (gluebenchmark.com), filled task by task."""

import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset

from augment.core.atomic_file import atomic_write

from .data import load_splits
from .data_arguments import DataArguments
from .saving import table_of


logger = logging.getLogger(__name__)

DIAGNOSTICS = "test_diagnostics"  # GLUE's "ax", a third test set for models of MNLI


class Format(NamedTuple):
    """The format of the predictions of a task."""

    files: tuple[str, ...]  # one for each test set
    classes: tuple[str, ...] = ()  # in the order of GLUE's ids; none for regression
    uses_names: bool = False  # whether classes are written by name rather than by id


FORMATS = {
    "cola": Format(("CoLA.tsv",), ("unacceptable", "acceptable")),
    "mnli": Format(("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"), ("entailment", "neutral", "contradiction"), True),
    "mrpc": Format(("MRPC.tsv",), ("not_equivalent", "equivalent")),
    "qnli": Format(("QNLI.tsv",), ("entailment", "not_entailment"), True),
    "qqp": Format(("QQP.tsv",), ("not_duplicate", "duplicate")),
    "rte": Format(("RTE.tsv",), ("entailment", "not_entailment"), True),
    "sst2": Format(("SST-2.tsv",), ("negative", "positive")),
    "stsb": Format(("STS-B.tsv",)),
    "wnli": Format(("WNLI.tsv",), ("not_entailment", "entailment")),
}
FILES = tuple(file for task in FORMATS.values() for file in task.files)
MIN_SCORE, MAX_SCORE = 0.0, 5.0  # of STS-B


def check_submission(path: Path, task: str, names: list[str] | None) -> None:
    """Raises a `ValueError` if a file is not an intact zip, or the names of a model's outputs are not the task's."""
    if path.exists():
        _check_zip(path)
    classes = FORMATS[task].classes
    if sorted(name.lower() for name in names or ()) != sorted(classes):
        raise ValueError(
            f"The model's outputs are {', '.join(names or ['one number'])}; a submission for {task} needs "
            f"{', '.join(classes) or 'one number'}. Name them so in id2label of the model's config.json, or pass "
            "--do_eval as well if the model was trained on the data's own order."
        )


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a zip file; choose another name for the submission.")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it, or choose another name.") from error
    if damaged is not None:
        raise ValueError(f"{damaged} in {path} is damaged; delete the zip, or choose another name.")


def load_diagnostics(data_args: DataArguments, cache_dir: str | None, token: str | None) -> dict[str, Dataset]:
    """GLUE's diagnostics as the split `DIAGNOSTICS`. If they are not beside MNLI, under the name "ax", warns of it."""
    try:
        # They have one split, so that those to remove are of MNLI.
        diagnostics = replace(data_args, dataset_config_name="ax", remove_splits=None)
        splits = load_splits(diagnostics, ["test"], cache_dir, token)
    except ValueError as error:
        logger.warning("The submission will have no AX.tsv, since there are no diagnostics: %s", error)
        return {}
    return {DIAGNOSTICS: splits["test"]}


def written_predictions(task: str, outputs: np.ndarray, names: list[str] | None) -> list[str]:
    """Predictions as GLUE has them, from `(N,)` outputs: class ids, which index `names`, or numbers for regression."""
    _, classes, uses_names = FORMATS[task]
    if names is None:
        return [f"{score:.3f}" for score in np.clip(outputs, MIN_SCORE, MAX_SCORE)]
    written = [name.lower() if uses_names else str(classes.index(name.lower())) for name in names]
    return [written[output] for output in outputs]


def add_to_submission(path: Path, task: str, outputs: Sequence[np.ndarray], names: list[str] | None) -> list[str]:
    """
    Writes the predictions on each test set of a task into a zip, in place of all its earlier files, so that models do
    not mix. Files of other tasks stay. Returns the names of the files that the zip still lacks.
    """
    files: dict[str, bytes] = {}
    if path.exists():
        with zipfile.ZipFile(path) as earlier:
            files = {name: earlier.read(name) for name in earlier.namelist() if name not in FORMATS[task].files}
    for name, predictions in zip(FORMATS[task].files, outputs, strict=False):  # the diagnostics of MNLI may be missing
        files[name] = table_of(written_predictions(task, predictions, names))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(name, files[name])
    return [name for name in FILES if name not in files]
