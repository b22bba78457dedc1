"""
Runs the Trainer tests of a checkout of transformers twice, with the stock `Trainer` and with `MMELTrainer` in its
place, and prints the tests that end differently:

    python tests/stock_suite.py PATH_TO_TRANSFORMERS [pytest arguments]

`tests/trainer` is run unless pytest arguments are given; these then name what to run, with paths as seen from the
checkout. The checkout should be of the release that is installed, as the installed package is what is tested, and its
tests need `pip install parameterized`. The exit status is 1 if a test passes with the stock class and not with ours,
2 if no test ran. Tests that start other interpreters, such as the distributed ones, see the stock class there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


HERE = Path(__file__).resolve().parent
WORST_LAST = ["passed", "skipped", "failed"]


def run_suite(checkout: Path, trainer: str, arguments: list[str]) -> dict[str, str]:
    """How each test of the checkout ends with one of the two classes, in an interpreter of its own."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = Path(folder) / "outcomes.json"
        options = ["-p", "stock_suite", "--trainer", trainer, "--outcomes", str(outcomes)]
        python_path = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *(arguments or ["tests/trainer"])],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(python_path)},
            check=False,
        )
        return json.loads(outcomes.read_text()) if outcomes.exists() else {}


def compare(stock: dict[str, str], ours: dict[str, str]) -> int:
    """Prints the tests that end differently; the exit status."""
    if not stock or not ours:
        print("No test ran; expected the root of a checkout of transformers, and arguments that name its tests.")
        return 2
    lost = 0
    for name in sorted({**stock, **ours}):
        # A test that pytest did not come to, because its file broke at import, has no outcome.
        outcome, our_outcome = stock.get(name, "missing"), ours.get(name, "missing")
        if outcome != our_outcome:
            print(f"{name}: {outcome} with Trainer, {our_outcome} with MMELTrainer")
            lost += outcome == "passed"
    passed = sum(outcome == "passed" for outcome in stock.values())
    print(f"{len(stock)} tests: {passed} pass with Trainer, {lost} of these do not with MMELTrainer")
    return 1 if lost else 0


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="root of a checkout of transformers")
    known, arguments = parser.parse_known_args(argv)
    return compare(*(run_suite(known.checkout.resolve(), trainer, arguments) for trainer in ("stock", "mmel")))


# The pytest plugin of the two runs


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--trainer", choices=["stock", "mmel"], default="stock")
    parser.addoption("--outcomes", type=Path)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Puts `MMELTrainer` in place before any test, or conftest, imports the stock class."""
    # Imported in both runs, so that a conftest that adds the checkout's sources to the path comes too late.
    import transformers.trainer

    if early_config.known_args_namespace.trainer == "mmel":
        from hf_mmel import MMELTrainer

        transformers.Trainer = transformers.trainer.Trainer = MMELTrainer


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Outcomes(config.getoption("--outcomes")))


class Outcomes:
    """Writes how each test ended, the worst of its set-up, call and tear-down, as JSON."""

    def __init__(self, path: Path):
        self.path, self.outcomes = path, {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcomes = (self.outcomes.get(report.nodeid, "passed"), report.outcome)
        self.outcomes[report.nodeid] = max(outcomes, key=WORST_LAST.index)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.outcomes[report.nodeid] = "failed"

    def pytest_sessionfinish(self) -> None:
        self.path.write_text(json.dumps(self.outcomes))


if __name__ == "__main__":
    sys.exit(main())
