"""What a collator of token labels, answers and choices refuses."""

import pytest
from conftest import SENTENCES
from task_heads import TASK_HEADS
from transformers import DataCollatorForTokenClassification

from augment import RandomSwap
from hf_mmel import VariantCollator


class Untold:
    """An augmenter that does not tell where tokens went."""

    def variants(self, examples, num_variants, seeds):
        return [[dict(example) for _ in range(num_variants)] for example in examples]


@pytest.mark.parametrize("name", ["tokens", "answers"])
def test_an_augmenter_that_does_not_tell_where_tokens_went_is_refused(tokenizer, name):
    head = TASK_HEADS[name]
    with pytest.raises(TypeError, match="of the augmenter, a Untold, do not name alignment and keep_spans"):
        VariantCollator(tokenizer, Untold(), 2, data_collator=head.collator(tokenizer))(head.rows(tokenizer))
    choices = TASK_HEADS["choices"]
    collate = choices.collator(tokenizer)
    batch = VariantCollator(tokenizer, Untold(), 2, data_collator=collate)(choices.rows(tokenizer))
    assert not batch["variant_mask"][:, 1:].any()


@pytest.mark.parametrize("name", ["tokens", "answers"])
def test_an_augmenter_that_moves_words_is_refused(tokenizer, name):
    head = TASK_HEADS[name]
    with pytest.raises(ValueError, match="moves words"):
        VariantCollator(tokenizer, RandomSwap(tokenizer), 2, data_collator=head.collator(tokenizer))(
            head.rows(tokenizer)
        )


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (3, 2), (2, 99), (99, 99)])
def test_an_answer_that_is_not_in_its_row_is_refused(tokenizer, augmenter, start, end):
    row = {**TASK_HEADS["answers"].rows(tokenizer)[0], "start_positions": start, "end_positions": end}
    with pytest.raises(ValueError, match=f"has its answer from {start} to {end}; expected 0 <= start <= end"):
        VariantCollator(tokenizer, augmenter)([row])


@pytest.mark.parametrize("order", [1, -1])
def test_labels_that_are_not_as_many_as_the_tokens_are_refused(tokenizer, augmenter, order):
    good, bad = TASK_HEADS["tokens"].rows(tokenizer)[:2]
    bad["labels"] = bad["labels"][:-1]
    collate = DataCollatorForTokenClassification(tokenizer)
    with pytest.raises(ValueError, match=r"An example of \d+ tokens has the labels \[.*others of its batch have one"):
        VariantCollator(tokenizer, augmenter, data_collator=collate)([good, bad][::order])


def test_labels_of_tokens_without_the_special_ones_left_out_are_refused(tokenizer, augmenter):
    rows = [{**tokenizer(text), "labels": [0] * len(tokenizer(text)["input_ids"])} for text in SENTENCES[:3]]
    collate = VariantCollator(tokenizer, augmenter, data_collator=DataCollatorForTokenClassification(tokenizer))
    with pytest.raises(ValueError, match="with -100 for special tokens"):
        collate(rows)
