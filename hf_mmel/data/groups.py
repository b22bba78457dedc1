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

from .layout import LAYOUT, HostedBatch, Layout, on_device, read


# Keys of a batch. `ALIGNMENT`, (B, V, L), has for each token of the original its position in the variant, or -1.
VARIANT_MASK = "variant_mask"
GROUP_KEY = "group_key"  # identifies a group by its content, (B,)
EXTRAS = "extras"  # what is no tensor with an entry for each row, and the number of rows that it is for
EXTRA_ROWS = "extra_rows"  # which of these rows each variant is, (B, V)
SOFT_LABELS = "soft_labels"  # logits of another model for the originals, (B, 1, ..., C)
WEIGHT = "weight"  # factor of the loss of each example, (B,)
PERTURBATION = "perturbation"  # of the last A variants, (B, A, ...): added to their inputs or word embeddings
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
        variant_mask, layout = inputs.pop(VARIANT_MASK).bool(), inputs.pop(LAYOUT, None)
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
        is_present = (read(variant_mask)[0] if layout is None else layout.present).flatten()
        if is_present.all():
            present = torch.arange(len(is_present), device=variant_mask.device)
            # Contiguous also if padding was cut, since a compiled model is compiled anew for other strides.
            rows = {name: tensor.flatten(0, 1).contiguous() for name, tensor in inputs.items()}
        else:
            present = on_device(np.flatnonzero(is_present), variant_mask.device)
            rows = {name: tensor.flatten(0, 1)[present] for name, tensor in inputs.items()}
        if extras is not None:
            numbers = read(extra_rows)[0] if layout is None else layout.extra_rows
            rows.update(_entries(extras, numbers.flatten()[is_present]))
        return cls(
            rows=rows,
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
        return per_variant if self._is_whole else {name: x[self.present] for name, x in per_variant.items()}

    def grouped(self, values: torch.Tensor) -> torch.Tensor:
        """Values `(N, ...)` of the present variants as `(B, V, ...)`, with zeros for the absent ones."""
        if not self._is_whole:
            empty = values.new_zeros(self.variant_mask.numel(), *values.shape[1:])
            values = empty.index_copy(0, self.present, values)
        return values.reshape(*self.variant_mask.shape, *values.shape[1:])

    @property
    def _is_whole(self) -> bool:
        """Whether all variants are present."""
        return len(self.present) == self.variant_mask.numel()


def originals(inputs: Mapping[str, Any], with_weights: bool = False) -> dict[str, Any]:
    """The batch of the original examples of a batch of groups: by default as a model takes it, without `weight`."""
    left_out = {VARIANT_MASK, LAYOUT, ALIGNMENT, GROUP_KEY, EXTRAS, EXTRA_ROWS, *(() if with_weights else (WEIGHT,))}
    batch = {
        name: tensor if name == WEIGHT or (name == LABELS and tensor.dim() < 3) else tensor[:, 0].contiguous()
        for name, tensor in inputs.items()
        if name not in left_out
    }
    if EXTRAS not in inputs:
        return batch
    rows = inputs[LAYOUT].extra_rows if LAYOUT in inputs else read(inputs[EXTRA_ROWS])[0]
    return {**batch, **_entries(inputs[EXTRAS], rows[:, 0])}


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
    return {**groups, VARIANT_MASK: torch.ones_like(first.reshape(len(first), -1)[:, :1], dtype=torch.bool)}


def layout_of(inputs: Mapping[str, Any]) -> Layout:
    """The layout of a batch of groups; if it does not have it, it is read from the device of the tensors."""
    if LAYOUT in inputs:
        return inputs[LAYOUT]
    lengths, labels, weights = _lengths(inputs), inputs.get(LABELS), inputs.get(WEIGHT)
    mask = inputs[VARIANT_MASK].bool()
    parts = {
        "present": mask,
        "lengths": lengths,
        "are_labelled": torch.ones_like(mask[:, 0]) if labels is None else are_labelled(labels),
        "are_weighted": None if weights is None else weights.ne(1),
        "group_keys": inputs.get(GROUP_KEY),
        "extra_rows": inputs.get(EXTRA_ROWS),
    }
    known = {name: x for name, x in parts.items() if x is not None}
    arrays: dict[str, Any] = dict(zip(known, read(*known.values()), strict=True))
    return Layout(**{"lengths": None, **arrays})


def with_layout(inputs: Mapping[str, Any], origin: Mapping[str, Any], model: Any = None) -> dict[str, Any]:
    """
    A batch of groups that has its layout. It is that of `origin`, the batch that `as_groups` made groups of for a
    `model`; without waiting for the device if it is a `HostedBatch` that remembers all that the layout has.
    """
    if LAYOUT in inputs or not isinstance(origin, HostedBatch):
        return {**inputs, LAYOUT: layout_of(inputs)}
    on_host = origin.on_host()
    missing = {VARIANT_MASK, "attention_mask", LABELS, WEIGHT, GROUP_KEY, EXTRA_ROWS} & origin.keys() - on_host.keys()
    return {**inputs, LAYOUT: layout_of(inputs if missing or not on_host else as_groups(on_host, model))}


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


def take(inputs: Mapping[str, Any], examples: np.ndarray | torch.Tensor) -> dict[str, Any]:
    """The batch of some of the examples of a batch of groups, by their numbers `(b,)`."""
    if isinstance(examples, torch.Tensor):
        (examples,) = read(examples)
    first = next(x for x in inputs.values() if isinstance(x, torch.Tensor))
    if np.array_equal(examples, np.arange(len(first))):
        return dict(inputs)
    index = on_device(examples, first.device)
    taken = {name: x if name in (EXTRAS, LAYOUT) else x[index] for name, x in inputs.items()}
    return {**taken, LAYOUT: inputs[LAYOUT].take(examples)} if LAYOUT in inputs else taken


def has_variants(name: str, value: Any) -> bool:
    """Whether an entry of a batch of groups has the variant axis."""
    of_examples = name in (EXTRAS, LAYOUT, SOFT_LABELS, WEIGHT, GROUP_KEY, PERTURBATION)
    return not of_examples and (name != LABELS or value.dim() == 3)


def with_variants(inputs: Mapping[str, Any], present: np.ndarray) -> dict[str, Any]:
    """The batch of groups of which other variants are present, `(B, V)`."""
    layout = layout_of(inputs)
    if np.array_equal(present, layout.present):
        return {**inputs, LAYOUT: layout}
    mask = on_device(present, inputs[VARIANT_MASK].device)
    return {**inputs, VARIANT_MASK: mask, LAYOUT: layout._replace(present=present)}


def originals_alone(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The batch of groups of which the originals alone are present."""
    present = np.zeros_like(layout_of(inputs).present)
    present[:, 0] = True
    return with_variants(inputs, present)


def _entries(extras: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
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
    layout = layout_of(inputs)
    lengths = layout.longest(layout.present)
    if lengths is None or (ALIGNMENT in inputs and not layout.present[:, 0].all()):
        return dict(inputs)
    shape, length = inputs["attention_mask"].shape, int(lengths.max())
    short = {name: x[..., :length] if name != LAYOUT and x.shape == shape else x for name, x in inputs.items()}
    if PERTURBATION in inputs:  # (B, A, ..., L, E)
        short[PERTURBATION] = inputs[PERTURBATION][..., :length, :]
    return short


def _has_unknown_tokens(inputs: Mapping[str, Any]) -> bool:
    """Whether other inputs than those of tokenizers are as long as the tokens, by their meaning or by chance."""
    if "attention_mask" not in inputs:
        return False
    known, shape = {*_OF_TOKENS, PERTURBATION, LAYOUT}, inputs["attention_mask"].shape
    return any(x.shape[: len(shape)] == shape for name, x in inputs.items() if name not in known)


def _lengths(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """The `lengths` of a `Layout`."""
    mask, shape = inputs.get("attention_mask"), inputs[VARIANT_MASK].shape
    if mask is None or POSITIONS[0] in inputs or mask.shape[:2] != shape or mask.dim() < 3:
        return None
    positions = torch.ones_like(mask[0, 0], dtype=torch.long).cumsum(dim=-1)
    return torch.where(mask.bool(), positions, 1).flatten(2).amax(dim=2)


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
        return torch.ones_like(labels.reshape(len(labels), -1)[:, 0], dtype=torch.bool)
    return (labels[:, 0] if labels.dim() == 3 else labels).ne(IGNORE_INDEX).view(len(labels), -1).any(dim=1)


def has_known_labels(inputs: Mapping[str, Any]) -> bool:
    """Whether the host knows that some examples of a batch have a label."""
    labels = inputs.on_host().get(LABELS) if isinstance(inputs, HostedBatch) else None
    return labels is not None and bool(are_labelled(labels).any())


def are_unlabelled(inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Whether each of B examples of a batch of groups, which has one label as a whole, lacks it, `(B,)`."""
    mask, labels = inputs[VARIANT_MASK], inputs.get(LABELS)
    if labels is None or labels.dim() == 3:  # of answers and of words
        return torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
    return ~are_labelled(labels)
