"""Augmenters as plain data and back, and how they are shown."""

import ast
import json

import numpy as np
import pytest
from augmenters import AUGMENTERS, make_masked_lm
from conftest import WORDS

from augment import (
    Augmenter,
    Compose,
    InTurn,
    LexiconSubstitution,
    MaskedLMSubstitution,
    OneOf,
    RandomDelete,
    RandomInsert,
    Sometimes,
)
from augment.configurable import parameters_of
from examples import TEXTS, examples_of


OPTIONS = {"max_length": 20, "segments": "first", "keep_words": ["film"], "keep_pattern": "a.*", "max_replaced": 2}


@pytest.fixture(params=AUGMENTERS)
def build(request, wordnet, wordnet_cache, monkeypatch, tmp_path):
    """Makes an augmenter of one kind, whose model, if it has one, is in a folder."""
    monkeypatch.setenv("HF_MMEL_CACHE", str(wordnet_cache))

    def build(tokenizer, **options):
        augmenter = AUGMENTERS[request.param](tokenizer, **options)
        if hasattr(augmenter, "model"):
            tokenizer.save_pretrained(tmp_path)
            augmenter.model.save_pretrained(tmp_path)
            augmenter.model = str(tmp_path)
        return augmenter

    return build


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["defaults", "options"])
def test_description_builds_an_augmenter_of_the_same_variants(build, tokenizer, options):
    augmenter = build(tokenizer, **options)
    described = json.loads(json.dumps(augmenter.to_dict()))
    again = Augmenter.from_dict(described, tokenizer)
    assert type(again) is type(augmenter)
    assert again.to_dict() == augmenter.to_dict()
    examples, seeds = examples_of(tokenizer), list(range(len(TEXTS)))
    variants = again.variants(examples, 3, seeds)
    assert variants == augmenter.variants(examples, 3, seeds)
    assert any(group[0] != example for group, example in zip(variants, examples, strict=True))


def test_description_names_class_and_every_argument(tokenizer):
    described = RandomDelete(tokenizer, replace_prob=0.2, keep_words=["movie"]).to_dict()
    assert described == {
        "class": "RandomDelete",
        "lang": "eng",
        "replace_prob": 0.2,
        "max_length": None,
        "segments": "all",
        "keep_words": ["movie"],
        "keep_pattern": None,
        "max_replaced": None,
    }


def test_parts_are_described_within_the_whole(tokenizer):
    augmenter = Compose([OneOf([RandomDelete(tokenizer)], p=[1]), Sometimes(RandomDelete(tokenizer), p=0.2)])
    described = augmenter.to_dict()
    assert [part["class"] for part in described["augmenters"]] == ["OneOf", "Sometimes"]
    assert described["augmenters"][0]["augmenters"][0]["class"] == "RandomDelete"
    again = Augmenter.from_dict(described, tokenizer)
    assert again.augmenters[1].augmenter.tokenizer is tokenizer and again.augmenters[1].p == 0.2


def test_lexicon_may_have_the_word_class(tokenizer):
    augmenter = LexiconSubstitution(tokenizer, {"class": ["school"], "movie": ["film"]})
    assert Augmenter.from_dict(augmenter.to_dict(), tokenizer).words == augmenter.words


def test_shown_are_the_class_and_what_differs_from_the_defaults(tokenizer):
    assert repr(RandomDelete(tokenizer)) == "RandomDelete()"
    assert repr(RandomDelete(tokenizer, replace_prob=0.1, max_replaced=None)) == "RandomDelete()"
    shown = repr(RandomDelete(tokenizer, replace_prob=0.3, keep_words=["movie"], segments="second"))
    assert shown == "RandomDelete(segments='second', keep_words=('movie',), replace_prob=0.3)"
    assert repr(Compose([RandomDelete(tokenizer), Sometimes(RandomDelete(tokenizer), p=0.2)])) == (
        "Compose(augmenters=[RandomDelete(), Sometimes(augmenter=RandomDelete(), p=0.2)])"
    )
    insert = RandomInsert(LexiconSubstitution(tokenizer, {"movie": ["film"]}), replace_prob=0.2)
    assert repr(insert) == "RandomInsert(source=LexiconSubstitution(words={'movie': ['film']}), replace_prob=0.2)"


@pytest.mark.parametrize("options", [{}, OPTIONS], ids=["defaults", "options"])
def test_every_kind_shows_on_one_line_its_class_and_the_arguments_that_differ_from_the_defaults(
    build, tokenizer, options, monkeypatch
):
    monkeypatch.setattr("augment.configurable._MAX_SHOWN", 10**6)
    augmenter = build(tokenizer, **options)
    assert "\n" not in repr(augmenter)
    (call,) = ast.parse(repr(augmenter)).body
    assert call.value.func.id == type(augmenter).__name__
    values = {name: getattr(augmenter, name) for name in parameters_of(type(augmenter))}
    differing = [name for name, default in parameters_of(type(augmenter)).items() if values[name] != default]
    assert [keyword.arg for keyword in call.value.keywords] == differing


def test_long_arguments_are_cut_when_shown(tokenizer):
    shown = repr(LexiconSubstitution(tokenizer, WORDS))
    assert len(shown) < 300 and shown.startswith("LexiconSubstitution(words={'movie': ") and shown.endswith("...)")


def test_every_part_is_shown_however_long_the_others_are(tokenizer):
    long = LexiconSubstitution(tokenizer, WORDS)
    shown = repr(InTurn([long, OneOf([long, Sometimes(RandomDelete(tokenizer), p=0.2)]), RandomDelete(tokenizer)]))
    words = repr(long)
    assert shown == (
        f"InTurn(augmenters=[{words}, OneOf(augmenters=[{words}, Sometimes(augmenter=RandomDelete(), p=0.2)]), "
        "RandomDelete()])"
    )


def test_a_model_is_shown_by_its_name_or_its_class(tokenizer, tmp_path):
    model = make_masked_lm(tokenizer)
    assert repr(MaskedLMSubstitution(tokenizer, model)).startswith("MaskedLMSubstitution(model=BertForMaskedLM(...), ")
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert repr(MaskedLMSubstitution(tokenizer, loaded)).startswith(f"MaskedLMSubstitution(model={str(tmp_path)!r}, ")


def test_an_array_is_shown_on_one_line(tokenizer):
    class Shifted(RandomDelete):
        def __init__(self, tokenizer, shift=None):
            super().__init__(tokenizer)
            self.shift = shift

    assert repr(Shifted(tokenizer, np.eye(2))) == "Shifted(shift=array([[1., 0.], [0., 1.]]))"


@pytest.mark.parametrize("config", [{"class": "Synonyms"}, {}, {"replace_prob": 0.1}, {"class": None}])
def test_unknown_class_is_refused_with_those_there_are(tokenizer, config):
    with pytest.raises(ValueError, match=r"class is .*Compose.*RandomDelete.*WordNetSynonyms"):
        Augmenter.from_dict(config, tokenizer)


def test_unknown_argument_is_refused_with_those_there_are(tokenizer):
    described = {**RandomDelete(tokenizer).to_dict(), "probability": 0.1}
    with pytest.raises(ValueError, match=r"RandomDelete has no probability; expected some of .*replace_prob"):
        Augmenter.from_dict(described, tokenizer)
    with pytest.raises(ValueError, match="RandomDelete has no probability"):
        Augmenter.from_dict({"class": "Compose", "augmenters": [described]}, tokenizer)


@pytest.mark.parametrize("temperature", [[], {"a": 1}, None])
def test_an_argument_of_a_wrong_type_is_refused_with_what_was_given(tokenizer, masked_lm_dir, temperature):
    config = {"class": "MaskedLMSubstitution", "model": str(masked_lm_dir), "temperature": temperature}
    with pytest.raises(ValueError, match=r"MaskedLMSubstitution cannot be made with model=.*temperature=.*wrong type"):
        Augmenter.from_dict(config, tokenizer)


@pytest.mark.parametrize("max_length", [0, -1, 2.5, True, "9", []])
def test_what_is_no_whole_number_is_refused(tokenizer, max_length):
    with pytest.raises(ValueError, match=r"max_length is .*; expected a whole number >= 1"):
        Augmenter.from_dict({"class": "RandomDelete", "max_length": max_length}, tokenizer)


def test_a_model_that_is_none_is_refused(tokenizer):
    with pytest.raises(ValueError, match=r"MaskedLMSubstitution cannot be made with model=\[\]"):
        Augmenter.from_dict({"class": "MaskedLMSubstitution", "model": []}, tokenizer)
