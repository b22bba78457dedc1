"""Copies that are meant to be trained on."""

import pytest
from conftest import SENTENCES, make_tokenizer

from augment import Augmenter, Compose, FirstOf, LexiconSubstitution, OneOf, SameText, Sometimes
from examples import examples_of


def test_all_variants_are_the_example(any_tokenizer):
    for example in examples_of(any_tokenizer):
        assert (
            SameText(any_tokenizer).variants({**example, "labels": [1, 2]}, 3, 0)
            == [{**example, "labels": [1, 2]}] * 3
        )
    assert SameText(any_tokenizer).augment_text(SENTENCES, 2, 0) == [[text] * 2 for text in SENTENCES]


def test_an_augmenter_comes_first(tokenizer):
    lexicon = LexiconSubstitution(tokenizer, {"movie": ["film"]})
    texts, seeds = [*SENTENCES, ""], list(range(len(SENTENCES) + 1))
    assert SameText(tokenizer, lexicon).augment_text(texts, 2, seeds) == lexicon.augment_text(texts, 2, seeds)


def test_only_it_says_that_copies_are_meant(tokenizer):
    lexicon = LexiconSubstitution(tokenizer, {"movie": ["film"]})
    assert SameText(tokenizer).keeps_copies and SameText(tokenizer, lexicon).keeps_copies
    assert not any(augmenter.keeps_copies for augmenter in (lexicon, OneOf([lexicon]), FirstOf([lexicon])))


@pytest.mark.parametrize(
    "make",
    [
        lambda one, other: OneOf([one, other]),
        lambda one, other: Compose([other, one]),
        lambda one, other: Sometimes(one),
        lambda one, other: SameText(one.tokenizer, one),
    ],
)
def test_it_is_no_part_of_others(tokenizer, make):
    lexicon = LexiconSubstitution(tokenizer, {"movie": ["film"]})
    with pytest.raises(ValueError, match=r"A SameText is given as a part.*expected.*SameText\(tokenizer, augmenter\)"):
        make(SameText(tokenizer), lexicon)


def test_its_augmenter_is_one_of_the_same_vocabulary(tokenizer):
    with pytest.raises(TypeError, match="augmenter is 'wordnet' of type str; expected a Augmenter"):
        SameText(tokenizer, "wordnet")
    with pytest.raises(ValueError, match="SameText and LexiconSubstitution have tokenizers of different vocabularies"):
        SameText(tokenizer, LexiconSubstitution(make_tokenizer("bpe"), {"movie": ["film"]}))


def test_plain_data_describes_it(tokenizer):
    lexicon = LexiconSubstitution(tokenizer, {"movie": ["film"]})
    for augmenter in (SameText(tokenizer), SameText(tokenizer, lexicon)):
        config = augmenter.to_dict()
        assert Augmenter.from_dict(config, tokenizer).to_dict() == config
    assert SameText(tokenizer).to_dict() == {"class": "SameText", "augmenter": None}
