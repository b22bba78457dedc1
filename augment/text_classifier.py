"""A text classifier that is given: its classes, and their probabilities for texts."""

import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from numbers import Integral
from typing import Any

import numpy as np

from .configurable import check_count
from .core.devices import default_device, evaluation
from .core.given import check_tokenizer, tokenizer_of
from .core.running import shown
from .mlm.fill_mask import longest_input


Texts = str | tuple[str, ...]  # a text, or the texts of a pair


class TextClassifier:
    """The probabilities of the classes of texts, by a model of transformers. For the arguments see `LabelFilter`."""

    def __init__(
        self,
        model,
        tokenizer=None,
        label_names: Mapping[Any, str] | None = None,
        device: str | None = None,
        batch_size: int = 32,
    ):
        is_name = isinstance(model, str | os.PathLike)
        if not is_name and (isinstance(model, type) or not hasattr(model, "config")):
            raise TypeError(
                f"classifier is {model!r:.100} of type {type(model).__name__}; expected a model of transformers, or "
                "its name or path."
            )
        if not is_name and tokenizer is None:
            raise TypeError("tokenizer is None; a classifier that is not given by name needs its tokenizer.")
        if tokenizer is not None:
            check_tokenizer(tokenizer)
        check_count("batch_size", batch_size)
        self.label_names = {str(label): name for label, name in (label_names or {}).items()}
        self.device = device
        self.batch_size = batch_size
        self.name = os.fspath(model) if is_name else type(model).__name__
        self._given_model: Any = self.name if is_name else model
        self._given_tokenizer = tokenizer

    @cached_property
    def model(self):
        model: Any = self._given_model
        if isinstance(model, str):
            model = _load(model, self.device or default_device())
        kind = getattr(model.config, "problem_type", None)
        if model.config.num_labels < 2 or kind in ("regression", "multi_label_classification"):
            raise ValueError(
                f"The classifier {self.name} has num_labels={model.config.num_labels} and problem_type={kind!r}; "
                "expected a classifier of two or more classes, of which each text has one."
            )
        return model

    @cached_property
    def tokenizer(self):
        return tokenizer_of(self._given_model, self._given_tokenizer)

    @cached_property
    def classes(self) -> list[str]:
        """The names of the C classes, in the order of the logits."""
        names = self.model.config.id2label
        classes = [str(names[i]) for i in range(self.model.config.num_labels)]
        if unknown := [name for name in self.label_names.values() if name not in classes]:
            raise ValueError(
                f"label_names has {shown(map(repr, unknown))}; the classifier {self.name} has the classes "
                f"{shown(map(repr, classes))}."
            )
        return classes

    def probabilities(self, texts: Sequence[Texts]) -> np.ndarray:
        """The probabilities `(N, C)` of N texts or pairs, `float32`. Texts that are too long are truncated."""
        import torch

        longest = min(self.tokenizer.model_max_length, longest_input(self.model))
        rows = [(text,) if isinstance(text, str) else text for text in texts]
        can_pad = None not in (self.tokenizer.pad_token_id, self.model.config.pad_token_id)
        size = self.batch_size if can_pad else 1
        order = np.argsort([sum(map(len, row)) for row in rows], kind="stable")
        probabilities = np.empty((len(rows), len(self.classes)), dtype=np.float32)
        with evaluation(self.model), torch.inference_mode():
            for start in range(0, len(rows), size):
                chosen = order[start : start + size]
                columns = [list(column) for column in zip(*(rows[i] for i in chosen), strict=True)]
                batch = self.tokenizer(
                    *columns, truncation=True, max_length=longest, padding=can_pad, return_tensors="pt"
                )
                logits = self.model(**batch.to(self.model.device)).logits
                probabilities[chosen] = logits.float().softmax(dim=-1).cpu().numpy()
        return probabilities

    def class_ids(self, labels: Sequence[Any], names: Sequence[str] | None = None) -> np.ndarray:
        """
        The class of each label.

        A label is the name of a class, in upper or lower case, or one that `label_names` has a name for. A number is
        the class of this index only if the classifier has no names of its own (`LABEL_0`, `LABEL_1`, ...): the order
        of classes that have names may be another one than that of the data.

        Args:
            labels: N labels, texts or whole numbers.
            names (*optional*): The names of labels that are numbers, as of a `datasets.ClassLabel`.

        Returns:
            `np.ndarray` of shape `(N,)`: indices of `classes`.

        Raises:
            `ValueError`: with the row of a label that the classifier has no class for.
        """
        find, ids = cache(self._class_id), np.empty(len(labels), dtype=np.int64)
        for row, label in enumerate(labels):
            if names is not None and isinstance(label, Integral) and 0 <= int(label) < len(names):
                label = names[int(label)]
            found = find(str(label) if isinstance(label, str | Integral) else "")
            if found is None:
                raise ValueError(
                    f"The label of row {row} (from 0) is {label!r:.60}; the classifier {self.name} has the classes "
                    f"{shown(map(repr, self.classes))}. Name the class of each label with label_names, or choose "
                    "another classifier."
                )
            ids[row] = found
        return ids

    def _class_id(self, label: str) -> int | None:
        classes, label = self.classes, self.label_names.get(label, label)
        if label in classes:
            return classes.index(label)
        alike = [i for i, name in enumerate(classes) if name.casefold() == label.casefold()]
        if len(alike) == 1:
            return alike[0]
        are_nameless = classes == [f"LABEL_{i}" for i in range(len(classes))]
        return int(label) if are_nameless and label.isdecimal() and int(label) < len(classes) else None


def _load(name: str, device: str):
    """The text classifier of this name or path. Raises a `ValueError` if it has no weights for its classes."""
    from transformers import AutoModelForSequenceClassification

    loaded: Any = AutoModelForSequenceClassification.from_pretrained(name, output_loading_info=True)
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"The model {name} has no weights for {', '.join(missing[:3])} of {type(model).__name__}; expected a text "
            "classifier that was trained, since others give random probabilities."
        )
    return model.to(device).eval()
