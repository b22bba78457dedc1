"""What training on few variants does to accuracy, for the same number of epochs and in the same time.

    python -m benchmarks.step_accuracy --model PATH_OR_NAME --data PATH_OR_NAME_OF_GLUE
    python -m benchmarks.step_accuracy --model PATH_OR_NAME --tasks rte --seeds 1 2 --ways "full K=4" "top K=4"

Each run is one of `run_glue_mmel.py`, with one thread; `--max_train_samples` holds for tasks that have more. Times are
those of training, collating included, without loading and evaluation; other work on the machine makes them longer.
Runs are kept in `--work_dir`, so that a second call only makes what is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


COMMAND = Path(__file__).parents[1] / "run_glue_mmel.py"
IN_THE_TIME_OF = " in the time of "
WAYS = {
    "plain": ["--mmel_loss", "none"],
    **{
        f"{how} K={k}": ["--num_variants", str(k), "--variant_backward", how]
        for k in (4, 8)
        for how in ("full", "top", "sample")
    },
    **{
        f"{how} K={k} reused": ["--num_variants", str(k), "--variant_backward", how, "--score_interval", "3"]
        for k in (4, 8)
        for how in ("top", "sample")
    },
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Name or folder of an encoder.")
    parser.add_argument("--data", default="nyu-mll/glue", help="GLUE, name or folder.")
    parser.add_argument("--tasks", nargs="+", default=["sst2", "rte"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--ways",
        nargs="+",
        default=list(WAYS),
        metavar="WAY",
        help=f"Of {', '.join(WAYS)}. 'WAY{IN_THE_TIME_OF}WAY' trains for as many epochs as take the time of the "
        "second; both come before.",
    )
    parser.add_argument("--max_train_samples", type=int, default=2500)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--mmel_loss", default="hard", choices=["hard", "soft"])
    parser.add_argument("--lambda_p", type=float, default=0.5)
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/step_accuracy"))
    args = parser.parse_args()
    for way in args.ways:
        if unknown := set(way.split(IN_THE_TIME_OF)) - set(WAYS):
            parser.error(f"--ways has {unknown.pop()!r}; expected some of {', '.join(WAYS)}")
    return args


def arguments_of(args: argparse.Namespace, task: str, way: str, seed: int, epochs: float) -> list[str]:
    """The arguments of one run, which also name its result."""
    return [
        *("--model_name_or_path", args.model),
        *("--dataset_name", args.data),
        *("--task_name", task),
        *("--max_train_samples", str(args.max_train_samples)),
        *("--mmel_loss", args.mmel_loss),
        *("--lambda_p", str(args.lambda_p)),
        *("--augmenter", "wordnet"),
        *("--replace_prob", "0.3"),
        *("--num_train_epochs", str(epochs)),
        *("--learning_rate", "5e-5"),
        *("--per_device_train_batch_size", "16"),
        *("--train_sampling_strategy", "group_by_length"),
        *("--seed", str(seed)),
        *WAYS[way],  # the last of two values counts
        *("--bf16", "--use_cpu", "--do_train", "--do_eval"),
        *("--save_strategy", "no", "--report_to", "none"),
    ]


def run(arguments: list[str]) -> dict[str, float]:
    """Accuracy of a run, and the seconds of its training."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(COMMAND), *arguments, "--output_dir", folder],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
        results = json.loads((Path(folder) / "all_results.json").read_text())
    return {"accuracy": results["eval_accuracy"], "seconds": results["train_runtime"]}


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def print_table(found: dict[tuple[str, str], list[dict[str, Any]]]) -> None:
    print("| task | way | accuracy, % | of each seed | seconds |\n|---|---|---:|---|---:|")
    for (task, way), results in found.items():
        accuracies = [100 * result["accuracy"] for result in results]
        each = ", ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        seconds = statistics.mean(result["seconds"] for result in results)
        print(f"| {task} | {way} | {spread(accuracies)} | {each} | {seconds:.0f} |")


def main() -> int:
    args = parse_arguments()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    path = args.work_dir / "results.jsonl"
    path.touch()
    finished = [json.loads(line) for line in path.read_text().splitlines()]
    known = {tuple(entry["arguments"]): entry["result"] for entry in finished}
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for task in args.tasks:
        for seed in args.seeds:
            seconds: dict[str, float] = {}
            for way in args.ways:
                own, _, other = way.partition(IN_THE_TIME_OF)
                epochs = round(args.epochs * seconds[other] / seconds[own], 2) if other else args.epochs
                arguments = arguments_of(args, task, own, seed, epochs)
                if (key := tuple(arguments)) not in known:
                    known[key] = run(arguments)
                    with path.open("a") as file:
                        file.write(json.dumps({"arguments": arguments, "result": known[key]}) + "\n")
                    print(task, way, seed, known[key], file=sys.stderr, flush=True)
                seconds[way] = known[key]["seconds"]
                found.setdefault((task, way), []).append(known[key])
    print_table(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
