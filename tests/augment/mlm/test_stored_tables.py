"""Tables of a masked LM's candidates in a store."""

import json
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from augmenters import masked_lm
from candidate_tables import count_made, draws, in_processes, spoil, table
from conftest import SENTENCES
from fsspec.implementations.memory import MemoryFileSystem

from augment.core.atomic_file import cache_folder, local_cache_folder
from augment.core.storage import location
from examples import examples_of


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """The folder of the copies on this machine."""
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def downloads(monkeypatch):
    """The names of the files that are copied from the store in memory."""
    downloads, get_file = [], MemoryFileSystem.get_file

    def counted(self, source, *arguments, **options):
        downloads.append(source.rpartition("/")[2])
        return get_file(self, source, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "get_file", counted)
    return downloads


ARRAYS = ["keys.npy", "first.npy", "entries.npy"]


@pytest.fixture
def sentences(tokenizer, monkeypatch):
    """Rows for a table of five parts."""
    monkeypatch.setattr("augment.mlm.candidate_table.PART_TOKENS", 22)
    return examples_of(tokenizer, SENTENCES)


@pytest.fixture
def made(monkeypatch):
    """The numbers of sequences that models are asked about, one for each part of a table."""
    return count_made(monkeypatch)


def names(url: str) -> list[str]:
    return sorted(path.name for path in location(url).iterdir())


def stop_before_the_join(patch) -> None:
    patch.setattr("augment.mlm.candidate_table._join", lambda *arguments: 1 / 0)


WHOLE = sorted([*ARRAYS, "checksums.json", "manifest.json"])


def test_a_table_in_a_store_has_the_candidates_of_one_on_disk(any_store, tokenizer, sentences, tmp_path, cache, made):
    expected = table(tokenizer, sentences, tmp_path / "local")
    augmenter = table(tokenizer, sentences, f"{any_store}/a table")
    assert names(f"{any_store}/a table") == WHOLE and augmenter._table.folder.parent == cache
    for name in WHOLE:
        content = location(f"{any_store}/a table/{name}").read_bytes()
        assert content == (tmp_path / "local" / name).read_bytes() == (augmenter._table.folder / name).read_bytes()
    made.clear()
    copy = pickle.loads(pickle.dumps(augmenter))
    assert draws(augmenter, sentences) == draws(copy, sentences) == draws(expected, sentences) and not made


def test_a_machine_copies_the_table_once(store, tokenizer, sentences, cache, made, downloads, monkeypatch):
    first = table(tokenizer, sentences, store)
    assert sorted(downloads) == sorted(ARRAYS)
    again = table(tokenizer, sentences, store)
    assert sorted(downloads) == sorted(ARRAYS) and again._table.folder == first._table.folder
    monkeypatch.setenv("HF_MMEL_CACHE", str(cache / "of another machine"))
    table(tokenizer, sentences, store)
    assert sorted(downloads) == sorted(2 * ARRAYS) and len(made) == 5


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_copy_is_made_again(store, tokenizer, sentences, made, downloads, name, damage):
    augmenter = table(tokenizer, sentences, store)
    expected = draws(augmenter, sentences)
    spoil(augmenter._table.folder / name, damage)
    made.clear()
    again = table(tokenizer, sentences, store)
    assert draws(again, sentences) == expected and not made
    assert [(again._table.folder / file).read_bytes() for file in WHOLE] == [
        location(f"{store}/{file}").read_bytes() for file in WHOLE
    ]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
@pytest.mark.parametrize("name", [*ARRAYS, "checksums.json"])
def test_a_table_that_is_damaged_in_the_store_is_made_again(
    store, tokenizer, sentences, cache, made, name, damage, monkeypatch
):
    expected = draws(table(tokenizer, sentences, store), sentences)
    path = location(f"{store}/{name}")
    if damage == "gone":
        path.unlink()
    else:
        spoil(path, damage)
    monkeypatch.setenv("HF_MMEL_CACHE", str(cache / "of another machine"))
    made.clear()
    assert draws(table(tokenizer, sentences, store), sentences) == expected
    assert len(made) == 5 and names(store) == WHOLE


def test_a_table_resumes_from_the_parts_in_the_store(any_store, tokenizer, sentences, made, monkeypatch):
    with monkeypatch.context() as patch:
        stop_before_the_join(patch)
        with pytest.raises(ZeroDivisionError):
            table(tokenizer, sentences, any_store)
    assert len(made) == 5 and len(names(any_store)) == 5 + 1
    spoil(sorted(location(any_store).glob("part-*.npz"))[1], "cut")
    table(tokenizer, sentences, any_store)
    assert len(made) == 6 and names(any_store) == WHOLE


def test_an_upload_that_stops_leaves_no_complete_table(store, tokenizer, sentences, made, monkeypatch):
    put_file = MemoryFileSystem.put_file

    def failing(self, source, target, *arguments, **options):
        if target.endswith("entries.npy"):
            raise ConnectionError("lost")
        return put_file(self, source, target, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(MemoryFileSystem, "put_file", failing)
        with pytest.raises(OSError, match=f"^{store}/entries.npy cannot be written: lost$"):
            table(tokenizer, sentences, store)
    assert "checksums.json" not in names(store)
    table(tokenizer, sentences, store)
    assert len(made) == 5 and names(store) == WHOLE


def test_machines_without_a_shared_folder_share_the_work_in_a_store(
    store, tokenizer, sentences, tmp_path, made, monkeypatch
):
    expected = draws(table(tokenizer, sentences, tmp_path / "alone"), sentences)
    alone = sorted(made)
    made.clear()
    caches = ["machine 0", "machine 1"]
    monkeypatch.setattr(
        "augment.mlm.source.local_cache_folder", lambda _: tmp_path / caches[int(threading.current_thread().name)]
    )
    augmenters = in_processes(monkeypatch, tokenizer, sentences, store, store)
    assert sorted(made) == alone
    assert [draws(augmenter, sentences) for augmenter in augmenters] == [expected, expected]
    assert [augmenter._table.folder.parent.name for augmenter in augmenters] == caches


@pytest.mark.slow
def test_processes_with_caches_of_their_own_make_one_table_in_a_bucket(bucket, tokenizer, sentences, tmp_path):
    script = Path(__file__).parents[2] / "scripts" / "stored_table.py"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script]
    done = subprocess.run([*launch, f"{bucket}/table", tmp_path], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = [json.loads((tmp_path / f"found {rank}.json").read_text()) for rank in (0, 1)]
    assert [Path(of_one["folder"]).parent for of_one in found] == [tmp_path / "cache 0", tmp_path / "cache 1"]
    alone = table(tokenizer, sentences, tmp_path / "alone")
    assert found[0]["variants"] == found[1]["variants"] == draws(alone, sentences)
    assert names(f"{bucket}/table") == WHOLE


def test_a_table_of_other_settings_is_refused(store, tokenizer, sentences):
    table(tokenizer, sentences, store)
    with pytest.raises(ValueError, match=f"{store} contains a candidate table made with a different options"):
        table(tokenizer, sentences, store, top_m=5)


def test_the_cache_may_be_a_url(store, tokenizer, sentences, cache, tmp_path, made, monkeypatch):
    by_argument = masked_lm(tokenizer, dtype="float32", cache_dir=f"{store}/cache").precompute(sentences)
    (name,) = names(f"{store}/cache")
    assert name.startswith("masked-lm-") and by_argument._table.folder.parent == cache
    monkeypatch.setenv("HF_MMEL_CACHE", f"{store}/cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "of the user"))
    by_variable = masked_lm(tokenizer, dtype="float32").precompute(sentences)
    assert by_variable._table.folder.parent == tmp_path / "of the user" / "hf_mmel" and len(made) == 5
    assert names(f"{store}/cache") == [name]


def test_files_that_are_quick_to_make_are_kept_on_this_machine(store, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    local = tmp_path / "hf_mmel"
    for variable in (f"{store}/cache", ""):
        monkeypatch.setenv("HF_MMEL_CACHE", variable)
        assert str(cache_folder()) == (variable or str(local)) and local_cache_folder() == local
        assert local_cache_folder(store) == local and local_cache_folder("own") == cache_folder("own") == Path("own")
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "own"))
    assert local_cache_folder(store) == local_cache_folder() == cache_folder() == tmp_path / "own"
