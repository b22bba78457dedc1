"""
Gradient scaling of fp16 in steps of several passes: clipping, and an overflow in one of the passes.

The gradients of all passes add up under one scale. If one of them is not finite, the whole step is skipped and the
scale halves, so that the weights after it are those of the steps without it.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from transformers import TrainerCallback

from hf_mmel import MMELTrainer

from .correctness import SCALE, TOLERANCES, compared, make_trainer, precisions_of, train, weights_of
from .report import FAILED, OK, Place, Row, attempt


MAX_NORM = 0.1
CHUNKS = {"mmel_loss": "hard", "variant_chunk_size": 2, "max_grad_norm": MAX_NORM}
PASSES, SKIPPED_STEP = 3, 2  # 8 groups of 5 rows are cut into passes of at most 16 rows


class Overflow(TrainerCallback):
    """Makes the gradient of one pass too large for fp16, and keeps the weights and scales after each step."""

    def __init__(self, in_pass: int):
        self.in_pass, self.passes, self.step = in_pass, [], 0
        self.trainer: MMELTrainer | None = None
        self.weights: list[Tensor] = []
        self.scales: list[float] = []
        self.skipped: list[bool] = []

    def watch(self, trainer: MMELTrainer) -> None:
        self.trainer = trainer
        trainer.model.classifier.register_forward_hook(self._count)

    def _count(self, module, args, output):
        if not torch.is_grad_enabled():  # scoring
            return
        self.passes[-1] += 1
        if (len(self.passes), self.passes[-1]) == (SKIPPED_STEP, self.in_pass):
            output.register_hook(lambda gradient: gradient * 1e30)

    def on_step_begin(self, args, state, control, **kwargs):
        self.passes.append(0)

    def on_optimizer_step(self, args, state, control, model=None, **kwargs):
        accelerator = self.trainer.accelerator
        self.weights.append(weights_of(model))
        self.scales.append(accelerator.scaler.get_scale())
        self.skipped.append(bool(accelerator.optimizer_step_was_skipped))


def clipped(place: Place, precision: str) -> Row:
    """Steps of several passes whose gradients are clipped after they are unscaled."""
    found, expected = train(place, place.device, precision, **CHUNKS), train(place, "cpu", "float32", **CHUNKS)
    row = compared(f"{PASSES} passes, clipped to {MAX_NORM}", found, expected, precision)
    row.values["norms"] = found.gradients.norm(dim=1).tolist()
    if not all(math.isclose(norm, MAX_NORM, rel_tol=1e-3) for norm in row.values["norms"]):
        row.figure, row.verdict = f"norms {row.values['norms']}", FAILED
    return row


def overflowing(place: Place, in_pass: int) -> Row:
    """A run of three steps whose second one overflows, against two steps in float32."""
    overflow = Overflow(in_pass)
    trainer = make_trainer(place, place.device, "fp16", [overflow], **CHUNKS)
    overflow.watch(trainer)
    before = weights_of(trainer.model)
    trainer.train()
    expected = train(place, "cpu", "float32", **CHUNKS, max_steps=2)
    update = overflow.weights[-1] - before
    difference = ((update - expected.update).norm() / expected.update.norm()).item()
    first, second = overflow.weights[:2]
    laws = {
        f"{PASSES} passes": overflow.passes == [PASSES] * 3,
        "only that step is skipped": overflow.skipped == [False, True, False],
        "the scale halves": overflow.scales == [SCALE, SCALE / 2, SCALE / 2],
        "the weights stay": torch.equal(first, second),
        "all weights are finite": bool(overflow.weights[-1].isfinite().all()),
        "the other steps are those of float32": difference <= TOLERANCES["fp16"],
    }
    broken = [law for law, holds in laws.items() if not holds]
    figures = {"passes": overflow.passes, "scales": overflow.scales, "update": difference}
    shown = f"not so: {', '.join(broken)}" if broken else f"skipped, scale halved, update {difference:.1e}"
    return Row(f"overflow in pass {in_pass} of {PASSES}, fp16", shown, "skipped", FAILED if broken else OK, figures)


def rows(place: Place) -> Iterator[Row]:
    torch.set_float32_matmul_precision("highest")  # no TF32
    for precision in precisions_of(place):
        yield attempt(f"{PASSES} passes, clipped, {precision}", clipped, place, precision)
    for in_pass in range(1, PASSES + 1):
        yield attempt(f"overflow in pass {in_pass} of {PASSES}", overflowing, place, in_pass)
