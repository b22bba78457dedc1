"""The page of a report: one HTML file, with its pictures inside."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from augment.core.atomic_file import atomic_write
from augment.core.variant_count import ADVICE

from ..hub.redaction import REPORT_FOLDER, REPORT_PAGE, without_folders
from ..trainer import MMELTrainer
from .attacked import attack_section
from .predictions import Predictions, ScoredVariants, predict, score_variants
from .summary import RunSummary, summarize_run


logger = logging.getLogger(__name__)

_PACKAGES = {"matplotlib": "matplotlib", "jinja2": "jinja2", "sklearn": "scikit-learn"}


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
    Writes `report.html`, a page that needs no network, and its pictures to the folder `report`.

    The final model predicts the validation data and, if there is an augmenter, the variants that training examples had
    in the first epoch. The page leaves out what the trainer does not have: without a validation set there is no
    confusion matrix, without an augmenter there are no variants. In distributed training all processes have to call
    it, and the first one writes.

    Args:
        trainer (`MMELTrainer`): The trainer, after training.
        output_dir (`str` or `Path`, *optional*): The folder to write to. Defaults to the one of the training run.
        max_examples (`int`, *optional*, defaults to 1000): How many training examples have their variants scored. They
            are drawn with the seed of the training run.
        min_confidence (`float`, *optional*, defaults to 0.75): Lowest probability of the suspected label flips that
            the page shows.
        max_shown (`int`, *optional*, defaults to 30): Most suspected label flips that the page shows.
        dataset (`str`, *optional*): Name of the dataset for readers.
        command (`str`, *optional*): The command that trained the model.
        missing (`Sequence[str]`, *optional*): What else the page leaves out, and why, each a sentence.

    Returns:
        `Path`: the page.

    Raises:
        `ImportError`: if matplotlib, Jinja or scikit-learn is not installed.
        `ValueError`: if a number is out of range.

    Example:

    ```python
    >>> trainer.train()
    >>> write_report(trainer, dataset="reviews")
    ```
    """
    check_installed()
    check_numbers(max_examples, min_confidence, max_shown)
    collator = trainer.build_group_collator()
    predictions, variants, left_out = None, None, list(missing)
    with _errors_added_to(left_out, "Predictions on the validation data"):
        predictions = None if trainer.eval_dataset is None else predict(trainer)
    with _errors_added_to(left_out, "Variants of training examples"):
        variants = None if collator is None else score_variants(trainer, collator, max_examples)
    folder = Path(str(trainer.args.output_dir) if output_dir is None else output_dir)
    augmenter, config = getattr(collator, "augmenter", None), None
    if augmenter is not None:
        config = augmenter.to_dict() if hasattr(augmenter, "to_dict") else {"class": type(augmenter).__name__}
    run = summarize_run(
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
        write_page(folder, run, predictions, variants, left_out, min_confidence, max_shown)
    return folder / REPORT_PAGE


@contextmanager
def _errors_added_to(missing: list[str], what: str) -> Iterator[None]:
    """Logs, and adds to what is missing on the page, why a part of it is left out."""
    try:
        yield
    except ValueError as error:
        missing.append(f"{what} {'is' if what.startswith('The') else 'are'} left out: {error}")
        logger.warning(missing[-1])


def check_installed() -> None:
    """Raises an `ImportError` if a package that a report needs is not installed."""
    missing = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise ImportError(f'A report needs {", ".join(missing)}: pip install "hf_mmel[report]"')


def check_numbers(max_examples: int, min_confidence: float, max_shown: int) -> None:
    """Raises a `ValueError` if a number is out of range."""
    for name, value in (("max_examples", max_examples), ("max_shown", max_shown)):
        if value < 1:
            raise ValueError(f"{name} is {value}; expected a whole number >= 1.")
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence is {min_confidence}; expected a probability from 0 to 1.")


def write_page(
    folder: Path,
    run: RunSummary,
    predictions: Predictions | None = None,
    variants: ScoredVariants | None = None,
    missing: Sequence[str] = (),
    min_confidence: float = 0.75,
    max_shown: int = 30,
) -> Path:
    """Writes `report.html` and the pictures of `report`; see `write_report` for the last three arguments."""
    from .layout import picture, write_html
    from .pictures import pictures
    from .statistics import calibration, compare_with_majority, label_flips, label_scores, prediction_shifts

    (folder / REPORT_FOLDER).mkdir(parents=True, exist_ok=True)
    images = {name: picture(draw) for name, draw in pictures(run, predictions).items()}
    for name, image in images.items():
        for suffix, content in (("", image.light), ("-dark", image.dark)):
            with atomic_write(folder / REPORT_FOLDER / f"{name}{suffix}.png") as file:
                file.write(content)
    attack, missing = None, list(missing)
    with _errors_added_to(missing, "The accuracy in the worst case"):
        attack = attack_section(folder)
    reliability, majority, errors, scores, flips, shifts = None, None, None, [], [], []
    if predictions is not None and predictions.problem_type != "regression":
        majority = compare_with_majority(predictions.outputs, predictions.labels)
        reliability = calibration(predictions.outputs, predictions.labels)
        if predictions.problem_type == "multi_label_classification":
            scores = label_scores(predictions.labels, predictions.outputs)
    elif predictions is not None:
        outputs, labels = predictions.outputs, predictions.labels
        errors = {"model": float(((outputs - labels) ** 2).mean()), "mean": float(labels.var())}
    if variants is not None and variants.problem_type == "regression":
        shifts = prediction_shifts(variants.labels, variants.before, variants.after)
    elif variants is not None:
        flips = label_flips(variants.labels, variants.before, variants.after)
    confident = [flip for flip in flips if flip.after >= min_confidence]
    write_html(
        folder / REPORT_PAGE,
        Path(__file__).with_name("report.html.jinja"),
        run=run,
        predictions=predictions,
        calibration=reliability,
        majority=majority,
        errors=errors,
        attack=attack,
        label_scores=scores,
        variants=variants,
        advice=ADVICE,
        num_flips=len(flips),
        num_confident=len(confident),
        flips=confident[:max_shown],
        shifts=shifts[:max_shown],
        min_confidence=min_confidence,
        missing=[without_folders(reason) for reason in missing],
        pictures=images,
    )
    return folder / REPORT_PAGE
