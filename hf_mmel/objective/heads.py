"""
Task heads: per-variant losses and divergences of each kind of prediction.

For groups of shape `(B, V)`, a head computes the losses under the labels and the divergences from the predictions on
the originals. Weights and objective are the same for all heads.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.groups import IGNORE_INDEX, LABELS, POSITIONS, Groups, are_labelled
from ..functional import divergence, per_variant_loss


_SINGLE_LABEL = "single_label_classification"
_FAR_BELOW = -1e30  # a logit whose probability is 0, and whose difference from another such is, too


class Losses(NamedTuple):
    """
    Loss per item of each variant. An item is the example as a whole or, for token classification, a labelled word.

    Attributes:
        totals (`torch.Tensor` of shape `(B, V)`): Sum over the items, each with its class weight.
        sizes (`torch.Tensor` of shape `(B, V)`): Sum of the class weights; without them the number of items.
    """

    totals: Tensor
    sizes: Tensor

    def mean(self) -> Tensor:
        """The loss of each variant, 0 for one without items, `(B, V)`."""
        return self.totals / torch.where(self.sizes > 0, self.sizes, 1.0)


@dataclass
class Head(ABC):
    """
    Computes losses and divergences of groups.

    Args:
        problem_type (`str`, *optional*): As in the model's configuration. By default the labels tell, as in the models
            of transformers.
        label_smoothing (`float`, *optional*, defaults to 0.0): As in `per_variant_loss`.
        class_weights (`torch.Tensor` of shape `(C,)`, *optional*): Factor of the loss of items of each class.

    Raises:
        `ValueError`: if the head has no use for label smoothing or class weights that are given.
    """

    problem_type: str | None = None
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None

    @staticmethod
    def of(groups: Groups, *options: Any) -> "Head":
        """The head for the targets of a batch."""
        if LABELS not in groups.targets:
            return QuestionAnsweringHead(*options)
        if groups.targets[LABELS].dim() == 3:
            return TokenClassificationHead(*options)
        if groups.num_choices is not None:
            return MultipleChoiceHead(*options)
        return SequenceClassificationHead(*options)

    def logits(self, outputs: Any, num_rows: int, model_name: str) -> Tensor:
        """
        The logits `(N, ..., C)` among a model's outputs on N rows.

        Raises:
            `ValueError`: if they are of another shape.
        """
        return logits_of(outputs, num_rows, model_name)

    @abstractmethod
    def losses(self, logits: Tensor, groups: Groups) -> Losses:
        """Losses under the labels, from logits `(B, V, ..., C)`."""

    @abstractmethod
    def divergences(self, logits: Tensor, soft_labels: Tensor, groups: Groups) -> Tensor:
        """
        Divergences `(B, V)` of the predictions on the variants from those on the originals, from logits
        `(B, V, ..., C)` and `(B, 1, ..., C)`.
        """

    def label_probabilities(self, logits: Tensor, groups: Groups) -> Tensor:
        """
        The probability of the label on each variant, `(B, V)`, without label smoothing and class weights. Of several
        words or labels it is the geometric mean, and it is 1 where nothing is labelled.
        """
        return (-replace(self, label_smoothing=0.0, class_weights=None).losses(logits, groups).mean()).exp()

    @abstractmethod
    def are_right(self, logits: Tensor, groups: Groups) -> Tensor:
        """
        Whether the most probable prediction on each variant is the label, `(B, V)`. Of several words or labels more
        than half of the predictions have to be right.
        """

    def _item_weights(self, labels: Tensor) -> Tensor:
        """The class weight of each label, 1 where there are none, and 0 for -100."""
        known = labels.ne(IGNORE_INDEX)
        if self.class_weights is None:
            return known.float()
        return known * self.class_weights.to(labels.device)[labels.masked_fill(~known, 0)]


class SequenceClassificationHead(Head):
    """One prediction per example: a class, a number or several labels, as the problem type says."""

    def _problem_type(self, logits: Tensor, labels: Tensor) -> str:
        return problem_type_of(self.problem_type, logits.shape[-1], labels)

    def losses(self, logits: Tensor, groups: Groups) -> Losses:
        labels, shape = groups.targets[LABELS], logits.shape[:2]
        problem_type = self._problem_type(logits, labels)
        if self.class_weights is not None and (problem_type != _SINGLE_LABEL or labels.is_floating_point()):
            raise ValueError(
                f"class_weights are given, but the problem type is {problem_type!r} with labels of {labels.dtype}; "
                "they are for labels that are classes. Leave them out."
            )
        # Smoothing is off for several labels, as in `Trainer`, which warns of it.
        smoothing = 0.0 if problem_type == "multi_label_classification" else self.label_smoothing
        repeated = labels.repeat_interleave(shape[1], dim=0)
        losses = per_variant_loss(logits.flatten(0, 1), repeated, problem_type, smoothing).view(shape)
        if problem_type != _SINGLE_LABEL or labels.is_floating_point():
            return Losses(losses, torch.ones_like(losses))
        sizes = self._item_weights(labels.reshape(-1, 1).long()).to(losses.dtype).expand(shape)
        return Losses(losses * sizes, sizes)

    def divergences(self, logits: Tensor, soft_labels: Tensor, groups: Groups) -> Tensor:
        return divergence(logits, soft_labels, self._problem_type(logits, groups.targets[LABELS]))

    def are_right(self, logits: Tensor, groups: Groups) -> Tensor:
        labels = groups.targets[LABELS]
        if self._problem_type(logits, labels) != _SINGLE_LABEL:  # several labels
            return _mostly((logits > 0) == (labels[:, None] > 0.5))
        classes = labels.argmax(dim=-1) if labels.is_floating_point() else labels.flatten()
        return logits.argmax(dim=-1) == classes[:, None]


@dataclass  # else its __post_init__ is not called
class MultipleChoiceHead(SequenceClassificationHead):
    """One of the choices of each example, whose number stands for a class."""

    def __post_init__(self):
        if self.class_weights is not None:
            raise ValueError("class_weights are given, but choices of multiple choice are no classes; leave them out.")

    def _problem_type(self, logits: Tensor, labels: Tensor) -> str:
        return _SINGLE_LABEL


class TokenClassificationHead(Head):
    """
    A class for each word: the loss of a variant is the mean over its labelled words, and that of a batch the mean over
    the labelled words of the originals, as with the models of transformers. The divergence is the mean over the words
    of the original that have a label and a counterpart in the variant.
    """

    def logits(self, outputs: Any, num_rows: int, model_name: str) -> Tensor:
        expected = "(N, L, num_labels), a token classification model's"
        return _checked(_only_logits(outputs, model_name), num_rows, 3, expected, model_name)

    def losses(self, logits: Tensor, groups: Groups) -> Losses:
        labels = groups.targets[LABELS]
        losses = per_variant_loss(logits.flatten(0, 2), labels.flatten(), _SINGLE_LABEL, self.label_smoothing)
        weights = self._item_weights(labels).to(losses.dtype)
        return Losses((losses.view(labels.shape) * weights).sum(dim=-1), weights.sum(dim=-1))

    def are_right(self, logits: Tensor, groups: Groups) -> Tensor:
        labels = groups.targets[LABELS]
        return _mostly(logits.argmax(dim=-1) == labels, labels != IGNORE_INDEX)

    def divergences(self, logits: Tensor, soft_labels: Tensor, groups: Groups) -> Tensor:
        aligned, found = _aligned(logits, groups)
        per_word = divergence(aligned, soft_labels, _SINGLE_LABEL)
        weights = (found * self._item_weights(groups.targets[LABELS][:, :1])).to(per_word.dtype)
        return Losses((per_word * weights).sum(dim=-1), weights.sum(dim=-1)).mean()


@dataclass  # else its __post_init__ is not called
class QuestionAnsweringHead(Head):
    """
    First and last token of an answer. The loss is the mean of both cross entropies over the tokens, and the divergence
    the mean of both KL divergences over the tokens of the original that have a counterpart in the variant.
    """

    def __post_init__(self):
        if self.label_smoothing or self.class_weights is not None:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing} and class_weights are {self.class_weights}, but places of "
                "answers are no classes; leave both out."
            )

    def logits(self, outputs: Any, num_rows: int, model_name: str) -> Tensor:
        if isinstance(outputs, dict) and "start_logits" not in outputs:
            raise ValueError(
                f"{model_name} gave {', '.join(outputs)} for a batch with {' and '.join(POSITIONS)}; expected "
                "start_logits and end_logits, from an extractive question answering model."
            )
        both = [outputs["start_logits"], outputs["end_logits"]] if isinstance(outputs, dict) else _predictions(outputs)
        expected = "(N, L), a question answering model's start_logits and end_logits"
        return torch.stack([_checked(logits, num_rows, 2, expected, model_name) for logits in both[:2]], dim=-1)

    def losses(self, logits: Tensor, groups: Groups) -> Losses:
        flat = logits.to(torch.promote_types(logits.dtype, torch.float32)).flatten(0, 1)
        start, end = (
            F.cross_entropy(flat[..., i], groups.targets[name].flatten(), reduction="none")
            for i, name in enumerate(POSITIONS)
        )
        losses = ((start + end) / 2).view(logits.shape[:2])
        return Losses(losses, torch.ones_like(losses))

    def are_right(self, logits: Tensor, groups: Groups) -> Tensor:
        return _mostly(logits.argmax(dim=2) == torch.stack([groups.targets[name] for name in POSITIONS], dim=-1))

    def divergences(self, logits: Tensor, soft_labels: Tensor, groups: Groups) -> Tensor:
        aligned, found = _aligned(logits, groups)
        out = ~found[..., None]  # probabilities are those among the tokens that both have
        dtype = torch.promote_types(logits.dtype, torch.float32)
        variant, original = (
            torch.where(out, _FAR_BELOW, x.to(dtype)).transpose(-1, -2) for x in (aligned, soft_labels)
        )
        return divergence(variant, original, _SINGLE_LABEL).mean(dim=-1)


def _mostly(right: Tensor, counted: Tensor | None = None) -> Tensor:
    """Whether more than half of the predictions `(B, V, n)`, or of those that count, are right, `(B, V)`."""
    counted = torch.ones_like(right) if counted is None else counted
    return 2 * (right & counted).sum(dim=-1) > counted.sum(dim=-1)


def logits_of(outputs: Any, num_rows: int, model_name: str) -> Tensor:
    """
    The logits `(N, C)` among a classification model's outputs on N rows.

    Raises:
        `ValueError`: if they are of another shape.
    """
    logits = _only_logits(outputs, model_name)
    return _checked(logits, num_rows, 2, "(N, num_labels), a classification model's", model_name)


def problem_type_of(problem_type: str | None, num_labels: int, labels: Tensor) -> str:
    """The problem type; where there is none, derived as the models of transformers do when they see labels."""
    if problem_type is not None:
        return problem_type
    if num_labels == 1:
        return "regression"
    return "multi_label_classification" if labels.is_floating_point() else _SINGLE_LABEL


def are_probabilities(labels: Tensor | None, problem_type: str | None) -> bool:
    """Whether labels are probabilities of the classes, `(N, C)`, which few models take."""
    return labels is not None and problem_type == _SINGLE_LABEL and labels.is_floating_point() and labels.dim() == 2


def loss_of_probabilities(model: nn.Module, inputs: Mapping[str, Any]) -> tuple[Tensor, Any]:
    """The cross entropy with labels that are probabilities `(N, C)`, the mean over N rows, and the model's outputs."""
    labels, has_labels = inputs[LABELS], needs_labels(getattr(model, "module", model))  # without its wrapper
    outputs = model(**{name: x for name, x in inputs.items() if name != LABELS or has_labels})
    loss = per_variant_loss(logits_of(outputs, len(labels), type(model).__name__), labels, _SINGLE_LABEL).mean()
    if isinstance(outputs, dict):
        return loss, outputs
    predictions = (outputs,) if isinstance(outputs, Tensor) else outputs if own_loss(outputs) is None else outputs[1:]
    return loss, (loss, *predictions)


def needs_labels(model: nn.Module) -> bool:
    """Whether the forward of a model cannot be called without labels."""
    parameter = inspect.signature(model.forward).parameters.get(LABELS)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def zero_without_labels(loss: Tensor, outputs: Any, labels: Tensor | None) -> Tensor:
    """
    The loss of a batch, or 0 with a gradient of 0 if no example has a label: the mean over no items is NaN, and some
    models return a number without a gradient.
    """
    is_usable = loss.requires_grad and loss.isfinite()
    if is_usable or labels is None or are_labelled(labels).any() or not _predictions(outputs):
        return loss
    return zero_of(outputs)


def zero_of(outputs: Any) -> Tensor:
    """0 with a gradient of 0 for all that a model's predictions depend on."""
    return 0.0 * torch.stack([x.float().sum() for x in _predictions(outputs)]).sum()


def own_loss(outputs: Any) -> Tensor | None:
    """The loss among a model's outputs, if there is one."""
    loss = outputs.get("loss") if isinstance(outputs, dict) else next(iter(outputs), None)
    return loss if isinstance(loss, Tensor) and loss.numel() == 1 else None


def _predictions(outputs: Any) -> list[Tensor]:
    """The tensors of predictions among a model's outputs: whatever is no loss."""
    values = [outputs] if isinstance(outputs, Tensor) else outputs.values() if isinstance(outputs, dict) else outputs
    return [value for value in values if isinstance(value, Tensor) and value.dim() > 1]


def _only_logits(outputs: Any, model_name: str) -> Tensor:
    """The logits: what is named so, the first of a tuple's predictions, or the only tensor of predictions."""
    if isinstance(outputs, dict) and "logits" in outputs:
        return outputs["logits"]
    found = _predictions(outputs)
    if not found or (isinstance(outputs, dict) and len(found) > 1):
        names = ", ".join(outputs) if isinstance(outputs, dict) else type(outputs).__name__
        raise ValueError(f"{model_name} gave {names}; expected a dict with logits, or a tuple of the loss and logits.")
    return found[0]


def _checked(logits: Tensor, num_rows: int, dim: int, expected: str, model_name: str) -> Tensor:
    if logits.dim() != dim or len(logits) != num_rows:
        raise ValueError(
            f"{model_name} gave logits of shape {tuple(logits.shape)} for N = {num_rows} variants; expected "
            f"{expected}."
        )
    return logits


def _aligned(logits: Tensor, groups: Groups) -> tuple[Tensor, Tensor]:
    """
    Of logits `(B, V, L, C)`, those of the tokens that stand for the original's, in its order, and which of its tokens
    have such a counterpart, `(B, V, L)`.
    """
    if groups.alignment is None:
        raise ValueError(
            "The batch has no alignment (B, V, L), which tells where the original's tokens are in its variants; take "
            "VariantCollator, or an mmel_loss that compares no tokens: 'hard' or 'uniform'."
        )
    found = groups.alignment >= 0
    # Absent variants, of which nothing counts, may be longer than those that are there.
    places = groups.alignment.clamp(0, logits.shape[2] - 1)[..., None].expand(
        *groups.alignment.shape, logits.shape[-1]
    )
    return logits.gather(2, places), found
