"""What unlabelled text adds where few examples have a label.

    python -m benchmarks.unlabelled --model PATH_OR_NAME --data FOLDER [FOLDER ...]
    python -m benchmarks.unlabelled --model PATH_OR_NAME --data FOLDER --tasks trec --labels_per_class 8

A task is a folder with parquet files of its name in one of the `--data` folders, with a column of texts and a `label`.
In each run so many examples of each class have a label, drawn by the seed; the others are the unlabelled text, at most
`--max_unlabeled` of them. All methods of a seed have the same examples, steps and first weights. Accuracy is that on
`validation`, or `test` where there is none.

- `none`: fine-tuning on the labelled examples.
- `soft`: MMEL-S on the labelled examples.
- `soft + unlabelled`: with the divergence term of the unlabelled examples, above a threshold of 0.8 and, where this
  version has it, with soft labels at the temperature 0.4, as unsupervised data augmentation has them.
- `pseudo_label`, `entropy`: `none` with these losses of the unlabelled examples, pseudo-labels above 0.8.

Runs are kept in `--work_dir`, so that a second call only makes what is missing.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback, set_seed

from augment import Augmenter
from augment.registry import WITH_MODEL, augmenter_config, limited
from hf_mmel import MMELTrainer, MMELTrainingArguments


MAX_LENGTH = 64
_UDA: dict[str, Any] = {"confidence_threshold": 0.8}
if "soft_label_temperature" in MMELTrainingArguments.__dataclass_fields__:
    _UDA["soft_label_temperature"] = 0.4
SUPERVISED: dict[str, dict[str, Any]] = {"none": {"mmel_loss": "none"}, "soft": {"mmel_loss": "soft"}}
METHODS: dict[str, dict[str, Any]] = {
    **SUPERVISED,
    "soft + unlabelled": {"mmel_loss": "soft", **_UDA},
    "pseudo_label": {"mmel_loss": "none", "unlabeled_loss": "pseudo_label", "confidence_threshold": 0.8},
    "entropy": {"mmel_loss": "none", "unlabeled_loss": "entropy"},
}


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Name or folder of an encoder.")
    parser.add_argument("--data", nargs="+", type=Path, required=True, help="Folders with a folder for each task.")
    parser.add_argument("--tasks", default="sst2,subj,trec", help="Separated by commas.")
    parser.add_argument("--labels_per_class", default="8,50", help="Separated by commas.")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--max_steps", type=int, default=100)
    parser.add_argument("--max_unlabeled", type=int, default=5000)
    parser.add_argument("--max_test", type=int, default=1000)
    parser.add_argument("--batch_size", type=int, default=8, help="Labelled examples of a step.")
    parser.add_argument("--unlabeled_ratio", type=float, default=2.0)
    parser.add_argument("--lambda_u", type=float, default=1.0)
    parser.add_argument("--num_variants", type=int, default=1, help="K")
    parser.add_argument("--augmenter", default="synonyms")
    parser.add_argument("--learning_rate", type=float, default=1e-4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/unlabelled"))
    args = parser.parse_args(argv)
    args.tasks = args.tasks.split(",")
    args.labels_per_class = [int(number) for number in args.labels_per_class.split(",")]
    return args


def read(folders: Sequence[Path], task: str, split: str) -> Dataset | None:
    """The rows of a split, with the columns `text` and `label`; `None` if there are none."""
    files = [file for folder in folders for file in sorted((folder / task).glob(f"{split}*.parquet"))]
    if not files:
        return None
    rows = Dataset.from_parquet([str(file) for file in files])
    text = next(name for name in rows.column_names if name in ("text", "sentence"))
    return rows.select_columns([text, "label"]).rename_columns({} if text == "text" else {text: "text"})


def drawn(labels: Sequence[int], per_class: int, max_unlabeled: int, seed: int) -> tuple[list[int], list[int]]:
    """The numbers of the labelled examples, `per_class` of each class, and of the unlabelled ones, by the seed."""
    order = np.random.default_rng(seed).permutation(len(labels))
    classes = np.asarray(labels)[order]
    labelled = np.concatenate([order[classes == label][:per_class] for label in np.unique(classes)])
    others = order[~np.isin(order, labelled)]
    return labelled.tolist(), others[:max_unlabeled].tolist()


def run(args: argparse.Namespace, task: str, per_class: int, seed: int, method: str) -> dict[str, float]:
    """Accuracy of a run, and the seconds of its training."""
    train, test = read(args.data, task, "train"), read(args.data, task, "validation") or read(args.data, task, "test")
    if train is None or test is None:
        raise SystemExit(f"--data has no files train*.parquet and validation*.parquet or test*.parquet of {task!r}.")
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    labelled, unlabelled = drawn(train["label"], per_class, args.max_unlabeled, seed)
    parts = train.select(labelled), train.select(unlabelled).remove_columns("label")
    parts = (*parts, test.select(range(min(len(test), args.max_test))))
    options = {"batched": True, "remove_columns": "text", "fn_kwargs": {"tokenizer": tokenizer}}
    labelled_rows, unlabelled_rows, test_rows = (part.map(_tokenize, **options) for part in parts)
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=max(train["label"]) + 1)
    config = augmenter_config(args.augmenter, args.model if args.augmenter in WITH_MODEL else None)
    with tempfile.TemporaryDirectory() as folder:
        training = MMELTrainingArguments(
            folder,
            **{"lambda_u": args.lambda_u, **METHODS[method]},
            unlabeled_ratio=args.unlabeled_ratio,
            num_variants=args.num_variants,
            max_steps=args.max_steps,
            per_device_train_batch_size=args.batch_size,
            per_device_eval_batch_size=64,
            learning_rate=args.learning_rate,
            warmup_steps=args.max_steps // 10,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        trainer = MMELTrainer(
            model,
            training,
            train_dataset=labelled_rows,
            processing_class=tokenizer,
            augmenter=Augmenter.from_dict(limited(config, MAX_LENGTH), tokenizer),
            unlabeled_dataset=None if method in SUPERVISED else unlabelled_rows,
        )
        trainer.remove_callback(PrinterCallback)
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        predicted: Any = trainer.predict(test_rows)
    accuracy = float((predicted.predictions.argmax(axis=1) == predicted.label_ids).mean())
    return {"accuracy": accuracy, "seconds": seconds}


def _tokenize(batch: dict[str, Any], tokenizer: Any) -> dict[str, Any]:
    return tokenizer(batch["text"], truncation=True, max_length=MAX_LENGTH)


def key_of(args: argparse.Namespace, task: str, per_class: int, seed: int, method: str) -> dict[str, Any]:
    """What a result depends on, as JSON values."""
    kept = {name: value for name, value in vars(args).items() if name not in _NOT_IN_KEY}
    run_options = {"task": task, "labels_per_class": per_class, "seed": seed, "method": method}
    return {**kept, **run_options, "fields": METHODS[method]}


_NOT_IN_KEY = {"data", "tasks", "labels_per_class", "seeds", "methods", "threads", "work_dir"}


def table(found: dict[tuple[str, int, str], list[dict[str, float]]]) -> list[str]:
    """A row for each task, number of labels and method."""
    lines = [
        "| task | labels per class | method | accuracy, % | of each seed | seconds |",
        "|---|---:|---|---:|---|---:|",
    ]
    for (task, per_class, method), results in found.items():
        accuracies = [100 * result["accuracy"] for result in results]
        spread = f" ± {statistics.stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
        each = ", ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        seconds = statistics.mean(result["seconds"] for result in results)
        mean = f"{statistics.mean(accuracies):.1f}{spread}"
        lines.append(f"| {task} | {per_class} | {method} | {mean} | {each} | {seconds:.0f} |")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    torch.set_num_threads(args.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    args.work_dir.mkdir(parents=True, exist_ok=True)
    path = args.work_dir / "results.jsonl"
    path.touch()
    finished = [json.loads(line) for line in path.read_text().splitlines()]
    known = {json.dumps(entry["run"], sort_keys=True): entry["result"] for entry in finished}
    found: dict[tuple[str, int, str], list[dict[str, float]]] = {}
    for task in args.tasks:
        for per_class in args.labels_per_class:
            for seed in args.seeds:
                for method in args.methods:
                    options = key_of(args, task, per_class, seed, method)
                    if (key := json.dumps(options, sort_keys=True)) not in known:
                        known[key] = run(args, task, per_class, seed, method)
                        with path.open("a") as file:
                            file.write(json.dumps({"run": options, "result": known[key]}) + "\n")
                        print(task, per_class, method, seed, known[key], file=sys.stderr, flush=True)
                    found.setdefault((task, per_class, method), []).append(known[key])
    print(*table(found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
