"""Groups of the arguments that MMEL adds to transformers' `TrainingArguments`, each with its own checks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any


SOFT_LABELS = ("self", "ema", "teacher")
UNLABELED_LOSSES = ("divergence", "pseudo_label", "entropy")
ANNEALING = ("none", "linear", "log", "exp")


def option(default: Any, help: str, choices: Sequence[str] = ()) -> Any:
    """A dataclass field that `transformers.HfArgumentParser` shows with its help and choices."""
    return field(default=default, metadata={"help": help, **({"choices": list(choices)} if choices else {})})


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
        SOFT_LABELS,
    )
    ema_decay: float = option(0.999, "Share of the average of 'ema', in [0, 1), that stays at each update.")
    soft_label_temperature: float = option(1.0, "Temperature of soft labels; below 1 sharpens. Not for regression.")

    def check_soft_labels(self) -> None:
        """Raises a `ValueError` if one of these fields is outside its range, or they contradict each other."""
        if self.soft_labels not in SOFT_LABELS:
            expected = ", ".join(map(repr, SOFT_LABELS))
            raise ValueError(f"soft_labels is {self.soft_labels!r}; expected one of {expected}.")
        decay, temperature = self.ema_decay, self.soft_label_temperature
        if not (isinstance(decay, Real) and 0 <= float(decay) < 1):
            raise ValueError(f"ema_decay is {decay!r}; expected a number in [0, 1).")
        if not (isinstance(temperature, Real) and 0 < float(temperature) < math.inf):
            raise ValueError(f"soft_label_temperature is {temperature!r}; expected a finite number > 0.")
        if self.soft_label_gradient and self.soft_labels != "self":
            raise ValueError(
                f"soft_label_gradient is set, but soft_labels={self.soft_labels!r} are predicted without a gradient; "
                "leave it out, or take soft_labels='self'."
            )


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
        UNLABELED_LOSSES,
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

    def check_unlabeled(self) -> None:
        """Raises a `ValueError` if one of these fields is outside its range."""
        for name, allowed in (("unlabeled_loss", UNLABELED_LOSSES), ("training_signal_annealing", ANNEALING)):
            if getattr(self, name) not in allowed:
                expected = ", ".join(map(repr, allowed))
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {expected}.")
        for name in ("lambda_u", "unlabeled_ratio"):
            value: Any = getattr(self, name)
            if not (isinstance(value, Real) and 0 <= float(value) < math.inf):
                raise ValueError(f"{name} is {value!r}; expected a finite number >= 0.")
        threshold = self.confidence_threshold
        if not (isinstance(threshold, Real) and 0 <= float(threshold) < 1):
            raise ValueError(f"confidence_threshold is {threshold!r}; expected a number in [0, 1).")

    @property
    def uses_own_predictions(self) -> bool:
        """Whether unlabelled examples count by the prediction on the original alone, without variants."""
        return self.lambda_u != 0 and self.unlabeled_loss != "divergence"

    @property
    def needs_class_probabilities(self) -> bool:
        """Whether the options ask for the loss of plain examples to be computed here, from class probabilities."""
        return self.uses_own_predictions or self.training_signal_annealing != "none"
