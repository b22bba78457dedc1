import json

import pandas
import pytest
from files import write_rows

from augment.core.tables import Table


ROWS = [
    {"text": 'He said "NA", twice', "label": "1", "note": ""},
    {"text": "null", "label": "0", "note": "007"},
    {"text": "two\nlines, naïve", "label": "-12", "note": "nan"},
]


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.parquet"])
def test_rows_are_read_as_they_stand(tmp_path, name):
    table = Table(write_rows(tmp_path / name, ROWS), ["text"])
    assert list(table) == ROWS == list(table)
    assert [len(chunk) for chunk in table.chunks(2)] == [2, 1]
    assert table.scan() == (3, ["text", "label", "note"])


def test_tsv_has_no_quotation(tmp_path):
    (tmp_path / "a.tsv").write_text('text\tlabel\n"so it begins\t1\nso-called "movie"\t0\n')
    rows = list(Table(tmp_path / "a.tsv", ["text"]))
    assert rows == [{"text": '"so it begins', "label": "1"}, {"text": 'so-called "movie"', "label": "0"}]


def test_byte_order_marks_and_blank_lines_are_no_content(tmp_path):
    (tmp_path / "a.csv").write_text("\ufefftext\n\none\n\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('\ufeff{"text": "one"}\n\n', encoding="utf-8")
    assert [list(Table(tmp_path / name, ["text"])) for name in ("a.csv", "a.jsonl")] == [[{"text": "one"}]] * 2


def test_columns_are_those_of_all_rows(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b", "label": 1}])
    assert Table(path).scan() == (2, ["text", "label"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "text\n", "a.txt ends in '.txt'; expected one of .csv"),
        ("a.csv", "", "a.csv has no rows"),
        ("a.csv", "text\n", "a.csv has no rows"),
        ("a.jsonl", "\n", "a.jsonl has no rows"),
        ("a.json", "[]", "a.json has no rows"),
        ("a.parquet", "", "a.parquet cannot be read"),
        ("a.parquet", "no parquet", "a.parquet cannot be read"),
        ("a.parquet", b"PAR1" + bytes(8) + b"\x08\0\0\0PAR1", "a.parquet cannot be read: Couldn't deserialize"),
        ("a.csv", b"text\n\xff\n", "a.csv is not text in UTF-8: line 2 has the byte 0xff"),
        ("a.csv", "text,label\na,1\nb\n", r"a.csv cannot be read: row 1 \(from 0\) has 1 cells, the header 2"),
        ("a.csv", 'text\na\n"b\n', r"a.csv cannot be read: row 1 \(from 0\): unexpected end of data"),
        ("a.csv", "text,text\na,b\n", "a.csv cannot be read: two of its columns"),
        ("a.csv", "sentence,label\na,1\n", "a.csv has no column 'text'; its columns are 'sentence', 'label'"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "a.jsonl cannot be read: line 2, character"),
        ("a.jsonl", '{"text": "a"}\n3\n', "a.jsonl cannot be read: line 2 is 3; expected an object"),
        ("a.json", '[{"text": "a"}', "a.json cannot be read"),
        ("a.json", '{"text": "a"}\n{"text": "b", "text": "c"}', "a.json cannot be read: .* has the key 'text' twice"),
        ("a.json", '{"text":\n "a"}\n{"text":\n', "a.json cannot be read: Expecting value: line 4"),
        ("a.jsonl", '{"text": "a", "x": ' + "[" * 200 + "]" * 200 + "}", "line 1 nests lists .* more than 100 deep"),
        ("a.csv", "text;label\na, b;0\n", r"separated by semicolons; expected commas.*read_csv\('.*', sep=';'"),
        ("a.csv", "text|label\na|0\n", "separated by vertical bars; expected commas"),
        ("a.tsv", "text;label\na;0\n", "separated by semicolons; expected tabs"),
        ("a.csv", "# by us\ntext,label\na,0\n", r"row 0 \(from 0\) has 2 cells, the header 1"),
        ("a.csv", "text,label\n'a, b',0\n", r"row 0 \(from 0\) has 3 cells, the header 2.*double quotes"),
        ("a.csv", "text\na\n".encode("utf-16"), "a.csv is in UTF-16; convert it"),
        ("a.csv", "text\na\0b\n", "a.csv is not text: line 2 has a zero byte"),
        ("a.jsonl", '{"text": "a"}\n{"text": 5}\n', r"a.jsonl, column 'text', row 1 \(from 0\) is 5; expected text"),
        ("a.jsonl", '{"text": "a"}\n{"text": null}\n', "row 1 .* is None; expected text"),
        ("a.jsonl", '{"text": "a"}\n{"label": 1}\n', "row 1 .* is None; expected text"),
        ("a.jsonl", '{"text": "a"}\n{"text": "\\ud800"}\n', "row 1 .* expected text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        list(Table(tmp_path / name, ["text"]))


@pytest.mark.parametrize(
    "text", [r'"so \"good\" a film"', r'"so \"good, dull\""', r'"good \""', r'"\"good\""', r'"\"\", he said"']
)
@pytest.mark.parametrize("num_rows", [1, 2, 3])
def test_quotation_marks_after_backslashes_are_never_misread(tmp_path, text, num_rows):
    (tmp_path / "a.csv").write_text("text,label\n" + f"{text},0\n" * num_rows)
    with pytest.raises(ValueError, match=r'a.csv cannot be read: row 0 .*write a quotation mark as "", not as \\"'):
        list(Table(tmp_path / "a.csv"))


ROW = {"text": "a film", "label": "01"}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.CSV", "text,label\na film,01\n", ROW),
        ("a.csv", "text,label\ra film,01\r", ROW),
        ("a.csv", "sep=,\ntext,label\na film,01\n", ROW),
        ("a.csv", "\n\ntext,label\n\na film,01\n\n", ROW),
        ("a.csv", '\ufeff"text","label"\r\n"a film","01"\r\n', ROW),
        ("a.csv", ",text,label,,\n7,a film,01,,\n", {"Unnamed: 0": "7", **ROW, "Unnamed: 3": "", "Unnamed: 4": ""}),
        ("a.tsv", "text\tlabel\na film\t01\n", ROW),
        ("a.json", json.dumps(ROW, indent=2), ROW),
        ("a.jsonl", json.dumps(ROW), ROW),
    ],
)
def test_dialects_of_other_programs_are_read(tmp_path, name, content, expected):
    (tmp_path / name).write_bytes(content.encode())
    assert list(Table(tmp_path / name, ["text"])) == [expected]


@pytest.mark.parametrize("indent", [None, 2])
def test_objects_may_take_several_lines(tmp_path, indent):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(row, indent=indent) for row in ROWS))
    assert list(Table(tmp_path / "a.jsonl", ["text"])) == ROWS


@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "lists", "data"])
def test_an_object_of_columns_is_no_row(tmp_path, orient):
    if orient == "lists":
        value = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    elif orient == "data":
        value = {"version": 1, "data": ROWS}
    else:
        value = json.loads(pandas.DataFrame(ROWS * 1000).to_json(orient=orient))
    (tmp_path / "a.json").write_text(json.dumps(value))
    with pytest.raises(
        ValueError, match=r"a.json is one object with the keys '.*; expected a list of objects"
    ) as error:
        Table(tmp_path / "a.json")
    assert len(str(error.value)) < 1000


def test_files_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, message in (("absent.csv", "does not exist"), ("folder.csv", "is not a file")):
        with pytest.raises(FileNotFoundError, match=message):
            Table(tmp_path / name, ["text"])
