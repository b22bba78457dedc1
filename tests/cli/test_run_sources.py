"""Models and data sets that cannot be had: the line that ends the command says which, and what to do."""

import re
import shutil

import pytest
from hub_server import Repository

from hf_mmel.cli.run import UsageError


TOKEN = "hf_token_of_you"


@pytest.fixture
def refused(run, files, tmp_path):
    def refused(*options):
        with pytest.raises(UsageError) as error:
            run(*files, "--do_train", *options)
        assert "\n" not in str(error.value) and TOKEN not in str(error.value)
        return str(error.value)

    return refused


@pytest.fixture
def on_the_hub(hub, model_dir, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_ENDPOINT", hub.url)
    content = {path.name: path.read_bytes() for path in model_dir.iterdir()}
    hub.repositories = {f"me/{kind}": Repository(kind == "private", {"main": content}) for kind in ("private", "open")}
    return hub


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "me/gone",
            "'me/gone' cannot be loaded: it is neither a local folder nor on URL, or it is private and needs",
        ),
        ("me/private", "'me/private' cannot be loaded: it needs --token, with a token that may read it"),
        ("me/private --token hf_wrong", "'me/private' cannot be loaded: URL rejects the token of --token"),
        (f"me/private --token {TOKEN}", "or it is private and the token of --token may not read it"),
        ("me/open --model_revision old", "it has no revision 'old'; name a branch, tag or commit with --model_rev"),
        (
            "me/open --tokenizer_name me/gone",
            "The tokenizer of 'me/gone' cannot be loaded: it is neither a local folder",
        ),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_model_and_the_option(on_the_hub, refused, options, message):
    assert message.replace("URL", on_the_hub.url) in refused("--model_name_or_path", *options.split())


def test_a_data_set_that_the_hub_does_not_show_may_be_private(on_the_hub, run):
    with pytest.raises(UsageError, match=r"me/gone cannot be read: it is neither .* private and needs --token"):
        run("--dataset_name", "me/gone", "--do_train")


def test_a_wrong_name_without_a_network_is_named(refused, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refused("--model_name_or_path", "bert-bass-uncased")
    expected = r"The configuration of 'bert-bass-uncased' cannot be loaded: .* HF_HUB_OFFLINE is set; check the name\."
    assert re.fullmatch(expected, message)


def test_damaged_weights_are_refused(refused, model_dir, tmp_path):
    shutil.copytree(model_dir, tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"no weights")
    message = refused("--model_name_or_path", tmp_path / "model")
    assert re.search(r"The model of '.*model' cannot be loaded: Error while deserializing header", message)
