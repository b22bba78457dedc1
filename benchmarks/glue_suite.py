"""Whether MMEL generalises better: scores and robustness of many models trained on GLUE.

    python -m benchmarks.glue_suite --model PATH_OR_NAME --data PATH_OR_NAME_OF_GLUE --plan cpu
    python -m benchmarks.glue_suite --model ... --stage tune --grid lambda_p=0.1,1,10 num_variants=2,4
    python -m benchmarks.glue_suite --model ... --stage tune --choose
    python -m benchmarks.glue_suite --model ... --budget 60m
    python -m benchmarks.glue_suite --table

The stage "tune" trains on one part of the training set and scores another; it reads no validation data. `--choose`
writes the best settings to a file, with which the stage "report" trains, to be evaluated on the validation set. A
batch has as many examples whatever K is, so that all methods but `none_time` make the same number of optimisation
steps; `none_time` trains without variants for as long as `hard` takes. One line per run is appended to
`WORK_DIR/results.jsonl`, and finished runs are skipped.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import torch
import transformers

from benchmarks.suite.choose import choose
from benchmarks.suite.data import PERTURBATIONS
from benchmarks.suite.picture import draw
from benchmarks.suite.plan import ALL, AUGMENTERS, METHODS, PRESETS, Run, kinds_of, runs_of
from benchmarks.suite.schedule import Estimate
from benchmarks.suite.session import Job, conditions_of, epochs_of, has_settings, is_alike, jobs_of, run_all
from benchmarks.suite.settings import FILE, grid_of, read_axes, read_settings
from benchmarks.suite.store import Store
from benchmarks.suite.tables import tables
from benchmarks.suite.train import Bench
from hf_mmel.compare.text import duration


_SECONDS = {"s": 1, "m": 60, "h": 3600}


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    store = Store(args.results or args.work_dir / "results.jsonl")
    if args.table:
        lines = [line for line in store.lines if line["conditions"]["stage"] == "report" and "error" not in line]
        layers = read_settings(args.settings)
        lines = [line for line in lines if is_asked_for(Run(**line["run"]), args) and has_settings(line, layers)]
        args.work_dir.mkdir(parents=True, exist_ok=True)
        draw(args.work_dir / "glue_suite.png", lines)
        print("\n".join(tables(lines)))
        return 0
    be_quiet(args.threads)
    bench = bench_of(args)
    if args.choose:
        print("\n".join(choose([line for line in store.lines if is_alike(line, bench.conditions)], args.settings)))
        return 0
    layers = read_settings(args.settings)
    axes = read_axes(args.grid)

    def num_examples(run: Run) -> int:
        count = len(bench.task(run.task, layers["common"]["max_seq_length"]).train)
        return count if run.size == ALL else int(run.size)

    runs = runs_of(args.tasks, args.sizes, kinds_of(args.methods, args.augmenters), args.seeds)
    runs = [run for run in runs if run.size == ALL or int(run.size) < num_examples(run._replace(size=ALL))]
    jobs = jobs_of(runs, layers, lambda method: grid_of(axes, method))
    if args.plan is not None:
        measured = Estimate([line for line in store.lines if is_alike(line, bench.conditions)])
        open_jobs = [job for job in jobs if store.find(job[0], conditions_of(job, bench.conditions, layers)) is None]
        print_plan(open_jobs, measured, layers, num_examples)
        return 0
    deadline = None if args.budget is None else time.monotonic() + args.budget
    for line in run_all(jobs, store, bench.conditions, layers, bench.execute, num_examples, deadline):
        print(line, flush=True)
    return 0


def is_asked_for(run: Run, args: argparse.Namespace) -> bool:
    """Whether the tables are to have a run."""
    return run.task in args.tasks and (args.sizes is None or run.size in args.sizes)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="Name or folder of an encoder; with a masked-LM head, where mlm is used.")
    parser.add_argument("--data", default="nyu-mll/glue", help="GLUE, name or folder.")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "rte", "stsb", "wnli"])
    parser.add_argument("--sizes", nargs="+", help=f"Numbers of training examples, or {ALL}.")
    parser.add_argument("--methods", nargs="+", choices=METHODS)
    parser.add_argument("--augmenters", nargs="+", choices=AUGMENTERS)
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--stage", choices=["tune", "report"], default="report")
    parser.add_argument("--grid", nargs="+", default=[], metavar="NAME=VALUES", help="For tune: lambda_p=0.1,1 ...")
    parser.add_argument("--choose", action="store_true", help="Write the settings that were best in tune.")
    parser.add_argument("--settings", type=Path, default=FILE, help="The file of settings.")
    parser.add_argument("--perturbations", nargs="+", choices=PERTURBATIONS, default=list(PERTURBATIONS))
    parser.add_argument("--max_eval_samples", type=int)
    parser.add_argument("--max_perturbed_samples", type=int, help="Of those, examples evaluated in perturbed forms.")
    parser.add_argument("--device", choices=list(PRESETS), default="cpu", help="Also says what is run by default.")
    parser.add_argument("--plan", choices=list(PRESETS), help="Print the unfinished runs of a device and their time.")
    parser.add_argument("--budget", type=seconds, help="Start no run that would end later, such as 60m.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--table",
        action="store_true",
        help="Print the tables of the tasks and sizes that there are with these settings, and draw "
        "WORK_DIR/glue_suite.png.",
    )
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/glue_suite"))
    parser.add_argument("--results", type=Path, help="File of the runs. Defaults to WORK_DIR/results.jsonl.")
    parser.add_argument("--cache_dir", help="Folder of downloads and lexicons.")
    args = parser.parse_args(argv)
    if args.model is None and not args.table:
        parser.error("--model is needed")
    if args.grid and args.stage != "tune":
        parser.error("--grid is for --stage tune; the validation data is not there to choose settings on")
    args.device = args.plan or args.device
    preset = PRESETS[args.device]
    if args.table:
        return args  # of all that there is, where nothing else is asked for
    for name in ("sizes", "methods", "augmenters"):
        setattr(args, name, getattr(args, name) or preset[name])
    args.seeds = args.seeds or list(range(1, preset["num_seeds"] + 1))
    if args.stage == "tune" and "none_time" in args.methods:
        args.methods.remove("none_time")  # which has the settings of none
    if "none_time" in args.methods and not {"none", "hard"} <= set(args.methods):
        parser.error("none_time takes the time of hard, by the speed of none; it needs the methods none and hard")
    return args


def seconds(text: str) -> float:
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if parts is None:
        raise argparse.ArgumentTypeError(f"{text!r}; expected a time such as 90s, 30m or 2h")
    return float(parts[1]) * _SECONDS[parts[2]]


def bench_of(args: argparse.Namespace) -> Bench:
    perturbations = () if args.stage == "tune" else tuple(args.perturbations)
    shared = (args.stage, args.device, perturbations, args.cache_dir)
    limits = (args.max_eval_samples, None if args.stage == "tune" else args.max_perturbed_samples)
    return Bench(args.model, args.data, args.work_dir, *shared, *limits)


def be_quiet(threads: int) -> None:
    torch.set_num_threads(threads)
    datasets.disable_progress_bars()
    datasets.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def print_plan(jobs: list[Job], estimate: Estimate, layers: dict, num_examples: Callable[[Run], int]) -> None:
    """The jobs with their expected seconds, and the sum of those that are known."""
    expected = [estimate.seconds(run, num_examples(run), epochs_of(run, settings, layers)) for run, settings in jobs]
    for (run, _), value in zip(jobs, expected, strict=True):
        print(f"{run}: {'unknown' if value is None else duration(value)}")
    known = [value for value in expected if value is not None]
    print(f"{len(jobs)} runs, {duration(sum(known))} for the {len(known)} whose time can be told.")


if __name__ == "__main__":
    sys.exit(main())
