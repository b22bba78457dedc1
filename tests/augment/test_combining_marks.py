"""Combining marks go with the letters that they are written on, whether the tokenizer strips or keeps them."""

import re
import unicodedata

import numpy as np
import pytest
from conftest import WORDS, make_tokenizer
from tokenizers import AddedToken, models, normalizers

from augment import LexiconSubstitution, RandomDelete, RandomSwap
from augment.core.batch import Batch
from augment.core.words import WordFinder
from examples import ids_of


# Words of one base letter each, so that a mark shows whose it is.
LEXICON = {"film": ["movie"], "café": ["bistro"], "فيلم": ["قصة"], "סרט": ["ספר"], "पफलम": ["कथन"]}
TEXTS = {
    "NFD": unicodedata.normalize("NFD", "a café, the film! café"),
    "Arabic": "فِيلْمٌ film فِيلْم",
    "Hebrew": "סֶרֶט film סֶרֶט",
    "Hindi": "पफ़लमं film पफ़लमं",
}
BARE = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])


def accent_stripping_tokenizer():
    tokenizer = make_tokenizer("wordpiece")
    backend = tokenizer.backend_tokenizer
    texts = [" ".join([*LEXICON, *(word for words in LEXICON.values() for word in words), *TEXTS.values()])]
    words = {word for text in texts for word in re.findall(r"\w+|[^\w\s]", BARE.normalize_str(text))}
    pieces = [*tokenizer.all_special_tokens, *tokenizer.get_vocab(), *sorted(words)]
    backend.model = models.WordPiece({piece: i for i, piece in enumerate(dict.fromkeys(pieces))}, unk_token="[UNK]")
    return tokenizer


@pytest.fixture(scope="module")
def stripping():
    return accent_stripping_tokenizer()


def words_with_marks(text: str) -> set[str]:
    """The words of a text that have marks, in NFD."""
    found = re.findall(r"\S+", unicodedata.normalize("NFD", re.sub("[,!]", " ", text)))
    return {word for word in found if any(unicodedata.category(char)[0] == "M" for char in word)}


@pytest.mark.parametrize("name", TEXTS)
def test_a_replaced_word_takes_its_marks_with_it(stripping, name):
    augmenter = LexiconSubstitution(stripping, LEXICON, replace_prob=1.0)
    words = words_with_marks(TEXTS[name])
    (variant,) = augmenter.augment_text(TEXTS[name], 1, 0)
    assert words and not words_with_marks(variant) and "movie" in variant


@pytest.mark.parametrize("make", [RandomDelete, RandomSwap, lambda t, **o: LexiconSubstitution(t, LEXICON, **o)])
@pytest.mark.parametrize("name", TEXTS)
def test_marks_stay_on_their_word(stripping, make, name):
    augmenter = make(stripping, replace_prob=0.5)
    for variant in augmenter.augment_text(TEXTS[name], 8, 0):
        assert words_with_marks(variant) <= words_with_marks(TEXTS[name])
        assert not re.search(r"(^|[\s,!])[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u093c\u0902]", variant)


@pytest.mark.parametrize("name", TEXTS)
def test_words_that_change_places_keep_their_marks(stripping, name):
    text = TEXTS[name]
    for variant in RandomSwap(stripping, replace_prob=1.0).augment_text(text, 4, 0):
        assert words_with_marks(variant) == words_with_marks(text)
        assert sorted(variant) == sorted(text)


@pytest.mark.parametrize("make", [RandomDelete, RandomSwap, lambda t, **o: LexiconSubstitution(t, LEXICON, **o)])
@pytest.mark.parametrize("name", TEXTS)
def test_text_with_marks_agrees_with_the_variants_of_its_ids(stripping, make, name):
    augmenter = make(stripping, replace_prob=0.5)
    variants = augmenter.variants(stripping(TEXTS[name]), 4, 0)
    assert stripping(augmenter.augment_text(TEXTS[name], 4, 0))["input_ids"] == ids_of(variants)


def test_a_span_on_a_mark_keeps_its_word(stripping):
    text = unicodedata.normalize("NFD", "café film")
    augmenter = LexiconSubstitution(stripping, LEXICON, replace_prob=1.0)
    assert augmenter.augment_text(text, 1, 0, keep_spans=[(4, 5)]) == [f"{text[:5]} movie"]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@pytest.mark.parametrize("end", ["\u0301,", "\u0301!"])
def test_a_mark_in_one_piece_with_punctuation_belongs_to_the_word(kind, end):
    tokenizer = make_tokenizer(kind)
    tokenizer.add_tokens(AddedToken(end, normalized=False))
    augmenter = LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0)
    assert augmenter.augment_text(f"the film{end} story", 1, 0) == [f"the film{end} tale"]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_mark_that_follows_no_letter_is_no_word(kind):
    tokenizer = make_tokenizer(kind)
    tokenizer.add_tokens([AddedToken(char, normalized=False) for char in ("\u2764", "\ufe0f")])
    ids = tokenizer("the movie \u2764\ufe0f", add_special_tokens=False)["input_ids"]
    words = WordFinder(tokenizer).words(Batch([ids]))
    assert [tokenizer.decode(list(pieces)).strip() for pieces in words.pieces(np.array(ids))] == ["the", "movie"]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_mark_in_a_piece_of_its_own_belongs_to_the_word(kind):
    tokenizer, text = make_tokenizer(kind), unicodedata.normalize("NFD", "the café movie")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    words = WordFinder(tokenizer).words(Batch([ids]))
    assert [tokenizer.decode(list(pieces)).strip() for pieces in words.pieces(np.array(ids))] == text.split()
