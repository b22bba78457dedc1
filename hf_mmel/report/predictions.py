"""Predictions of the final model: on the validation data, and on variants of training examples."""

from __future__ import annotations

from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import IterableDataset
from tqdm.auto import tqdm

from augment.core.variant_count import VariantCount

from ..cli.evaluation import temporarily
from ..data.group_collator import GroupCollator
from ..data.groups import LABELS, VARIANT_MASK, Groups
from ..data.variant_collator import VariantCollator
from ..hub.model_card import scores_of
from ..monitoring.decoding import make_decoder
from ..objective.heads import logits_of, problem_type_of
from ..step.forward import evaluating
from ..trainer import MMELTrainer


_UNSUPPORTED = "examples are not texts with a class, several labels, or a number."


class Predictions(NamedTuple):
    """The predictions on N validation examples."""

    problem_type: str  # as in the model's configuration
    names: list[str]  # of the classes
    outputs: np.ndarray  # probabilities (N, C); for regression the predicted numbers (N,)
    labels: np.ndarray  # class ids (N,), ones and zeros (N, C), or numbers (N,)
    scores: dict[str, float]  # the metrics of the trainer, and the loss


class ScoredVariants(NamedTuple):
    """The predictions on N variants of training examples, and on their originals; arrays as in `Predictions`."""

    problem_type: str
    names: list[str]
    originals: list[str]
    texts: list[str]  # of the variants
    labels: np.ndarray  # of the examples
    before: np.ndarray  # the predictions on the originals
    after: np.ndarray  # the predictions on the variants
    variant_count: VariantCount  # of the variants of the examples that were drawn
    num_all_examples: int  # in the training data


def predict(trainer: MMELTrainer) -> Predictions:
    """Predicts the validation data; of several validation sets, the first. A `ValueError` says why it cannot."""
    dataset = trainer.eval_dataset
    if isinstance(dataset, dict):
        dataset = next(iter(dataset.values()), None)
    if dataset is None:
        raise ValueError("There is no validation data.")
    with temporarily(trainer.args, dataloader_drop_last=False):  # which is for training
        output = trainer.predict(dataset, metric_key_prefix="eval")
    logits = output.predictions[0] if isinstance(output.predictions, tuple) else output.predictions
    labels = output.label_ids[0] if isinstance(output.label_ids, tuple) else output.label_ids
    if labels is None or logits.ndim != 2 or not len(logits) or len(labels) != len(logits):
        raise ValueError(f"The validation {_UNSUPPORTED}")
    problem_type, labels, labelled = _labelled(trainer, logits.shape[1], labels)
    if not labelled.any():
        raise ValueError("No validation example has a label.")
    outputs = outputs_of(torch.from_numpy(logits[labelled]), problem_type)
    return Predictions(problem_type, _class_names(trainer), outputs, labels[labelled], scores_of(output.metrics or {}))


def score_variants(trainer: MMELTrainer, collator: GroupCollator, max_examples: int) -> ScoredVariants:
    """
    Predicts the variants that training examples had in the first epoch. At most `max_examples` are drawn with the seed
    of the training run. For a greedy search the variants are random draws of its candidates, because what it found is
    not kept. A `ValueError` says why the examples cannot be scored.
    """
    if not isinstance(collator, VariantCollator):
        raise ValueError(f"The training {_UNSUPPORTED}")
    dataset: Any = trainer.train_dataset
    args = trainer.args
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__") or not len(dataset):
        raise ValueError("There is no training data that can be indexed.")
    indices = np.sort(np.random.default_rng(args.seed).permutation(len(dataset))[:max_examples]).tolist()
    columns = _columns(trainer, collator)
    batch_size = max(1, args.eval_batch_size // (collator.num_variants + 1))
    collator.set_epoch(0)
    decode = make_decoder(collator.tokenizer)
    originals, texts, parts = list[str](), list[str](), list[list[np.ndarray]]()
    count = VariantCount(collator.num_variants)
    with evaluating(_model(trainer)):
        starts = range(0, len(indices), batch_size)
        for start in tqdm(starts, desc="Scoring variants", disable=args.disable_tqdm):
            rows = [dataset[i] for i in indices[start : start + batch_size]]
            if columns is not None:
                rows = [{name: value for name, value in row.items() if name in columns} for row in rows]
            inputs = collator(rows)
            if inputs["input_ids"].dim() != 3 or LABELS not in inputs or inputs[LABELS].dim() > 2:
                raise ValueError(f"The training {_UNSUPPORTED}")
            count += VariantCount.of(inputs[VARIANT_MASK].tolist(), collator.num_variants)
            positions, *arrays = _predict_batch(trainer, inputs)
            parts.append(arrays)
            ids = inputs["input_ids"].tolist()
            originals += [decode(ids[i][0]) for i, _ in positions.tolist()]
            texts += [decode(ids[i][k]) for i, k in positions.tolist()]
    labels, before, after = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    problem_type, labels, labelled = _labelled(trainer, before.shape[1], labels)
    return ScoredVariants(
        problem_type,
        _class_names(trainer),
        list(compress(originals, labelled)),
        list(compress(texts, labelled)),
        labels[labelled],
        outputs_of(torch.from_numpy(before[labelled]), problem_type),
        outputs_of(torch.from_numpy(after[labelled]), problem_type),
        count,
        len(dataset),
    )


def _predict_batch(trainer: MMELTrainer, inputs: dict[str, torch.Tensor]) -> list[np.ndarray]:
    """For the n augmented variants: positions `(n, 2)`, labels, and logits `(n, C)` on originals and variants."""
    groups = Groups.of(trainer._prepare_inputs(inputs))
    with trainer.compute_loss_context_manager():
        outputs = _model(trainer)(**groups.rows)
    name = type(trainer.model).__name__
    logits = groups.grouped(logits_of(outputs, len(groups.present), name).float())
    mask = groups.variant_mask.clone()
    mask[:, 0] = False
    positions = mask.nonzero()
    i, k = positions.unbind(dim=1)
    tensors = (positions, groups.targets[LABELS][i], logits[i, 0], logits[i, k])
    return [tensor.cpu().numpy() for tensor in tensors]


def outputs_of(logits: torch.Tensor, problem_type: str) -> np.ndarray:
    """Probabilities `(N, C)` from finite logits of the same shape; for regression the predicted numbers `(N,)`."""
    if not logits.isfinite().all():
        raise ValueError("The model's outputs are not finite; its training has diverged.")
    logits = logits.double()
    if problem_type == "regression":
        return logits.squeeze(1).numpy()
    return (logits.sigmoid() if problem_type == "multi_label_classification" else logits.softmax(dim=1)).numpy()


def _labelled(trainer: MMELTrainer, num_outputs: int, labels: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
    """The problem type, the labels, for regression as `(N,)`, and which examples have a label."""
    problem_type = getattr(getattr(trainer.model, "config", None), "problem_type", None)
    problem_type = problem_type_of(problem_type, num_outputs, torch.from_numpy(labels))
    if problem_type == "single_label_classification":
        labels = labels if labels.ndim == 1 else labels.argmax(axis=1)  # of probabilities, the likeliest class
        return problem_type, labels, labels >= 0
    if problem_type == "regression":
        if num_outputs > 1:
            raise ValueError(f"The model predicts {num_outputs} numbers; expected one.")
        labels = labels.reshape(-1)
    return problem_type, labels, np.isfinite(labels).reshape(len(labels), -1).all(axis=1)


def _model(trainer: MMELTrainer) -> torch.nn.Module:
    assert trainer.model is not None  # as only before it is initialised
    return trainer.model


def _class_names(trainer: MMELTrainer) -> list[str]:
    return [str(name) for _, name in sorted(getattr(_model(trainer).config, "id2label", {}).items())]


def _columns(trainer: MMELTrainer, collator: VariantCollator) -> set[str] | None:
    """The columns for the collator; `None` means all."""
    if not trainer.args.remove_unused_columns:
        return None
    trainer._set_signature_columns_if_needed()
    return {*(trainer._signature_columns or ()), *getattr(collator.augmenter, "columns", ())}
