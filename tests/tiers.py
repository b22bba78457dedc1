"""
Which tests are not quick: the marker `integration`, set here so that no test has to be listed by name.

`make test` runs what is left, `make integration` the integration tests, and `make slow` those that carry the marker
`slow` themselves.
"""

import functools
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest


TESTS = Path(__file__).parent
# Folders and files that are run whole as integration tests: pages of the docs, programs, and the command that
# compares methods, which starts a process for each run.
INTEGRATION = ["benchmarks", "docs", "examples", "compare/test_command.py", "compare/test_processes.py"]


def mark_integration(items: list[pytest.Item]) -> None:
    """Marks tests of the paths above and tests that start another interpreter, unless they are marked slow."""
    folders = [TESTS / path for path in INTEGRATION]
    assert all(path.exists() for path in folders), f"a path of {INTEGRATION} is gone from {TESTS}"
    for item in items:
        fixtures = (definition[-1].func for definition in item._fixtureinfo.name2fixturedefs.values())
        if item.get_closest_marker("slow") is None and (
            any(path in (item.path, *item.path.parents) for path in folders)
            or any(starts_a_process(function) for function in (item.function, *fixtures))
        ):
            item.add_marker("integration")


@functools.cache
def starts_a_process(function: Callable) -> bool:
    """Whether a function of the tests, or one of those that it calls by their names, uses `subprocess`."""
    return any(
        value is subprocess or (isinstance(value, FunctionType) and _is_of_tests(value) and starts_a_process(value))
        for value in _globals_used(function)
        if value is not function
    )


def _is_of_tests(function: FunctionType) -> bool:
    return Path(function.__code__.co_filename).is_relative_to(TESTS)


def _globals_used(function: Callable) -> list:
    """The values of the global names in the code of a function and of the functions inside it."""
    names, codes = set(), [function.__code__] if isinstance(function, FunctionType) else []
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    values = [function.__globals__.get(name) for name in names] if names else []
    # `module.function`, where the module is one of the tests' own
    modules = [value for value in values if isinstance(value, ModuleType) and _is_own(value)]
    return values + [getattr(module, name, None) for module in modules for name in names]


def _is_own(module: ModuleType) -> bool:
    return Path(getattr(module, "__file__", None) or "/").is_relative_to(TESTS)
