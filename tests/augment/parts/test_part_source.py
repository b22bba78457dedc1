"""The rows of one or more files, from any number on."""

import json
import pickle
from dataclasses import replace
from datetime import date
from uuid import uuid4

import pyarrow
import pytest
from files import upload, write_rows
from fsspec.implementations.memory import MemoryFileSystem
from part_jobs import ROWS
from pyarrow import parquet

from augment.core.storage import location
from augment.core.tables import Table
from augment.parts import source as source_module
from augment.parts.source import Source


def split(folder, suffix, counts=(5, 1, 14, 7)):
    """The rows in several files."""
    first = 0
    for number, count in enumerate(counts):
        write_rows(folder / f"rows-{number}{suffix}", ROWS[first : first + count])
        first += count
    return folder


def expected(suffix):
    return [{"text": row["text"], "label": str(row["label"])} if suffix == ".csv" else row for row in ROWS]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
def test_rows_are_numbered_through_all_files(tmp_path, suffix):
    source = Source(str(split(tmp_path, suffix)), ["text"])
    rows = expected(suffix)
    assert source.num_rows == len(rows) and source.columns == ["text", "label"]
    for first, stop in [(0, 27), (3, 9), (9, 10), (10, 20), (25, 27), (0, 1), (20, 27), (6, 6)]:
        assert list(source.rows(first, stop)) == rows[first:stop]


@pytest.mark.parametrize("name", ["{}", "{}/", "{}/*.jsonl", "{}/rows-?.jsonl", "{}/../*/rows-[0-9].jsonl"])
def test_a_folder_and_a_pattern_name_the_same_files(tmp_path, name):
    folder = tmp_path / "data"
    folder.mkdir()
    source = Source(name.format(split(folder, ".jsonl")), ["text"])
    assert [file.path.name for file in source.files] == [f"rows-{i}.jsonl" for i in range(4)]
    assert list(source.rows(0, source.num_rows)) == ROWS


def test_a_file_whose_name_has_a_bracket_is_no_pattern(tmp_path):
    write_rows(tmp_path / "rows[1].jsonl", ROWS)
    assert Source(str(tmp_path / "rows[1].jsonl"), ["text"]).num_rows == len(ROWS)


def test_parquet_files_may_be_in_a_store(tmp_path):
    store = f"memory://{uuid4().hex}"
    for path in split(tmp_path, ".parquet").iterdir():
        location(f"{store}/{path.name}").write_bytes(path.read_bytes())
    for name in (store, f"{store}/*.parquet"):
        assert list(Source(name, ["text"]).rows(4, 23)) == ROWS[4:23]


def test_files_of_several_folders_have_the_same_order_in_a_store(tmp_path):
    store = f"memory://{uuid4().hex}"
    for number, name in enumerate(["a", "a-b", "a.b", "a0"]):
        (tmp_path / name).mkdir()
        upload(write_rows(tmp_path / name / "x.jsonl", ROWS[5 * number : 5 * number + 5]), f"{store}/{name}/x.jsonl")
    for folder in (tmp_path, store):
        assert list(Source(f"{folder}/*/*.jsonl", ["text"]).rows(0, 20)) == ROWS[:20]


def test_of_parquet_only_the_row_groups_of_the_rows_are_read(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=4)
    read = []
    iter_batches = parquet.ParquetFile.iter_batches
    monkeypatch.setattr(
        parquet.ParquetFile,
        "iter_batches",
        lambda self, size, row_groups: read.append(row_groups[0]) or iter_batches(self, size, row_groups),
    )
    source = Source(str(path), ["text"])
    assert not read
    assert list(source.rows(9, 12)) == ROWS[9:12] and list(source.rows(12, 14)) == ROWS[12:14]
    assert read == [2]  # the second range goes on where the first one ended
    assert list(source.rows(21, 22)) == ROWS[21:22]
    assert read == [2, 5]


def test_ranges_in_order_read_a_text_file_once(tmp_path, monkeypatch):
    source = Source(str(write_rows(tmp_path / "a.jsonl", ROWS)), ["text"])
    opened = []
    rows = Table._rows
    monkeypatch.setattr(Table, "__iter__", lambda self: opened.append(self.path) or rows(self))
    found = [list(source.rows(first, first + 3)) for first in (0, 3, 9, 21)]
    assert found == [ROWS[first : first + 3] for first in (0, 3, 9, 21)] and len(opened) == 1
    assert list(source.rows(3, 4)) == ROWS[3:4] and len(opened) == 2


def test_a_pickle_is_small_and_reads_the_same_rows(tmp_path):
    source = Source(str(split(tmp_path, ".parquet")), ["text"])
    next(source.rows(3, 5))
    copy = pickle.loads(pickle.dumps(source))
    assert list(copy.rows(3, 25)) == ROWS[3:25] and len(pickle.dumps(source)) < 3000


def test_types_of_json_are_those_of_all_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(source_module, "_BATCH", 1)
    (tmp_path / "a.jsonl").write_text('{"text": "a", "x": null}\n{"text": "b", "x": 1, "z": true}\n')
    (tmp_path / "b.jsonl").write_text('{"text": "c", "x": 0.5, "y": ["d"]}\n')
    schema = Source(str(tmp_path), ["text"]).schema
    assert schema == pyarrow.schema(
        {
            "text": pyarrow.string(),
            "x": pyarrow.float64(),
            "z": pyarrow.bool_(),
            "y": pyarrow.list_(pyarrow.string()),
        }
    )


def test_an_empty_file_among_parquet_files_is_passed_over(tmp_path):
    table = pyarrow.Table.from_pylist(ROWS)
    for number, part in enumerate([table[:0], table[:3], table[:0], table[3:], table[:0]]):
        parquet.write_table(part, tmp_path / f"{number}.parquet")
    assert list(Source(str(tmp_path), ["text"]).rows(1, 27)) == ROWS[1:]


def json_lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def parquet_file(path, **columns):
    parquet.write_table(pyarrow.table(columns), path)


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("absent", lambda d: None, "absent does not exist"),
        ("*.csv", lambda d: None, r"No file fits .*\*\.csv"),
        ("", lambda d: (d / "a.txt").touch(), "has no file of rows; expected some of .csv"),
        ("a.txt", lambda d: (d / "a.txt").touch(), "ends in '.txt'; expected one of"),
        ("", lambda d: [parquet_file(d / "a.parquet", text=["a"]), json_lines(d / "a.jsonl", {"text": "a"})],
         r"files of several formats, \.jsonl, \.parquet; name those of one, such as .*/\*\.parquet"),
        ("", lambda d: (d / "a.parquet").write_bytes(b"PAR1 and more"), r"a\.parquet cannot be read: "),
        ("", lambda d: parquet_file(d / "a.parquet", words=["a"]), r"a\.parquet has no column 'text'"),
        ("", lambda d: parquet_file(d / "a.parquet", text=[1]), r"a\.parquet, column 'text' is of type int64"),
        ("", lambda d: parquet_file(d / "a.parquet", text=pyarrow.array([], "string")), "has no rows"),
        ("", lambda d: [parquet_file(d / f"{n}.parquet", text=["a"], **x) for n, x in (("a", {}), ("b", {"x": [1]}))],
         r"b\.parquet has other columns than .*a\.parquet: 'x' \(int64\), where"),
        ("", lambda d: [parquet_file(d / f"{n}.parquet", text=["a"], x=[x]) for n, x in (("a", 1), ("b", date.max))],
         r"b\.parquet has other columns than .*a\.parquet: 'x' \(date32\[day\]\), where that file has 'x' \(int64\)"),
        ("", lambda d: [(d / f"{n}.csv").write_text(f"text,{n}\na,b\n") for n in "xy"],
         r"y\.csv has other columns than .*x\.csv: 'y' \(string\)"),
        ("", lambda d: json_lines(d / "a.jsonl", {"text": "a", "x": 1}, {"text": "a", "x": "b"}), "cannot hold these"),
        ("", lambda d: json_lines(d / "a.jsonl", {"text": "a", "x": {}}), "cannot hold these .*child field. A .jsonl"),
        ("", lambda d: json_lines(d / "a.jsonl", {"text": "a", "x": 10**30}), "cannot hold these values: .*too large"),
    ],
)  # fmt: skip
def test_faulty_input_is_named_at_once(tmp_path, name, make, message):
    make(tmp_path)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Source(f"{tmp_path}/{name}", ["text"])


def test_a_row_without_text_is_named_by_its_number_in_its_file(tmp_path):
    parquet_file(tmp_path / "a.parquet", text=["a", "b"])
    parquet_file(tmp_path / "b.parquet", text=["c", None])
    source = Source(str(tmp_path), ["text"])
    with pytest.raises(ValueError, match=r"b\.parquet, column 'text', row 1 \(from 0\) is None; expected text"):
        list(source.rows(0, 4))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_rows_after_an_error_are_read_anew(tmp_path, suffix):
    rows = [*ROWS[:4], {"text": None, "label": 4}, *ROWS[5:]]
    path = write_rows(tmp_path / f"a{suffix}", ROWS)
    source = Source(str(path), ["text"])
    source.files[0] = replace(source.files[0], size=write_rows(path, rows).stat().st_size)
    list(source.rows(0, 2))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"row 4 \(from 0\) is None"):
            list(source.rows(2, 6))
    assert list(source.rows(6, 9)) == ROWS[6:9]


def test_rows_that_were_not_read_to_their_end_are_read_again(tmp_path):
    source = Source(str(write_rows(tmp_path / "a.parquet", ROWS)), ["text"])
    first, second = source.rows(0, 9), source.rows(0, 9)
    assert [next(first), next(second), next(first), next(second)] == [ROWS[0], ROWS[0], ROWS[1], ROWS[1]]
    assert list(source.rows(1, 4)) == ROWS[1:4] and list(second) == ROWS[2:9]


def test_an_error_of_a_stores_client_names_the_file(tmp_path, monkeypatch):
    class ClientError(Exception):
        """As botocore raises it: no error of Python's own."""

    source = Source(upload(write_rows(tmp_path / "a.parquet", ROWS), f"memory://{uuid4().hex}/a.parquet"), ["text"])

    def fail(*args, **kwargs):
        raise ClientError("cannot connect")

    for name in ("_open", "info"):
        with monkeypatch.context() as patch:
            patch.setattr(MemoryFileSystem, name, fail)
            with pytest.raises(ValueError, match=r"memory://.*a\.parquet cannot be read: cannot connect"):
                list(source.rows(0, 3))
    assert list(source.rows(0, 3)) == ROWS[:3]


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_that_changes_while_it_is_read_is_named(tmp_path, suffix):
    path = write_rows(tmp_path / f"a{suffix}", ROWS)
    source = Source(str(path), ["text"])
    write_rows(path, ROWS[:-1])
    with pytest.raises(ValueError, match=rf"a\{suffix} has changed: it has \d+ bytes now, not \d+"):
        list(source.rows(0, 3))
