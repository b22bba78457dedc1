"""What the final model says: predictions on the validation data, and on variants of training examples."""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.utils.data import IterableDataset
from tqdm.auto import tqdm

from ..data.groups import LABELS, Groups
from ..data.variant_collator import VariantCollator
from ..hub.model_card import scores_of
from ..monitoring.decoding import make_decoder
from ..objective.heads import logits_of, problem_type_of
from ..step.forward import evaluating


if TYPE_CHECKING:
    from ..trainer import MMELTrainer


EPOCH = 0  # whose variants are looked at: all of them have been trained on


class Predictions(NamedTuple):
    """
    The predictions on the validation data.

    Attributes:
        problem_type (`str`): As in the model's configuration.
        names (`list[str]`): Of the classes.
        outputs (`np.ndarray` of shape `(N, C)`): Probabilities; for regression the numbers, `(N,)`.
        labels (`np.ndarray` of shape `(N,)` or `(N, C)`): Class ids, ones and zeros, or numbers.
        scores (`dict[str, float]`): The metrics of the trainer, and the loss.
    """

    problem_type: str
    names: list[str]
    outputs: np.ndarray
    labels: np.ndarray
    scores: dict[str, float]


class ScoredVariants(NamedTuple):
    """
    The predictions on N variants of training examples, and on their originals.

    Attributes:
        problem_type, names: As in [`Predictions`].
        originals, texts (`list[str]` of length N): What the model reads.
        labels (`np.ndarray` of shape `(N,)` or `(N, C)`): Those of the examples.
        before, after (`np.ndarray` of shape `(N, C)` or `(N,)`): The predictions on the originals, on the variants.
        num_examples (`int`): How many examples the variants are of.
        num_all_examples (`int`): How many there are in the training data.
    """

    problem_type: str
    names: list[str]
    originals: list[str]
    texts: list[str]
    labels: np.ndarray
    before: np.ndarray
    after: np.ndarray
    num_examples: int
    num_all_examples: int


def predict(trainer: MMELTrainer) -> Predictions:
    """
    Predicts the validation data; of several validation sets, the first.

    Raises:
        `ValueError`: if there is none, its examples are not texts with a class, several labels, or a number, or the
            model's outputs are not finite.
    """
    dataset = trainer.eval_dataset
    if isinstance(dataset, dict):
        dataset = next(iter(dataset.values()), None)
    if dataset is None:
        raise ValueError("There are no validation data.")
    logits, labels, metrics = trainer.predict(dataset, metric_key_prefix="eval")
    logits = logits[0] if isinstance(logits, tuple) else logits
    labels = labels[0] if isinstance(labels, tuple) else labels
    if labels is None or logits.ndim != 2 or not len(logits) or len(labels) != len(logits):
        raise ValueError("The validation examples are not texts with a class, several labels, or a number.")
    problem_type = _problem_type(trainer, logits.shape[1], labels)
    labels = labels.reshape(-1) if problem_type == "regression" else labels
    labelled = _labelled(labels, problem_type)
    if not labelled.any():
        raise ValueError("No validation example has a label.")
    outputs = outputs_of(torch.from_numpy(logits[labelled]), problem_type)
    return Predictions(problem_type, _names(trainer), outputs, labels[labelled], scores_of(metrics))


def score_variants(trainer: MMELTrainer, collator: VariantCollator, max_examples: int) -> ScoredVariants:
    """
    Predicts the variants that training examples had in the first epoch, in evaluation mode and without gradients. Of
    a greedy search these are draws of its candidates, since what it found is not kept.

    Args:
        trainer ([`MMELTrainer`]): Its model, training data and arguments.
        collator ([`VariantCollator`]): Makes the variants.
        max_examples (`int`): Draws as many examples, by the seed of the training.

    Raises:
        `ValueError`: if the training data are not texts with a class, several labels, or a number, read by number, or
            the model's outputs are not finite.
    """
    dataset, args = trainer.train_dataset, trainer.args
    if dataset is None or isinstance(dataset, IterableDataset) or not isinstance(dataset, Sized) or not len(dataset):
        raise ValueError("There are no training data whose examples have numbers.")
    numbers = np.sort(np.random.default_rng(args.seed).permutation(len(dataset))[:max_examples])
    columns = _columns(trainer, collator)
    per_batch = max(1, args.eval_batch_size // (collator.num_variants + 1))
    collator.set_epoch(EPOCH)
    decode, parts = make_decoder(collator.tokenizer), []
    originals: list[str] = []
    texts: list[str] = []
    with evaluating(trainer.model):
        starts = range(0, len(numbers), per_batch)
        for start in tqdm(starts, desc="Scoring variants", disable=args.disable_tqdm):
            rows = [dataset[int(i)] for i in numbers[start : start + per_batch]]
            if columns is not None:
                rows = [{name: value for name, value in row.items() if name in columns} for row in rows]
            inputs = collator(rows)
            if inputs["input_ids"].dim() != 3 or LABELS not in inputs or inputs[LABELS].dim() > 2:
                raise ValueError("The training examples are not texts with a class, several labels, or a number.")
            parts.append(_predicted(trainer, inputs))
            for i, k in parts[-1][0].tolist():
                originals.append(decode(inputs["input_ids"][i, 0].tolist()))
                texts.append(decode(inputs["input_ids"][i, k].tolist()))
    _, labels, before, after = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    problem_type = _problem_type(trainer, before.shape[1], labels)
    labels = labels.reshape(-1) if problem_type == "regression" else labels
    labelled = _labelled(labels, problem_type)
    return ScoredVariants(
        problem_type,
        _names(trainer),
        [text for text, is_labelled in zip(originals, labelled, strict=True) if is_labelled],
        [text for text, is_labelled in zip(texts, labelled, strict=True) if is_labelled],
        labels[labelled],
        *(outputs_of(torch.from_numpy(logits[labelled]), problem_type) for logits in (before, after)),
        len(numbers),
        len(dataset),
    )


def _predicted(trainer: MMELTrainer, inputs: dict[str, torch.Tensor]) -> tuple[np.ndarray, ...]:
    """Places `(n, 2)`, labels, and logits `(n, C)` of original and variant, of the augmented variants of a batch."""
    groups = Groups.of(trainer._prepare_inputs(inputs))
    with trainer.compute_loss_context_manager():
        outputs = trainer.model(**groups.rows)
    name = type(trainer.model).__name__
    logits = groups.grouped(logits_of(outputs, len(groups.present), name).float())
    mask = groups.variant_mask.clone()
    mask[:, 0] = False
    i, k = mask.nonzero(as_tuple=True)
    places = torch.stack([i, k], dim=1)
    arrays = (places, groups.targets[LABELS][i], logits[i, 0], logits[i, k])
    return tuple(array.cpu().numpy() for array in arrays)


def outputs_of(logits: torch.Tensor, problem_type: str) -> np.ndarray:
    """
    Probabilities `(N, C)` of logits of the same shape; for regression the numbers `(N,)`.

    Raises:
        `ValueError`: if a logit is NaN or infinite.
    """
    if not logits.isfinite().all():
        raise ValueError("The model's outputs are not finite numbers; its training has diverged.")
    logits = logits.double()
    if problem_type == "regression":
        return logits.squeeze(1).numpy()
    if problem_type == "multi_label_classification":
        return logits.sigmoid().numpy()
    return logits.softmax(dim=1).numpy()


def _problem_type(trainer: MMELTrainer, num_outputs: int, labels: np.ndarray) -> str:
    problem_type = problem_type_of(getattr(trainer.model, "config", None), num_outputs, torch.from_numpy(labels))
    if problem_type == "regression" and num_outputs > 1:
        raise ValueError(f"The model predicts {num_outputs} numbers; expected one.")
    return problem_type


def _labelled(labels: np.ndarray, problem_type: str) -> np.ndarray:
    """Which examples have a label."""
    if problem_type == "single_label_classification":
        return labels >= 0
    return np.isfinite(labels).reshape(len(labels), -1).all(axis=1)


def _names(trainer: MMELTrainer) -> list[str]:
    return [str(name) for _, name in sorted(getattr(trainer.model.config, "id2label", {}).items())]


def _columns(trainer: MMELTrainer, collator: VariantCollator) -> set[str] | None:
    """The columns that the collator is to see, `None` for all of them."""
    if not trainer.args.remove_unused_columns:
        return None
    trainer._set_signature_columns_if_needed()
    return {*trainer._signature_columns, *getattr(collator.augmenter, "columns", ())}
