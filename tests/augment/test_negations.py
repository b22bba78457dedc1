"""Negations and words of contrast, which no augmenter deletes, moves, misspells, inserts or replaces."""

import re
from collections import Counter

import pytest
from augmenters import masked_lm, masked_lm_insertion
from conftest import make_tokenizer
from tokenizers import models

from augment import RandomDelete, RandomSwap, Typos
from augment.english.insertions import NEVER_INSERTED, can_separate
from augment.english.negations import CONTRASTS, NEGATIONS
from augment.english.stopwords import STOP_WORDS
from examples import ids_of


OPERATORS = NEGATIONS | CONTRASTS
TEXTS = [
    "not an odd film but never a funny story",
    "Although the actors ran away, NOTHING was awful without music",
    "the movie does n't move the actors; it didn't, it CAN'T, and it hardly ever did",
    "the clown cannot dance; however Nobody (nor the music) was odd",
]
MAKE = {
    "delete": lambda tokenizer, **options: RandomDelete(tokenizer, replace_prob=0.9, max_length=999, **options),
    "swap": lambda tokenizer, **options: RandomSwap(tokenizer, replace_prob=1.0, max_length=999, **options),
    "typos": lambda tokenizer, **options: Typos(
        tokenizer, replace_prob=0.9, min_letters=2, keep_first=False, max_length=999, **options
    ),
}


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+(?:['’]\w+)*", text.lower())


def stretches(text: str) -> list[list[str]]:
    """The words of a text before, between and after its negations and words of contrast, and these."""
    parts: list[list[str]] = [[]]
    for word in words_of(text):
        if word in OPERATORS or word.endswith(("n't", "n’t")):
            parts += [[word], []]
        else:
            parts[-1].append(word)
    return parts


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_negations_and_words_of_contrast_stay(any_tokenizer, make):
    augmenter = make(any_tokenizer)
    for text in TEXTS:
        variants = augmenter.augment_text(text, 20, 0)
        assert sum(variant != text for variant in variants) >= 2
        for variant in variants:
            assert stretches(variant)[1::2] == stretches(text)[1::2], variant
        ids = any_tokenizer(variants)["input_ids"]
        assert {*map(tuple, ids_of(augmenter.variants(any_tokenizer(text), 20, 0)))} == {*map(tuple, ids)}


def test_no_word_passes_a_negation(any_tokenizer):
    for text in TEXTS:
        for variant in RandomSwap(any_tokenizer, replace_prob=1.0).augment_text(text, 20, 0):
            assert [sorted(part) for part in stretches(variant)] == [sorted(part) for part in stretches(text)], variant


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_curly_apostrophe_of_several_bytes_is_one_too(make):
    tokenizer = make_tokenizer("bpe")
    assert len(tokenizer.tokenize("’")) > 1
    text = "the actors don’t move the odd movie and CAN’T run"
    for variant in make(tokenizer).augment_text(text, 20, 0):
        assert stretches(variant)[1::2] == [["don’t"], ["can’t"]], variant
        assert {"the", "actors"} & {*stretches(variant)[0]} or make is not MAKE["swap"]


def test_a_contraction_of_one_piece_is_one_too():
    tokenizer = make_tokenizer("wordpiece")
    tokenizer.add_tokens(["n't"])
    text = "did movie story n't the film actors"
    assert "n't" in tokenizer.tokenize(text)
    variants = RandomSwap(tokenizer, replace_prob=1.0).augment_text(text, 9, 0)
    assert len({*variants}) > 3 and all(stretches(v)[1] == ["n't"] and "film" in stretches(v)[2] for v in variants)


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_negations_of_english_are_words_like_any_other_in_other_languages(tokenizer, make):
    variants = make(tokenizer, lang="deu").augment_text("not the film", 20, 0)
    assert {words_of(variant)[0] for variant in variants} > {"not"}
    assert all(words_of(variant)[0] == "not" for variant in make(tokenizer).augment_text("not the film", 20, 0))


def test_no_negation_is_a_candidate_or_has_candidates():
    assert OPERATORS <= STOP_WORDS and not OPERATORS & NEVER_INSERTED
    assert not any(can_separate(word, "funny") for word in NEGATIONS)


@pytest.mark.parametrize("make", [masked_lm, masked_lm_insertion])
def test_masked_lms_propose_no_negations(make):
    tokenizer = make_tokenizer("wordpiece")
    pieces = [*tokenizer.get_vocab(), *sorted(OPERATORS - tokenizer.get_vocab().keys())]
    tokenizer.backend_tokenizer.model = models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token="[UNK]")
    augmenter = make(tokenizer, top_m=999, replace_prob=0.9)
    text = "the movie was always good and never dull but not odd"
    proposed = Counter(word for variant in augmenter.augment_text(text, 50, 0) for word in words_of(variant))
    for word in OPERATORS:
        assert proposed[word] == 50 * words_of(text).count(word)
