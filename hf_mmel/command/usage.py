"""Errors that end the command with one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UsageError(ValueError):
    """Something the user can put right: ends the command with one line instead of a traceback."""


@contextmanager
def usage_errors(*errors: type[Exception]) -> Iterator[None]:
    """What the block refuses of the user's input becomes a `UsageError`, whose message is one line."""
    try:
        yield
    except errors as error:
        raise UsageError(" ".join(str(error).split())) from error
