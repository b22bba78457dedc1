"""What a training would see and how long it would be, told without training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from augment import Augmenter
from augment.core.marking import PLAIN, marked

from ..data.groups import VARIANT_MASK, as_groups
from ..data.variant_collator import VariantCollator
from ..monitoring.decoding import make_decoder
from ..training_args import MMELTrainingArguments
from ..validation import check_labels, check_vocabulary
from .labels import Labels


NUM_SHOWN = 10
# Examples whose variants are counted; fewer where a masked LM has to be asked for each.
NUM_COUNTED, NUM_COUNTED_WITH_MODEL = 1000, 100

Collator = Callable[[list[dict[str, Any]]], Mapping[str, torch.Tensor]]


def dry_run(
    args: MMELTrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoded: dict[str, Dataset],
    labels: Labels,
    augmenter: Augmenter | None,
    data_collator: Collator,
    num_adversarial: int = 0,
) -> Iterator[str]:
    """
    The first training examples with the variants of the first epoch, and the size of the training, as lines of text.

    Args:
        args ([`MMELTrainingArguments`]): Those of the training.
        model ([`~transformers.PreTrainedModel`]): The classifier, which may be on the meta device.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): The classifier's tokenizer.
        encoded (`dict[str, Dataset]`): The tokenised splits.
        labels ([`Labels`]): What the outputs are.
        augmenter ([`~augment.Augmenter`], *optional*): Makes the variants, where there are any.
        data_collator (`Callable`): Pads.
        num_adversarial (`int`, *optional*, defaults to 0): Variants of each example that the model makes itself.

    Raises:
        `ValueError`: if model, tokenizer and labels do not belong together.
    """
    check_vocabulary(model, tokenizer)
    train = encoded.get("train")
    if train is not None:
        check_labels(train, model.config, args.label_smoothing_factor)
        collator = data_collator
        if augmenter is not None:
            collator = VariantCollator(
                tokenizer,
                augmenter,
                num_variants=args.num_variants,
                seed=args.seed if args.data_seed is None else args.data_seed,
                data_collator=data_collator,
            )
        yield from _examples(train, collator, tokenizer, labels.names)
    outputs = "one number" if labels.names is None else ", ".join(labels.names)
    yield _line("model", f"{type(model).__name__}, {model.num_parameters():,} parameters; outputs: {outputs}")
    if train is not None:
        few = augmenter is not None and augmenter.precomputes
        counted = NUM_COUNTED_WITH_MODEL if few else NUM_COUNTED
        yield from _training(train, collator, args, counted, num_adversarial)
    for split, dataset in encoded.items():
        if split != "train":
            batches = math.ceil(len(dataset) / (args.eval_batch_size * args.world_size))
            yield _line(split, f"{len(dataset):,} examples, {batches:,} batches")


def num_updates(num_examples: int, args: MMELTrainingArguments) -> int:
    """The optimisation steps of a training."""
    if args.max_steps > 0:
        return args.max_steps
    batches = num_examples / _examples_per_batch(args)
    batches = math.floor(batches) if args.dataloader_drop_last else math.ceil(batches)
    return math.ceil(args.num_train_epochs * max(1, math.ceil(batches / args.gradient_accumulation_steps)))


def _examples_per_batch(args: MMELTrainingArguments) -> int:
    """Examples that all processes take at once."""
    return args.train_batch_size * (1 if args.accelerator_config.split_batches else args.world_size)


def _examples(
    train: Dataset, collator: Collator, tokenizer: PreTrainedTokenizerBase, names: list[str] | None
) -> Iterator[str]:
    rows = train.select(range(min(NUM_SHOWN, len(train)))).to_list()
    batch = _groups(collator, rows)
    decode = make_decoder(tokenizer)
    for i, row in enumerate(rows):
        original = decode(batch["input_ids"][i, 0].tolist())
        yield f"example {i}, {_label(row['label'], names)}"
        yield f"  0  {original}"
        for k in batch[VARIANT_MASK][i].nonzero()[1:, 0].tolist():
            yield f"  {k}  {marked(original, decode(batch['input_ids'][i, k].tolist()), PLAIN)}"
        yield ""


def _label(label: int | float | list[float], names: list[str] | None) -> str:
    if isinstance(label, list):
        return f"labels {', '.join(name for name, is_one in zip(names, label, strict=True) if is_one) or 'none'}"
    return f"label {label if names is None else names[label]}"


def _training(
    train: Dataset, collator: Collator, args: MMELTrainingArguments, at_most: int, num_adversarial: int
) -> Iterator[str]:
    """Figures of all examples, or of a draw of them in batches such as the training has."""
    size = args.train_batch_size
    numbers = np.random.default_rng(args.seed).permutation(len(train))[: max(size, at_most // size * size)]
    batches = [
        _groups(collator, train.select(numbers[start : start + size]).to_list())
        for start in range(0, len(numbers), size)
    ]
    present = torch.cat([batch[VARIANT_MASK].sum(1) for batch in batches])  # sequences of each example
    widths = [batch["input_ids"].shape[-1] for batch in batches]
    counted = "" if len(numbers) == len(train) else f", of {len(numbers):,} examples that were drawn"
    per_update = min(_examples_per_batch(args) * args.gradient_accumulation_steps, len(train))
    mean = present.double().mean().item()
    sequences = mean + num_adversarial
    yield _line("training examples", f"{len(train):,}")
    yield _line("examples with variants", f"{(present > 1).double().mean().item():.1%}{counted}")
    yield _line("variants per example", f"{mean - 1:.2f} (num_variants {batches[0][VARIANT_MASK].shape[1] - 1})")
    if num_adversarial:
        yield _line("adversarial variants", f"{num_adversarial} per example")
    yield _line(
        "batch of a process", f"{min(size, len(train))} examples, {min(size, len(train)) * sequences:.1f} sequences"
    )
    yield _line("padded to", f"{np.mean(widths):.1f} tokens on average, {max(widths)} at most")
    yield _line("optimisation step", f"{per_update} examples, {per_update * sequences:.1f} sequences")
    yield _line("optimisation steps", f"{num_updates(len(train), args):,}")


def _groups(collator: Collator, rows: list[dict[str, Any]]) -> Mapping[str, torch.Tensor]:
    batch = collator(rows)
    return batch if VARIANT_MASK in batch else as_groups(dict(batch))


def _line(name: str, value: str) -> str:
    return f"{name:26}{value}"
