"""The arguments that MMEL adds to transformers' `TrainingArguments`."""

import math
from copy import copy, deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments


MMEL_LOSSES = ("soft", "hard", "uniform", "none")
VARIANT_BACKWARD = ("full", "top", "sample")
NONFINITE_VARIANTS = ("skip", "raise")


@dataclass(repr=False)  # a generated one would show the token, which that of `TrainingArguments` hides
class MMELTrainingArguments(TrainingArguments):
    """
    `TrainingArguments` with the few fields of the MMEL objective.

    Args:
        mmel_loss (`str`, *optional*, defaults to `"soft"`):
            `"soft"` (MMEL-S) adds the reweighted divergence between the predictions on the original and on its
            variants to the loss of the original, `"hard"` (MMEL-H) reweights the losses of all variants under the
            example's label, `"uniform"` averages them (plain augmentation), `"none"` trains on the originals alone.
        lambda_p (`float`, *optional*, defaults to 1.0):
            Strength λ_P in [0, ∞] of the pull towards uniform weights, in units of the loss: 0
            takes the worst variant, `inf` averages.
        lambda_t (`float`, *optional*, defaults to 1.0):
            Factor λ_T ≥ 0 of the divergence in the soft loss.
        num_variants (`int`, *optional*, defaults to 4):
            Augmented variants per example, K. The original is not counted.
        reweight_original (`bool`, *optional*):
            Whether the original is one of the variants that are weighted. By default it is for `"hard"` and
            `"uniform"`, and is not for `"soft"`.
        soft_label_gradient (`bool`, *optional*, defaults to `False`):
            Whether the gradient of the soft loss also flows through the prediction on the original, the soft label.
        variant_backward (`str`, *optional*, defaults to `"full"`):
            Which variants are trained on. `"full"` is the objective itself. `"top"` and `"sample"` score all variants
            without a graph, weigh them, and train on few: those of the largest weights, which are scaled to their sum,
            or those drawn with the weights as probabilities, an unbiased estimate of the whole gradient. MMEL-S trains
            on the original besides.
        variant_backward_count (`int`, *optional*, defaults to 1):
            Variants of each example that `"top"` keeps, or draws of `"sample"`.
        variant_chunk_size (`int`, *optional*):
            Cuts a batch of B examples into passes of at most B times so many variants, each of which is taken back
            through the model before the next: memory is that of one pass. The gradient is that of a single pass, which
            K + 1 gives. A group that does not fit into a pass is cut, and its weights are those of a scoring
            beforehand: the same with `scoring_bf16=False` and a model without dropout. By default there are as many
            passes as are quickest, of groups of like length and with little padding, and one under FSDP and DeepSpeed,
            or where a subclass has a `compute_loss` of its own.
        score_interval (`int`, *optional*, defaults to 1):
            Epochs for which an example keeps its variants. They are scored when they come first; until new ones are
            drawn, what was last computed of a variant is its score, so that a step costs no more than the variants
            that are trained on. For `"top"` and `"sample"`. Logged figures are those of the scores. A resumed run
            scores anew what it meets.
        scoring_dropout (`bool`, *optional*, defaults to `False`):
            Whether variants are scored with dropout, from the random state with which training goes on.
        scoring_bf16 (`bool`, *optional*):
            Whether variants are scored in bfloat16. By default where the device computes in it.
        min_label_probability (`float`, *optional*):
            Leaves out variants that seem to have lost their label: those to whose label the model of the moment gives
            a smaller probability, `exp(-loss)`, while it is right on the original, to whose label it gives more than
            one half. Above 0, and one half at most; all variants stay by default. For losses that are cross entropies;
            of several words or labels the probability is the geometric mean of theirs.
        nonfinite_variants (`str`, *optional*, defaults to `"skip"`):
            What becomes of a variant whose loss or divergence is infinite or NaN, which would make the whole update
            NaN. `"skip"` leaves it out with a warning that shows its text, and with an original all of its variants;
            `"raise"` ends the training with a `FloatingPointError`, which is what both do where the weights of the
            model itself are not finite.
        class_weights (`str` or `list[float]`, *optional*):
            Factor of the loss of each class, for classification of texts or words: numbers, one per class, or
            `"balanced"` for the inverse of each class's share in the training set. They weigh examples, not the
            variants of one, and hold for `"none"`, too. The evaluation loss goes without them.
        show_variants (`int`, *optional*, defaults to 0):
            How many of the hardest variants are shown as text at the end of each epoch.
        hub_tags (`list[str]`, *optional*):
            Tags of the model on the Hub, besides `mmel` and `data-augmentation`.

    Pickled, as `Trainer` does next to every model (`training_args.bin`), the arguments have no `hub_token`.

    Raises:
        `ValueError`: if one of these fields is outside its range.
    """

    if TYPE_CHECKING:  # `TrainingArguments` fills in a folder where none is given
        output_dir: str

    mmel_loss: str = field(
        default="soft",
        metadata={
            "help": "How the variants of one example are weighed: 'soft' (MMEL-S, by divergence from the prediction "
            "on the original), 'hard' (MMEL-H, by loss), 'uniform' (plain augmentation) or 'none' (originals only).",
            "choices": list(MMEL_LOSSES),
        },
    )
    lambda_p: float = field(
        default=1.0,
        metadata={
            "help": "Pull towards uniform weights, in units of the loss: 0 takes the worst variant, inf averages them."
        },
    )
    lambda_t: float = field(default=1.0, metadata={"help": "Factor of the divergence in the soft loss."})
    num_variants: int = field(
        default=4, metadata={"help": "Augmented variants per example (K); the original is not counted."}
    )
    reweight_original: bool | None = field(
        default=None,
        metadata={
            "help": "Whether the original is one of the weighted variants. Default: in hard and uniform, not in soft."
        },
    )
    soft_label_gradient: bool = field(
        default=False,
        metadata={"help": "Let the gradient of the soft loss flow through the prediction on the original, too."},
    )
    variant_backward: str = field(
        default="full",
        metadata={
            "help": "Which variants are trained on: 'full' (all), 'top' (those of the largest weights) or 'sample' "
            "(drawn by their weights). But for 'full', all are scored first, without a graph.",
            "choices": list(VARIANT_BACKWARD),
        },
    )
    variant_backward_count: int = field(
        default=1, metadata={"help": "Variants of each example that 'top' keeps, or draws of 'sample'."}
    )
    variant_chunk_size: int | None = field(
        default=None,
        metadata={
            "help": "Variants per example that are in memory at once: a batch is cut into passes of at most so many "
            "rows for each of its examples, whose gradients add up. Default: the passes that are quickest."
        },
    )
    score_interval: int = field(
        default=1,
        metadata={
            "help": "Epochs for which an example keeps its variants, which are scored in the first of them only."
        },
    )
    scoring_dropout: bool = field(
        default=False,
        metadata={"help": "Score variants with dropout, from the random state with which training goes on."},
    )
    scoring_bf16: bool | None = field(
        default=None, metadata={"help": "Score variants in bfloat16. Default: where the device computes in it."}
    )
    min_label_probability: float | None = field(
        default=None,
        metadata={
            "help": "Leave out variants to whose label the model gives a smaller probability while it is right on "
            "the original: above 0, and 0.5 at most."
        },
    )
    nonfinite_variants: str = field(
        default="skip",
        metadata={
            "help": "Whether a variant whose loss is infinite or NaN is left out with a warning ('skip') or ends the "
            "training ('raise').",
            "choices": list(NONFINITE_VARIANTS),
        },
    )
    class_weights: list[float] | str | None = field(
        default=None,
        metadata={
            "help": "Factor of the loss of each class: numbers separated by commas, one per class, or 'balanced' for "
            "the inverse of each class's share in the training set."
        },
    )
    show_variants: int = field(
        default=0,
        metadata={"help": "Hardest variants to show at the end of each epoch, with labels, weights and losses."},
    )
    hub_tags: list[str] | None = field(
        default=None, metadata={"help": "Tags of the model on the Hub, besides mmel and data-augmentation."}
    )

    def __post_init__(self):
        self.check_objective()
        # A hyperparameter search casts what it proposes to the type that it finds: 1 would make 0 of 0.5.
        self.lambda_p, self.lambda_t = float(self.lambda_p), float(self.lambda_t)
        self.num_variants, self.show_variants = int(self.num_variants), int(self.show_variants)
        weights = self.class_weights
        if weights is not None and not (isinstance(weights, str) and weights == "balanced"):  # an array compares apart
            self.class_weights = _numbers("class_weights", weights)
        super().__post_init__()

    @property
    def weighs_original(self) -> bool:
        """Whether the original is one of the variants that are weighted, where it has any."""
        return self.mmel_loss != "soft" if self.reweight_original is None else self.reweight_original

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "hub_token": None}

    def __copy__(self) -> "MMELTrainingArguments":
        """With the token, which would go the way of pickles."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict) -> "MMELTrainingArguments":
        copied = copy(self)
        vars(copied).update(deepcopy(vars(self), memo))
        return copied

    def check_objective(self) -> None:
        """
        Raises the `ValueError`s named above. [`MMELTrainer`] asks once more where a training begins, since a
        hyperparameter search sets the fields of finished arguments.
        """
        if self.mmel_loss not in MMEL_LOSSES:
            raise ValueError(f"mmel_loss is {self.mmel_loss!r}; expected one of {', '.join(map(repr, MMEL_LOSSES))}.")
        if not self.lambda_p >= 0:  # NaN fails this comparison, too
            raise ValueError(f"lambda_p is {self.lambda_p}; expected a number in [0, inf].")
        if not 0 <= self.lambda_t < math.inf:
            raise ValueError(f"lambda_t is {self.lambda_t}; expected a finite number >= 0.")
        if not _is_count(self.num_variants):
            raise ValueError(
                f"num_variants is {self.num_variants}; expected a whole number >= 1. "
                "To train without variants set mmel_loss='none'."
            )
        if self.variant_backward not in VARIANT_BACKWARD:
            expected = ", ".join(map(repr, VARIANT_BACKWARD))
            raise ValueError(f"variant_backward is {self.variant_backward!r}; expected one of {expected}.")
        if self.min_label_probability is not None and not 0 < self.min_label_probability <= 0.5:
            raise ValueError(
                f"min_label_probability is {self.min_label_probability}; expected a number in (0, 0.5], or None."
            )
        if self.nonfinite_variants not in NONFINITE_VARIANTS:
            expected = ", ".join(map(repr, NONFINITE_VARIANTS))
            raise ValueError(f"nonfinite_variants is {self.nonfinite_variants!r}; expected one of {expected}.")
        if self.variant_backward == "top" and self.mmel_loss == "uniform":
            raise ValueError(
                "variant_backward is 'top', but mmel_loss='uniform' has no largest weights; expected 'full' or "
                "'sample'."
            )
        for name in ("variant_backward_count", "variant_chunk_size", "score_interval"):
            value = getattr(self, name)
            if not (_is_count(value) or (value is None and name == "variant_chunk_size")):
                raise ValueError(f"{name} is {value}; expected a whole number >= 1.")
        if self.show_variants != 0 and not _is_count(self.show_variants):
            raise ValueError(f"show_variants is {self.show_variants}; expected a whole number >= 0.")
        if self.score_interval > 1 and self.variant_backward == "full":
            raise ValueError(
                f"score_interval is {self.score_interval}, but variant_backward='full' computes all variants in every "
                "step and has no use for earlier scores; expected 'top' or 'sample', or an interval of 1."
            )


def _is_count(value: float | None) -> bool:
    return value is not None and not isinstance(value, bool) and value == int(value) and value >= 1


def _numbers(name: str, value: list[float] | str) -> list[float]:
    """Numbers from a list, or from text as the command line has it."""
    parts = value.strip("[] ").split(",") if isinstance(value, str) else value
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        numbers = []
    if not numbers or not all(0 <= number < math.inf for number in numbers):
        raise ValueError(f"{name} is {value!r}; expected 'balanced' or finite numbers >= 0, one for each class.")
    return numbers
