"""Checks this project on a GPU in a few minutes: correctness first, then speed, memory and waits.

    python -m benchmarks.gpu_check --output gpu_check.json
    python -m benchmarks.gpu_check --only correctness scaling
    python -m benchmarks.gpu_check --device cpu --small     # every part with tiny models, to test the program

It needs no network and no files. Models have random weights, texts are made up. Rows of the table are printed as they
are found, and the file is written after each part, so that an interrupted check still says something.

The exit status is 1 if a check of `correctness`, `scaling` or `training` fails. Missed aims and measurements that end
with an error are in the table.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from transformers.utils import logging

from .gpu.encoders import free_memory
from .gpu.report import FAILED, MISSED, Place, Row, line, shown


class Part(NamedTuple):
    """A module of `benchmarks.gpu`: what its `rows(place)` check, its limit in seconds, and whether they must hold."""

    what: str
    seconds: int
    must_hold: bool = False


PARTS = {
    "correctness": Part("every way to train, in float32, bf16 and fp16, against float32 on the CPU", 80, True),
    "scaling": Part("gradient scaling of fp16 in several passes, with clipping and overflows", 30, True),
    "training": Part("a short training run under accelerate launch", 60, True),
    "waits": Part("how often a step waits for the GPU", 20),
    "times": Part("times of steps against their aims", 75),
    "masked_lm": Part("rows per second of the masked-LM table, and the share of the peak", 35),
    "memory": Part("peak memory in chunks against K = 1", 30),
    "launches": Part("kernels that a step launches", 20),
}
SLOWER = 4  # a CPU, even with tiny models: limits are as many times as long
HEADER = ("part", "check", "figure", "aim", "", "s")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parts = "\n".join(f"  {name:12} {part.what}; at most {part.seconds} s" for name, part in PARTS.items())
    parser = argparse.ArgumentParser(
        description=f"{__doc__}\nParts:\n{parts}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="JSON file for the table and all figures.")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), metavar="PART", help="Only these parts.")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="Tiny models and few rows.")
    return parser.parse_args(argv)


def refusal(args: argparse.Namespace) -> str | None:
    """Why nothing can be checked, if so."""
    if args.output and not args.output.parent.is_dir():
        return f"--output is {args.output}, whose folder does not exist; make it first"
    if args.device == "cuda" and not torch.cuda.is_available():
        return "torch finds no CUDA device; to test this program without one: --device cpu --small"
    if args.device == "cpu" and not args.small:
        return "--device cpu needs --small, since BERT-base would take hours"
    return None


def describe(device: str) -> dict[str, str]:
    """The device, its driver and the versions that count."""
    found = {"device": platform.processor() or platform.machine(), "driver": "none"}
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        found["device"] = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        found["driver"] = driver_version()
    found |= {"torch": torch.__version__, "CUDA": str(torch.version.cuda), "transformers": transformers.__version__}
    return {**found, "Python": platform.python_version()}


def driver_version() -> str:
    """The version of the NVIDIA driver, or "unknown"."""
    try:
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


class OutOfTime(BaseException):
    """The limit of a part is over. It is no `Exception`, so that no library takes it for an error of its own."""


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` in the block after so many seconds."""

    def stop(number, frame):
        raise OutOfTime

    earlier = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


class Table:
    """Prints rows as they are found, and keeps them as plain data."""

    def __init__(self):
        self.rows: list[dict[str, Any]] = []
        self._latest = time.monotonic()
        print(line(HEADER), "|---|---|---|---|---|---:|", sep="\n", flush=True)

    def add(self, part: str, row: Row) -> None:
        now = time.monotonic()
        seconds, self._latest = now - self._latest, now
        self.rows.append({"part": part, **asdict(row), "seconds": seconds})
        print(line([part, row.check, row.figure, row.aim, row.verdict, f"{seconds:.1f}"]), flush=True)


def run_part(name: str, place: Place, table: Table) -> None:
    """Adds the rows of a part, and a row that says so if it fails or its limit is over."""
    seconds = PARTS[name].seconds * (SLOWER if place.device == "cpu" else 1)
    try:
        with limit(seconds):
            for row in import_module(f"benchmarks.gpu.{name}").rows(place):
                table.add(name, row)
    except OutOfTime:
        table.add(name, Row("as a whole", f"stopped after {seconds} s", verdict=FAILED))
    except Exception as error:  # whatever it is, the other parts go on
        table.add(name, Row("as a whole", shown(error), verdict=FAILED))


def main(argv: list[str] | None = None) -> int:
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # with several GPUs `Trainer` would use all of them
    args = parse_arguments(argv)
    if reason := refusal(args):
        print(f"gpu_check: error: {reason}", file=sys.stderr)
        return 2
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    machine, start = describe(args.device), time.monotonic()
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="gpu_check") as folder:
        place = Place(args.device, args.small, Path(folder))
        for name in args.only or PARTS:
            run_part(name, place, table)
            free_memory()
            if args.output:
                content = {**machine, "seconds": time.monotonic() - start, "rows": table.rows}
                args.output.write_text(json.dumps(content, indent=1) + "\n")
    failed = [PARTS[row["part"]].must_hold for row in table.rows if row["verdict"] == FAILED]
    missed = sum(row["verdict"] == MISSED for row in table.rows)
    counts = f"{sum(failed)} checks and {len(failed) - sum(failed)} measurements failed, {missed} aims missed"
    print(f"{counts}, {time.monotonic() - start:.0f} seconds.", flush=True)
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
