"""
Strategies of the training step: which variants are trained on, in which micro-batches and under which weights.

`Full` weighs variants by the losses that it trains on. `Selected` and `Chunked` score all variants first,
without a gradient, and train on a few of them, or on all of them in parts of a group.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import TrainerState

from ..data.groups import EXTRAS, PERTURBATION, SOFT_LABELS, VARIANT_MASK, WEIGHT, has_variants, layout_of
from ..data.layout import LAYOUT, is_on_host, on_device, read
from ..data.perturbations import perturbation_at
from ..objective.unlabelled import annealed_threshold
from ..objective.weighting import VariantLosses, lambda_t_share, reweighting_share, select
from ..training_args import MMELTrainingArguments
from .forward import ForwardResult
from .micro_batches import fastest_micro_batches, fewest_micro_batches
from .nonfinite import NONFINITE_SHARD, NonfiniteVariants
from .scoring import Scorer, Scores


@dataclass
class Plan:
    """What a step computes with a gradient, and what is logged of it."""

    strategy: "Strategy"
    inputs: Mapping[str, Any]  # the groups of the forward passes: those of the batch, or as in `Selected`, (B, v, ...)
    micro_batches: list[np.ndarray]  # the variants of each forward pass, (B, v); none if nothing is left
    variant_mask: Tensor  # the variants that take part, (B, V)
    losses: Tensor  # of all variants, for the logs, (B, V)
    weights: Tensor
    scores: Scores | None = None  # what the weights are computed from, unless each micro-batch is weighed by itself
    trained_weights: Tensor | None = None  # of the variants of the forward passes, (B, v)
    columns: Tensor | None = None  # which of the V variants these are, and whether they are trained on, (B, v)
    are_trained: Tensor | None = None
    lambda_p: Tensor | None = None  # of each example, (B,), where it is solved
    example_weights: Tensor | None = None  # factors of the losses of the examples, (B,); none are 1
    # Of examples without a label, (B,): whether they count, and their losses, for the logs.
    unlabelled: Tensor | None = None
    unlabelled_losses: Tensor | None = None
    unlabelled_weight: Tensor | float = 0.0  # weight of such an example, in items

    def weighted(self, values: Tensor, examples: Tensor) -> Tensor:
        """Values `(b,)` of some examples, multiplied by the weights of these examples."""
        return values if self.example_weights is None else values * self.example_weights[examples]

    @property
    def soft_labels(self) -> Tensor | None:
        return None if self.scores is None else self.scores.soft_labels


class Strategy(ABC):
    """Plans the steps of a training run."""

    def __init__(self, args: MMELTrainingArguments, state: TrainerState):
        self.args, self.state = args, state

    @abstractmethod
    def plan(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        max_rows: int | None,
        single_pass: bool,
        is_careful: bool = False,
    ) -> Plan:
        """
        Plans a step on a batch of groups. `model` scores, forward passes have at most `max_rows` rows; without that
        limit, `single_pass` asks for a single one. Whether all scores are finite is asked at once if `is_careful`.
        """

    @abstractmethod
    def loss(self, plan: Plan, result: ForwardResult, variant_mask: Tensor) -> Tensor:
        """
        The part of the objective that a forward pass over b examples computes, and its losses and weights for the
        logs. `variant_mask` `(b, V)` marks the variants in the pass, all of them finite.
        """

    def _weigh(self, values: VariantLosses, variant_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """The weights of the present variants, `(B, V)`, and the λ_P of each example, `(B,)`, if it is solved."""
        lambda_p = values.lambda_p(variant_mask, self.args)
        weights = values.weights(variant_mask, self.args, lambda_p)
        share = reweighting_share(self.args.reweighting_warmup, self.state.global_step, self.state.max_steps)
        if share < 1:
            weights = torch.lerp(values.weights(variant_mask, self.args, math.inf), weights, share)
        return weights, lambda_p if isinstance(lambda_p, Tensor) else None

    @property
    def _lambda_t(self) -> float:
        share = lambda_t_share(self.args.lambda_t_warmup, self.state.global_step, self.state.max_steps)
        return share * self.args.lambda_t

    def _objective(
        self, plan: Plan, result: ForwardResult, scores: VariantLosses, weights: Tensor, variant_mask: Tensor
    ) -> Tensor:
        """
        The objective of a forward pass under these weights `(b, V)`. `scores` say of its b examples which of them
        count, and have the probabilities that annealing compares.
        """
        args, state = self.args, self.state
        item_weights = plan.weighted(scores.item_weights, result.examples)
        unlabelled = supervised = None
        if scores.unlabelled is not None:
            unlabelled = plan.weighted(plan.unlabelled_weight * scores.unlabelled, result.examples)
        if args.training_signal_annealing != "none" and scores.label_probabilities is not None:
            schedule = args.training_signal_annealing, result.logits.shape[-1], state.global_step, state.max_steps
            supervised = (scores.label_probabilities[:, 0] <= annealed_threshold(*schedule)).to(scores.losses.dtype)
        factors = self._lambda_t, unlabelled, supervised
        return result.values.objective(weights, item_weights, variant_mask, args, *factors)

    @staticmethod
    def _micro_batches(
        inputs: Mapping[str, Any],
        used: np.ndarray,
        max_rows: int | None,
        single_pass: bool,
        keeps_groups: bool = False,
    ) -> list[np.ndarray]:
        lengths = layout_of(inputs).longest(used)
        if max_rows is not None and not keeps_groups:
            return fewest_micro_batches(used, lengths, max_rows)
        if max_rows is None and single_pass:
            return [used]
        return fastest_micro_batches(used, lengths, inputs[VARIANT_MASK].device.type, max_rows)


class Full(Strategy):
    """All variants are trained on, in micro-batches of whole groups that are weighed by their own losses."""

    def plan(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        max_rows: int | None,
        single_pass: bool,
        is_careful: bool = False,
    ) -> Plan:
        mask = inputs[VARIANT_MASK]
        losses, weights, rest = torch.zeros((3, *mask.shape), device=mask.device)
        micro_batches = self._micro_batches(inputs, layout_of(inputs).present, max_rows, single_pass)
        options = {"lambda_p": rest[:, 0], "example_weights": inputs.get(WEIGHT)}
        plan = Plan(self, inputs, micro_batches, mask.clone(), losses, weights, **options)
        if self.args.counts_unlabeled:
            plan.unlabelled, plan.unlabelled_losses = torch.zeros((2, len(mask)), device=mask.device)
        return plan

    def loss(self, plan: Plan, result: ForwardResult, variant_mask: Tensor) -> Tensor:
        examples, values, args = result.examples, result.values, self.args
        variant_mask = values.keeping_label(variant_mask, args)
        weights, lambda_p = self._weigh(values, variant_mask)
        plan.variant_mask[examples] = variant_mask
        plan.losses[examples] = values.losses.detach().to(plan.losses.dtype)
        plan.weights[examples] = weights.to(plan.weights.dtype)
        if lambda_p is None:
            plan.lambda_p = None
        elif plan.lambda_p is not None:
            plan.lambda_p[examples] = lambda_p.to(plan.lambda_p.dtype)
        if values.unlabelled is not None and plan.unlabelled is not None and plan.unlabelled_losses is not None:
            plan.unlabelled[examples] = values.unlabelled.to(plan.unlabelled.dtype)
            unlabelled_losses = values.unlabelled_losses(weights, variant_mask).detach()
            plan.unlabelled_losses[examples] = unlabelled_losses.to(plan.unlabelled_losses.dtype)
        return self._objective(plan, result, values, weights, variant_mask)


class Chunked(Strategy):
    """All variants are trained on, in micro-batches that may hold parts of groups, under the weights of a scoring."""

    def __init__(self, scorer: Scorer, nonfinite: NonfiniteVariants):
        super().__init__(scorer.args, nonfinite.state)
        self.scorer, self.nonfinite = scorer, nonfinite

    def plan(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        max_rows: int | None,
        single_pass: bool,
        is_careful: bool = False,
    ) -> Plan:
        args, mask = self.args, inputs[VARIANT_MASK]
        scores = self.scorer(model, inputs, max_rows)
        values = scores.values
        if is_careful:
            finite = self.nonfinite.left_in(inputs, values, mask)
            if finite is not mask and not finite.any():
                if self.scorer.is_sharded:
                    raise FloatingPointError(NONFINITE_SHARD)
                zeros = torch.zeros_like(values.losses)
                return Plan(self, inputs, [], finite, zeros, zeros)
        else:
            finite = self.nonfinite.expected(values, mask)
        mask = values.keeping_label(finite, args)
        weights, lambda_p = self._weigh(values, mask)
        trained_weights = self._trained_weights(weights)
        options = scores, trained_weights
        plan = Plan(self, inputs, [], mask, values.losses, weights, *options, lambda_p=lambda_p)
        plan.example_weights = inputs.get(WEIGHT)
        if args.counts_unlabeled:
            plan.unlabelled, plan.unlabelled_losses = values.unlabelled, values.unlabelled_losses(weights, mask)
        used = mask & values.used(trained_weights, args, self._lambda_t)
        if not is_careful and self._stays_on_device(plan, used, max_rows):
            return plan
        (chosen,) = read(used) if is_careful else self.nonfinite.read(used)
        if not chosen.any():  # nothing is labelled, but other processes wait for a forward pass
            (chosen[:, 0],) = read(mask[:, 0])
        # A soft label that is not known, or has a gradient, is computed with the variants that need it.
        is_own = args.mmel_loss == "soft" and SOFT_LABELS not in inputs
        needs_originals = is_own and (args.soft_label_gradient or scores.soft_labels is None)
        plan.micro_batches = self._micro_batches(inputs, chosen, max_rows, single_pass, needs_originals)
        return plan

    def _trained_weights(self, weights: Tensor) -> Tensor:
        return weights

    def _stays_on_device(self, plan: Plan, used: Tensor, max_rows: int | None) -> bool:
        """Whether it has planned for any choice of used variants `(B, V)`, so that the host need not know it."""
        return False

    def loss(self, plan: Plan, result: ForwardResult, variant_mask: Tensor) -> Tensor:
        assert plan.scores is not None and plan.trained_weights is not None
        examples = result.examples
        if plan.are_trained is not None:
            variant_mask = variant_mask & plan.are_trained[examples]
        if plan.scores.rows is not None:  # what training computes of a variant is its score until the next scoring
            example, variant = result.present // variant_mask.shape[1], result.present % variant_mask.shape[1]
            place = variant if plan.columns is None else plan.columns[examples[example], variant]
            old = self.scorer.cache.values[plan.scores.rows[examples][example], :, place]
            new = result.values.packed()[example, :, variant]
            is_new = variant_mask[example, variant][:, None]
            self.scorer.cache.values[plan.scores.rows[examples][example], :, place] = torch.where(is_new, new, old)
        # Scores do not depend on the weights of examples, so that a cache holds for any weights.
        fields: Any = (None if x is None else x[examples] for x in plan.scores.values)
        weights = plan.trained_weights[examples]
        return self._objective(plan, result, VariantLosses(*fields), weights, variant_mask)


class Selected(Chunked):
    """
    Few variants of each example are trained on, see `variant_backward`, under the weights of a scoring.

    On a GPU the choice stays there. The forward passes are over groups of the chosen variants, as many of each example
    as may be chosen and as long as the longest variant that may be, so that the host need not wait for the choice.
    """

    def _trained_weights(self, weights: Tensor) -> Tensor:
        return select(weights, self.args.variant_backward, self.args.variant_backward_count)

    def _stays_on_device(self, plan: Plan, used: Tensor, max_rows: int | None) -> bool:
        # Models have extras on the host, and representations are compared between the variants that are trained on.
        if is_on_host(used) or EXTRAS in plan.inputs or self.args.feature_separation > 0:
            return False
        layout, is_soft = layout_of(plan.inputs), self.args.mmel_loss == "soft"
        counts = np.minimum(layout.present.sum(axis=1), self.args.variant_backward_count + is_soft)
        if not (is_soft or self.args.counts_unlabeled) and layout.are_labelled.any():
            counts *= layout.are_labelled
        if max_rows is not None and counts.sum() > max_rows:
            return False
        computed = np.arange(counts.max()) < counts[:, None]
        # The used variants come first, for MMEL-S the original before them, and absent ones last.
        is_original = torch.arange(used.shape[1], device=used.device) == 0
        rank = (1 + 2 * used + 4 * (is_soft & is_original)) * plan.inputs[VARIANT_MASK]
        columns = rank.argsort(dim=1, descending=True, stable=True)[:, : computed.shape[1]]
        examples = torch.arange(len(used), device=used.device)[:, None]
        groups = {name: x[examples, columns] if has_variants(name, x) else x for name, x in plan.inputs.items()}
        if PERTURBATION in groups:
            groups[PERTURBATION] = perturbation_at(plan.inputs, columns)
        longest = layout.longest(layout.present)
        lengths = None if longest is None else longest[:, None].repeat(computed.shape[1], axis=1)
        groups[VARIANT_MASK] = on_device(computed, used.device)
        groups[LAYOUT] = layout._replace(present=computed, lengths=lengths)
        assert plan.trained_weights is not None
        plan.trained_weights = plan.trained_weights.gather(1, columns)
        plan.columns, plan.are_trained = columns, used.gather(1, columns)
        plan.inputs, plan.micro_batches = groups, [computed]
        return True
