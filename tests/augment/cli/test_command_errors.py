import json
from pathlib import Path

import pytest
from files import write_rows
from transformers import BertConfig

from augment.__main__ import main
from augment.registry import WITH_MODEL


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The commands run in a folder with a file `a.csv`."""
    monkeypatch.chdir(tmp_path)
    write_rows(Path("a.csv"), [{"text": "a movie", "label": "1"}])


def fails(capsys, *argv: str) -> str:
    """The one line that a command that fails has to say."""
    assert main([*argv]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("stats absent.csv", "absent.csv does not exist"),
        ("stats a.csv --column words", "a.csv has no column 'words'; its columns are 'text', 'label'"),
        ("preview --file a.csv --column words", "a.csv has no column 'words'"),
        ("preview --file a.csv --num_rows 0", "num_rows is 0; expected at least 1"),
        ("preview --text a --num_variants 0", "num_variants is 0; expected at least 1"),
        ("preview --text a --augmenter delete --replace_prob 0", "replace_prob is 0.0; expected a probability"),
        ("preview --text a --augmenter same_text --replace_prob 0.1", "SameText has no replace_prob"),
        ("preview --text a --augmenter synonym", "The augmenter is 'synonym'; expected one of context, synonyms"),
        ("preview --text a --augmenter mlm", "The augmenter 'mlm' needs a model"),
        ("preview --text a --augmenter delete --model bert", "'delete' has no use for the model 'bert'"),
        ("preview --text a --augmenter delete --tokenizer ./absent", "The tokenizer './absent' cannot be loaded: "),
        ("preview --text a --augmenter delete --tokenizer .", "The tokenizer '.' cannot be loaded: "),
        ("preview --text a --augmenter mlm --model ./absent", "The tokenizer './absent' cannot be loaded: "),
        ("preview --text a --augmenter a.csv", "a.csv cannot be read as JSON"),
        ("write a.csv b.txt", "b.txt ends in '.txt'; expected one of .csv, .jsonl, .parquet"),
        ("write a.csv absent/b.csv", "The folder absent of absent/b.csv does not exist"),
        ("write a.csv ../{name}/a.csv", "a.csv is also the input file"),
        ("write a.csv b.csv --column2 words", "a.csv has no column 'words'"),
        ("write a.csv b.csv --column label --column2 label", "column and column2 are both 'label'"),
        ("write a.csv b.csv --num_variants -1", "num_variants is -1"),
    ],
)
def test_error_is_one_line_that_says_what_is_wrong(argv, message, capsys, tmp_path):
    assert message in fails(capsys, *argv.format(name=tmp_path.name).split())
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([1], "expected an object with a class"),
        ({"class": "Synonyms"}, "The augmenter's class is 'Synonyms'; expected one of "),
        ({"class": "Substitution"}, "The augmenter's class is 'Substitution'; expected one of "),
        ({"class": "LexiconSubstitution", "words": {}, "k": 3}, "LexiconSubstitution has no k"),
        ({"class": "LexiconSubstitution", "words": {}, "replace_prob": 2}, "replace_prob is 2"),
        ({"class": "LexiconSubstitution"}, "words"),
    ],
)
def test_faulty_description_of_an_augmenter_is_refused(config, message, capsys):
    Path("augmenter.json").write_text(json.dumps(config))
    assert message in fails(capsys, "preview", "--text", "a", "--augmenter", "augmenter.json")


def test_description_takes_no_options_beside_it(capsys):
    Path("augmenter.json").write_text(json.dumps({"class": "LexiconSubstitution", "words": {}}))
    argv = ("preview", "--text", "a", "--augmenter", "augmenter.json", "--replace_prob", "0.5")
    assert "expected no replace_prob" in fails(capsys, *argv)


@pytest.mark.parametrize("column", ["example", "variant"])
def test_columns_that_write_adds_must_not_be_there(column, capsys):
    write_rows(Path("b.jsonl"), [{"text": "a", column: 1}])
    assert f"b.jsonl has a column {column!r}" in fails(capsys, "write", "b.jsonl", "c.jsonl")


def test_row_without_text_is_found_before_any_work(capsys, monkeypatch):
    write_rows(Path("b.jsonl"), [{"text": "a"}] * 5000 + [{"text": 7}])
    monkeypatch.setattr("augment.cli.commands.load_augmenter", lambda *args, **kwargs: pytest.fail("too early"))
    assert "b.jsonl, column 'text', row 5000 (from 0) is 7" in fails(capsys, "write", "b.jsonl", "c.jsonl")


@pytest.mark.parametrize("name", WITH_MODEL)
def test_model_without_weights_is_refused_in_one_line(name, tokenizer, capsys, synonyms):
    tokenizer.save_pretrained("model")
    BertConfig(vocab_size=len(tokenizer)).save_pretrained("model")
    assert "model" in fails(capsys, "write", "a.csv", "b.csv", "--augmenter", name, "--model", "model")
    assert not Path("b.csv.parts").exists()


def test_missing_wordnet_names_the_command_that_fetches_it(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("nltk.data.path", [])
    assert main(["preview", "--text", "a movie"]) == 1
    assert "python -m augment download" in capsys.readouterr().err


@pytest.mark.parametrize("argv", ["", "translate", "preview", "preview --text a --file a.csv", "stats a.csv --seed x"])
def test_invalid_arguments_exit_with_code_two(argv, capsys):
    with pytest.raises(SystemExit) as error:
        main(argv.split())
    assert error.value.code == 2
    assert "usage: python -m augment" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--augmenter", "--text", "--num_variants"])
def test_two_hyphens_are_no_value(capsys, option):
    with pytest.raises(SystemExit):
        main(["preview", f"{option}=--"])
    assert f"argument {option}: '--' is not a value" in capsys.readouterr().err
