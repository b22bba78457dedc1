"""A file of rows in a store is read as the one on disk."""

import gc
from pathlib import Path

import pytest
from files import upload, write_rows
from fsspec.implementations.memory import MemoryFileSystem

from augment.core.tables import Table


ROWS = [{"text": f"two\nlines, naïve {i}", "label": str(i), "note": "NA"} for i in range(5)]
NAMES = ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet"]


def written(path: Path) -> Path:
    if path.suffix == ".tsv":
        path.write_text("text\tlabel\n" + "".join(f'"so {i}\t{i}\n' for i in range(5)))
        return path
    return write_rows(path, ROWS)


@pytest.fixture
def copies(monkeypatch):
    """The files on this machine to which files of the store in memory are copied."""
    copies, get_file = [], MemoryFileSystem.get_file

    def counted(self, source, target, *arguments, **options):
        copies.append(Path(target))
        return get_file(self, source, target, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", counted)
    return copies


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_a_store_is_read_as_the_one_on_disk(any_store, tmp_path, name):
    local = Table(written(tmp_path / name), ["text"])
    remote = Table(upload(tmp_path / name, f"{any_store}/a folder/{name}"), ["text"])
    assert list(remote) == list(local) and remote.schema == local.schema  # before and after it is copied
    assert remote.scan() == local.scan() and remote.digest() == local.digest()
    assert list(remote) == list(local) and len(list(remote)) == 5
    assert str(remote.path) == f"{any_store}/a folder/{name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_a_store_is_copied_once_while_its_table_lives(store, tmp_path, copies, name):
    table = Table(upload(written(tmp_path / name), f"{store}/{name}"), ["text"])
    next(iter(table))
    assert len(copies) == (name != "a.parquet")  # of which only ranges are read
    assert table.scan()[0] == 5
    (copy,) = copies
    assert len(list(table)) == 5 and table.digest() and copies == [copy]
    assert copy.is_file()
    del table
    gc.collect()
    assert not copy.parent.exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"text\n", "{url} ends in '.txt'; expected one of .csv"),
        ("a.csv", b"", "{url} has no rows"),
        ("a.csv", "text\na\n".encode("utf-16"), "{url} is in UTF-16; convert .* -t UTF-8 a.csv > a_utf8.csv"),
        ("a.csv", b"text\n\xff\n", "{url} is not text in UTF-8: line 2 has the byte 0xff"),
        ("a.csv", b"text\na\0b\n", "{url} is not text: line 2 has a zero byte"),
        ("a.csv", b"text;label\na;0\n", r"{url} cannot be read: .*read_csv\('{url}', sep=';'.*to_csv\('{store}/a_co"),
        ("a.csv", b"text,label\na\n", r"{url} cannot be read: row 0 \(from 0\) has 1 cells"),
        ("a.csv", b"other\na\n", "{url} has no column 'text'"),
        ("a.json", b"[" * 200, "{url}: line 1 nests lists"),
        ("a.jsonl", b'{"text": 5}\n', r"{url}, column 'text', row 0 \(from 0\) is 5; expected text"),
        ("a.json", b'{"text": {"0": "a"}}', "{url} is one object"),
        ("a.parquet", b"no parquet", "{url} cannot be read"),
        ("b.csv", None, "{url} does not exist"),
        ("folder.csv", None, "{url} is not a file"),
    ],
)
def test_errors_name_the_url(any_store, name, content, message):
    upload(b"", f"{any_store}/folder.csv/file")
    url = f"{any_store}/{name}"
    if content is not None:
        upload(content, url)
    with pytest.raises((ValueError, FileNotFoundError), match=message.format(url=url, store=any_store)):
        list(Table(url, ["text"]))


class Refusal(Exception):
    """What only this client raises."""


@pytest.mark.parametrize("method", ["info", "get_file"])
@pytest.mark.parametrize("error", [PermissionError, Refusal])
def test_a_store_that_refuses_is_named(store, tmp_path, monkeypatch, method, error):
    url = upload(written(tmp_path / "a.csv"), f"{store}/a.csv")

    def refuse(*_, **__):
        raise error("Access denied\nto you")

    monkeypatch.setattr(MemoryFileSystem, method, refuse)
    with pytest.raises(OSError, match=f"^{url} cannot be read: Access denied$"):
        Table(url)


def test_a_parquet_file_that_becomes_unreadable_is_named(store, tmp_path, monkeypatch):
    table = Table(upload(written(tmp_path / "a.parquet"), f"{store}/a.parquet"))

    def refuse(*_, **__):
        raise Refusal("Token expired")

    monkeypatch.setattr(MemoryFileSystem, "open", refuse)
    with pytest.raises(ValueError, match=f"^{store}/a.parquet cannot be read: Token expired$"):
        list(table)
