"""How many variants have lost their label, and how many of the hardest have.

    python -m benchmarks.label_flips --model PATH_OR_NAME --data PATH_OR_NAME_OF_GLUE [--task sst2]

Nobody labels variants, so a judge does: a model trained on many examples of the task. A variant counts as flipped
where the judge, right on the original, takes it for another class. The hardest variant of a group is the one on which
a novice, trained on few other examples, loses most: it has the largest weight in MMEL-H whatever lambda_p is. The
judge errs as well, so the figures are for comparing augmenters, not shares of wrong labels.
"""

import argparse
import sys
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from augment import Augmenter
from augment.core.devices import fast_dtype
from augment.core.variant_count import are_first
from augment.registry import WITH_MASKED_LM, WITH_MODEL, augmenter_config, limited
from hf_mmel.cli import run as cli
from hf_mmel.functional import per_variant_loss


class Flips(NamedTuple):
    """
    Of the variants of an augmenter.

    Attributes:
        judge_right (`float`): Share of the examples on which the judge does not err.
        per_example (`float`): Variants that are no copies, of each example.
        all (`float`): Share of them that the judge takes for another class.
        hardest (`float`): That share among the hardest of each example. Examples on which the judge errs do not count.
    """

    judge_right: float
    per_example: float
    all: float
    hardest: float


class Judges(NamedTuple):
    """
    Two models of a task, and the training examples that neither has seen.

    Attributes:
        prepared (`cli.Prepared`): The task.
        judge, novice (`Trainer`): Predict with the model of many examples, and with that of few.
        examples (`Dataset`): Others.
    """

    prepared: cli.Prepared
    judge: Trainer
    novice: Trainer
    examples: Dataset


def main(argv: list[str] | None = None) -> int:
    args = parse_arguments(argv)
    judges = train_judges(args)
    tokenizer = judges.prepared.tokenizer
    print(f"{args.task}: {args.num_judge} examples for the judge, {args.num_novice} for the novice.")
    print("| augmenter | variants of each example | flipped | of the hardest |\n|---|---:|---:|---:|")
    rows = judges.examples.remove_columns("label").to_list()
    for name in args.augmenters:
        options = {"cache_dir": args.cache_dir} if name in (*WITH_MASKED_LM, "wordnet") else {}
        config = augmenter_config(name, args.model if name in WITH_MODEL else None, **options)
        augmenter = Augmenter.from_dict(limited(config, 128), tokenizer).precompute(judges.examples)
        groups = augmenter.variants(rows, args.num_variants, [(0, i) for i in range(len(rows))])
        found = flips(rows, groups, judges.examples["label"], args.num_variants, judges)
        print(f"| {name} | {found.per_example:.1f} | {100 * found.all:.1f} % | {100 * found.hardest:.1f} % |")
    return 0


def train_judges(args: argparse.Namespace) -> Judges:
    """Prepares the task and trains the two models. In the same work folder, they are read the next time."""
    torch.set_num_threads(args.threads)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    options = ["--model_name_or_path", args.model, "--dataset_name", args.data, "--task_name", args.task]
    options += ["--output_dir", str(args.work_dir), "--do_train", "--max_seq_length", "128", "--mmel_loss", "none"]
    prepared = cli.prepare(cli.parse_arguments(options))
    parts = parts_of(prepared.encoded["train"], args.num_judge, args.num_novice, args.num_examples)
    judge, novice = (train(args, part, prepared) for part in parts[:2])
    return Judges(prepared, judge, novice, parts[2])


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Name or folder of an encoder with a masked-LM head.")
    parser.add_argument("--data", default="nyu-mll/glue", help="GLUE, name or folder.")
    parser.add_argument("--task", default="sst2", help="One of single labels.")
    parser.add_argument("--augmenters", nargs="+", default=["wordnet", "context", "mlm", "delete"])
    parser.add_argument("--num_variants", type=int, default=4, help="K")
    parser.add_argument("--num_judge", type=int, default=20_000, help="Examples that the judge is trained on.")
    parser.add_argument("--num_novice", type=int, default=500, help="Others, that the novice is trained on.")
    parser.add_argument("--num_examples", type=int, default=1000, help="Further ones, of which variants are made.")
    parser.add_argument("--num_steps", type=int, default=300, help="Least steps of either training.")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--work_dir", type=Path, default=Path("outputs/label_flips"))
    parser.add_argument("--cache_dir", help="Folder of lexicons and candidates.")
    return parser.parse_args(argv)


def parts_of(train: Dataset, *sizes: int) -> list[Dataset]:
    """Disjoint parts of a training set."""
    if sum(sizes) > len(train):
        raise SystemExit(f"The training set has {len(train)} examples; expected {sum(sizes)} at least.")
    order, ends = np.random.default_rng(0).permutation(len(train)), np.cumsum(sizes)
    return [train.select(order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def train(args: argparse.Namespace, part: Dataset, prepared: cli.Prepared) -> Trainer:
    """A model trained for `num_steps`, or one epoch of batches of 32 if that is more, or that of an earlier call."""
    set_seed(0)
    known = repr([args.model, args.data, args.task, args.num_steps, part["input_ids"][:]]).encode()
    folder = args.work_dir / f"{len(part)}-{blake2b(known, digest_size=8).hexdigest()}"
    is_trained = (folder / "model.safetensors").exists()
    training_args = TrainingArguments(
        str(args.work_dir),
        max_steps=max(args.num_steps, len(part) // 32),
        learning_rate=5e-5,
        warmup_steps=0.1,
        per_device_train_batch_size=32 if len(part) > 5000 else 8,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        bf16=fast_dtype("cuda" if torch.cuda.is_available() else "cpu") == "bfloat16",
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available(),  # which bf16 on a CPU has to be told
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    model = AutoModelForSequenceClassification.from_pretrained(
        folder if is_trained else args.model, config=prepared.config
    )
    trainer = Trainer(model, training_args, DataCollatorWithPadding(prepared.tokenizer), part)
    trainer.remove_callback(PrinterCallback)
    if not is_trained:
        trainer.train()
        trainer.save_model(str(folder))
    return trainer


def flips(
    rows: Sequence[dict[str, Any]],
    groups: Sequence[Sequence[dict[str, Any]]],
    labels: Sequence[int],
    num_variants: int,
    judges: Judges,
) -> Flips:
    """
    What the judge thinks of variants.

    Args:
        rows (`Sequence[dict]`): N tokenised examples without labels.
        groups (`Sequence[Sequence[dict]]`): At most K variants of each. Only those that differ from the example and
            from earlier ones count.
        labels (`Sequence[int]`): The classes of the examples.
        num_variants (`int`): K.
        judges (`Judges`): The models.
    """
    whole = [[row, *group, *[row] * (num_variants - len(group))] for row, group in zip(rows, groups, strict=True)]
    sets = [Dataset.from_list([group[v] for group in whole]) for v in range(num_variants + 1)]
    judged, tried = (
        np.stack([trainer.predict(variants).predictions for variants in sets], axis=1)
        for trainer in (judges.judge, judges.novice)
    )
    is_new = np.array([are_first([tuple(entry["input_ids"]) for entry in group])[1:] for group in whole])
    return count(judged, tried, np.array(labels), is_new)


def count(judged: np.ndarray, tried: np.ndarray, labels: np.ndarray, is_new: np.ndarray) -> Flips:
    """
    Counts flips.

    Args:
        judged, tried (`np.ndarray` of shape `(N, K + 1, C)`): Logits of judge and novice, the originals' first.
        labels (`np.ndarray` of shape `(N,)`): Classes.
        is_new (`np.ndarray` of shape `(N, K)`): Which variants are no copies.
    """
    wrong = judged.argmax(axis=2) != labels[:, None]
    counted = is_new & ~wrong[:, :1]
    shape = tried.shape[:2]
    repeated = torch.from_numpy(np.repeat(labels, shape[1]))
    losses = per_variant_loss(torch.from_numpy(tried).flatten(0, 1), repeated, "single_label_classification")
    losses = np.where(counted, losses.view(shape).numpy()[:, 1:], -np.inf)
    has_any = counted.any(axis=1)
    hardest = wrong[:, 1:][has_any, losses[has_any].argmax(axis=1)]
    return Flips(
        judge_right=float(1 - wrong[:, 0].mean()),
        per_example=float(is_new.sum(axis=1).mean()),
        all=float(wrong[:, 1:][counted].mean()),
        hardest=float(hardest.mean()),
    )


if __name__ == "__main__":
    sys.exit(main())
