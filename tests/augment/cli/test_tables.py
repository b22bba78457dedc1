import pytest
from files import write_rows

from augment.cli.tables import Table


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
    summary = table.summary()
    assert (summary.num_rows, summary.columns) == (3, ["text", "label", "note"])
    assert summary.number_types == ({"label": int} if name == "a.csv" else {})


def test_tsv_has_no_quotation(tmp_path):
    (tmp_path / "a.tsv").write_text('text\tlabel\n"so it begins\t1\nso-called "movie"\t0\n')
    rows = list(Table(tmp_path / "a.tsv", ["text"]))
    assert rows == [{"text": '"so it begins', "label": "1"}, {"text": 'so-called "movie"', "label": "0"}]


def test_byte_order_marks_and_blank_lines_are_no_content(tmp_path):
    (tmp_path / "a.csv").write_text("\ufefftext\n\none\n\n", encoding="utf-8")
    (tmp_path / "a.jsonl").write_text('\ufeff{"text": "one"}\n\n', encoding="utf-8")
    assert [list(Table(tmp_path / name, ["text"])) for name in ("a.csv", "a.jsonl")] == [[{"text": "one"}]] * 2


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-20"], int),
        (["1", "2.50"], float),
        (["1", ""], str),
        (["1", "1e5"], str),
        (["01", "2"], str),
        (["1", "1_000"], str),
        (["9" * 30], str),
        (["nan"], str),
    ],
)
def test_columns_of_numbers_are_those_that_a_number_can_stand_for(tmp_path, cells, kind):
    path = write_rows(tmp_path / "a.csv", [{"text": "1", "value": cell} for cell in cells])
    assert Table(path, ["text"]).summary().number_types == ({} if kind is str else {"value": kind})


def test_columns_are_those_of_all_rows(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [{"text": "a"}, {"text": "b", "label": 1}])
    assert Table(path, ["text"]).summary().columns == ["text", "label"]


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
        ("a.csv", b"text\n\xff\n", "a.csv cannot be read: .*utf-8"),
        ("a.csv", "text,label\na,1\nb\n", r"a.csv cannot be read: row 1 \(from 0\) has 1 cells, the header 2"),
        ("a.csv", 'text\na\n"b\n', r"a.csv cannot be read: row 1 \(from 0\): unexpected end of data"),
        ("a.csv", "text,text\na,b\n", "a.csv cannot be read: two of its columns"),
        ("a.csv", "sentence,label\na,1\n", "a.csv has no column 'text'; its columns are 'sentence', 'label'"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "a.jsonl cannot be read: line 2, character"),
        ("a.jsonl", '{"text": "a"}\n3\n', r"a.jsonl cannot be read: row 1 \(from 0\) is 3; expected an object"),
        ("a.json", '[{"text": "a"}', "a.json cannot be read"),
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


def test_files_that_are_not_there_are_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, message in (("absent.csv", "does not exist"), ("folder.csv", "is not a file")):
        with pytest.raises(FileNotFoundError, match=message):
            Table(tmp_path / name, ["text"])
