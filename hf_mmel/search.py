"""Greedy search of variants that a classifier finds hard."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from torch import nn
from torch.utils.data import IterableDataset
from transformers import DataCollatorWithPadding

from augment.core.batch import SPANS_KEY, Batch
from augment.core.randomness import Seed, mix, row_keys
from augment.core.variant_table import VariantTable, example_keys
from augment.greedy import GreedySearch

from .data.group_collator import plain
from .data.groups import IGNORE_INDEX, LABELS, POSITIONS, are_labelled
from .distributed import gathered, is_in_processes
from .functional import divergence, per_variant_loss
from .objective.custom_loss import LossFunction, row_losses
from .objective.heads import logits_of, needs_labels, problem_type_of
from .objective.probability_labels import has_probability_labels
from .step.forward import evaluating
from .step.soft_labels import accepted_by


def search_variants(
    model: nn.Module,
    augmenter: GreedySearch,
    examples: Sequence[Mapping[str, Any]],
    num_variants: int,
    seed: Seed = 0,
    *,
    max_examples: int | None = None,
    batch_size: int = 128,
    label_smoothing: float = 0.0,
    compute_loss_func: LossFunction | None = None,
    data_collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]] | None = None,
    soft_label_model: nn.Module | None = None,
    soft_label_temperature: float = 1.0,
) -> int:
    """
    Searches variants of examples that the model finds hard. `augmenter.variants` then looks them up.

    The model scores in evaluation mode, without gradients and random numbers, and keeps its own mode afterwards. The
    search depends on the seed and the examples. With torch.distributed every process searches its share and gets the
    whole table, so all processes have to call this.

    Args:
        model (`nn.Module`): A sequence classification model, not wrapped for parallel training.
        augmenter (`augment.GreedySearch`): Its table is replaced.
        examples (sequence of `Mapping`):
            Tokenised examples with labels, as `data_collator` takes them. Examples with the same token ids share their
            variants, which are searched under the label of the first one.
        num_variants (`int`): K, at least 1.
        seed (`int` or `tuple[int, ...]`, *optional*, defaults to 0): Seed of the positions and candidates to try.
        max_examples (`int`, *optional*): Searches only so many examples, drawn by the seed.
        batch_size (`int`, *optional*, defaults to 128): Rows per forward pass, and examples searched together.
        label_smoothing (`float`, *optional*, defaults to 0.0): As in `per_variant_loss`.
        compute_loss_func (`Callable`, *optional*):
            As in `Trainer`. It is called with one row at a time, and takes the place of the model's loss in the
            objective `"loss"`.
        data_collator (`Callable`, *optional*):
            Makes tensors of a list of rows. Defaults to `transformers.DataCollatorWithPadding`.
        soft_label_model (`nn.Module`, *optional*):
            Predicts on the originals what the objective `"divergence"` compares with. Defaults to the model.
        soft_label_temperature (`float`, *optional*, defaults to 1.0): Temperature of these predictions.

    Returns:
        `int`: Number of different examples in the table.

    Raises:
        `TypeError`: if the augmenter is not a `GreedySearch`, or the examples are a stream.
        `ValueError`: if a number is out of range or labels are missing.
    """
    if not isinstance(augmenter, GreedySearch):
        raise TypeError(f"augmenter is a {type(augmenter).__name__}; expected a GreedySearch.")
    check_searchable(examples)
    if batch_size < 1 or (max_examples is not None and max_examples < 1):
        raise ValueError(f"batch_size is {batch_size} and max_examples {max_examples}; expected numbers >= 1.")
    collate = data_collator or DataCollatorWithPadding(augmenter.tokenizer)
    config = getattr(model, "config", None)
    are_probabilities = has_probability_labels(examples, config)
    problem_type = "single_label_classification" if are_probabilities else getattr(config, "problem_type", None)
    options = batch_size, label_smoothing, compute_loss_func, problem_type
    scorer = Scorer(model, augmenter.objective, collate, *options, soft_label_model, soft_label_temperature)
    seed = seed if isinstance(seed, tuple) else (seed,)
    numbers = _shard(_drawn(len(examples), max_examples, seed))
    tables = []
    with evaluating(model), evaluating(scorer.soft_label_model):
        for start in range(0, len(numbers), batch_size):
            chosen = [examples[i] for i in numbers[start : start + batch_size].tolist()]
            rows = [{name: plain(value) for name, value in row.items()} for row in chosen]
            seeds = [(*seed, key) for key in example_keys(Batch.of(rows)).tolist()]
            tables.append(augmenter.search(rows, scorer.on(rows), num_variants, seeds))
    table = VariantTable.joined(gathered(VariantTable.joined(tables)))
    augmenter.keep(table)
    return len(table)


def check_searchable(examples: Any, is_sharded: bool = False) -> None:
    """
    Raises a `TypeError` if examples cannot be read by their index, or are not those of a sequence classifier, and a
    `ValueError` if no process has the whole model.
    """
    if is_sharded:
        raise ValueError(
            "A greedy search needs the whole model in every process, which FSDP and DeepSpeed ZeRO-3 shard; train "
            "without them, or with the candidates of the GreedySearch as the augmenter."
        )
    indexed = hasattr(examples, "__len__") and hasattr(examples, "__getitem__")
    if isinstance(examples, IterableDataset) or not indexed:
        raise TypeError(
            f"The examples are a {type(examples).__name__}, a stream, which a greedy search would have to read before "
            "training; expected a dataset with a length and an index. Load the whole dataset, or train with the "
            "candidates of the GreedySearch as the augmenter."
        )
    example = examples[0] if len(examples) else {"input_ids": []}
    ids, labels = plain(example["input_ids"]), plain(example.get(LABELS))
    of_tokens = isinstance(labels, list) and IGNORE_INDEX in labels
    if of_tokens or POSITIONS[0] in example or (len(ids) and isinstance(ids[0], list)):
        raise TypeError(
            f"The examples have the columns {sorted(example)}, for question answering, multiple choice or labels of "
            "tokens, but a greedy search scores variants of whole texts. Train with the candidates of the "
            "GreedySearch as the augmenter."
        )


class Scorer:
    """Scores variants with a model: their loss under the labels, or their divergence from the originals."""

    def __init__(
        self,
        model: nn.Module,
        objective: str,
        collate: Callable,
        batch_size: int,
        label_smoothing: float,
        loss_func: LossFunction | None,
        problem_type: str | None,
        soft_label_model: nn.Module | None = None,
        temperature: float = 1.0,
    ):
        self.soft_label_model, self.temperature = soft_label_model or model, temperature
        self.model, self.objective, self.collate = model, objective, collate
        self.batch_size, self.label_smoothing, self.loss_func = batch_size, label_smoothing, loss_func
        self.problem_type = problem_type
        self.device = next(model.parameters()).device

    def on(self, examples: list[dict[str, Any]]) -> Callable[[list[dict[str, Any]], np.ndarray], np.ndarray]:
        """The function that scores variants of these examples."""
        examples = [{name: value for name, value in row.items() if name != SPANS_KEY} for row in examples]
        labels = self.collate(examples).get("labels")
        if labels is None:
            raise ValueError(f"An example has the columns {sorted(examples[0])}; expected a label among them.")
        labels = labels.to(self.device)
        reference = self.logits(examples, self.soft_label_model)
        problem_type = problem_type_of(self.problem_type, reference.shape[1], labels)
        reference = reference / self.temperature
        smoothing = self.label_smoothing if problem_type == "single_label_classification" else 0.0

        def score(rows: list[dict[str, Any]], of: np.ndarray) -> np.ndarray:
            example = torch.from_numpy(of).to(self.device)
            if self.objective == "divergence":
                scores = divergence(self.logits(rows), reference[example], problem_type)
            elif self.loss_func is None:
                scores = per_variant_loss(self.logits(rows), labels[example], problem_type, smoothing)
            else:
                scores = self._computed(rows, partial(self._own_losses, labels=labels[example]))
            return scores.double().cpu().numpy()

        return score

    def _own_losses(self, outputs: Any, numbers: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The losses of rows `(n,)` by the user's function, given their numbers `(n,)` and the labels of all rows."""
        assert self.loss_func is not None
        labels = labels[numbers]
        return row_losses(self.loss_func, outputs, labels, are_labelled(labels).float())

    def logits(self, rows: list[dict[str, Any]], model: nn.Module | None = None) -> torch.Tensor:
        """Logits `(N, C)` of rows; of another model if it is given."""
        name = type(model or self.model).__name__
        return self._computed(rows, lambda outputs, numbers: logits_of(outputs, len(numbers), name), model)

    def _computed(
        self,
        rows: list[dict[str, Any]],
        of: Callable[[Any, torch.Tensor], torch.Tensor],
        model: nn.Module | None = None,
    ) -> torch.Tensor:
        """
        What a function computes of the model's outputs on N rows and of the numbers of these, `(N, ...)`. Rows are
        batched by their length.
        """
        model = model or self.model
        has_labels = needs_labels(model)
        order = np.argsort([len(row["input_ids"]) for row in rows], kind="stable")
        parts = []
        for start in range(0, len(rows), self.batch_size):
            chosen = [rows[i] for i in order[start : start + self.batch_size]]
            batch = {name: x for name, x in self.collate(chosen).items() if name != "labels" or has_labels}
            outputs = model(**send_to_device(accepted_by(model, batch), self.device))
            parts.append(of(outputs, torch.from_numpy(order[start : start + self.batch_size]).to(self.device)))
        return torch.cat(parts)[torch.from_numpy(np.argsort(order)).to(self.device)]


def _drawn(num_examples: int, max_examples: int | None, seed: tuple[int, ...]) -> np.ndarray:
    """Numbers of the examples to search, in increasing order."""
    if max_examples is None or max_examples >= num_examples:
        return np.arange(num_examples)
    order = mix(row_keys([seed]) ^ np.arange(num_examples, dtype=np.uint64)).argsort(kind="stable")
    return np.sort(order[:max_examples])


def _shard(numbers: np.ndarray) -> np.ndarray:
    """The part of this process."""
    if not is_in_processes():
        return numbers
    return np.array_split(numbers, torch.distributed.get_world_size())[torch.distributed.get_rank()]
