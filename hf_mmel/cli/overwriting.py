"""What a training removes that is to begin anew, and what it does not."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from augment.registry import models_in

from .arguments import content_of_augmenter
from .usage import UsageError


def checkpoints_in(folder: Path) -> list[Path]:
    """The checkpoints in a folder, in the order of their steps; what merely has a name like theirs is none."""
    return _numbered(folder, PREFIX_CHECKPOINT_DIR)


def seeds_in(folder: Path) -> list[Path]:
    """The folders of seeds in a folder."""
    return _numbered(folder, "seed")


def remove_checkpoints(folder: Path) -> None:
    """Removes the checkpoints in a folder. Of one that is a link the link is removed."""
    for path in checkpoints_in(folder):
        path.unlink() if path.is_symlink() else shutil.rmtree(path)


def check_spared(groups: Sequence[Any], output_dir: Path, has_seeds: bool) -> None:
    """
    Raises a `UsageError` if what a training starts from lies in a folder that it would remove.

    Args:
        groups (`Sequence`): The groups of arguments, see [`~arguments.arguments_of`].
        output_dir (`Path`): The folder that is overwritten.
        has_seeds (`bool`): Whether it holds a folder for each of several seeds.
    """
    removed = checkpoints_in(output_dir)
    if has_seeds:
        folders = seeds_in(output_dir)
        removed = [
            path for folder in folders for path in ([folder] if folder.is_symlink() else checkpoints_in(folder))
        ]
    for name, value in _sources(*groups[:3]):
        if any(_is_taken_away(Path(value), path) for path in removed):
            raise UsageError(
                f"{name} is {value!r}, which --overwrite_output_dir would remove; choose another --output_dir, or "
                "move it to another place first."
            )


def _numbered(folder: Path, prefix: str) -> list[Path]:
    """The folders PREFIX-N, and the links with such a name."""
    found = [
        (int(name[1]), path)
        for path in folder.glob(f"{prefix}-*")
        if (name := re.fullmatch(rf"{prefix}-(\d+)", path.name)) and (path.is_dir() or path.is_symlink())
    ]
    return [path for _, path in sorted(found)]


def _sources(model_args: Any, data_args: Any, augmenter_args: Any) -> Iterator[tuple[str, str]]:
    """Whatever may be the path of something that a training starts from, by the name of its argument."""
    groups = (
        (model_args, ("model_name_or_path", "config_name", "tokenizer_name")),
        (data_args, ("dataset_name", "train_file", "validation_file", "test_file")),
        (augmenter_args, ("augmenter_model", "augmenter")),
    )
    for group, names in groups:
        yield from ((name, value) for name in names if (value := getattr(group, name)) is not None)
    config = content_of_augmenter(augmenter_args.augmenter)
    yield from (("augmenter", model) for model in models_in(config))


def _is_taken_away(path: Path, removed: Path) -> bool:
    """Whether a path is gone once a folder, or the link to one, is removed."""
    if not path.exists():  # the name of something on the Hub
        return False
    entry = removed.parent.resolve() / removed.name
    target, path = path.resolve(), path.absolute()
    # Either the folder holds what the path leads to, or the path leads through the folder or the link.
    return entry in (target, *target.parents) or any(
        part.parent.resolve() / part.name == entry for part in (path, *path.parents)
    )
