"""Folders of parts that several processes write, that are killed, that share a store, or whose disk is full."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from files import write_rows
from part_jobs import LEXICON, ROWS, as_config, make_job, parts_of, rows_of, write_all

from augment.__main__ import main
from augment.core.storage import location


pytestmark = pytest.mark.integration  # it starts processes, a server, or mounts a disk

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
WRITE = ["write", "a.csv", "out", "--augmenter", "augmenter", "--rows_per_part", "50"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The commands run in a folder with an augmenter and an input of 2,700 rows."""
    monkeypatch.chdir(tmp_path)
    as_config(Path("augmenter"), LEXICON)
    write_rows(Path("a.csv"), ROWS * 100)


def start(*options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "augment", *WRITE, *options]
    return subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def uninterrupted() -> dict[str, bytes]:
    assert main([*WRITE[:2], "whole", *WRITE[3:]]) == 0
    return parts_of(Path("whole"))


def test_killed_processes_leave_a_folder_that_the_next_one_completes():
    before = 0
    for _ in range(3):
        process = start()
        while process.poll() is None and len(list(Path("out").glob("*.parquet"))) < before + 5:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        before = len(list(Path("out").glob("*.parquet")))
    assert 15 <= before < 54 and "manifest.json" not in parts_of(Path("out"))
    assert main(WRITE) == 0
    assert parts_of(Path("out")) == uninterrupted()


def test_processes_with_the_same_settings_do_no_harm():
    processes = [start() for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert processes[0].stdout.read() == processes[1].stdout.read()
    assert parts_of(Path("out")) == uninterrupted() and main(["join", "out"]) == 0


def test_of_processes_with_other_settings_one_is_refused():
    processes = [start("--seed", str(seed)) for seed in range(2)]
    assert sorted(process.wait() for process in processes) == [0, 1]
    (refused,) = (process for process in processes if process.returncode)
    assert "out contains parts from a command with different settings: seed." in refused.stderr.read()
    assert main(["join", "out"]) == 0


def test_shares_of_an_array_job_are_the_whole():
    processes = [start("--shard", f"{index}/3") for index in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert main(["join", "out"]) == 0 and parts_of(Path("out")) == uninterrupted()


def test_another_process_imports_a_class_of_ones_own():
    Path("own_delete.py").write_text("from augment import RandomDelete\n\n\nclass OwnDelete(RandomDelete): ...\n")
    code = (
        "import pickle\n"
        "from augment.parts.job import PartJob\n"
        "from augment.parts.rows import VariantRows\n"
        "from augment.parts.source import Source\n"
        "rows = VariantRows(('text',), 3)\n"
        "source, config = Source('a.csv', ['text']), {'class': 'OwnDelete'}\n"
        "job = PartJob(source, 'out', rows, config, own_class='own_delete:OwnDelete')\n"
        "pickle.dump(job, open('job', 'wb'))\n"
    )
    for program in (code, "import pickle; pickle.load(open('job', 'rb')).write(0)"):
        subprocess.run([sys.executable, "-c", program], env=ENVIRONMENT, check=True)
    assert len(rows_of(Path("out"))) > 2000


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_input_and_parts_may_be_in_a_store(bucket, suffix):
    for number, rows in enumerate([ROWS[:11], ROWS[11:]]):
        file = write_rows(Path(f"{number}{suffix}"), rows)
        location(f"{bucket}/data/{file.name}").write_bytes(file.read_bytes())
    write_rows(Path(f"all{suffix}"), ROWS)
    write_all(make_job(f"all{suffix}", "local"))
    for name in (f"{bucket}/data", f"{bucket}/data/*{suffix}"):
        write_all(make_job(name, f"{bucket}/out"))
    written = {name: content for name, content in parts_of(location(f"{bucket}/out")).items() if "part" in name}
    (Path("copies")).mkdir()
    for name, content in written.items():
        Path("copies", name).write_bytes(content)
    assert len(written) == 14 and rows_of(Path("copies")) == rows_of(Path("local"))
    with pytest.raises(ValueError, match=r"s3://.*/out contains parts from a command with different settings: seed"):
        make_job(f"{bucket}/data", f"{bucket}/out", seed=1)
    assert main(["join", f"{bucket}/out"]) == 0


def test_a_folder_that_was_made_on_the_website_of_a_store_is_empty(bucket):
    from s3fs import S3FileSystem

    S3FileSystem().call_s3("put_object", Bucket=bucket.removeprefix("s3://"), Key="out/", Body=b"")
    write_all(make_job("a.csv", f"{bucket}/out", rows_per_part=1000))
    assert main(["join", f"{bucket}/out/"]) == 0


def test_a_store_that_does_not_answer_is_named_by_join(bucket, monkeypatch, capsys):
    from s3fs import S3FileSystem

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    assert main(["join", f"{bucket}/out"]) == 1
    S3FileSystem.clear_instance_cache()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {bucket}/out/settings.json cannot be read: ")


def test_a_store_that_two_begin_at_once_keeps_the_settings_of_one(bucket, monkeypatch):
    from augment.parts import folder

    create = folder._create

    def create_after_another(path, content):
        monkeypatch.setattr(folder, "_create", create)
        make_job("a.csv", f"{bucket}/out", seed=1)
        create(path, content)

    monkeypatch.setattr(folder, "_create", create_after_another)
    with pytest.raises(ValueError, match="different settings: seed"):
        make_job("a.csv", f"{bucket}/out")
    make_job("a.csv", f"{bucket}/out", seed=1)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB, and a function that makes it larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("needs the command mount")
    if done.returncode:
        pytest.skip(f"needs the right to mount a disk: {done.stderr.strip()}")
    yield disk, lambda: subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_named_and_the_rest_is_written_when_there_is_room(small_disk, capsys):
    disk, enlarge = small_disk
    argv = [*WRITE[:2], "disk/out", *WRITE[3:]]
    assert main(argv) == 1
    done = len(list(disk.glob("out/*.json"))) - 1
    assert 2 <= done < 20 and not list(disk.glob("out/*.tmp"))
    assert capsys.readouterr().err == (
        f"error: The disk of disk/out is full. {done} of 54 parts are done. Make room, and run the same command "
        "again to write the others.\n"
    )
    enlarge()
    assert main(argv) == 0 and parts_of(disk / "out") == uninterrupted()
