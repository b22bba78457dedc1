"""Checks of model and data that refuse, before training starts, what would fail in the middle of it."""

from typing import Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc
from torch import nn
from transformers import PretrainedConfig, PreTrainedTokenizerBase


LABEL_COLUMNS = ("labels", "label", "label_ids")
IGNORE_INDEX = -100  # the label that torch's cross entropy leaves out


def check_vocabulary(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> None:
    """
    Raises a `ValueError` if the tokenizer has ids for which the model has no embedding.
    """
    embeddings = model.get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    num_embeddings = getattr(embeddings, "num_embeddings", None)
    if (
        num_embeddings is not None
        and isinstance(tokenizer, PreTrainedTokenizerBase)
        and len(tokenizer) > num_embeddings
    ):
        raise ValueError(
            f"The tokenizer has {len(tokenizer)} tokens, the model {num_embeddings} embeddings: they do not belong "
            "together. Load both from the same checkpoint, or call model.resize_token_embeddings(len(tokenizer))."
        )


def check_train_dataset(dataset: Any) -> None:
    """
    Raises a `ValueError` if a `datasets.Dataset` is not tokenised.
    """
    if isinstance(dataset, datasets.Dataset) and "input_ids" not in dataset.column_names:
        raise ValueError(
            f"train_dataset has the columns {dataset.column_names}; expected input_ids among them. "
            "Tokenise it first: dataset.map(lambda row: tokenizer(row['text'], truncation=True), batched=True)."
        )


def check_labels(dataset: Any, config: PretrainedConfig | None) -> None:
    """
    Raises a `ValueError` that names the first row of a `datasets.Dataset` whose label is missing, not finite, or not
    below `config.num_labels`. Other kinds of data sets are not read ahead.
    """
    if not isinstance(dataset, datasets.Dataset):
        return
    name = next((name for name in LABEL_COLUMNS if name in dataset.column_names), None)
    if name is None:
        raise ValueError(
            f"train_dataset has the columns {dataset.column_names}; expected one named {' or '.join(LABEL_COLUMNS)}."
        )
    labels = dataset.select_columns([name]).with_format("arrow")[:][name]
    if labels.null_count:
        row = pc.index(pc.is_null(labels), True).as_py()
        raise ValueError(f"Row {row} of train_dataset has no {name}; remove the row or give it one.")
    if pa.types.is_floating(labels.type):
        not_finite = pc.invert(pc.is_finite(labels))
        if pc.any(not_finite).as_py():
            row = pc.index(not_finite, True).as_py()
            raise ValueError(f"Row {row} of train_dataset has the {name} {labels[row]}; expected a finite number.")
    num_labels = getattr(config, "num_labels", 1)
    if pa.types.is_integer(labels.type) and num_labels > 1:
        in_range = pc.and_(pc.greater_equal(labels, 0), pc.less(labels, num_labels))
        allowed = pc.or_(in_range, pc.equal(labels, IGNORE_INDEX))
        if not pc.all(allowed).as_py():
            row = pc.index(allowed, False).as_py()
            raise ValueError(
                f"Row {row} of train_dataset has the {name} {labels[row]}; the model has num_labels={num_labels}, "
                f"so expected 0 to {num_labels - 1}. Correct the label, or load the model with more labels."
            )
