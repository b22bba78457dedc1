"""One run on images: a small network is trained from random weights, and measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, ResNetConfig, ResNetForImageClassification, default_data_collator, set_seed

from augment import ImageVariants

from .data import IMAGE, examples_of
from .measures import ATTACK_SEED, QUERIES, Measures, clean_scores
from .methods import Settings
from .training import Bench, Result, fit


BATCH_SIZE = 64
MEAN, STD = np.array([0.491, 0.482, 0.447]), np.array([0.247, 0.243, 0.262])  # of CIFAR-10's colours
Rows = list[dict[str, Any]]


def execute(bench: Bench, task: str, size: str, seed: int, settings: Settings, has_attacks: bool) -> Result:
    """Trains and measures one network. Its variants are random crops and flips, drawn anew in each epoch."""
    torch.set_num_threads(1)
    examples = examples_of(bench.data, task, size, seed)
    set_seed(seed)
    shape = {"embedding_size": 32, "hidden_sizes": [32, 64, 128], "depths": [1, 1, 1], "layer_type": "basic"}
    model = ResNetForImageClassification(ResNetConfig(**shape, num_labels=examples.num_labels))
    seconds = fit(
        bench,
        model,
        rows_of(examples.labelled),
        {"seed": seed, "per_device_train_batch_size": BATCH_SIZE, **settings},
        augmenter=None if settings["mmel_loss"] == "none" else ImageVariants(),
        data_collator=default_data_collator,
    )
    return Result(measure(model, rows_of(examples.evaluated), has_attacks), round(seconds, 2))


def rows_of(images: Dataset) -> Rows:
    """Normalised pixels, `(3, 32, 32)`, and labels."""
    rows: Rows = []
    for row in images:
        pixels = (np.asarray(row[IMAGE].convert("RGB"), dtype=np.float32) / 255 - MEAN) / STD
        rows.append(
            {"pixel_values": torch.tensor(pixels, dtype=torch.float32).permute(2, 0, 1), "labels": row["label"]}
        )
    return rows


def measure(model: PreTrainedModel, evaluated: Rows, has_attacks: bool) -> Measures:
    """The scores on the images, and in the worst case over these and random crops and flips of them."""
    labels = np.array([row["labels"] for row in evaluated])
    logits = predicted_logits(model, [row["pixel_values"] for row in evaluated])
    right = {"clean": logits.argmax(axis=1) == labels}
    scores = clean_scores(logits, labels)
    if has_attacks:
        seeds = [(ATTACK_SEED, i) for i in range(len(evaluated))]
        variants = ImageVariants().variants(evaluated, QUERIES["random"], seeds)
        flat = [variant["pixel_values"] for group in variants for variant in group]
        predicted = predicted_logits(model, flat).argmax(axis=1).reshape(len(evaluated), -1)
        right["random"] = right["clean"] & (predicted == labels[:, None]).all(axis=1)
        scores["random_accuracy"] = float(right["random"].mean())
    return Measures(scores, logits, right)


def predicted_logits(model: PreTrainedModel, pixels: list[torch.Tensor]) -> np.ndarray:
    """The logits of images, `(N, C)`, in float32."""
    model.eval()
    with torch.inference_mode():
        found = [model(batch.to(model.device)).logits.float().cpu() for batch in torch.stack(pixels).split(500)]
    return torch.cat(found).numpy()
