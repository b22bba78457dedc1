"""
Tables of candidates for the rows of a dataset, computed once and read through a memory map that processes share.

A table is a folder. `manifest.json` describes what it was made of. While it is being made, its rows are in part files,
each written atomically. The rows of a part have about the same length, so that the model computes little padding.
Parts depend on the rows alone and not on the number of processes: rounding may depend on the rows in a batch, and can
change a candidate. In the end the parts become `keys.npy`, `first.npy` and `entries.npy`, in the order of the keys;
`checksums.json` is written last and marks the table as complete. A table may be in a store; each machine reads a copy.
"""

import hashlib
import json
import logging
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, cast

import numpy as np
from filelock import FileLock

from ..core.atomic_file import atomic_write, write_json
from ..core.batch import Batch
from ..core.ragged import find, ranges, run_hashes
from ..core.shared_folder import open_folder
from ..core.storage import file_type, is_on_disk, store_errors


logger = logging.getLogger(__name__)

PART_TOKENS, LEAST_TOKENS = 1 << 17, 64
_NUM_PARTS = 32  # of less than 32 * 131,072 tokens, so that all processes have some
_BLOCK_ROWS = 10_000
_FILES = ("keys.npy", "first.npy", "entries.npy")

# For the rows of a batch: the number of words with candidates in each row, and the words as a record array.
Proposals = tuple[np.ndarray, np.ndarray]


class Pending(NamedTuple):
    """Proposals that a device may still be computing: whether they are there, and how to get, and wait for, them."""

    is_ready: Callable[[], bool]
    result: Callable[[], Proposals]


def entry_type(top_m: int) -> np.dtype:
    """A word: the position of its first token in the row; candidates, -1 where there are fewer; log-probabilities."""
    return np.dtype([("start", "<i4"), ("ids", "<i4", (top_m,)), ("scores", "<f2", (top_m,))])


class CandidateTable:
    """A complete table, opened from its folder."""

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        # As plain arrays, which still are views of the memory maps, they are faster to index.
        arrays = (np.asarray(np.load(self.folder / name, mmap_mode="r")) for name in _FILES)
        self._keys, self._first, self._entries = arrays

    def __len__(self) -> int:
        return len(self._keys)

    def matches(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the table was made of what the manifest describes."""
        return json.loads((self.folder / "manifest.json").read_text()) == json.loads(json.dumps(manifest))

    def __reduce__(self):
        return CandidateTable, (self.folder,)

    def lookup(self, batch: Batch) -> tuple[np.ndarray, Proposals]:
        """Which rows are in the table, `(B,)`, and the candidates of these rows."""
        row = find(self._keys, run_hashes(batch.ids, batch.starts, batch.lengths))
        known = (row >= 0) & (batch.lengths > 0)
        row = row[known]
        count = self._first[row + 1] - self._first[row]
        return known, (count, self._entries[ranges(self._first[row], count)])


class UniqueRows:
    """The distinct rows of a dataset with `input_ids`, in the order of their hashes."""

    def __init__(self, dataset: Any):
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"Received a {type(dataset).__name__}; expected a dataset of known length, or a list of examples. "
                "The candidates of a stream are computed when its rows arrive, without a table."
            )
        blocks = [Batch(rows) for rows in _blocks(dataset)]
        ids = np.concatenate([np.zeros(0, np.int32), *(block.ids.astype(np.int32) for block in blocks)])
        lengths = np.concatenate([np.zeros(0, np.int64), *(block.lengths for block in blocks)])
        self._rows, some = Batch.of_arrays(ids, lengths), np.flatnonzero(lengths)
        self.keys, first = np.unique(run_hashes(ids, self._rows.starts[some], lengths[some]), return_index=True)
        self._chosen = some[first]
        self.lengths = lengths[self._chosen]

    def __len__(self) -> int:
        return len(self.keys)

    def batch(self, rows: np.ndarray) -> Batch:
        return self._rows.take(self._chosen[rows])

    def fingerprint(self) -> str:
        return hashlib.sha256(self.keys.tobytes()).hexdigest()


def make_table(
    folder: Path, rows: UniqueRows, manifest: Mapping[str, Any], propose: Callable[[Batch], Pending], copies: Path
) -> CandidateTable:
    """
    Opens the table in a folder, after making or completing it if necessary. Distributed processes share the work, so
    all must be able to access the folder. A folder in a store is copied to a folder in `copies`. `manifest` is
    everything that determines the candidates, as plain data; a folder with another one raises a `ValueError`.
    `propose` begins to compute the candidates of a batch.
    """
    process, num_processes, gather = open_folder(folder, manifest, "candidate table")
    checksum_file = folder / "checksums.json"
    if process == 0 and file_type(checksum_file) and _intact(folder, copies) is None:
        logger.warning("The candidate table in %s is damaged and will be made again.", folder)
        checksum_file.unlink(missing_ok=True)
    if not gather(process == 0 and file_type(checksum_file) is not None)[0]:
        parts = _parts(folder, rows)
        _make_parts(list(parts.items())[process::num_processes], rows, propose, quiet=process != 0)
        gather(None)
        if process == 0:
            try:
                _join(folder, list(parts))
            except FileNotFoundError:  # another launch has made the same table at the same time
                if not checksum_file.exists():
                    raise
        gather(None)
    if is_on_disk(folder):
        return CandidateTable(folder)
    if (copy := _intact(folder, copies)) is None:
        raise OSError(f"The candidate table in {folder} was made and is damaged. Run the same call to make it again.")
    return CandidateTable(copy)


def _parts(folder: Path, rows: UniqueRows) -> dict[Path, np.ndarray]:
    """The part files and the numbers of their rows, the longest rows first, which take the most memory."""
    order = (-rows.lengths).argsort(kind="stable")
    lengths = rows.lengths[order]
    size = min(max(int(lengths.sum()) // _NUM_PARTS, LEAST_TOKENS), PART_TOKENS)
    part = (lengths.cumsum() - lengths) // size
    shares = np.split(order, np.flatnonzero(np.diff(part)) + 1)
    return {folder / f"part-{number:05d}-of-{len(shares):05d}.npz": share for number, share in enumerate(shares)}


def _make_parts(
    parts: Sequence[tuple[Path, np.ndarray]], rows: UniqueRows, propose: Callable[[Batch], Pending], quiet: bool
) -> None:
    """Makes the missing ones among a process's parts."""
    from tqdm.auto import tqdm

    begun: deque[tuple[Path, np.ndarray, Pending]] = deque()

    def write() -> None:
        path, share, pending = begun.popleft()
        count, entries = pending.result()
        with atomic_write(path) as file:
            np.savez(file, keys=rows.keys[share], count=count, entries=entries)

    for path, share in tqdm(parts, desc="Candidates", unit="part", disable=True if quiet else None):
        if not _has_keys(path, rows.keys[share]):
            begun.append((path, share, propose(rows.batch(share))))
        # A GPU computes one part while the host writes the part before it and prepares the part after it.
        while len(begun) > 1 or (begun and begun[0][2].is_ready()):
            write()
    while begun:
        write()


def _has_keys(path: Path, keys: np.ndarray) -> bool:
    """Whether a part exists, is intact and has these rows."""
    try:
        with (
            path.open("rb") as file,
            np.load(file, allow_pickle=False) as arrays,
        ):  # reading all arrays checks the checksums of the archive
            part = {name: arrays[name] for name in ("keys", "count", "entries")}
    except Exception:  # a damaged archive raises all kinds
        return False
    return np.array_equal(part["keys"], keys)


def _join(folder: Path, parts: Sequence[Path]) -> None:
    """Joins all parts into one table and deletes them."""
    if is_on_disk(folder):
        _write_arrays(folder, parts)
        write_json(folder / "checksums.json", _checksums(folder))
    else:
        remote: Any = folder
        with TemporaryDirectory() as name:
            _write_arrays(Path(name), parts)
            for file in _FILES:
                with store_errors(folder / file, "written"):
                    remote.fs.put_file(f"{name}/{file}", (remote / file).path)
            write_json(folder / "checksums.json", _checksums(Path(name)))
    for path in parts:
        path.unlink(missing_ok=True)


def _write_arrays(folder: Path, parts: Sequence[Path]) -> None:
    """Writes the arrays of all parts into a folder on this machine."""
    keys, counts = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for path in parts:
        with path.open("rb") as source, np.load(source) as part:
            keys.append(part["keys"])
            counts.append(part["count"])
    key, count = np.concatenate(keys), np.concatenate(counts)
    order = key.argsort()
    first = np.concatenate([[0], count[order].cumsum()])
    for name, array in (("keys.npy", key[order]), ("first.npy", first)):
        with atomic_write(folder / name) as file:
            np.save(file, array)
    places = np.empty_like(count)
    places[order] = first[:-1]  # where the entries of each row begin
    rows = iter(zip(places.tolist(), count.tolist(), strict=True))
    with atomic_write(folder / "entries.npy") as file:  # which may be large: one part in memory at a time
        for i, path in enumerate(parts):
            with path.open("rb") as source, np.load(source) as part:
                entries, num_rows = part["entries"], len(part["keys"])
            if i == 0:
                header = {"descr": np.lib.format.dtype_to_descr(entries.dtype), "fortran_order": False}
                np.lib.format.write_array_header_2_0(file, {**header, "shape": (int(first[-1]),)})
                offset, data_size = file.tell(), entries.dtype.itemsize
            data, begin = entries.tobytes(), 0
            for place, length in islice(rows, num_rows):
                end = begin + length * data_size
                file.seek(offset + place * data_size)
                file.write(data[begin:end])
                begin = end


def _intact(folder: Path, copies: Path) -> Path | None:
    """
    Where a complete table can be mapped: its folder, or a copy of a folder in a store, which is made if it is missing
    or damaged. `None` if the files of the folder do not fit their checksums.
    """
    if is_on_disk(folder):
        return folder if _fits_checksums(folder) else None
    marks = {name: (folder / name).read_bytes() for name in ("manifest.json", "checksums.json")}
    digest = hashlib.sha256(b"".join(marks.values())).hexdigest()
    copy, remote = copies / f"masked-lm-copy-{digest[:16]}", cast(Any, folder)
    copy.mkdir(parents=True, exist_ok=True)
    with FileLock(copy / "lock"):  # one process of a machine copies, the others wait
        for name, content in marks.items():
            with atomic_write(copy / name) as file:
                file.write(content)
        if _fits_checksums(copy):
            return copy
        for name in _FILES:
            try:
                with atomic_write(copy / name) as file, store_errors(folder / name, "read"):
                    remote.fs.get_file((remote / name).path, file.name)
            except FileNotFoundError:
                return None
        return copy if _fits_checksums(copy) else None


def _fits_checksums(folder: Path) -> bool:
    """Whether the files of a table on this machine fit their checksums."""
    try:
        return json.loads((folder / "checksums.json").read_text()) == _checksums(folder)
    except (OSError, ValueError, RecursionError):
        return False


def _checksums(folder: Path) -> dict[str, int]:
    return {name: zlib.crc32(np.memmap(folder / name, mode="r").data) for name in _FILES}


def _blocks(dataset: Any) -> Iterator[list[Sequence[int]]]:
    """The rows of token ids of a dataset, block by block. Each choice of a multiple-choice example is a row."""
    # A transform makes rows one by one.
    has_columns = hasattr(dataset, "with_format") and dataset.format["type"] != "custom"
    for begin in range(0, len(dataset), _BLOCK_ROWS):
        end = min(begin + _BLOCK_ROWS, len(dataset))
        try:
            if has_columns:
                rows = dataset.with_format(None).select_columns("input_ids")[begin:end]["input_ids"]
            else:
                rows = [dataset[i]["input_ids"] for i in range(begin, end)]
            nested = len(rows[0]) > 0 and np.ndim(rows[0][0]) > 0
            yield [choice for row in rows for choice in row] if nested else rows
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("The dataset has rows without input_ids; expected the output of a tokenizer.") from error
