"""Paths of files on disk and of files in a store."""

import sys
from pathlib import Path

import pytest

from augment.core.atomic_file import atomic_write, write_json
from augment.core.storage import is_on_disk, location


@pytest.mark.parametrize("name", ["a/b.csv", Path("a/b.csv")])
def test_a_name_is_a_path(name):
    assert location(name) == Path("a/b.csv") and type(location(name)) is type(Path()) and is_on_disk(location(name))


def test_a_url_of_a_file_on_disk_is_its_path(tmp_path):
    assert location(f"file://{tmp_path}/b.csv") == tmp_path / "b.csv"


def test_a_url_is_used_like_a_path(store):
    path = location(f"{store}/folder/rows.csv")
    path.write_text("text\n")
    assert path.suffix == ".csv" and path.is_file() and not is_on_disk(path)
    assert location(str(path)) == path and location(path) is path and path.read_text() == "text\n"


def test_an_unknown_store_is_an_error():
    with pytest.raises(ValueError, match=r"b\.csv cannot be opened: .*nosuch.*\. Install the package of this store"):
        location("nosuch://a/b.csv")


def test_a_store_without_its_package_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ValueError, match=r"b\.csv cannot be opened: .*gcsfs .*\. Install the package of this store"):
        location("gs://a/b.csv")


def test_a_file_of_a_store_is_written_as_a_whole_or_not_at_all(store):
    path = location(f"{store}/file")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write(b"new")
        raise KeyError
    assert not path.exists()
    write_json(path, [1])
    with atomic_write(path) as file:
        file.write(b"new")
        assert path.read_text() == "[\n    1\n]\n"
    assert path.read_bytes() == b"new" and len(list(location(store).iterdir())) == 1


@pytest.mark.integration
def test_files_of_other_processes_are_seen(bucket):
    from s3fs import S3FileSystem

    names, other = [], S3FileSystem(skip_instance_cache=True)
    for name in ("a.csv", "b.csv"):
        assert not location(f"{bucket}/folder/{name}").exists()
        other.pipe_file(f"{bucket}/folder/{name}", b"text")
        names.append(name)
        assert location(f"{bucket}/folder/{name}").exists()
        assert sorted(path.name for path in location(f"{bucket}/folder").iterdir()) == names
