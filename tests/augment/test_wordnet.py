import logging
import os
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from test_house import read_imports

from augment import WordNetSynonyms
from augment.core.storage import location
from augment.english import wordnet_data
from augment.wordnet import code_fingerprint


ROOT = Path(__file__).parents[2]
EXAMPLE = "the movie was awful and the children ran away"


@pytest.fixture
def no_wordnet(monkeypatch):
    """A lexicon that is not in the cache cannot be built."""

    def fail(*args, **kwargs):
        raise LookupError("WordNet was opened")

    monkeypatch.setattr(wordnet_data, "load_wordnet", fail)


def changes(augmenter, text: str) -> set[tuple[str, str]]:
    """Which word becomes what, over many variants."""
    words = augmenter.tokenizer
    edits = augmenter.edits(words(text), 50, 0)
    return {(words.decode(e.old).strip(), words.decode(e.new).strip()) for variant in edits for e in variant}


def test_synonyms_take_the_form_of_the_word(wordnet, any_tokenizer, tmp_path):
    augmenter = WordNetSynonyms(any_tokenizer, cache_dir=tmp_path)
    assert changes(augmenter, EXAMPLE) == {
        ("movie", "film"),
        ("movie", "motion picture"),
        ("children", "kids"),
        ("children", "youngsters"),
        ("ran", "jogged"),
    }


def test_options_choose_the_synonyms(wordnet, tokenizer, tmp_path):
    assert ("movie", "picture") not in changes(WordNetSynonyms(tokenizer, cache_dir=tmp_path), EXAMPLE)
    rare = WordNetSynonyms(tokenizer, cache_dir=tmp_path, min_sense_share=0.01)
    assert ("movie", "picture") in changes(rare, EXAMPLE)
    single = WordNetSynonyms(tokenizer, cache_dir=tmp_path, multiword=False)
    assert ("movie", "motion picture") not in changes(single, EXAMPLE)
    assert len(list(tmp_path.iterdir())) == 3


def test_words_of_a_phrase_stay(wordnet, any_tokenizer, tmp_path):
    augmenter = WordNetSynonyms(any_tokenizer, cache_dir=tmp_path)
    changed = [{old for old, _ in changes(augmenter, text)} for text in ("the motion picture was", "the movie was")]
    assert changed == [set(), {"movie"}]
    assert {old for old, _ in changes(augmenter, "children start out")} == {"children"}
    assert {old for old, _ in changes(augmenter, "children start in a car")} >= {"children", "start"}


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_share_out_of_range_is_refused(tokenizer, share):
    with pytest.raises(ValueError, match="min_sense_share"):
        WordNetSynonyms(tokenizer, min_sense_share=share)


def test_cached_lexicon_needs_no_wordnet(wordnet, tokenizer, tmp_path, monkeypatch, request):
    built = WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    request.getfixturevalue("no_wordnet")
    loaded = WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    assert loaded.augment_text(EXAMPLE, 5, 0) == built.augment_text(EXAMPLE, 5, 0)
    with pytest.raises(LookupError, match="WordNet was opened"):
        WordNetSynonyms(tokenizer, cache_dir=tmp_path / "other")


def test_each_tokenizer_has_its_own_file(wordnet, tokenizer, any_tokenizer, tmp_path):
    WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    WordNetSynonyms(any_tokenizer, cache_dir=tmp_path)
    alike = tokenizer.get_vocab() == any_tokenizer.get_vocab()
    assert len(list(tmp_path.iterdir())) == (1 if alike else 2)


def test_damaged_cache_is_rebuilt(wordnet, tokenizer, tmp_path):
    expected = WordNetSynonyms(tokenizer, cache_dir=tmp_path).augment_text(EXAMPLE, 5, 0)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert WordNetSynonyms(tokenizer, cache_dir=tmp_path).augment_text(EXAMPLE, 5, 0) == expected
    assert path.read_bytes()[-100:] == whole[-100:]


def test_unwritable_cache_only_warns(wordnet, tokenizer, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        augmenter = WordNetSynonyms(tokenizer, cache_dir=tmp_path / "file" / "folder")
    assert ("ran", "jogged") in changes(augmenter, EXAMPLE)
    assert "could not be cached" in caplog.text


def test_cache_folder_comes_from_the_environment(wordnet, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HF_MMEL_CACHE", raising=False)
    WordNetSynonyms(tokenizer)
    assert len(list((tmp_path / "hf_mmel").iterdir())) == 1
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "mine"))
    WordNetSynonyms(tokenizer)
    assert len(list((tmp_path / "mine").iterdir())) == 1


def test_a_lexicon_is_kept_on_this_machine_if_the_cache_is_in_a_store(
    wordnet, tokenizer, store, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_MMEL_CACHE", f"{store}/cache")
    WordNetSynonyms(tokenizer)
    WordNetSynonyms(tokenizer, cache_dir=f"{store}/cache")
    assert len(list((tmp_path / "hf_mmel").iterdir())) == 1 and not location(store).exists()


WARM_START = """
import sys
sys.path[:0] = {path}
from conftest import make_tokenizer
from augment import WordNetSynonyms
for name in [name for name in sys.modules if name.partition(".")[0] in ("nltk", "lemminflect")]:
    raise SystemExit(f"imported before it is needed: {{name}}")
augmenter = WordNetSynonyms(make_tokenizer("wordpiece"), cache_dir={cache!r})
print(augmenter.augment_text({text!r}, 3, 0))
print(*({{"nltk", "lemminflect"}} & sys.modules.keys()))
"""


def without(monkeypatch, package: str) -> None:
    """The package seems not to be installed."""

    def find(name):
        if name == package:
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("augment.wordnet.version", find)


def test_another_wordnet_gets_another_lexicon(wordnet, nltk_data, tokenizer, tmp_path, monkeypatch):
    cache, other = tmp_path / "cache", tmp_path / "nltk_data"
    first = changes(WordNetSynonyms(tokenizer, cache_dir=cache), EXAMPLE)
    shutil.copytree(nltk_data, other)
    for path in (other / "corpora" / "wordnet").glob("*.noun"):  # the same length, so that offsets stay right
        path.write_text(path.read_text().replace("youngster", "whippersn"))
    monkeypatch.setattr("nltk.data.path", [str(other)])
    second = changes(WordNetSynonyms(tokenizer, cache_dir=cache), EXAMPLE)
    assert ("children", "youngsters") in first - second and len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("missing", ["wordnet", "lemminflect"])
def test_where_no_lexicon_can_be_built_the_latest_one_is_used(wordnet, tokenizer, tmp_path, monkeypatch, missing):
    built = WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    (path,) = tmp_path.iterdir()
    older = path.with_name(path.name[:-20] + "0" * 16 + ".npz")
    older.write_bytes(b"an older one")
    os.utime(older, (0, 0))
    if missing == "wordnet":
        monkeypatch.setattr("nltk.data.path", [])
    else:
        without(monkeypatch, missing)
    loaded = WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    assert loaded.augment_text(EXAMPLE, 5, 0) == built.augment_text(EXAMPLE, 5, 0)


def test_another_dictionary_gets_another_lexicon(wordnet, tokenizer, tmp_path, monkeypatch):
    WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    monkeypatch.setattr("augment.wordnet.version", lambda name: "999")
    WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_code_gets_another_lexicon(wordnet, tokenizer, tmp_path, monkeypatch):
    WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    monkeypatch.setattr("augment.wordnet.code_fingerprint", lambda: "other")
    WordNetSynonyms(tokenizer, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_all_code_that_makes_a_lexicon_is_in_its_key(tmp_path):
    imports = read_imports(ROOT)
    makers, waiting = set(), ["augment.english.synonyms", "augment.core.lexicon"]
    while waiting:
        module = waiting.pop()
        if module not in makers:
            makers.add(module)
            waiting += imports[module]
    # These write files and hold no rule of what is in them.
    makers -= {"augment.core.atomic_file", "augment.core.lazy", "augment.core.storage"}
    package = tmp_path / "augment"
    shutil.copytree(ROOT / "augment", package)
    before = code_fingerprint(package)
    for module in makers:
        path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        code = path.read_text()
        path.write_text(f"{code}\n")
        code_fingerprint.cache_clear()
        assert code_fingerprint(package) != before, module
        path.write_text(code)
    code_fingerprint.cache_clear()
    assert code_fingerprint(package) == before


@pytest.mark.integration
def test_warm_start_imports_neither_nltk_nor_lemminflect(wordnet, nltk_data, tokenizer, tmp_path):
    expected = WordNetSynonyms(tokenizer, cache_dir=tmp_path).augment_text(EXAMPLE, 3, 0)
    code = WARM_START.format(path=[str(ROOT), str(ROOT / "tests")], cache=str(tmp_path), text=EXAMPLE)
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "NLTK_DATA": str(nltk_data)}
    )
    assert result.stdout.splitlines() == [str(expected), ""], result.stderr
