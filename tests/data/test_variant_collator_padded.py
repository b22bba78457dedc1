"""Rows that come padded to one length, with the collator that pads nothing."""

import pytest
import torch
from conftest import WORDS
from task_heads import TASK_HEADS
from transformers import default_data_collator

from augment import LexiconSubstitution
from hf_mmel import VariantCollator


@pytest.mark.parametrize("head", TASK_HEADS.values(), ids=TASK_HEADS)
def test_rows_that_come_padded_need_no_collator_that_pads(tokenizer, head):
    """Their variants are those of rows without padding, in the length of their row."""
    rows, longest = head.rows(tokenizer)[:6], 40
    fillers = {"input_ids": tokenizer.pad_token_id, "token_type_ids": 0, "attention_mask": 0, "labels": -100}

    def filled(name, values):
        if isinstance(values[0], list):
            return [filled(name, choice) for choice in values]
        return values + [fillers[name]] * (longest - len(values))

    def is_of_tokens(name, row):
        return name in fillers and (name != "labels" or len(row[name]) == len(row["input_ids"]))

    padded = [{n: filled(n, x) if is_of_tokens(n, row) else x for n, x in row.items()} for row in rows]
    every_word = {word: [new[1] if word == "movie" else new[0]] for word, new in WORDS.items()}
    augmenter = LexiconSubstitution(tokenizer, every_word, replace_prob=1.0)  # the same whatever the seed
    plain, batch = (
        VariantCollator(tokenizer, augmenter, 1, data_collator=collate)(examples)
        for examples, collate in (
            (rows, head.collator(tokenizer, padding="max_length", max_length=longest)),
            (padded, default_data_collator),
        )
    )
    assert plain.keys() == batch.keys() and batch["variant_mask"][:, 1:].any()
    assert all(torch.equal(plain[name], batch[name]) for name in plain)


def test_a_variant_longer_than_its_padded_row_stays_a_copy(tokenizer):
    augmenter = LexiconSubstitution(tokenizer, {"movie": ["motion picture"]}, replace_prob=1.0)
    rows = [dict(tokenizer("a movie", padding="max_length", max_length=length)) for length in (4, 5, 6)]
    collate = VariantCollator(tokenizer, augmenter, 1, data_collator=default_data_collator)
    assert [collate([row])["variant_mask"][0, 1].item() for row in rows] == [False, True, True]
