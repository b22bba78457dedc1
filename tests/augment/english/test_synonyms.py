import json

import nltk.data
import pytest
from mini_wordnet import write_mini_wordnet

from augment.english.inflection import inflections
from augment.english.phrases import read_phrases
from augment.english.senses import Member, read_synsets
from augment.english.stopwords import OFFENSIVE_WORDS, STOP_WORDS
from augment.english.synonyms import _Thesaurus, build_synonyms
from augment.english.wordnet_data import find_wordnet, load_wordnet


INSTALLED = list(nltk.data.path)


@pytest.fixture(scope="module")
def wordnet(tmp_path_factory):
    root = tmp_path_factory.mktemp("nltk_data")
    root.chmod(0o755)
    write_mini_wordnet(root / "corpora" / "wordnet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nltk.data, "path", [str(root)])
        yield load_wordnet()


@pytest.fixture(autouse=True)
def no_wordnet_is_installed(wordnet):
    """In this module the small WordNet stays installed, since NLTK reads its files when they are needed."""


@pytest.fixture(scope="module")
def synonyms(wordnet):
    return build_synonyms(wordnet)


def test_senses_equal_those_of_nltk(wordnet):
    ours = {
        (member.pos, member.name, member.marker, tuple(sorted(member.usage)), member.frequency)
        for synset in read_synsets(wordnet).values()
        for member in synset
    }
    theirs = {
        (
            synset.pos().replace("s", "a"),
            lemma.name(),
            f"({lemma.syntactic_marker().strip('()')})" if lemma.syntactic_marker() else "",
            tuple(sorted(domain.synset().lemma_names()[0] for domain in lemma.usage_domains())),
            lemma.count(),
        )
        for synset in wordnet.all_synsets()
        for lemma in synset.lemmas()
    }
    # NLTK's binary search never sees a file's first line, which is this word's.
    assert {sense for sense in ours ^ theirs if sense[1] != "aardvark"} == set()
    assert len(ours) > 80


def test_frames_of_one_member_and_of_all_members_are_read(wordnet):
    frames = {member.name: member.frames for synset in read_synsets(wordnet).values() for member in synset}
    assert frames["look"] == {2}
    assert frames["view"] == {8, 9}
    assert frames["commence"] == {1, 2, 8}
    assert frames["movie"] == set()


@pytest.mark.parametrize(
    ("word", "candidates"),
    [
        ("movie", ["film", "motion picture"]),
        ("movies", ["films", "motion pictures"]),
        ("children", ["kids", "youngsters"]),
        ("kids", ["children", "youngsters"]),
        ("terms", ["terms of office"]),
        ("run", ["jog"]),
        ("ran", ["jogged"]),
        ("runs", ["jogs"]),
        ("running", ["jogging"]),
        ("started", ["started out", "commenced"]),
        ("bigger", ["larger"]),
        ("biggest", ["largest"]),
        ("quickly", ["fast", "rapidly", "speedily"]),
        ("gorgeous", ["stunning"]),
        ("marionettes", ["puppets"]),
    ],
)
def test_part_of_speech_and_inflection_are_kept(synonyms, word, candidates):
    assert synonyms[word] == candidates


def test_stop_words_stay(synonyms):
    assert not STOP_WORDS & synonyms.keys()
    assert not STOP_WORDS & {c for candidates in synonyms.values() for c in candidates}
    assert "decade" not in synonyms  # its only synonym is "ten"


def test_names_and_acronyms_stay(synonyms):
    assert "it" not in synonyms and "let" not in synonyms and "lets" not in synonyms
    candidates = {c for candidates in synonyms.values() for c in candidates}
    assert all(c == c.lower() for c in candidates)
    assert "frank" not in synonyms  # mostly a name


def test_rare_senses_are_left_out(synonyms):
    assert "suck" not in synonyms and "sucks" not in synonyms  # breastfeed
    assert "picture" not in synonyms["film"]  # a rare sense of the candidate
    assert "machine" not in synonyms["car"]
    assert "actor" not in synonyms  # histrion is never counted, player is mostly somebody else


def test_a_lower_share_lets_rarer_senses_in(wordnet):
    assert "picture" in build_synonyms(wordnet, min_sense_share=0.05)["film"]


def test_form_of_several_lemmas_takes_the_dominant_one_or_none(synonyms):
    assert synonyms["saw"] == ["beheld"]  # the verb "see" outweighs the tool
    assert "meeting" not in synonyms  # the noun and the verb "meet" are both frequent
    assert synonyms["met"] == ["encountered"]
    assert synonyms["interesting"] == ["absorbing"]  # an adjective, not a form of "interest"


def test_participle_that_is_an_adjective_too_stays(synonyms):
    assert synonyms["satisfied"] == ["fulfilled"]
    assert "satisfying" not in synonyms


def test_form_with_two_tags_needs_candidates_that_agree(synonyms):
    assert synonyms["cut"] == ["slit"]  # "trim" and "trimmed" differ
    assert synonyms["cuts"] == ["slits", "trims"]
    assert "began" not in synonyms["started"]  # nor "begun": past tense and participle differ


def test_adjective_keeps_its_place_and_verb_its_objects(synonyms):
    assert "elder" not in synonyms and "older" not in synonyms
    assert synonyms["watch"] == ["view"]  # not "look", which takes no object


def test_a_verb_stays_if_its_synonym_lacks_one_of_its_usual_constructions(wordnet):
    # "say" in one sense takes a clause, which "tell" does not, and in a rare one an address.
    def table(clause):
        senses = [member(name, 1, {8}, 60) for name in ("say", "tell")], [member("say", 2, {26}, clause)]
        return _Thesaurus(map(tuple, senses)).candidates("say", "v", 0.4, True)

    def member(name, number, frames, frequency):
        return Member(name, "v", "", frozenset(frames), frozenset(), frequency, number)

    assert table(40) == [] and table(1) == ["tell"]


@pytest.mark.parametrize(("word", "bare"), [("deeply", "deep"), ("easily", "easy")])
def test_an_adverb_keeps_its_ending(word, bare):
    adverbs = [Member(name, "r", "", frozenset(), frozenset(), 9, 1) for name in (word, bare, "profoundly")]
    assert _Thesaurus([tuple(adverbs)]).candidates(word, "r", 0.4, True) == ["profoundly"]


def test_for_a_reader_of_the_context_candidates_may_be_rarer(wordnet, synonyms):
    for_context = build_synonyms(wordnet, for_context=True)
    assert "picture show" in for_context["movie"] and "picture show" not in synonyms["movie"]  # never counted
    assert for_context["meeting"] == ["encountering"] and "meeting" not in synonyms
    assert for_context["satisfying"] == ["fulfilling"] and "satisfying" not in synonyms
    assert "picture" not in for_context["film"]  # the share of a sense is a matter of its own


def test_phrases_of_wordnet_stay_in_every_inflection(wordnet):
    phrases = read_phrases(wordnet, {"motion", "start", "started", "office", "mouse"})
    assert {"motion picture", "motion pictures", "started out", "terms of office", "computer mouse"} <= phrases.keys()
    assert not any(phrases.values()) and list(phrases) == sorted(phrases)
    assert "power saw" not in phrases  # neither word of which would be replaced


def test_offensive_words_and_slang_are_not_offered(wordnet, synonyms):
    assert synonyms["sailor"] == ["crewman"]
    words = {w for candidates in synonyms.values() for c in candidates for w in c.split()}
    assert not OFFENSIVE_WORDS & words


def test_multiword_candidates_can_be_left_out(wordnet):
    table = build_synonyms(wordnet, multiword=False)
    assert table["movie"] == ["film"]
    assert not any(" " in c for candidates in table.values() for c in candidates)


def test_table_is_sorted_without_repeats_and_reproducible(wordnet, synonyms):
    assert list(synonyms) == sorted(synonyms)
    for word, candidates in synonyms.items():
        assert candidates and word not in candidates and len(set(candidates)) == len(candidates)
    assert json.dumps(build_synonyms(wordnet)) == json.dumps(synonyms)


def test_most_frequent_candidates_come_first_and_are_kept(wordnet, synonyms, monkeypatch):
    assert synonyms["car"] == ["automobile", "auto", "motorcar"]
    monkeypatch.setattr("augment.english.synonyms.MAX_CANDIDATES", 1)
    assert build_synonyms(wordnet)["car"] == ["automobile"]


@pytest.mark.parametrize(
    ("lemma", "pos", "tag", "form"),
    [
        ("motion picture", "n", "NNS", "motion pictures"),
        ("man of the cloth", "n", "NNS", "men of the cloth"),
        ("start out", "v", "VBD", "started out"),
        ("jog", "v", "VBN", "jogged"),
        ("sheep", "n", "NNS", None),
        ("mover and shaker", "n", "NNS", None),
        ("be quiet", "v", "VBD", None),
        ("beautiful", "a", "JJR", None),
        ("zzyzxish", "v", "VBD", None),
    ],
)
def test_inflections_of_words_and_phrases(lemma, pos, tag, form):
    assert inflections(lemma, pos).get(tag, (None,))[0] == form


@pytest.mark.slow
def test_full_wordnet_gives_sound_synonyms(monkeypatch):
    monkeypatch.setattr(nltk.data, "path", INSTALLED)
    if find_wordnet() is None:
        pytest.skip("WordNet is not installed")
    table = build_synonyms(load_wordnet())
    assert 30_000 < len(table) < 60_000
    assert table["movies"] == ["films", "motion pictures"]
    assert table["children"] == ["kids", "youngsters"]
    assert table["began"][0] == "started"
    assert table["bigger"] == ["larger"]
    for word in ("suck", "sucks", "lets", "meeting", "leaves", "saw", "interesting", "actors"):
        assert word not in table
    assert "toilet" not in table.get("john", ())
