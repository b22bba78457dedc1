"""The methods that are compared: names, each with the options of run_glue_mmel.py that it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..cli import run as cli
from ..cli.parser import without_options


# Of runs with variants, for R-Drop: K = 1, so that the one variant has the weight 1, whatever reweights the others.
_R_DROP = (
    *("--mmel_loss", "soft", "--augmenter", "same_text", "--num_variants", "1", "--lambda_t", "0.5"),
    *("--soft_label_gradient", "true", "--reweight_original", "false", "--variant_backward", "full"),
    *("--score_interval", "1", "--greedy_search", "none", "--adversarial_num_steps", "0"),
)
_NOT_FOR_R_DROP = (
    *("augmenter_model", "augmenter_lang", "mlm_masking", "replace_prob", "augment_segments", "variants_column"),
    *("effective_num_variants", "reweighting_warmup", "min_label_probability"),
)


class Method(NamedTuple):
    """What a method is called, and what it trains with, besides the options that all runs share."""

    label: str  # for readers
    options: tuple[str, ...]
    has_augmenter: bool = False  # whether it is trained once with each augmenter
    without: tuple[str, ...] = ()  # shared options that do not reach it


METHODS = {
    "none": Method("no augmentation", ("--mmel_loss", "none")),
    "uniform": Method("uniform augmentation", ("--mmel_loss", "uniform"), has_augmenter=True),
    "hard": Method("MMEL-H (hard labels)", ("--mmel_loss", "hard"), has_augmenter=True),
    "soft": Method("MMEL-S (soft labels)", ("--mmel_loss", "soft"), has_augmenter=True),
    "longer": Method("no augmentation, longer training", ("--mmel_loss", "none")),  # and `longer_options`
    "label_smoothing": Method("label smoothing", ("--mmel_loss", "none", "--label_smoothing_factor", "0.1")),
    "r-drop": Method("R-Drop", _R_DROP, without=_NOT_FOR_R_DROP),
    "temperature": Method("temperature scaling", ()),  # is computed from the predictions of `none`, see `calibration`
}


def options_of_method(name: str, options: Sequence[str]) -> list[str]:
    """The `options` that all runs share, with those of a method."""
    method = METHODS[name]
    own = [*without_options(options, method.without), *method.options]
    return [*own, *longer_options(own)] if name == "longer" else own


def longer_options(options: Sequence[str]) -> list[str]:
    """
    The length of a training run on originals that takes as many rows forward and backward as a run with variants. It
    has `num_rows` times the epochs or, with `max_steps`, steps: the K variants, an adversarial one, and the original;
    with `variant_backward` "top" and "sample" those that are trained on.
    """
    args = cli.parse_arguments([*options, "--do_train", "--use_cpu", "--tf32", "false", "--output_dir", "unused"])
    training = args.training
    num_rows = training.num_variants + (args.augmenter.adversary() is not None)
    if training.variant_backward != "full":
        num_rows = min(training.variant_backward_count, num_rows)
    num_rows += 1  # the original
    if training.max_steps > 0:
        return ["--max_steps", str(num_rows * training.max_steps)]
    return ["--num_train_epochs", str(num_rows * training.num_train_epochs)]


def is_on(options: Sequence[str], name: str) -> bool:
    """Whether an option is given; `--name=False`, which an options file yields for `false`, counts as not given."""
    given = [option for option in options if option.partition("=")[0].replace("-", "_") == f"__{name}"]
    return bool(given) and not given[-1].lower().endswith("=false")
