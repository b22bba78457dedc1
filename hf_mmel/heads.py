"""What the head of a sequence classifier gives, and which loss it is trained with."""

from typing import Any

import torch
from transformers import PretrainedConfig


def logits_of(outputs: Any, num_rows: int, model_name: str) -> torch.Tensor:
    """
    The logits `(N, C)` among a model's outputs on N rows.

    Raises:
        `ValueError`: if they are of another shape.
    """
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
    if logits.dim() != 2 or len(logits) != num_rows:
        raise ValueError(
            f"{model_name} gave logits of shape {tuple(logits.shape)}; expected ({num_rows}, num_labels), one row per "
            "variant, from a sequence classification model."
        )
    return logits


def problem_type_of(config: PretrainedConfig | None, num_labels: int, labels: torch.Tensor) -> str:
    """The model's `problem_type`, found and noted as the models of transformers do when they see labels."""
    problem_type = getattr(config, "problem_type", None)
    if problem_type is None:
        if num_labels == 1:
            problem_type = "regression"
        elif labels.is_floating_point():
            problem_type = "multi_label_classification"
        else:
            problem_type = "single_label_classification"
        if config is not None:
            config.problem_type = problem_type
    return problem_type
