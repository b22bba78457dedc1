"""
Batches of groups, which the collators make and the trainer splits.

`variant_mask` `(B, V)` marks such a batch. Its other tensors carry the variant axis after the batch axis, except
labels of whole examples, `(B, ...)`.
"""

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import torch

from augment.core import batch
from augment.core.batch import ALIGNMENT_KEY as ALIGNMENT
from augment.core.batch import IGNORE_INDEX
from augment.core.batch import LABELS_KEY as LABELS


# Keys of a batch. `ALIGNMENT`, (B, V, L), has for each token of the original its position in the variant, or -1.
VARIANT_MASK = "variant_mask"
GROUP_KEY = "group_key"  # identifies a group by its content, (B,)
PERTURBATION = "perturbation"  # is added to the inputs of the model, or to its word embeddings
POSITIONS = ("start_positions", "end_positions")  # the first and last token of an answer

LABEL_COLUMNS = ("labels", "label", "label_ids")  # names of the label column of a dataset

_TARGETS = (LABELS, *POSITIONS)


class Groups(NamedTuple):
    """
    A batch of groups, split into rows and targets.

    Attributes:
        rows (`dict`): The model's inputs for the N variants that are present, `(N, ...)`.
        present (`torch.Tensor` of shape `(N,)`): Their indices among all B * V.
        targets (`dict`): `labels`, or `start_positions` and `end_positions`.
        variant_mask (`torch.Tensor` of shape `(B, V)`): Which variants are present.
        alignment (`torch.Tensor` of shape `(B, V, L)`, *optional*): Where the original's tokens are in the variants.
        num_choices (`int`, *optional*): Rows of ids that an example of multiple choice has.
    """

    rows: dict[str, torch.Tensor]
    present: torch.Tensor
    targets: dict[str, torch.Tensor]
    variant_mask: torch.Tensor
    alignment: torch.Tensor | None
    num_choices: int | None

    @classmethod
    def of(cls, inputs: Mapping[str, torch.Tensor]) -> "Groups":
        """Splits a batch. Raises a `ValueError` if it has no targets, or a tensor lacks the variant axis."""
        inputs = dict(inputs)
        variant_mask = inputs.pop(VARIANT_MASK).bool()
        alignment = inputs.pop(ALIGNMENT, None)
        inputs.pop(GROUP_KEY, None)
        targets = {name: inputs.pop(name) for name in _TARGETS if name in inputs}
        if not targets or any(len(target) != len(variant_mask) for target in targets.values()):
            shapes = ", ".join(f"{name} of shape {tuple(target.shape)}" for name, target in targets.items())
            raise ValueError(
                f"A batch of groups has variant_mask of shape {tuple(variant_mask.shape)} and "
                f"{shapes or 'no labels'}; expected labels of shape ({len(variant_mask)}, ...), one for each example."
            )
        axes = {**inputs, **{name: targets[name] for name in POSITIONS if name in targets}}
        if LABELS in targets and targets[LABELS].dim() == 3:
            axes[LABELS] = targets[LABELS]
        for name, tensor in axes.items():
            if tensor.shape[:2] != variant_mask.shape:
                raise ValueError(
                    f"{name} has the shape {tuple(tensor.shape)}; expected {tuple(variant_mask.shape)}, ...: "
                    "all tensors of a batch of groups except labels carry the variant axis after the batch axis."
                )
        ids = inputs.get("input_ids")
        present = variant_mask.flatten().nonzero().squeeze(1)
        return cls(
            rows={name: tensor.flatten(0, 1)[present] for name, tensor in inputs.items()},
            present=present,
            targets=targets,
            variant_mask=variant_mask,
            alignment=alignment,
            num_choices=ids.shape[2] if ids is not None and ids.dim() == 4 else None,
        )

    def grouped(self, values: torch.Tensor) -> torch.Tensor:
        """Values `(N, ...)` of the present variants as `(B, V, ...)`, with zeros for the absent ones."""
        whole = values.new_zeros(self.variant_mask.numel(), *values.shape[1:]).index_copy(0, self.present, values)
        return whole.view(*self.variant_mask.shape, *values.shape[1:])


def originals(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The batch of the original examples of a batch of groups."""
    return {
        name: tensor if name == LABELS and tensor.dim() < 3 else tensor[:, 0].contiguous()
        for name, tensor in inputs.items()
        if name not in (VARIANT_MASK, ALIGNMENT, GROUP_KEY)
    }


def as_groups(inputs: Mapping[str, torch.Tensor], model: Any = None) -> dict[str, torch.Tensor]:
    """
    A batch of examples as groups of the original alone; a batch of groups as it is. The configuration of the `model`
    says whether labels that are as many as the tokens of a row are those of tokens, see `are_of_tokens`.
    """
    if VARIANT_MASK in inputs:
        return dict(inputs)
    problem_type = getattr(getattr(model, "config", None), "problem_type", None)
    of_tokens = are_of_tokens(inputs.get(LABELS), inputs.get("input_ids"), problem_type=problem_type)
    groups = {name: x if name == LABELS and not of_tokens else x[:, None] for name, x in inputs.items()}
    first = next(iter(inputs.values()))
    return {**groups, VARIANT_MASK: torch.ones(len(first), 1, dtype=torch.bool, device=first.device)}


def are_of_tokens(
    labels: Any, input_ids: Any, special_ids: Set[int] = frozenset(), problem_type: str | None = None
) -> bool:
    """
    Whether labels are those of tokens: whole numbers, one for each token, of a model that is not a multi-label one.
    Texts may have as many labels as tokens: a float for each class or target.

    Args:
        labels, input_ids: Tensors of a batch, or lists of one example.
        special_ids (`set[int]`): Special tokens, which have no label. An example with some of them needs a -100.
        problem_type (`str`, *optional*): The model's.
    """
    if problem_type == "multi_label_classification":
        return False
    if isinstance(labels, torch.Tensor) and isinstance(input_ids, torch.Tensor):
        return labels.shape == input_ids.shape and not labels.is_floating_point()
    return batch.are_of_tokens(labels, input_ids, special_ids)


def take(inputs: Mapping[str, torch.Tensor], examples: torch.Tensor) -> dict[str, torch.Tensor]:
    """The batch of some of the examples of a batch of groups."""
    return {name: tensor[examples] for name, tensor in inputs.items()}


def trimmed(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """
    The batch without trailing tokens that are padding in all present variants. Padding on the left stays, since
    positions count from there. All padding stays in question answering, where models see it, and where tokens are
    compared with those of an absent original.
    """
    lengths = variant_lengths(inputs, inputs[VARIANT_MASK])
    if lengths is None or (ALIGNMENT in inputs and not inputs[VARIANT_MASK][:, 0].all()):
        return dict(inputs)
    shape, length = inputs["attention_mask"].shape, int(lengths.max())
    short = {name: x[..., :length] if x.shape == shape else x for name, x in inputs.items()}
    if PERTURBATION in inputs:  # (B, V, ..., L, E)
        short[PERTURBATION] = inputs[PERTURBATION][..., :length, :]
    return short


def variant_lengths(inputs: Mapping[str, torch.Tensor], used: torch.Tensor) -> torch.Tensor | None:
    """The length of the longest used variant of each group, at least 1, `(B,)`; `None` if all padding stays."""
    mask = inputs.get("attention_mask")
    if mask is None or POSITIONS[0] in inputs:
        return None
    positions = torch.arange(1, mask.shape[-1] + 1, device=mask.device)
    last = torch.where(mask.bool(), positions, 1).flatten(2).amax(dim=2)
    return last.where(used, 1).amax(dim=1)


def num_items(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor | int:
    """The number of items that a loss is averaged over: labelled examples, or labelled words of the originals."""
    labels = inputs.get(LABELS)
    if labels is None or labels.is_floating_point() or labels.dim() == 2:
        return len(inputs[VARIANT_MASK])
    return (labels[:, 0] if labels.dim() == 3 else labels).ne(IGNORE_INDEX).sum()
