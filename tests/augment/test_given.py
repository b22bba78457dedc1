"""Texts, examples, seeds and augmenters in the forms in which users have them."""

import inspect
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from augmenters import lexicon
from conftest import WORDS
from datasets import Dataset

from augment import (
    Compose,
    FirstOf,
    GreedySearch,
    ImageVariants,
    LexiconSubstitution,
    OneOf,
    RandomDelete,
    RandomInsert,
    Sometimes,
    WordNetSynonyms,
)
from examples import examples_of
from hf_mmel import MMELTrainingArguments


TEXTS = ["the movie was awful", "an odd film", "the movie was awful"]


def test_row_i_of_a_list_has_the_seed_and_i_where_one_seed_is_given(tokenizer):
    augmenter, examples = lexicon(tokenizer), examples_of(tokenizer)[:3]
    for seed in (7, np.int64(7)):
        assert augmenter.variants(examples, 2, seed) == augmenter.variants(examples, 2, [(7, 0), (7, 1), (7, 2)])
        assert augmenter.augment_text(TEXTS, 2, seed) == augmenter.augment_text(TEXTS, 2, [(7, 0), (7, 1), (7, 2)])
    rows = [{"pixel_values": torch.arange(27.0).view(3, 3, 3)}] * 2
    one, several = (ImageVariants().variants(rows, 2, seed) for seed in (7, [(7, 0), (7, 1)]))
    for a, b in zip(chain(*one), chain(*several), strict=True):
        assert torch.equal(a["pixel_values"], b["pixel_values"])


@pytest.mark.parametrize(
    "form", [tuple, np.array, lambda x: np.array(x, dtype=object), lambda x: pd.Series(x, index=[5, 3, 9])]
)
def test_arrays_and_series_of_texts_work_like_lists(tokenizer, form):
    augmenter = lexicon(tokenizer)
    found = augmenter.augment_text(form(TEXTS), 2, [0, 1, 2])
    assert found == augmenter.augment_text(TEXTS, 2, [0, 1, 2])
    assert {type(text) for group in found for text in group} == {str}


@pytest.mark.parametrize(
    "form", [tuple, lambda x: np.array(x, dtype=object), lambda x: pd.Series(x, index=[5, 3, 9]), Dataset.from_list]
)
def test_series_arrays_and_data_sets_of_examples_work_like_lists(tokenizer, form):
    augmenter, examples = lexicon(tokenizer), examples_of(tokenizer)[:3]
    assert augmenter.variants(form(examples), 2, [0, 1, 2]) == augmenter.variants(examples, 2, [0, 1, 2])


@pytest.mark.parametrize("texts", [{"text": "a"}, {"a"}, b"a", None, np.array([["a", "b"]])])
def test_what_is_no_list_of_texts_is_refused(tokenizer, texts):
    with pytest.raises(TypeError, match="expected a str"):
        lexicon(tokenizer).augment_text(texts)


def test_number_of_variants_and_seed_have_the_defaults_of_training(tokenizer, tmp_path):
    args = MMELTrainingArguments(str(tmp_path))
    functions = [lexicon(tokenizer).variants, lexicon(tokenizer).edits, lexicon(tokenizer).augment_text]
    for function in [*functions, ImageVariants().variants]:
        parameters = inspect.signature(function).parameters
        assert parameters["num_variants"].default == args.num_variants
        assert parameters["seed"].default == args.seed
    assert len(lexicon(tokenizer).augment_text("the movie was awful")) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda cls: OneOf([cls]),
        lambda cls: OneOf(cls),
        lambda cls: Compose([cls]),
        FirstOf,
        Sometimes,
        RandomInsert,
        GreedySearch,
    ],
)
def test_a_class_in_place_of_an_augmenter_is_refused(make):
    with pytest.raises(TypeError, match=r"is the class WordNetSynonyms; expected .* WordNetSynonyms\(tokenizer"):
        make(WordNetSynonyms)


@pytest.mark.parametrize("make", [WordNetSynonyms, RandomDelete, lambda name: LexiconSubstitution(name, WORDS)])
def test_a_name_in_place_of_a_tokenizer_is_refused(make):
    with pytest.raises(TypeError, match=r"AutoTokenizer.from_pretrained\('bert-base-uncased'\)"):
        make("bert-base-uncased")
