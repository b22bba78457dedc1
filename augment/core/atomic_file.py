"""Files that are never seen half written."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """
    A file to write bytes to, that takes the place of `path` once it is whole. Until then, and after an error, `path`
    is as it was. Of several that write at once, each has a file of its own, and the last to end gives the content.

    A reader sees one content or the other. What a loss of power leaves is up to the file system.

    Args:
        path (`Path`): The file. Its folder has to be there.
    """
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON, whole or not at all."""
    with atomic_write(path) as file:
        file.write(f"{json.dumps(value, indent=4)}\n".encode())
