"""Batches of groups for every head, and a reference for what a head makes of them, in NumPy from the equations."""

import numpy as np
import torch
from task_heads import TASK_HEADS

from hf_mmel.data.groups import IGNORE_INDEX, POSITIONS, Groups
from hf_mmel.objective.heads import Head, Losses


HEADS = list(TASK_HEADS)
TOKENS = ["tokens", "answers"]  # of which predictions on tokens are compared
CLASSES = {"single_label": 3, "regression": 1, "multi_label": 3, "choices": 4, "tokens": 3, "answers": 2}
FEATURES = 2, 3, 5  # B, V, and the tokens of an original


# --- batches ------------------------------------------------------------


def normal(*shape, seed=0, scale=1.0):
    return torch.tensor(np.random.default_rng(seed).normal(scale=scale, size=shape))


def aligned_rows(rng, num_variants: int, length: int) -> np.ndarray:
    """The place of each of an original's tokens in each variant, -1 for lost ones, `(V, L)`."""
    alignment = np.full((num_variants, length), -1)
    for variant in range(num_variants):
        kept = np.flatnonzero(rng.random(length) < (2 if variant == 0 else 0.7))
        places = np.sort(rng.permutation(length)[: len(kept)]) if variant else kept
        alignment[variant, kept] = places
    return alignment


def batch_of(name: str, seed: int = 0, dtype=torch.float64, scale: float = 1.0) -> tuple[torch.Tensor, dict]:
    """Logits `(B, V, ..., C)` of a head and a batch of groups to judge them by."""
    rng = np.random.default_rng(seed)
    size, num_variants, length = FEATURES
    classes = CLASSES[name]
    batch = {"input_ids": torch.ones(size, num_variants, length, dtype=torch.long)}
    batch["variant_mask"] = torch.ones(size, num_variants, dtype=torch.bool)
    shape = (size, num_variants, classes)
    if name in TOKENS:
        shape = (size, num_variants, length, classes)
        alignment = np.stack([aligned_rows(rng, num_variants, length) for _ in range(size)])
        batch["alignment"] = torch.tensor(alignment)
    if name == "tokens":
        originals = rng.integers(classes, size=(size, length))
        originals[:, 0] = IGNORE_INDEX
        labels = np.full((size, num_variants, length), IGNORE_INDEX)
        for b, v, place in np.argwhere(alignment >= 0):
            labels[b, v, alignment[b, v, place]] = originals[b, place]
        batch["labels"] = torch.tensor(labels)
    elif name == "answers":
        start = rng.integers(length, size=(size, num_variants))
        batch["start_positions"] = torch.tensor(start)
        batch["end_positions"] = torch.tensor(rng.integers(start, length))
    elif name == "regression":
        batch["labels"] = torch.tensor(rng.normal(size=size))
    elif name == "multi_label":
        batch["labels"] = torch.tensor(rng.integers(2, size=(size, classes))).double()
    else:
        batch["labels"] = torch.tensor(rng.integers(classes, size=size))
    if name == "choices":
        batch["input_ids"] = torch.ones(size, num_variants, classes, length, dtype=torch.long)
    return normal(*shape, seed=seed + 100, scale=scale).to(dtype), batch


def judge(name: str, logits, batch, smoothing=0.0, class_weights=None) -> tuple[Losses, torch.Tensor]:
    """Losses and divergences `(B, V)` of a batch."""
    groups = Groups.of(batch)
    head = Head.of(groups, None, smoothing, class_weights)
    return head.losses(logits, groups), head.divergences(logits, logits[:, :1], groups)


# --- the reference ------------------------------------------------------


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def cross_entropy(logits, label, smoothing=0.0) -> float:
    log_p = log_softmax(logits)
    return -(1 - smoothing) * log_p[label] - smoothing * log_p.mean()


def kl(p_logits, q_logits) -> float:
    log_p, log_q = log_softmax(p_logits), log_softmax(q_logits)
    return (np.exp(log_p) * (log_p - log_q)).sum()


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


def bernoulli_kl(x, y) -> float:
    """Of sigmoids, summed over the outputs."""
    return sum((np.exp(log_sigmoid(s * x)) * (log_sigmoid(s * x) - log_sigmoid(s * y))).sum() for s in (1, -1))


def items_of(name, logits, batch, b, v, smoothing, factors) -> list[tuple[float, float]]:
    """Weight and loss of each item of a variant."""
    x = logits[b, v]
    if name == "tokens":
        labels = batch["labels"][b, v]
        places = [i for i in range(len(labels)) if labels[i] != IGNORE_INDEX]
        return [(factors[labels[i]], cross_entropy(x[i], labels[i], smoothing)) for i in places]
    if name == "answers":
        start, end = (cross_entropy(x[:, i], batch[position][b, v]) for i, position in enumerate(POSITIONS))
        return [(1.0, (start + end) / 2)]
    label = batch["labels"][b]
    if name == "regression":
        return [(1.0, (x[0] - label) ** 2)]
    if name == "multi_label":
        return [(1.0, -(label * log_sigmoid(x) + (1 - label) * log_sigmoid(-x)).mean())]
    factor = factors[label] if name == "single_label" else 1.0
    return [(factor, cross_entropy(x, label, smoothing))]


def divergence_of(name, logits, batch, b, v, factors) -> float:
    p, q = logits[b, 0], logits[b, v]
    if name == "regression":
        return ((p - q) ** 2).mean()
    if name == "multi_label":
        return bernoulli_kl(p, q)
    if name not in TOKENS:
        return kl(p, q)
    alignment = batch["alignment"][b, v]
    both = [i for i in range(len(alignment)) if alignment[i] >= 0]
    if name == "answers":
        there = alignment[both]
        return (kl(p[both, 0], q[there, 0]) + kl(p[both, 1], q[there, 1])) / 2 if both else 0.0
    labels = batch["labels"][b, 0]
    both = [i for i in both if labels[i] != IGNORE_INDEX]
    weights = np.array([factors[labels[i]] for i in both])
    values = np.array([kl(p[i], q[alignment[i]]) for i in both])
    return (weights * values).sum() / weights.sum() if weights.sum() else 0.0


def reference(name, logits, batch, smoothing=0.0, class_weights=None):
    """Totals, sizes and divergences, `(B, V)` each."""
    logits = logits.detach().double().numpy()
    batch = {key: value.numpy() for key, value in batch.items()}
    factors = np.ones(CLASSES[name]) if class_weights is None else np.asarray(class_weights)
    result = np.zeros((3, *logits.shape[:2]))
    for b, v in np.ndindex(*logits.shape[:2]):
        items = items_of(name, logits, batch, b, v, smoothing, factors)
        result[0, b, v] = sum(weight * loss for weight, loss in items)
        result[1, b, v] = sum(weight for weight, _ in items)
        result[2, b, v] = divergence_of(name, logits, batch, b, v, factors)
    return result


def evened(losses: Losses) -> torch.Tensor:
    """The totals as if each variant had as many items as its original, `(B, V)`."""
    return losses.mean() * losses.sizes[:, :1]
