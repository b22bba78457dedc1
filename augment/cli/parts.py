"""`python -m augment write` into a folder of parts, and `python -m augment join`."""

import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from typing import Any

from ..configurable import check_count
from ..core.running import shown
from ..core.storage import location
from ..parts.folder import PartFolder, sums
from ..parts.job import PartJob
from ..parts.rows import VariantRows
from ..parts.source import Source
from ..registry import augmenter_config, is_class_path
from .output import SUFFIXES


ROWS_PER_PART = 10_000


def is_folder(out: str) -> bool:
    """Whether an output is a folder of parts: its name ends in a slash or has no suffix."""
    return out.endswith("/") or not location(out).suffix


def check_is_file(args: Namespace) -> None:
    """Raises a `ValueError` if the output is no file that can be written, or an option needs a folder."""
    suffix = location(args.output).suffix
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{args.output} ends in {suffix!r}; expected one of {', '.join(SUFFIXES)}, or a slash at the end for a "
            "folder of parts."
        )
    for name in ("shard", "engine", "num_workers", "rows_per_part"):
        if getattr(args, name) is not None:
            folder = f"{Path(args.output).stem}/"
            raise ValueError(f"--{name} needs a folder as OUT, such as {folder}; received the file {args.output}.")


def write_parts(args: Namespace, rows: VariantRows) -> Iterator[str]:
    """Writes the missing parts of a folder, or those of a share, and says what is there."""
    from tqdm import tqdm

    shard = None if args.shard is None else _shard(args.shard)
    if args.num_workers is not None:
        check_count("num_workers", args.num_workers)
        if args.engine is None:
            raise ValueError("--num_workers is for --engine ray; use --shard to share the work without it.")
    rows_per_part = ROWS_PER_PART if args.rows_per_part is None else args.rows_per_part
    check_count("rows_per_part", rows_per_part)
    run = _write_here if args.engine is None else _write_with_ray()
    job = PartJob(
        Source(args.input, rows.columns),
        args.output,
        rows,
        augmenter_config(args.augmenter, args.model, replace_prob=args.replace_prob, lang=args.lang),
        tokenizer=args.tokenizer,
        own_class=args.augmenter if is_class_path(args.augmenter) else None,
        rows_per_part=rows_per_part,
    )
    numbers = _share(shard or (0, 1), job.num_parts)
    missing = job.missing(numbers)
    num_rows, num_missing = (sum(len(job.folder.rows_of(i)) for i in parts) for parts in (numbers, missing))
    with tqdm(total=num_rows, initial=num_rows - num_missing, unit=" rows", disable=None) as bar:
        run(job, missing, args.num_workers, bar.update)
    if shard is None:
        yield summary(args.output, job.finish(), vars(rows), job.num_parts)
        return
    counts = sums(job.folder.written(numbers).values())
    yield (
        f"{summary(args.output, counts, vars(rows), len(numbers))} This is share {args.shard}, of {job.num_parts} "
        f"parts in all. When all shares are written, run: python -m augment join {quote(args.output)}"
    )


def join(args: Namespace) -> Iterator[str]:
    """Checks all parts of a folder and writes its manifest."""
    from tqdm import tqdm

    folder = PartFolder.found(args.output)
    with tqdm(total=folder.num_parts, unit=" parts", disable=None) as bar:
        damaged = folder.check(bar.update)
    if damaged:
        raise ValueError(
            f"{len(damaged)} of {folder.num_parts} parts in {args.output} are damaged: {shown(damaged)}. Run `write` "
            "again, which makes them again, and then `join`."
        )
    yield summary(args.output, folder.finish(), folder.settings, folder.num_parts)


def summary(out: Any, counts: Mapping[str, int], settings: Mapping[str, Any], num_parts: int | None = None) -> str:
    """A line that says what an output contains."""
    where = "" if num_parts is None else f" in {num_parts} parts"
    return (
        f"{out}: {counts['rows']} rows of {counts['examples']} examples{where}. "
        f"Of {counts['examples'] * settings['num_variants']} variants, {counts['copies']} were copies and "
        f"{'kept' if settings['keep_copies'] else 'left out'}."
    )


def _write_here(job: PartJob, numbers: Iterable[int], num_workers: None, progress: Callable[[int], Any]) -> None:
    for number in numbers:
        job.write(number, progress)


def _write_with_ray() -> Callable[..., None]:
    if find_spec("ray") is None:
        raise ImportError('--engine ray needs Ray, which is not installed: pip install "hf_mmel[ray]"')
    from ..ray_data import write_parts as run

    def write(job: PartJob, numbers: list[int], num_workers: int | None, progress: Callable[[int], Any]) -> None:
        for number in run(job, numbers, num_workers):
            progress(len(job.folder.rows_of(number)))

    return write


def _shard(option: str) -> tuple[int, int]:
    """The index of a share and the number of shares, from `I/N`."""
    found = re.fullmatch(r"(\d+)/(\d+)", option)
    if found is None or int(found[1]) >= int(found[2]):
        raise ValueError(
            f"--shard is {option!r}; expected I/N, share I of N, where I is from 0 to N - 1, such as 0/8 and 7/8."
        )
    return int(found[1]), int(found[2])


def _share(shard: tuple[int, int], num_parts: int) -> range:
    """The parts of a share, side by side, so that their rows are read one after the other."""
    index, num_shares = shard
    return range(num_parts * index // num_shares, num_parts * (index + 1) // num_shares)
