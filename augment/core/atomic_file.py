"""Files that nobody sees half written, and the folder of the caches."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any
from uuid import uuid4

from .storage import is_on_disk, location, store_errors


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """
    Opens a temporary binary file that replaces `path` when the block ends. Until then, and after an error, `path` is
    unchanged. Concurrent writers do not mix: the last one to finish determines the content.

    The folder must exist. A power loss may still leave a damaged file; this depends on the file system. A `path` of a
    store, see `location`, is uploaded as a whole when the block ends.
    """
    if not is_on_disk(path):
        remote: Any = path
        with TemporaryDirectory() as folder:
            copy = Path(folder, "file")
            with copy.open("xb") as file:
                yield file
            with store_errors(path, "written"):
                remote.fs.put_file(str(copy), remote.path)
        return
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON atomically."""
    with atomic_write(path) as file:
        file.write(f"{json.dumps(value, indent=4)}\n".encode())


def cache_folder(folder: str | os.PathLike | None = None) -> Path:
    """The given folder, or URL of a store, else `$HF_MMEL_CACHE`, else `hf_mmel` in the user's cache folder."""
    chosen = folder or os.environ.get("HF_MMEL_CACHE")
    return location(chosen) if chosen else _user_cache()


def local_cache_folder(folder: str | os.PathLike | None = None) -> Path:
    """The first of the folders of `cache_folder` that is on this machine: for files that are quick to make again."""
    chosen = (location(name) for name in (folder, os.environ.get("HF_MMEL_CACHE")) if name)
    return next(filter(is_on_disk, chosen), _user_cache())


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "hf_mmel")
