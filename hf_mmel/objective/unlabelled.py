"""The loss of examples without a label, and the annealing of the loss of those that have one."""

import math
from typing import Any

from torch import Tensor

from ..argument_groups import UnlabeledArguments
from ..data.groups import LABELS, Groups
from .heads import problem_type_of


def predict_classes(logits: Tensor, groups: Groups, problem_type: str | None) -> bool:
    """Whether logits `(B, V, ..., C)` predict one class of each example as a whole, or its choice."""
    labels = groups.targets.get(LABELS)
    if labels is None or labels.dim() == 3:  # of answers and of words
        return False
    is_single_label = problem_type_of(problem_type, logits.shape[-1], labels) == "single_label_classification"
    return is_single_label or groups.num_choices is not None


def are_confident(soft_labels: Tensor, threshold: float) -> Tensor:
    """Whether the largest class probability of each soft label, logits `(B, 1, C)`, is at least τ, `(B,)`."""
    return soft_labels.detach()[:, 0].softmax(dim=-1).amax(dim=-1) >= threshold


def own_prediction_losses(logits: Tensor, args: UnlabeledArguments) -> Tensor:
    """
    The losses of predictions that need no label, see `unlabeled_loss`: with p the softmax of the logits and c* their
    largest class,

        pseudo_label   -log p_c*             entropy   -Σ_c p_c log p_c

    Args:
        logits (`torch.Tensor` of shape `(B, V, C)`): Of examples and their variants.
        args (`UnlabeledArguments`): Says which of the two.

    Returns:
        `torch.Tensor` of shape `(B, V)`.
    """
    log_probabilities = logits.log_softmax(dim=-1)
    if args.unlabeled_loss == "entropy":
        return -(log_probabilities.exp() * log_probabilities).sum(dim=-1)
    return -log_probabilities.amax(dim=-1)


def annealed_threshold(schedule: str, num_classes: int, global_step: int, max_steps: int) -> float:
    """
    The probability η_t of the label above which an example is left out of the loss under its label:

        η_t = α_t (1 - 1/C) + 1/C,   α_t = t/T (linear),   1 - exp(-5 t/T) (log),   exp(5 (t/T - 1)) (exp)

    It is 1, which leaves nothing out, for the schedule "none" and outside a training run, where T is 0.

    Args:
        schedule (`str`): One of `ANNEALING` of `hf_mmel.argument_groups`.
        num_classes (`int`): C.
        global_step (`int`): t, the updates before this one.
        max_steps (`int`): T, all updates of the training run.

    Source: Xie et al., 2020, arXiv 1904.12848, on training signal annealing.
    """
    if schedule == "none" or max_steps <= 0:
        return 1.0
    share = global_step / max_steps
    alpha = {"linear": share, "log": 1 - math.exp(-5 * share), "exp": math.exp(5 * (share - 1))}[schedule]
    return alpha * (1 - 1 / num_classes) + 1 / num_classes


def without_variants(variant_mask: Any, are_unlabelled: Any) -> Any:
    """The variants that are present, without those of unlabelled examples, `(B, V)`; tensors or arrays."""
    kept = variant_mask & ~are_unlabelled[:, None]
    kept[:, 0] = variant_mask[:, 0]
    return kept
