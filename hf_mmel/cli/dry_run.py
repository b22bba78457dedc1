"""What a training run would see and how long it would take, without training."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import compress
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from augment.base import Augmenter
from augment.core.marking import PLAIN, marked
from augment.core.variant_count import ADVICE, VariantCount
from augment.from_column import VariantsFromColumn
from augment.greedy import GreedySearch

from ..data.groups import VARIANT_MASK, as_groups
from ..data.variant_collator import VariantCollator
from ..monitoring.decoding import make_decoder
from ..monitoring.variant_count import WordChanges
from ..trainer import MMELTrainer
from ..training_args import MMELTrainingArguments
from ..validation import check_labels, check_vocabulary
from .data_arguments import UNLABELED
from .labels import Labels
from .preflight import examples_per_batch
from .timing import MAX_STEPS, OnDemand, StepTimes, duration, time_steps


NUM_SHOWN = 10
Collator = Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]]
TrainerMaker = Callable[[Dataset, Any], MMELTrainer]


def dry_run(
    args: MMELTrainingArguments,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoded: dict[str, Dataset],
    labels: Labels,
    augmenter: Augmenter | VariantsFromColumn | None,
    data_collator: Collator,
    make_trainer: TrainerMaker,
    num_adversarial: int = 0,
) -> Iterator[str]:
    """
    The first training examples with the variants of the first epoch, and the size and time of the training run, line
    by line. The model may be on the meta device; `make_trainer` makes the trainer of a dataset and an augmenter with a
    model of its own, for steps that are timed. Raises a `ValueError` if model, tokenizer and labels do not fit.
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
        unlabeled_ratio = args.unlabeled_ratio if UNLABELED in encoded else 0.0
        yield from _sizes(train, collator, tokenizer, args, max_counted, num_adversarial, unlabeled_ratio)
    if UNLABELED in encoded:
        ratio = f"{args.unlabeled_ratio:g} for each training example"
        yield _line("unlabelled examples", f"{len(encoded[UNLABELED]):,}, {ratio}")
    for split, dataset in encoded.items():
        if split not in ("train", UNLABELED):
            batches = math.ceil(len(dataset) / (args.eval_batch_size * args.world_size))
            yield _line(split, f"{len(dataset):,} examples, {batches:,} batches")
    if train is not None:
        yield from _time(train, args, augmenter, model.num_parameters(), make_trainer)


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
            note = "  (same text)" if _are_copies(batch)[i, k] else ""
            yield f"  {k}  {marked(original, decode(batch['input_ids'][i, k].tolist()), PLAIN)}{note}"
        yield ""


def _sizes(
    train: Dataset,
    collator: Collator,
    tokenizer: PreTrainedTokenizerBase,
    args: MMELTrainingArguments,
    max_counted: int,
    num_adversarial: int,
    unlabeled_ratio: float,
) -> Iterator[str]:
    """
    Averages over all training examples, or over a sample of them, in batches like those of training. Unlabelled
    examples are assumed to have as many variants, unless the model's own predictions on the originals are trained on.
    """
    size = args.train_batch_size
    numbers = np.random.default_rng(args.seed).permutation(len(train))[: max(size, max_counted // size * size)]
    parts = np.split(numbers, range(size, len(numbers), size))
    batches = [_groups(collator, train.select(part).to_list()) for part in parts]
    num_variants = batches[0][VARIANT_MASK].shape[1] - 1
    count = VariantCount.of((mask for batch in batches for mask in batch[VARIANT_MASK].tolist()), num_variants)
    changes = WordChanges(tokenizer)
    for batch in batches:
        changes.add(batch)
    same_text = torch.cat([_are_copies(batch)[:, 1:].any(1) for batch in batches])
    widths = [batch["input_ids"].shape[-1] for batch in batches]
    sequences, in_batch = 1 + count.different / count.examples + num_adversarial, min(size, len(train))
    sequences += unlabeled_ratio * (1 if args.uses_own_predictions else sequences)
    in_step = min(examples_per_batch(args) * args.gradient_accumulation_steps, len(train))
    yield _line("training examples", f"{len(train):,}")
    yield _line("variants", count.sentence(len(train)) + changes.sentence if num_variants else "none")
    if same_text.any():
        yield _line("", f"The variants of {same_text.double().mean().item():.1%} of the examples are the same text.")
    if count.are_few:
        yield _line("", ADVICE)
    if num_adversarial:
        yield _line("adversarial variants", f"{num_adversarial} per example")
    yield _line("batch of a process", _batch(in_batch, unlabeled_ratio, sequences))
    yield _line("padded to", f"{np.mean(widths):.1f} tokens on average, {max(widths)} at most")
    yield _line("optimisation step", _batch(in_step, unlabeled_ratio, sequences))
    yield _line("optimisation steps", f"{_num_steps(len(train), args):,}")


def _batch(num_examples: int, unlabeled_ratio: float, sequences: float) -> str:
    unlabelled = f" and {num_examples * unlabeled_ratio:g} unlabelled ones" if unlabeled_ratio else ""
    return f"{num_examples} examples{unlabelled}, {num_examples * sequences:.1f} sequences"


def _num_steps(num_examples: int, args: MMELTrainingArguments) -> int:
    if args.max_steps > 0:
        return args.max_steps
    num_batches = (math.floor if args.dataloader_drop_last else math.ceil)(num_examples / examples_per_batch(args))
    return math.ceil(args.num_train_epochs * max(1, math.ceil(num_batches / args.gradient_accumulation_steps)))


def _time(
    train: Dataset,
    args: MMELTrainingArguments,
    augmenter: Augmenter | VariantsFromColumn | None,
    num_parameters: int,
    make_trainer: TrainerMaker,
) -> Iterator[str]:
    """An estimate of the time of training, from steps on random examples."""
    per_batch = examples_per_batch(args)
    numbers = np.random.default_rng(args.seed).permutation(len(train))[: per_batch * (MAX_STEPS + 1)]
    on_demand = None if augmenter is None else OnDemand(augmenter)
    times = time_steps(args, num_parameters, partial(make_trainer, train.select(numbers), on_demand))
    if not isinstance(times, StepTimes):
        yield _line("training time", f"no estimate: {times}")
        return
    precomputes = augmenter is not None and augmenter.precomputes
    num_steps, in_data = _num_steps(len(train), args), 0.0 if precomputes else times.in_data
    if args.dataloader_num_workers:  # which prepare batches while a step is on its way
        in_data = max(0.0, in_data / args.dataloader_num_workers - times.in_step)
    seconds = (times.in_step + in_data) * min(args.gradient_accumulation_steps, math.ceil(len(train) / per_batch))
    line = (
        f"about {duration(num_steps * seconds)} on this machine: {num_steps:,} steps of {seconds:.2g} s, estimated "
        f"from {times.num_steps}, without evaluation"
    )
    if augmenter is None:
        yield _line("training time", line)
        return
    yield _line("training time", f"{line}; {in_data / (times.in_step + in_data):.0%} of it for variants and batches")
    if precomputes:
        before = times.in_data * len(train) / min(per_batch, len(train))
        yield _line("before training", f"about {duration(before)} for candidates, unless they are stored already")
    if isinstance(augmenter, GreedySearch):
        yield _line("", "The greedy search before each epoch takes more time, which is not estimated.")


def _groups(collator: Collator, rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    batch = collator(rows)
    return batch if VARIANT_MASK in batch else as_groups(dict(batch))


def _are_copies(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The variants that are trained on and have the text of the original, which is one of them: `(B, V)`."""
    ids = batch["input_ids"]
    return batch[VARIANT_MASK] & (ids == ids[:, :1]).flatten(2).all(2)


def _line(name: str, value: str) -> str:
    return f"{name:26}{value}"
