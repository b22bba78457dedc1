import csv
import datetime
import json
import os
import sys
from pathlib import Path

import pandas
import pyarrow
import pytest
from conftest import SENTENCES, WORDS
from datasets import ClassLabel, Dataset, Features, List, Value, load_dataset
from files import write_rows
from pyarrow import parquet

from augment import LexiconSubstitution
from augment.__main__ import main
from augment.cli.output import ResumableWriter
from augment.core.tables import Table


ROWS = [{"text": text, "label": str(i % 2), "note": "NA"} for i, text in enumerate(SENTENCES)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The commands run in an empty folder, with parts of two rows and a file `augmenter` that describes one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("augment.cli.output.CHUNK", 2)
    Path("augmenter").write_text(json.dumps({"class": "LexiconSubstitution", "words": WORDS}))
    return tmp_path


def write(source: str, out: str, *options: str) -> int:
    return main(["write", source, out, "--augmenter", "augmenter", *options])


def write_all_parts(source: str, out: str) -> None:
    """Interrupts a command before it joins its parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResumableWriter, "finish", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        assert write(source, out) == 130


def files() -> set[str]:
    return {path.name for path in Path().iterdir()} - {"augmenter"}


@pytest.mark.parametrize("out", ["b.csv", "b.jsonl", "b.parquet"])
@pytest.mark.parametrize("source", ["a.csv", "a.json", "a.jsonl", "a.parquet"])
def test_every_format_becomes_every_other(source, out):
    write_rows(Path(source), ROWS)
    assert write(source, out, "--keep_original", "--num_variants", "2") == 0
    assert files() == {source, out}
    written = list(Table(out, ["text"]))
    assert list(written[0]) == ["text", "label", "note", "example", "variant"]
    number = str if out == "b.csv" else int
    for row in written:
        source_row = ROWS[int(row["example"])]
        assert isinstance(row["example"], number)
        assert (row["label"], row["note"]) == (source_row["label"], "NA")
        assert (row["text"] == source_row["text"]) == (int(row["variant"]) == 0)
    assert [int(row["example"]) for row in written if int(row["variant"]) == 0] == list(range(len(ROWS)))


def test_copies_are_left_out_and_counted_unless_they_are_kept(capsys):
    rows = [{"text": "the movie"}, {"text": "no way"}, {"text": "odd"}]
    write_rows(Path("a.jsonl"), rows)
    assert write("a.jsonl", "b.jsonl", "--num_variants", "3") == 0
    # Three words for "movie", none for "way", two for "odd".
    assert "5 rows of 3 examples. Of 9 variants, 4 were copies and left out." in capsys.readouterr().out
    written = list(Table("b.jsonl", ["text"]))
    assert [row["example"] for row in written] == [0, 0, 0, 2, 2]
    assert len({row["text"] for row in written}) == 5
    assert write("a.jsonl", "c.jsonl", "--num_variants", "3", "--keep_copies") == 0
    assert "9 rows of 3 examples. Of 9 variants, 4 were copies and kept." in capsys.readouterr().out
    assert [row["variant"] for row in Table("c.jsonl", ["text"])] == [1, 2, 3] * 3


def test_variants_that_are_alike_are_copies(monkeypatch, capsys):
    write_rows(Path("a.jsonl"), [{"text": "odd"}])
    monkeypatch.setattr(LexiconSubstitution, "augment_text", lambda *args: [["strange", "odd", "strange", "unusual"]])
    assert write("a.jsonl", "b.jsonl") == 0
    assert "2 were copies" in capsys.readouterr().out
    assert [(row["text"], row["variant"]) for row in Table("b.jsonl", ["text"])] == [("strange", 1), ("unusual", 4)]


def test_both_columns_of_a_pair_change_independently():
    write_rows(Path("a.jsonl"), [{"text": "movie", "other": "movie", "label": 1}] * 8)
    assert write("a.jsonl", "b.jsonl", "--column2", "other", "--num_variants", "2") == 0
    written = list(Table("b.jsonl", ["text"]))
    assert len(written) == 16 and all(row["label"] == 1 for row in written)
    assert all(row["text"] != "movie" != row["other"] for row in written)
    assert {row["text"] == row["other"] for row in written} == {True, False}


def test_variants_depend_on_the_row_and_not_on_the_parts(monkeypatch):
    write_rows(Path("a.csv"), ROWS)
    assert write("a.csv", "b.csv") == 0
    monkeypatch.setattr("augment.cli.output.CHUNK", 1000)
    assert write("a.csv", "c.csv") == 0
    assert Path("b.csv").read_bytes() == Path("c.csv").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_interrupted_write_resumes_where_it_stopped(suffix, monkeypatch, capsys):
    write_rows(Path("a.csv"), ROWS)
    assert write("a.csv", f"whole.{suffix}") == 0
    augment_text = LexiconSubstitution.augment_text
    calls, limit = [], 2

    def interrupted(self, texts, *args, **kwargs):
        if len(calls) == limit:
            raise KeyboardInterrupt
        calls.append(list(texts))
        return augment_text(self, texts, *args, **kwargs)

    monkeypatch.setattr(LexiconSubstitution, "augment_text", interrupted)
    capsys.readouterr()
    assert write("a.csv", f"b.{suffix}") == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to resume\n"
    assert f"b.{suffix}" not in files()
    Path(f"b.{suffix}.parts/000002.{suffix}").write_text("half a pa")  # as if it had been cut off while writing
    limit = None
    assert write("a.csv", f"b.{suffix}") == 0
    assert [text for texts in calls for text in texts] == SENTENCES
    assert Path(f"b.{suffix}").read_bytes() == Path(f"whole.{suffix}").read_bytes()
    assert files() == {"a.csv", f"b.{suffix}", f"whole.{suffix}"}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (["--seed", "1"], "seed"),
        (["--num_variants", "2"], "num_variants"),
        (["--keep_original"], "keep_original"),
        (["--column", "note"], "column"),
        ("input", "input"),
        ("augmenter", "augmenter"),
    ],
)
def test_parts_with_other_settings_are_refused_and_kept(change, difference, capsys):
    write_rows(Path("a.csv"), ROWS)
    write_all_parts("a.csv", "b.csv")
    parts = sorted(Path("b.csv.parts").iterdir())
    if change == "input":
        write_rows(Path("a.csv"), ROWS[::-1])
    elif change == "augmenter":
        Path("augmenter").write_text(json.dumps({"class": "LexiconSubstitution", "words": WORDS, "replace_prob": 0.9}))
    assert write("a.csv", "b.csv", *(change if isinstance(change, list) else [])) == 1
    assert f"different settings: {difference}." in capsys.readouterr().err
    assert sorted(Path("b.csv.parts").iterdir()) == parts and "b.csv" not in files()


def test_folder_of_someone_else_is_refused_and_kept(capsys):
    write_rows(Path("a.csv"), ROWS)
    Path("b.csv.parts").mkdir()
    Path("b.csv.parts/mine").write_text("")
    assert write("a.csv", "b.csv") == 1
    assert "The folder b.csv.parts already exists" in capsys.readouterr().err
    assert Path("b.csv.parts/mine").exists()


@pytest.mark.parametrize("removed", range(8))
def test_write_killed_while_removing_its_parts_starts_again(removed, monkeypatch):
    write_rows(Path("a.csv"), ROWS)
    assert write("a.csv", "whole.csv") == 0
    unlink, rmdir, count = os.unlink, os.rmdir, iter(range(100))

    def killed_before(remove):
        def wrapped(*args, **kwargs):
            if next(count) == removed:
                raise KeyboardInterrupt
            remove(*args, **kwargs)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killed_before(unlink))
        patch.setattr(os, "rmdir", killed_before(rmdir))
        write("a.csv", "b.csv")
    assert write("a.csv", "b.csv") == 0
    assert Path("b.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert files() == {"a.csv", "b.csv", "whole.csv"}


def test_folder_of_a_write_killed_before_its_first_part_is_used():
    write_rows(Path("a.csv"), ROWS)
    Path("b.csv.parts").mkdir()
    Path("b.csv.parts/manifest.json.0.tmp").touch()
    assert write("a.csv", "b.csv") == 0
    assert files() == {"a.csv", "b.csv"}


def test_existing_file_stays_until_the_new_one_is_complete(monkeypatch):
    write_rows(Path("a.csv"), ROWS)
    Path("b.csv").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(LexiconSubstitution, "augment_text", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        assert write("a.csv", "b.csv") == 130
    with Path("b.csv").open() as reader:
        assert write("a.csv", "b.csv") == 0
        assert reader.read() == "old"
    assert Path("b.csv").read_text().startswith("text,label,note,example,variant\n")


def test_parquet_keeps_types():
    schema = pyarrow.schema({"text": pyarrow.large_string(), "label": pyarrow.int8(), "when": pyarrow.date32()})
    rows = [{"text": text, "label": None, "when": datetime.date(2020, 2, 3)} for text in SENTENCES]
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), "a.parquet")
    assert write("a.parquet", "b.parquet") == 0
    added = pyarrow.schema({"example": pyarrow.int64(), "variant": pyarrow.int64()})
    assert parquet.read_schema("b.parquet") == pyarrow.unify_schemas([schema, added])
    assert write("a.parquet", "b.jsonl") == 0
    assert next(iter(Table("b.jsonl", ["text"])))["when"] == "2020-02-03"


CLASSES = Features({"text": Value("string"), "label": ClassLabel(names=["neg", "pos"])})
TAGS = Features(
    {"text": Value("string"), "label": List(ClassLabel(names=["a", "b"])), "group": ClassLabel(num_classes=2)}
)


@pytest.mark.parametrize(
    ("features", "labels"), [(CLASSES, {"label": 1}), (CLASSES, {"label": 0}), (TAGS, {"label": [1, 0], "group": 1})]
)
def test_parquet_keeps_the_feature_types_of_datasets(features, labels):
    Dataset.from_list([{"text": text, **labels} for text in SENTENCES], features=features).to_parquet("a.parquet")
    assert write("a.parquet", "b.parquet") == 0
    written = load_dataset("parquet", data_files="b.parquet", split="train", cache_dir="cache")
    assert written.features == {**features, "example": Value("int64"), "variant": Value("int64")}
    assert all(row[name] == label for row in written for name, label in labels.items())


@pytest.mark.parametrize("out", ["b.jsonl", "b.csv"])
def test_text_formats_have_the_names_of_classes(out):
    rows = [{"text": "odd", "label": label} for label in (0, 1, -1, None)]
    Dataset.from_list(rows, features=CLASSES).to_parquet("a.parquet")
    assert write("a.parquet", out, "--num_variants", "1") == 0
    none = None if out == "b.jsonl" else ""
    assert [row["label"] for row in Table(out)] == ["neg", "pos", none, none]


def test_lists_of_classes_have_their_names_in_json():
    rows = [{"text": "odd", "label": [1, 0], "group": 1}, {"text": "odd", "label": [], "group": None}]
    Dataset.from_list(rows, features=TAGS).to_parquet("a.parquet")
    assert write("a.parquet", "b.jsonl", "--num_variants", "1") == 0
    assert [(row["label"], row["group"]) for row in Table("b.jsonl")] == [(["b", "a"], "1"), ([], None)]


def test_parquet_of_pandas_is_read_by_pandas_with_its_new_rows():
    table = pandas.DataFrame({"text": SENTENCES, "label": pandas.Categorical(["y", *"x" * (len(SENTENCES) - 1)])})
    table.to_parquet("a.parquet")
    assert write("a.parquet", "b.parquet", "--keep_original") == 0
    written = pandas.read_parquet("b.parquet")
    assert len(written) > len(table) and set(written["label"].cat.categories) == {"x", "y"}


@pytest.mark.parametrize("out", ["b.csv", "b.jsonl", "b.parquet"])
def test_cells_of_a_csv_stay_as_they_are_written(out):
    cells = ["007", "1E2", "1.50", "2020-01-01", "", " 1"]
    write_rows(Path("a.csv"), [{"text": "odd", "label": cell} for cell in cells])
    assert write("a.csv", out, "--num_variants", "1") == 0
    assert [row["label"] for row in Table(out)] == cells


def test_parquet_takes_the_widest_type_of_its_parts_or_refuses_a_mixture(capsys):
    values = [None, None, 1, 2, 0.5, None]
    write_rows(Path("a.jsonl"), [{"text": "odd", "value": value} for value in values])
    assert write("a.jsonl", "b.parquet", "--num_variants", "1") == 0
    assert [row["value"] for row in Table("b.parquet", ["text"])] == values
    write_rows(Path("a.jsonl"), [{"text": "odd", "value": value} for value in [1, 1, "one", "two"]])
    assert write("a.jsonl", "c.parquet") == 1
    assert "A parquet file cannot hold these values" in capsys.readouterr().err


def test_values_that_are_no_text_are_json_in_csv():
    write_rows(Path("a.jsonl"), [{"text": "odd", "value": value} for value in (["é", 1], {"a": None}, None, True)])
    assert write("a.jsonl", "b.csv", "--num_variants", "1") == 0
    with open("b.csv", newline="", encoding="utf-8") as file:
        assert [row["value"] for row in csv.DictReader(file)] == ['["é", 1]', '{"a": null}', "", "True"]


def test_progress_bar_is_shown_only_on_terminals(monkeypatch, capsys):
    write_rows(Path("a.csv"), ROWS)
    for terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        assert write("a.csv", "b.csv") == 0
        assert ("rows" in capsys.readouterr().err) == terminal


def test_line_ends_and_quotation_marks_within_a_cell_survive_csv():
    texts = ["the movie\rran", "a film\nran", 'the "movie", a film', "a\r\nfilm"]
    write_rows(Path("a.jsonl"), [{"text": text} for text in texts])
    assert write("a.jsonl", "b.csv", "--keep_original", "--num_variants", "1") == 0
    assert [row["text"] for row in Table("b.csv", ["text"]) if row["variant"] == "0"] == texts


def test_a_failure_in_the_first_part_is_not_in_the_way(monkeypatch):
    write_rows(Path("a.jsonl"), ROWS)
    with monkeypatch.context() as patch:
        patch.setattr(ResumableWriter, "_write_part", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            write("a.jsonl", "b.jsonl")
    write_rows(Path("a.jsonl"), ROWS[:3])
    assert write("a.jsonl", "b.jsonl") == 0


def test_lost_parts_are_made_again():
    write_rows(Path("a.jsonl"), ROWS)
    write_all_parts("a.jsonl", "b.jsonl")
    next(Path("b.jsonl.parts").glob("000000*")).unlink()
    assert write("a.jsonl", "b.jsonl") == 0
    expected = Path("b.jsonl").read_bytes()
    assert write("a.jsonl", "c.jsonl") == 0 and Path("c.jsonl").read_bytes() == expected
