"""Errors that end the command with one line."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from huggingface_hub.errors import HTTPError

from augment.core.running import tolerate_encodings


class UsageError(ValueError):
    """Something the user can put right: ends the command with one line instead of a traceback."""


@contextmanager
def usage_errors(*errors: type[Exception]) -> Iterator[None]:
    """What the block refuses of the user's input becomes a `UsageError`, whose message is one line."""
    try:
        yield
    except errors as error:
        raise UsageError(_one_line(str(error)) or type(error).__name__) from error


def run_program(main: Callable[[], object], name: str) -> None:
    """
    Runs the command as a program, which ends with one line and exit code 1 after a `UsageError`, and with one line and
    130 after an interruption.

    Args:
        main (`Callable`): The command, which reads `sys.argv`.
        name (`str`): What its lines begin with.
    """
    tolerate_encodings()
    quiet_workers()
    try:
        main()
    except UsageError as error:
        sys.exit(f"{name}: error: {error}")
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted; the same command goes on from the last checkpoint, if there is one\n")
        sys.exit(130)


def quiet_workers() -> None:
    """
    Has the data-loading workers that are forked from now on say nothing of a batch that was broken off because the
    command was interrupted while it received it: Python prints a traceback of that from a thread of theirs.
    """
    shown = sys.excepthook

    def show_unless_broken_off(kind, error, traceback):
        if multiprocessing.parent_process() is None or not issubclass(kind, (ConnectionError, EOFError)):
            shown(kind, error, traceback)

    sys.excepthook = show_unless_broken_off


def reason_of(error: BaseException) -> str:
    """
    What went wrong, and what made it go wrong, on one line that ends in a full stop. The cause of an HTTP error is
    left out, since it may hold what was sent.
    """
    parts = [error] if error.__cause__ is None or isinstance(error, HTTPError) else [error, error.__cause__]
    texts = [str(part) if str(part) and not isinstance(part, LookupError) else repr(part) for part in parts]
    return ". ".join(_one_line(text).rstrip(".") for text in texts) + "."


def _one_line(text: str) -> str:
    return " ".join(text.split())
