"""The command that runs transformers' Trainer tests with both classes, on a checkout of a few lines."""

import pytest
import stock_suite


CHECKOUT = {
    "test_it.py": """
import transformers.trainer
from transformers import Trainer

def test_both():
    assert Trainer is transformers.trainer.Trainer

def test_neither():
    assert Trainer is None

def test_only_stock():
    assert Trainer.__name__ == "Trainer"

def test_only_ours():
    assert Trainer.__name__ == "MMELTrainer"
""",
    "test_import.py": """
from transformers import Trainer

assert Trainer.__name__ == "Trainer"

def test_of_a_file_that_breaks():
    pass
""",
}


@pytest.mark.slow  # two interpreters, which import all of transformers
def test_the_command_names_the_tests_that_end_differently(tmp_path, capfd):
    folder = tmp_path / "tests" / "trainer"
    folder.mkdir(parents=True)
    for package in [folder.parent, folder]:
        (package / "__init__.py").touch()
    for name, text in CHECKOUT.items():
        (folder / name).write_text(text)
    assert stock_suite.main([str(tmp_path), "-q", "--tb=no", "--continue-on-collection-errors", "tests/trainer"]) == 1
    verdict = [line for line in capfd.readouterr().out.splitlines() if " with MMELTrainer" in line]
    assert verdict == [
        "tests/trainer/test_import.py: missing with Trainer, failed with MMELTrainer",
        "tests/trainer/test_import.py::test_of_a_file_that_breaks: passed with Trainer, missing with MMELTrainer",
        "tests/trainer/test_it.py::test_only_ours: failed with Trainer, passed with MMELTrainer",
        "tests/trainer/test_it.py::test_only_stock: passed with Trainer, failed with MMELTrainer",
        "5 tests: 3 pass with Trainer, 2 of these do not with MMELTrainer",
    ]


@pytest.mark.parametrize(
    ("stock", "ours", "status"),
    [
        ({"a": "passed", "b": "failed"}, {"a": "passed", "b": "failed"}, 0),
        ({"a": "failed"}, {"a": "passed"}, 0),
        ({"a": "skipped"}, {"a": "failed"}, 0),
        ({"a": "passed"}, {"a": "skipped"}, 1),
        ({"a": "passed", "b": "passed"}, {"a": "passed"}, 1),
        ({}, {}, 2),
        ({"a": "passed"}, {}, 2),
    ],
)
def test_the_command_fails_where_a_test_is_lost_or_none_ran(stock, ours, status):
    assert stock_suite.compare(stock, ours) == status
