"""Files on disk, and files in a store that fsspec reaches: `s3://`, `gs://`, `hf://`, `memory://`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


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
        path: Any = UPath(name, use_listings_cache=False)  # other processes add files, which a cached list lacks
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


def file_type(path: Path) -> str | None:
    """
    What is there: "file", "directory", or `None` for nothing.

    Raises an `OSError` if a store does not answer or refuses to, which `Path.exists` would take for nothing.
    """
    if is_on_disk(path):
        return "file" if path.is_file() else "directory" if path.exists() else None
    remote: Any = path
    with store_errors(path, "read"):
        try:
            return remote.fs.info(remote.path)["type"]
        except FileNotFoundError:
            return None


@contextmanager
def store_errors(path: Path, action: str) -> Iterator[None]:
    """Turns what the client of a store raises, each one other classes, into an `OSError` that names the file."""
    try:
        yield
    except Exception as error:
        if is_on_disk(path):
            raise
        kind = FileNotFoundError if isinstance(error, FileNotFoundError) else OSError
        raise kind(f"{path} cannot be {action}: {first_line(error)}") from error


def open_for_ranges(path: Path) -> IO[bytes]:
    """Opens a file of which each `read` fetches what it returns and no more: by default a store sends 50 MB."""
    remote: Any = path
    return path.open("rb") if is_on_disk(path) else remote.fs.open(remote.path, "rb", cache_type="none")


@contextmanager
def for_arrow(path: Path) -> Iterator[Any]:
    """What pyarrow reads a file from: its path, or an open file, of which it reads the ranges that it needs."""
    if is_on_disk(path):
        yield path
    else:
        with open_for_ranges(path) as file:
            yield file


def first_line(error: Exception) -> str:
    """The message of an error on one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
