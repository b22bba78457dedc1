"""Words of opposite meaning."""

import logging
from io import StringIO

import pytest
from mini_wordnet import write_mini_wordnet
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from augment.english import antonyms
from augment.english.antonyms import antonyms_of, lemmas_of, read_antonyms
from augment.english.synonyms import build_related_words
from augment.english.wordnet_data import load_wordnet


KNOWN = {"love": ["hate"], "hate": ["love"], "good": ["bad", "evil"], "fine": ["bad"]}


def are_antonyms(first: str, second: str) -> bool:
    return not lemmas_of(second).isdisjoint(antonyms_of(first))


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(antonyms, "_antonyms_of_lemmas", lambda: KNOWN)
    antonyms_of.cache_clear()
    yield
    antonyms_of.cache_clear()


@pytest.mark.parametrize(
    "pair", [("loved", "hates"), ("better", "worse"), ("love", "hated"), ("good", "evil"), ("finest", "bad")]
)
def test_antonyms_are_known_in_any_inflection(known, pair):
    assert are_antonyms(*pair)


@pytest.mark.parametrize(
    "pair",
    [("happy", "unhappy"), ("harmful", "harmless"), ("hope", "hopeless"), ("legal", "illegal"), ("likes", "dislikes")],
)
def test_negating_prefixes_and_endings_make_antonyms_of_a_word_both_ways(known, pair):
    assert are_antonyms(*pair) and are_antonyms(*pair[::-1])


@pytest.mark.parametrize("pair", [("good", "fine"), ("movie", "film"), ("loved", "liked"), ("good", "goods")])
def test_other_words_are_none(known, pair):
    assert not are_antonyms(*pair)


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
def test_all_antonyms_of_nltk_are_known(known):
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


def test_antonyms_are_kept_for_processes_to_come(wordnet, tmp_path, monkeypatch):
    monkeypatch.undo()
    write_mini_wordnet(tmp_path / "corpora" / "wordnet")
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    read = antonyms._antonyms_of_lemmas.__wrapped__
    first = read()
    assert first == read_antonyms(load_wordnet())
    monkeypatch.setattr(antonyms, "load_wordnet", lambda: pytest.fail("WordNet was opened again"))
    assert read() == first


def test_without_wordnet_a_warning_says_what_to_do(monkeypatch, tmp_path, caplog):
    monkeypatch.undo()
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    with caplog.at_level(logging.WARNING):
        assert antonyms._antonyms_of_lemmas.__wrapped__() == {}
    assert "python -m augment download" in caplog.text


def test_related_words_are_synonyms_of_any_sense_and_similar_adjectives_but_no_antonyms(wordnet, monkeypatch):
    reader = load_wordnet()
    monkeypatch.setattr(antonyms, "_antonyms_of_lemmas", lambda: {"film": ["movie"]})
    antonyms_of.cache_clear()
    table = build_related_words(reader)
    antonyms_of.cache_clear()
    assert isinstance(reader, WordNetCorpusReader) and table
    assert "movie" not in table.get("film", ()) and "film" in table["movie"]
    for word, candidates in table.items():
        assert candidates == sorted(set(candidates)) and word not in candidates
