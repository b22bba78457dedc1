"""The splits of a dataset that is given by its name: on the Hub, in a folder, or written by `save_to_disk`."""

import glob
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets import (
    BuilderConfig,
    Dataset,
    DatasetBuilder,
    DatasetDict,
    DownloadConfig,
    DownloadManager,
    load_dataset_builder,
    load_from_disk,
)
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalEntryNotFoundError

from augment.core.tables import READERS

from .files import load_tables


logger = logging.getLogger(__name__)

_GUESSING = ("csv", "json")  # readers of `datasets` that guess the types of values
_NOT_OPTIONS = {field.name for field in fields(BuilderConfig)} | {"features", "sep", "delimiter"}


def load_saved(folder: str | os.PathLike) -> Dataset | DatasetDict:
    """Loads a folder of `save_to_disk`. What is computed from it is cached there, if the folder is writable."""
    return load_from_disk(str(folder), keep_in_memory=None if os.access(folder, os.W_OK) else True)


def find_splits(
    name: str, config: str | None, label_column: str, cache_dir: str | None, token: str | None
) -> Mapping[str, Callable[[], Dataset]]:
    """
    The splits of a dataset by their names, as functions that load them. `datasets` finds and downloads the files.

    Values in csv, tsv, json and jsonl files are those that are written there, as in `load_file`, with the types that
    the README of the dataset declares. `datasets` reads these files if they are compressed or if the README has
    options for reading them, such as a separator. Labels of a csv are text even then; dates in json files, which would
    become timestamps, raise a `ValueError`.
    """
    if any(Path(name, file).is_file() for file in ("dataset_dict.json", "state.json")):
        saved = load_saved(name)
        splits = saved if isinstance(saved, DatasetDict) else {"train": saved}
        return {str(split): partial(splits.__getitem__, split) for split in splits}
    if Path(name).exists() and glob.has_magic(str(Path(name).absolute())):
        raise ValueError(
            f"it is {Path(name).absolute()}, whose name has * ? or [, which datasets reads as a pattern; rename it"
        )
    load = partial(load_dataset_builder, name=config, token=token)
    name, builder = _found(name, partial(load, cache_dir=cache_dir))
    declared = None
    if builder.name in _GUESSING:
        # The builder may also know types that were guessed: from an earlier result in the cache, or from the viewer
        # of the Hub, which has them for the newest revision. An empty cache and a named revision have none.
        with TemporaryDirectory() as empty:
            declared = load(name, cache_dir=empty, revision=builder.hash).info.features
        if _is_plain(builder):
            manager = DownloadManager(download_config=DownloadConfig(token=token))
            files = manager.download(builder.config.data_files)  # all, for later runs without a network
            return {str(split): partial(load_tables, files[split], cache_dir, str(split), declared) for split in files}
        if builder.name == "csv" and declared is None:
            options = {"keep_default_na": False, "converters": {label_column: str}}
            builder = load(name, cache_dir=cache_dir, **options)
    builder.download_and_prepare()
    label_type = getattr((builder.info.features or {}).get(label_column), "dtype", "")
    if builder.name == "json" and declared is None and label_type.startswith(("timestamp", "date")):
        raise ValueError(
            f"column {label_column!r} holds dates in json files that are compressed or have a reading option, which "
            "datasets reads as timestamps; unpack the files and leave out the option"
        )
    return {split: partial(builder.as_dataset, split) for split in builder.info.splits or ()}


def _found(name: str, load: Callable[[str], DatasetBuilder]) -> tuple[str, DatasetBuilder]:
    """
    The name and the builder of a dataset. If the Hub cannot be reached, the files that an earlier run downloaded take
    its place, and their folder is the name. A result of `datasets` itself may have types that were guessed, so that
    it comes second.
    """
    try:
        builder = load(name)
        if builder.name != "cache" or builder.info.builder_name not in _GUESSING:
            return name, builder
    except (ConnectionError, HTTPError) as error:
        if isinstance(error, HfHubHTTPError):  # an answer of the Hub
            raise
        folder = snapshot_download(name, repo_type="dataset", local_files_only=True)
    else:
        try:
            folder = snapshot_download(name, repo_type="dataset", local_files_only=True)
        except LocalEntryNotFoundError:
            return name, builder
    logger.warning("The Hub cannot be reached; reading the copy of %s in %s.", name, folder)
    return folder, load(folder)


def _is_plain(builder: DatasetBuilder) -> bool:
    """Whether the files of a dataset are what their names say, without options for reading them."""
    config, default = builder.config, type(builder.config)()
    options = {field.name for field in fields(config)} - _NOT_OPTIONS
    separator = getattr(config, "sep", ",")
    suffixes = {",": READERS.keys(), "\t": {".tsv"}}.get(separator, ())
    files = [str(file) for split in (config.data_files or {}).values() for file in split]
    return all(getattr(config, name) == getattr(default, name) for name in options) and all(
        Path(file).suffix.lower() in suffixes and (file.startswith("hf://") or "://" not in file) for file in files
    )
