"""Files on disk, and files in a store that fsspec reaches: `s3://`, `gs://`, `hf://`, `memory://`."""

import os
from pathlib import Path
from typing import Any


def location(name: str | os.PathLike) -> Path:
    """
    The path of a file or folder. A URL becomes a `UPath`, which is used like a `Path` but cannot be given to `open`.

    Raises a `ValueError` if the kind of store is unknown, or its package is not installed.
    """
    from upath import UPath

    if isinstance(name, UPath) and not isinstance(name, Path):
        return name  # type: ignore[return-value]
    if isinstance(name, os.PathLike) or "://" not in name:
        return Path(name)
    try:
        path: Any = UPath(name)
        if path.protocol in ("file", "local"):
            return Path(path.path)
        _ = path.fs  # imports the package of the store
    except (ImportError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{name} cannot be opened: {reason}. Install the package of this store, or copy the files."
        ) from error
    return path


def is_on_disk(path: Path) -> bool:
    """Whether a path is one of a file system of this machine, rather than a URL."""
    return isinstance(path, os.PathLike)
