import pytest

from augment import LexiconSubstitution
from augment.core.byte_tokenizer import ByteTokenizer


WORDS = {"movie": ["film"], "awful": ["terrible", "very bad"]}


@pytest.fixture(scope="module")
def tokenizer():
    return ByteTokenizer()


@pytest.fixture(scope="module")
def augmenter(tokenizer):
    return LexiconSubstitution(tokenizer, WORDS, replace_prob=1.0)


@pytest.mark.parametrize(
    "text", ["", "A movie.", "  two\n\nlines\t", "naïve café", "映画 😀 “é”", "\u00a0\u2028\u0301"]
)
def test_every_text_comes_back_as_it_was(tokenizer, text):
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The movie", "The film"),
        ("“movie”—movie…", "“film”—film…"),
        ("«movie»\u00a0movie", "«film»\u00a0film"),
        ("A movie’s end, the movie's end", "A film’s end, the film's end"),
        ("映画 movie\nMovie 😀 MOVIE", "映画 film\nFilm 😀 FILM"),
    ],
)
def test_words_are_found_among_any_other_characters(augmenter, text, expected):
    assert augmenter.augment_text(text, 1, 0) == [expected]


@pytest.mark.parametrize("text", ["movié", "émovie", "movies", "anti-movie", "movie_2", "movie‑like", "movie\u0301"])
def test_parts_of_other_words_stay(augmenter, text):
    assert augmenter.augment_text(text, 1, 0) == [text]


def test_candidates_of_several_words_and_after_articles(augmenter):
    assert set(augmenter.augment_text("It is awful.", 2, 0)) == {"It is terrible.", "It is very bad."}
    assert augmenter.augment_text("An awful", 1, 0) == ["An awful"]


def test_texts_of_any_length_are_not_cut(augmenter):
    text = " ".join(["movie"] * 10_000)
    assert augmenter.augment_text(text, 1, 0) == [text.replace("movie", "film")]
