"""Groups of the arguments that MMEL adds to transformers' `TrainingArguments`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, TypeAlias


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
        "Unlabelled examples count only if the largest class probability of their original is at least this number, "
        "in [0, 1).",
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
