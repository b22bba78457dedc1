"""
The arguments that MMEL adds to transformers' `TrainingArguments`, in groups.

This module imports neither torch nor transformers, so that the command shows its help without them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, TypeAlias


MMEL_LOSSES = ("soft", "hard", "uniform", "none")
ANNEALING = ("none", "linear", "log", "exp")
# Names of arguments, which numbers they may be, and the same in words.
Range: TypeAlias = tuple[tuple[str, ...], Callable[[Any], bool], str]


def option(default: Any, help: str, choices: Sequence[str] = ()) -> Any:
    """A dataclass field that `transformers.HfArgumentParser` shows with its help and choices."""
    return field(default=default, metadata={"help": help, **({"choices": list(choices)} if choices else {})})


def check_ranges(args: Any, ranges: Iterable[Range]) -> None:
    """Raises a `ValueError` if an argument is not a number in its range. One whose default is `None` may be `None`."""
    for names, is_valid, expected in ranges:
        for name in names:
            value = getattr(args, name)
            if value is None and getattr(type(args), name) is None:
                continue
            if not (isinstance(value, Real) and is_valid(value)):  # NaN fails every comparison
                raise ValueError(f"{name} is {value!r}; expected {expected}.")


@dataclass(repr=False)
class ObjectiveArguments:
    """
    The fields of `MMELTrainingArguments` for the objective: how variants are weighed, and which are trained on.

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
        scoring_compile (`bool`, *optional*, defaults to `False`):
            Whether `torch.compile` compiles the forward pass that scores variants: once for the first batch, and then
            with dynamic shapes for all others. `torch_compile_backend` and `torch_compile_mode` apply. Setting either
            of them also sets `torch_compile`, which compiles the training pass. Not for FSDP and DeepSpeed.
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
    """

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
        "Effective number of variants, for which lambda_p is solved: the perplexity of the weights of each example. "
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
    scoring_compile: bool = option(False, "Compile the forward pass that scores variants with torch.compile.")
    min_label_probability: float | None = option(
        None,
        "Smallest probability of the label of a variant, in (0, 0.5]. Variants below it are left out, if the model is "
        "right on the original.",
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
        None, "Column of the training set with the weight of each example: a factor of its loss. Default: all are 1."
    )
    feature_separation: float = option(
        0.0,
        "Factor of a term that separates the classes: it pulls representations of the same class together and classes "
        "apart.",
    )
    loss_check: bool = option(
        True,
        "Compare the model's own loss with the one that variants are weighed by, before the first update, and stop if "
        "they differ.",
    )
    show_variants: int = option(
        0,
        "Number of the hardest variants to print at the end of each epoch. Their labels, weights and losses are "
        "printed as well.",
    )
    hub_tags: list[str] | None = option(None, "Tags of the model on the Hub, besides mmel and data-augmentation.")


@dataclass(repr=False)
class SoftLabelArguments:
    """
    The fields of `MMELTrainingArguments` for the soft labels of MMEL-S, the predictions on the originals that those on
    the variants are compared with.

    Args:
        soft_label_gradient (`bool`, *optional*, defaults to `False`):
            Whether the gradient of the soft loss also flows through the prediction on the original, the soft label.
        soft_labels (`str`, *optional*, defaults to `"self"`):
            Which model predicts the soft labels, from the originals: `"self"`, the model that is trained; `"ema"`, an
            exponential moving average of its weights; `"teacher"`, the `teacher` of the trainer. The last two predict
            in evaluation mode and without a gradient.
        ema_decay (`float`, *optional*, defaults to 0.999):
            Share of the average, in [0, 1), that stays at each update. 0 is the model itself.
        soft_label_temperature (`float`, *optional*, defaults to 1.0):
            Temperature T > 0 of the soft labels, softmax(z / T) or sigmoid(z / T) of the logits z. Below 1 they are
            sharper. The prediction on a variant keeps temperature 1. Not for regression.
    """

    soft_label_gradient: bool = option(
        False, "Let the gradient of the soft loss also flow through the prediction on the original."
    )
    soft_labels: str = option(
        "self",
        "Which model predicts the soft labels: 'self' (the one that is trained), 'ema' (an average of its weights) or "
        "'teacher' (another one, that of teacher_model_name_or_path).",
        ("self", "ema", "teacher"),
    )
    ema_decay: float = option(0.999, "Share of the average of 'ema', in [0, 1), that stays at each update.")
    soft_label_temperature: float = option(1.0, "Temperature of soft labels; below 1 sharpens. Not for regression.")


@dataclass(repr=False)
class UnlabeledArguments:
    """
    The fields of `MMELTrainingArguments` for examples without a label, -100, in the classification of whole examples.

    With the mean over the N labelled examples i of an update and that over its U unlabelled examples j,

        L = 1/N Σ_i L_i + λ_U 1/U Σ_j 1(max_c p_jc ≥ τ) u_j

    with p_j the prediction on the original, and u_j by default the divergence term Σ_k w_jk d_jk of MMEL-S.

    Args:
        lambda_u (`float`, *optional*, defaults to 1.0):
            Weight λ_U ≥ 0 of the unlabelled examples. `lambda_t` does not scale them. 0 leaves them out.
        confidence_threshold (`float`, *optional*, defaults to 0.0):
            τ in [0, 1). An unlabelled example counts as 0 if the largest class probability of its soft label is below.
        unlabeled_loss (`str`, *optional*, defaults to `"divergence"`):
            u_j. `"divergence"` is that of MMEL-S; with any other `mmel_loss` unlabelled examples do not count.
            `"pseudo_label"` is the cross entropy on the original with its most probable class as the label.
            `"entropy"` is the entropy of the prediction on the original. The last two use no variants of unlabelled
            examples, and go with every `mmel_loss`.
        unlabeled_ratio (`float`, *optional*, defaults to 1.0):
            Examples μ of `unlabeled_dataset` that each labelled example of a batch brings along. 0 brings none.
        training_signal_annealing (`str`, *optional*, defaults to `"none"`):
            Leaves the loss under the label out for examples whose label has a probability above
            η_t = α_t (1 - 1/C) + 1/C, after t of T updates with C classes: α_t is t/T (`"linear"`), 1 - exp(-5 t/T)
            (`"log"`) or exp(5 (t/T - 1)) (`"exp"`). The divergence term of MMEL-S stays. Such examples still count in
            the mean, which is over all labelled examples of an update.

    Sources: Xie et al., *Unsupervised Data Augmentation for Consistency Training*, 2020, arXiv 1904.12848 (divergence,
    threshold and annealing); Lee, *Pseudo-Label*, 2013; Grandvalet and Bengio, *Semi-supervised Learning by Entropy
    Minimization*, 2004.
    """

    lambda_u: float = option(1.0, "Weight of the unlabelled examples, those with the label -100. 0 leaves them out.")
    confidence_threshold: float = option(
        0.0,
        "Smallest class probability for an unlabelled example to count: that of the most probable class of its "
        "original, in [0, 1).",
    )
    unlabeled_loss: str = option(
        "divergence",
        "Loss of an unlabelled example: 'divergence' (the divergence term of mmel_loss='soft'), 'pseudo_label' (cross "
        "entropy with the most probable class as the label) or 'entropy' (of the prediction on the original).",
        ("divergence", "pseudo_label", "entropy"),
    )
    unlabeled_ratio: float = option(
        1.0, "Unlabelled examples that each labelled example of a batch brings along. 0 brings none."
    )
    training_signal_annealing: str = option(
        "none",
        "Leave out the loss under the label where the label is more probable than a threshold, which grows from 1/C "
        "to 1 during training: 'linear', 'log' (fast at first), 'exp' (fast at the end) or 'none'.",
        ANNEALING,
    )

    @property
    def uses_own_predictions(self) -> bool:
        """Whether unlabelled examples count by the prediction on the original alone, without variants."""
        return self.lambda_u != 0 and self.unlabeled_loss != "divergence"

    @property
    def needs_class_probabilities(self) -> bool:
        """Whether the options ask for the loss of plain examples to be computed here, from class probabilities."""
        return self.uses_own_predictions or self.training_signal_annealing != "none"
