"""What a training run would see and how long it would take, without training."""

import math
from collections.abc import Callable, Iterator
from itertools import compress
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from augment import Augmenter, VariantsFromColumn
from augment.core.marking import PLAIN, marked

from ..data.groups import VARIANT_MASK, as_groups
from ..data.variant_collator import VariantCollator
from ..monitoring.decoding import make_decoder
from ..training_args import MMELTrainingArguments
from ..validation import check_labels, check_vocabulary
from .labels import Labels
from .preflight import examples_per_batch


NUM_SHOWN = 10
Collator = Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]


def dry_run(
    args: MMELTrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoded: dict[str, Dataset],
    labels: Labels,
    augmenter: Augmenter | VariantsFromColumn | None,
    data_collator: Collator,
    num_adversarial: int = 0,
) -> Iterator[str]:
    """
    The first training examples with the variants of the first epoch, and the size of the training run, line by line.
    The model may be on the meta device. Raises a `ValueError` if model, tokenizer and labels do not fit together.
    """
    check_vocabulary(model, tokenizer)
    train, collator = encoded.get("train"), data_collator
    if train is not None:
        check_labels(train, model.config, args.label_smoothing_factor)
        if augmenter is not None:
            seed = args.seed if args.data_seed is None else args.data_seed
            collator = VariantCollator(tokenizer, augmenter, args.num_variants, seed=seed, data_collator=data_collator)
        yield from _examples(train, collator, tokenizer, labels)
    outputs = "one number" if labels.names is None else ", ".join(labels.names)
    yield _line("model", f"{type(model).__name__}, {model.num_parameters():,} parameters; outputs: {outputs}")
    if train is not None:
        max_counted = 100 if augmenter is not None and augmenter.precomputes else 1000  # with a masked LM, without one
        yield from _sizes(train, collator, args, max_counted, num_adversarial)
    for split, dataset in encoded.items():
        if split != "train":
            batches = math.ceil(len(dataset) / (args.eval_batch_size * args.world_size))
            yield _line(split, f"{len(dataset):,} examples, {batches:,} batches")


def _examples(train: Dataset, collator: Collator, tokenizer: PreTrainedTokenizerBase, labels: Labels) -> Iterator[str]:
    names = labels.names
    rows = train.select(range(min(NUM_SHOWN, len(train)))).to_list()
    batch, decode = _groups(collator, rows), make_decoder(tokenizer)
    for i, row in enumerate(rows):
        label, original = row["label"], decode(batch["input_ids"][i, 0].tolist())
        if names is not None and isinstance(label, list) and labels.are_probabilities:
            shown = (f"{name} {probability:.3g}" for name, probability in zip(names, label, strict=True))
            yield f"example {i}, probabilities {', '.join(shown)}"
        elif names is not None and isinstance(label, list):
            yield f"example {i}, labels {', '.join(compress(names, label)) or 'none'}"
        else:
            yield f"example {i}, label {label if names is None else names[label]}"
        yield f"  0  {original}"
        for k in batch[VARIANT_MASK][i].nonzero()[1:, 0].tolist():
            yield f"  {k}  {marked(original, decode(batch['input_ids'][i, k].tolist()), PLAIN)}"
        yield ""


def _sizes(
    train: Dataset, collator: Collator, args: MMELTrainingArguments, max_counted: int, num_adversarial: int
) -> Iterator[str]:
    """Averages over all examples, or over a sample of them, in batches like those of training."""
    size = args.train_batch_size
    numbers = np.random.default_rng(args.seed).permutation(len(train))[: max(size, max_counted // size * size)]
    parts = np.split(numbers, range(size, len(numbers), size))
    batches = [_groups(collator, train.select(part).to_list()) for part in parts]
    present = torch.cat([batch[VARIANT_MASK].sum(1) for batch in batches])  # sequences of each example
    widths = [batch["input_ids"].shape[-1] for batch in batches]
    sampled = "" if len(numbers) == len(train) else f", of a sample of {len(numbers):,} examples"
    mean = present.double().mean().item()
    sequences, in_batch = mean + num_adversarial, min(size, len(train))
    in_all_processes = examples_per_batch(args)
    in_step = min(in_all_processes * args.gradient_accumulation_steps, len(train))
    num_batches = (math.floor if args.dataloader_drop_last else math.ceil)(len(train) / in_all_processes)
    num_steps = math.ceil(args.num_train_epochs * max(1, math.ceil(num_batches / args.gradient_accumulation_steps)))
    yield _line("training examples", f"{len(train):,}")
    yield _line("examples with variants", f"{(present > 1).double().mean().item():.1%}{sampled}")
    yield _line("variants per example", f"{mean - 1:.2f} (num_variants {batches[0][VARIANT_MASK].shape[1] - 1})")
    if num_adversarial:
        yield _line("adversarial variants", f"{num_adversarial} per example")
    yield _line("batch of a process", f"{in_batch} examples, {in_batch * sequences:.1f} sequences")
    yield _line("padded to", f"{np.mean(widths):.1f} tokens on average, {max(widths)} at most")
    yield _line("optimisation step", f"{in_step} examples, {in_step * sequences:.1f} sequences")
    yield _line("optimisation steps", f"{args.max_steps if args.max_steps > 0 else num_steps:,}")


def _groups(collator: Collator, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    batch = collator(rows)
    return batch if VARIANT_MASK in batch else as_groups(dict(batch))


def _line(name: str, value: str) -> str:
    return f"{name:26}{value}"
