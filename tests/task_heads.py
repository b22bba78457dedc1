"""The heads that `MMELTrainer` trains, each with a tiny model, data and transformers' collator for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from conftest import SENTENCES, perturb_weights
from transformers import (
    BertConfig,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    DataCollatorForMultipleChoice,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
)


@dataclass
class TaskHead:
    """A head, its model class and configuration, `rows(tokenizer)` and its collator."""

    name: str
    model_class: type[PreTrainedModel]
    rows: Callable[[Any], list[dict[str, Any]]]
    collator: type = DataCollatorWithPadding
    config: dict[str, Any] = field(default_factory=dict)

    def model(self, tokenizer, dropout: float = 0.0) -> PreTrainedModel:
        """A BERT of two layers and 32 units, the same at every call."""
        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
        drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes, **drops, **self.config)
        return perturb_weights(self.model_class(config))


def _texts(labels: Callable[[int], Any]) -> Callable[[Any], list[dict[str, Any]]]:
    return lambda tokenizer: [{**tokenizer(text), "label": labels(i)} for i, text in enumerate(SENTENCES)]


def _words(tokenizer) -> list[dict[str, Any]]:
    """Each word's label, the parity of its length, at its first piece."""
    rows = []
    for text in SENTENCES:
        row = tokenizer(text)
        words = [row.word_ids()[i] for i in range(len(row["input_ids"]))]
        lengths = {
            word: row.word_to_chars(word).end - row.word_to_chars(word).start for word in words if word is not None
        }
        first = [word is not None and word != before for before, word in zip([None, *words], words, strict=False)]
        labels = [lengths[word] % 2 if begins else -100 for begins, word in zip(first, words, strict=True)]
        rows.append({**row, "labels": labels})
    return rows


def _choices(tokenizer) -> list[dict[str, Any]]:
    rows = []
    for i, text in enumerate(SENTENCES):
        choices = [text, SENTENCES[i - 1], SENTENCES[i - 2]]
        rows.append({**tokenizer(["a film with players"] * 3, choices), "label": i % 3})
    return rows


def _answers(tokenizer) -> list[dict[str, Any]]:
    """The answer is the third to the fourth word of the text."""
    rows = []
    for text in SENTENCES:
        row = tokenizer("what was the movie", text)
        start, end = (row.word_to_tokens(word, sequence_index=1) for word in (2, 3))
        rows.append({**row, "start_positions": start.start, "end_positions": end.end - 1})
    return rows


TASK_HEADS = {
    head.name: head
    for head in (
        TaskHead("single_label", BertForSequenceClassification, _texts(lambda i: i % 2)),
        TaskHead("regression", BertForSequenceClassification, _texts(lambda i: i / 4 - 1), config={"num_labels": 1}),
        TaskHead(
            "multi_label",
            BertForSequenceClassification,
            _texts(lambda i: [float(i % 2), float(i % 3 == 0), float(i > 4)]),
            config={"num_labels": 3, "problem_type": "multi_label_classification"},
        ),
        TaskHead("tokens", BertForTokenClassification, _words, DataCollatorForTokenClassification),
        TaskHead("choices", BertForMultipleChoice, _choices, DataCollatorForMultipleChoice),
        TaskHead("answers", BertForQuestionAnswering, _answers),
    )
}
