"""Words of opposite meaning."""

import logging
from io import StringIO

import pytest
from mini_wordnet import write_mini_wordnet

from augment.english import antonyms
from augment.english.antonyms import Antonyms, installed_antonyms, read_antonyms
from augment.english.synonyms import build_synonyms
from augment.english.wordnet_data import load_wordnet


KNOWN = Antonyms({"love": ["hate"], "hate": ["love"], "good": ["bad", "evil"], "fine": ["bad"]})


@pytest.mark.parametrize(
    "pair", [("loved", "hates"), ("better", "worse"), ("love", "hated"), ("good", "evil"), ("finest", "bad")]
)
def test_antonyms_are_known_in_any_inflection(pair):
    assert KNOWN.are_opposites(*pair)


@pytest.mark.parametrize(
    "pair",
    [("happy", "unhappy"), ("harmful", "harmless"), ("hope", "hopeless"), ("legal", "illegal"), ("likes", "dislikes")],
)
def test_negating_prefixes_and_endings_make_antonyms_of_a_word_both_ways(pair):
    assert KNOWN.are_opposites(*pair) and KNOWN.are_opposites(*pair[::-1])


@pytest.mark.parametrize("pair", [("good", "fine"), ("movie", "film"), ("loved", "liked"), ("good", "goods")])
def test_other_words_are_none(pair):
    assert not KNOWN.are_opposites(*pair)


class Files:
    """WordNet's files, in the format of wndb(5WN)."""

    adjectives = (
        "00000001 00 a 02 wet 0 damp 0 003 ! 00000002 a 0101 & 00000003 a 0000 & 00000004 a 0000 | gloss",
        "00000002 00 a 01 dry(p) 0 002 ! 00000001 a 0101 & 00000005 a 0000 | gloss",
        "00000003 00 s 01 soaked 0 001 & 00000001 a 0000 | gloss",
        "00000004 00 s 01 sodden 0 001 & 00000001 a 0000 | gloss",
        "00000005 00 s 02 bone_dry 0 arid 0 001 & 00000002 a 0000 | gloss",
    )
    verbs = (
        "00000006 00 v 02 rise 0 go_up 0 001 ! 00000007 v 0101 02 + 01 00 + 02 00 | gloss",
        "00000007 00 v 02 fall 0 descend 0 001 ! 00000006 v 0101 01 + 01 00 | gloss",
    )

    def open(self, name):
        lines = {"data.adj": self.adjectives, "data.verb": self.verbs}.get(name, ())
        return StringIO("".join(f"{line}\n" for line in ("  1 licence", *lines)))


def test_adjectives_have_the_antonyms_of_their_cluster_and_other_words_their_own():
    wet, dry = ["damp", "soaked", "sodden", "wet"], ["arid", "bone dry", "dry"]
    expected = {**dict.fromkeys(wet, dry), **dict.fromkeys(dry, wet), "rise": ["fall"], "fall": ["rise"]}
    assert read_antonyms(Files()) == expected


@pytest.mark.slow
def test_all_antonyms_of_nltk_are_known():
    reader = load_wordnet()
    found = read_antonyms(reader)
    pairs = {
        (lemma.name().lower(), other.name().lower())
        for synset in reader.all_synsets()
        for lemma in synset.lemmas()
        for other in lemma.antonyms()
    }
    assert len(pairs) > 5000
    assert all(other.replace("_", " ") in found[name.replace("_", " ")] for name, other in pairs if name != other)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The folder that NLTK searches, with an empty cache beside it. Whatever WordNet is there knows one pair."""
    monkeypatch.setattr(antonyms, "read_antonyms", lambda wordnet: {"good": ["bad"]})
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    yield tmp_path
    antonyms._stored_antonyms.cache_clear()


def test_antonyms_are_kept_for_processes_to_come(installed, monkeypatch):
    write_mini_wordnet(installed / "corpora" / "wordnet")
    assert installed_antonyms().are_opposites("good", "bad")
    antonyms._stored_antonyms.cache_clear()
    monkeypatch.setattr(antonyms, "load_wordnet", lambda: pytest.fail("WordNet was opened again"))
    assert installed_antonyms().are_opposites("good", "bad")


def test_antonyms_are_those_of_the_wordnet_that_is_installed_now(installed, caplog):
    with caplog.at_level(logging.WARNING):
        assert not installed_antonyms().are_opposites("good", "bad")
    assert caplog.text.count("python -m augment download") == 1
    write_mini_wordnet(installed / "corpora" / "wordnet")
    assert installed_antonyms().are_opposites("good", "bad")


def test_an_antonym_is_no_synonym(wordnet, monkeypatch):
    monkeypatch.setattr("augment.english.synonyms.read_antonyms", lambda wordnet: {"film": ["movie"]})
    table = build_synonyms(load_wordnet(), for_context=True)
    assert "movie" not in table.get("film", ()) and "film" in table["movie"]
