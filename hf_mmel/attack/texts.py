"""The texts that are attacked, their variants as texts, and the classifier that reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch
from transformers import DataCollatorWithPadding, PreTrainedModel, PreTrainedTokenizerBase

from augment.core.batch import Span
from augment.core.marking import differences
from augment.core.text import Rewriter, with_marks
from augment.edits import Edit

from ..functional import per_variant_loss
from ..search import Scorer
from ..step.forward import evaluating


PLACE = "place"  # a column that follows the tokens into a variant: the number of each token of the original

Texts = tuple[str, ...]  # of an example: one, or the two of a pair

_WORD = re.compile(r"\w+")


class Classifier:
    """
    A model that gets texts, as the training command gives them to it.

    Args:
        model (`PreTrainedModel`): A sequence classification model with a class for each example.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer, a fast one.
        max_length (`int`): Tokens of the longest input; longer ones are truncated.
        batch_size (`int`): Rows per forward pass.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int, batch_size: int):
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length
        collate = DataCollatorWithPadding(tokenizer)
        self._scorer = Scorer(model, "loss", collate, batch_size, 0.0, None, "single_label_classification")

    def encode(self, texts: Sequence[Texts], **options: Any) -> Any:
        """The tokenizer's columns of N texts or pairs."""
        columns = map(list, zip(*texts, strict=True))
        return self.tokenizer(*columns, truncation=True, max_length=self.max_length, verbose=False, **options)

    def predict(self, texts: Sequence[Texts], labels: Sequence[int]) -> tuple[list[int], list[float]]:
        """
        The predicted class of each of N texts or pairs, and its loss under its label.

        Raises:
            `ValueError`: if an output of the model is not finite.
        """
        if not texts:
            return [], []
        encoded = self.encode(texts)
        rows = [{name: column[i] for name, column in encoded.items()} for i in range(len(texts))]
        with evaluating(self.model):
            logits = self._scorer.logits(rows).float().cpu()
        if not logits.isfinite().all():
            raise ValueError("The model's outputs are not finite; its training has diverged.")
        losses = per_variant_loss(logits, torch.tensor(labels), "single_label_classification")
        return logits.argmax(dim=1).tolist(), losses.tolist()


class Originals:
    """
    N examples, their tokens, and their texts with edits of the tokens. A variant is scored and written as a text, so
    that whoever classifies the text gets the same prediction.
    """

    def __init__(self, classifier: Classifier, texts: Sequence[Texts]):
        self.texts = texts
        self._rewrite = Rewriter(classifier.tokenizer)
        self._encoded = classifier.encode(texts, return_offsets_mapping=True)

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The token ids of each example, as rows for an augmenter."""
        return [{"input_ids": list(ids), PLACE: list(range(len(ids)))} for ids in self._encoded["input_ids"]]

    def variant(self, i: int, edits: Sequence[Edit]) -> Texts:
        """The texts of example i after edits of its tokens."""
        segments = self._encoded.sequence_ids(i)
        parts = []
        for number, (text, offsets) in enumerate(zip(self.texts[i], self._offsets[i], strict=True)):
            own = [edit for edit in edits if segments[edit.start] == number]
            parts.append(self._rewrite(text, offsets, own) if own else text)
        return tuple(parts)

    @cached_property
    def _offsets(self) -> list[list[list[Span]]]:
        """For each text of each example where its tokens are in it; tokens of the other text are nowhere."""
        offsets = []
        for i, texts in enumerate(self.texts):
            tokens = list(zip(self._encoded["offset_mapping"][i], self._encoded.sequence_ids(i), strict=True))
            spans = ([tuple(span) if own == n else (0, 0) for span, own in tokens] for n in range(len(texts)))
            offsets.append([with_marks(*pair) for pair in zip(texts, spans, strict=True)])
        return offsets

    def edits(self, i: int, row: dict[str, Any]) -> list[Edit]:
        """The replacements that have made a row of example i, found by its column `PLACE`."""
        ids, new, places = self.rows[i]["input_ids"], row["input_ids"], row[PLACE]
        starts = [j for j, place in enumerate(places) if j == 0 or place != places[j - 1]]
        edits = []
        for begin, end in pairwise([*starts, len(places)]):
            start, stop = places[begin], places[end] if end < len(places) else len(ids)
            if ids[start:stop] != new[begin:end]:
                edits.append(Edit(start, tuple(ids[start:stop]), tuple(new[begin:end])))
        return edits


def share_changed(original: Texts, variant: Texts) -> float:
    """The share of an example's words that a variant replaces, removes or, added to these, inserts."""
    changed = 0
    for before, after in zip(original, variant, strict=True):
        parts = [part for part in differences(before, after) if part[0] != part[1]]
        changed += sum(max(len(_WORD.findall(text)) for text in part) for part in parts)
    return changed / max(sum(len(_WORD.findall(text)) for text in original), 1)
