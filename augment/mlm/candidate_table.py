"""
Tables of candidates for the rows of a data set, made once and read through the memory map that processes share.

A table is a folder. `manifest.json` says what it was made of and how. While it is being made, its rows lie in parts of
a file each, that are there whole or not at all; at the end the parts become `keys.npy`, `first.npy` and `entries.npy`,
and then `checksums.json` says that the table is complete.
"""

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.atomic_file import atomic_write, write_json
from ..core.batch import Batch
from ..core.ragged import ranges, run_hashes
from .fill_mask import default_device


logger = logging.getLogger(__name__)

PART_ROWS = 4096
_BLOCK_ROWS = 10_000
_FILES = ("keys.npy", "first.npy", "entries.npy")

# Of the rows of a batch, the number of words with candidates of each, and the words as a record array.
Proposals = tuple[np.ndarray, np.ndarray]


def entry_type(top_m: int) -> np.dtype:
    """A word: its first token's place in the row; candidates, -1 where there are no more; their log-probabilities."""
    return np.dtype([("start", "<i4"), ("ids", "<i4", (top_m,)), ("scores", "<f2", (top_m,))])


class CandidateTable:
    """
    A complete table.

    Args:
        folder (`str` or `Path`): Where it lies.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        keys, first, entries = (np.load(self.folder / name, mmap_mode="r") for name in _FILES)
        # As plain arrays, which still are the memory map, they are quicker to index.
        self._keys, self._first, self._entries = np.asarray(keys), np.asarray(first), np.asarray(entries)

    def __len__(self) -> int:
        return len(self._keys)

    def is_of(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the table was made of this."""
        return json.loads((self.folder / "manifest.json").read_text()) == json.loads(json.dumps(manifest))

    def __reduce__(self):
        return CandidateTable, (self.folder,)

    def lookup(self, batch: Batch) -> tuple[np.ndarray, Proposals]:
        """Whether the table has each row, `(B,)`, and what it has for those rows."""
        keys, known = run_hashes(batch.ids, batch.starts, batch.lengths), batch.lengths > 0
        row = np.minimum(np.searchsorted(self._keys, keys), max(len(self) - 1, 0))
        known[known] = self._keys[row[known]] == keys[known] if len(self) else False
        row = row[known]
        count = self._first[row + 1] - self._first[row]
        return known, (count, self._entries[ranges(self._first[row], count)])


class Rows:
    """
    The different rows of a data set, in the order of their hashes.

    Args:
        dataset ([`~datasets.Dataset`] or a sequence of examples): A data set of known length with `input_ids`.
    """

    def __init__(self, dataset: Any):
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"Received a {type(dataset).__name__}; expected a data set of known length, or a list of examples. "
                "Rows of a stream get their candidates as they come, without a table."
            )
        blocks = [Batch(rows) for rows in _blocks(dataset)]
        self._ids = np.concatenate([np.zeros(0, np.int32), *(block.ids.astype(np.int32) for block in blocks)])
        lengths = np.concatenate([np.zeros(0, np.int64), *(block.lengths for block in blocks)])
        starts = lengths.cumsum() - lengths
        starts, lengths = starts[lengths > 0], lengths[lengths > 0]
        self.keys, chosen = np.unique(run_hashes(self._ids, starts, lengths), return_index=True)
        self._starts, self._lengths = starts[chosen], lengths[chosen]

    def __len__(self) -> int:
        return len(self.keys)

    def batch(self, begin: int, end: int) -> Batch:
        bounds = zip(self._starts[begin:end], self._lengths[begin:end], strict=True)
        return Batch([self._ids[start : start + length].tolist() for start, length in bounds])

    def fingerprint(self) -> str:
        return hashlib.sha256(self.keys.tobytes()).hexdigest()


def make_table(
    folder: Path, rows: Rows, manifest: Mapping[str, Any], propose: Callable[[Batch], Proposals]
) -> CandidateTable:
    """
    The table in this folder, made or finished where it is not there. The processes of a launch share the work.

    Args:
        folder (`Path`): A folder that all processes see, those on other machines, too.
        rows (`Rows`): What the table is to have.
        manifest (`Mapping`): What decides the candidates, as plain data; all of it belongs to the table's identity.
        propose (`Callable`): Gives the candidates for a batch.

    Raises:
        `ValueError`: if the folder has a table of something else, or not all processes see it.
    """
    process, num_processes, gather = _launch()
    if process == 0:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "manifest.json").exists():
            write_json(folder / "manifest.json", manifest)
    gather(None)
    _check_shared(folder, gather((folder / "manifest.json").exists()))
    _check_manifest(folder, manifest)
    if process == 0 and (folder / "checksums.json").exists() and not _is_sound(folder):
        logger.warning("The candidate table in %s is damaged and will be made again.", folder)
        (folder / "checksums.json").unlink(missing_ok=True)
    gather(None)
    if not (folder / "checksums.json").exists():
        parts = _parts(folder, rows, num_processes)
        _make_parts(list(parts.items())[process::num_processes], rows, propose, quiet=process != 0)
        gather(None)
        if process == 0:
            try:
                _join(folder, list(parts))
            except FileNotFoundError:  # another launch, of the same table at the same time, was first
                if not (folder / "checksums.json").exists():
                    raise
        gather(None)
    return CandidateTable(folder)


def _parts(folder: Path, rows: Rows, num_processes: int) -> dict[Path, slice]:
    """The files of the parts and the rows of each: parts of like size, and as many for every process."""
    per_process = -(-len(rows) // (PART_ROWS * num_processes))
    size = max(-(-len(rows) // max(per_process * num_processes, 1)), 1)
    begins = range(0, max(len(rows), 1), size)
    return {
        folder / f"part-{number:05d}-of-{len(begins):05d}.npz": slice(begin, begin + size)
        for number, begin in enumerate(begins)
    }


def _make_parts(
    parts: Sequence[tuple[Path, slice]], rows: Rows, propose: Callable[[Batch], Proposals], quiet: bool
) -> None:
    """Makes those of a process's parts that are not there."""
    from tqdm.auto import tqdm

    for path, share in tqdm(parts, desc="Candidates", unit="part", disable=True if quiet else None):
        keys = rows.keys[share]
        part = _read_part(path)
        if part is None or not np.array_equal(part["keys"], keys):
            count, entries = propose(rows.batch(share.start, share.stop))
            with atomic_write(path) as file:
                np.savez(file, keys=keys, count=count, entries=entries)


def _join(folder: Path, parts: Sequence[Path]) -> None:
    """Makes one table of all parts, and takes them away."""
    keys, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for path in parts:
        with np.load(path) as part:
            keys.append(part["keys"])
            counts.append(part["count"])
    first = np.concatenate([[0], np.concatenate(counts).cumsum()])
    for name, array in (("keys.npy", np.concatenate(keys)), ("first.npy", first)):
        with atomic_write(folder / name) as file:
            np.save(file, array)
    with atomic_write(folder / "entries.npy") as file:
        for i, path in enumerate(parts):
            with np.load(path) as part:
                entries = part["entries"]
            if i == 0:
                header = {"descr": np.lib.format.dtype_to_descr(entries.dtype), "fortran_order": False}
                np.lib.format.write_array_header_2_0(file, {**header, "shape": (int(first[-1]),)})
            file.write(entries.tobytes())
    checksums = {name: _checksum(folder / name) for name in _FILES}
    write_json(folder / "checksums.json", checksums)
    for path in folder.glob("part-*.npz"):  # those of an interrupted launch of more or fewer processes, too
        path.unlink(missing_ok=True)


def _read_part(path: Path) -> dict[str, np.ndarray] | None:
    """A part, `None` where it is not there or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:  # the zip's checksums show a flipped byte
            return {name: arrays[name] for name in ("keys", "count", "entries")}
    except Exception:  # a damaged archive raises all kinds
        return None


def _check_shared(folder: Path, seen: Sequence[bool]) -> None:
    if not all(seen):
        blind = [number for number, sees in enumerate(seen) if not sees]
        raise ValueError(
            f"The candidate table in {folder}, on the machine of process 0, is not there for the processes {blind}, "
            "but all of them make and read it. Name a folder on a file system that all machines share (cache_dir, or "
            "the environment variable HF_MMEL_CACHE)."
        )


def _check_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    try:
        found = dict(json.loads((folder / "manifest.json").read_text()))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"{folder / 'manifest.json'} is damaged. Delete the folder, or give another path.") from error
    differing = [name for name in manifest if found.get(name) != manifest[name]]
    if differing:
        raise ValueError(
            f"{folder} has a candidate table of which {', '.join(differing)} differ from what was expected. Give "
            "another path, or none for one of its own, or delete the folder if the old table is not needed."
        )


def _is_sound(folder: Path) -> bool:
    """Whether the files of a complete table are as they were written."""
    try:
        checksums = json.loads((folder / "checksums.json").read_text())
        return checksums == {name: _checksum(folder / name) for name in _FILES}
    except (OSError, ValueError, RecursionError):
        return False


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _blocks(dataset: Any) -> Iterator[list[Sequence[int]]]:
    """The rows of token ids of a data set, a block at a time. The choices of multiple choice are rows of their own."""
    plain = dataset.with_format(None) if hasattr(dataset, "with_format") else None
    if plain is not None and dataset.format["type"] == "custom":
        plain = None  # a transform makes the rows
    for begin in range(0, len(dataset), _BLOCK_ROWS):
        end = min(begin + _BLOCK_ROWS, len(dataset))
        try:
            if plain is not None:
                rows = plain.select_columns("input_ids")[begin:end]["input_ids"]
            else:
                rows = [dataset[i]["input_ids"] for i in range(begin, end)]
            nested = len(rows) > 0 and len(rows[0]) > 0 and np.ndim(rows[0][0]) > 0
            yield [choice for row in rows for choice in row] if nested else rows
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("The data set has rows without input_ids; expected those of a tokenizer.") from error


def _launch() -> tuple[int, int, Callable[[Any], list[Any]]]:
    """Number of this process, number of processes, and what waits for all of them and gives the values of all."""
    import torch

    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed and int(os.environ.get("WORLD_SIZE", "1")) <= 1:
        return 0, 1, lambda value: [value]
    from accelerate import PartialState
    from accelerate.utils import gather_object

    state = PartialState(cpu=default_device() == "cpu")
    return state.process_index, state.num_processes, lambda value: gather_object([value])
