"""How fast and in how much memory `python -m augment write` augments large datasets, in one process and in several.

    python -m benchmarks.scale --data PATH_OR_NAME_OF_GLUE
    python -m benchmarks.scale --estimate --price_per_core 0.05 --price_per_gpu 3

It measures `write` into a folder of parts with one process, with two shares, and with one and two workers of Ray, and
then the memory of one process for files of up to a million rows. Speed excludes the start: it is that of the parts
after the first one of each worker. Figures are appended to `--results`, so that a second call only measures what is
missing. Run it on a machine that does nothing else. `--estimate` computes what 100 million rows take from the figures.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
from pyarrow import parquet


ROOT = Path(__file__).parents[1]
QUIET = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "TRANSFORMERS_VERBOSITY": "error"}
# Name -> options of each process that runs at the same time, and the number of workers.
WAYS: dict[str, tuple[list[list[str]], int]] = {
    "one process": ([[]], 1),
    "2 shares": ([["--shard", "0/2"], ["--shard", "1/2"]], 2),
    "ray, 1 worker": ([["--engine", "ray", "--num_workers", "1"]], 1),
    "ray, 2 workers": ([["--engine", "ray", "--num_workers", "2"]], 2),
}
BASELINES = {"2 shares": "one process", "ray, 2 workers": "ray, 1 worker"}
INTERVAL = 0.2  # seconds between two looks at the processes


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    option = parser.add_argument
    option("--data", default="nyu-mll/glue", help="GLUE: its name on the Hub, or a folder laid out like it.")
    option("--augmenter", default="synonyms", help="As in `python -m augment write`.")
    option("--model", help="The model of the augmenter, if it needs one.")
    option("--num_variants", type=int, default=4, help="K, for speed.")
    option("--num_rows", type=int, default=400_000, help="Rows for speed.")
    option("--memory_augmenter", default="synonyms", help="The augmenter for memory; K is 1.")
    option("--memory_rows", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="Rows for memory.")
    option("--rows_per_part", type=int, default=10_000)
    option("--work_dir", type=Path, default=Path("outputs/scale"))
    option("--results", type=Path, default=ROOT / "benchmarks" / "results" / "scale.jsonl")
    option("--fresh", action="store_true", help="Measure again what was measured before.")
    option("--estimate", action="store_true", help="Only compute what 100 million rows take.")
    option("--price_per_core", type=float, default=0.05, help="Of an hour, in dollars: an example.")
    option("--price_per_gpu", type=float, default=3.0, help="Of an hour, in dollars: an example.")
    option("--gpu_rows_per_second", type=float, default=2000.0, help="Of one GPU: an example. Measure your own.")
    return parser.parse_args(argv)


def sentences(data: str) -> Iterator[str]:
    """The sentences of SST-2's training split; then, for ever, halves of two of them, so that few texts repeat."""
    from datasets import load_dataset

    texts = [text.strip() for text in load_dataset(data, "sst2", split="train")["sentence"]]
    yield from texts
    for shift in count(1):
        for i, text in enumerate(texts):
            first, second = text.split(), texts[(i + shift) % len(texts)].split()
            yield " ".join(first[: -(-len(first) // 2)] + second[len(second) // 2 :])


def write_input(path: Path, data: str, num_rows: int) -> None:
    """A parquet file of texts and labels, written row group by row group."""
    if path.exists():
        return
    texts = sentences(data)
    temporary = path.with_suffix(".tmp")
    with parquet.ParquetWriter(temporary, pa.schema({"text": pa.string(), "label": pa.int64()})) as writer:
        for first in range(0, num_rows, 10_000):
            rows = list(islice(texts, min(10_000, num_rows - first)))
            writer.write_table(pa.table({"text": rows, "label": [len(text) % 2 for text in rows]}))
    temporary.replace(path)


class Watch:
    """CPU time and memory of processes and all of their descendants, of which the dead are counted as last seen."""

    def __init__(self) -> None:
        self._cpu_seconds: dict[tuple[int, float], float] = {}
        self.peak_bytes = 0

    def look(self, processes: Sequence[psutil.Process]) -> None:
        num_bytes = 0
        for process in processes:
            for one in [process, *_descendants(process)]:
                try:
                    times = one.cpu_times()
                    self._cpu_seconds[one.pid, one.create_time()] = times.user + times.system
                    num_bytes += _peak_bytes(one)
                except (psutil.Error, OSError):  # it has ended
                    continue
        self.peak_bytes = max(self.peak_bytes, num_bytes)

    @property
    def cpu_seconds(self) -> float:
        return sum(self._cpu_seconds.values())


def _peak_bytes(process: psutil.Process) -> int:
    """The most memory that a process has had so far, on Linux, else what it has now."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return process.memory_info().rss
    (peak,) = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")] or ["0"]
    return 1024 * int(peak)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def measure(args: argparse.Namespace, setting: dict[str, Any]) -> dict[str, Any]:
    """Writes a folder of parts in one of the `WAYS` and returns the figures."""
    options, num_workers = WAYS[setting["way"]]
    source, folder = args.work_dir / f"{setting['rows']}.parquet", args.work_dir / "parts"
    write_input(source, args.data, setting["rows"])
    shutil.rmtree(folder, ignore_errors=True)
    program, variables = [sys.executable, "-m", "augment"], os.environ | QUIET
    shared = [f"--{name}={setting[name]}" for name in ("augmenter", "num_variants")]
    shared += [f"--model={args.model}"] if setting["model"] else []
    # The first command with an augmenter may build a lexicon, which all later ones load.
    subprocess.run(
        [*program, "preview", "--text=A film.", *shared], cwd=ROOT, env=variables, stdout=subprocess.DEVNULL
    )
    command = [*program, "write", str(source), str(folder), *shared, f"--rows_per_part={setting['rows_per_part']}"]
    watch, begin = Watch(), time.perf_counter()
    started = [
        subprocess.Popen([*command, *own], cwd=ROOT, env=variables, stdout=subprocess.DEVNULL) for own in options
    ]
    processes = [psutil.Process(process.pid) for process in started]
    while any(process.poll() is None for process in started):
        watch.look(processes)
        time.sleep(INTERVAL)
    seconds = time.perf_counter() - begin
    if any(process.returncode for process in started):
        raise RuntimeError(f"{' '.join(command)} failed.")
    notes = [(path.stat().st_mtime, json.loads(path.read_text())) for path in folder.glob("part-*.json")]
    result = {
        **setting,
        "cores": os.cpu_count(),
        "seconds": round(seconds, 2),
        "rows_per_second": _steady_speed([(moment, note["examples"]) for moment, note in notes], num_workers),
        "variants_per_cpu_second": round(sum(note["rows"] for _, note in notes) / watch.cpu_seconds, 1),
        "peak_mb": round(watch.peak_bytes / 1e6, 1),
    }
    shutil.rmtree(folder)
    return result


def _steady_speed(parts: Sequence[tuple[float, int]], num_workers: int) -> float | None:
    """Rows per second after each worker has written its first part, given the moment of each part and its rows."""
    parts = sorted(parts)
    begin, later = parts[num_workers - 1][0], parts[num_workers:]
    return round(sum(rows for _, rows in later) / (later[-1][0] - begin), 1) if later else None


def settings_of(args: argparse.Namespace) -> list[dict[str, Any]]:
    """What is to be measured."""
    shared = {"rows_per_part": args.rows_per_part, "data": Path(args.data).name}
    speed = {"augmenter": args.augmenter, "model": args.model and Path(args.model).name}
    speed |= {"num_variants": args.num_variants, "rows": args.num_rows}
    memory = {"augmenter": args.memory_augmenter, "model": None, "num_variants": 1}
    return [{"figure": "speed", "way": way, **speed, **shared} for way in WAYS] + [
        {"figure": "memory", "way": "one process", **memory, "rows": rows, **shared} for rows in args.memory_rows
    ]


def read_results(args: argparse.Namespace) -> list[dict[str, Any]]:
    """The latest figures of each setting that has any."""
    lines = args.results.read_text().splitlines() if args.results.exists() else []
    known = [json.loads(line) for line in lines]
    found = [[line for line in known if setting.items() <= line.items()] for setting in settings_of(args)]
    return [lines[-1] for lines in found if lines]


def print_tables(results: Sequence[dict[str, Any]]) -> None:
    speeds = {result["way"]: result for result in results if result["figure"] == "speed"}
    print("| | seconds | rows per second, without the start | efficiency | variants per CPU-second | MB |")
    print("|---|---:|---:|---:|---:|---:|")
    for way, result in speeds.items():
        efficiency = efficiency_of(way, speeds)
        shown = "" if efficiency is None else f"{efficiency:.0%}"
        speed = "" if result["rows_per_second"] is None else f"{result['rows_per_second']:,.0f}"
        print(
            f"| {way} | {result['seconds']:.0f} | {speed} | {shown} | {result['variants_per_cpu_second']:,.0f} "
            f"| {result['peak_mb']:,.0f} |"
        )
    print("\n| rows | seconds | peak MB |\n|---:|---:|---:|")
    for result in results:
        if result["figure"] == "memory":
            print(f"| {result['rows']:,} | {result['seconds']:.0f} | {result['peak_mb']:,.0f} |")


def efficiency_of(way: str, speeds: dict[str, dict[str, Any]]) -> float | None:
    """Speed of two workers, over twice the speed of one."""
    baseline = speeds.get(BASELINES.get(way, ""), {}).get("rows_per_second")
    speed = speeds[way]["rows_per_second"]
    return speed / (2 * baseline) if baseline and speed else None


def estimate(rows_per_second: float, num_workers: int, price_per_hour: float, num_rows: float = 1e8) -> str:
    """What a dataset takes, given the speed of a worker among others, and the price of a worker."""
    hours = num_rows / (rows_per_second * num_workers) / 3600
    return f"{hours:,.1f} hours, {hours * num_workers * price_per_hour:,.2f} dollars"


def print_estimates(args: argparse.Namespace, results: Sequence[dict[str, Any]]) -> None:
    speeds = {result["way"]: result for result in results if result["figure"] == "speed"}
    two = speeds.get("ray, 2 workers", {}).get("rows_per_second")
    print("\n100 million rows:")
    if two:
        cores = estimate(two / 2, 64, args.price_per_core)
        print(f"- 64 cores at {args.price_per_core:g} an hour, {two / 2:,.0f} rows per second each: {cores}")
    gpus = estimate(args.gpu_rows_per_second, 8, args.price_per_gpu)
    print(f"- 8 GPUs at {args.price_per_gpu:g} an hour, {args.gpu_rows_per_second:,.0f} rows per second each: {gpus}")


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    args.work_dir = args.work_dir.absolute()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    known = read_results(args)
    for setting in () if args.estimate else settings_of(args):
        if not args.fresh and any(setting.items() <= result.items() for result in known):
            continue
        print(f"Measuring {setting['figure']}: {setting['way']}, {setting['rows']:,} rows.", file=sys.stderr)
        result = measure(args, setting)
        with args.results.open("a") as file:
            file.write(json.dumps(result) + "\n")
    results = read_results(args)
    print_tables(results)
    print_estimates(args, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
