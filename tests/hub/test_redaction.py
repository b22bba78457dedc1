"""What is published holds neither tokens nor the folders of a machine."""

import os

import pytest

from hf_mmel.hub.redaction import command_line, plain_config, without_folders, without_tokens


TOKEN = "hf_abcdefghijklmnop"


@pytest.mark.parametrize(
    "options",
    [
        ["--token", TOKEN],
        [f"--token={TOKEN}"],
        ["--hub_token", "of another form"],
        ["--hub-token", "other"],
        ["--push_to_hub_token=other"],
    ],
)
def test_options_of_tokens_are_left_out_of_a_command(options):
    assert command_line("run", [*options, "--do_train"]) == "run \\\n    --do_train"


def test_a_command_keeps_everything_else():
    options = ["--tokenizer_name", "a/b", "--lr=0.1", "--text_column_names", "a,b", "--hub_tags", "x", "y z"]
    options += ["--include_num_input_tokens_seen", "all"]
    assert command_line("python run.py", options).split(" \\\n    ") == [
        "python run.py",
        "--tokenizer_name a/b",
        "--lr=0.1",
        "--text_column_names a,b",
        "--hub_tags x 'y z'",
        "--include_num_input_tokens_seen all",
    ]


def test_an_option_given_twice_is_told_once_as_it_counts():
    options = ["--seed", "1", "--hub_tags", "a", "b", "--do-train", "--seed=2", "--hub-tags", "c", "--no_do_train"]
    assert command_line("run", options).split(" \\\n    ") == ["run", "--seed=2", "--hub-tags c", "--no_do_train"]


def test_a_token_in_the_wrong_place_does_not_show():
    assert TOKEN not in command_line("run", ["--run_name", TOKEN, f"--note=my {TOKEN}"])
    assert without_tokens(f"hf_mmel and {TOKEN}.") == "hf_mmel and <token>."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/disk/me/data/train.csv", "train.csv"),
        ("/disk/me/my data/train.csv", "train.csv"),
        ("/disk/me/data/", "data"),
        ("~/data/train.csv", "train.csv"),
        ("../me/train.csv", "train.csv"),
        ("C:\\Users\\me\\train.csv", "train.csv"),
        ('{"config": "/disk/me/fsdp.json", "n": 1}', '{"config": "fsdp.json", "n": 1}'),
        ("a.csv,/disk/me/b.csv", "a.csv,b.csv"),
        ("train_file is '/disk/John Smith/a b.csv', there is none", "train_file is 'a b.csv', there is none"),
        ('"/disk/John Smith/a.csv" and "/disk/John Smith/b.csv"', '"a.csv" and "b.csv"'),
        ("'C:\\Users\\John Smith\\a.csv' is missing", "'a.csv' is missing"),
        ("model:/disk/me/bert", "model:bert"),
        ("see file:///disk/me/page.html", "see page.html"),
        ("it isn't in /disk/me/a, isn't it", "it isn't in a, isn't it"),
    ],
)
def test_folders_of_the_machine_do_not_show(text, shown):
    assert without_folders(text) == shown


@pytest.mark.parametrize("text", ["{home}", "output_dir is {home}.", "at {home}/", "model:{home}/bert", "'{home}'"])
def test_the_name_of_the_user_does_not_show(text, monkeypatch):
    monkeypatch.setenv("HOME", "/disk/somebody")
    assert "somebody" not in without_folders(text.format(home="/disk/somebody"))
    assert without_folders("of /disk/somebody-else/a.csv, more/disk/somebody") == "of a.csv, more/disk/somebody"


@pytest.mark.parametrize(
    "text",
    ["nyu-mll/glue", "data/train.csv", "https://host/path/x", "see http://host:80/x.", "0.1", "a / b", "w/o", ""],
)
def test_other_text_stays_as_it_is(text):
    assert without_folders(text) == text


def test_a_configuration_is_shown_without_long_lists_and_folders():
    words = {f"word{i}": ["other"] for i in range(100)}
    inner = {"class": "LexiconSubstitution", "words": words, "keep_words": ["film"]}
    config = {"class": "OneOf", "augmenters": [inner, {"class": "MaskedLMSubstitution", "model": "/disk/me/bert"}]}
    assert plain_config(config) == {
        "class": "OneOf",
        "augmenters": [
            {"class": "LexiconSubstitution", "words": "<100 entries>", "keep_words": ["film"]},
            {"class": "MaskedLMSubstitution", "model": "bert"},
        ],
    }


def test_a_command_can_be_written_whatever_the_bytes_of_a_file_name():
    shown = command_line("program", ["--train_file", os.fsdecode(b"donn\xe9es.csv")])
    assert shown.encode().endswith(b"donn?es.csv'")
