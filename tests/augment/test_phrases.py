"""Laws of words with capitals and of phrases in a lexicon, with every family of tokenizers."""

from dataclasses import fields

import numpy as np
import pytest
from conftest import WORDS

from augment import Compose, FirstOf, GreedySearch, LexiconSubstitution, RandomDelete
from augment.core.batch import Batch
from augment.core.lexicon import build_lexicon, has_case
from examples import examples_of, ids_of


def texts_of(tokenizer, words, text, **options) -> set[str]:
    """All that becomes of a text."""
    options = {"replace_prob": 0.5, **options}
    return set(LexiconSubstitution(tokenizer, words, **options).augment_text(text, 30, 0))


def test_a_word_with_a_capital_is_replaced_only_as_it_is_spelt(any_tokenizer):
    words = {"Film": ["movie"]}
    spelt = {"the movie ran", "the Film ran"}
    if has_case(any_tokenizer):
        assert texts_of(any_tokenizer, words, "the Film ran") == spelt  # inside a sentence, too
        assert texts_of(any_tokenizer, words, "the film ran") == {"the film ran"}
        assert texts_of(any_tokenizer, words, "the FILM ran") == {"the FILM ran"}
    else:
        assert texts_of(any_tokenizer, words, "the film ran") == {"the movie ran", "the film ran"}


def test_the_spelling_with_a_capital_counts_before_the_forms_of_a_lower_case_word(any_tokenizer):
    words = {"film": ["movie"], "Film": ["story"]}
    assert texts_of(any_tokenizer, words, "the film ran") == {"the film ran", "the movie ran"}
    if has_case(any_tokenizer):
        assert texts_of(any_tokenizer, words, "Film ran") == {"Film ran", "story ran"}


@pytest.mark.parametrize(("before", "after"), [("", " ran"), ("the ", ""), ("(", ")")])
def test_a_phrase_is_replaced_as_a_whole(any_tokenizer, before, after):
    words = {"odd movie": ["film", "funny story"]}
    texts = texts_of(any_tokenizer, words, f"{before}odd movie{after}")
    assert texts == {f"{before}{text}{after}" for text in ("odd movie", "film", "funny story")}
    for text in ("odd", "the movie", "odd, movie", "movie odd", "oddmovie"):
        assert texts_of(any_tokenizer, words, text) == {text}


def test_the_longest_phrase_counts_and_then_the_first_one(any_tokenizer):
    words = {"odd": ["funny"], "odd movie": ["film"], "movie and story": ["plot"], "story": ["music"]}
    assert texts_of(any_tokenizer, words, "the odd movie ran", replace_prob=1.0) == {
        "the odd movie ran",
        "the film ran",
    }
    texts = texts_of(any_tokenizer, words, "the odd movie and story", max_replaced=1)
    assert texts == {"the odd movie and story", "the funny movie and story", "the odd plot"}
    words = {"very odd": ["funny"], "odd very": ["film"]}
    assert texts_of(any_tokenizer, words, "very odd very odd", max_replaced=1) == {
        "very odd very odd",
        "funny very odd",
        "very odd funny",
    }


def test_a_phrase_stays_if_one_of_its_words_does(any_tokenizer):
    words = {"odd movie": ["film"], "odd": ["funny"]}
    texts = texts_of(any_tokenizer, words, "the odd movie ran", keep_words=["movie"])
    assert texts == {"the odd movie ran", "the funny movie ran"}
    augmenter = LexiconSubstitution(any_tokenizer, {"odd movie": ["film"]})
    assert augmenter.augment_text("the odd movie ran", 1, 0, keep_spans=[(4, 7)]) == ["the odd movie ran"]


def test_texts_of_a_pair_share_no_phrase(any_tokenizer):
    example = dict(any_tokenizer("the odd", "movie ran"))
    assert LexiconSubstitution(any_tokenizer, {"odd movie": ["film"]}).variants(example, 1, 0) == [example]


def test_texts_of_a_batch_share_no_phrase(any_tokenizer):
    augmenter = LexiconSubstitution(any_tokenizer, {"odd movie": ["film"]})
    examples = [dict(any_tokenizer(text, add_special_tokens=False)) for text in ("the odd", "movie ran", " movie ran")]
    assert augmenter.variants(examples, 1, [0, 1, 2]) == [[example] for example in examples]


def test_a_phrase_is_one_word_of_max_replaced(any_tokenizer):
    augmenter = LexiconSubstitution(any_tokenizer, {"odd movie": ["film"]}, replace_prob=1.0, max_replaced=1)
    (text,) = set(augmenter.augment_text("the odd movie", 1, 0))
    assert text == "the film"


def test_edits_of_phrases_never_overlap(any_tokenizer):
    phrases = LexiconSubstitution(
        any_tokenizer, {"very odd movie": ["film"], "the very": ["an"], "odd movie": ["plot"]}
    )
    other = LexiconSubstitution(any_tokenizer, {**WORDS, "movie": ["story"], "movie and": ["film"], "odd": ["funny"]})
    for augmenter in (
        FirstOf([phrases, other], replace_prob=0.7),
        FirstOf([other, phrases], replace_prob=0.7),
        Compose([phrases, other, RandomDelete(any_tokenizer)]),
        GreedySearch(FirstOf([phrases, other])),
    ):
        for text in ("the very odd movie and the very odd film", "very very odd movie and odd movie"):
            example = examples_of(any_tokenizer, [text])[0]
            ids = ids_of(augmenter.variants(example, 20, 0))
            for edits, variant in zip(augmenter.edits(example, 20, 0), ids, strict=True):
                ends = [0, *(edit.start + len(edit.old) for edit in edits)]
                assert all(end <= edit.start for end, edit in zip(ends, edits, strict=False))
                assert any_tokenizer.unk_token_id not in variant


def test_a_word_that_the_first_source_replaces_is_in_no_phrase_of_the_second(any_tokenizer):
    word, phrase = ({"movie": ["story"]}, {"odd movie": ["film"]})
    sources = [LexiconSubstitution(any_tokenizer, words) for words in (word, phrase)]
    assert set(FirstOf(sources).augment_text("the odd movie", 5, 0)) == {"the odd movie", "the odd story"}
    assert set(FirstOf(sources[::-1]).augment_text("the odd movie", 5, 0)) == {"the odd movie", "the film"}


def test_the_label_of_the_first_word_goes_to_what_replaces_a_phrase(any_tokenizer):
    example = examples_of(any_tokenizer, ["the odd movie"])[0]
    length = len(example["input_ids"])
    example["special_tokens_mask"] = list(range(length))
    augmenter = LexiconSubstitution(any_tokenizer, {"odd movie": ["funny story"]}, replace_prob=1.0)
    (edit,) = augmenter.edits(example, 1, 0)[0]
    (variant,) = augmenter.variants(example, 1, 0)
    stop = edit.start + len(edit.old)
    expected = [*range(edit.start), *[edit.start] * len(edit.new), *range(stop, length)]
    assert variant["special_tokens_mask"] == expected


def test_a_lexicon_of_lower_case_words_has_no_phrases_to_look_for(any_tokenizer):
    assert build_lexicon(any_tokenizer, WORDS).phrases.tolist() == []
    assert build_lexicon(any_tokenizer, {**WORDS, "odd movie": ["film"], "a b c": ["film"]}).phrases.tolist()[-1] == 2


def test_candidates_are_in_the_order_of_the_batch(any_tokenizer):
    augmenter = LexiconSubstitution(any_tokenizer, {**WORDS, "odd movie": ["film"]})
    batch = Batch.of(examples_of(any_tokenizer, ["story and odd movie and film", "", "odd movie story"]))
    words = augmenter.candidates(batch, augmenter.eligible_words(batch)).words
    assert (np.diff(words.start) > 0).all() and (np.diff(words.row) >= 0).all()
    assert len({len(getattr(words, field.name)) for field in fields(words)}) == 1
