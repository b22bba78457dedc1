"""Paraphrases and back-translations: what texts a dataset gets, and what is refused."""

import logging

import numpy as np
import pytest
from conftest import SENTENCES, make_model
from datasets import Dataset, DatasetDict, Features, List, Value
from generators import GENERATORS, make_generator, save_generator
from transformers import GenerationConfig

import augment.generation.store as store
from augment import Generated
from augment.generation.text_generator import TextGenerator


LIMIT = {"max_new_tokens": 16, "num_return_sequences": 6}
TEXTS = [*SENTENCES, "", " \n", SENTENCES[0]]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def written(monkeypatch):
    """The texts that models are asked about, in the order of the calls."""
    written, generate = [], TextGenerator.generate

    def counted(self, texts, keys):
        written.append(list(texts))
        return generate(self, texts, keys)

    monkeypatch.setattr(TextGenerator, "generate", counted)
    return written


def generated(kind="gpt2", prompt="say: {text}", **options) -> Generated:
    model, tokenizer = make_generator(kind)
    return Generated(model, prompt, tokenizer=tokenizer, min_ratio=0, max_ratio=9, **{**LIMIT, **options})


def normalised(text: str) -> str:
    return " ".join(text.split()).casefold()


@pytest.mark.parametrize("kind", GENERATORS)
def test_texts_of_a_seed_are_the_same_and_of_another_seed_others(kind, cache, tmp_path, monkeypatch):
    first = generated(kind).texts(TEXTS, 3, seed=7)
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "another"))
    assert generated(kind).texts(TEXTS, 3, seed=7) == first == generated(kind).texts(TEXTS, 3, seed=(7,))
    assert generated(kind).texts(TEXTS, 3, seed=8) != first


@pytest.mark.parametrize("kind", GENERATORS)
def test_no_text_is_a_copy_of_the_original_or_of_another_one(kind):
    groups = generated(kind).texts(TEXTS, 3)
    assert sum(map(len, groups)) > 12
    for original, group in zip(TEXTS, groups, strict=True):
        assert len({normalised(text) for text in (original, *group)}) == 1 + len(group) <= 4
    assert groups[-1] == groups[0] and groups[-3:-1] == [[], []]


def test_the_texts_of_a_row_do_not_depend_on_other_rows():
    together = generated().texts(TEXTS, 3)
    assert [generated().texts([text], 3)[0] for text in TEXTS[:4]] == together[:4]
    assert generated().texts(TEXTS[::-1], 3) == together[::-1]


def test_more_texts_can_take_the_place_of_those_left_out():
    few, more = generated(num_return_sequences=2).texts(SENTENCES, 2), generated().texts(SENTENCES, 2)
    assert sum(map(len, few)) < sum(map(len, more))
    assert all(group == other[: len(group)] for group, other in zip(few, more, strict=True))


def test_filters_change_without_new_texts(written):
    every = generated().texts(SENTENCES, 6)
    assert len(written) == 1

    def scorer(originals, texts):
        assert len(originals) == len(texts) == sum(map(len, every))
        return np.array([len(text) % 5 for text in texts])

    model, tokenizer = make_generator("gpt2")
    arguments = {"tokenizer": tokenizer, "min_ratio": 0, "max_ratio": 9, "scorer": scorer, "min_score": 2, **LIMIT}
    scored = Generated(model, "say: {text}", **arguments).texts(SENTENCES, 6)
    assert len(written) == 1
    assert scored == [[text for text in group if len(text) % 5 >= 2] for group in every]
    assert 0 < sum(map(len, scored)) < sum(map(len, every))


def test_another_number_of_texts_needs_new_ones(written):
    groups = [generated(num_return_sequences=None).texts(SENTENCES, number) for number in (2, 2, 6)]
    assert len(written) == 2
    assert groups[0] == groups[1] and groups[2] == generated().texts(SENTENCES, 6)


def test_each_text_has_random_numbers_of_its_own(monkeypatch):
    keys = []

    def write(self, texts, own):
        keys.append(own)
        return [["a"] * own.shape[1] for _ in texts]

    monkeypatch.setattr(TextGenerator, "generate", write)
    model, tokenizer = make_generator("gpt2")
    Generated([model, model], tokenizer=tokenizer, num_return_sequences=3).texts(SENTENCES, 3)
    assert [own.shape for own in keys] == [(9, 3), (27, 1)]
    assert len(np.unique(np.concatenate([own.ravel() for own in keys]))) == 54


@pytest.mark.parametrize("change", ["model", "prompt", "option", "seed", "texts", "chain"])
def test_texts_of_other_settings_are_not_used(change, written):
    generated().texts(SENTENCES, 2)
    number, texts, seed, arguments = len(written), SENTENCES, 42, {}
    if change == "model":
        arguments["kind"] = "t5"
    elif change == "prompt":
        arguments["prompt"] = "{text}"
    elif change == "option":
        arguments["top_k"] = 7
    texts = SENTENCES[1:] if change == "texts" else SENTENCES
    if change == "chain":
        model, tokenizer = make_generator("gpt2")
        Generated([model, model], "say: {text}", tokenizer=tokenizer, **LIMIT).texts(SENTENCES, 2)
    else:
        generated(**arguments).texts(texts, 2, 43 if change == "seed" else seed)
    assert len(written) > number


def test_an_interrupted_call_resumes_and_gives_what_an_uninterrupted_one_gives(written, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "PART_TEXTS", 2)
    whole = generated(cache_dir=tmp_path / "whole").texts(SENTENCES, 3)
    parts, generate = list(written), TextGenerator.generate
    written.clear()
    with monkeypatch.context() as patch:
        patch.setattr(
            TextGenerator, "generate", lambda *args: 1 / 0 if len(written) == 2 else generate(*args), raising=True
        )
        with pytest.raises(ZeroDivisionError):
            generated().texts(SENTENCES, 3)
    assert generated().texts(SENTENCES, 3) == whole
    assert written == parts and len(parts) == 5


def test_a_chain_continues_with_what_the_model_before_wrote(written):
    (first, one), (second, two) = make_generator("bart"), make_generator("t5")
    options = {"min_ratio": 0, "max_ratio": 9, **LIMIT}
    chain = Generated([first, second], ["to: {text}", "back: {text}"], tokenizer=[one, two], **options)
    groups = chain.texts(SENTENCES, 3)
    assert sum(map(len, groups)) > 9
    assert set(written[0]) == set(SENTENCES) and len(written) == 2
    alone = Generated(first, "to: {text}", tokenizer=one, **options).texts(SENTENCES, 6)
    assert {normalised(text) for group in alone for text in group} <= {*map(normalised, written[1])}
    assert [generator.prompt for generator in chain.generators] == ["to: {text}", "back: {text}"]


def test_a_chain_ends_where_a_model_wrote_nothing():
    model, tokenizer = make_generator("gpt2")
    endless = Generated([model, model], tokenizer=tokenizer, eos_token_id=-1, max_new_tokens=2)
    assert endless.texts(SENTENCES, 2) == [[]] * 9


def test_beams_and_a_generation_config_are_options_of_generate():
    config = GenerationConfig(num_beams=4, num_return_sequences=4, max_new_tokens=16, no_repeat_ngram_size=1)
    model, tokenizer = make_generator("t5")
    options = {"tokenizer": tokenizer, "min_ratio": 0, "max_ratio": 9}
    texts = Generated(model, generation_config=config, **options).texts(SENTENCES, 4, seed=1)
    assert texts == Generated(model, generation_config=config, **options).texts(SENTENCES, 4, seed=2)
    assert sum(map(len, texts)) > 4
    own = {"num_beams": 4, "num_return_sequences": 4, "max_new_tokens": 16, "no_repeat_ngram_size": 1}
    assert Generated(model, **own, **options).options == Generated(model, generation_config=config, **options).options
    assert Generated(model, generation_config=config, max_new_tokens=3, **options).options["max_new_tokens"] == 3


def test_a_dataset_gets_a_column_of_lists(tmp_path):
    rows = Dataset.from_dict({"sentence": TEXTS, "label": list(range(len(TEXTS)))})
    dataset = generated().annotate(rows, "sentence", num_variants=3)
    assert dataset.features == Features({**rows.features, "paraphrases": List(Value("string"))})
    assert list(dataset["paraphrases"]) == generated().texts(TEXTS, 3) and list(dataset["sentence"]) == TEXTS
    listed = generated().annotate(rows.to_list(), "sentence", "new", 3)
    assert listed == [{**row, "new": group} for row, group in zip(rows.to_list(), dataset["paraphrases"], strict=True)]
    assert len(generated().annotate(rows.select([]), "sentence")) == 0 and generated().annotate([]) == []
    blank = generated().annotate(Dataset.from_dict({"text": ["", " "]}))
    assert blank.features["paraphrases"] == List(Value("string")) and list(blank["paraphrases"]) == [[], []]


def test_what_is_left_out_is_logged_with_its_reason(caplog):
    with caplog.at_level(logging.WARNING):
        model, tokenizer = make_generator("gpt2")
        tokenizer.model_max_length = 40
        long = "film " * 60
        Generated(model, tokenizer=tokenizer, max_new_tokens=4, num_return_sequences=5).texts([*SENTENCES, long], 5)
    (message,) = (record.message for record in caplog.records if "new ones" in record.message)
    assert message.startswith("10 of 10 texts have fewer than 5 new ones. Of 50 that were generated")
    assert "1 with a prompt too long for the model" in message and "without an end (raise max_new_tokens)" in message


def test_a_process_chooses_its_device_before_it_loads_a_model(tmp_path, monkeypatch):
    steps, name = [], save_generator("gpt2", tmp_path / "gpt2")
    monkeypatch.setattr("augment.generated.distributed", lambda: steps.append("device"))
    monkeypatch.setattr("augment.generation.text_generator.load_model", lambda *args: steps.append("model") or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Generated(name).texts(SENTENCES)
    assert steps == ["device", "model"]


def test_a_model_by_name_is_loaded_at_first_use(tmp_path):
    Generated("./absent")
    name = save_generator("t5", tmp_path / "t5")
    by_path = Generated(tmp_path / "t5", "say: {text}", min_ratio=0, max_ratio=9, device="cpu", **LIMIT)
    assert by_path.texts(SENTENCES, 3) == generated("t5").texts(SENTENCES, 3)
    with pytest.raises(OSError, match="absent"):
        Generated(str(tmp_path / "absent")).texts(["film"])
    assert Generated(name).options == {"do_sample": True, "num_beams": 1}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": 3}, TypeError, "model is 3; expected the name of a model"),
        ({"model": []}, ValueError, "model is an empty list"),
        ({"prompt": "paraphrase: "}, ValueError, "prompt is 'paraphrase: '; expected a string with {text}"),
        ({"prompt": None}, ValueError, "prompt is None; expected a string with {text}"),
        ({"prompt": ["{text}", "{text}"]}, ValueError, "prompt is a list of 2 for 1 models"),
        ({"temprature": 0.5}, TypeError, "Received 'temprature'; expected arguments of Generated or of"),
        ({"max_length": 50}, ValueError, "expected max_new_tokens"),
        ({"do_sample": True, "num_beams": 3}, ValueError, "do_sample is True and num_beams is 3; expected one of"),
        ({"min_ratio": -1}, ValueError, "min_ratio is -1"),
        ({"scorer": len}, ValueError, "min_score is None; expected both or neither"),
        ({"batch_tokens": 0}, ValueError, "batch_tokens is 0"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, error, message):
    with pytest.raises(error) as raised:
        Generated(**{"model": "some/name", **arguments})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "num_variants", "message"),
    [
        ({}, 0, "num_variants is 0; expected a whole number >= 1"),
        ({}, 1.5, "num_variants is 1.5; expected a whole number >= 1"),
        ({"num_return_sequences": 2}, 3, "num_return_sequences is 2 and num_variants 3; expected at least as many"),
        ({"num_beams": 2}, 3, "do_sample is False and num_beams is 2, but 3 texts are to be generated"),
    ],
)
def test_numbers_that_do_not_go_together_are_refused(options, num_variants, message):
    with pytest.raises(ValueError) as error:
        Generated("some/name", **options).texts(["film"], num_variants)
    assert message in str(error.value)


def test_a_model_that_writes_no_texts_or_comes_without_tokenizer_is_refused(tokenizer):
    with pytest.raises(ValueError, match="model is a BertForSequenceClassification, which writes no texts"):
        Generated(make_model(tokenizer), tokenizer=tokenizer)
    with pytest.raises(ValueError, match="model is a GPT2LMHeadModel and tokenizer is None; pass"):
        Generated(make_generator("gpt2")[0])


@pytest.mark.parametrize("texts", ["film", None, 3, {"a": 1}])
def test_anything_but_a_list_of_texts_is_refused(texts):
    with pytest.raises(TypeError, match=f"texts is a {type(texts).__name__}; expected a list of texts"):
        Generated("some/name").texts(texts)


@pytest.mark.parametrize("text", [None, 3, "\ud800", ["a"]])
def test_a_row_without_text_is_named(text):
    with pytest.raises(ValueError, match=r"Row 1 \(from 0\) is .*; expected text"):
        Generated("some/name").texts(["film", text])


def test_datasets_that_cannot_be_annotated_are_refused():
    rows, made = Dataset.from_dict({"text": SENTENCES}), Generated("some/name")
    with pytest.raises(ValueError, match="text_column is 'sentence'; the dataset has the columns text"):
        made.annotate(rows, "sentence")
    with pytest.raises(ValueError, match=r"already has a column 'text'\. Choose another name"):
        made.annotate(rows, column="text")
    for dataset in (rows.to_iterable_dataset(), DatasetDict({"train": rows}), {"text": SENTENCES}):
        with pytest.raises(TypeError, match=rf"dataset is a {type(dataset).__name__}; expected a datasets.Dataset or"):
            made.annotate(dataset)
