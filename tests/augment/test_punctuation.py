"""Insertion of punctuation marks."""

import re

import pytest
from conftest import SENTENCES, TOKENIZER_KINDS, make_tokenizer

from augment import RandomPunctuation
from augment.punctuation import MARKS


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
def test_all_words_stay_in_their_order(kind):
    augmenter = RandomPunctuation(make_tokenizer(kind), replace_prob=0.5)
    texts = SENTENCES[:-1]
    for text, variants in zip(texts, augmenter.augment_text(texts, num_variants=4, seed=0), strict=True):
        assert len({*variants, text}) == 5
        words = re.findall(r"\w+", text)
        assert all(re.findall(r"\w+", variant) == words for variant in variants)
        assert all(len(re.findall(r"[^\w\s]", variant)) > len(re.findall(r"[^\w\s]", text)) for variant in variants)


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
def test_a_mark_stands_right_after_its_word_and_before_a_space_or_the_end(kind):
    text = "a funny film, (3-d) state-of-the-art end!"
    augmenter = RandomPunctuation(make_tokenizer(kind), marks=[","], replace_prob=1.0)
    assert augmenter.augment_text(text, num_variants=1, seed=0) == ["a, funny, film, (3-d) state-of-the-art, end!"]


def test_a_word_is_not_divided_where_its_parts_have_a_space_between_them():
    augmenter = RandomPunctuation(make_tokenizer("wordpiece"), marks=[","], replace_prob=1.0)
    assert augmenter.augment_text("we do n't left", num_variants=1, seed=0) == ["we, do n't, left,"]


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
@pytest.mark.parametrize("mark", [",", ":", "!"])
def test_in_text_the_word_before_the_mark_stays_as_it_is(kind, mark):
    augmenter = RandomPunctuation(make_tokenizer(kind), marks=[mark], replace_prob=1.0)
    text = "A fuNny FILM IN a stRange pLot"
    assert augmenter.augment_text(text, num_variants=1, seed=0) == [re.sub(r"(?= |$)", mark, text)]


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
def test_at_the_end_each_text_gets_one_mark_or_another_one_in_its_place(kind):
    augmenter = RandomPunctuation(make_tokenizer(kind), marks=[",", "!", "."], places="end")
    texts = ["the movie was great", "a film!", "we left.,", "a film..."]
    variants = augmenter.augment_text(texts, num_variants=9, seed=0)
    assert [set(group) - {text} for text, group in zip(texts, variants, strict=True)] == [
        {"the movie was great,", "the movie was great!", "the movie was great."},
        {"a film", "a film.", "a film..."},  # no comma in the place of the end of a sentence
        {"we left!", "we left,", "we left.", "we left..."},
        {"a film", "a film!", "a film."},
    ]


@pytest.mark.parametrize(("before", "after"), [("(a film, ", ")"), ("' it is ", "'"), ("'a film, (", ")'")])
def test_the_mark_before_a_closing_quote_or_bracket_is_that_of_the_end(before, after):
    augmenter = RandomPunctuation(make_tokenizer("wordpiece"), marks=["!", "."], places="end")
    (variants,) = augmenter.augment_text([f"{before}great.{after}"], num_variants=4, seed=0)
    assert set(variants) - {f"{before}great.{after}"} == {f"{before}great{end}{after}" for end in ("!", "...", "")}


@pytest.mark.parametrize("kind", TOKENIZER_KINDS)
def test_both_texts_of_a_pair_get_a_mark_at_the_end(kind):
    augmenter = RandomPunctuation(make_tokenizer(kind), marks=[",", "!"], places="end")
    pair = augmenter.tokenizer("a film", "great players!")
    changed = {tuple(edit.start for edit in edits) for edits in augmenter.edits(pair, num_variants=8, seed=0)}
    assert len(changed) >= 2  # either text, or both


@pytest.mark.parametrize("text", ["is it a film?", "a film (3-d)", "a film, we left it"])
def test_a_question_and_a_mark_inside_a_sentence_stay(text):
    augmenter = RandomPunctuation(make_tokenizer("wordpiece"), places="end")
    (variants,) = augmenter.augment_text([text], num_variants=4, seed=0)
    assert all(variant.startswith(text) for variant in variants)


def test_marks_at_the_end_that_are_to_stay_do_so():
    augmenter = RandomPunctuation(make_tokenizer("wordpiece"), places="end")
    assert augmenter.augment_text("a film.", num_variants=2, seed=0, keep_spans=[(6, 7)]) == ["a film."] * 2


def test_a_place_is_one_of_two():
    with pytest.raises(ValueError, match="places is 'start'; expected"):
        RandomPunctuation(make_tokenizer("wordpiece"), places="start")


def test_texts_of_stop_words_and_of_one_word_have_variants():
    augmenter = RandomPunctuation(make_tokenizer("wordpiece"))
    for variants in augmenter.augment_text(["it", "we left", "state-of-the-art"], num_variants=4, seed=0):
        assert len(set(variants)) == 4


def test_each_mark_is_as_likely_as_the_others():
    variants = RandomPunctuation(make_tokenizer("wordpiece")).augment_text(["film"], num_variants=1, seed=0)
    assert variants[0][0].removeprefix("film").strip() in MARKS


def test_marks_of_other_scripts_are_given():
    augmenter = RandomPunctuation(make_tokenizer("bpe"), marks=["、"])
    assert augmenter.augment_text("funny film", num_variants=2, seed=0) == ["funny、 film", "funny film、"]


def test_marks_that_the_tokenizer_does_not_know_are_left_out():
    tokenizer = make_tokenizer("wordpiece")
    augmenter = RandomPunctuation(tokenizer, marks=["、", "!"])
    assert augmenter.augment_text("film", num_variants=1, seed=0) == ["film!"]
    with pytest.raises(ValueError, match=r"knows none of the marks .*; expected at least one"):
        RandomPunctuation(tokenizer, marks=["、"])
