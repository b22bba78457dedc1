"""The arguments that MMEL adds to transformers' `TrainingArguments`."""

import math
import re
from copy import copy, deepcopy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments

from .argument_groups import Range, SoftLabelArguments, UnlabeledArguments, check_ranges, option


MMEL_LOSSES = ("soft", "hard", "uniform", "none")


def _is_count(value: Any) -> bool:
    return value >= 1 and float(value).is_integer() and not isinstance(value, bool)


_NUMBERS: tuple[Range, ...] = (
    (("lambda_p",), lambda value: value >= 0, "a number in [0, inf]"),
    (
        ("lambda_t", "feature_separation", "lambda_u", "unlabeled_ratio"),
        lambda value: 0 <= value < math.inf,
        "a finite number >= 0",
    ),
    (("effective_num_variants",), lambda value: value >= 1, "a number >= 1, or None"),
    (
        ("reweighting_warmup", "lambda_t_warmup"),
        lambda value: 0 <= value < 1,
        "a share of the training run in [0, 1)",
    ),
    (("ema_decay", "confidence_threshold"), lambda value: 0 <= value < 1, "a number in [0, 1)"),
    (("soft_label_temperature",), lambda value: 0 < value < math.inf, "a finite number > 0"),
    (("min_label_probability",), lambda value: 0 < value <= 0.5, "a number in (0, 0.5], or None"),
)
_COUNTS: tuple[Range, ...] = (
    (("num_variants",), _is_count, "a whole number >= 1. To train without variants set mmel_loss='none'"),
    (("variant_backward_count", "variant_chunk_size", "score_interval"), _is_count, "a whole number >= 1"),
    (("show_variants",), lambda value: value == 0 or _is_count(value), "a whole number >= 0"),
)


@dataclass(repr=False)  # a generated one would show the token, which that of `TrainingArguments` hides
class MMELTrainingArguments(SoftLabelArguments, UnlabeledArguments, TrainingArguments):
    """
    `TrainingArguments` with the few fields of the MMEL objective.

    Args:
        mmel_loss (`str`, *optional*, defaults to `"soft"`):
            `"soft"` (MMEL-S) adds to the loss of the original the reweighted divergences of the predictions on its
            variants from that on the original. `"hard"` (MMEL-H) reweights the losses of all variants under the
            example's label. `"uniform"` averages them (plain augmentation). `"none"` trains on the originals alone.
        lambda_p (`float`, *optional*, defaults to 1.0):
            Regularisation strength λ_P in [0, ∞] in units of the loss; larger is closer to
            uniform weights. 0 takes the worst variant, `inf` averages.
        effective_num_variants (`float`, *optional*):
            Effective number of variants, the perplexity exp(H(w)) ≥ 1 of the weights of each example, in place of
            `lambda_p`: λ_P is solved for each example in each step, see
            `hf_mmel.objective.effective_number.solve_lambda_p`. 1 takes the worst variant. An example with no more
            variants than this number has uniform weights. By default λ_P is `lambda_p`.
        reweighting_warmup (`float`, *optional*, defaults to 0.0):
            Share r of the training run, in [0, 1), with uniform weights. They then change linearly into the weights of
            the objective, over as many updates again or, for r > 1/2, until the end. Not for
            `variant_backward="top"`, since uniform weights have no largest.
        lambda_t (`float`, *optional*, defaults to 1.0):
            Weight λ_T ≥ 0 of the divergence term in the soft loss.
        lambda_t_warmup (`float`, *optional*, defaults to 0.0):
            Share r of the training run, in [0, 1), over which λ_T grows linearly from 0 to `lambda_t`.
        num_variants (`int`, *optional*, defaults to 4):
            Augmented variants per example, K. The original is not counted.
        reweight_original (`bool`, *optional*):
            Whether the original is one of the weighted variants. Defaults to `True` for `"hard"` and `"uniform"`, and
            to `False` for `"soft"`.
        variant_backward (`str`, *optional*, defaults to `"full"`):
            Which variants are trained on. `"full"` is the objective itself. `"top"` and `"sample"` score all variants
            without a gradient, weigh them, and train on a few: those with the largest weights, scaled to the sum of
            all weights, or those drawn with the weights as probabilities, an unbiased estimate of the full gradient.
            MMEL-S trains on the original as well.
        variant_backward_count (`int`, *optional*, defaults to 1):
            Number of variants of each example that `"top"` keeps, or of draws of `"sample"`.
        variant_chunk_size (`int`, *optional*):
            Cuts a batch of B examples into micro-batches of at most B times so many variants. Each is backpropagated
            before the next, so that memory is that of one micro-batch. The gradient is that of a single pass. A group
            that does not fit is cut as well, and weighed by a scoring beforehand, which gives the same with
            `scoring_bf16=False` and a model without dropout. By default the fastest micro-batches are chosen
            automatically; under FSDP and DeepSpeed, and where a subclass overrides `compute_loss`, there is one.
        score_interval (`int`, *optional*, defaults to 1):
            Epochs for which an example keeps its variants, for `"top"` and `"sample"`. Variants are scored in the
            first of these epochs. Until new ones are drawn, the score of a variant is what was last computed of it, so
            that a step costs only the variants that are trained on. Logged metrics are those of the scores.
            Checkpoints hold the scores.
        scoring_dropout (`bool`, *optional*, defaults to `False`):
            Whether variants are scored with dropout, from the random state with which training continues.
        scoring_bf16 (`bool`, *optional*):
            Whether variants are scored in bfloat16. By default if the device supports it.
        min_label_probability (`float`, *optional*):
            Leaves out variants that seem to have lost their label: the model gives the label less than this
            probability, although it is right on the original, where the label is its most probable prediction. In
            (0, 0.5]; by default all variants stay. Probabilities are not smoothed. With several words or labels the
            probability is their geometric mean, and more than half of them have to be right.
        nonfinite_variants (`str`, *optional*, defaults to `"skip"`):
            How variants with an infinite or NaN loss or divergence are handled, which would make the whole update NaN.
            `"skip"` leaves them out with a warning that shows the text; with an original all of its variants are left
            out. `"raise"` stops with a `FloatingPointError`, as both do if the model's weights are not finite.
        class_weights (`str` or `list[float]`, *optional*):
            Factor of the loss of each class, for classification of texts or words: one number per class, or
            `"balanced"` for the inverse frequency of each class in the training set, or `"effective"` for the inverse
            of its effective number of examples, with β = 0.999 or the number in `"effective:0.99"`, see
            `hf_mmel.objective.class_weights`. They weigh examples, not the variants of one, and also apply to
            `"none"`. The evaluation loss does not use them.
        weight_column (`str`, *optional*):
            Column of the training set with the weight of each example, a finite number >= 0: a factor of its loss,
            besides that of its class. The divisor stays the number of labelled examples, so weights with the mean 1
            keep the meaning of the learning rate. They apply as `class_weights` do. By default all weights are 1.
        feature_separation (`float`, *optional*, defaults to 0.0):
            Factor ≥ 0 of a term that pulls representations of the same class together and classes apart, for
            classification of texts or images with one class each, see `hf_mmel.objective.separation`. It compares the
            rows of a micro-batch, so a batch is cut only if `variant_chunk_size` is set.
        loss_check (`bool`, *optional*, defaults to `True`):
            Whether training begins by comparing, on the originals of the first batch, the model's own loss with the
            one that variants are weighed by, and stops if they differ. Without the check the model's own loss is never
            used in training on groups.
        show_variants (`int`, *optional*, defaults to 0):
            Number of the hardest variants to print at the end of each epoch.
        hub_tags (`list[str]`, *optional*):
            Tags of the model on the Hub, besides `mmel` and `data-augmentation`.

    Also has the fields of `hf_mmel.argument_groups.SoftLabelArguments`: who predicts the soft labels of MMEL-S, and of
    `hf_mmel.argument_groups.UnlabeledArguments`: how examples without a label count.

    The pickled arguments that `Trainer` saves next to every model (`training_args.bin`) hold no `hub_token`.

    Raises:
        `ValueError`: if one of these fields is outside its range.
    """

    if TYPE_CHECKING:  # `TrainingArguments` fills in a folder where none is given
        output_dir: str

    mmel_loss: str = option(
        "soft",
        "How the variants of one example are weighed: 'soft' (MMEL-S, by divergence from the prediction on the "
        "original), 'hard' (MMEL-H, by loss), 'uniform' (plain augmentation) or 'none' (originals only).",
        MMEL_LOSSES,
    )
    lambda_p: float = option(
        1.0,
        "Regularisation strength, in units of the loss; larger is closer to uniform weights. 0 takes the worst "
        "variant, inf averages.",
    )
    effective_num_variants: float | None = option(
        None,
        "Effective number of variants, the perplexity of the weights of each example, for which lambda_p is solved. "
        "At least 1, the worst variant. Default: lambda_p is used.",
    )
    reweighting_warmup: float = option(
        0.0,
        "Share of the training run, in [0, 1), with uniform weights. After it, they turn linearly into those of the "
        "objective, over as many updates again.",
    )
    lambda_t: float = option(1.0, "Weight of the divergence term in the soft loss.")
    lambda_t_warmup: float = option(
        0.0, "Share of the training run, in [0, 1), over which lambda_t grows linearly from 0 to its value."
    )
    num_variants: int = option(4, "Augmented variants per example (K); the original is not counted.")
    reweight_original: bool | None = option(
        None, "Whether the original is one of the weighted variants. Default: for hard and uniform, not for soft."
    )
    variant_backward: str = option(
        "full",
        "Which variants are trained on: 'full' (all), 'top' (those with the largest weights) or 'sample' (drawn by "
        "their weights). 'top' and 'sample' score all variants first, without a gradient.",
        ("full", "top", "sample"),
    )
    variant_backward_count: int = option(
        1, "Number of variants of each example that 'top' keeps, or of draws of 'sample'."
    )
    variant_chunk_size: int | None = option(
        None,
        "Variants per example that are in memory at once: a batch is cut into micro-batches of at most so many rows "
        "per example. Default: the fastest micro-batches are chosen automatically.",
    )
    score_interval: int = option(
        1, "Epochs for which an example keeps its variants; they are scored in the first of these."
    )
    scoring_dropout: bool = option(
        False, "Score variants with dropout, from the random state with which training continues."
    )
    scoring_bf16: bool | None = option(None, "Score variants in bfloat16. Default: if the device supports it.")
    min_label_probability: float | None = option(
        None,
        "Leave out variants if the model gives their label a smaller probability although it is right on the "
        "original. In (0, 0.5].",
    )
    nonfinite_variants: str = option(
        "skip",
        "Whether a variant whose loss is infinite or NaN is left out with a warning ('skip') or stops training "
        "('raise').",
        ("skip", "raise"),
    )
    class_weights: list[float] | str | None = option(
        None,
        "Factor of the loss of each class: numbers separated by commas, one per class, 'balanced' for the inverse "
        "frequency of each class in the training set, or 'effective' for the inverse of its effective number of "
        "examples ('effective:0.99' sets its beta, 0.999 by default).",
    )
    weight_column: str | None = option(
        None, "Column of the training set with the weight of each example, a factor of its loss. Default: all are 1."
    )
    feature_separation: float = option(
        0.0, "Factor of a term that pulls representations of the same class together and classes apart."
    )
    loss_check: bool = option(
        True,
        "Compare the model's own loss with the one that variants are weighed by, before the first update, and stop if "
        "they differ.",
    )
    show_variants: int = option(
        0, "Number of the hardest variants to print at the end of each epoch, with labels, weights and losses."
    )
    hub_tags: list[str] | None = option(None, "Tags of the model on the Hub, besides mmel and data-augmentation.")

    def __post_init__(self):
        ranges: Any = (float, _NUMBERS), (int, _COUNTS)
        names = [(name, kind) for kind, of_kind in ranges for names, *_ in of_kind for name in names]
        for name, _ in names:
            setattr(self, name, _from_text(getattr(self, name)))
        self.check_objective()
        # A hyperparameter search casts its proposals to the type of the field: an int 1 would turn 0.5 into 0.
        for name, kind in names:
            if (value := getattr(self, name)) is not None:
                setattr(self, name, kind(value))
        if self.class_weights is not None:
            self.class_weights = _class_weights(self.class_weights)
        super().__post_init__()

    @property
    def weighs_original(self) -> bool:
        """Whether the original is one of the variants that are weighted, where it has any."""
        return self.mmel_loss != "soft" if self.reweight_original is None else self.reweight_original

    @property
    def counts_unlabeled(self) -> bool:
        """Whether examples without a label count."""
        return self.uses_own_predictions or (self.lambda_u != 0 and self.mmel_loss == "soft")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "hub_token": None}

    def __copy__(self) -> "MMELTrainingArguments":
        """With the token, which pickling drops."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict) -> "MMELTrainingArguments":
        copied = copy(self)
        vars(copied).update(deepcopy(vars(self), memo))
        return copied

    def check_objective(self) -> None:
        """
        Raises a `ValueError` if a field is outside its range. `MMELTrainer` calls this again before training, since
        a hyperparameter search sets fields later.
        """
        for field in fields(MMELTrainingArguments):
            value, choices = getattr(self, field.name), field.metadata.get("choices", ())
            if field.name not in TrainingArguments.__dataclass_fields__ and choices and value not in choices:
                raise ValueError(f"{field.name} is {value!r}; expected one of {', '.join(map(repr, choices))}.")
        check_ranges(self, (*_NUMBERS, *_COUNTS))
        if self.effective_num_variants is not None and self.lambda_p != type(self).lambda_p:
            raise ValueError(
                f"lambda_p is {self.lambda_p} and effective_num_variants is {self.effective_num_variants}, for which "
                "lambda_p is solved; leave one of them out."
            )
        if self.soft_label_gradient and self.soft_labels != "self":
            raise ValueError(
                f"soft_label_gradient is set, but soft_labels={self.soft_labels!r} are predicted without a gradient; "
                "leave it out, or take soft_labels='self'."
            )
        if self.reweighting_warmup and self.variant_backward == "top" and self.mmel_loss != "none":
            raise ValueError(
                f"reweighting_warmup is {self.reweighting_warmup}, but variant_backward='top' takes the largest "
                "weights, and uniform weights have no largest; expected 'full' or 'sample'."
            )
        if self.variant_backward == "top" and self.mmel_loss == "uniform":
            raise ValueError(
                "variant_backward is 'top', but mmel_loss='uniform' has no largest weights; expected 'full' or "
                "'sample'."
            )
        if self.score_interval > 1 and self.variant_backward == "full":
            raise ValueError(
                f"score_interval is {self.score_interval}, but variant_backward='full' computes all variants in every "
                "step and has no use for earlier scores; expected 'top' or 'sample', or an interval of 1."
            )


def _from_text(value: Any) -> Any:
    """The number that a text holds; any other value as it is."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return value
    if math.isnan(number):
        return value
    return int(number) if number.is_integer() else number


def effective_beta(class_weights: Any) -> float | None:
    """β in [0, 1) of the `class_weights` `"effective"` or `"effective:0.99"`; `None` for others."""
    found = re.fullmatch(r"effective(?::(0|0?\.\d+))?", class_weights) if isinstance(class_weights, str) else None
    return float(found[1] or 0.999) if found else None


def _class_weights(value: list[float] | str) -> list[float] | str:
    """Numbers from a list, or from text as the command line has it; the name of a rule as it is."""
    if isinstance(value, str) and (value == "balanced" or effective_beta(value) is not None):
        return value
    parts = value.strip("[] ").split(",") if isinstance(value, str) else value
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if not numbers or not all(0 <= number < math.inf for number in numbers):
        raise ValueError(
            f"class_weights is {value!r}; expected 'balanced', 'effective' ('effective:0.99' sets a beta in [0, 1)), "
            "or finite numbers >= 0, one for each class."
        )
    return numbers
