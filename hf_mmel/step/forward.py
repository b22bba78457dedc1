"""Forward passes over some of the variants of a batch: from groups to per-variant losses and divergences."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..data.groups import (
    EXTRAS,
    PERTURBATION,
    SOFT_LABELS,
    VARIANT_MASK,
    Groups,
    are_unlabelled,
    originals_alone,
    take,
    trimmed,
    with_variants,
)
from ..data.layout import LAYOUT, on_device
from ..data.perturbations import perturbed, perturbed_rows
from ..objective.custom_loss import LossFunction, custom_losses
from ..objective.heads import Head, Losses, needs_labels
from ..objective.unlabelled import are_confident, own_prediction_losses, predict_classes
from ..objective.weighting import VariantLosses
from ..training_args import MMELTrainingArguments
from .representations import classifier_of, recorded, representation


class ForwardResult(NamedTuple):
    """The result of a forward pass over some variants of b examples."""

    examples: Tensor  # their indices in the batch, (b,)
    variant_mask: Tensor  # the variants that are in the pass, (b, V)
    present: Tensor  # their indices among all b * V, (N,)
    values: VariantLosses  # (b, V); those of variants that are not in the pass mean nothing
    logits: Tensor  # (b, V, ..., C), in float32 at least, 0 for variants that are not in the pass
    outputs: Any  # the model's
    features: Tensor | None = None  # the representations of the N variants in the pass, (N, E), where they are needed


class VariantForward:
    """
    Computes the losses and divergences of variants. Made once for a training run, for the model without the wrapper of
    data-parallel training. A `loss_func` takes the place of the loss of the `Head`, which has the other options.
    """

    def __init__(
        self,
        model: Any,
        args: MMELTrainingArguments,
        problem_type: str | None = None,
        label_smoothing: float = 0.0,
        class_weights: Tensor | None = None,
        loss_func: LossFunction | None = None,
    ):
        self.model, self.args = model, args
        self.main_input = getattr(model, "main_input_name", "input_ids")
        self.problem_type, self.loss_func = problem_type, loss_func
        self.label_smoothing, self._class_weights = label_smoothing, class_weights
        self.needs_labels = needs_labels(model)
        self._classifier = classifier_of(model) if args.feature_separation else None
        self._buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]

    def __call__(
        self, model: nn.Module, inputs: Mapping[str, Any], variants: np.ndarray, soft_labels: Tensor | None = None
    ) -> ForwardResult:
        """
        Runs the model.

        Args:
            model (`nn.Module`): The model, wrapped or not.
            inputs (`Mapping`): The batch of groups, with `SOFT_LABELS` if another model predicts them.
            variants (`numpy.ndarray` of shape `(B, V)`): Which variants to compute; at least one.
            soft_labels (`torch.Tensor` of shape `(B, 1, ..., C)`, *optional*):
                Logits of the originals, used where some of these are not among the variants.

        Raises:
            `ValueError`: if the batch or the logits do not have the shapes of the task head.
        """
        numbers = np.flatnonzero(variants.any(axis=1))
        variants = variants[numbers]
        batch = with_variants(take(inputs, numbers), variants)
        examples = on_device(numbers, batch[VARIANT_MASK].device)
        reference = batch.pop(SOFT_LABELS, None)
        batch = trimmed(batch)
        perturbation, moved = perturbed_rows(batch.pop(PERTURBATION, None), variants)
        groups = Groups.of(batch)
        rows = {**groups.rows, **(groups.row_targets() if self.needs_labels else {})}
        if perturbation is not None and rows[self.main_input].is_floating_point():
            rows[self.main_input] = perturbed(rows[self.main_input], perturbation, moved)
            perturbation = None
        with perturbed_embeddings(self.model, perturbation, moved), recorded(self._classifier) as inputs_of_classifier:
            outputs = model(**rows)
        head, losses, logits = self.losses(outputs, groups)
        predicts_classes = predict_classes(logits, groups, self.problem_type)
        if self.args.needs_class_probabilities and not predicts_classes:
            raise ValueError(
                f"unlabeled_loss is {self.args.unlabeled_loss!r} and training_signal_annealing "
                f"{self.args.training_signal_annealing!r}, but the labels are not one class for each example; "
                "expected 'divergence' and 'none'."
            )
        divergences = None
        if self.args.mmel_loss == "soft":
            if reference is not None:  # of tokens, padding may be trimmed
                reference = reference[:, :, : logits.shape[2]] if reference.dim() == 4 else reference
            elif soft_labels is None or variants[:, 0].all():
                reference = logits[:, :1] if self.args.soft_label_gradient else logits[:, :1].detach()
            else:
                reference = soft_labels[examples]
            divergences = head.divergences(logits, reference / self.args.soft_label_temperature, groups)
        fit: tuple[Tensor, ...] = ()
        if self.args.min_label_probability is not None or self.args.training_signal_annealing != "none":
            fit = head.label_probabilities(logits.detach(), groups), head.are_right(logits, groups)
        values = VariantLosses(losses.mean(), losses.sizes[:, 0], divergences, *fit)
        if predicts_classes and self.args.counts_unlabeled:
            values = self._with_unlabelled(values, logits, reference, groups)
        num_rows, name = len(groups.present), type(self.model).__name__
        features = representation(inputs_of_classifier, num_rows, name) if self._classifier is not None else None
        return ForwardResult(examples, groups.variant_mask, groups.present, values, logits, outputs, features)

    def _with_unlabelled(
        self, values: VariantLosses, logits: Tensor, reference: Tensor | None, groups: Groups
    ) -> VariantLosses:
        """The values, with the examples that have no label; `reference` `(B, 1, C)` are soft labels, for MMEL-S."""
        if reference is None or self.args.uses_own_predictions:
            reference = logits[:, :1]
        lack_label = are_unlabelled({**groups.targets, VARIANT_MASK: groups.variant_mask})
        counts = lack_label & are_confident(reference, self.args.confidence_threshold)
        values = values._replace(unlabelled=counts.to(values.losses.dtype))
        if not self.args.uses_own_predictions:
            return values
        own_losses = own_prediction_losses(logits, self.args)
        return values._replace(losses=torch.where(lack_label[:, None], own_losses, values.losses))

    def losses(self, outputs: Any, groups: Groups, plain: bool = False) -> tuple[Head, Losses, Tensor]:
        """
        The head, the losses and the logits `(B, V, ..., C)` of outputs on the present variants; `plain` is without
        label smoothing and class weights.
        """
        options = () if plain else (self.label_smoothing, self._class_weights)
        head = Head.of(groups, self.problem_type, *options)
        logits = groups.grouped(head.logits(outputs, len(groups.present), type(self.model).__name__))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        if self.loss_func is not None:
            return head, custom_losses(self.loss_func, outputs, groups), logits
        return head, head.losses(logits, groups), logits

    def zero_loss(self, model: nn.Module, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Any]:
        """
        A loss of 0 with a gradient of 0, and the model's outputs, of a forward pass over originals without content:
        other processes wait for a forward and a backward pass of this one. Special tokens stay, as some heads look
        for them.
        """
        empty = dict(inputs)
        for name, x in inputs.items():
            if name in (EXTRAS, LAYOUT):
                continue
            if x.is_floating_point():
                empty[name] = torch.zeros_like(x)
            elif name == self.main_input:
                is_special = torch.isin(x, torch.tensor(special_ids_of(self.model), dtype=x.dtype, device=x.device))
                empty[name] = torch.where(is_special, x, 0)
        before = self.saved_buffers()
        batch = originals_alone(empty)
        result = self(model, batch, batch[LAYOUT].present)
        self.restore(before)
        return 0.0 * result.logits.sum(), result.outputs

    def saved_buffers(self) -> list[Tensor]:
        """Copies of what a forward pass changes in the model, such as the running means of batch normalisation."""
        return [buffer.clone() for buffer in self._buffers]

    def restore(self, before: Sequence[Tensor]) -> None:
        """Undoes what forward passes changed in the model since `saved_buffers`."""
        with torch.no_grad():
            for buffer, value in zip(self._buffers, before, strict=True):
                buffer.copy_(value)


def special_ids_of(model: Any) -> list[int]:
    """The ids that the configuration of a model names, such as `eos_token_id`, where it names any."""
    config: Any = getattr(model, "config", None)
    options = config.to_dict() if hasattr(config, "to_dict") else {}
    parts = [options, *(part for part in options.values() if isinstance(part, dict))]
    found = [value for part in parts for name, value in part.items() if str(name).endswith("_token_id")]
    ids = [i for value in found for i in (value if isinstance(value, list) else [value])]
    return [i for i in ids if isinstance(i, int)]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards each module is in its own mode again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def word_embeddings(model: Any) -> Any:
    """The module that embeds the words of the input; of an encoder-decoder model that of the encoder."""
    is_encoder_decoder = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    return (model.get_encoder() if is_encoder_decoder else model).get_input_embeddings()


@contextmanager
def perturbed_embeddings(model: Any, perturbation: Tensor | None, rows: Tensor | None = None) -> Iterator[None]:
    """
    Adds a perturbation `(n, L, E)` to the word embeddings `(N, L, E)` of the model, in some rows `(n,)` or in all. A
    compiled model runs without its graphs meanwhile: it would be compiled for each perturbation.
    """
    if perturbation is None:
        yield
        return
    hook = word_embeddings(model).register_forward_hook(
        lambda module, args, embedded: perturbed(embedded, perturbation, rows)
    )
    try:
        with torch.compiler.set_stance("force_eager"):
            yield
    finally:
        hook.remove()
