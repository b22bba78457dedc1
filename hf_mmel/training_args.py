"""The arguments that MMEL adds to transformers' `TrainingArguments`."""

import math
import re
from copy import copy, deepcopy
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments

from .argument_groups import MMEL_LOSSES as MMEL_LOSSES
from .argument_groups import ObjectiveArguments, Range, SoftLabelArguments, UnlabeledArguments, check_ranges


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
class MMELTrainingArguments(ObjectiveArguments, SoftLabelArguments, UnlabeledArguments, TrainingArguments):
    """
    `TrainingArguments` with the few fields of the MMEL objective.

    The additional fields are those of three groups:

    - `hf_mmel.argument_groups.ObjectiveArguments`: how variants are weighed, and which of them are trained on;
    - `hf_mmel.argument_groups.SoftLabelArguments`: who predicts the soft labels of MMEL-S;
    - `hf_mmel.argument_groups.UnlabeledArguments`: how examples without a label count.

    The pickled arguments that `Trainer` saves next to every model (`training_args.bin`) hold no `hub_token`.

    Raises:
        `ValueError`: if one of these fields is outside its range.
    """

    if TYPE_CHECKING:  # `TrainingArguments` fills in a folder where none is given
        output_dir: str

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
