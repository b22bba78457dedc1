"""Supported versions of other packages, and the error for others."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from augment.core.versions import RANGES, check_versions


ROOT = Path(__file__).parents[1]


def declared():
    """Package -> range, of all that pyproject.toml asks for."""
    text = (ROOT / "pyproject.toml").read_text().partition("[project]")[2]  # what it is built with comes before
    listed = re.findall(r'^    "([a-zA-Z][^"]*)",$|^\w+ = \[(".*")\]$', text, flags=re.MULTILINE)
    entries = [entry for one, several in listed for entry in ([one] if one else re.findall(r'"([^"]+)"', several))]
    found = [Requirement(entry) for entry in entries if re.match(r"[\w.-]+(\[[\w,]+\])?>=", entry)]
    return {requirement.name.lower(): requirement.specifier for requirement in found}


def pinned(name):
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    requirements = [Requirement(line) for line in lines if line]
    return {
        requirement.name.lower(): Version(next(iter(requirement.specifier)).version)
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11"})
    }


def test_ranges_are_those_of_the_package():
    assert {"torch", "transformers", "nltk", "pytest"} <= set(declared())
    assert {name: str(declared()[name]) for name in RANGES} == {
        name: str(Requirement(name + supported).specifier) for name, supported in RANGES.items()
    }


def test_the_oldest_set_is_the_lower_bounds():
    begins = {
        name: Version(next(one.version for one in specifier if one.operator == ">="))
        for name, specifier in declared().items()
    }
    assert pinned("tests/constraints/oldest.txt") == begins


@pytest.mark.parametrize("file", ["tests/constraints/oldest.txt", "tests/constraints/latest.txt", "requirements.txt"])
def test_every_set_is_complete_and_within_the_ranges(file):
    versions = pinned(file)
    assert set(declared()) - {"tqdm"} <= set(versions)
    assert all(specifier.contains(versions[name]) for name, specifier in declared().items() if name in versions)


@pytest.mark.parametrize(
    ("name", "installed", "message"),
    [
        (
            "transformers",
            "5.19.1",
            r"^transformers 5\.19\.1 is installed; expected transformers>=5\.20,<6: pip install",
        ),
        ("transformers", "6.0.0.dev0", r"^transformers 6\.0\.0\.dev0 is installed"),
        ("torch", "2.7.1+cu126", r"^torch 2\.7\.1\+cu126 is installed; expected torch>=2\.8"),
        ("datasets", "3.6", r"^datasets 3\.6 is installed"),
    ],
)
def test_a_version_out_of_range_is_named_on_one_line(monkeypatch, name, installed, message):
    version = importlib.metadata.version
    monkeypatch.setattr("augment.core.versions.version", lambda asked: installed if asked == name else version(asked))
    with pytest.raises(ImportError, match=message) as caught:
        check_versions(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("installed", ["5.20", "5.20.0", "5.99.1", "5.30.0.dev0", "5.20.0a0+own.build"])
def test_versions_in_range_are_accepted(monkeypatch, installed):
    version = importlib.metadata.version
    monkeypatch.setattr(
        "augment.core.versions.version", lambda name: installed if name == "transformers" else version(name)
    )
    check_versions("transformers")


@pytest.mark.integration
@pytest.mark.parametrize("package", ["augment", "hf_mmel", "run_glue_mmel"])
def test_versions_are_checked_before_imports_that_could_fail(package):
    code = (
        "import importlib.metadata as m, sys\n"
        "real = m.version\n"
        "m.version = lambda name: '4.40' if name == 'transformers' else real(name)\n"
        f"try:\n    import {package}\n"
        "except ImportError as error:\n    print(error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("transformers 4.40 is installed; expected transformers>=5.20,<6")
    assert package == "run_glue_mmel" or done.stdout.endswith("False\n")
