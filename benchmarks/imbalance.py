"""What class weights, MMEL and feature separation do for a rare class, on clean inputs and under attack.

    python -m benchmarks.imbalance --data FOLDER_WITH_GLUE_AND_CIFAR10 --model PATH_OR_NAME
    python -m benchmarks.imbalance --data FOLDER --model PATH --tasks cifar10 --num_seeds 1 --max_steps 50

Each run trains on a slice with one example of the rare classes for ten of the others: of SST-2, where the rare class
is negative, with a pretrained encoder, and of CIFAR-10, where five of the ten classes are rare, with a small network
and random weights. Test sets are balanced. The attack is that of `AdversarialVariants` with two steps, on the word
embeddings or the pixels, and sees the model and the label. Training variants have one step of the same length.

Runs are kept in `--work_dir`, so that a second call only makes what is missing.
"""

import argparse
import json
import statistics
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedModel,
    PrinterCallback,
    ResNetConfig,
    ResNetForImageClassification,
    default_data_collator,
    set_seed,
)

from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments
from hf_mmel.data.groups import as_groups, layout_of
from hf_mmel.step.forward import VariantForward, evaluating


ADVERSARIAL = {"mmel_loss": "hard", "lambda_p": 0.5, "class_weights": "balanced"}
METHODS: dict[str, dict[str, Any]] = {
    "none": {"mmel_loss": "none"},
    "balanced": {"mmel_loss": "none", "class_weights": "balanced"},
    "effective": {"mmel_loss": "none", "class_weights": "effective"},
    "MMEL-H, adversarial, balanced": ADVERSARIAL,
    "MMEL-H, adversarial, balanced, separated": {**ADVERSARIAL, "feature_separation": 0.1},
}
MEAN, STD = np.array([0.491, 0.482, 0.447]), np.array([0.247, 0.243, 0.262])  # of CIFAR-10's colours
SCORES = ("minority recall", "balanced accuracy", "minority recall, attacked", "balanced accuracy, attacked")


class Task(ABC):
    """Training slices of a task, its test set and its models."""

    rare: tuple[int, ...]  # classes
    num_common: int  # training examples of each other class; a tenth as many of each rare one
    num_test: int  # test examples of each class
    step_size: float  # of an adversarial step
    options: dict[str, Any]
    collator: Any
    processing_class: Any = None

    @abstractmethod
    def rows(self, seed: int | None) -> Any:
        """A training slice, or the test set without a seed."""

    @abstractmethod
    def model(self) -> PreTrainedModel:
        """A model to train."""

    def chosen(self, labels: list[int], seed: int | None) -> list[int]:
        """The rows of a slice, drawn without replacement."""
        generator, found = np.random.default_rng(0 if seed is None else seed), []
        for label in sorted(set(labels)):
            own = generator.permutation(np.flatnonzero(np.array(labels) == label))
            count = self.num_common // (10 if label in self.rare else 1)
            found += own[: self.num_test if seed is None else count].tolist()
        return found


class Reviews(Task):
    rare, num_common, num_test, step_size = (0,), 500, 100, 0.3

    def __init__(self, args: argparse.Namespace):
        self.name_of_model, self.data = args.model, str(Path(args.data) / "glue") if args.data else "nyu-mll/glue"
        self.processing_class = AutoTokenizer.from_pretrained(args.model)
        self.collator = DataCollatorWithPadding(self.processing_class)
        self.options = {"learning_rate": 1e-4, "per_device_train_batch_size": 16, "max_steps": args.max_steps or 200}

    def rows(self, seed: int | None) -> Dataset:
        dataset = load_dataset(self.data, "sst2", split="validation" if seed is None else "train")
        dataset = dataset.select(self.chosen(dataset["label"], seed))
        return dataset.map(
            lambda rows: self.processing_class(rows["sentence"], truncation=True, max_length=32),
            batched=True,
            remove_columns=["sentence", "idx"],
        )

    def model(self) -> PreTrainedModel:
        return AutoModelForSequenceClassification.from_pretrained(self.name_of_model, num_labels=2, dtype="float32")


class Images(Task):
    rare, num_common, num_test, step_size = (0, 2, 4, 6, 8), 1000, 100, 1.0

    def __init__(self, args: argparse.Namespace):
        self.data = str(Path(args.data) / "cifar10") if args.data else "uoft-cs/cifar10"
        self.collator = default_data_collator
        self.options = {"learning_rate": 2e-3, "per_device_train_batch_size": 32, "max_steps": args.max_steps or 600}

    def rows(self, seed: int | None) -> list[dict[str, Any]]:
        dataset = load_dataset(self.data, split="test" if seed is None else "train")
        image, label = (
            next(x for x in names if x in dataset.column_names) for names in (("img", "image"), ("label",))
        )
        dataset = dataset.select(self.chosen(dataset[label], seed))
        pixels = [(np.asarray(row[image].convert("RGB")) / 255 - MEAN) / STD for row in dataset]
        tensors = [torch.tensor(x, dtype=torch.float32).permute(2, 0, 1).contiguous() for x in pixels]
        return [{"pixel_values": x, "labels": y} for x, y in zip(tensors, dataset[label], strict=True)]

    def model(self) -> PreTrainedModel:
        shape = {"embedding_size": 16, "hidden_sizes": [16, 32, 64], "depths": [1, 1, 1], "layer_type": "basic"}
        return ResNetForImageClassification(ResNetConfig(**shape, num_labels=10))


TASKS: dict[str, Any] = {"sst2": Reviews, "cifar10": Images}


def run(task: Task, method: str, seed: int, work_dir: Path) -> dict[str, float]:
    """The scores of one training run, and its seconds."""
    set_seed(seed)
    args = MMELTrainingArguments(
        str(work_dir / "trainer"),
        seed=seed,
        warmup_steps=0.1,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **task.options,
        **METHODS[method],
    )
    is_adversarial = args.mmel_loss != "none"
    trainer = MMELTrainer(
        task.model(),
        args,
        data_collator=task.collator,
        train_dataset=task.rows(seed),
        processing_class=task.processing_class,
        adversary=AdversarialVariants(1, task.step_size) if is_adversarial else None,
    )
    trainer.remove_callback(PrinterCallback)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    return {**scores(trainer.model, task, args, seed), "seconds": seconds}


def scores(model: PreTrainedModel, task: Task, args: MMELTrainingArguments, seed: int) -> dict[str, float]:
    """Recall of the rare classes and mean recall of all, in the order of `SCORES`."""
    attack = AdversarialVariants(2, task.step_size / 2)
    torch.manual_seed(seed)
    labels, predictions = [], []
    rows = list(task.rows(None))
    for first in range(0, len(rows), 50):
        batch = {name: x.to(args.device) for name, x in task.collator(rows[first : first + 50]).items()}
        labels += batch["labels"].tolist()
        predictions += predicted(model, batch, attack, args).tolist()
    recalls = np.stack([np.array(predictions)[np.array(labels) == c] == c for c in sorted(set(labels))]).mean(axis=1)
    values = [float(x) for own in recalls.T for x in (own[list(task.rare)].mean(), own.mean())]
    return dict(zip(SCORES, values, strict=True))


def predicted(model: Any, batch: dict[str, Any], attack: AdversarialVariants, args: Any) -> torch.Tensor:
    """The classes that a model gives to each row, and to it under attack, `(B, 2)`."""
    forward = VariantForward(model, MMELTrainingArguments(args.output_dir, mmel_loss="hard", report_to="none"))
    groups = attack.add_to(as_groups(batch), forward)
    with evaluating(model):
        return forward(model, groups, layout_of(groups).present).logits.argmax(dim=-1)


def table(found: dict[tuple[str, str], list[dict[str, float]]]) -> list[str]:
    """A markdown table: means and standard deviations over the seeds, in percent."""
    lines = [f"| task | method | {' | '.join(SCORES)} | seconds |", "|---|---" + "|---:" * (len(SCORES) + 1) + "|"]
    for (task, method), runs in found.items():
        cells = []
        for name in SCORES:
            values = [100 * own[name] for own in runs]
            cells.append(
                f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(runs) > 1 else "")
            )
        cells.append(f"{statistics.mean(own['seconds'] for own in runs):.0f}")
        lines.append(f"| {task} | {method} | {' | '.join(cells)} |")
    return lines


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="Folder with the folders glue and cifar10. Default: both from the Hub.")
    parser.add_argument("--model", default="microsoft/MiniLM-L6-H384-uncased", help="Name or folder of an encoder.")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--num_seeds", type=int, default=3, help="Training runs of each method.")
    parser.add_argument("--max_steps", type=int, help="Updates of a run. Default: 200 for SST-2, 600 for CIFAR-10.")
    parser.add_argument("--threads", type=int, help="Of a CPU; all by default.")
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/imbalance"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    path = args.work_dir / "results.jsonl"
    path.touch()
    finished = [json.loads(line) for line in path.read_text().splitlines()]
    known = {json.dumps(entry["run"]): entry["result"] for entry in finished}
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for name in args.tasks:
        task = TASKS[name](args)
        for seed in range(1, args.num_seeds + 1):
            for method in args.methods:
                settings = {"task": name, "method": method, "seed": seed, "model": args.model, **task.options}
                if (key := json.dumps(settings)) not in known:
                    known[key] = run(task, method, seed, args.work_dir)
                    with path.open("a") as file:
                        file.write(json.dumps({"run": settings, "result": known[key]}) + "\n")
                    print(name, method, seed, known[key], file=sys.stderr, flush=True)
                found.setdefault((name, method), []).append(known[key])
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
