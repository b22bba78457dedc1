"""The tables on the page of results are those that the benchmark prints of its results file."""

import re
import shlex
from pathlib import Path

import pytest

from benchmarks.evidence import __main__ as evidence


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m benchmarks\.evidence (--table .*)$", PAGE, re.MULTILINE)


def test_the_page_has_tables():
    assert COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_each_published_table_is_that_of_the_results_file(command, capsys):
    argv = shlex.split(command.split(" --picture")[0])
    assert evidence.main([*argv, "--results", str(ROOT / "benchmarks/results/evidence.jsonl")]) == 0
    said = [row for row in capsys.readouterr().out.splitlines() if row]
    assert said and all(row in PAGE.splitlines() for row in said)
