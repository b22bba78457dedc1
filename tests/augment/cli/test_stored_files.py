"""The commands read from a store, and write to it, as on disk."""

import json
from pathlib import Path

import pytest
from classifiers import make_classifier, save_classifier
from conftest import SENTENCES, WORDS
from files import upload, write_rows
from fsspec.implementations.memory import MemoryFileSystem
from generators import save_generator

from augment import LexiconSubstitution
from augment.__main__ import main
from augment.cli.output import ResumableWriter
from augment.core.storage import location


ROWS = [{"text": text, "label": i % 2} for i, text in enumerate(SENTENCES)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The commands run in a folder with rows in `a.jsonl`, with parts of two rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("augment.cli.output.CHUNK", 2)
    Path("augmenter").write_text(json.dumps({"class": "LexiconSubstitution", "words": WORDS}))
    write_rows(Path("a.jsonl"), ROWS)
    return tmp_path


def write(source: str, out: str, *options: str) -> int:
    return main(["write", source, out, "--augmenter", "augmenter", *options])


def names(url: str) -> list[str]:
    return sorted(path.name for path in location(url).iterdir())


@pytest.mark.parametrize(("source", "name"), [("a.csv", "b.jsonl"), ("a.jsonl", "b.parquet"), ("a.parquet", "b.csv")])
def test_write_makes_the_file_that_it_makes_on_disk(any_store, source, name, capsys):
    url = upload(write_rows(Path(source), ROWS), f"{any_store}/{source}")
    assert write(source, name) == 0
    line = capsys.readouterr().out
    assert write(url, f"{any_store}/{name}") == 0
    assert capsys.readouterr().out == line.replace(name, f"{any_store}/{name}", 1)
    assert location(f"{any_store}/{name}").read_bytes() == Path(name).read_bytes()
    assert names(any_store) == sorted([source, name])


def test_generate_makes_the_file_that_it_makes_on_disk(store):
    save_generator("gpt2", "model")
    options = ["--model", "model", "--max_new_tokens", "4", "--min_ratio", "0", "--num_variants", "1"]
    assert main(["generate", "a.jsonl", "b.jsonl", *options, "--cache_dir", "cache"]) == 0
    source = upload(Path("a.jsonl"), f"{store}/a.jsonl")
    assert main(["generate", source, f"{store}/b.jsonl", *options, "--cache_dir", f"{store}/cache"]) == 0
    assert location(f"{store}/b.jsonl").read_bytes() == Path("b.jsonl").read_bytes()
    (stored,), (local,) = location(f"{store}/cache").iterdir(), Path("cache").iterdir()
    assert (stored / "part-00000.json").read_bytes() == (local / "part-00000.json").read_bytes()


def test_filter_makes_the_file_that_it_makes_on_disk(store, tokenizer):
    save_classifier(make_classifier(tokenizer, "0", "1"), tokenizer, "model")
    assert write("a.jsonl", "v.jsonl", "--keep_original") == 0
    options = ["--model", "model", "--variants_column", "variant"]
    assert main(["filter", "v.jsonl", "b.jsonl", *options]) == 0
    assert main(["filter", upload(Path("v.jsonl"), f"{store}/v.jsonl"), f"{store}/b.jsonl", *options]) == 0
    assert location(f"{store}/b.jsonl").read_bytes() == Path("b.jsonl").read_bytes()


@pytest.mark.parametrize("command", [["preview", "--file"], ["stats"]])
def test_what_is_shown_of_a_file_in_a_store_is_what_is_shown_of_the_one_on_disk(store, command, capsys):
    assert main([*command, "a.jsonl", "--augmenter", "augmenter"]) == 0
    shown = capsys.readouterr().out
    url = upload(Path("a.jsonl"), f"{store}/a.jsonl")
    assert main([*command, url, "--augmenter", "augmenter"]) == 0
    assert capsys.readouterr().out.replace(url, "a.jsonl") == shown


@pytest.mark.parametrize("name", ["b.csv", "b.parquet"])
def test_an_interrupted_command_resumes_from_the_parts_in_the_store(any_store, name, monkeypatch):
    assert write("a.jsonl", name) == 0
    augment_text, num_left = LexiconSubstitution.augment_text, 3

    def limited(self, *arguments):
        nonlocal num_left
        if num_left == 0:
            raise KeyboardInterrupt
        num_left -= 1
        return augment_text(self, *arguments)

    monkeypatch.setattr(LexiconSubstitution, "augment_text", limited)
    out = f"{any_store}/{name}"
    assert write("a.jsonl", out) == 130
    assert names(any_store) == [f"{name}.parts"] and len(names(f"{out}.parts")) == 3 + 1
    num_left = 2  # of the five parts
    assert write("a.jsonl", out) == 0
    assert location(out).read_bytes() == Path(name).read_bytes() and names(any_store) == [name]


def test_parts_with_other_settings_are_refused_and_kept(store, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(ResumableWriter, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        assert write("a.jsonl", f"{store}/b.csv") == 130
    parts = names(f"{store}/b.csv.parts")
    assert write("a.jsonl", f"{store}/b.csv", "--seed", "1") == 1
    assert f"{store}/b.csv.parts contains parts of b.csv from a command with different settings: seed" in (
        capsys.readouterr().err
    )
    assert names(f"{store}/b.csv.parts") == parts and names(store) == ["b.csv.parts"]


def test_an_upload_that_fails_leaves_the_old_file_and_resumes(store, monkeypatch, capsys):
    out = upload(b"old", f"{store}/b.csv")
    put_file = MemoryFileSystem.put_file

    def failing(self, source, target, *arguments, **options):
        if target.endswith("b.csv"):
            raise Exception("Connection lost\nsome trace")  # a class of no builtin kind
        return put_file(self, source, target, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", failing)
        assert write("a.jsonl", out) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {out} cannot be written: Connection lost"
    assert location(out).read_bytes() == b"old"
    monkeypatch.setattr(LexiconSubstitution, "augment_text", None)  # all parts are there
    assert write("a.jsonl", out) == 0
    assert location(out).read_bytes() != b"old" and names(store) == ["b.csv"]


def test_the_input_is_not_overwritten(store, capsys):
    url = upload(Path("a.jsonl"), f"{store}/a.jsonl")
    assert write(url, url) == 1
    assert capsys.readouterr().err == f"error: {url} is also the input file; expected another name.\n"
    assert write(url, f"{store}/b.txt") == 1 and "b.txt ends in '.txt'" in capsys.readouterr().err
    upload(b"", f"{store}/b.csv/file")
    assert write(url, f"{store}/b.csv") == 1 and "b.csv is a folder" in capsys.readouterr().err


def test_a_store_that_takes_no_files_is_an_error_before_any_work(store, monkeypatch, capsys):
    def refuse(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(MemoryFileSystem, "_open", refuse)
    monkeypatch.setattr("augment.cli.commands._augmenter", None)
    assert write("a.jsonl", f"{store}/b.csv") == 1
    assert capsys.readouterr().err == f"error: {store}/b.csv cannot be written: Access Denied\n"


@pytest.mark.integration
def test_a_bucket_that_is_absent_is_named(bucket, capsys):
    assert write(f"{bucket}-absent/a.csv", "b.csv") == 1
    assert capsys.readouterr().err == f"error: {bucket}-absent/a.csv does not exist.\n"
    assert write("a.jsonl", f"{bucket}-absent/b.csv") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {bucket}-absent/b.csv cannot be written: The specified bucket does not exist")


def test_an_unknown_store_is_named(capsys):
    assert write("nosuch://a/a.csv", "b.csv") == 1
    assert capsys.readouterr().err.startswith("error: nosuch://a/a.csv cannot be opened: ")
