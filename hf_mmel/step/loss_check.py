"""The check that the loss which variants are weighed by is the one that the model is trained with."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..data.groups import LABELS, VARIANT_MASK, Groups, layout_of, num_items, originals, originals_alone
from ..objective.heads import are_probabilities, own_loss
from .forward import VariantForward


def check_loss(model: nn.Module, inputs: Mapping[str, Tensor], forward: VariantForward) -> bool:
    """
    Compares, on the originals of a batch, the model's own loss with the loss that variants are weighed by, both from
    the same forward pass. Of a `compute_loss_func`, its value for the batch is compared with the mean over the rows.

    Args:
        model (`nn.Module`): The model, within its wrapper where all processes make each forward pass together.
        inputs (`Mapping`): A batch of groups.
        forward (`VariantForward`): Computes the losses.

    Returns:
        `bool`: Whether there was anything to compare: the batch has labels, and the model a loss that is finite.

    Raises:
        `ValueError`: if the two losses differ by more than rounding.
    """
    batch, groups, device = originals(inputs), Groups.of(originals_alone(inputs)), inputs[VARIANT_MASK].device
    labels = batch.get(LABELS)
    if not layout_of(inputs).are_labelled.any():
        return False
    problem_type = getattr(getattr(forward.model, "config", None), "problem_type", None)
    if are_probabilities(labels, problem_type) and forward.loss_func is None:
        return True  # few models have this loss; the trainer computes it in evaluation, too
    if forward.loss_func is not None and not forward.needs_labels:
        batch.pop(LABELS, None)  # as `Trainer` calls the model then
    before = forward.saved_buffers()
    devices = [device] if device.type == "cuda" else []
    # In training mode, since a forward may have terms of the loss that evaluation lacks. Both losses are those of the
    # same dropout.
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        outputs = model(**batch)
        losses = forward.losses(outputs, groups, plain=True)[1]
        if forward.loss_func is None:
            own = own_loss(outputs)
        else:
            count = torch.as_tensor(num_items(inputs), device=device)
            own = forward.loss_func(outputs, labels, num_items_in_batch=count)
    forward.restore(before)
    if own is None:
        return False
    theirs, ours = float(own), float(losses.totals[:, 0].sum() / losses.sizes[:, 0].sum())
    if not (math.isfinite(theirs) and math.isfinite(ours)):
        return False
    # Of the same logits, so that only the sums differ: a class-weighted mean is near the plain one at first.
    tolerance = 1e-4 if own.dtype in (torch.float32, torch.float64) else 2e-2
    if abs(ours - theirs) <= tolerance * max(abs(ours), abs(theirs), 1e-2):
        return True
    raise ValueError(_message(type(forward.model).__name__, ours, theirs, forward))


def _message(name: str, ours: float, theirs: float, forward: VariantForward) -> str:
    if forward.loss_func is not None:
        return (
            f"compute_loss_func gives {theirs:.6g} for the originals of the first batch, but the mean of what it "
            f"gives for each of them alone is {ours:.6g}. Variants are weighed by the loss of each row; expected a "
            "function whose loss is the mean over the items of a batch, or their sum divided by num_items_in_batch. "
            "To train on the mean of the rows all the same, set loss_check=False."
        )
    return (
        f"{name} computes the loss {theirs:.6g} for the originals of the first batch, but the loss by which their "
        f"variants would be weighed is {ours:.6g}: training would mix the two. If the model weighs classes, take "
        "class_weights instead; if it has another loss, or reads its labels otherwise, pass it to the trainer as "
        "compute_loss_func(outputs, labels, num_items_in_batch), or set the problem_type of its config. To train on "
        "the second loss all the same, set loss_check=False."
    )
