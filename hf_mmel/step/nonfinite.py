"""Variants whose loss or divergence is infinite or NaN: they are left out and reported, or training stops."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from torch import Tensor
from transformers import TrainerState

from ..data.groups import take
from ..data.layout import read
from ..monitoring.decoding import make_decoder, tokenizer_of
from ..objective.weighting import VariantLosses
from .forward import VariantForward


logger = logging.getLogger(__name__)

MAX_WARNINGS = 10  # of a training run
_MAX_SHOWN = 200  # characters of a text

NONFINITE_SHARD = (
    "A variant of a sharded model has a loss that is not finite. It cannot be left out, since all processes make the "
    "same forward passes; expected finite losses."
)


class NonfiniteBefore(Exception):
    """
    A variant was not finite, which the step did not expect.

    Attributes:
        is_last (`bool`): Whether it has made all of its forward passes.
    """

    def __init__(self, is_last: bool):
        super().__init__()
        self.is_last = is_last


class NonfiniteVariants:
    """
    Leaves out variants that are not finite, with a few warnings in a training run, or raises.

    To ask whether all are finite has the host wait for the device. So a step counts on it at first (`expected`), looks
    once at the end (`read`), and is made anew if it was wrong (`left_in`).

    Args:
        forward (`VariantForward`): The model and the arguments, of which `nonfinite_variants` says whether to raise.
        state (`TrainerState`): Knows the number of the step.
        processing_class (*optional*): The tokenizer that reads the variants, where there is one.
    """

    def __init__(self, forward: VariantForward, state: TrainerState, processing_class: Any = None):
        self.forward, self.state, self.processing_class = forward, state, processing_class
        self._num_warnings = 0
        self._unread: list[Tensor] = []  # whether there was a variant that is not finite, on the device

    def expected(self, values: VariantLosses, variant_mask: Tensor) -> Tensor:
        """The present variants without those that are not finite, `(B, V)`. The next `read` says if there are some."""
        nonfinite = values.nonfinite(variant_mask)
        self._unread.append(nonfinite.any())
        return variant_mask & ~nonfinite

    def read(self, *tensors: Tensor, is_last: bool = False) -> list[np.ndarray]:
        """
        The values of tensors, as of `layout.read`.

        Raises:
            `NonfiniteBefore`: if a variant was not finite since the last `read` or `forget`. It gets `is_last`.
        """
        unread, self._unread = self._unread, []
        arrays = read(*tensors, *unread) if tensors or unread else []
        if any(arrays[len(tensors) :]):
            raise NonfiniteBefore(is_last)
        return arrays[: len(tensors)]

    def forget(self) -> None:
        """Begins a new step."""
        self._unread = []

    def left_in(
        self,
        inputs: Mapping[str, Any],
        values: VariantLosses,
        variant_mask: Tensor,
        examples: np.ndarray | None = None,
        buffers: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """
        The present variants without those that are not finite, `(B, V)`; `variant_mask` itself if all are finite. With
        an original all of its variants are left out.

        Args:
            inputs (`Mapping`): The batch of groups.
            values (`VariantLosses`): Of shape `(B, V)`.
            variant_mask (`torch.Tensor` of shape `(B, V)`): The variants that were computed.
            examples (`numpy.ndarray`, *optional*): The examples of the batch that the values are of; all by default.
            buffers (`Sequence[torch.Tensor]`, *optional*):
                The model's buffers before the forward pass, to be restored if a variant is left out.

        Raises:
            `FloatingPointError`: if `nonfinite_variants` is `"raise"`, or the model has weights that are not finite.
        """
        left_out = values.nonfinite(variant_mask)
        if not left_out.any():
            return variant_mask
        if buffers is not None:
            self.forward.restore(buffers)
        batch = inputs if examples is None else take(inputs, examples)
        main = batch.get(self.forward.main_input)
        if main is not None and main.is_floating_point():
            # Batch normalisation makes all values NaN where one is: the variants with such an input are left out.
            at_fault = variant_mask & ~main.flatten(2).isfinite().all(dim=2)
            if at_fault.any():
                left_out = at_fault | (variant_mask & at_fault[:, :1])
        self._report(batch, left_out)
        return variant_mask & ~left_out

    def _report(self, batch: Mapping[str, Tensor], left_out: Tensor) -> None:
        step, model = self.state.global_step + 1, self.forward.model
        for name, part in chain(model.named_parameters(), model.named_buffers()):
            if part.is_floating_point() and not part.isfinite().all():
                raise FloatingPointError(
                    f"In step {step} the losses are not finite, since the model's {name} is not: training has "
                    "diverged. Resume from an earlier checkpoint with a smaller learning rate, with max_grad_norm, or "
                    "without fp16."
                )
        for what in _described(batch, left_out, self.processing_class):
            message = f"In step {step} {what}"
            if self.forward.args.nonfinite_variants == "raise":
                raise FloatingPointError(
                    f"{message} Correct the data or the augmenter, or leave such variants out: "
                    "nonfinite_variants='skip'."
                )
            if self._num_warnings == MAX_WARNINGS:
                return
            self._num_warnings += 1
            logger.warning("%s It is left out.", message)
            if self._num_warnings == MAX_WARNINGS:
                logger.warning("Further variants that are not finite are only counted, in mmel/left_out.")


def _described(batch: Mapping[str, Tensor], left_out: Tensor, processing_class: Any) -> Iterator[str]:
    """A sentence for each example, or for each variant where the original is finite."""
    tokenizer = tokenizer_of(processing_class, batch)

    def text(i: int, v: int) -> str:
        if tokenizer is None:
            return ""
        words = make_decoder(tokenizer)(batch[tokenizer.model_input_names[0]][i, v].tolist())
        return repr(words if len(words) <= _MAX_SHOWN else f"{words[:_MAX_SHOWN]}...")

    for i, row in enumerate(left_out.tolist()):
        if row[0]:
            shown = "" if tokenizer is None else f": {text(i, 0)}"
            yield f"the loss of an example is not finite, with all its variants{shown}."
            continue
        for v in (v for v, is_left_out in enumerate(row) if is_left_out):
            shown = "" if tokenizer is None else f": {text(i, v)}, made of {text(i, 0)}"
            yield f"the loss of variant {v} of an example is not finite{shown}."
