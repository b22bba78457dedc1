"""Images: the effect of reweighted random crops and flips on a small network on CIFAR-10.

    python examples/image_classification.py [--data uoft-cs/cifar10] [--num_train 5000] [--epochs 8] [--model resnet]

"uniform" is the usual augmentation by random crop and flip, with K = 2 variants of each image in every step; "hard"
and "soft" reweight the variants. All methods make the same number of steps. The defaults take some five minutes on one
CPU core; --num_train 0 takes all images, for a GPU.
"""

import argparse
from functools import partial

import numpy as np
import torch
from _tiny import METHODS, Results, run_all, table
from datasets import load_dataset
from transformers import (
    ConvNextConfig,
    ConvNextForImageClassification,
    EvalPrediction,
    PreTrainedModel,
    PrinterCallback,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessor,
    set_seed,
)

from augment import ImageVariants
from hf_mmel import AdversarialVariants, MMELTrainer, MMELTrainingArguments


MEAN, STD = [0.491, 0.482, 0.447], [0.247, 0.243, 0.262]  # of CIFAR-10's colours
COLUMNS = ("img", "image"), ("label", "labels")
NUM_TEST_VARIANTS = 4  # of each test image
Rows = list[dict[str, torch.Tensor | int]]


def read(data: str, split: str, limit: int) -> Rows:
    """The first `limit` images of a split, or all of them for 0, as the image processor prepares them."""
    processor = ViTImageProcessor(do_resize=False, image_mean=MEAN, image_std=STD)
    dataset = load_dataset(data, split=split)
    dataset = dataset.select(range(min(limit, len(dataset)))) if limit else dataset
    images, labels = (next(name for name in names if name in dataset.column_names) for names in COLUMNS)
    rows: Rows = []
    for batch in dataset.iter(1000):
        pixels = processor([image.convert("RGB") for image in batch[images]], return_tensors="pt")["pixel_values"]
        rows += [{"pixel_values": x, "labels": y} for x, y in zip(pixels, batch[labels], strict=True)]
    return rows


def make_model(kind: str, num_labels: int) -> PreTrainedModel:
    """A network of three stages for images of 32 by 32 pixels, with random weights."""
    if kind == "convnext":
        shape = {"patch_size": 2, "num_stages": 3, "hidden_sizes": [32, 64, 128], "depths": [2, 2, 2]}
        return ConvNextForImageClassification(ConvNextConfig(**shape, image_size=32, num_labels=num_labels))
    shape = {"embedding_size": 32, "hidden_sizes": [32, 64, 128], "depths": [1, 1, 1], "layer_type": "basic"}
    return ResNetForImageClassification(ResNetConfig(**shape, num_labels=num_labels))


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": float(np.mean(prediction.predictions.argmax(axis=1) == prediction.label_ids))}


def run(method: str, seed: int, train: Rows, test: Rows, options: argparse.Namespace) -> dict[str, float]:
    """The accuracy of one training run on the test images, and on crops and flips of them."""
    set_seed(seed)
    args = MMELTrainingArguments(
        "outputs/examples",
        mmel_loss=method,
        seed=seed,
        num_variants=options.num_variants,
        lambda_p=options.lambda_p,
        lambda_t=options.lambda_t,
        num_train_epochs=options.epochs,
        learning_rate=2e-3,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        weight_decay=0.05,
        per_device_train_batch_size=64,
        per_device_eval_batch_size=250,
        logging_strategy="epoch",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    augmenter = ImageVariants()
    trainer = MMELTrainer(
        make_model(options.model, num_labels=1 + max(row["labels"] for row in train)),
        args,
        train_dataset=train,
        augmenter=augmenter,
        adversary=AdversarialVariants(1, options.adversarial) if options.adversarial else None,
        compute_metrics=accuracy,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    right = [trainer.predict(test).predictions.argmax(axis=1)]
    variants = augmenter.variants(test, NUM_TEST_VARIANTS, [(seed, 1 << 40, i) for i in range(len(test))])
    columns = [[group[k] for group in variants] for k in range(NUM_TEST_VARIANTS)]
    right += [trainer.predict(rows).predictions.argmax(axis=1) for rows in columns]
    right = np.stack(right) == np.array([row["labels"] for row in test])
    return {"accuracy": right[0].mean(), "of variants": right[1:].mean(), "worst case": right.all(axis=0).mean()}


def main(argv: list[str] | None = None) -> Results:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="uoft-cs/cifar10", help="name on the Hub, or folder")
    parser.add_argument("--model", choices=["resnet", "convnext"], default="resnet")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="one training run each")
    parser.add_argument("--num_train", type=int, default=5000, help="training images, 0 for all")
    parser.add_argument("--num_test", type=int, default=2000, help="test images, 0 for all")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--num_variants", type=int, default=2, help="K")
    parser.add_argument("--lambda_p", type=float, default=0.5)
    parser.add_argument("--lambda_t", type=float, default=1.0)
    parser.add_argument("--adversarial", type=float, default=0.0, help="length of an adversarial step; 0 for none")
    parser.add_argument("--threads", type=int, help="of a CPU; all by default")
    options = parser.parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    train, test = read(options.data, "train", options.num_train), read(options.data, "test", options.num_test)
    results = run_all(partial(run, train=train, test=test, options=options), options.methods, options.seeds)
    print(f"\n{len(train)} images, {options.epochs} epochs, seeds {options.seeds}:\n\n{table(results)}")
    return results


if __name__ == "__main__":
    main()
