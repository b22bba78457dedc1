"""A file of rows that is written in parts, so that an interrupted command resumes where it stopped."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from ..core.atomic_file import atomic_write, write_json
from ..core.parquet_rows import parquet_errors, table_of
from ..core.storage import file_type, for_arrow, is_on_disk, location, store_errors
from ..core.tables import Row
from ..shards import CHUNK


SUFFIXES = (".csv", ".jsonl", ".parquet")


class ResumableWriter:
    """
    Writes a file part by part into a folder beside it, then joins the parts. A part counts once the manifest lists
    it, and the file appears only when it is complete. A row may lack some columns. In a store, the parts are in the
    store too, so that another machine can resume.

    The `schema` of a parquet file that the rows are from gives types of columns; other columns contain integers. By
    default types come from the values. Text formats have no feature types, so a class is written by its name rather
    than its id. `settings` are everything that determines the content; parts with other settings raise a `ValueError`.
    """

    def __init__(self, path: Path, columns: Sequence[str], schema, settings: Mapping[str, Any]):
        self.path = path
        self.folder = path.with_name(f"{path.name}.parts")
        self.columns = columns
        self.schema = schema
        self._features = features_of(schema) if path.suffix != ".parquet" else {}
        self.settings = json.loads(json.dumps(settings))
        self.num_parts = 0  # written so far
        self.counts: dict[str, int] = {}  # sums of the counts of the parts
        self._manifest = self.folder / "manifest.json"
        # Only temporary files: interrupted before the first manifest was complete.
        names = {file.name for file in self._files()}
        if any(not name.endswith(".tmp") for name in names):
            self._resume(names)

    def write(
        self,
        items: Iterable[Any],
        num_items: int,
        make: Callable[[list[Any], int], tuple[Sequence[Row], Mapping[str, int]]],
    ) -> None:
        """
        Writes the parts that are missing, and then the file. `make` gets the items of a part and the number of the
        first of them, and returns the rows of the part and its counts.
        """
        from tqdm import tqdm

        rest = iter(items)
        with tqdm(total=num_items, unit=" rows", disable=None) as bar:
            for first in range(0, num_items, CHUNK):
                chunk = list(islice(rest, CHUNK))
                if first // CHUNK >= self.num_parts:
                    self.add(*make(chunk, first))
                bar.update(len(chunk))
        self.finish()

    def add(self, rows: Sequence[Row], counts: Mapping[str, int]) -> None:
        """Writes the next part and adds up its counts."""
        if self.num_parts == 0:
            if is_on_disk(self.folder):  # a store needs no folders
                self.folder.mkdir(exist_ok=True)
            self._save_manifest()  # so that the folder is recognised after an interruption
        self._write_part(self._part(self.num_parts), rows)
        self.num_parts += 1
        self.counts = {name: self.counts.get(name, 0) + count for name, count in counts.items()}
        self._save_manifest()

    def finish(self) -> None:
        """Joins the parts into the file and removes them."""
        with atomic_write(self.path) as file:
            self._join([self._part(i) for i in range(self.num_parts)], file)
        if is_on_disk(self.folder):
            for path in set(self._files()) - {self._manifest}:  # it identifies the folder, so it goes last
                path.unlink()
            self._manifest.unlink()
        self.folder.rmdir()  # in a store, with its files, in few requests

    def _files(self) -> list[Path]:
        """The files in the folder of parts."""
        return list(self.folder.iterdir()) if file_type(self.folder) == "directory" else []

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}{self.path.suffix}"

    def _write_part(self, path: Path, rows: Sequence[Row]) -> None:
        with atomic_write(path) as file:
            if path.suffix == ".parquet":
                self._write_parquet(file, rows)
            else:
                file.write(self._text(rows).encode())

    def _text(self, rows: Sequence[Row]) -> str:
        """The rows of a part in a text format."""
        rows = [{name: _with_class_names(value, self._features.get(name)) for name, value in r.items()} for r in rows]
        if self.path.suffix == ".jsonl":
            return "".join(f"{_json(row)}\n" for row in rows)
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.columns)  # ends lines with "\r\n", so that a lone "\r" gets quotes
        if self.num_parts == 0:
            writer.writeheader()
        nested = (list, dict)
        writer.writerows({k: _json(v) if isinstance(v, nested) else v for k, v in row.items()} for row in rows)
        return text.getvalue()

    def _write_parquet(self, file: IO[bytes], rows: Sequence[Row]) -> None:
        from pyarrow import parquet

        with parquet_errors():
            parquet.write_table(table_of(rows, self.columns, self.schema), file)

    def _join(self, parts: Sequence[Path], joined: IO[bytes]) -> None:
        if self.path.suffix == ".parquet":
            import pyarrow
            from pyarrow import parquet

            with parquet_errors():
                schemas = []
                for part in parts:
                    with for_arrow(part) as source:
                        schemas.append(parquet.read_schema(source))
                schema = pyarrow.unify_schemas(schemas, promote_options="permissive")
                with parquet.ParquetWriter(joined, schema) as writer:
                    for part in parts:
                        with for_arrow(part) as source:
                            writer.write_table(parquet.read_table(source).cast(schema))
            return
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, joined)

    def _save_manifest(self) -> None:
        manifest = {"making": self.settings, "num_parts": self.num_parts, "counts": self.counts}
        write_json(self._manifest, manifest)

    def _resume(self, names: Collection[str]) -> None:
        try:
            found = json.loads(self._manifest.read_text(encoding="utf-8"))
            settings, num_parts, counts = found["making"], found["num_parts"], found["counts"]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"The folder {self.folder} already exists and contains no usable parts of {self.path.name}. Remove "
                "it, or choose another output file."
            ) from error
        complete = all(self._part(number).name in names for number in range(num_parts))
        if num_parts and settings != self.settings:
            names = [name for name in settings | self.settings if settings.get(name) != self.settings.get(name)]
            raise ValueError(
                f"{self.folder} contains parts of {self.path.name} from a command with different settings: "
                f"{', '.join(names)}. Run that command again to resume it, or remove the folder."
            )
        if complete:
            self.num_parts, self.counts = num_parts, counts


def checked_output(name: str, source: Path) -> Path:
    """The file to write, after checking that rows of the source can be written to it."""
    out = location(name)
    if out.suffix not in SUFFIXES:
        raise ValueError(f"{out} ends in {out.suffix!r}; expected one of {', '.join(SUFFIXES)}.")
    if is_on_disk(out) and not out.parent.is_dir():
        raise FileNotFoundError(f"The folder {out.parent} of {out} does not exist; create it first.")
    kind = file_type(out)
    if kind == "directory":
        raise IsADirectoryError(f"{out} is a folder; expected a file name.")
    are_on_disk = is_on_disk(out) and is_on_disk(source)
    if kind is not None and (out.samefile(source) if are_on_disk else out == source):
        raise ValueError(f"{out} is also the input file; expected another name.")
    if not is_on_disk(out):  # only a file that is written shows whether the store takes files
        probe = out.with_name(f"{out.name}.{uuid4().hex}.tmp")
        with store_errors(out, "written"):
            probe.write_bytes(b"")
            probe.unlink()
    return out


def features_of(schema) -> dict[str, Any]:
    """The feature types that `datasets` notes in the schema of a parquet file, by column."""
    try:
        return dict(json.loads(schema.metadata[b"huggingface"])["info"]["features"])
    except (AttributeError, LookupError, TypeError, ValueError):  # no schema, or none that datasets wrote
        return {}


def _with_class_names(value: Any, feature: Any) -> Any:
    """A value of a feature with the names of classes for their ids, and `None` for an id of no class."""
    if isinstance(feature, list) and len(feature) == 1:  # a list, in files of earlier versions
        feature = {"feature": feature[0]}
    if value is None or not isinstance(feature, dict):
        return value
    if isinstance(value, list) and "feature" in feature:
        return [_with_class_names(part, feature["feature"]) for part in value]
    if isinstance(value, int) and feature.get("_type") == "ClassLabel" and "names" in feature:
        return feature["names"][value] if 0 <= value < len(feature["names"]) else None
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
