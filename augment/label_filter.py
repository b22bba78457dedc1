"""Variants that keep their label, as a text classifier that is given sees it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .core.given import columns_of
from .core.running import shown
from .core.text_lists import entries_of, items_of, with_items
from .from_column import checked_entries, filled
from .text_classifier import TextClassifier, Texts


logger = logging.getLogger(__name__)

_CHUNK = 1000  # rows whose variants are classified at once


class Kept(NamedTuple):
    """What is kept of B rows."""

    lists: list[Any]  # the variants of each row, in the form that the data have
    num_variants: int  # before
    num_kept: int
    num_right: int  # number of originals that would be kept as variants of their own


class LabelFilter:
    """
    Keeps the variants to which a text classifier gives their label.

    With y the label of an example, a variant x_v is kept if

        p(y | x_v) >= min_label_probability,    p(c | x) = softmax(logits of the classifier on x)_c.

    Without labels, y is the most probable class of the original, argmax_c p(c | x_0). Labels are not questioned: if
    the classifier is wrong about an original, it mostly rejects the variants too, and the original is trained on
    alone.

    The classifier reads a dataset once, before training. To leave out variants during training, by the model that is
    trained, see `min_label_probability` of `MMELTrainingArguments`.

    Args:
        classifier (`str`, `Path` or `transformers.PreTrainedModel`):
            A text classifier of C >= 2 classes, of which each text has one: a name or path, which is loaded at first
            use, or the model, which is used on its device.
        tokenizer (*optional*): The tokenizer of the classifier, needed if the classifier is not given by name.
        min_label_probability (`float`, *optional*, defaults to 0.5): The least probability of the label, in (0, 1].
        label_names (`Mapping`, *optional*):
            The classifier's name of labels that the data calls something else: `{0: "NEGATIVE", 1: "POSITIVE"}`.
        device (`str`, *optional*): Where a classifier given by name runs. Defaults to the GPU if there is one.
        batch_size (`int`, *optional*, defaults to 32): Texts in a forward pass.

    Raises:
        `TypeError`: if `classifier` is no model or name, or a model comes without a tokenizer.
        `ValueError`: if an argument is out of range, or, at first use, the classifier has no weights for its classes,
            has fewer than two, gives a text several of them, or lacks one of the `label_names`.

    Example:

    ```python
    >>> label_filter = LabelFilter("path/to/classifier", label_names={0: "NEGATIVE", 1: "POSITIVE"})
    >>> dataset = label_filter.filter(dataset, "paraphrases", text_columns="sentence", label_column="label")
    ```
    """

    def __init__(
        self,
        classifier,
        tokenizer=None,
        *,
        min_label_probability: float = 0.5,
        label_names: Mapping[Any, str] | None = None,
        device: str | None = None,
        batch_size: int = 32,
    ):
        self.classifier = TextClassifier(classifier, tokenizer, label_names, device, batch_size)
        if not 0 < min_label_probability <= 1:
            raise ValueError(f"min_label_probability is {min_label_probability}; expected a number in (0, 1].")
        self.min_label_probability = min_label_probability

    def scores(
        self, originals: Sequence[Texts], variants: Sequence[Texts], classes: np.ndarray | None = None
    ) -> np.ndarray:
        """
        p(y | x_v), the probability of the label for each of N variants, `(N,)`. Without `classes` this is a `scorer`
        of `Generated`.

        Args:
            originals: The originals of the N variants, texts or pairs. They are read only without `classes`.
            variants: The N variants.
            classes (`np.ndarray` of shape `(N,)`, *optional*):
                The classifier's class of each label, from `classifier.class_ids`. Defaults to the most probable class
                of the original.
        """
        texts = list(dict.fromkeys([*variants, *(originals if classes is None else ())]))
        number = {text: i for i, text in enumerate(texts)}
        probabilities = self.classifier.probabilities(texts)
        if classes is None:
            classes = probabilities.argmax(axis=1)[[number[text] for text in originals]]
        return probabilities[[number[text] for text in variants], classes]

    def filter(
        self,
        dataset,
        column: str = "paraphrases",
        text_columns: str | Sequence[str] = "text",
        label_column: str | None = "label",
    ):
        """
        The dataset with those variants in a column of lists that keep their label.

        Args:
            dataset (`datasets.Dataset` or a list of dicts): Rows with texts and a column of lists of variants.
            column (`str`, *optional*, defaults to `"paraphrases"`):
                The column of the lists, in any form that `VariantsFromColumn` reads.
            text_columns (`str` or a list of `str`, *optional*, defaults to `"text"`):
                The column, or the two columns of a pair, with the originals.
            label_column (`str`, *optional*, defaults to `"label"`):
                The column of the labels. `None` stands for the class that the classifier gives the original.

        Returns:
            A `datasets.Dataset`, or a list of dicts, with the same rows. A row may have an empty list.

        Raises:
            `TypeError`: if the dataset is something else, such as a stream.
            `ValueError`: if a column is missing or contains something else, or the classifier has no class for a
                label.
        """
        columns, is_list = columns_of(dataset), isinstance(dataset, list | tuple)
        names = [text_columns] if isinstance(text_columns, str) else list(text_columns)
        for name in (column, *names, *([] if label_column is None else [label_column])):
            if name not in columns and len(dataset):
                raise ValueError(f"The dataset has no column {name!r}; its columns are {shown(map(repr, columns))}.")
        rows = dataset if is_list else list(dataset.select_columns([column, *names]))
        for number, row in enumerate(rows):
            check_lists(row, number, column, names)
        classes = None
        if label_column is not None:
            labels = [row.get(label_column) for row in dataset] if is_list else dataset[label_column]
            class_names = None if is_list else getattr(dataset.features[label_column], "names", None)
            classes = self.classifier.class_ids(labels, class_names)
        lists: list[Any] = []
        num_right = 0
        for start in range(0, len(rows), _CHUNK):
            own = None if classes is None else classes[start : start + _CHUNK]
            kept = self.kept(rows[start : start + _CHUNK], column, names, own)
            lists += kept.lists
            num_right += kept.num_right
        if classes is not None and (doubt := doubt_of(num_right, len(rows))):
            logger.warning(doubt)
        if is_list:
            return [{**row, column: value} for row, value in zip(dataset, lists, strict=True)]
        filtered = dataset.remove_columns(column).add_column(column, lists, feature=dataset.features[column])
        return filtered.select_columns(columns)

    def kept(
        self,
        rows: Sequence[Mapping[str, Any]],
        column: str,
        text_columns: Sequence[str],
        classes: np.ndarray | None = None,
    ) -> Kept:
        """What is kept of the lists in a column of B rows with the labels `classes` `(B,)`, as in `scores`."""
        originals = [tuple(row[name] for name in text_columns) for row in rows]
        # Blank items have no entry: they are no variants.
        groups = [
            [(item, entry) for item in items_of(row.get(column)) for entry in entries_of([item], text_columns)]
            for row in rows
        ]
        sizes = [1 + len(group) for group in groups]
        texts: list[Texts] = []
        for original, group in zip(originals, groups, strict=True):
            texts += [original, *(filled(entry, original) for _, entry in group)]
        repeated = [original for original, size in zip(originals, sizes, strict=True) for _ in range(size)]
        scores = self.scores(repeated, texts, None if classes is None else np.repeat(classes, sizes))
        is_good = iter((scores >= self.min_label_probability).tolist())
        lists, num_right, num_kept = [], 0, 0
        for row, group in zip(rows, groups, strict=True):
            num_right += next(is_good)
            good = [item for item, _ in group if next(is_good)]
            num_kept += len(good)
            lists.append(row.get(column) if len(good) == len(group) else with_items(row[column], good))
        return Kept(lists, len(texts) - len(rows), num_kept, num_right)


def check_lists(row: Mapping[str, Any], number: int, column: str, text_columns: Sequence[str]) -> None:
    """Raises a `ValueError` with the number of the row if its originals or variants are not texts."""
    checked_entries(row, f"Row {number} (from 0)", column, text_columns)


def doubt_of(num_right: int, num_originals: int) -> str | None:
    """A warning if the classifier gives fewer than half of the originals their label, else `None`."""
    if 2 * num_right >= num_originals:
        return None
    return (
        f"The classifier gives only {num_right} of {num_originals} originals their label, and mostly rejects the "
        "variants of the others. Check that its classes mean the labels (label_names), or choose another classifier."
    )
