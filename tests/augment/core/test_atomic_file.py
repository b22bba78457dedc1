"""Files that are never seen half written."""

import json
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from augment.cli.output import ResumableWriter
from augment.core.atomic_file import atomic_write, write_json
from augment.core.lexicon import build_lexicon


def test_a_reader_sees_the_old_content_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    for before in (None, b"old"):
        if before is not None:
            path.write_bytes(before)
        with pytest.raises(error), atomic_write(path) as file:
            file.write(b"new")
            raise error
        assert [name.read_bytes() for name in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_name_that_cannot_be_taken_leaves_nothing(tmp_path):
    (tmp_path / "name").mkdir()
    with pytest.raises(OSError), atomic_write(tmp_path / "name") as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["name"]


def test_several_that_write_at_once_do_not_mix(tmp_path):
    path, all_write = tmp_path / "file", threading.Barrier(4)

    def write(content: bytes) -> None:
        with atomic_write(path) as file:
            file.write(content[:500])
            all_write.wait(timeout=10)
            file.write(content[500:])

    contents = [bytes([letter]) * 1000 for letter in b"abcd"]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, contents))  # raises what a thread has raised
    assert path.read_bytes() in contents and os.listdir(tmp_path) == ["file"]


@pytest.fixture
def umask():
    """One that lets the group read, and nobody else."""
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_who_may_read_follows_the_umask(tmp_path, umask, tokenizer):
    write_json(tmp_path / "some.json", {"a": 1})
    build_lexicon(tokenizer, {"film": ["movie"]}).save(tmp_path / "lexicon.npz", "")
    writer = ResumableWriter(tmp_path / "rows.jsonl", ["a"], None, {})
    writer.add([{"a": 1}], {})
    files = [tmp_path / "some.json", tmp_path / "lexicon.npz", writer.folder / "manifest.json"]
    assert [oct(stat.S_IMODE(file.stat().st_mode)) for file in files] == ["0o640"] * 3


def test_what_json_cannot_hold_leaves_the_old_file(tmp_path):
    path = tmp_path / "some.json"
    write_json(path, {"a": "é"})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "é"} and os.listdir(tmp_path) == ["some.json"]
