"""`python -m augment write` into a folder of parts, and `join`."""

import errno
import os
import sys
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest
from conftest import SENTENCES
from files import write_rows
from part_jobs import LEXICON, ROWS, as_config, parts_of, rows_of

from augment import LexiconSubstitution
from augment.__main__ import main
from augment.core import atomic_file
from augment.core.storage import location
from augment.parts.job import PartJob


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The commands run in a folder with an augmenter and an input of 27 rows, and write parts of ten."""
    monkeypatch.chdir(tmp_path)
    as_config(Path("augmenter"), LEXICON)
    write_rows(Path("a.csv"), ROWS)
    return tmp_path


def write(out="out", *options: str, source="a.csv") -> int:
    return main(["write", source, out, "--augmenter", "augmenter", "--rows_per_part", "10", *options])


def fails(capsys, *argv: str) -> str:
    """The one line of a command that fails."""
    capsys.readouterr()
    assert main([*argv]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize("out", ["out", "out/", "./out", "out.csv/"])
def test_a_name_without_an_ending_is_a_folder_of_parts(out, capsys):
    assert write(out) == 0
    assert capsys.readouterr().out == (
        f"{out}: 57 rows of 27 examples in 3 parts. Of 108 variants, 51 were copies and left out.\n"
    )
    names = [f"part-0000{i}-of-00003.{ending}" for i in range(3) for ending in ("json", "parquet")]
    assert list(parts_of(Path(out))) == ["manifest.json", *names, "settings.json"]
    assert write("one.parquet") == 1 and main(["write", "a.csv", "one.parquet", "--augmenter", "augmenter"]) == 0
    assert rows_of(Path(out)) == rows_of(Path())


def test_a_store_takes_a_folder_of_parts(capsys):
    out = f"memory://{uuid4().hex}/out"
    assert write(out) == 0 and write("out") == 0 and main(["join", out]) == 0
    assert parts_of(location(out)) == parts_of(Path("out"))


def test_a_second_run_writes_only_what_is_missing(monkeypatch, capsys):
    assert write() == 0
    first, line = parts_of(Path("out")), capsys.readouterr().out
    Path("out/part-00001-of-00003.parquet").unlink()
    written = []
    write_part = PartJob.write
    monkeypatch.setattr(PartJob, "write", lambda self, i, *args: written.append(i) or write_part(self, i, *args))
    for expected in ([1], [1]):
        assert write() == 0
        assert (written, parts_of(Path("out")), capsys.readouterr().out) == (expected, first, line)


@pytest.mark.parametrize("num_shares", [1, 2, 3, 5])
def test_shares_in_any_order_are_the_whole(num_shares, capsys):
    assert write("whole") == 0
    line = capsys.readouterr().out
    for index in reversed(range(num_shares)):
        assert write("out", "--shard", f"{index}/{num_shares}") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1].endswith(
        f"This is share 0/{num_shares}, of 3 parts in all. "
        "When all shares are written, run: python -m augment join out"
    )
    assert main(["join", "out"]) == 0
    assert capsys.readouterr().out == line.replace("whole", "out")
    assert parts_of(Path("out")) == parts_of(Path("whole"))


def test_the_command_that_joins_is_shown_as_a_shell_needs_it(capsys):
    assert write("my parts", "--shard", "0/3") == 0
    assert capsys.readouterr().out.endswith("run: python -m augment join 'my parts'\n")


def test_a_name_with_another_ending_may_be_meant_as_a_folder(capsys):
    assert fails(capsys, "write", "a.csv", "p-0.3", "--augmenter", "augmenter") == (
        "p-0.3 ends in '.3'; expected one of .csv, .jsonl, .parquet, or a slash at the end for a folder of parts."
    )
    assert write("p-0.3/") == 0


def test_join_lists_what_is_missing(capsys):
    assert write("out", "--shard", "1/3") == 0
    assert fails(capsys, "join", "out") == (
        "out lacks 2 of 3 parts: part-00000-of-00003.parquet, part-00002-of-00003.parquet. "
        "Run the same `write` again, which makes only these."
    )
    assert "manifest.json" not in parts_of(Path("out"))


def test_join_finds_an_altered_part_and_write_makes_it_again(capsys):
    assert write() == 0
    before = parts_of(Path("out"))
    part = Path("out/part-00001-of-00003.parquet")
    part.write_bytes(part.read_bytes()[:-9] + b"x" + part.read_bytes()[-8:])
    assert fails(capsys, "join", "out") == (
        "1 of 3 parts in out are damaged: part-00001-of-00003.parquet. Run `write` again, which makes them again, and "
        "then `join`."
    )
    assert write() == 0 and main(["join", "out"]) == 0 and parts_of(Path("out")) == before


def test_join_of_another_folder_is_refused(capsys):
    Path("other").mkdir()
    for name in ("other", "absent"):
        assert fails(capsys, "join", name) == (
            f"{name} has no settings.json; expected a folder that `write` has written parts into."
        )


@pytest.mark.parametrize("shard", ["4/4", "5/4", "a/b", "1", "1/2/3", "0/0", "-1/2", " 1/2", "1/-2", ""])
def test_a_wrong_share_is_refused_before_any_work(shard, capsys):
    argv = ["write", "a.csv", "out", "--augmenter", "augmenter", f"--shard={shard}"]
    assert fails(capsys, *argv) == (
        f"--shard is {shard!r}; expected I/N, share I of N, where I is from 0 to N - 1, such as 0/8 and 7/8."
    )
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--shard 0/2", "--shard needs a folder as OUT, such as b/; received the file b.csv."),
        ("--rows_per_part 5", "--rows_per_part needs a folder as OUT"),
        ("--engine ray", "--engine needs a folder as OUT"),
        ("--num_workers 2", "--num_workers needs a folder as OUT"),
        ("--keep_original --new_column x", "--keep_original has no use with --new_column"),
        (
            "--new_column label",
            "a.csv has a column 'label', which the output needs for its own values. Choose another",
        ),
    ],
)
def test_options_that_do_not_fit_a_file_are_refused(options, message, capsys):
    assert message in fails(capsys, "write", "a.csv", "b.csv", "--augmenter", "augmenter", *options.split())
    assert not Path("b.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--num_workers 2", "--num_workers is for --engine ray"),
        ("--num_workers 0 --engine ray", "num_workers is 0; expected a whole number >= 1"),
        ("--rows_per_part 0", "rows_per_part is 0; expected a whole number >= 1"),
        ("--column words", "a.csv has no column 'words'; its columns are 'text', 'label'"),
        ("--num_variants 0", "num_variants is 0; expected at least 1"),
        ("--augmenter nothing", "The augmenter is 'nothing'; expected one of"),
    ],
)
def test_options_that_do_not_fit_a_folder_are_refused(options, message, capsys):
    assert message in fails(capsys, "write", "a.csv", "out", "--augmenter", "augmenter", *options.split())
    assert not Path("out").exists()


def test_lists_of_variants_may_be_in_one_file_or_in_parts(capsys):
    assert write("out", "--new_column", "variants") == 0
    assert capsys.readouterr().out.startswith(
        "out: 27 rows of 27 examples in 3 parts. Of 108 variants, 51 were copies"
    )
    argv = ["write", "a.csv", "one.parquet", "--augmenter", "augmenter", "--new_column", "variants"]
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith("one.parquet: 27 rows of 27 examples. Of 108 variants, 51 were copies")
    rows = rows_of(Path("out"))
    assert rows == rows_of(Path()) and [row["text"] for row in rows] == SENTENCES * 3
    assert sum(len(row["variants"]) for row in rows) == 57


def test_ray_gets_the_missing_parts_of_the_share(monkeypatch, capsys):
    calls = []

    def write_parts(job, numbers, num_workers):
        calls.append((numbers, num_workers))
        for number in numbers:
            job.write(number)
            yield number

    ray_data = ModuleType("augment.ray_data")
    ray_data.write_parts = write_parts
    monkeypatch.setitem(sys.modules, "augment.ray_data", ray_data)
    assert write("out", "--engine", "ray", "--shard", "1/3") == 0
    assert write("out", "--engine", "ray", "--num_workers", "2") == 0
    assert calls == [([1], None), ([0, 2], 2)]
    assert write("whole") == 0 and parts_of(Path("out")) == parts_of(Path("whole"))


def test_ray_that_is_not_installed_is_named_with_its_command(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    argv = ["write", "a.csv", "out", "--augmenter", "augmenter", "--engine", "ray"]
    assert fails(capsys, *argv) == '--engine ray needs Ray, which is not installed: pip install "hf_mmel[ray]"'
    assert not Path("out").exists()


class OutOfMemoryError(RuntimeError):
    """As torch raises it."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "The disk of out is full. 1 of 3 parts are done. Make room",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "The disk of out is full. 1 of 3 parts are done. Make room"),
        (MemoryError(), "Part 1 of out does not fit into memory. Run fewer workers on each machine (--num_workers"),
        (OutOfMemoryError("CUDA out of memory."), "The GPU is out of memory in part 1 of out. Run fewer processes"),
        (RuntimeError("something else"), "something else"),
        (OSError(errno.EIO, "Input/output error"), "[Errno 5] Input/output error"),
    ],
)
def test_a_full_disk_or_memory_says_what_to_do_and_nothing_is_lost(error, message, monkeypatch, capsys):
    assert write("whole") == 0
    augment_text = LexiconSubstitution.augment_text
    calls = []

    def full(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return augment_text(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(LexiconSubstitution, "augment_text", full)
        argv = ["write", "a.csv", "out", "--augmenter", "augmenter", "--rows_per_part", "10"]
        assert fails(capsys, *argv).startswith(message)
    assert sorted(os.listdir("out")) == ["part-00000-of-00003.json", "part-00000-of-00003.parquet", "settings.json"]
    assert write("out") == 0 and parts_of(Path("out")) == parts_of(Path("whole"))


def test_an_interrupted_command_goes_on_with_the_parts_that_are_missing(monkeypatch, capsys):
    assert write("whole") == 0
    with monkeypatch.context() as patch:
        replace = atomic_file.os.replace
        patch.setattr(
            atomic_file.os,
            "replace",
            lambda source, target: _interrupt() if "00001" in Path(target).name else replace(source, target),
        )
        assert write("out") == 130
    assert capsys.readouterr().err == "interrupted; run the same command again to resume\n"
    assert not list(Path("out").glob("*.tmp"))
    assert write("out") == 0 and parts_of(Path("out")) == parts_of(Path("whole"))


def _interrupt():
    raise KeyboardInterrupt


def test_an_input_that_has_changed_is_refused(capsys):
    assert write() == 0
    write_rows(Path("a.csv"), ROWS[::-1])
    argv = ["write", "a.csv", "out", "--augmenter", "augmenter", "--rows_per_part", "10"]
    assert fails(capsys, *argv) == (
        "out contains parts from a command with different settings: input (a.csv changed). Choose another folder, or "
        "run that command again."
    )


def test_the_bar_counts_rows_and_begins_with_those_that_are_there(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert write("out", "--shard", "0/3") == 0 and write("out") == 0
    shown = capsys.readouterr().err
    assert "10/10" in shown and "37%" in shown and "27/27" in shown


def test_a_class_of_ones_own_is_imported_by_every_process(monkeypatch):
    Path("own_parts_module.py").write_text(
        "from augment import RandomDelete\n\n\nclass OwnDelete(RandomDelete):\n    pass\n"
    )
    assert main(["write", "a.csv", "out", "--augmenter", "own_parts_module:OwnDelete"]) == 0
    (path,) = Path("out").glob("*.parquet")
    assert path.name == "part-00000-of-00001.parquet"
