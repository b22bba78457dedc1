"""Groups of variants: shapes, masks, and variants that depend on seed, epoch and example alone."""

import pickle

import pytest
import torch
from conftest import SENTENCES, make_tokenizer
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

from augment import LexiconSubstitution
from hf_mmel import VariantCollator


@pytest.fixture
def examples(tokenizer):
    return [{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES)]


@pytest.fixture
def collator(tokenizer, augmenter):
    return VariantCollator(tokenizer, augmenter, num_variants=3, seed=7)


def groups_of(batches) -> list[list[tuple[int, ...]]]:
    """Every group's variants without padding, in the order of the examples."""
    return [
        [tuple(ids[mask.bool()].tolist()) for ids, mask in zip(group, masks, strict=True)]
        for batch in batches
        for group, masks in zip(batch["input_ids"], batch["attention_mask"], strict=True)
    ]


def test_groups_have_a_variant_axis_and_labels_have_none(collator, examples):
    batch = collator(examples)
    size, longest = len(examples), max(ids.shape[-1] for ids in [batch["input_ids"]])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (size, 4, longest)
    assert batch["labels"].tolist() == [0, 1] * (size // 2) + [0] * (size % 2)
    assert batch["variant_mask"].shape == (size, 4) and batch["variant_mask"].dtype == torch.bool


def test_variant_0_is_the_original(collator, examples):
    groups = groups_of([collator(examples)])
    assert [group[0] for group in groups] == [tuple(example["input_ids"]) for example in examples]


def test_variant_mask_is_false_exactly_for_copies_of_the_original(collator, examples):
    batch = collator(examples)
    for group, present in zip(groups_of([batch]), batch["variant_mask"].tolist(), strict=True):
        assert present == [True, *(variant != group[0] for variant in group[1:])]
    assert not batch["variant_mask"].all() and batch["variant_mask"][:, 1:].any()


def test_variants_do_not_depend_on_the_make_up_of_the_batch(collator, examples):
    together = groups_of([collator(examples)])
    alone = groups_of([collator([example]) for example in reversed(examples)])
    assert together == alone[::-1]


def test_every_epoch_has_new_variants_and_the_same_ones_when_it_comes_again(collator, examples):
    first = groups_of([collator(examples)])
    collator.set_epoch(1)
    second = groups_of([collator(examples)])
    collator.set_epoch(0)
    assert first != second
    assert first == groups_of([collator(examples)])


def test_seeds_give_different_variants(tokenizer, augmenter, examples):
    one, other = (groups_of([VariantCollator(tokenizer, augmenter, 3, seed)(examples)]) for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("context", ["fork", pytest.param("spawn", marks=pytest.mark.integration)])
def test_persistent_workers_follow_the_epoch(collator, examples, context):
    here = []
    for epoch in range(2):
        collator.set_epoch(epoch)
        here.append(groups_of([collator(examples)]))
    collator.set_epoch(0)
    loader = DataLoader(
        examples,
        batch_size=3,
        collate_fn=collator,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context=context,
    )
    there = [groups_of(loader)]
    collator.set_epoch(1)
    there.append(groups_of(loader))
    assert here == there and here[0] != here[1]


def test_a_pickled_collator_makes_the_same_variants(collator, examples):
    collator.set_epoch(5)
    assert groups_of([pickle.loads(pickle.dumps(collator))(examples)]) == groups_of([collator(examples)])


def test_pad_to_multiple_of_and_a_collator_of_ones_own(tokenizer, augmenter, examples):
    assert VariantCollator(tokenizer, augmenter, pad_to_multiple_of=16)(examples)["input_ids"].shape[-1] % 16 == 0
    padding = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=40)
    assert VariantCollator(tokenizer, augmenter, data_collator=padding)(examples)["input_ids"].shape[-1] == 40


def test_tensors_of_a_formatted_data_set_give_the_same_groups_as_lists(collator, examples):
    tensors = [{name: torch.tensor(value) for name, value in example.items()} for example in examples]
    assert all(torch.equal(a, b) for a, b in zip(collator(examples).values(), collator(tensors).values(), strict=True))


def test_unlabelled_examples_give_groups_without_labels(collator, tokenizer):
    assert "labels" not in collator([dict(tokenizer(SENTENCES[0]))])


@pytest.mark.parametrize("text", ["", "🙂🙂", "картина 映画", "the"])
def test_texts_without_candidates_give_copies_marked_absent(collator, tokenizer, text):
    batch = collator([{**tokenizer(text), "label": 0}])
    assert batch["variant_mask"].tolist() == [[True, False, False, False]]
    assert (batch["input_ids"] == batch["input_ids"][:, :1]).all()


def test_what_does_not_fit_is_refused(tokenizer, augmenter):
    with pytest.raises(ValueError, match="num_variants is 0"):
        VariantCollator(tokenizer, augmenter, num_variants=0)
    with pytest.raises(TypeError, match="expected an object with variants"):
        VariantCollator(tokenizer, object())
    with pytest.raises(ValueError, match="another vocabulary"):
        VariantCollator(tokenizer, LexiconSubstitution(make_tokenizer("bpe"), {}))
    with pytest.raises(ValueError, match="expected input_ids among them"):
        VariantCollator(tokenizer, augmenter)([{"text": "a movie", "label": 0}])


def test_copies_of_a_tuple_are_absent_too(tokenizer, augmenter):
    row = {"input_ids": tuple(tokenizer("we left early")["input_ids"]), "label": 1}
    assert VariantCollator(tokenizer, augmenter, 2)([row])["variant_mask"].tolist() == [[True, False, False]]


@pytest.mark.parametrize(("rows", "variants"), [(slice(None), 2), (slice(1, None), 3), (slice(None), 4)])
def test_variants_of_another_number_than_asked_for_are_refused(tokenizer, examples, rows, variants):
    class Wrong:
        def variants(self, examples, num_variants, seeds):
            return [[dict(example) for _ in range(variants)] for example in examples[rows]]

    with pytest.raises(ValueError, match=r"a Wrong, gave .* expected 9 lists of 3 variants"):
        VariantCollator(tokenizer, Wrong(), num_variants=3)(examples)


def test_a_variant_that_comes_twice_is_there_once(tokenizer):
    texts = ["a fine movie", "a fine film", "a fine movie", "a fine picture", "a fine film"]

    class Repeating:
        def variants(self, examples, num_variants, seeds):
            return [[{**example, **tokenizer(text)} for text in texts[1:]] for example in examples]

    row = {**tokenizer(texts[0]), "label": 1}
    choices = {"input_ids": [row["input_ids"]] * 2, "attention_mask": [row["attention_mask"]] * 2, "label": 1}
    for example in (row, choices):
        batch = VariantCollator(tokenizer, Repeating(), num_variants=4)([example])
        assert batch["variant_mask"].tolist() == [[True, True, False, True, False]]
