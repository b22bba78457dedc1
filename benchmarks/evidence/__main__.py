"""The evaluation of docs/protocol.md.

    python -m benchmarks.evidence --model PATH_OR_NAME --data GLUE_FOLDER FEWSHOT_FOLDER --stage tune
    python -m benchmarks.evidence --model ... --data ... --stage tune --tasks sst2_tuning --sizes 1000
    python -m benchmarks.evidence --model ... --data ... --tasks subj trec mr --sizes 20 --stage steps
    python -m benchmarks.evidence --model ... --data ... --tasks subj trec mr --sizes 20 --budget 60m
    python -m benchmarks.evidence --table

The stage "tune" trains every point of the methods on the tuning data; "steps" finds the number of steps of each task
and size; "report" trains each method with its best point. What has not been chosen yet is left out. One line per run
is added to `--results`, and runs that are there are skipped. The logits of each run are kept in `--work_dir`.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from hf_mmel.compare.options import read_seconds

from .methods import CORE, METHODS, group_of
from .picture import draw
from .runs import Results, phases, planned, run_all
from .tables import tables


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    conditions = {"model": Path(args.model).name, "device": args.device}
    results = Results(args.results, conditions)
    if args.table:
        lines = [line for line in results.lines if line["run"]["task"] in args.tasks]
        lines = [line for line in lines if not args.sizes or line["run"]["size"] in args.sizes]
        print("\n".join(tables(lines, args.methods)))
        if args.picture:
            draw(lines, args.methods).savefig(args.picture, metadata={"Software": None})
        return 0
    deadline, num_failed = time.monotonic() + args.budget, 0
    group = group_of(args.tasks[0], args.sizes[0] if args.sizes else "")
    methods = [name for name in args.methods if name in group.methods]
    for names in phases(args.stage, group, methods):
        for said, is_failed in run_all(args, results, list(planned(args, group, results, names)), deadline):
            print(said, file=sys.stderr if is_failed else sys.stdout, flush=True)
            num_failed += is_failed
    return int(num_failed > 0)


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="minilm-mlm", help="Name or folder of an encoder with a masked-LM head.")
    parser.add_argument("--data", nargs="+", type=Path, default=[], help="Folders with a folder for each task.")
    parser.add_argument("--stage", choices=["tune", "steps", "report"], default="report")
    parser.add_argument("--tasks", nargs="+", default=["subj", "trec", "mr"], help="Of the runs, or of the tables.")
    parser.add_argument(
        "--sizes",
        nargs="+",
        help="Labelled examples of each class (in all for stsb and cifar10), or whole; of the runs or of the tables.",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(CORE))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(1, 11)))
    parser.add_argument("--budget", help="Start no run that would end after this time, such as 60m.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="Runs at once, each on one thread of a CPU.")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--table", action="store_true", help="Print the tables of the finished runs.")
    parser.add_argument("--picture", type=Path, help="With --table, also write a picture of the differences to none.")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/evidence.jsonl"))
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/evidence"))
    args = parser.parse_args(argv)
    args.budget = read_seconds("budget", args.budget)
    if not args.table and not args.data:
        parser.error("--data is needed: the folders of GLUE, of the few-shot tasks and of CIFAR-10")
    if not args.table and args.stage != "tune" and not args.sizes:
        parser.error("--sizes is needed, such as 5 20")
    if not args.table and len({id(group_of(task, size)) for task in args.tasks for size in args.sizes or [""]}) > 1:
        parser.error(f"--tasks {args.tasks} with --sizes {args.sizes} do not all share their settings; run them apart")
    return args


if __name__ == "__main__":
    sys.exit(main())
