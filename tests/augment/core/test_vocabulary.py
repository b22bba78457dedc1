"""Whole words among a tokenizer's ids, and which may stand for which."""

import sys

import numpy as np
import pytest
from conftest import make_tokenizer

from augment.core.batch import Batch
from augment.core.vocabulary import TAGS, Vocabulary, checked_inflection, keeps_inflection, word_tags
from augment.core.words import WordFinder
from augment.english.stopwords import STOP_WORDS
from examples import CASED, make_cased_tokenizer


@pytest.fixture(scope="module")
def cased():
    return make_cased_tokenizer()


def words_of(tokenizer, text):
    """Group and tags of each word of a text."""
    batch, vocabulary = Batch([tokenizer(text)["input_ids"]]), Vocabulary(tokenizer)
    words = WordFinder(tokenizer).words(batch)
    return vocabulary.groups_of(batch.ids, words).tolist(), vocabulary.tags_of(batch.ids, words).tolist()


def test_whole_words_are_words_by_themselves(any_tokenizer):
    whole = np.flatnonzero(Vocabulary(any_tokenizer).group)
    assert len(whole) > 5
    for piece in whole.tolist():
        text = any_tokenizer.decode([piece]).strip()
        assert text.isalpha() and len(text) > 1 and text.lower() not in STOP_WORDS
        places = [any_tokenizer.encode(before + text, add_special_tokens=False) for before in ("a ", "(")]
        assert any(ids[-1] == piece for ids in places)
        assert not any_tokenizer.convert_ids_to_tokens(piece).startswith("##")


def test_words_of_real_texts_are_whole_where_they_have_one_piece(any_tokenizer):
    vocabulary = Vocabulary(any_tokenizer)
    film = any_tokenizer.encode("a film", add_special_tokens=False)[-1]
    the = any_tokenizer.encode("a the", add_special_tokens=False)[-1]
    assert vocabulary.group[film] > 0 and vocabulary.group[the] == 0
    assert not vocabulary.group[any_tokenizer.all_special_ids].any()


def test_unspaced_words_count_where_the_spaced_one_is_a_piece():
    tokenizer = make_tokenizer("bpe")
    group = Vocabulary(tokenizer).group
    tokens = tokenizer.get_vocab()
    assert group[tokens["film"]] > 0 and group[tokens["Ġfilm"]] > 0
    assert group[tokens["film"]] != group[tokens["Ġfilm"]]
    for token, piece in tokens.items():
        if group[piece] and not token.startswith("Ġ"):
            assert f"Ġ{token}" in tokens


def test_groups_tell_cases_apart(cased):
    vocabulary = Vocabulary(cased)
    group = dict(zip(CASED, vocabulary.group[cased.convert_tokens_to_ids(CASED)].tolist(), strict=True))
    assert group["film"] == group["films"] == group["movie"]
    assert group["Film"] == group["Movie"] == group["Café"]
    assert 0 < len({group["film"], group["Film"], group["FILM"]}) == 3
    assert vocabulary.may_be_name(np.array([group[word] for word in ("film", "Film", "FILM")])).tolist() == [
        False,
        True,
        False,
    ]
    assert {word for word in CASED if group[word] == 0} == {"iFilm", "the", "The", "x", "shit", "shits", "##s"}


def test_words_of_several_pieces_are_told_by_their_text(cased):
    groups, tags = words_of(cased, "film movies Movie Movies the iFilms")
    assert groups[0] == groups[1] != groups[2] == groups[3] and groups[4:] == [0, 0]
    assert tags[1] == tags[3] == word_tags("movies") != word_tags("movie") == tags[2]


def test_stop_words_and_single_letters_have_no_group(any_tokenizer):
    groups, _ = words_of(any_tokenizer, "the film of a superb x")
    assert [group > 0 for group in groups] == [False, True, False, False, True, False]


@pytest.mark.parametrize(
    "word, expected",
    [
        ("movies", "NNS"),  # a lemma of its own to the dictionary
        ("films", "NNS VBZ"),
        ("read", "NN VB VBD VBN"),
        ("found", "VBD VBN"),
        ("painted", "VBD VBN"),
        ("better", "NN VB JJR RBR"),
        ("quickly", "RB"),
        ("outstanding", "VBG JJ"),
        ("spielberg", ""),
    ],
)
def test_tags_of_a_form(word, expected):
    assert [tag for i, tag in enumerate(TAGS) if word_tags(word) >> i & 1] == expected.split()


@pytest.mark.parametrize(
    "old, fitting, unfit",
    [
        ("films", "movies", "movie"),
        ("films", "actors", "women"),  # -s stays
        ("children", "kids", "kid"),
        ("painted", "created", "made"),  # -ed stays
        ("made", "painted", "paint"),
        ("running", "walking", "walk"),
        ("run", "walk", "walks"),
        ("set", "put", "painted"),
        ("good", "bad", "better"),
        ("happier", "sadder", "saddest"),
        ("slowly", "quickly", "film"),
    ],
)
def test_inflection_is_kept(old, fitting, unfit):
    assert keeps_inflection(word_tags(old), word_tags(fitting))
    assert not keeps_inflection(word_tags(old), word_tags(unfit))


def test_words_without_tags_stand_for_none():
    assert not keeps_inflection(word_tags("spielberg"), word_tags("hitchcock"))
    assert not keeps_inflection(word_tags("film"), word_tags("spielberg"))


def test_each_word_of_the_dictionary_keeps_its_own_inflection(tokenizer):
    tags = Vocabulary(tokenizer).tags
    assert keeps_inflection(tags[tags > 0], tags[tags > 0]).all() and (tags > 0).sum() > 30


def test_fingerprint_tells_vocabularies_apart(tokenizer, cased):
    assert Vocabulary(tokenizer).fingerprint(True) == Vocabulary(make_tokenizer("wordpiece")).fingerprint(True)
    prints = [Vocabulary(t).fingerprint(tags) for t in (tokenizer, cased) for tags in (True, False)]
    assert len(set(prints)) == 4


def test_missing_dictionary_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "lemminflect", None)
    with pytest.raises(ImportError, match=r"pip install .*wordnet.*keep_inflection=False"):
        checked_inflection(True, "eng")
