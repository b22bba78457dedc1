"""The folder of parts, on disk or in a store: which parts are there, and whether they are whole."""

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..core.atomic_file import atomic_write, write_json
from ..core.lazy import Lazy
from ..core.running import shown
from ..core.storage import file_type, is_on_disk, location, open_for_ranges, store_errors


SETTINGS, MANIFEST = "settings.json", "manifest.json"

_READERS = 16  # files that are read at once


class PartFolder(Lazy):
    """
    A folder of parts `part-00007-of-00123.parquet`, each with a json beside it that is written after it. A part counts
    only if its json is there, has the digest of the settings, and gives the size that the part has.

    Args:
        name (`str`): The folder, on disk or a URL.
        settings (`Mapping`): All that determines the rows, as plain data, with `"rows"` of the input, and
            `"rows_per_part"`.
    """

    def __init__(self, name: str, settings: Mapping[str, Any]):
        self.path = location(name)
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))

    @classmethod
    def found(cls, name: str) -> "PartFolder":
        """The folder that an earlier command has begun. Raises a `FileNotFoundError` if there is none."""
        path = location(name)
        if file_type(path / SETTINGS) is None:
            raise FileNotFoundError(
                f"{name} has no {SETTINGS}; expected a folder that `write` has written parts into."
            )
        return cls(name, _read_settings(path))

    def begin(self) -> None:
        """
        Makes the folder, or opens it if it has the same settings. Of two processes that begin at once with different
        settings, one goes on.

        Raises:
            `ValueError`: if the folder has other settings or contains something else.
            `NotADirectoryError`: if it is a file.
            `FileNotFoundError`: if the folder that contains it is not there.
        """
        if file_type(self.path) == "file":
            raise NotADirectoryError(f"{self.path} is a file; expected a new or empty folder for the parts.")
        if is_on_disk(self.path):
            if not self.path.parent.is_dir():
                raise FileNotFoundError(
                    f"The folder {self.path.parent} of {self.path} does not exist; create it first."
                )
            self.path.mkdir(exist_ok=True)
        if file_type(self.path / SETTINGS) is None:
            foreign = [name for name in self._sizes() if not name.endswith(".tmp")]
            if foreign and SETTINGS not in foreign:
                raise ValueError(
                    f"The folder {self.path} already contains {shown(sorted(foreign))} and no {SETTINGS}; expected a "
                    "new or empty folder."
                )
            _create(self.path / SETTINGS, f"{json.dumps(self.settings, indent=4)}\n".encode())
        found = _read_settings(self.path)
        if found != self.settings:
            raise ValueError(
                f"{self.path} contains parts from a command with different settings: "
                f"{'; '.join(_differences(found, self.settings))}. Choose another folder, or run that command again."
            )

    @cached_property
    def digest(self) -> str:
        """A hash of the settings."""
        return sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()

    @property
    def num_parts(self) -> int:
        return -(-self.settings["rows"] // self.settings["rows_per_part"])

    def rows_of(self, number: int) -> range:
        """The numbers of the rows of the input of a part."""
        size = self.settings["rows_per_part"]
        return range(number * size, min((number + 1) * size, self.settings["rows"]))

    def name_of(self, number: int) -> str:
        return f"part-{number:05d}-of-{self.num_parts:05d}.parquet"

    def write(self, number: int, tables: Iterator[Any], counts: Mapping[str, int]) -> dict[str, Any]:
        """
        Writes a part, table by table, and then its json, which has the counts as they are then. There must be at least
        one table. Returns the content of the json.
        """
        from pyarrow import parquet

        path = self.path / self.name_of(number)
        first = next(tables)
        with atomic_write(path) as file:
            with parquet.ParquetWriter(file, first.schema, write_page_checksum=True) as writer:
                writer.write_table(first)
                for table in tables:
                    writer.write_table(table)
            file.flush()
            size, digest = file.tell(), digest_of(Path(file.name))
        rows = self.rows_of(number)
        note = {
            "part": path.name,
            "first": rows.start,
            "examples": len(rows),
            **counts,
            "bytes": size,
            "sha256": digest,
            "settings": self.digest,
        }
        write_json(_json_of(path), note)
        return note

    def written(self, numbers: Sequence[int] | None = None) -> dict[int, dict[str, Any]]:
        """The parts, all or some, that are there, by number, with the content of their jsons."""
        sizes = self._sizes()
        names = {number: self.name_of(number) for number in (range(self.num_parts) if numbers is None else numbers)}
        names = {number: name for number, name in names.items() if name in sizes}
        with ThreadPoolExecutor(_READERS) as pool:
            notes = pool.map(_read_json, [_json_of(self.path / name) for name in names.values()])
        return {
            number: note
            for (number, name), note in zip(names.items(), notes, strict=True)
            if (note.get("part"), note.get("settings"), note.get("bytes")) == (name, self.digest, sizes[name])
        }

    def check(self, progress: Callable[[int], object] = lambda num_parts: None) -> list[str]:
        """
        Reads all parts. Returns the names of those that differ from their jsons, and removes these jsons and the
        manifest, so that `written` no longer has the parts. `progress` is called after each part.
        """
        damaged = []
        notes = self.written().values()
        with ThreadPoolExecutor(_READERS) as pool:
            digests = pool.map(lambda note: digest_of(self.path / note["part"]), notes)
            for note, digest in zip(notes, digests, strict=True):
                if digest != note["sha256"]:
                    damaged.append(note["part"])
                    (self.path / MANIFEST).unlink(missing_ok=True)
                    _json_of(self.path / note["part"]).unlink(missing_ok=True)
                progress(1)
        return damaged

    def finish(self) -> dict[str, int]:
        """
        Writes the manifest. Returns the sums of the counts of the parts.

        Raises:
            `ValueError`: if parts are missing, or the folder has parts of other settings.
        """
        notes = self.written()
        missing = [self.name_of(number) for number in range(self.num_parts) if number not in notes]
        if missing:
            raise ValueError(
                f"{self.path} lacks {len(missing)} of {self.num_parts} parts: {shown(missing)}. Run the same `write` "
                "again, which makes only these."
            )
        own = {note["part"] for note in notes.values()}
        parts = {name for name in self._sizes() if name.startswith("part-") and name.endswith(".parquet")}
        if strays := sorted(parts - own):
            raise ValueError(
                f"{self.path} also has parts of a command with different settings: {shown(strays)}. Remove them and "
                "their json files."
            )
        entries = [{name: value for name, value in notes[i].items() if name != "settings"} for i in sorted(notes)]
        write_json(self.path / MANIFEST, {"settings": self.settings, "parts": entries})
        return sums(notes.values())

    def _sizes(self) -> dict[str, int]:
        """The size of each file of the folder."""
        if is_on_disk(self.path):
            with os.scandir(self.path) as entries:
                return {entry.name: entry.stat().st_size for entry in entries}
        store: Any = self.path
        try:
            with store_errors(self.path, "read"):
                found = store.fs.ls(store.path, detail=True, refresh=True)
        except FileNotFoundError:  # of a store that has no empty folders
            return {}
        sizes = {entry["name"].rpartition("/")[2]: entry["size"] for entry in found if entry["type"] == "file"}
        sizes.pop("", None)  # the empty file by which a store's website marks a folder
        return sizes


def sums(notes: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The sums of the counts of parts."""
    counts = Counter[str]()
    for note in notes:
        counts.update({name: note[name] for name in ("examples", "rows", "copies")})
    return counts


def _json_of(path: Path) -> Path:
    return path.with_suffix(".json")


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a json file; an empty one if the file is absent or damaged."""
    try:
        with store_errors(path, "read"):
            content = path.read_bytes()
        return dict(json.loads(content))
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return {}


def _read_settings(path: Path) -> dict[str, Any]:
    found = _read_json(path / SETTINGS)
    if not all(isinstance(found.get(name), int) and found[name] > 0 for name in ("rows", "rows_per_part")):
        raise ValueError(f"{path / SETTINGS} is damaged; remove the folder, or choose another one.")
    return found


def _differences(found: dict[str, Any], own: dict[str, Any]) -> Iterator[str]:
    """The names of settings that differ; of the input, the file that differs."""
    for name in own | found:
        if name == "input" and "input" in found and found["input"] != own["input"]:
            files = [{tuple(file.items()): file["name"] for file in settings["input"]} for settings in (found, own)]
            names = {files[i][file] for i in (0, 1) for file in files[i].keys() - files[1 - i].keys()}
            yield f"input ({shown(sorted(names)) or 'the order of the files'} changed)"
        elif name != "rows" and found.get(name) != own.get(name):
            yield name


def digest_of(path: Path) -> str:
    """The SHA-256 of the bytes of a file."""
    digest = sha256()
    with store_errors(path, "read"), open_for_ranges(path) as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _create(path: Path, content: bytes) -> None:
    """Writes a file unless it is there, where the file system or the store can do both in one step."""
    if not is_on_disk(path):
        store: Any = path
        with store_errors(path, "written"), suppress(FileExistsError):
            store.fs.pipe_file(store.path, content, mode="create")
        return
    temporary = path.with_name(f"{path.name}.{uuid4().hex}.tmp")
    try:
        temporary.write_bytes(content)
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):  # a file system without links
            raise
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
