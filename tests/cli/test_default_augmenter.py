"""The augmenter of a command line that names none."""

import json

import pytest

from hf_mmel.cli.model import load_config
from hf_mmel.cli.parser import parse_arguments


@pytest.fixture
def model(tmp_path):
    """Makes the folder of a model whose configuration has an architecture."""

    def make(architecture: str | None) -> str:
        folder = tmp_path / str(architecture)
        folder.mkdir()
        names = None if architecture is None else [architecture]
        (folder / "config.json").write_text(json.dumps({"model_type": "bert", "architectures": names}))
        return str(folder)

    return make


def chosen(model: str, *options: str) -> str:
    argv = ["--model_name_or_path", model, "--task_name", "sst2", "--output_dir", "out", "--do_train"]
    args = parse_arguments([*argv, "--use_cpu", *options])
    args.augmenter.choose(load_config(args.model))
    return args.augmenter.augmenter


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("BertForMaskedLM", "context"),
        ("BertForSequenceClassification", "synonyms"),
        ("ElectraForPreTraining", "synonyms"),
        (None, "synonyms"),
    ],
)
def test_synonyms_are_chosen_in_context_where_the_model_has_a_masked_lm_head(model, architecture, expected):
    assert chosen(model(architecture)) == expected


def test_the_model_of_the_augmenter_counts_if_it_is_given(model):
    classifier, masked_lm = model("BertForSequenceClassification"), model("BertForMaskedLM")
    assert chosen(classifier, "--augmenter_model", masked_lm) == "context"


def test_context_is_for_english(model):
    masked_lm = model("BertForMaskedLM")
    assert chosen(masked_lm, "--augmenter_lang", "deu") == "synonyms"
    assert chosen(masked_lm, "--augmenter_lang", "eng") == "context"


def test_a_search_has_a_source_of_candidates_and_own_variants_stand_alone(model):
    masked_lm = model("BertForMaskedLM")
    assert chosen(masked_lm, "--greedy_search", "loss") == "wordnet"
    assert chosen(masked_lm, "--variants_column", "paraphrases") == "none"


@pytest.mark.parametrize("name", ["wordnet", "none", "delete"])
def test_an_augmenter_that_is_given_stays(model, name):
    assert chosen(model("BertForMaskedLM"), "--augmenter", name) == name
