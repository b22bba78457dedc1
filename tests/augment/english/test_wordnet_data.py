import os
import shutil
import subprocess
import sys
from pathlib import Path

import nltk
import pytest
from mini_wordnet import write_mini_wordnet

from augment.__main__ import main
from augment.english import wordnet_data
from augment.english.wordnet_data import ensure_wordnet, find_wordnet, load_wordnet


@pytest.fixture(autouse=True)
def no_wordnet(monkeypatch, tmp_path):
    """NLTK searches one empty folder, and no source can be reached."""
    root = tmp_path / "nltk_data"
    root.mkdir(mode=0o755)
    monkeypatch.setattr(nltk.data, "path", [str(root)])
    monkeypatch.setattr(wordnet_data, "DEBIAN_FOLDER", tmp_path / "absent")

    def refuse(*args, **kwargs):
        raise ValueError("no network")

    monkeypatch.setattr(nltk, "download", refuse)
    monkeypatch.setattr(wordnet_data, "_install_debian_packages", refuse)
    return root


@pytest.fixture
def debian_folder(monkeypatch, tmp_path):
    """What Debian installs: everything but `lexnames`, here group-writable, and more files than are wanted."""
    folder = write_mini_wordnet(tmp_path / "usr" / "share" / "wordnet")
    (folder / "lexnames").unlink()
    (folder / "sents.vrb").write_text("")
    for path in folder.iterdir():
        path.chmod(0o664)
    monkeypatch.setattr(wordnet_data, "DEBIAN_FOLDER", folder)
    return folder


def make_zip(root: Path) -> Path:
    write_mini_wordnet(root / "unzipped" / "wordnet")
    corpora = root / "corpora"
    corpora.mkdir(mode=0o755)
    archive = Path(shutil.make_archive(str(corpora / "wordnet"), "zip", root / "unzipped", "wordnet"))
    archive.chmod(0o644)
    shutil.rmtree(root / "unzipped")
    return archive


def test_absent_wordnet_raises_the_command_to_run():
    assert find_wordnet() is None
    with pytest.raises(LookupError, match="python -m augment download"):
        load_wordnet()


def test_folder_is_found_and_left_alone(no_wordnet):
    folder = write_mini_wordnet(no_wordnet / "corpora" / "wordnet")
    assert find_wordnet() == folder
    assert ensure_wordnet() == f"WordNet is already at {folder}."
    assert load_wordnet().synsets("movie")[0].lemmas()[1].count() == 38


def test_archive_is_found_and_read(no_wordnet):
    archive = make_zip(no_wordnet)
    assert find_wordnet() == archive
    assert load_wordnet().synsets("films", "n")[0].name() == "movie.n.01"


@pytest.mark.parametrize("missing", ["lexnames", "index.sense", "data.adj"])
def test_incomplete_folder_is_not_found(no_wordnet, missing):
    folder = write_mini_wordnet(no_wordnet / "corpora" / "wordnet")
    (folder / missing).unlink()
    assert find_wordnet() is None


def test_nltk_download_comes_first(no_wordnet, debian_folder, monkeypatch):
    def download(package, folder, **kwargs):
        assert package == "wordnet"
        write_mini_wordnet(Path(folder) / "corpora" / "wordnet")

    monkeypatch.setattr(nltk, "download", download)
    assert "NLTK's download" in ensure_wordnet(no_wordnet)


def test_download_that_leaves_nothing_is_a_failure(no_wordnet, debian_folder, monkeypatch):
    monkeypatch.setattr(nltk, "download", lambda *args, **kwargs: True)
    assert str(debian_folder) in ensure_wordnet(no_wordnet)


def test_debian_files_become_a_folder_that_nltk_reads(debian_folder, tmp_path):
    target = tmp_path / "new" / "nltk_data"
    umask = os.umask(0o002)
    try:
        message = ensure_wordnet(target)
    finally:
        os.umask(umask)
    folder = target / "corpora" / "wordnet"
    assert str(debian_folder) in message and str(folder) in message and f"NLTK_DATA={target}" in message
    assert load_wordnet().synsets("movie")[0].lexname() == "noun.communication"
    assert sorted(p.name for p in folder.parent.iterdir()) == ["wordnet"]
    assert not (folder / "sents.vrb").exists()
    assert {p.stat().st_mode & 0o777 for p in folder.iterdir()} == {0o644}
    assert {p.stat().st_mode & 0o777 for p in (target, folder.parent, folder)} == {0o755}


def test_lexnames_has_forty_five_numbered_lines():
    rows = [line.split("\t") for line in wordnet_data.LEXNAMES.splitlines()]
    assert [row[0] for row in rows] == [f"{number:02d}" for number in range(45)]
    assert rows[3] == ["03", "noun.Tops", "1"]
    assert rows[29] == ["29", "verb.body", "2"]
    assert rows[44] == ["44", "adj.ppl", "3"]


def test_interrupted_copy_leaves_nothing(no_wordnet, debian_folder, monkeypatch):
    copy, copied = shutil.copyfile, []

    def interrupted(source, destination):
        if len(copied) == 5:
            raise KeyboardInterrupt
        copied.append(copy(source, destination))

    monkeypatch.setattr(shutil, "copyfile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure_wordnet(no_wordnet)
    assert len(copied) == 5
    assert list((no_wordnet / "corpora").iterdir()) == []


def test_error_names_every_source_its_reason_and_what_to_run(tmp_path):
    target = tmp_path / "target"
    with pytest.raises(RuntimeError) as caught:
        ensure_wordnet(target)
    message = str(caught.value)
    assert message.count("no network") == 2
    assert f"{tmp_path / 'absent'} lacks" in message
    assert "apt-get install wordnet-base wordnet-sense-index" in message
    assert f"nltk.downloader -d {target} wordnet" in message
    assert not target.exists()


def test_folder_in_the_way_is_named_not_deleted(no_wordnet, debian_folder):
    folder = no_wordnet / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("kept")
    with pytest.raises(RuntimeError, match=f"{folder} exists, but NLTK cannot use it"):
        ensure_wordnet(no_wordnet)
    assert (folder / "mine.txt").read_text() == "kept"


def test_command_prints_the_place_or_an_error(no_wordnet, debian_folder, monkeypatch, capsys):
    assert main(["download", "--target", str(no_wordnet)]) == 0
    assert str(no_wordnet / "corpora" / "wordnet") in capsys.readouterr().out
    shutil.rmtree(no_wordnet / "corpora")
    monkeypatch.setattr(wordnet_data, "DEBIAN_FOLDER", Path("/absent"))
    assert main(["download", "--target", str(no_wordnet)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: WordNet could not be put into") and not captured.out


@pytest.mark.integration
def test_import_reads_no_wordnet_and_needs_no_nltk():
    code = "import sys, augment.english.wordnet_data, augment.english.synonyms as _; "
    code += "print(*{'nltk', 'lemminflect'} & set(sys.modules))"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.slow
def test_real_wordnet_can_be_fetched(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(nltk.data, "path", [])
    target = tmp_path / "nltk_data"
    try:
        message = ensure_wordnet(target)
    except RuntimeError as error:
        pytest.skip(f"no source of WordNet can be reached: {error}")
    assert str(target) in message
    assert load_wordnet().synsets("movie")[0].lemma_names()[:2] == ["movie", "film"]


def test_fingerprint_is_of_the_content_in_a_folder_or_an_archive(no_wordnet):
    assert wordnet_data.wordnet_fingerprint() is None
    make_zip(no_wordnet)
    archived = wordnet_data.wordnet_fingerprint()
    folder = write_mini_wordnet(no_wordnet / "corpora" / "wordnet")
    (no_wordnet / "corpora" / "wordnet.zip").write_bytes(b"damaged")
    assert wordnet_data.wordnet_fingerprint() == archived is not None
    (folder / "data.noun").write_text((folder / "data.noun").read_text() + "\n")
    assert wordnet_data.wordnet_fingerprint() not in (archived, None)
    (folder / "data.noun").unlink()
    assert wordnet_data.wordnet_fingerprint() is None


@pytest.mark.integration
def test_wordnet_is_looked_for_where_nltk_looks(tmp_path):
    code = (
        "import sys\n"
        "from augment.english.corpora import search_path\n"
        "ours = search_path()\n"
        "assert 'nltk' not in sys.modules\n"
        "import nltk.data\n"
        "assert ours == nltk.data.path == search_path(), (ours, nltk.data.path)\n"
    )
    environment = {**os.environ, "NLTK_DATA": os.pathsep.join(["~/mine", str(tmp_path), ""])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
