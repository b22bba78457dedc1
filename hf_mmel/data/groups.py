"""
Batches of groups, which the collators make and the trainer splits.

`variant_mask` `(B, V)` marks such a batch. Its other tensors carry the variant axis after the batch axis, except
labels of whole examples, `(B, ...)`, and the weights of examples, `weight` `(B,)`. All else that a collator passes on,
such as texts, numbers and nested dictionaries, is in `extras` as the collator made it, and the model gets the entries
of the rows that are present.
"""

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import numpy as np
import torch

from augment.core import batch
from augment.core.batch import ALIGNMENT_KEY as ALIGNMENT
from augment.core.batch import IGNORE_INDEX, TOKEN_LEVEL_KEYS
from augment.core.batch import LABELS_KEY as LABELS


# Keys of a batch. `ALIGNMENT`, (B, V, L), has for each token of the original its position in the variant, or -1.
VARIANT_MASK = "variant_mask"
GROUP_KEY = "group_key"  # identifies a group by its content, (B,)
EXTRAS = "extras"  # what is no tensor with an entry for each row, and the number of rows that it is for
EXTRA_ROWS = "extra_rows"  # which of these rows each variant is, (B, V)
SOFT_LABELS = "soft_labels"  # logits of another model for the originals, (B, 1, ..., C)
WEIGHT = "weight"  # factor of the loss of each example, (B,)
PERTURBATION = "perturbation"  # is added to the inputs of the model, or to its word embeddings
POSITIONS = ("start_positions", "end_positions")  # the first and last token of an answer

LABEL_COLUMNS = ("labels", "label", "label_ids")  # names of the label column of a dataset

_TARGETS = (LABELS, *POSITIONS)
_OF_TOKENS = ("input_ids", *TOKEN_LEVEL_KEYS, LABELS, ALIGNMENT)


class Groups(NamedTuple):
    """
    A batch of groups, split into rows and targets.

    Attributes:
        rows (`dict`): The model's inputs for the N variants that are present, `(N, ...)`, and other extras.
        present (`torch.Tensor` of shape `(N,)`): Their indices among all B * V.
        targets (`dict`): `labels`, or `start_positions` and `end_positions`.
        variant_mask (`torch.Tensor` of shape `(B, V)`): Which variants are present.
        alignment (`torch.Tensor` of shape `(B, V, L)`, *optional*): Where the original's tokens are in the variants.
        num_choices (`int`, *optional*): Rows of ids that an example of multiple choice has.
    """

    rows: dict[str, Any]
    present: torch.Tensor
    targets: dict[str, torch.Tensor]
    variant_mask: torch.Tensor
    alignment: torch.Tensor | None
    num_choices: int | None

    @classmethod
    def of(cls, inputs: Mapping[str, Any]) -> "Groups":
        """Splits a batch. Raises a `ValueError` if it has no targets, or a tensor lacks the variant axis."""
        inputs = dict(inputs)
        variant_mask = inputs.pop(VARIANT_MASK).bool()
        alignment = inputs.pop(ALIGNMENT, None)
        inputs.pop(GROUP_KEY, None)
        weights = inputs.pop(WEIGHT, None)
        if weights is not None and weights.shape != variant_mask.shape[:1]:
            raise ValueError(
                f"{WEIGHT} has the shape {tuple(weights.shape)}; expected ({len(variant_mask)},), the factor of the "
                "loss of each example of the batch."
            )
        extras, extra_rows = inputs.pop(EXTRAS, None), inputs.pop(EXTRA_ROWS, None)
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
        rows = {name: tensor.flatten(0, 1)[present] for name, tensor in inputs.items()}
        return cls(
            rows=rows if extras is None else {**rows, **_entries(extras, extra_rows.flatten()[present])},
            present=present,
            targets=targets,
            variant_mask=variant_mask,
            alignment=alignment,
            num_choices=ids.shape[2] if ids is not None and ids.dim() == 4 else None,
        )

    def row_targets(self) -> dict[str, torch.Tensor]:
        """The targets of the present variants, `(N, ...)`."""
        size = self.variant_mask.shape[1]
        per_variant = {
            name: x.repeat_interleave(size, dim=0) if name == LABELS and x.dim() < 3 else x.flatten(0, 1)
            for name, x in self.targets.items()
        }
        return {name: x[self.present] for name, x in per_variant.items()}

    def grouped(self, values: torch.Tensor) -> torch.Tensor:
        """Values `(N, ...)` of the present variants as `(B, V, ...)`, with zeros for the absent ones."""
        whole = values.new_zeros(self.variant_mask.numel(), *values.shape[1:]).index_copy(0, self.present, values)
        return whole.view(*self.variant_mask.shape, *values.shape[1:])


def originals(inputs: Mapping[str, Any], with_weights: bool = False) -> dict[str, Any]:
    """The batch of the original examples of a batch of groups: by default as a model takes it, without `weight`."""
    left_out = {VARIANT_MASK, ALIGNMENT, GROUP_KEY, EXTRAS, EXTRA_ROWS, *(() if with_weights else (WEIGHT,))}
    batch = {
        name: tensor if name == WEIGHT or (name == LABELS and tensor.dim() < 3) else tensor[:, 0].contiguous()
        for name, tensor in inputs.items()
        if name not in left_out
    }
    return {**batch, **_entries(inputs[EXTRAS], inputs[EXTRA_ROWS][:, 0])} if EXTRAS in inputs else batch


def folded(batch: Mapping[str, Any], num_groups: int, num_rows: int) -> dict[str, Any]:
    """A collated batch of N rows as groups: tensors with N entries `(N, ...)` as `(B, V, ...)`, all else as extras."""
    of_rows = {name: x for name, x in batch.items() if isinstance(x, torch.Tensor) and x.dim() and len(x) == num_rows}
    groups: dict[str, Any] = {name: x.reshape(num_groups, -1, *x.shape[1:]) for name, x in of_rows.items()}
    extras = {name: x for name, x in batch.items() if name not in of_rows}
    if extras:
        device = next((x.device for x in of_rows.values()), None)
        groups[EXTRA_ROWS] = torch.arange(num_rows, device=device).view(num_groups, -1)
        groups[EXTRAS] = {"num_rows": num_rows, "values": extras}
    return groups


def as_groups(inputs: Mapping[str, Any], model: Any = None) -> dict[str, Any]:
    """
    A batch of examples as groups of the original alone; a batch of groups with a `variant_mask` of dtype `bool`. The
    configuration of the `model` says whether labels that are as many as the tokens of a row are those of tokens, see
    `are_of_tokens`.
    """
    if VARIANT_MASK in inputs:
        return {**inputs, VARIANT_MASK: inputs[VARIANT_MASK].bool()}
    problem_type = getattr(getattr(model, "config", None), "problem_type", None)
    labels = inputs.get(LABELS)
    first = next(inputs[name] for name in (*_TARGETS, *inputs) if isinstance(inputs.get(name), torch.Tensor))
    groups = folded(inputs, len(first), len(first))
    if labels is not None and not are_of_tokens(labels, inputs.get("input_ids"), problem_type=problem_type):
        groups[LABELS] = labels
    if WEIGHT in inputs:
        groups[WEIGHT] = inputs[WEIGHT]
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


def take(inputs: Mapping[str, Any], examples: torch.Tensor) -> dict[str, Any]:
    """The batch of some of the examples of a batch of groups."""
    return {name: x if name == EXTRAS else x[examples] for name, x in inputs.items()}


def _entries(extras: Mapping[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """
    The extras of the rows with these numbers `(n,)`. Tensors, arrays, lists and tuples that have an entry for each row
    of the batch have one for each of these rows; what they hold otherwise is looked through, and all else stays.
    """
    numbers = rows.tolist()

    def chosen(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: chosen(part) for name, part in value.items()}
        if isinstance(value, torch.Tensor | np.ndarray):
            return value[numbers] if value.ndim and len(value) == extras["num_rows"] else value
        if isinstance(value, list | tuple):
            has_rows = len(value) == extras["num_rows"]
            return type(value)([value[i] for i in numbers] if has_rows else [chosen(part) for part in value])
        return value

    return chosen(extras["values"])


def trimmed(inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """
    The batch without trailing tokens that are padding in all present variants. Padding on the left stays, since
    positions count from there. All padding stays in question answering, where models see it, and where tokens are
    compared with those of an absent original. It also stays with other inputs that may have an entry for each token.
    """
    if EXTRAS in inputs or _has_unknown_tokens(inputs):
        return dict(inputs)
    lengths = variant_lengths(inputs, inputs[VARIANT_MASK])
    if lengths is None or (ALIGNMENT in inputs and not inputs[VARIANT_MASK][:, 0].all()):
        return dict(inputs)
    shape, length = inputs["attention_mask"].shape, int(lengths.max())
    short = {name: x[..., :length] if x.shape == shape else x for name, x in inputs.items()}
    if PERTURBATION in inputs:  # (B, V, ..., L, E)
        short[PERTURBATION] = inputs[PERTURBATION][..., :length, :]
    return short


def _has_unknown_tokens(inputs: Mapping[str, Any]) -> bool:
    """Whether other inputs than those of tokenizers are as long as the tokens, by their meaning or by chance."""
    if "attention_mask" not in inputs:
        return False
    known, shape = {*_OF_TOKENS, PERTURBATION}, inputs["attention_mask"].shape
    return any(x.shape[: len(shape)] == shape for name, x in inputs.items() if name not in known)


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
    if labels is None or labels.is_floating_point():
        return len(inputs[VARIANT_MASK])
    return labels[:, 0].ne(IGNORE_INDEX).sum() if labels.dim() == 3 else are_labelled(labels).sum()


def are_labelled(labels: torch.Tensor) -> torch.Tensor:
    """
    Whether each of N examples has a label, or at least one where words have labels, `(N,)`. The labels are
    `(N, ...)`, or `(N, V, L)` of words and their variants, among which the original decides.
    """
    if labels.is_floating_point():
        return torch.ones(len(labels), dtype=torch.bool, device=labels.device)
    return (labels[:, 0] if labels.dim() == 3 else labels).ne(IGNORE_INDEX).view(len(labels), -1).any(dim=1)


def are_unlabelled(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Whether each of B examples of a batch of groups, which has one label as a whole, lacks it, `(B,)`."""
    mask, labels = inputs[VARIANT_MASK], inputs.get(LABELS)
    if labels is None or labels.dim() == 3:  # of answers and of words
        return torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
    return ~are_labelled(labels)
