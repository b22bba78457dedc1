"""What is told of variants that are left out, since their loss is not finite."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from torch import Tensor, nn

from ..monitoring.decoding import make_decoder, tokenizer_of


logger = logging.getLogger(__name__)

MAX_WARNINGS = 10  # of a training
_MAX_SHOWN = 200  # characters of a text


OF_SHARDS = (
    "A variant has a loss that is not finite, in a pass that all processes make together, so that it cannot be left "
    "out; expected finite losses of a model that is sharded."
)


class NonfiniteVariants:
    """Warns of variants whose loss or divergence is infinite or NaN, a few times in a training, or raises."""

    def __init__(self):
        self._num_warnings = 0

    def tell(
        self,
        batch: Mapping[str, Tensor],
        left_out: Tensor,
        model: nn.Module,
        processing_class: Any,
        step: int,
        raises: bool,
    ) -> None:
        """
        Tells of the variants of a batch.

        Args:
            batch (`Mapping`): Groups.
            left_out (`torch.Tensor` of shape `(B, V)`): Which of their variants are not finite, with an original all.
            model (`nn.Module`): The model.
            processing_class (*optional*): The tokenizer that reads the variants, where there is one.
            step (`int`): That of the training.
            raises (`bool`): Whether they end the training.

        Raises:
            `FloatingPointError`: if this is what was asked for, or if the model has weights that are not finite.
        """
        for name, part in chain(model.named_parameters(), model.named_buffers()):
            if part.is_floating_point() and not part.isfinite().all():
                raise FloatingPointError(
                    f"In step {step} the losses are not finite, since the model's {name} is not: the training has "
                    "diverged. Go on from an earlier checkpoint with a smaller learning rate, or with max_grad_norm, "
                    "or without fp16."
                )
        for what in _described(batch, left_out, processing_class):
            message = f"In step {step} {what}"
            if raises:
                raise FloatingPointError(
                    f"{message} Correct the data or the augmenter, or leave such variants out: "
                    "nonfinite_variants='skip'."
                )
            if self._num_warnings == MAX_WARNINGS:
                return
            self._num_warnings += 1
            logger.warning("%s It is left out.", message)
            if self._num_warnings == MAX_WARNINGS:
                logger.warning("Further ones are counted in mmel/left_out alone.")


def _described(batch: Mapping[str, Tensor], left_out: Tensor, processing_class: Any) -> Iterator[str]:
    """A sentence for each example, or for each variant where the original is finite."""
    tokenizer = tokenizer_of(processing_class, batch)

    def text(i: int, v: int) -> str:
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
