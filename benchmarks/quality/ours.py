"""Variants of our augmenters, and how long they take."""

import os
import statistics
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from datasets import Dataset

from augment.registry import WITH_MODEL, augmenter_config, load_augmenter

from ..ours import in_calls_of


ROWS_PER_CALL = 32  # a batch of training
LATER_EPOCHS = 5


def run_augmenter(name: str, texts: Sequence[str], args) -> dict[str, Any]:
    """
    Args:
        name (`str`): A name of `augment.registry`, or a JSON file.
        texts (`Sequence[str]`): The texts, whose index is their seed.
        args (`argparse.Namespace`): `mlm` and `num_variants` of the benchmark.

    Returns:
        `dict`: The variants as texts. The CPU-seconds for those of token ids, as in training, after a start that does
        not count: in the first epoch, with the table of candidates, and in later ones, the median. `"same ids"`: the
        share of the variants whose text has the tokens of the same variant of token ids.
    """
    augmenter = load_augmenter(augmenter_config(name, args.mlm if name in WITH_MODEL else None), args.mlm)
    examples = [dict(augmenter.tokenizer(text)) for text in texts]
    make = in_calls_of(augmenter, ROWS_PER_CALL, args.num_variants)
    make(examples)  # reads the model, and reads or makes what serves all texts of the tokenizer
    with TemporaryDirectory() as folder, patch.dict(os.environ, HF_MMEL_CACHE=folder):  # no table of an earlier call
        begin = time.process_time()
        augmenter.precompute(Dataset.from_list(examples))
        variants = make(examples)
        first_epoch = time.process_time() - begin
        seconds = []
        for _ in range(LATER_EPOCHS):
            begin = time.process_time()
            make(examples)
            seconds.append(time.process_time() - begin)
        groups = augmenter.augment_text(list(texts), args.num_variants, range(len(texts)))
        same = [
            augmenter.tokenizer(text)["input_ids"] == variant["input_ids"]
            for group, written in zip(variants, groups, strict=True)
            for variant, text in zip(group, written, strict=True)
        ]
    return {
        "variants": groups,
        "seconds": {"first epoch": first_epoch, "later epochs": statistics.median(seconds)},
        "same ids": statistics.fmean(same),
    }
