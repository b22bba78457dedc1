"""Files and columns that are damaged or not what they seem: refused in a line that names place and remedy."""

import json
import logging
import re
from unittest.mock import Mock

import pytest
from conftest import reviews

from hf_mmel.cli.run import UsageError


HEADER = "text,label\n"
FRACTIONS = HEADER + "a,0.5\nb,0.7\nc,{}\nd,0.2\n"


@pytest.fixture(autouse=True)
def no_model(monkeypatch):
    monkeypatch.setattr("hf_mmel.cli.run.load_model", Mock(side_effect=AssertionError("a model was loaded")))


@pytest.fixture
def refused(run, tmp_path):
    """Trains on a file of this name and content, and returns the line that this ends with."""

    def refused(name, content, *options):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        with pytest.raises(UsageError) as error:
            run("--train_file", tmp_path / name, "--do_train", *options)
        assert "\n" not in str(error.value)
        return str(error.value)

    return refused


@pytest.fixture
def accepted(run, tmp_path, monkeypatch):
    """Trains on a file of this name and content until the model would be loaded, and returns what it should be."""

    def accepted(name, content, *options):
        (tmp_path / name).write_text(content)
        loading = Mock(side_effect=ZeroDivisionError)
        monkeypatch.setattr("hf_mmel.cli.run.load_model", loading)
        with pytest.raises(ZeroDivisionError):
            run("--train_file", tmp_path / name, "--do_train", *options)
        return loading.call_args.args[1]

    return accepted


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("label", ["oops", "NaN", "n/a"])
def test_a_number_that_is_none_does_not_make_classes_of_the_others(refused, label):
    message = refused("bad.csv", FRACTIONS.format(label))
    assert f"bad.csv: column 'label' has the label '{label}' in row 2 (the first is 0), but most labels are" in message
    assert "pass --no_do_regression" in message


def test_a_nan_is_no_class_among_whole_numbers(refused):
    message = refused("bad.csv", HEADER + "a,0\nb,1\nc,1\nd,NaN\n")
    assert "column 'label' has the label 'NaN' in row 3" in message


def test_numbers_and_names_may_be_classes(accepted):
    config = accepted("a.csv", FRACTIONS.format("oops"), "--no_do_regression")
    assert set(config.label2id) == {"0.2", "0.5", "0.7", "oops"}
    assert set(accepted("b.csv", HEADER + "a,0\nb,1\nc,1\nd,other\n").label2id) == {"0", "1", "other"}
    assert set(accepted("c.csv", HEADER + "a,v1.5\nb,v2.0\nc,1.5\n").label2id) == {"v1.5", "v2.0", "1.5"}


@pytest.mark.parametrize(("label", "fault"), [("oops", "the label 'oops'"), ("", "no label")])
def test_a_label_of_another_type_far_down_is_named(refused, label, fault):
    rows = "".join(f"a,{i % 4 / 4}\n" for i in range(10_001))
    message = refused("bad.csv", f"{HEADER}{rows}b,{label}\n")
    assert f"column 'label' has {fault} in row 10001 (the first is 0)" in message


def test_a_label_of_another_type_far_down_a_json_file_is_named(refused):
    rows = [{"text": "a", "label": i % 2} for i in range(11_000)]  # types are inferred from 10,000 rows at a time
    message = refused("bad.jsonl", lines(*rows, {"text": "b", "label": "x"}))
    assert (
        "column 'label' holds 'x' in row 11000 (the first is 0), which is a string, but a number in row 0" in message
    )


def test_classes_that_look_the_same_are_warned_of(accepted, caplog):
    accepted("alike.csv", HEADER + "a, x\nb,X\nc,y\n")
    assert "has the classes ' x', 'X', which differ only in spaces or case" in caplog.text


def test_the_labels_are_no_text(refused):
    message = refused("a.csv", HEADER + "a,x\nb,y\n", "--text_column_names", "text,label")
    assert "text_column_names has 'label', which is the column of the labels" in message


def test_a_class_for_nearly_every_row_is_warned_of(accepted, caplog):
    accepted("ids.csv", HEADER + "".join(f"a,id{i}\n" for i in range(30)))
    assert "column 'label' has 30 classes in 30 rows" in caplog.text


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x", "y", 1], "column 'label' holds 1 in row 2 (the first is 0), which is a number, but a string in row 0"),
        ([["x"], "y"], "holds 'y' in row 1 (the first is 0), which is a string, but a list with a string in row 0"),
        (
            [["x"], [], ["y", 1]],
            "holds ['y', 1] in row 2 (the first is 0), which is a list with a number and a str",
        ),
    ],
)
@pytest.mark.parametrize("name", ["bad.json", "bad.jsonl"])
def test_labels_of_mixed_types_are_named_by_their_row(refused, name, labels, message):
    rows = [{"text": "a", "label": label} for label in labels]
    assert message in refused(name, json.dumps(rows) if name == "bad.json" else lines(*rows))


def test_texts_of_mixed_types_are_named_by_their_row(refused):
    message = refused("bad.jsonl", lines({"text": "a", "label": 0}, {"text": 3, "label": 1}))
    assert "column 'text' holds 3 in row 1 (the first is 0), which is a number, but a string in row 0" in message


LATIN = "text,label\ngood,0\ncafé,1\n".encode("latin-1")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.csv", LATIN, "bad.csv is not text in UTF-8: line 3 has the byte 0xe9.* iconv -f WINDOWS-1252 -t UTF-8"),
        (
            "bad.jsonl",
            '{"text": "café", "label": 0}'.encode("latin-1"),
            "UTF-8: line 1 has .* 0xe9.*_utf8.jsonl",
        ),
        ("bad.csv", LATIN.decode("latin-1").encode("utf-16"), "bad.csv is in UTF-16; .* iconv -f UTF-16 -t UTF-8"),
        ("bad.csv", HEADER + "a\0b,0\nc,1\n", "bad.csv is not text: line 2 has a zero byte"),
        ("bad.csv", "text;label\na, b;0\nc;1\n", r"separated by semicolons; .*read_csv\('.*bad.csv', sep=';'"),
        ("bad.csv", "text\tlabel\na\t0\nb\t1\n", r"separated by tabs; .*read_csv\('.*bad.csv', sep='\\t'"),
        ("bad.csv", HEADER + "a,0\nb, c,1\n", r"bad.csv cannot be read: row 1 \(from 0\) has 3 cells.*double quotes"),
        ("bad.csv", HEADER + "a, b,0\nb, c,1\n", r"bad.csv cannot be read: row 0 \(from 0\) has 3 cells"),
        ("bad.csv", HEADER + 'a,0\n"b,1\nc,1\n', r"bad.csv cannot be read: row 1 \(from 0\): unexpected end.*quotes"),
        ("bad.csv", "\n\n", "bad.csv has no rows"),
        ("bad.jsonl", '{"text": "a", "label": 0}\n{"text": "b"\n', "bad.jsonl cannot be read: line 2, character"),
        ("bad.jsonl", '{"text": "a", "label": 0}\n3\n', "bad.jsonl cannot be read: line 2 is 3; expected"),
        ("bad.json", "{not json", "bad.json cannot be read: line 1, character 1: .*Write one object on each line"),
        ("bad.json", '[{"text": "a"}, {"text": ]', "bad.json cannot be read: .* line 1 column"),
        ("bad.parquet", "no parquet", "bad.parquet cannot be read: Parquet magic bytes not found"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(refused, caplog, name, content, message):
    assert re.search(message, refused(name, content))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]  # one line, not two


@pytest.mark.parametrize("separator", [";", "\t"])
def test_the_remedy_for_other_separators_is_a_command_that_works(refused, accepted, tmp_path, separator):
    content = f'text{separator}label\n"a, b"{separator}0\nnull{separator}1\n'
    command = refused("bad.csv", content).split("python -c ")[1]
    assert command[0] == command[-1] == '"'
    exec(command[1:-1])
    assert (tmp_path / "bad_commas.csv").read_text() == 'text,label\n"a, b",0\nnull,1\n'


def test_a_byte_order_mark_and_windows_lines_are_read(accepted):
    assert set(accepted("bom.csv", "\ufefftext,label\r\na,x\r\nb,y\r\n").label2id) == {"x", "y"}


@pytest.mark.parametrize(
    ("name", "text"), [("long.csv", "good " * 200_000), ("long.jsonl", "x" * 1_000_000)], ids=["words", "one word"]
)
def test_a_text_of_a_million_characters_is_cut(accepted, name, text):
    rows = [{"text": "a film", "label": "b"}, {"text": text, "label": "a"}]
    content = lines(*rows) if name.endswith("jsonl") else f"text,label\na film,b\n{text},a\n"
    assert accepted(name, content).label2id == {"a": 0, "b": 1}


def test_a_nul_character_is_text_like_any_other_where_it_is_escaped(accepted):
    rows = [{"text": "a \x00 film", "label": "b"}, {"text": "\x00", "label": "a"}]
    assert accepted("nul.jsonl", lines(*rows)).label2id == {"a": 0, "b": 1}


def test_two_columns_of_one_name_are_refused(refused):
    message = refused("twice.csv", "text,label,label\na,0,x\nb,1,y\n")
    assert "twice.csv cannot be read: two of its columns have the same name: 'label'" in message


@pytest.mark.parametrize("column", ["text", "label"])
def test_rows_that_are_not_used_may_be_without_text_or_label(accepted, refused, column):
    rows = [*reviews(num_examples=4), {"text": "a", "label": "rare"}, {"text": "b", "label": "bad", column: None}]
    config = accepted("late.json", json.dumps(rows), "--max_train_samples", 4)
    assert set(config.label2id) == {"bad", "good", "rare"}  # whatever the limit, so that runs can be compared
    options = ["--max_train_samples", 4, "--shuffle_train_dataset"]  # any row may be used
    assert f"column {column!r} has no {column} in row 5" in refused("late.json", json.dumps(rows), *options)


@pytest.mark.parametrize("folder", ["r[1]", "*", "plain"])
@pytest.mark.parametrize("name", ["train[1].csv", "train*.csv", "?rain.csv"])
def test_a_file_is_read_by_its_name_and_not_as_a_pattern(accepted, tmp_path, monkeypatch, folder, name):
    for other in ("r1", folder):
        (tmp_path / other).mkdir()
        for file in ("train1.csv", "train.csv"):
            (tmp_path / other / file).write_text(f"{HEADER}a,wrong\nb,file\n")
    monkeypatch.chdir(tmp_path / folder)
    for named in (tmp_path / folder / name, name):
        config = accepted(f"{folder}/{name}", f"{HEADER}a,the\nb,one\n", "--train_file", named)
        assert set(config.label2id) == {"the", "one"}


def test_a_folder_of_data_whose_name_would_be_read_as_a_pattern_is_refused(run, tmp_path, monkeypatch):
    for name in ("d1", "d[1]"):
        (tmp_path / name / "data").mkdir(parents=True)
        (tmp_path / name / "data" / "train.csv").write_text(f"{HEADER}a,0\nb,1\n")
    expected = r"d\[1\].*whose name has \* \? or \[.*rename it"
    with pytest.raises(UsageError, match=expected):
        run("--dataset_name", tmp_path / "d[1]", "--do_train")
    monkeypatch.chdir(tmp_path / "d[1]")
    with pytest.raises(UsageError, match=expected):
        run("--dataset_name", "data", "--do_train")


def test_a_file_is_no_data_set(run, write):
    with pytest.raises(UsageError, match=r"train.csv', which is a file; pass it as --train_file"):
        run("--dataset_name", write("train.csv", reviews()), "--do_train")


def test_a_column_of_nothing_has_no_text(refused):
    assert "column 'text' has no text in row 0" in refused("a.jsonl", lines({"text": None, "label": "x"}))


def test_long_names_of_classes_are_cut(refused, write):
    val = write("val.json", [{"text": "a", "label": "z"}])
    message = refused("a.csv", f"{HEADER}a,{'x' * 999}\nb,y\n", "--validation_file", val, "--do_eval")
    assert f"has the label 'z' in row 0 (the first is 0); expected one of {'x' * 50}, y." in message


def test_a_folder_without_a_tokenizer_is_refused(refused, model_dir, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_bytes((model_dir / "config.json").read_bytes())
    message = refused("a.csv", HEADER + "a,0\nb,1\n", "--model_name_or_path", tmp_path / "model")
    assert "model has no tokenizer; name one that goes with the model with --tokenizer_name" in message


MANY = {f"column {i}": i for i in range(2000)}


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (json.dumps({"text": MANY, "label": MANY}), []),
        (json.dumps({"body": "a", **MANY}), []),
        (lines({"text": MANY, "label": "x"}, {"text": MANY, "label": "y"}), []),
        (lines({"text": "a", "label": MANY}, {"text": "a", "label": MANY}), []),
        (lines({"text": "a", "label": "x" * 10**6}, {"text": "a", "label": ["y" * 10**6]}), []),
        (lines({"text": "a", "label": "x" * 10**6}), ["--do_regression"]),
        (lines({"text": "a" * 10**6, "label": "x"}, {"text": 3, "label": "y"}), []),
        ('{"text": "a", "' + "b" * 10**6 + '": 1, "' + "b" * 10**6 + '": 1}\n', []),
        ("[" + "3, " * 10**5 + "3]", []),
    ],
)
def test_every_refusal_fits_a_screen(refused, content, options):
    assert len(refused("a.json", content, *options)) < 1300


def test_a_long_message_keeps_its_end():
    message = str(UsageError(f"{'many words ' * 10_000}\nPass --train_file."))
    assert len(message) < 1300 and "\n" not in message and message.endswith("Pass --train_file.")
