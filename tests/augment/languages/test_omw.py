"""Where the words of a language are found, what is read of them, and how they are downloaded."""

import shutil
from pathlib import Path

import nltk
import pytest
from foreign import STOP_WORDS, WORDS, install_languages, write_language
from nltk.corpus.reader import CorpusReader
from nltk.corpus.reader.wordnet import WordNetCorpusReader

from augment.__main__ import main
from augment.languages.language import check_lang, stop_words
from augment.languages.omw import ensure_language, find_tab, load_tab, read_words


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    """NLTK searches one folder, with the English WordNet alone, and has no network."""
    folder = install_languages(tmp_path, monkeypatch, langs=())

    def refuse(*args, **kwargs):
        raise ValueError("no network")

    monkeypatch.setattr(nltk, "download", refuse)
    return folder


def zipped(folder: Path) -> None:
    """Puts a package into an archive, as NLTK downloads it."""
    shutil.make_archive(str(folder.with_name(folder.name)), "zip", folder.parent, folder.name)
    Path(f"{folder}.zip").replace(folder.with_name(f"{folder.name}.zip"))
    shutil.rmtree(folder)


@pytest.mark.parametrize("lang", WORDS)
def test_the_words_are_those_that_nltk_reads(root, lang):
    tab = write_language(root, lang)
    wordnet = WordNetCorpusReader(
        nltk.data.find("corpora/wordnet/"),
        CorpusReader(nltk.data.find("corpora/omw-1.4/"), [f"{lang}/{tab.name}"], encoding="utf8"),
    )
    wordnet.add_omw()
    found = {
        f"{s.offset():08d}-{s.pos().replace('s', 'a')}": [name.replace("_", " ") for name in s.lemma_names(lang)]
        for s in wordnet.all_synsets(lang=lang)
    }
    assert dict(read_words(tab.read_text("utf-8"), lang)) == found


@pytest.mark.parametrize("is_zipped", [False, True])
def test_folders_and_archives_are_read(root, is_zipped):
    content = write_language(root, "deu").read_bytes()
    if is_zipped:
        for package in ("omw-1.4", "stopwords"):
            zipped(root / "corpora" / package)
    assert load_tab("deu").read_bytes() == content
    assert stop_words("deu") == set(STOP_WORDS["deu"][1].split())
    assert find_tab("spa") is None


def test_wiktionary_comes_after_all_other_packages(root):
    write_language(root, "deu", "extended_omw", "wikt")
    assert find_tab("deu").parts[-3:] == ("extended_omw", "wikt", "wn-wikt-deu.tab")
    write_language(root, "deu")
    assert find_tab("deu").parts[-3:] == ("omw-1.4", "deu", "wn-data-deu.tab")


def test_what_is_absent_raises_the_command_to_run():
    with pytest.raises(LookupError, match=r"lang='deu'.*python -m augment download --lang deu"):
        load_tab("deu")
    with pytest.raises(LookupError, match=r"stop words for lang='deu'.*python -m augment download --lang deu"):
        stop_words("deu")
    assert stop_words("xho") == frozenset()  # NLTK has no list


@pytest.mark.parametrize("lang", ["de", "german", "DEU", "d-e", 3, None])
def test_a_language_is_a_code_of_three_letters(lang):
    with pytest.raises(ValueError, match="three letters, such as 'eng', 'deu' or 'cmn'"):
        check_lang(lang)


def test_each_package_is_downloaded_only_if_it_is_needed(root, monkeypatch):
    downloaded = []

    def download(package, folder, **kwargs):
        downloaded.append(package)
        if package == "extended_omw":
            write_language(Path(folder), "deu", package, "wikt")
            shutil.rmtree(Path(folder) / "corpora" / "stopwords")
        if package == "stopwords":
            write_language(Path(folder), "deu", "other")

    monkeypatch.setattr(nltk, "download", download)
    assert "wn-wikt-deu.tab" in ensure_language("deu", root)
    assert downloaded == ["omw-1.4", "extended_omw", "stopwords"]
    ensure_language("deu", root)
    assert len(downloaded) == 3


def test_a_language_that_no_package_has_is_named(root, monkeypatch):
    monkeypatch.setattr(nltk, "download", lambda *args, **kwargs: True)
    with pytest.raises(LookupError, match=r"'xho'.*omw-1.4 and extended_omw have no words"):
        ensure_language("xho", root)


def test_a_server_that_cannot_be_reached_is_one_line_with_the_command(root):
    with pytest.raises(RuntimeError, match=rf"omw-1.4 .*no network.*nltk.downloader -d {root} omw-1.4"):
        ensure_language("deu", root)


def test_the_command_downloads_english_and_the_language(root, capsys):
    tab = write_language(root, "spa")
    assert main(["download", "--lang", "spa"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("WordNet is already at") and str(tab) in second
    assert main(["download"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["download", "--lang", "es"]) == 1
    assert "three letters" in capsys.readouterr().err
