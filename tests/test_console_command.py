"""The command `hf-mmel` of an installed wheel, called from another folder than the checkout."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


pytestmark = pytest.mark.integration  # it builds a wheel, and starts processes

ROOT = Path(__file__).parents[1]
OFFLINE = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the packages of a wheel, and their command in `bin`."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"  # as the build writes next to its sources
    for name in ("hf_mmel", "augment"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "run_glue_mmel.py"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip"]
    built = [*pip, "wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(built, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", *OFFLINE, "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


def test_the_templates_of_pages_and_cards_are_installed(installed):
    templates = sorted(path.relative_to(ROOT) for path in ROOT.joinpath("hf_mmel").rglob("*.jinja"))
    assert len(templates) >= 4 and all((installed / path).is_file() for path in templates)


def test_the_command_shows_its_help_and_augments(installed, tmp_path):
    def run(*argv: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        command = [sys.executable, *argv]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert Path(run("-c", "import hf_mmel; print(hf_mmel.__file__)")).is_relative_to(installed)
    program = str(installed / "bin" / "hf-mmel")
    assert run(program, "--help").startswith("usage: hf-mmel [-h] COMMAND ...")
    assert run(program, "train", "--help").startswith("usage: hf-mmel train [FILE] [options]")
    lines = run(program, "augment", "preview", "--text", "a film", "--augmenter", "typos").splitlines()
    assert "a film" in lines[0] and len(lines) > 1
