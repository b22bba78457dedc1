"""A folder of results that several processes make together, and that later runs find again."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .atomic_file import write_json
from .devices import default_device
from .storage import file_type, is_on_disk


Gather = Callable[[Any], list[Any]]


def distributed() -> tuple[int, int, Gather]:
    """Index of this process, number of processes, and a function that gathers a value from all processes."""
    import torch

    initialised = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not initialised and int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return 0, 1, lambda value: [value]
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState(cpu=default_device() == "cpu")
    return state.process_index, state.num_processes, lambda value: gather_object([value])


def open_folder(folder: Path, manifest: Mapping[str, Any], what: str) -> tuple[int, int, Gather]:
    """
    Makes a folder, if necessary, for results that the manifest describes: everything that determines them, as plain
    data. All processes must be able to access it; it may be in a store. `what` names the results in errors. Returns
    `distributed()`.

    Raises:
        `ValueError`: if the folder has another manifest, or some processes do not see it.
    """
    process, num_processes, gather = distributed()
    path = folder / "manifest.json"
    if process == 0:
        if is_on_disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if file_type(path) is None:
            write_json(path, manifest)
    gather(None)
    if without := [number for number, exists in enumerate(gather(path.exists())) if not exists]:
        raise ValueError(
            f"The {what} in {folder}, on the machine of process 0, is not there for the processes {without}, "
            "but all processes write and read it. Choose a folder on a file system that all machines share, or a URL "
            "such as s3://bucket/folder (cache_dir, or the environment variable HF_MMEL_CACHE)."
        )
    try:
        found = dict(json.loads(path.read_text()))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged. Delete the folder, or choose another path.") from error
    if differing := [name for name in manifest if found.get(name) != manifest[name]]:
        raise ValueError(
            f"{folder} contains a {what} made with a different {', '.join(differing)}. Choose another "
            "path, or omit it to get a separate folder, or delete this folder if the old table is not needed."
        )
    return process, num_processes, gather
