"""Commands with an augmenter class of one's own, `--augmenter MODULE:CLASS`."""

import json
import sys

import pytest

from hf_mmel.__main__ import main


pytestmark = pytest.mark.integration  # the command trains

OWN = """
from pathlib import Path
from augment.custom import Substitution

Path("imported").touch()

class Praise(Substitution):
    def candidates(self, batch, words):
        return self.candidates_of_texts(batch, words, [["great", "fine"]] * len(words))
"""


@pytest.fixture
def forget(tmp_path, monkeypatch):
    """The current folder has a module of one's own, which is forgotten as by a new process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "own_praise.py").write_text(OWN)

    def forget():
        sys.modules.pop("own_praise", None)
        (tmp_path / "imported").unlink(missing_ok=True)

    yield forget
    forget()


def test_own_classes_train_and_report_and_attack(run, files, forget, tmp_path, capsys):
    run(*files, "--do_train", "--do_eval", "--augmenter", "own_praise:Praise", "--replace_prob", 0.5)
    folder = tmp_path / "out"
    saved = json.loads((folder / "augmenter.json").read_text())
    assert saved["class"] == "Praise" and saved["replace_prob"] == 0.5
    assert main(["report", str(folder), "--augmenter", "own_praise:Praise"]) == 0
    assert "variants per example by Praise" in (folder / "report.html").read_text(encoding="utf-8")
    attack = ["attack", str(folder), "--augmenter", "own_praise:Praise", "--attacks", "random", "--budget", "2"]
    assert main([*attack, "--use_cpu"]) == 0
    capsys.readouterr()
    assert main(["report", str(folder), "--augmenter", "praise"]) == 1
    assert "augmenter is 'praise'; expected the MODULE:CLASS" in capsys.readouterr().err


def test_a_report_imports_no_module_that_the_folder_alone_names(run, files, forget, tmp_path):
    run(*files, "--do_train", "--do_eval", "--augmenter", "own_praise:Praise")
    for name in (None, "augmenter.json"):
        if name is not None:
            (tmp_path / "out" / name).unlink()
        forget()
        assert main(["report", str(tmp_path / "out")]) == 0
        assert not (tmp_path / "imported").exists()
