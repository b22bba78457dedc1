"""Perturbations of the last variants of a batch of groups: whose they are, and how they are added."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .groups import PERTURBATION, VARIANT_MASK
from .layout import on_device


def perturbed_rows(perturbation: Tensor | None, present: np.ndarray) -> tuple[Tensor | None, Tensor | None]:
    """
    The perturbations `(n, ...)` of the present variants among the last A, given `(B, A, ...)`, and which of the N
    present variants these are, `(n,)`, or `None` if they are all. There are no perturbations if there are none of
    these variants.
    """
    if perturbation is None:
        return None, None
    own = present[:, present.shape[1] - perturbation.shape[1] :]
    if not own.any():
        return None, None
    device, perturbation = perturbation.device, perturbation.flatten(0, 1)
    if not own.all():
        perturbation = perturbation[on_device(np.flatnonzero(own), device)]
    are_perturbed = np.zeros_like(present)
    are_perturbed[:, -own.shape[1] :] = True
    rows = are_perturbed[present]
    return perturbation, None if rows.all() else on_device(np.flatnonzero(rows), device)


def perturbation_at(inputs: Mapping[str, Tensor], columns: Tensor) -> Tensor:
    """The perturbations of the variants in these columns of a batch of groups, `(B, C)`: `(B, C, ...)`, 0 for none."""
    perturbation = inputs[PERTURBATION]
    place = columns - (inputs[VARIANT_MASK].shape[1] - perturbation.shape[1])
    chosen = perturbation[torch.arange(len(place), device=place.device)[:, None], place.clamp(min=0)]
    return chosen.masked_fill((place < 0).view(*place.shape, *[1] * (chosen.dim() - 2)), 0.0)


def perturbed(values: Tensor, perturbation: Tensor, rows: Tensor | None) -> Tensor:
    """The inputs of N rows, to which the perturbations `(n, ...)` of some rows `(n,)` are added, or those of all."""
    perturbation = perturbation.to(values.dtype)
    if rows is None:
        return values + perturbation.view_as(values)
    return values.view(-1, *perturbation.shape[1:]).index_add(0, rows, perturbation).view_as(values)
