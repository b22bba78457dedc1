"""How fast variants are made here and by other libraries, each in an environment of its own, on one thread.

    python -m benchmarks.augment_speed --mlm PATH_OR_NAME --data PATH_OR_NAME_OF_GLUE

A figure is the number of variants per CPU-second that differ from each other and from their sentence: K copies of the
sentence are no variants. Environments and figures are kept in `--work_dir`, so that a second call only measures what
is missing; `--fresh` measures again, `--only` names what. It is wanted after every change of the code here.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from augment.english.stopwords import STOP_WORDS

from .peers.measurements import COMPARISONS, ENVIRONMENTS, MEASUREMENTS, Measurement


ROOT = Path(__file__).parents[1]
WORDS_PER_SENTENCE = 15
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", default="nyu-mll/glue", help="GLUE: its name on the Hub, or a folder laid out like it."
    )
    parser.add_argument(
        "--mlm", default="bert-base-uncased", help="BERT's masked LM that all sides use: name or folder."
    )
    parser.add_argument("--num_sentences", type=int, default=1000)
    parser.add_argument("--num_variants", type=int, default=4, help="K.")
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/augment_speed"))
    parser.add_argument("--only", help=f"Comma-separated names of measurements: {', '.join(MEASUREMENTS)}.")
    parser.add_argument("--fresh", action="store_true", help="Measure again what was measured before.")
    parser.add_argument("--output", type=Path, help="JSON file for the table and all figures.")
    args = parser.parse_args()
    args.names = args.only.split(",") if args.only else list(MEASUREMENTS)
    if unknown := sorted(set(args.names) - MEASUREMENTS.keys()):
        parser.error(f"--only names {', '.join(unknown)}; expected some of {', '.join(MEASUREMENTS)}")
    args.work_dir = args.work_dir.absolute()
    if Path(args.mlm).is_dir():
        args.mlm = os.path.abspath(args.mlm)
    return args


def write_input(path: Path, data: str, num_sentences: int) -> None:
    """The first sentences of this length of SST-2's training split, and our stop words for those who take some."""
    from datasets import load_dataset

    sentences = (sentence.strip() for sentence in load_dataset(data, "sst2", split="train")["sentence"])
    texts = list(dict.fromkeys(sentence for sentence in sentences if len(sentence.split()) == WORDS_PER_SENTENCE))
    if len(texts) < num_sentences:
        raise ValueError(f"{data} has {len(texts)} sentences of {WORDS_PER_SENTENCE} words; expected {num_sentences}.")
    path.write_text(json.dumps({"texts": texts[:num_sentences], "stop_words": sorted(STOP_WORDS)}))


def save_tokenizer(name: str, path: Path) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(name).backend_tokenizer.save(str(path))


def python_of(environment: str | None, work_dir: Path) -> str:
    """The interpreter of an environment, which is made first where it is missing or of other packages."""
    if environment is None:
        return sys.executable
    folder = work_dir / "env" / environment
    python, installed = str(folder / "bin" / "python"), folder / "installed.json"
    steps = ENVIRONMENTS[environment]
    if not installed.exists() or json.loads(installed.read_text()) != steps:
        print(f"Making the environment {environment}.", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for options in steps:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *options], check=True)
        installed.write_text(json.dumps(steps))
    return python


def command_of(measurement: Measurement, args: argparse.Namespace) -> list[str]:
    runner = ["-m", "benchmarks.ours"]
    if measurement.environment is not None:
        runner = [str(ROOT / "benchmarks" / "peers" / f"{measurement.runner}.py")]
    values = {"mlm": args.mlm, "tokenizer": str(args.work_dir / "tokenizer.json")}
    options = {**measurement.options, "num_variants": args.num_variants, "repeats": measurement.repeats}
    options["num_sentences"] = min(measurement.num_sentences or args.num_sentences, args.num_sentences)
    arguments = [f"--{name}={str(value).format(**values)}" for name, value in options.items()]
    return [*runner, str(args.work_dir / "input.json"), *arguments]


def run(measurement: Measurement, args: argparse.Namespace) -> dict[str, Any]:
    """What the runner prints, in the median of its runs."""
    python, command = python_of(measurement.environment, args.work_dir), command_of(measurement, args)
    variables = {
        **os.environ,
        **ONE_THREAD,
        "TOKENIZERS_PARALLELISM": "false",
        "NLTK_DATA": os.environ.get("NLTK_DATA", os.path.join(sys.prefix, "nltk_data")),
        "HF_MMEL_CACHE": str(args.work_dir / "lexicons"),
        "TA_CACHE_DIR": str(args.work_dir / "textattack"),
    }
    results = []
    for _ in range(measurement.runs):
        done = subprocess.run([python, *command], cwd=ROOT, env=variables, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        results.append(json.loads(done.stdout.splitlines()[-1]))
    medians = ("seconds", "distinct_per_second", "startup_seconds")
    return {**results[-1], **{name: statistics.median(result[name] for result in results) for name in medians}}


def measure(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The results of all measurements so far, by name: those asked for that were missing are added to the file."""
    path = args.work_dir / "results.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    digest = hashlib.sha256((args.work_dir / "input.json").read_bytes()).hexdigest()
    keys = {
        name: {"name": name, "input": digest, "command": command_of(MEASUREMENTS[name], args)} for name in MEASUREMENTS
    }
    known = (line for line in lines if line["name"] in keys)
    results = {line["name"]: line for line in known if keys[line["name"]].items() <= line.items()}
    for name in args.names:
        if name in results and not args.fresh:
            continue
        print(f"Measuring {name}.", file=sys.stderr)
        results.pop(name, None)
        try:
            result = run(MEASUREMENTS[name], args)
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            continue
        results[name] = {**keys[name], **result}
        with path.open("a") as file:
            file.write(json.dumps(results[name]) + "\n")
    return results


def compare(results: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per comparison of which both sides are measured."""
    rows = []
    for comparison in COMPARISONS:
        if comparison.ours not in results or comparison.peer not in results:
            continue
        ours, peer = results[comparison.ours][comparison.figure], results[comparison.peer][comparison.figure]
        ratio = peer / ours if comparison.figure == "startup_seconds" else ours / peer
        rows.append({**vars(comparison), "our_figure": ours, "peer_figure": peer, "ratio": ratio})
    return rows


def print_tables(results: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    print("| measurement | sentences | variants | distinct | distinct per CPU-s | CPU-s to the first variants |")
    print("|---|---|---|---|---|---|")
    for name in (name for name in MEASUREMENTS if name in results):
        result = results[name]
        counts = f"{result['num_sentences']:,} | {result['num_variants']:,} | {result['distinct']:,}"
        print(f"| {name} | {counts} | {result['distinct_per_second']:,.1f} | {result['startup_seconds']:.2f} |")
    print("\n| ours | figure | | against | | ratio | target | |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        target = row["target"]
        verdict = "| " if target is None else f">= {target:g} | {'met' if row['ratio'] >= target else 'missed'}"
        ours, peer, ratio = (_short(row[name]) for name in ("our_figure", "peer_figure", "ratio"))
        print(f"| {row['ours']} | {row['figure']} | {ours} | {row['peer']} | {peer} | {ratio} | {verdict} |")


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.2f}"


def main() -> int:
    args = parse_arguments()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    write_input(args.work_dir / "input.json", args.data, args.num_sentences)
    save_tokenizer(args.mlm, args.work_dir / "tokenizer.json")
    results = measure(args)
    rows = compare(results)
    print_tables(results, rows)
    if args.output:
        args.output.write_text(json.dumps({"measurements": results, "comparisons": rows}, indent=2) + "\n")
    return int(any(name not in results for name in args.names))


if __name__ == "__main__":
    sys.exit(main())
