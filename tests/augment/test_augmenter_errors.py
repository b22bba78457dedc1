"""Bad input is refused, with a word on what was expected."""

import pickle

import pytest
from conftest import WORDS

from augment import LexiconSubstitution
from examples import examples_of


@pytest.mark.parametrize("num_variants", [0, -1])
def test_less_than_one_variant_is_refused(make, tokenizer, num_variants):
    for call in (make(tokenizer).variants, make(tokenizer).edits):
        with pytest.raises(ValueError, match=f"num_variants is {num_variants}"):
            call(examples_of(tokenizer)[0], num_variants, 0)
    with pytest.raises(ValueError, match=f"num_variants is {num_variants}"):
        make(tokenizer).augment_text("the movie", num_variants, 0)


@pytest.mark.parametrize("num_variants", [None, 2.0, "2"])
def test_number_of_variants_is_an_int(tokenizer, augmenter, num_variants):
    with pytest.raises(TypeError, match="num_variants"):
        augmenter.variants(examples_of(tokenizer)[0], num_variants, 0)


@pytest.mark.parametrize("example", [None, 3, {"text": "a movie"}, {}, "a movie", ["a movie"], [None]])
def test_what_is_no_example_is_refused(augmenter, example):
    with pytest.raises((TypeError, ValueError), match="expected"):
        augmenter.variants(example, 1, [0] if isinstance(example, list) else 0)


@pytest.mark.parametrize("ids", [None, 3, "film", [1.0], [None], [[1, 2]], ["film"], [2**70]])
def test_input_ids_are_a_row_of_ints(augmenter, ids):
    with pytest.raises(ValueError, match="expected one row of token ids"):
        augmenter.variants({"input_ids": ids}, 1, 0)


def test_ids_of_another_vocabulary_are_refused(any_tokenizer):
    augmenter = LexiconSubstitution(any_tokenizer, WORDS)
    for bad in (len(any_tokenizer), -1):
        with pytest.raises(ValueError, match="another tokenizer"):
            augmenter.variants({"input_ids": [1, bad]}, 1, 0)


@pytest.mark.parametrize("seeds", [(0, 1), [0], [0, 1, 2], "01", None])
def test_one_seed_per_example(tokenizer, augmenter, seeds):
    with pytest.raises(ValueError, match="one seed per example"):
        augmenter.variants(examples_of(tokenizer)[:2], 1, seeds)


@pytest.mark.parametrize("seed", [0.5, None, "0", [0, 1], (0, 0.5)])
def test_seed_is_an_int_or_a_tuple_of_ints(tokenizer, augmenter, seed):
    with pytest.raises(TypeError, match="int or a tuple of ints"):
        augmenter.variants(examples_of(tokenizer)[0], 1, seed)


@pytest.mark.parametrize(
    "options",
    [
        {"replace_prob": 0},
        {"replace_prob": 1.1},
        {"replace_prob": float("nan")},
        {"max_length": 0},
        {"segments": "third"},
    ],
)
def test_option_out_of_range_is_refused(make, tokenizer, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        make(tokenizer, **options)


def test_segments_need_a_separator(any_tokenizer):
    bare = pickle.loads(pickle.dumps(any_tokenizer))
    bare.sep_token = bare.eos_token = None
    with pytest.raises(ValueError, match="no token that separates"):
        LexiconSubstitution(bare, WORDS, segments="second")


@pytest.mark.parametrize(
    "words",
    [
        {"": ["film"]},
        {"two  words": ["film"]},
        {" movie": ["film"]},
        {"e-mail": ["film"]},
        {"movie": "film"},
        {"movie": [""]},
        {"movie": ["movie"]},
        {"Best Regards": ["Best Regards"]},
    ],
)
def test_lexicon_that_makes_no_sense_is_refused(tokenizer, words):
    with pytest.raises(ValueError, match="The lexicon"):
        LexiconSubstitution(tokenizer, words)


def test_empty_lexicon_replaces_nothing(any_tokenizer):
    example = examples_of(any_tokenizer)[0]
    assert LexiconSubstitution(any_tokenizer, {}).variants(example, 2, 0) == [example, example]


@pytest.mark.parametrize("lengths", [[3], [5, 1], [-1, 6], [[5]], 5])
def test_lengths_that_do_not_fill_the_ids_are_refused(augmenter, lengths):
    with pytest.raises(ValueError, match="expected flat ids and the length of each row"):
        augmenter.variant_arrays([1, 2, 3, 4, 5], lengths, 1, [0, 0])
