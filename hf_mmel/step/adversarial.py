"""Adversarial variants: perturbations of the input that raise the model's loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.groups import (
    ALIGNMENT,
    LABELS,
    PERTURBATION,
    POSITIONS,
    SOFT_LABELS,
    VARIANT_MASK,
    has_variants,
    layout_of,
    with_layout,
)
from ..data.layout import LAYOUT, on_device
from .forward import VariantForward, evaluating, word_embeddings
from .micro_batches import fastest_micro_batches


NORMS = ("l2", "linf")


class AdversarialVariants:
    """
    Adversarial perturbations of the original's input, found by gradient steps:

        δ_{t+1} = Π_r(δ_t + α g_t / ‖g_t‖),   g_t = ∇_δ ℓ(f(x + δ_t), y)

    with Π_r the projection onto the ball of `radius` r and α the `step_size`. The norm "linf" takes sign(g_t) in place
    of g_t / ‖g_t‖. The input is the model's own if it is numeric (`pixel_values`), else the word embeddings. MMEL-S
    maximises the divergence from the prediction on the original in place of the loss, as in virtual adversarial
    training. One step is the fast gradient (sign) method, FGSM; several steps are PGD, and on word embeddings the
    inner loop of FreeLB.

    `MMELTrainer` adds these variants to each group, with or without other variants, and weighs all of them by the
    closed form. With hard labels this is locally reweighted adversarial training, with weights within the group of an
    example. The search runs in evaluation mode, without dropout.

    Args:
        num_steps (`int`, *optional*, defaults to 1): Steps, each a forward and a backward pass over these variants.
        step_size (`float`, *optional*, defaults to 0.1): Length of a step in the norm, in the unit of the input.
        norm (`str`, *optional*, defaults to `"l2"`): `"l2"`, over all numbers of an example, or `"linf"`.
        radius (`float`, *optional*): Largest norm of a perturbation. Defaults to `num_steps * step_size`.
        num_variants (`int`, *optional*, defaults to 1): Number of these variants per example, from different starts.
        random_start (`bool`, *optional*, defaults to `True`):
            Whether to start from a random perturbation of at most norm `step_size` and `radius`, drawn from torch's
            random state, instead of from the example.

    Raises:
        `ValueError`: if an argument is out of range, or several variants would have the same start.

    Sources: Goodfellow et al., ICLR 2015, arXiv 1412.6572 (FGSM); Madry et al., ICLR 2018, arXiv 1706.06083 (PGD); Zhu
    et al., ICLR 2020, arXiv 1909.11764 (FreeLB); Miyato et al., arXiv 1704.03976 (virtual adversarial training); Gao
    et al., arXiv 2106.15776 (local reweighting).
    """

    def __init__(
        self,
        num_steps: int = 1,
        step_size: float = 0.1,
        norm: str = "l2",
        *,
        radius: float | None = None,
        num_variants: int = 1,
        random_start: bool = True,
    ):
        for name, count in (("num_steps", num_steps), ("num_variants", num_variants)):
            if isinstance(count, bool) or count != int(count) or count < 1:
                raise ValueError(f"{name} is {count!r}; expected a whole number >= 1.")
        for name, length in (("step_size", step_size), ("radius", radius)):
            if length is not None and not 0 < length < float("inf"):
                raise ValueError(f"{name} is {length!r}; expected a finite number > 0.")
        if norm not in NORMS:
            raise ValueError(f"norm is {norm!r}; expected one of {', '.join(map(repr, NORMS))}.")
        if num_variants > 1 and not random_start:
            raise ValueError(
                f"num_variants is {num_variants}, but without random_start all of them would be the same; expected 1."
            )
        self.num_steps = int(num_steps)
        self.step_size = float(step_size)
        self.norm = norm
        self.radius = self.num_steps * self.step_size if radius is None else float(radius)
        self.num_variants = int(num_variants)
        self.random_start = random_start

    def to_dict(self) -> dict[str, Any]:
        """Class and arguments as plain data."""
        return {"class": type(self).__name__, **vars(self)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def start(self, free: Tensor) -> Tensor:
        """The first perturbations, in float32. `free` `(N, ...)` is 1 where the input may change, 0 for padding."""
        if not self.random_start:
            return torch.zeros_like(free)
        if self.norm == "linf":
            return self.within((2 * torch.rand_like(free) - 1) * self.step_size * free)
        delta = torch.randn_like(free) * free
        share = torch.rand(len(free), device=free.device)
        return self.within(delta * (self.step_size * _per_row(share, delta) / _length(delta)))

    def step(self, delta: Tensor, gradient: Tensor) -> Tensor:
        """One step of each perturbation `(N, ...)`, projected onto the ball. Without a gradient it stays."""
        direction = gradient.sign() if self.norm == "linf" else gradient / _length(gradient)
        return self.within(delta + self.step_size * direction)

    def within(self, delta: Tensor) -> Tensor:
        """The nearest perturbations within the radius, `(N, ...)`."""
        if self.norm == "linf":
            return delta.clamp(-self.radius, self.radius)
        return delta * (self.radius / _length(delta)).clamp(max=1)

    def add_to(self, inputs: Mapping[str, Tensor], forward: VariantForward) -> dict[str, Tensor]:
        """
        A batch of groups with A adversarial variants at the end of each: copies of the original, and a `perturbation`
        `(B, A, ...)` of their input.

        Args:
            inputs (`Mapping`): The groups, `(B, V, ...)`.
            forward (`VariantForward`): Computes what the search maximises: divergences for MMEL-S, else losses.
        """
        model, is_soft = forward.model, forward.args.mmel_loss == "soft"
        inputs = with_copies(with_layout(inputs, inputs), self.num_variants)
        layout, device = layout_of(inputs), inputs[VARIANT_MASK].device
        copies = layout.present.copy()
        copies[:, : -self.num_variants] = False
        used = copies.copy()
        used[:, 0] |= is_soft and SOFT_LABELS not in inputs  # a divergence needs the original
        parts = fastest_micro_batches(used, layout.longest(used), device.type)  # of whole groups
        parts = [part for part in parts if (part & copies).any()]
        own = copies[:, -self.num_variants :]
        places, are_copies = on_device(np.flatnonzero(own), device), on_device(copies, device)
        may_move = movable(inputs, forward, self.num_variants)
        rows = may_move.flatten(0, 1)
        free, still = rows[places], torch.zeros_like(rows)
        delta = self.start(free)

        def moved() -> dict[str, Any]:
            return {**inputs, PERTURBATION: still.index_copy(0, places, delta).view_as(may_move)}

        with evaluating(model), without_answers_in_padding(model), torch.enable_grad():  # of the inputs alone
            for _ in range(self.num_steps):
                delta.requires_grad_()
                gradient, batch = torch.zeros_like(delta), moved()
                for part in parts:
                    result = forward(model, batch, part)
                    divergences = result.values.divergences
                    values = result.values.losses if divergences is None else divergences
                    # Large, so that no gradient underflows in float16; only its direction counts.
                    aim = 1024 * values.masked_fill(~are_copies[result.examples], 0.0).sum()
                    gradient += torch.autograd.grad(aim, delta, retain_graph=True)[0]
                # Padding has a gradient, too, where a head reads the predictions on it, as in question answering.
                delta = self.step(delta.detach(), gradient * free)
        return moved()


def movable(inputs: Mapping[str, Tensor], forward: VariantForward, count: int) -> Tensor:
    """
    In the shape of a perturbation of the last A = `count` variants, `(B, A, ...)` in float32: 1 where it may be other
    than 0, 0 for padding.
    """
    main, attended = inputs[forward.main_input][:, -count:], inputs.get("attention_mask")
    attended = None if attended is None else attended[:, -count:]
    if attended is None or main.shape[: attended.dim()] != attended.shape:  # a mask of something else
        attended = torch.ones_like(main)
    width = [] if main.is_floating_point() else [word_embeddings(forward.model).weight.shape[1]]
    shape = [*main.shape, *width]
    return attended.float().view(*attended.shape, *[1] * (len(shape) - attended.dim())).expand(shape).contiguous()


@contextmanager
def without_answers_in_padding(model: Any) -> Iterator[None]:
    """
    Gives padding no part in the predictions of question answering. The loss of an answer is over all tokens of a row,
    so a perturbation would depend on the padding that other examples of the batch need.
    """

    def hook(module: Any, args: Any, kwargs: dict[str, Tensor], outputs: Any) -> Any:
        if isinstance(outputs, dict) and "start_logits" in outputs and "attention_mask" in kwargs:
            for name in ("start_logits", "end_logits"):
                lowest = torch.finfo(outputs[name].dtype).min / 2
                outputs[name] = outputs[name].masked_fill(kwargs["attention_mask"] == 0, lowest)
        return outputs

    handle = model.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def with_copies(inputs: Mapping[str, Any], count: int) -> dict[str, Any]:
    """A batch of groups `(B, V, ...)` with `count` copies of each original at the end, `(B, V + count, ...)`."""
    of_tokens = POSITIONS[0] in inputs or (LABELS in inputs and inputs[LABELS].dim() == 3)
    if of_tokens and ALIGNMENT not in inputs:  # of originals alone, whose tokens are where they are
        places = torch.arange(inputs["input_ids"].shape[-1], device=inputs["input_ids"].device)
        places = places.expand_as(inputs["input_ids"])
        attended = inputs.get("attention_mask", torch.ones_like(places)).bool()
        inputs = {**inputs, ALIGNMENT: places.masked_fill(~attended, -1)}

    def extended(name: str, value: Any) -> Any:
        if name == LAYOUT:
            return value.with_copies(count)
        repeated = has_variants(name, value)
        return torch.cat([value, value[:, :1].repeat_interleave(count, dim=1)], dim=1) if repeated else value

    return {name: extended(name, value) for name, value in inputs.items()}


def _length(rows: Tensor) -> Tensor:
    """The euclidean norm of each row, in the shape of the rows, and never 0."""
    return _per_row(rows.flatten(1).norm(dim=1).clamp(min=torch.finfo(rows.dtype).tiny), rows)


def _per_row(values: Tensor, rows: Tensor) -> Tensor:
    return values.view(-1, *[1] * (rows.dim() - 1))
