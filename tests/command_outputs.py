"""What a command has left in its output folder, and how it has ended."""

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_mmel.cli.errors import UsageError


def predictions(folder: Path, task: str = "custom") -> list[str]:
    """The predictions in the order of the test file."""
    header, *rows = (folder / f"predict_results_{task}.txt").read_text().splitlines()
    indices, found = zip(*(row.split("\t") for row in rows), strict=True)
    assert header == "index\tprediction" and indices == tuple(map(str, range(len(rows))))
    return list(found)


def config_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def log_of(folder: Path) -> list[dict]:
    """The log of the training run."""
    return json.loads((folder / "trainer_state.json").read_text())["log_history"]


def ends_well(command: Callable[[list[str]], Any], argv: list[Any], given: Any = None) -> bool:
    """
    Whether a command has a result; if it has none, that it ends with one line. An `AssertionError` shows what was
    `given`, by default the arguments, if it ends in another way.
    """
    try:
        return _ends_well(command, list(map(str, argv)))
    except Exception as error:
        raise AssertionError(argv if given is None else given) from error


def _ends_well(command: Callable[[list[str]], Any], argv: list[str]) -> bool:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            code = command(argv)
    except UsageError as error:
        assert str(error) and "\n" not in str(error)
        return False
    except SystemExit as error:  # of argparse, after its usage
        assert error.code == 0 or ": error: " in said.getvalue().splitlines()[-1]
        return False
    assert "Traceback" not in said.getvalue()
    if isinstance(code, int) and code:
        assert code == 1 and said.getvalue().splitlines()[-1].startswith("error: ")
        return False
    return True
