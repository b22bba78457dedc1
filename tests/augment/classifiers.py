"""Tiny text classifiers that are sure of their classes."""

from pathlib import Path

import torch
from conftest import make_model
from transformers import BertForSequenceClassification, PreTrainedTokenizerFast


def make_classifier(tokenizer: PreTrainedTokenizerFast, *names: str) -> BertForSequenceClassification:
    """A BERT whose probabilities spread over [0, 1], with classes of these names; without any they are LABEL_0, ..."""
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    model = make_model(tokenizer, **(labels if names else {})).eval()
    with torch.no_grad():
        for layer in (module for module in model.modules() if isinstance(module, torch.nn.Linear)):
            layer.weight.mul_(20)
    return model


def make_constant(tokenizer: PreTrainedTokenizerFast, *names: str) -> BertForSequenceClassification:
    """A classifier that gives every text its first class."""
    model = make_classifier(tokenizer, *names)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias[0] = 20.0
    return model


def save_classifier(model: BertForSequenceClassification, tokenizer: PreTrainedTokenizerFast, folder: Path) -> str:
    """Name of a folder with the classifier and its tokenizer."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
