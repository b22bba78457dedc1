"""The warning if texts are in another language than the augmenter's."""

import logging

import pytest
from conftest import SENTENCES, make_tokenizer
from foreign import TEXTS, WORDS, install_languages, make_multilingual_tokenizer

from augment import RandomInsert, WordNetSynonyms
from augment.core.byte_tokenizer import ByteTokenizer


# Running text, and what stands on buttons.
ENGLISH = {
    "sentences": SENTENCES,
    "labels": ["Save file as", "Open a folder", "Print this page", "Go to the next movie", "Close all windows"],
}
OTHERS = {
    **TEXTS,
    "fra": ["Le film était affreux et les acteurs sont partis très vite sans dire un mot à personne."],
    "nld": ["De film was vreselijk en de acteurs liepen weg zonder ook maar iets tegen ons te zeggen."],
    "rus": ["Фильм был ужасным, и актёры убежали, не сказав никому ни слова."],
}


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    install_languages(tmp_path, monkeypatch)


@pytest.fixture
def warnings(caplog):
    """The warnings on the language so far."""
    caplog.set_level(logging.WARNING)
    return lambda: [r.getMessage() for r in caplog.records if r.name == "augment.languages.check"]


@pytest.mark.parametrize("texts", ENGLISH.values(), ids=ENGLISH)
@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "bytes"])
def test_english_text_gives_no_warning(texts, kind, warnings):
    tokenizer = ByteTokenizer() if kind == "bytes" else make_tokenizer(kind)
    WordNetSynonyms(tokenizer).augment_text(texts * 50, 1)
    assert warnings() == []


@pytest.mark.parametrize("lang", OTHERS)
@pytest.mark.parametrize("make", [ByteTokenizer, lambda: make_tokenizer("wordpiece"), make_multilingual_tokenizer])
def test_text_in_another_language_gives_one_warning(lang, make, warnings):
    augmenter = WordNetSynonyms(make())
    for _ in range(60):
        augmenter.augment_text(OTHERS[lang], 1)
    (warning,) = warnings()
    assert "lang='eng'" in warning and "'deu', 'spa' or 'cmn'" in warning and "MaskedLMSubstitution" in warning
    assert "python -m augment download --lang deu" in warning


def test_few_words_say_nothing(warnings):
    WordNetSynonyms(ByteTokenizer()).augment_text(OTHERS["fra"], 50)
    assert warnings() == []


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
@pytest.mark.parametrize("lang", WORDS)
def test_the_right_language_gives_no_warning_and_a_wrong_one_does(kind, lang, warnings):
    tokenizer = make_multilingual_tokenizer(kind)
    WordNetSynonyms(tokenizer, lang=lang).augment_text(TEXTS[lang] * 30, 1)
    assert warnings() == []
    other = "spa" if lang == "cmn" else "cmn"
    WordNetSynonyms(tokenizer, lang=lang).augment_text(TEXTS[other] * 30, 1)
    (warning,) = warnings()
    assert f"lang={lang!r}" in warning


@pytest.mark.parametrize("nested", [False, True])
def test_a_dataset_is_checked_before_its_first_batch(warnings, nested):
    tokenizer = make_multilingual_tokenizer()
    rows = [tokenizer(text) for text in OTHERS["deu"] * 30]
    rows = [{"input_ids": [row["input_ids"], row["input_ids"]]} for row in rows] if nested else rows
    RandomInsert(WordNetSynonyms(tokenizer)).precompute(rows)
    assert len(warnings()) == 1
    WordNetSynonyms(tokenizer).precompute(iter(rows))  # a stream is checked by its batches


def test_a_language_without_a_list_of_stop_words_is_not_checked(tmp_path, warnings):
    tab = tmp_path / "nltk_data" / "corpora" / "omw-1.4" / "xho" / "wn-data-xho.tab"
    tab.parent.mkdir()
    tab.write_text("00000000-n\txho:lemma\tumntu\n")
    WordNetSynonyms(ByteTokenizer(), lang="xho").augment_text(OTHERS["fra"] * 30, 1)
    assert warnings() == []
