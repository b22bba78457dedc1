"""The augmenter of the command line: made from its arguments, and kept so that a run can be repeated."""

from __future__ import annotations

import logging
from pathlib import Path

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from augment import Augmenter
from augment.core.atomic_file import write_json

from ..training_args import MMELTrainingArguments
from .args import AugmenterArguments, ModelArguments
from .usage import usage_errors


logger = logging.getLogger(__name__)


def build_augmenter(
    augmenter_args: AugmenterArguments,
    training_args: MMELTrainingArguments,
    model_args: ModelArguments,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    train_dataset: Dataset | None,
) -> Augmenter | None:
    """The source of variants; `None` where the training needs none."""
    if not training_args.do_train or training_args.mmel_loss == "none":
        return None
    if augmenter_args.augmenter == "none":
        if augmenter_args.adversary() is None:
            logger.warning(
                "Without an augmenter there are no variants, so mmel_loss=%s is plain fine-tuning.",
                training_args.mmel_loss,
            )
        return None
    with usage_errors(LookupError, ValueError, TypeError, OSError, ImportError):
        config = augmenter_args.config(model_args.model_name_or_path, max_length, model_args.cache_dir)
        with training_args.main_process_first(desc="building the augmenter"):
            augmenter = Augmenter.from_dict(config, tokenizer)
        if train_dataset is not None:
            augmenter.precompute(train_dataset)
    return augmenter


def save_augmenter(augmenter: Augmenter, output_dir: str) -> None:
    """Writes `augmenter.json`, from which the run can be repeated."""
    path = Path(output_dir) / "augmenter.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, augmenter.to_dict())
