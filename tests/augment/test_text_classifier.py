"""Classes and probabilities of a text classifier that is given."""

import numpy as np
import pytest
import torch
from classifiers import make_classifier, save_classifier
from conftest import ENCODER_DECODERS, SENTENCES, make_encoder_decoder
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2ForSequenceClassification

from augment.text_classifier import TextClassifier


@pytest.fixture(scope="session")
def classifier(tokenizer) -> TextClassifier:
    return TextClassifier(make_classifier(tokenizer, "bad", "good"), tokenizer)


def alone(model, tokenizer, *texts: str) -> np.ndarray:
    """The probabilities of one text or pair."""
    with torch.no_grad():
        logits = model.eval()(**tokenizer(*texts, truncation=True, return_tensors="pt")).logits
    return logits.softmax(dim=-1)[0].numpy()


def test_probabilities_are_those_of_each_text_alone(classifier, tokenizer):
    texts = [*SENTENCES, "", "film " * 100]
    for batch_size in (1, 4, 32):
        classifier.batch_size = batch_size
        found = classifier.probabilities(texts)
        assert found.shape == (len(texts), 2) and found.dtype == np.float32
        for text, row in zip(texts, found, strict=True):
            np.testing.assert_allclose(row, alone(classifier.model, tokenizer, text), atol=1e-4)
    assert np.ptp(found[:, 1]) > 0.5


def test_pairs_are_read_as_pairs(classifier, tokenizer):
    pairs = [("the movie was awful", "a film"), ("a film", "the movie was awful")]
    found = classifier.probabilities(pairs)
    for pair, row in zip(pairs, found, strict=True):
        np.testing.assert_allclose(row, alone(classifier.model, tokenizer, *pair), atol=1e-4)
    assert abs(found[0] - found[1]).max() > 0.01


@pytest.mark.parametrize("kind", ENCODER_DECODERS)
def test_encoder_decoders_classify(tokenizer, kind):
    model = make_encoder_decoder(tokenizer, kind)
    found = TextClassifier(model, tokenizer).probabilities(SENTENCES)
    np.testing.assert_allclose(found[1], alone(model, tokenizer, SENTENCES[1]), atol=1e-5)


def test_a_model_without_padding_reads_each_text_alone(tokenizer):
    sizes = {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}
    model = GPT2ForSequenceClassification(GPT2Config(vocab_size=len(tokenizer), num_labels=2, **sizes))
    assert model.config.pad_token_id is None
    found = TextClassifier(model, tokenizer).probabilities(SENTENCES)
    np.testing.assert_allclose(found[2], alone(model, tokenizer, SENTENCES[2]), atol=1e-5)


def test_the_mode_of_the_model_stays(tokenizer):
    model = make_classifier(tokenizer, "bad", "good").train()
    TextClassifier(model, tokenizer).probabilities(["a film"])
    assert model.training


def test_a_name_is_loaded_with_its_tokenizer(tokenizer, tmp_path, classifier):
    name = save_classifier(classifier.model, tokenizer, tmp_path)
    loaded = TextClassifier(tmp_path)
    assert loaded.name == name and loaded.classes == ["bad", "good"]
    np.testing.assert_allclose(loaded.probabilities(SENTENCES), classifier.probabilities(SENTENCES), atol=1e-5)


@pytest.mark.parametrize(
    ("labels", "options", "expected"),
    [
        (["good", "bad", "Good", "BAD"], {}, [1, 0, 1, 0]),
        ([1, 0], {"names": ["good", "bad"]}, [0, 1]),
        ([0, 1, "0"], {"label_names": {0: "good", 1: "bad"}}, [1, 0, 1]),
        ([1, 0], {"names": ["neg", "pos"], "label_names": {"neg": "bad", "pos": "good"}}, [1, 0]),
        ([], {}, []),
    ],
)
def test_labels_are_matched_by_name(tokenizer, labels, options, expected):
    model = make_classifier(tokenizer, "bad", "good")
    found = TextClassifier(model, tokenizer, options.get("label_names")).class_ids(labels, options.get("names"))
    assert found.tolist() == expected


def test_numbers_are_classes_without_names_or_names_themselves(tokenizer):
    nameless = TextClassifier(make_classifier(tokenizer), tokenizer)
    assert nameless.classes == ["LABEL_0", "LABEL_1"]
    assert nameless.class_ids([1, "0", np.int64(1), "LABEL_1"]).tolist() == [1, 0, 1, 1]
    swapped = TextClassifier(make_classifier(tokenizer, "1", "0"), tokenizer)
    assert swapped.class_ids([1, "0"]).tolist() == [0, 1]


def test_names_that_differ_in_case_alone_stay_apart(tokenizer):
    classifier = TextClassifier(make_classifier(tokenizer, "it", "IT"), tokenizer)
    assert classifier.class_ids(["IT", "it"]).tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"The label of row 0 .* is 'It'"):
        classifier.class_ids(["It"])


@pytest.mark.parametrize("label", [1, -1, "1", "fine", "", None, 1.0, [1], True])
def test_a_label_without_a_class_is_refused_with_its_row(classifier, label):
    with pytest.raises(ValueError) as error:
        classifier.class_ids(["good", "bad", label])
    message = (
        f"The label of row 2 (from 0) is {label!r}; the classifier BertForSequenceClassification has the classes "
    )
    assert str(error.value).startswith(message + "'bad', 'good'. Name the class of each label with label_names")


@pytest.mark.parametrize("label", [2, -1])
def test_a_number_without_a_name_is_refused(classifier, label):
    with pytest.raises(ValueError, match=f"The label of row 0 .* is {label};"):
        classifier.class_ids([label], ["bad", "good"])


@pytest.mark.parametrize("label", [2, -1, "-1", "²"])
def test_a_number_without_a_class_is_refused(tokenizer, label):
    nameless = TextClassifier(make_classifier(tokenizer), tokenizer)
    for names in (None, ["bad", "good"]):
        with pytest.raises(ValueError, match="The label of row 0"):
            nameless.class_ids([label], names)


def test_label_names_that_are_no_classes_are_refused(tokenizer):
    classifier = TextClassifier(make_classifier(tokenizer, "bad", "good"), tokenizer, {0: "bad", 1: "fine"})
    with pytest.raises(ValueError, match=r"label_names has 'fine'; .* has the classes 'bad', 'good'"):
        classifier.class_ids([0])


@pytest.mark.parametrize(
    "config",
    [
        {"num_labels": 1},
        {"num_labels": 2, "problem_type": "multi_label_classification"},
        {"num_labels": 2, "problem_type": "regression"},
    ],
)
def test_models_of_anything_else_than_one_class_are_refused(tokenizer, config):
    model = make_classifier(tokenizer)
    for name, value in config.items():
        setattr(model.config, name, value)
    with pytest.raises(ValueError, match="expected a classifier of two or more classes, of which each text has one"):
        TextClassifier(model, tokenizer).probabilities(["a film"])


def test_a_checkpoint_without_weights_for_classes_is_refused(tokenizer, model_dir, tmp_path):
    BertForMaskedLM(BertConfig.from_pretrained(model_dir)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"has no weights for bert.pooler.*; expected a text classifier"):
        TextClassifier(str(tmp_path)).classes  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([3], "classifier is 3 of type int; expected a model of transformers, or its name or path"),
        ([BertForMaskedLM], "classifier is <class .*; expected a model"),
        (["model", "tokenizer"], "tokenizer is the string 'tokenizer'; expected a tokenizer"),
    ],
)
def test_what_is_no_model_or_tokenizer_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        TextClassifier(*arguments)


def test_arguments_out_of_range_are_refused(classifier):
    with pytest.raises(TypeError, match="tokenizer is None; a classifier that is not given by name needs its"):
        TextClassifier(classifier.model)
    with pytest.raises(ValueError, match="batch_size is 0; expected a whole number >= 1"):
        TextClassifier("model", batch_size=0)
