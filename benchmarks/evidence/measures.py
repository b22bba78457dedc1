"""What is measured of a trained model: on the texts as they are, and under attack."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from scipy import stats
from transformers import PreTrainedModel

from augment import Typos, WordNetSynonyms
from hf_mmel.attack.attacks import Attempt, Target, greedy_attack, random_attack
from hf_mmel.attack.texts import Classifier, Originals, Texts
from hf_mmel.compare.calibration import calibration_error, log_loss, scale_temperature

from .data import texts_of


ATTACK_SEED = 2_000_000  # of no training run
QUERIES = {"random": 8, "typos": 8, "greedy": 20}  # of each example, at most
_BATCH_SIZE = 128


class Measures(NamedTuple):
    """
    The scores of a model; its logits on N examples, `(N, C)`; and which of these it gets right, `(N,)`, by "clean" and
    the names of the attacks.
    """

    scores: dict[str, float]
    logits: np.ndarray
    right: dict[str, np.ndarray]


def measure(
    model: PreTrainedModel, tokenizer: Any, evaluated: Dataset, max_length: int, has_attacks: bool = True
) -> Measures:
    """
    Measures all that the protocol asks for, with or without the attacks. Of a regression model, this is only its
    correlation with the labels.
    """
    classifier = Classifier(model, tokenizer, max_length, _BATCH_SIZE)
    texts, labels = list(zip(*texts_of(evaluated[:]), strict=True)), np.asarray(evaluated["label"])
    logits = predicted_logits(model, classifier, texts)
    if model.config.num_labels == 1:
        return Measures({"correlation": correlation(logits[:, 0], labels)}, logits, {})
    clean = logits.argmax(axis=1) == labels
    scores, right = clean_scores(logits, labels), {"clean": clean}
    if has_attacks:
        losses = -torch.from_numpy(logits).log_softmax(dim=1).numpy()[np.arange(len(labels)), labels]
        right |= resisted(classifier, texts, labels, losses, clean)
        right["worst"] = np.logical_and.reduce(list(right.values()))
        scores |= {f"{name}_accuracy": float(of.mean()) for name, of in right.items() if name != "clean"}
    return Measures(scores, logits, right)


def clean_scores(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The scores of logits, `(N, C)`, and of these with a temperature."""
    scaled, _ = scale_temperature(logits, labels)
    return {
        "accuracy": float((logits.argmax(axis=1) == labels).mean()),
        "log_loss": log_loss(logits, labels),
        "calibration_error": calibration_error(logits, labels),
        "scaled_log_loss": log_loss(scaled, labels),
        "scaled_calibration_error": calibration_error(scaled, labels),
    }


def resisted(
    classifier: Classifier, texts: Sequence[Texts], labels: np.ndarray, losses: np.ndarray, clean: np.ndarray
) -> dict[str, np.ndarray]:
    """
    Which examples, `(N,)`, a model gets right under each attack. `losses` and `clean` are those of the original texts.
    """
    tokenizer = classifier.tokenizer
    wordnet = WordNetSynonyms(tokenizer, min_sense_share=0.0, max_length=classifier.max_length)
    attacks = {
        "random": (random_attack, wordnet),
        "typos": (random_attack, Typos(tokenizer)),
        "greedy": (greedy_attack, wordnet),
    }
    correct, right = np.flatnonzero(clean), {}
    with torch.autocast(classifier.model.device.type, torch.bfloat16):
        for name, (attack, source) in attacks.items():
            attempts = [Attempt(int(labels[i]), {texts[i]: float(losses[i])}) for i in correct]
            if len(correct):
                originals = Originals(classifier, [texts[i] for i in correct])
                attack(Target(classifier, originals, attempts, QUERIES[name]), source, ATTACK_SEED)  # type: ignore
            right[name] = clean.copy()
            right[name][correct] = [attempt.wrong is None for attempt in attempts]
    return right


def predicted_logits(model: PreTrainedModel, classifier: Classifier, texts: list[Texts]) -> np.ndarray:
    """The logits of texts, `(N, C)`, in float32."""
    model.eval()
    with torch.inference_mode():
        batches = [texts[begin : begin + _BATCH_SIZE] for begin in range(0, len(texts), _BATCH_SIZE)]
        found = [
            model(**classifier.encode(batch, padding=True, return_tensors="pt").to(model.device)).logits
            for batch in batches
        ]
    return torch.cat(found).float().cpu().numpy()


def correlation(predicted: np.ndarray, labels: np.ndarray) -> float:
    """The mean of Pearson's and Spearman's correlation, as GLUE scores STS-B; 0 for constant predictions."""
    if np.ptp(predicted) == 0:
        return 0.0
    return fmean([float(of(predicted, labels).statistic) for of in (stats.pearsonr, stats.spearmanr)])
