"""The sources of candidates on German, Spanish and Chinese text, with tokenizers of all three languages."""

import logging

import numpy as np
import pytest
from augmenters import masked_lm
from conftest import make_model
from foreign import ENGLISH, TEXTS, WORDS, changes, install_languages, make_multilingual_tokenizer, write_language
from foreign import STOP_WORDS as LISTS

from augment import (
    Augmenter,
    EmbeddingNeighbours,
    LexiconSubstitution,
    RandomInsert,
    WordNetSynonyms,
)
from augment.__main__ import main
from augment.core.byte_tokenizer import ByteTokenizer
from augment.core.scripts import script_of
from augment.core.vocabulary import Vocabulary
from hf_mmel.cli.arguments import AugmenterArguments


STOP_WORDS = {lang: set(words.split()) for lang, (_, words) in LISTS.items()}
KINDS = ["wordpiece", "unigram"]


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    return make_multilingual_tokenizer(request.param)


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    return install_languages(tmp_path, monkeypatch)


def sources(tokenizer, lang, **options):
    """One of every source of candidates with the model of all languages."""
    return [
        masked_lm(tokenizer, **{"top_m": 8, "keep_inflection": None, "lang": lang} | options),
        EmbeddingNeighbours(
            tokenizer, make_model(tokenizer), num_neighbours=8, min_similarity=-1, lang=lang, **options
        ),
    ]


def test_german_nouns_are_replaced_inside_a_sentence(tokenizer):
    augmenter = WordNetSynonyms(tokenizer, lang="deu")
    assert changes(augmenter, TEXTS["deu"][0]) == {
        ("Film", "Streifen"),
        ("Film", "Kinofilm"),
        ("Schauspieler", "Darsteller"),
        ("Schauspieler", "wichtiger Darsteller"),
        ("herrlich", "toll"),
        ("gehen", "weggehen"),
        ("schnell", "rasch"),
    }
    assert ("Film", "Streifen") in changes(augmenter, "an Film")  # "an" is no article
    variants = augmenter.augment_text("Der Film ist herrlich.", 30, 0)
    assert {"Der Kinofilm ist herrlich.", "Der Streifen ist toll."} < set(variants)


def test_a_spanish_sentence_may_begin_after_an_inverted_mark(tokenizer):
    augmenter = WordNetSynonyms(tokenizer, lang="spa")
    assert changes(augmenter, TEXTS["spa"][0]) == {
        ("Película", "Filme"),
        ("hermoso", "precioso"),
        ("precioso", "hermoso"),
        ("coche", "auto"),
        ("coche", "carro"),
        ("mirar", "ver"),
        ("rápidamente", "aprisa"),
    }
    # "a" is a preposition, after which all candidates fit.
    assert ("auto", "coche") in changes(augmenter, "vamos a auto")
    # A sentence goes on: a name.
    assert not changes(augmenter, "el Coche")


@pytest.mark.parametrize("kind", [*KINDS, "bytes"])
def test_chinese_words_are_runs_of_characters_the_longest_one_first(kind):
    tokenizer = ByteTokenizer() if kind == "bytes" else make_multilingual_tokenizer(kind)
    augmenter = WordNetSynonyms(tokenizer, lang="cmn")
    expected = {("电影", "影片"), ("漂亮", "美丽"), ("演员", "艺人"), ("美丽", "漂亮")}
    assert changes(augmenter, TEXTS["cmn"][0]) == expected
    assert augmenter.augment_text("这电影。", 1, 0) == ["这影片。"]
    words = {"电影": ["影片"], "电影院": ["影院"], "车": ["汽车"]}
    assert changes(LexiconSubstitution(tokenizer, words), "我们看电影院的车") == {("电影院", "影院"), ("车", "汽车")}


def test_a_known_chinese_word_without_candidates_hides_the_words_in_it(tokenizer, data):
    write_language(data, "cmn", words={**WORDS["cmn"], "noun:meeting": ["电影院"]})
    assert changes(WordNetSynonyms(tokenizer, lang="cmn"), "我们看电影院的电影") == {("电影", "影片")}
    text = "看电影院"
    assert WordNetSynonyms(tokenizer, lang="cmn").augment_text(text, 3, 0) == [text] * 3


@pytest.mark.parametrize("kind", [*KINDS, "bytes"])
def test_a_chinese_word_can_be_kept(kind):
    tokenizer = ByteTokenizer() if kind == "bytes" else make_multilingual_tokenizer(kind)
    augmenter = WordNetSynonyms(tokenizer, lang="cmn", keep_words=["电影", "演员"])
    assert changes(augmenter, TEXTS["cmn"][0]) == {("漂亮", "美丽"), ("美丽", "漂亮")}


def test_english_is_the_default_and_knows_no_other_words(tokenizer, data):
    default, english = WordNetSynonyms(tokenizer), WordNetSynonyms(tokenizer, lang="eng")
    assert default.to_dict() == english.to_dict() and default.lang == "eng"
    for text in [*ENGLISH, *TEXTS["deu"]]:
        assert default.augment_text(text, 5, 0) == english.augment_text(text, 5, 0)
    assert not changes(default, TEXTS["deu"][0]) and not changes(default, TEXTS["cmn"][0])


def test_each_language_has_its_own_lexicon_made_anew_if_its_words_change(tokenizer, data, tmp_path):
    folder = tmp_path / "lexicons"

    def num_files(lang):
        WordNetSynonyms(tokenizer, lang=lang, cache_dir=folder)
        return len(list(folder.iterdir()))

    assert [num_files(lang) for lang in ("deu", "deu", "spa", "eng")] == [1, 1, 2, 3]
    write_language(data, "deu", words={"noun:movie": ["Film", "Lichtspiel"]})
    assert num_files("deu") == 4
    (data / "corpora" / "stopwords" / "german").write_text("der\nfilm\n")
    assert num_files("deu") == 5


def test_a_cached_lexicon_needs_neither_words_nor_stop_words(tokenizer, monkeypatch):
    expected = WordNetSynonyms(tokenizer, lang="deu").augment_text(TEXTS["deu"], 3)
    monkeypatch.setattr("nltk.data.path", [])
    assert WordNetSynonyms(tokenizer, lang="deu").augment_text(TEXTS["deu"], 3) == expected


def test_what_is_not_downloaded_is_named_with_the_command(tokenizer):
    with pytest.raises(LookupError, match=r"lang='fra'.*python -m augment download --lang fra"):
        WordNetSynonyms(tokenizer, lang="fra")
    with pytest.raises(LookupError, match=r"lang='fra'.*python -m augment download --lang fra"):
        sources(tokenizer, "fra")[0].augment_text("le film")


@pytest.mark.parametrize("lang", WORDS)
def test_models_propose_words_of_the_script_and_no_stop_words(tokenizer, lang):
    for augmenter in sources(tokenizer, lang):
        found = {pair for text in TEXTS[lang] for pair in changes(augmenter, text)}
        assert len(found) > 20
        for old, new in found:
            assert new.isalpha() and not {old.lower(), new.lower()} & STOP_WORDS[lang]
            assert script_of(new[0]) == script_of(old[0])
            assert old.istitle() == new.istitle() or script_of(old[0]) == "CJK"


def test_models_replace_german_nouns_and_fit_no_article(tokenizer):
    for augmenter in sources(tokenizer, "deu"):
        replaced = {old for old, _ in changes(augmenter, TEXTS["deu"][0])}
        assert {"Film", "Schauspieler", "herrlich", "gehen", "schnell"} <= replaced
        assert "nicht" not in replaced
    for lang, text in (("spa", "vamos a auto"), ("deu", "an Film")):
        for augmenter in sources(tokenizer, lang):
            after = {new[0] in "aeiouAEIOU" for old, new in changes(augmenter, text) if old in ("auto", "Film")}
            assert after == {True, False}


def test_in_other_languages_capitalised_words_inside_a_sentence_stay(tokenizer):
    for augmenter in sources(tokenizer, "spa"):
        assert "Coche" not in {old for old, _ in changes(augmenter, "el Coche precioso")}


def test_each_chinese_character_or_piece_is_a_word_to_a_model(tokenizer):
    for augmenter in sources(tokenizer, "cmn"):
        ids = tokenizer("我们看电影院的汽车", add_special_tokens=False)["input_ids"]
        replaced = {old for old, _ in changes(augmenter, "我们看电影院的汽车")}
        assert replaced and replaced <= {tokenizer.decode([i]) for i in ids}
        row = augmenter.variants(tokenizer("我们看电影院的汽车"), 1, 0)[0]["input_ids"]
        assert len(row) == len(ids) + 2  # one for one


def test_english_rules_of_models_stay_as_they_are(tokenizer):
    english = Vocabulary(tokenizer)
    assert english.group.dtype == np.int8 and english.group.max() <= 6
    chinese = tokenizer.convert_tokens_to_ids(["影", "的"])
    assert not english.group[chinese].any()
    assert Vocabulary(tokenizer, "cmn").group[chinese].astype(bool).tolist() == [True, False]


def test_inflection_is_kept_in_english_alone(tokenizer):
    for augmenter in sources(tokenizer, "deu"):
        assert augmenter.keep_inflection is False
        assert type(augmenter)(tokenizer, augmenter.model).keep_inflection is True
        with pytest.raises(ValueError, match=r"lang is 'deu'.*dictionary .* is English.*keep_inflection=False"):
            type(augmenter)(tokenizer, augmenter.model, lang="deu", keep_inflection=True)


def test_the_language_is_part_of_plain_data(tokenizer):
    augmenter = RandomInsert(WordNetSynonyms(tokenizer, lang="spa"))
    rebuilt = Augmenter.from_dict(augmenter.to_dict(), tokenizer)
    assert rebuilt.source.lang == "spa"
    assert rebuilt.augment_text(TEXTS["spa"], 3) == augmenter.augment_text(TEXTS["spa"], 3)
    for make in (
        WordNetSynonyms,
        lambda t, lang: LexiconSubstitution(t, {}, lang=lang),
        lambda t, lang: sources(t, lang),
    ):
        with pytest.raises(ValueError, match="three letters"):
            make(tokenizer, lang="de")


@pytest.mark.parametrize(("name", "expected"), [("wordnet", "影片"), ("delete", "")])
def test_the_command_takes_the_language(name, expected, capsys):
    assert main(["preview", "--text", "电影。", "--lang", "cmn", "--augmenter", name, "--num_variants", "1"]) == 0
    assert ("1  [-电影-] {+影片+}。" in capsys.readouterr().out) == bool(expected)


def test_the_training_command_takes_the_language():
    config = AugmenterArguments(augmenter="insert", augmenter_lang="spa").config("model", 64, None)
    assert config["source"]["lang"] == "spa"
    assert "lang" not in AugmenterArguments(augmenter="insert").config("model", 64, None)


def test_a_list_of_words_has_articles_in_english_alone(tokenizer):
    words = {"auto": ["coche"]}
    assert not changes(LexiconSubstitution(tokenizer, words), "a auto")
    assert changes(LexiconSubstitution(tokenizer, words, lang="spa"), "a auto") == {("auto", "coche")}


def test_a_table_of_another_language_is_another_table(tokenizer, tmp_path, caplog):
    rows = [tokenizer(text) for text in TEXTS["deu"]]
    for lang in ("deu", "spa", "deu"):
        sources(tokenizer, lang)[0].precompute(rows)
    assert len(list((tmp_path / "cache").glob("masked-lm-*"))) == 2
    assert not [record for record in caplog.records if record.levelno > logging.WARNING]


def test_the_words_of_a_vocabulary_do_not_depend_on_its_order(tokenizer, monkeypatch):
    first = Vocabulary(tokenizer, "deu").fingerprint(False)
    items = sorted(tokenizer.get_vocab().items(), key=lambda item: -item[1])
    monkeypatch.setattr(type(tokenizer), "get_vocab", lambda self: dict(items))
    assert Vocabulary(tokenizer, "deu").fingerprint(False) == first
