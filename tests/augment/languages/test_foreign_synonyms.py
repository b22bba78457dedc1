"""Synonyms of German, Spanish and Chinese words, from a few synsets of each."""

import pytest
from foreign import STOP_WORDS, WORDS, install_languages, write_language

from augment.english.senses import read_synsets
from augment.english.wordnet_data import load_wordnet
from augment.languages.omw import load_tab, read_words
from augment.languages.synonyms import build_synonyms


@pytest.fixture
def table_of(tmp_path, monkeypatch):
    """The table of synonyms of a language: `table_of(lang, more_words, **options)`."""
    root = install_languages(tmp_path, monkeypatch, langs=())

    def build(lang, more=(), **options):
        write_language(root, lang, words={**WORDS[lang], **dict(more)})
        words = read_words(load_tab(lang).read_text("utf-8"), lang)
        return build_synonyms(load_wordnet(), words, lang, frozenset(STOP_WORDS[lang][1].split()), **options)

    return build


def test_words_that_share_a_synset_are_synonyms(table_of):
    table = table_of("spa")
    assert table["película"] == ["filme"] and table["filme"] == ["película"]
    assert table["auto"] == ["carro", "coche"]
    assert table["ver"] == ["mirar"] and table["rápidamente"] == ["aprisa"]


def test_german_nouns_keep_their_capital_and_other_words_have_none(table_of):
    table = table_of("deu")
    assert table["Streifen"] == ["Kinofilm", "Film"]  # "Film" has another sense
    assert table["sehen"] == ["erblicken"]
    assert table["herrlich"] == ["toll"]  # "Wasser" is no adjective
    assert "Wasser" not in table
    table = table_of("deu", {"noun:machine": ["Maschine", "DVD", "iPhone", "Apparat"]})
    assert table["Maschine"] == ["Apparat"] and not {"DVD", "iPhone"} & table.keys()


def test_names_have_no_synonyms(table_of):
    table = table_of("deu")
    assert "Franke" not in table and "Franzose" not in table


def test_stop_words_are_neither_replaced_nor_offered(table_of):
    table = table_of("deu")
    assert table["schnell"] == ["rasch"] and "nicht" not in table
    assert table["gehen"] == ["weggehen"]  # and not "sich entfernen"
    table = table_of("spa")
    assert "sobre" not in table and "máquina" not in table


def test_a_sense_counts_as_often_as_its_english_words_are_used(table_of):
    table = table_of("deu")  # the English words of the movie are used 76 times, those of the sailor 14 times
    assert table["Film"] == ["Kinofilm", "Streifen"] and "Matrose" not in table
    table = table_of("deu", min_sense_share=0.1)
    assert table["Film"] == ["Kinofilm", "Streifen", "Matrose"] and table["Matrose"] == ["Film"]


def test_two_senses_that_are_shared_add_up(table_of):
    senses = {"noun:child": ["coche"], "noun:movie": ["coche"]}
    assert "coche" not in table_of("spa", senses)["carro"]  # a quarter of its uses
    assert "coche" in table_of("spa", {**senses, "noun:child": ["coche", "carro"]})["carro"]


@pytest.mark.parametrize(("noun", "is_replaced"), [("noun:aardvark", True), ("noun:term", False)])
def test_a_word_that_is_often_another_part_of_speech_stays(table_of, noun, is_replaced):
    assert ("hermoso" in table_of("spa", {noun: ["hermoso"]})) == is_replaced  # 1 or 12 uses, and 9 as an adjective


def test_synonyms_in_a_rare_part_of_speech_are_not_offered(table_of):
    # 1 use as a noun, all of "tierno", and 9 as an adjective.
    assert table_of("spa", {"noun:aardvark": ["hermoso", "tierno"]}, min_sense_share=0.1)["hermoso"] == ["precioso"]


def test_a_sense_that_is_slang_in_english_gives_no_synonyms(table_of, monkeypatch):
    assert "película" in table_of("spa")

    def read_as_slang(wordnet):
        slang = {
            key: tuple(m._replace(usage=frozenset({"slang"})) for m in s) for key, s in read_synsets(wordnet).items()
        }
        return {
            key: slang[key] if any(m.name == "movie" for m in s) else s for key, s in read_synsets(wordnet).items()
        }

    monkeypatch.setattr("augment.languages.synonyms.read_synsets", read_as_slang)
    assert "película" not in table_of("spa") and "auto" in table_of("spa")


def test_chinese_words_have_two_characters_and_known_ones_are_kept_without_candidates(table_of):
    table = table_of("cmn")
    assert table == {
        "电影": ["影片"],
        "影片": ["电影"],
        "演员": ["艺人"],
        "艺人": ["演员"],
        "美丽": ["漂亮"],
        "漂亮": ["美丽"],
        "汽车": [],
        "影院": [],
    }
