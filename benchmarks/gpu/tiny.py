"""Tiny models, groups of variants and a tokenizer, all made in code."""

import random
from functools import lru_cache
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from hf_mmel import GroupCollator


SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
VOCABULARY, MAX_TOKENS = 200, 16
NUM_VARIANTS, NUM_EXAMPLES = 4, 8


def make_model(dropout: float = 0.0) -> BertForSequenceClassification:
    """A BERT of two layers with large weights, so that its predictions differ; the same at every call."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
        initializer_range=0.2,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **SIZES,
    )
    return BertForSequenceClassification(config)


class FixedVariants:
    """Gives each example the variants that its row has."""

    columns = ("variants",)

    def variants(self, examples: list[dict[str, Any]], num_variants: int, seeds: list) -> list[list[dict[str, Any]]]:
        def as_rows(example: dict[str, Any]) -> list[dict[str, Any]]:
            return [{**example, "input_ids": torch.as_tensor(ids)} for ids in example["variants"]]

        return [as_rows(example) for example in examples]


@lru_cache
def make_dataset(unlabelled: int = 0) -> Dataset:
    """
    Examples of different lengths with their variants. The first ones have no label, if `unlabelled`.

    Of several random groups those are taken whose worst variant is the worst by far, in loss and in divergence.
    Rounding then does not change which variant "top" chooses.
    """
    generator = torch.Generator().manual_seed(1)
    count = 32 * NUM_EXAMPLES
    ids = torch.randint(5, VOCABULARY, (count, NUM_VARIANTS + 1, MAX_TOKENS), generator=generator)
    lengths = torch.randint(MAX_TOKENS // 2, MAX_TOKENS + 1, (count,), generator=generator)
    mask = (torch.arange(MAX_TOKENS) < lengths[:, None]).long()
    labels = torch.arange(count) % 2
    best = _margins(ids * mask[:, None], mask, labels).topk(NUM_EXAMPLES).indices.tolist()
    labels[best[:unlabelled]] = -100
    return Dataset.from_list(
        [
            {
                "input_ids": (ids[i, 0] * mask[i]).tolist(),
                "attention_mask": mask[i].tolist(),
                "labels": labels[i].item(),
                "variants": (ids[i, 1:] * mask[i]).tolist(),
            }
            for i in best
        ]
    )


def _margins(ids: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    """By how much the largest loss and the largest divergence of each group exceed the next ones, `(B,)`."""
    with torch.no_grad():
        rows = mask[:, None].expand(ids.shape).flatten(0, 1)
        logits = make_model().eval()(input_ids=ids.flatten(0, 1), attention_mask=rows).logits
    log_probs = logits.log_softmax(dim=-1).unflatten(0, ids.shape[:2])
    losses = -log_probs.gather(2, labels[:, None, None].expand(*ids.shape[:2], 1))[..., 0]
    original = log_probs[:, :1]
    divergences = (original.exp() * (original - log_probs)).sum(dim=-1)[:, 1:]
    gaps = [x.topk(2, dim=1).values for x in (losses, divergences)]
    return torch.stack([gap[:, 0] - gap[:, 1] for gap in gaps]).amin(dim=0)


def make_collator(epochs_per_draw: int = 1) -> GroupCollator:
    return GroupCollator(FixedVariants(), num_variants=NUM_VARIANTS, epochs_per_draw=epochs_per_draw)


def make_tokenizer(num_words: int) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer of made-up words in lower case, with BERT's special tokens and all letters."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = "abcdefghijklmnopqrstuvwxyz"
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    generator, words = random.Random(0), dict.fromkeys(letters)
    while len(words) < num_words:
        words["".join(generator.choices(syllables, k=generator.randint(2, 4)))] = None
    pieces = [*special, *words, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = {f"{name[1:-1].lower()}_token": name for name in special}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)
