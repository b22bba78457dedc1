"""Soft labels that another model predicts: a teacher, or an average of the weights of the trained model."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from ..data.groups import SOFT_LABELS, Groups, originals_alone
from ..objective.heads import Head, needs_labels
from .forward import evaluating


def with_soft_labels(
    inputs: Mapping[str, Tensor], model: nn.Module, problem_type: str | None = None
) -> dict[str, Tensor]:
    """
    A batch of groups with the logits `(B, 1, ..., C)` that a model gives the originals, as `SOFT_LABELS`. They are
    computed in one forward pass in evaluation mode without a gradient.

    Args:
        inputs (`Mapping`): The groups, `(B, V, ...)`.
        model (`nn.Module`): Gets those inputs of the batch that its `forward` takes.
        problem_type (`str`, *optional*): As of `Head`.

    Raises:
        `ValueError`: if the logits do not have the shape of the task head.
    """
    groups = Groups.of(originals_alone(inputs))
    rows: dict[str, Any] = {**groups.rows, **(groups.row_targets() if needs_labels(model) else {})}
    with evaluating(model):
        outputs = model(**accepted_by(model, rows))
    logits = Head.of(groups, problem_type).logits(outputs, len(groups.present), type(model).__name__)
    return {**inputs, SOFT_LABELS: logits.to(torch.promote_types(logits.dtype, torch.float32))[:, None]}


def accepted_by(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that the `forward` of a model takes: another model may have fewer than those of the trained one."""
    parameters = inspect.signature(model.forward).parameters
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return {name: value for name, value in inputs.items() if takes_all or name in parameters}


class WeightAverage:
    """
    An exponential moving average of the weights of a model, with the decay μ and the weights θ_s after update s:

        a_0 = θ_0,   a_s = μ a_{s-1} + (1 - μ) θ_s

    Weights that are frozen when the average begins are not copied but shared with the model. Averages of weights in
    half precision are kept in float32. Buffers are those of the model after the last update.

    Attributes:
        model (`nn.Module`): A copy of the model, with the averages as its weights.

    Source: Tarvainen and Valpola, NeurIPS 2017, arXiv 1703.01780 (mean teachers).
    """

    def __init__(self, model: nn.Module):
        frozen: dict[int, Any] = {id(weight): weight for weight in model.parameters() if not weight.requires_grad}
        self.model = deepcopy(model, frozen).requires_grad_(False).eval()
        copies = dict(self.model.named_parameters())
        self._weights = {name: copies[name] for name, weight in model.named_parameters() if weight.requires_grad}
        self._averages = {
            name: weight.detach().to(torch.promote_types(weight.dtype, torch.float32))  # float32 has the same memory
            for name, weight in self._weights.items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, decay: float) -> None:
        """Adds the weights of the model, after an update, to the average."""
        trained = dict(model.named_parameters())
        for name, average in self._averages.items():
            average.lerp_(trained[name].to(average.dtype), 1 - decay)
            self._write(name)
        for buffer, newest in zip(self.model.buffers(), model.buffers(), strict=True):
            buffer.copy_(newest)

    def _write(self, name: str) -> None:
        weight, average = self._weights[name], self._averages[name]
        if weight.dtype != average.dtype:
            weight.copy_(average)

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by the names of the weights, on the CPU."""
        return {name: average.cpu() for name, average in self._averages.items()}

    @torch.no_grad()
    def load_state_dict(self, averages: Mapping[str, Tensor]) -> None:
        """
        Replaces the averages.

        Raises:
            `ValueError`: if they are of other weights.
        """
        if unlike := averages.keys() ^ self._averages.keys():
            raise ValueError(
                f"The average in the checkpoint and the model differ in the weight {min(unlike)}; expected the same "
                "trainable weights as before. Freeze the same weights, or start a new training run."
            )
        for name, average in averages.items():
            self._averages[name].copy_(average)
            self._write(name)
