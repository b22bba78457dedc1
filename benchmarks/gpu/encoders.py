"""BERT-base of random weights, or a tiny BERT in its place, for measurements."""

import gc
from dataclasses import replace

import torch
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

from ..steps.measuring import Setting
from .report import Place


TINY = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def setting(place: Place, batch_size: int, length: int) -> Setting:
    """Steps on so many examples of so many tokens, or of few on a tiny BERT."""
    found = Setting(None, batch_size, length, place.device)
    if not place.small:
        return found
    folder = place.folder / "tiny_bert"
    if not folder.exists():
        BertForSequenceClassification(BertConfig(**TINY)).save_pretrained(folder)
    return replace(found, model=str(folder), batch_size=batch_size // 16, length=length // 16)


def masked_lm(place: Place, vocabulary: int) -> BertForMaskedLM:
    torch.manual_seed(0)
    return BertForMaskedLM(BertConfig(vocab_size=vocabulary, **(TINY if place.small else {}))).eval()


def free_memory() -> None:
    """Gives back what models that are no longer used had on the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
