"""A loss function of the user's own, taken for each variant."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..data.groups import IGNORE_INDEX, LABELS, Groups, are_labelled
from .heads import Losses, zero_of


LossFunction = Callable[..., Tensor]  # (outputs, labels, num_items_in_batch), as `Trainer` takes it


def custom_losses(loss_func: LossFunction, outputs: Any, groups: Groups) -> Losses:
    """
    The loss of each present variant, from a `compute_loss_func`, see `row_losses`.

    Args:
        loss_func (`Callable`): As `Trainer` takes it. The loss of a batch has to be the mean over its items.
        outputs: The model's outputs on the N variants that are present.
        groups (`Groups`): The batch, with labels.

    Raises:
        `ValueError`: if the batch has no `labels`, or the loss of a row is not one number.
    """
    if LABELS not in groups.targets:
        raise ValueError(
            f"compute_loss_func is called with labels, but the batch has {' and '.join(groups.targets)} in their "
            "place; expected labels. Leave out compute_loss_func for question answering."
        )
    labels = groups.row_targets()[LABELS]
    are_of_words = groups.targets[LABELS].dim() == 3
    sizes = (labels.ne(IGNORE_INDEX).sum(dim=1) if are_of_words else are_labelled(labels)).float()
    losses, sizes = groups.grouped(row_losses(loss_func, outputs, labels, sizes)), groups.grouped(sizes)
    return Losses(losses * sizes, sizes)


def row_losses(loss_func: LossFunction, outputs: Any, labels: Tensor, sizes: Tensor) -> Tensor:
    """
    The loss of each of N rows, `(N,)`, from a `compute_loss_func` that is called with one row at a time.

    Args:
        loss_func (`Callable`): As `Trainer` takes it. The loss of a batch has to be the mean over its items.
        outputs: The model's outputs on the rows.
        labels (`torch.Tensor` of shape `(N, ...)`): Their labels.
        sizes (`torch.Tensor` of shape `(N,)`):
            The `num_items_in_batch` of each row: 1, or its number of labelled words. A row with 0 has the loss 0.

    Raises:
        `ValueError`: if the loss of a row is not one number.
    """
    losses = []
    for row, size in enumerate(sizes.tolist()):
        part = _row(outputs, row, len(labels))
        if size:
            loss = loss_func(part, labels[row : row + 1], num_items_in_batch=sizes[row])
            if not isinstance(loss, Tensor) or loss.numel() != 1:
                raise ValueError(
                    f"compute_loss_func gave {loss!r:.100} for one row; expected a tensor with one number, its loss."
                )
            losses.append(loss.reshape(()).float())
        else:
            losses.append(zero_of(part))
    return torch.stack(losses)


def _row(outputs: Any, row: int, num_rows: int) -> Any:
    """One row of the model's outputs, which keep their kind."""
    if isinstance(outputs, Tensor):
        return outputs[row : row + 1] if outputs.dim() and len(outputs) == num_rows else outputs
    if isinstance(outputs, dict):
        parts = {name: _row(value, row, num_rows) for name, value in outputs.items()}
        return type(outputs)(**parts) if type(outputs) is not dict else parts
    if isinstance(outputs, tuple | list):
        return tuple(_row(value, row, num_rows) for value in outputs)
    return outputs
