"""The zip of predictions that the GLUE leaderboard (gluebenchmark.com) takes, filled task by task."""

from __future__ import annotations

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

from .args import DataArguments
from .splits import load_splits


logger = logging.getLogger(__name__)

DIAGNOSTICS = "test_diagnostics"  # GLUE's "ax", a third test set of MNLI's models


class Format(NamedTuple):
    """
    How the leaderboard wants the predictions of a task.

    Attributes:
        files (`tuple[str, ...]`): One file for each test set.
        classes (`tuple[str, ...]`): GLUE's classes in the order of their numbers; none where a number is predicted.
        by_name (`bool`): Whether classes are written by their names.
    """

    files: tuple[str, ...]
    classes: tuple[str, ...] = ()
    by_name: bool = False


FORMATS = {
    "cola": Format(("CoLA.tsv",), ("unacceptable", "acceptable")),
    "mnli": Format(("MNLI-m.tsv", "MNLI-mm.tsv", "AX.tsv"), ("entailment", "neutral", "contradiction"), by_name=True),
    "mrpc": Format(("MRPC.tsv",), ("not_equivalent", "equivalent")),
    "qnli": Format(("QNLI.tsv",), ("entailment", "not_entailment"), by_name=True),
    "qqp": Format(("QQP.tsv",), ("not_duplicate", "duplicate")),
    "rte": Format(("RTE.tsv",), ("entailment", "not_entailment"), by_name=True),
    "sst2": Format(("SST-2.tsv",), ("negative", "positive")),
    "stsb": Format(("STS-B.tsv",)),
    "wnli": Format(("WNLI.tsv",), ("not_entailment", "entailment")),
}
FILES = tuple(file for task in FORMATS.values() for file in task.files)
SCORES = (0.0, 5.0)  # least and largest similarity of STS-B


def check_submission(path: Path, task: str, names: list[str] | None) -> None:
    """
    Refuses what cannot be submitted, before any work is done.

    Args:
        path (`Path`): The zip, which need not be there.
        task (`str`): Name of the GLUE task.
        names (`list[str]`, *optional*): The classes in the order of the model's outputs; `None` for regression.

    Raises:
        `ValueError`: if the file that is there is no zip or damaged, or the classes are not those of the task.
    """
    if path.exists():
        _check_zip(path)
    classes = FORMATS[task].classes
    if sorted(name.lower() for name in names or ()) != sorted(classes):
        raise ValueError(
            f"The model's outputs are {', '.join(names or ['one number'])}; a submission for {task} needs "
            f"{', '.join(classes) or 'one number'}. Name them so in id2label of the model's config.json, or pass "
            "--do_eval as well, where the model was trained on the data's own order."
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
    """
    GLUE's diagnostics, as the split `DIAGNOSTICS`. They lie beside MNLI, under the name "ax"; where they do not, a
    warning says so, and the submission goes without.
    """
    try:
        splits = load_splits(replace(data_args, dataset_config_name="ax"), ["test"], cache_dir, token)
    except ValueError as error:
        logger.warning("The submission will have no AX.tsv, since there are no diagnostics: %s", error)
        return {}
    return {DIAGNOSTICS: splits["test"]}


def submission_lines(task: str, outputs: np.ndarray, names: list[str] | None) -> list[str]:
    """
    The lines of a file of the submission.

    Args:
        task (`str`): Name of the GLUE task.
        outputs (`np.ndarray` of shape `(N,)`): Class ids, places in `names`, or numbers for regression.
        names (`list[str]`, *optional*): The classes in the order of the model's outputs.
    """
    _, classes, by_name = FORMATS[task]
    if names is None:
        predictions = [f"{score:.3f}" for score in np.clip(outputs, *SCORES)]
    else:
        of_output = [name.lower() if by_name else str(classes.index(name.lower())) for name in names]
        predictions = [of_output[output] for output in outputs]
    return ["index\tprediction", *(f"{i}\t{prediction}" for i, prediction in enumerate(predictions))]


def add_to_submission(path: Path, task: str, outputs: Sequence[np.ndarray], names: list[str] | None) -> list[str]:
    """
    Writes the files of a task into a zip, in place of all its earlier ones: those of two models do not stand side by
    side. Files of other tasks stay.

    Args:
        path (`Path`): The zip, made where it is not there.
        task, names: As in [`submission_lines`].
        outputs (sequence of `np.ndarray`): The predictions on each test set, in the order of the task's files.

    Returns:
        `list[str]`: the files that the leaderboard asks for and the zip lacks.
    """
    files = {}
    if path.exists():
        with zipfile.ZipFile(path) as earlier:
            others = [name for name in earlier.namelist() if name not in FORMATS[task].files]
            files = {name: earlier.read(name) for name in others}
    for name, predictions in zip(FORMATS[task].files, outputs, strict=False):  # MNLI's without the diagnostics, maybe
        files[name] = "\n".join([*submission_lines(task, predictions, names), ""])
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(name, files[name])
    return [name for name in FILES if name not in files]
