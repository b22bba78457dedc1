"""What a run writes: whole or not at all; and where the file system refuses, one line and no model lost."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from augment.core.atomic_file import write_json

from ..trainer import MMELTrainer
from .usage import UsageError


logger = logging.getLogger(__name__)

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


def save_metrics(folder: Path, split: str, metrics: Mapping[str, float]) -> None:
    """
    Writes `SPLIT_results.json`, and `all_results.json` with what all splits have, as `Trainer.save_metrics` does, but
    whole or not at all: a run that is ended over a file is run again, and reads it.
    """
    write_json(folder / f"{split}_results.json", dict(metrics))
    of_all: dict[str, float] = {}
    for name in ("all", split):
        with suppress(FileNotFoundError, ValueError):
            of_all |= json.loads((folder / f"{name}_results.json").read_text(encoding="utf-8"))
    write_json(folder / "all_results.json", of_all)


def check_folder_name(name: str) -> None:
    """
    Raises a `ValueError` if tokenizers, which take names in UTF-8 alone, could not be saved in a folder of this name.
    """
    # Bytes that are not UTF-8 are kept by Python for the file system, as what cannot be encoded.
    if "\0" in name or name.encode(errors="replace").decode() != name:
        raise ValueError(f"output_dir is {name!a}; expected a name in UTF-8, without zero bytes.")


@contextmanager
def file_errors() -> Iterator[None]:
    """What the file system refuses in the block becomes a `UsageError`, whose message is one line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UsageError) or (number := errno_of(error)) is None:
            raise
        logger.debug("The file system refused.", exc_info=True)
        raise UsageError(f"{_refusal(error, number)} {_remedy(number)}".rstrip()) from error


@contextmanager
def finished_model_kept(trainer: MMELTrainer) -> Iterator[None]:
    """
    Where the file system refuses a model in the block that has been trained to its end, as on a disk that is full, it
    is saved to a temporary folder, which often is on another one.

    Raises:
        `UsageError`: then, with the name of the folder.
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
            f"{_refusal(error, number)} The training is finished, and its model, as it is after the last step, has "
            f"been saved to {folder}. Move it to a place that lasts."
        ) from error


def errno_of(error: BaseException) -> int | None:
    """The number of what the file system refused, if it is that; libraries that write models only tell in words."""
    if isinstance(error, OSError):
        return error.errno
    if found := re.search(r"os error (\d+)", str(error)):  # safetensors
        return int(found[1])
    return errno.ENOSPC if re.search(r"PytorchStreamWriter|inline_container\.cc", str(error)) else None


def _refusal(error: BaseException, number: int) -> str:
    """What was refused, of which file where that is known, as a sentence."""
    file = getattr(error, "filename", None)
    where = "" if file is None else f": {os.fsdecode(file) if isinstance(file, bytes | str) else file}"
    return f"{os.strerror(number)}{where}."


def _remedy(number: int) -> str:
    if number in _NO_ROOM:
        return "Make room; then the same command goes on from the last checkpoint."
    if number in _NOT_ALLOWED:
        return "Choose folders that can be written to: --output_dir, --cache_dir, and HOME or HF_HOME."
    return ""
