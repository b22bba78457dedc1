"""Rare classes: weights of classes and weights of variants, on reviews of which one in eleven is negative.

    python examples/class_imbalance.py [--model microsoft/MiniLM-L6-H384-uncased] [--data nyu-mll/glue] [--seeds 1 2 3]

Takes `--num_majority` positive training reviews of SST-2 and a tenth as many negative ones, and evaluates on the
validation set, half of which is negative. `class_weights="balanced"` gives both classes the same share of the loss.
MMEL weights the variants within each example, whatever its class.
"""

import argparse
from functools import partial

import numpy as np
import torch
from _tiny import Results, run_all, table
from datasets import Dataset, concatenate_datasets, load_dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EvalPrediction,
    PrinterCallback,
    set_seed,
)

from augment import WordNetSynonyms
from hf_mmel import MMELTrainer, MMELTrainingArguments


METHODS = {
    "none": ("none", False),
    "none, balanced": ("none", True),
    "uniform, balanced": ("uniform", True),
    "hard, balanced": ("hard", True),
    "soft, balanced": ("soft", True),
}
RARE = 0  # negative


def imbalanced_slice(dataset: Dataset, num_majority: int, seed: int) -> Dataset:
    """A random slice with `num_majority` examples of the common class, and a tenth as many of the rare one."""
    labels, random = np.array(dataset["label"]), np.random.default_rng(seed)
    parts = []
    for label, count in ((RARE, max(1, num_majority // 10)), (1 - RARE, num_majority)):
        parts.append(dataset.select(random.permutation(np.flatnonzero(labels == label))[:count]))
    return concatenate_datasets(parts)


def recall_scores(prediction: EvalPrediction) -> dict[str, float]:
    """The recall of the rare class, and the mean over both classes, the balanced accuracy."""
    right = prediction.predictions.argmax(axis=1) == prediction.label_ids
    recall = [right[prediction.label_ids == label].mean() for label in (RARE, 1 - RARE)]
    return {"recall of the rare class": recall[0], "balanced accuracy": float(np.mean(recall))}


def run(method: str, seed: int, train: Dataset, test: Dataset, tokenizer, options: argparse.Namespace) -> dict:
    set_seed(seed)
    mmel_loss, is_balanced = METHODS[method]
    args = MMELTrainingArguments(
        "outputs/examples",
        mmel_loss=mmel_loss,
        class_weights="balanced" if is_balanced else None,
        num_variants=2,
        lambda_p=0.1,
        seed=seed,
        learning_rate=5e-5,
        num_train_epochs=options.epochs,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=64,
        warmup_steps=0.1,
        train_sampling_strategy="group_by_length",
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = MMELTrainer(
        AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=2, dtype="float32"),
        args,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=imbalanced_slice(train, options.num_majority, seed),
        processing_class=tokenizer,
        augmenter=WordNetSynonyms(tokenizer),
        compute_metrics=recall_scores,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    scores = trainer.evaluate(test)
    return {name: scores[f"eval_{name}"] for name in ("recall of the rare class", "balanced accuracy")}


def main(argv: list[str] | None = None) -> Results:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="microsoft/MiniLM-L6-H384-uncased", help="name or folder of an encoder")
    parser.add_argument("--data", default="nyu-mll/glue", help="GLUE, name or folder")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one training run each")
    parser.add_argument("--num_majority", type=int, default=500, help="examples of the common class")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, help="of a CPU; all by default")
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    train, test = (
        load_dataset(options.data, "sst2", split=split).map(
            lambda rows: tokenizer(rows["sentence"], truncation=True, max_length=128), batched=True
        )
        for split in ("train", "validation")
    )
    run_one = partial(run, train=train, test=test, tokenizer=tokenizer, options=options)
    results = run_all(run_one, METHODS, options.seeds)
    print(f"\nseeds {options.seeds}:\n\n{table(results)}")
    return results


if __name__ == "__main__":
    main()
