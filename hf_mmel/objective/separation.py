"""Separation of classes in the representations of a model, the second term of separable reweighted training."""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.groups import LABELS
from ..data.layout import on_device, read


TEMPERATURE = 0.1


def separation_losses(features: Tensor, classes: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """
    How far each row is from those of its own class, compared with those of other classes:

        s_r = -1/|P_r| Σ_{p ∈ P_r} log( exp(z_r·z_p / τ) / Σ_{q ≠ r} exp(z_r·z_q / τ) ),   z_r = h_r / ‖h_r‖

    with h_r the representation of row r, P_r the other rows of its class, q all other rows, and τ the temperature. A
    small value means that rows of the class are near in angle and those of other classes are not.

    Args:
        features (`torch.Tensor` of shape `(N, E)`): Representations h, of any floating dtype.
        classes (`torch.Tensor` of shape `(N,)`): The class of each row.
        temperature (`float`, *optional*, defaults to 0.1): τ > 0; the smaller, the more the nearest rows count.

    Returns:
        `torch.Tensor` of shape `(N,)`: In float32 (float64 for float64 features), 0 for a row whose class has no other
        row.

    Sources: Wang et al., *Imbalanced Adversarial Training with Reweighting*, arXiv 2107.13639 (SRAT), adds such a
    feature separation loss to the reweighted loss of adversarial training. Its form is the supervised contrastive loss
    of Khosla et al., NeurIPS 2020, arXiv 2004.11362. Unit length and the temperature are our reading.

    Example:

        >>> features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> separation_losses(features, torch.tensor([0, 0, 1]), temperature=1.0)
        tensor([0.3133, 0.3133, 0.0000])
    """
    features = F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)), dim=1)
    is_self = torch.eye(len(features), dtype=torch.bool, device=features.device)
    with torch.autocast(features.device.type, enabled=False):  # which would multiply in half precision
        similarities = features @ features.T / temperature
    similarities = similarities.masked_fill(is_self, torch.finfo(features.dtype).min)
    same_class = (classes[:, None] == classes) & ~is_self
    log_shares = similarities.log_softmax(dim=1).masked_fill(~same_class, 0.0)
    return -log_shares.sum(dim=1) / same_class.sum(dim=1).clamp(min=1)


def classes_of(targets: Mapping[str, Tensor]) -> Tensor:
    """
    The class of each example of a batch of groups, `(B,)`, -100 for those without a label.

    Raises:
        `ValueError`: if the labels are not one class for each example.
    """
    labels = targets.get(LABELS)
    if labels is None or labels.is_floating_point() or labels.dim() > 2 or labels.numel() != len(labels):
        found = "no labels" if labels is None else f"labels of {labels.dtype} and shape {tuple(labels.shape)}"
        raise ValueError(
            f"feature_separation is given, but a batch has {found}; expected one class for each example, of shape "
            "(B,). Set it to 0."
        )
    return labels.flatten()


def group_separation(
    features: Tensor, classes: Tensor, variant_mask: Tensor, num_rows: Tensor, weights: Tensor | None = None
) -> Tensor:
    """
    The separation of the rows of a micro-batch, summed over its examples: `Σ_i a_i / R_i Σ_v s_iv`, with the `s_iv` of
    `separation_losses` and the weights a_i of examples. Examples without a label or with the weight 0 have no part in
    it.

    Args:
        features (`torch.Tensor` of shape `(N, E)`): Of the N present variants, in their order.
        classes (`torch.Tensor` of shape `(B,)`): Classes of the examples, negative for those without a label.
        variant_mask (`torch.Tensor` of shape `(B, V)`): The N present variants.
        num_rows (`torch.Tensor` of shape `(B,)`):
            R_i, the variants of each example that are trained on: more than are present if the group is cut.
        weights (`torch.Tensor` of shape `(B,)`, *optional*): a_i; 1 by default.

    Returns:
        `torch.Tensor`: A number.
    """
    counts = (classes >= 0) if weights is None else (classes >= 0) & (weights > 0)
    present, counted = read(variant_mask, counts)
    of_rows = present.nonzero()[0]
    example = on_device(of_rows[counted[of_rows]], features.device)
    features = features[on_device(np.flatnonzero(counted[of_rows]), features.device)]
    factors = 1 / num_rows.clamp(min=1) if weights is None else weights / num_rows.clamp(min=1)
    return (factors[example] * separation_losses(features, classes[example])).sum()
