"""What counts as a part that is there, and which folders are refused."""

import json
import os
from uuid import uuid4

import pytest
from files import write_rows
from part_jobs import ROWS, make_job, parts_of, write_all

from augment.core.storage import location
from augment.parts import folder as folder_module
from augment.parts.folder import PartFolder


@pytest.fixture(params=["disk", "store"])
def out(request, tmp_path) -> str:
    return str(tmp_path / "out") if request.param == "disk" else f"memory://{uuid4().hex}/out"


@pytest.fixture
def source(tmp_path):
    return write_rows(tmp_path / "a.csv", ROWS)


PART = "part-00002-of-00007"


def damage(folder, kind: str) -> None:
    part, note = folder / f"{PART}.parquet", folder / f"{PART}.json"
    content = part.read_bytes()
    if kind == "truncated":
        part.write_bytes(content[:-1])
    elif kind == "removed":
        part.unlink()
    elif kind == "without json":
        note.unlink()
    elif kind == "json cut off":
        note.write_text(note.read_text()[:20])
    elif kind == "json without content":
        note.write_text("[]")
    elif kind == "json of another part":
        note.write_text(json.dumps({**json.loads(note.read_text()), "part": "part-00001-of-00007.parquet"}))
    elif kind == "json of other settings":
        note.write_text(json.dumps({**json.loads(note.read_text()), "settings": "0" * 64}))


DAMAGE = [
    *("truncated", "removed", "without json", "json cut off", "json without content"),
    *("json of another part", "json of other settings"),
]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_part_that_is_not_whole_is_made_again(source, out, kind):
    job = write_all(make_job(source, out))
    expected = parts_of(job.folder.path)
    damage(job.folder.path, kind)
    again = make_job(source, out)
    assert again.missing() == [2] and again.missing(range(3, 7)) == []
    with pytest.raises(ValueError, match=rf"lacks 1 of 7 parts: {PART}\.parquet"):
        again.finish()
    write_all(again)
    assert parts_of(job.folder.path) == expected


def test_an_altered_part_is_found_by_its_digest_and_made_again(source, out):
    job = write_all(make_job(source, out))
    expected = parts_of(job.folder.path)
    part = job.folder.path / f"{PART}.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:50] + bytes([content[50] ^ 1]) + content[51:])
    assert job.missing() == []
    assert job.folder.check() == [part.name] and job.missing() == [2]
    write_all(job)
    assert parts_of(job.folder.path) == expected and job.folder.check() == []


def test_the_manifest_lists_every_part(source, out):
    job = write_all(make_job(source, out))
    manifest = json.loads((job.folder.path / "manifest.json").read_text())
    assert manifest["settings"] == json.loads((job.folder.path / "settings.json").read_text())
    assert [part["part"] for part in manifest["parts"]] == [f"part-0000{i}-of-00007.parquet" for i in range(7)]
    assert [part["first"] for part in manifest["parts"]] == [0, 4, 8, 12, 16, 20, 24]
    for part in manifest["parts"]:
        assert part.keys() == {"part", "first", "examples", "rows", "copies", "bytes", "sha256"}
        assert part["bytes"] == len((job.folder.path / part["part"]).read_bytes())


@pytest.mark.parametrize("value", [{"seed": 1}, {"num_variants": 2}, {"rows_per_part": 5}, {"new_column": "x"}])
def test_other_settings_are_refused_by_name(source, out, value):
    job = write_all(make_job(source, out))
    before = parts_of(job.folder.path)
    with pytest.raises(
        ValueError, match=f"contains parts from a command with different settings: {next(iter(value))}"
    ):
        make_job(source, out, **value)
    assert parts_of(job.folder.path) == before


def test_an_input_that_has_changed_is_refused_by_the_name_of_the_file(tmp_path, out):
    (tmp_path / "data").mkdir()
    for name in "abc":
        write_rows(tmp_path / "data" / f"{name}.parquet", ROWS)
    write_all(make_job(tmp_path / "data", out, rows_per_part=40))
    write_rows(tmp_path / "data" / "b.parquet", ROWS[:-1])
    with pytest.raises(ValueError, match=r"different settings: input \(b\.parquet changed\)\. "):
        make_job(tmp_path / "data", out, rows_per_part=40)
    write_rows(tmp_path / "data" / "b.parquet", ROWS)
    (tmp_path / "data" / "a.parquet").rename(tmp_path / "data" / "d.parquet")
    with pytest.raises(ValueError, match=r"different settings: input \(a\.parquet, d\.parquet changed\)\. "):
        make_job(tmp_path / "data", out, rows_per_part=40)


def test_of_files_with_the_same_name_in_several_folders_any_may_have_changed(tmp_path, out):
    files = []
    for name, rows in (("x", ROWS[:9]), ("y", ROWS[9:])):
        (tmp_path / name).mkdir()
        files.append(write_rows(tmp_path / name / "a.csv", rows))
    pattern = tmp_path / "[xy]" / "a.csv"
    write_all(make_job(pattern, out))
    (tmp_path / "x").rename(tmp_path / "z")
    with pytest.raises(ValueError, match=r"different settings: input \(the order of the files changed\)\. "):
        make_job(tmp_path / "[yz]" / "a.csv", out)
    (tmp_path / "z").rename(tmp_path / "x")
    write_rows(files[0], ROWS[1:10])
    with pytest.raises(ValueError, match=r"different settings: input \(a\.csv changed\)\. "):
        make_job(pattern, out)


def test_the_same_input_elsewhere_is_the_same(tmp_path, source, out):
    write_all(make_job(source, out))
    (tmp_path / "moved").mkdir()
    assert make_job(source.rename(tmp_path / "moved" / "a.csv"), out).missing() == []


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path, source, out):
    file = location(out) / "mine.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    with pytest.raises(ValueError, match=r"already contains mine\.txt and no settings\.json; expected a new or empty"):
        make_job(source, out)
    assert list(parts_of(location(out))) == ["mine.txt"]


def test_a_file_in_place_of_the_folder_is_refused_and_kept(tmp_path, source, out):
    location(out).write_text("mine")
    with pytest.raises(NotADirectoryError, match=r"out is a file; expected a new or empty folder for the parts\.$"):
        make_job(source, out)
    assert location(out).read_text() == "mine"


def test_a_folder_with_a_damaged_part_has_no_manifest(source, out):
    job = write_all(make_job(source, out))
    part = job.folder.path / f"{PART}.parquet"
    part.write_bytes(bytes(len(part.read_bytes())))
    assert job.folder.check() == [part.name]
    assert "manifest.json" not in parts_of(job.folder.path)


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": 27, "rows_per_part": 0}', '{"rows": 27}'])
def test_damaged_settings_are_named(source, out, content):
    folder = write_all(make_job(source, out)).folder.path
    (folder / "settings.json").write_text(content)
    with pytest.raises(ValueError, match=r"settings\.json is damaged"):
        PartFolder.found(out)
    with pytest.raises(ValueError, match=r"settings\.json is damaged"):
        make_job(source, out)


def test_a_folder_is_made_only_where_its_parent_is(tmp_path, source):
    with pytest.raises(FileNotFoundError, match=r"The folder .*absent of .*out does not exist"):
        make_job(source, tmp_path / "absent" / "out")


def test_of_two_that_begin_at_once_with_other_settings_one_goes_on(source, out, monkeypatch):
    create = folder_module._create

    def create_after_another(path, content):
        monkeypatch.setattr(folder_module, "_create", create)
        make_job(source, out, seed=1)
        create(path, content)

    monkeypatch.setattr(folder_module, "_create", create_after_another)
    with pytest.raises(ValueError, match="different settings: seed"):
        make_job(source, out)
    assert make_job(source, out, seed=1).missing() == list(range(7))


def test_a_file_system_without_links_has_settings_too(tmp_path, source, monkeypatch):
    def refuse(*args):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    write_all(make_job(source, tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*.tmp")) and make_job(source, tmp_path / "out").missing() == []


def test_two_that_write_the_same_do_no_harm(source, out):
    first, second = make_job(source, out), make_job(source, out)
    for number in range(7):
        first.write(number)
        second.write(6 - number)
    assert first.finish() == second.finish()
    assert first.folder.check() == []


def test_parts_of_other_settings_are_found_in_the_end(source, out):
    job = write_all(make_job(source, out))
    stray = job.folder.path / "part-00000-of-00002.parquet"
    stray.write_bytes(b"")
    with pytest.raises(ValueError, match=r"also has parts of a command with different settings: part-00000-of-00002"):
        job.finish()
    stray.unlink()
    job.finish()


def test_a_folder_that_was_begun_is_found_by_its_name(source, out):
    job = write_all(make_job(source, out))
    found = PartFolder.found(out)
    assert (found.settings, found.digest, found.num_parts) == (job.folder.settings, job.folder.digest, 7)
    with pytest.raises(FileNotFoundError, match=r"has no settings\.json; expected a folder that `write`"):
        PartFolder.found(f"{out}-absent")
