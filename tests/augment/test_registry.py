"""Augmenters by name."""

import sys
from importlib import import_module

import pytest
from augmenters import make_masked_lm
from conftest import make_tokenizer

from augment import Augmenter, make_augmenter
from augment.registry import WITH_MODEL, WITH_WORDS, augmenter_config, limited


def test_insertion_hands_the_constraints_to_its_source():
    assert augmenter_config("insert", replace_prob=0.2, max_length=9, segments=None) == {
        "class": "RandomInsert",
        "source": {"class": "WordNetSynonyms", "max_length": 9},
        "replace_prob": 0.2,
    }


@pytest.mark.parametrize("name", WITH_WORDS)
def test_every_name_takes_the_options_of_all(name, tokenizer, wordnet, wordnet_cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    make_masked_lm(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = str(tmp_path) if name in WITH_MODEL else None
    config = augmenter_config(name, model, replace_prob=0.2, max_length=9, segments="first", lang="eng")
    augmenter = Augmenter.from_dict(config, tokenizer)
    parts = getattr(augmenter, "augmenters", [augmenter])
    assert all(part.replace_prob == 0.2 for part in parts)
    assert augmenter_config(name, model)["class"] == config["class"] == type(augmenter).__name__
    limited = [augmenter.source] if name == "insert" else parts
    assert all((part.max_length, part.segments) == (9, "first") for part in limited)


@pytest.mark.parametrize("name", ["context", "synonyms"])
def test_the_default_augmenters_put_marks_at_the_end_alone_and_none_that_leaves_a_text_open(
    name, tokenizer, wordnet, wordnet_cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    make_masked_lm(tokenizer).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    augmenter = make_augmenter(name, tokenizer, str(tmp_path) if name == "context" else None)
    variants = augmenter.augment_text(["a good plot"] * 8, 4, range(8))
    ends = {variant.removeprefix("a good plot") for group in variants for variant in group}
    assert len(ends) > 1 and ends <= {",", ".", "!", "...", "…", ""}


def test_a_sentence_without_synonyms_has_four_variants_by_default(wordnet, wordnet_cache, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))
    tokenizer = make_tokenizer("bpe")  # of bytes, so that it knows every mark
    variants = make_augmenter("synonyms", tokenizer).augment_text("the plot is.", 4, 0)
    assert len({*variants, "the plot is."}) == 5


def test_an_augmenter_of_a_name_is_that_of_its_configuration(tokenizer):
    config = augmenter_config("typos", replace_prob=0.2)
    made = make_augmenter("typos", tokenizer, replace_prob=0.2)
    assert made.to_dict() == Augmenter.from_dict(config, tokenizer).to_dict()
    with pytest.raises(ValueError, match="The augmenter is 'synonym'; expected one of context"):
        make_augmenter("synonym", tokenizer)


@pytest.mark.parametrize("name", ["context", "mlm_insert"])
def test_augmenters_that_know_english_only_refuse_other_languages(name):
    with pytest.raises(ValueError, match=f"lang is 'deu', but the augmenter '{name}' knows English only"):
        augmenter_config(name, "model", lang="deu")
    assert "deu" not in str(augmenter_config(name, "model", lang="eng"))


def test_copies_have_no_words_to_choose(tokenizer):
    assert Augmenter.from_dict(augmenter_config("same_text"), tokenizer).keeps_copies
    with pytest.raises(ValueError, match="SameText has no replace_prob; expected some of augmenter"):
        Augmenter.from_dict(augmenter_config("same_text", replace_prob=0.2), tokenizer)


def test_limit_of_the_length_reaches_every_part():
    lexicon = {"class": "LexiconSubstitution", "words": {"class": ["film"]}}
    parts = [{**lexicon, "max_length": 5}, {"class": "Sometimes", "augmenter": lexicon}]
    short, other = limited({"class": "Compose", "augmenters": parts}, 9)["augmenters"]
    assert short == {**lexicon, "max_length": 5}
    assert other["augmenter"] == {**lexicon, "max_length": 9} and "max_length" not in lexicon


def test_a_limit_of_a_wrong_type_is_refused_by_its_augmenter(tokenizer):
    with pytest.raises(ValueError, match=r"max_length is \[\]; expected a whole number"):
        Augmenter.from_dict(limited({"class": "RandomDelete", "max_length": []}, 9), tokenizer)


OWN = """
from augment.custom import Substitution

class Shout(Substitution):
    def candidates(self, batch, words):
        return self.candidates_of_texts(batch, words, [["great"]] * len(words))
"""

NO_AUGMENTERS = """
from augment.custom import WordAugmenter

OWN = 3
Vague = type("Vague", (Substitution,), {})
Typos = type("Typos", (Shout,), {})
RandomDelete = type("RandomDelete", (Shout,), {})
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with a module in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "own_words.py").write_text(OWN)
    yield tmp_path
    sys.modules.pop("own_words", None)


def test_a_class_in_a_module_of_the_current_folder_is_an_augmenter(folder, tokenizer):
    made = make_augmenter("own_words:Shout", tokenizer, replace_prob=1.0)
    assert made.augment_text("a movie", 1, 0) == ["great great"] and made.replace_prob == 1.0
    assert type(Augmenter.from_dict(made.to_dict(), tokenizer)) is type(made)


@pytest.mark.parametrize(
    "path, problem",
    [
        (
            "own_word:Shout",
            "the module own_word cannot be imported.*Expected a module in the current folder, .*installed",
        ),
        ("own_words:Whisper", "Whisper in .*own_words.py is None; expected a subclass of augment.Augmenter"),
        ("own_words:OWN", "OWN in .*own_words.py is 3; expected a subclass"),
        (
            "own_words:Vague",
            "Vague in .*own_words.py is .*Vague.*; expected a subclass .* defines all abstract methods",
        ),
        ("own_words:Typos", "augment.typos has a class Typos, too, .*; rename yours"),
        ("own_words:RandomDelete", "has a class RandomDelete, too, .*; rename yours"),
        ("sys:OWN", "OWN in sys is None; expected a subclass"),
        (".own_words:Shout", "The augmenter is '.own_words:Shout'; expected one of context"),
    ],
)
def test_what_is_no_augmenter_class_is_named(folder, tokenizer, path, problem):
    (folder / "own_words.py").write_text(f"{OWN}\n{NO_AUGMENTERS}")
    with pytest.raises(ValueError, match=problem):
        make_augmenter(path, tokenizer)


def test_files_of_the_current_folder_hide_no_package(folder, tokenizer):
    (folder / "json.py").write_text("raise AssertionError")
    sys.modules.pop("json.tool", None)
    make_augmenter("own_words:Shout", tokenizer)
    assert import_module("json.tool").__file__ != str(folder / "json.py") and sys.path[-1] == str(folder)
