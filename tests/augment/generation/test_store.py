"""Generated texts on disk: what an interruption, other processes and damage change."""

import threading

import pytest

from augment.generation import store
from augment.generation.store import stored_texts


ORIGINALS = [f"text {i}" for i in range(9)]
EXPECTED = {text: [text.upper(), None] for text in ORIGINALS}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(store, "PART_TEXTS", 2)


class Writer:
    """Writes texts, and notes for which parts."""

    def __init__(self, limit: int | None = None):
        self.parts, self.limit = [], limit

    def __call__(self, originals):
        if len(self.parts) == self.limit:
            raise KeyboardInterrupt
        self.parts.append(list(originals))
        return [[text.upper(), None] for text in originals]


def test_texts_are_written_once(tmp_path):
    write = Writer()
    assert stored_texts(tmp_path / "a", ORIGINALS, {"seed": 1}, write) == EXPECTED
    assert [len(part) for part in write.parts] == [2, 2, 2, 2, 1]
    assert stored_texts(tmp_path / "a", ORIGINALS, {"seed": 1}, Writer(0)) == EXPECTED


def test_an_interrupted_call_resumes_with_the_same_parts(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        stored_texts(tmp_path, ORIGINALS, {}, Writer(2))
    resumed, whole = Writer(), Writer()
    assert stored_texts(tmp_path, ORIGINALS, {}, resumed) == EXPECTED
    stored_texts(tmp_path / "whole", ORIGINALS, {}, whole)
    assert resumed.parts == whole.parts[2:]


@pytest.mark.parametrize("content", ["", "{", '{"originals": ["text 2"]}', "[]", '{"originals": [], "texts": []}'])
def test_a_damaged_part_is_made_again(tmp_path, content):
    stored_texts(tmp_path, ORIGINALS, {}, Writer())
    (tmp_path / "part-00001.json").write_text(content)
    write = Writer()
    assert stored_texts(tmp_path, ORIGINALS, {}, write) == EXPECTED
    assert write.parts == [ORIGINALS[2:4]]


def test_a_folder_of_other_settings_is_refused(tmp_path):
    stored_texts(tmp_path, ORIGINALS, {"seed": 1, "model": 2}, Writer())
    with pytest.raises(ValueError, match="a folder of generated texts made with a different seed"):
        stored_texts(tmp_path, ORIGINALS, {"seed": 2, "model": 2}, Writer())


def test_processes_share_the_parts_of_one_and_all_get_all_texts(tmp_path, monkeypatch):
    alone = Writer()
    stored_texts(tmp_path / "alone", ORIGINALS, {}, alone)
    barrier, writers, results = threading.Barrier(2, timeout=60), [Writer(), Writer()], [{}, {}]

    def gather(value):
        barrier.wait()
        return [value, value]

    def run(process):
        results[process] = stored_texts(tmp_path / "shared", ORIGINALS, {}, writers[process])

    monkeypatch.setattr(
        "augment.core.shared_folder.distributed", lambda: (int(threading.current_thread().name), 2, gather)
    )
    threads = [threading.Thread(target=run, args=(i,), name=str(i)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [EXPECTED, EXPECTED]
    assert writers[0].parts == alone.parts[::2] and writers[1].parts == alone.parts[1::2]
