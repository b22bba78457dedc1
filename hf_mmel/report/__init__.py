"""A report of a training: one page that tells what it did, and what its variants did to it."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from ..trainer import MMELTrainer


__all__ = ["write_report"]

logger = logging.getLogger(__name__)

PAGE, FOLDER = "report.html", "report"  # in the output folder


def write_report(
    trainer: MMELTrainer,
    output_dir: str | Path | None = None,
    *,
    max_examples: int = 1000,
    min_confidence: float = 0.75,
    max_shown: int = 30,
    dataset: str | None = None,
    command: str | None = None,
    missing: Sequence[str] = (),
) -> Path:
    """
    Writes `report.html`, one page that needs no network, and its pictures to `report/`.

    The final model predicts the validation data and, where there is an augmenter, the variants that training examples
    had in the first epoch. What the trainer lacks is left out: without a validation set there is no confusion matrix,
    without variants nothing is told of them. In a training of several processes all have to call it, the first one
    writes.

    Args:
        trainer ([`MMELTrainer`]): After its training.
        output_dir (`str` or `Path`, *optional*): Where to write; that of the training by default.
        max_examples (`int`, *optional*, defaults to 1000): Training examples whose variants are scored, drawn by the
            seed of the training.
        min_confidence (`float`, *optional*, defaults to 0.75): Of the suspected label flips that are shown.
        max_shown (`int`, *optional*, defaults to 30): How many of them are shown.
        dataset (`str`, *optional*): Name of the data for readers.
        command (`str`, *optional*): The command that trained the model.
        missing (`Sequence[str]`, *optional*): What else is left out, and why, each a sentence.

    Returns:
        `Path`: the page.

    Raises:
        `ImportError`: if matplotlib or Jinja is missing.
        `ValueError`: if a number is out of range.

    Example:

    ```python
    >>> trainer.train()
    >>> write_report(trainer, dataset="reviews")
    ```
    """
    check_installed()
    check_numbers(max_examples, min_confidence, max_shown)
    from .collect import predict, score_variants
    from .facts import collect_facts
    from .page import variant_figures, write_page

    missing, predictions, variants = list(missing), None, None
    if trainer.eval_dataset is not None:
        try:
            predictions = predict(trainer)
        except ValueError as error:
            missing.append(f"Predictions on the validation data are left out: {error}")
            logger.warning(missing[-1])
    collator = trainer.build_group_collator()
    if collator is not None:
        try:
            scored = score_variants(trainer, collator, max_examples)
            variants = variant_figures(scored, min_confidence, max_shown)
        except ValueError as error:
            missing.append(f"Variants of training examples are left out: {error}")
            logger.warning(missing[-1])
    folder = Path(trainer.args.output_dir if output_dir is None else output_dir)
    augmenter = getattr(collator, "augmenter", None)
    config = augmenter.to_dict() if hasattr(augmenter, "to_dict") else None
    if config is None and augmenter is not None:
        config = {"class": type(augmenter).__name__}
    facts = collect_facts(
        folder,
        trainer.args,
        trainer.state,
        config,
        getattr(collator, "num_variants", None),
        None if trainer.adversary is None else trainer.adversary.to_dict(),
        dataset=dataset,
        command=command,
        scores={} if predictions is None else predictions.scores,
    )
    if trainer.is_world_process_zero():
        write_page(folder, facts, predictions, variants, missing, min_confidence)
    return folder / PAGE


def check_installed() -> None:
    """
    Raises an `ImportError` if a package that a report needs is missing.
    """
    missing = [name for name in ("matplotlib", "jinja2") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f'A report needs {" and ".join(missing)}: pip install "hf_mmel[report]"')


def check_numbers(max_examples: int, min_confidence: float, max_shown: int) -> None:
    """
    Raises a `ValueError` if a number is out of range.
    """
    for name, value in (("max_examples", max_examples), ("max_shown", max_shown)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected a whole number >= 1.")
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence is {min_confidence}; expected a probability from 0 to 1.")
