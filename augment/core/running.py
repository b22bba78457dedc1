"""Runs a sub-command of a command-line program and turns its errors into one line and an exit code."""

import argparse
import os
import sys
from collections.abc import Iterable
from itertools import islice
from typing import Any


_MAX_MESSAGE, _MAX_NAMES, _MAX_NAME = 1200, 20, 50


def one_line(text: str) -> str:
    """A message on one line that fits a screen. The middle of a longer one is left out, as the end says what to do."""
    text = " ".join(text.split())
    if len(text) <= _MAX_MESSAGE:
        return text
    return f"{text[: _MAX_MESSAGE // 2]} [...] {text[-_MAX_MESSAGE // 2 :]}"


def shown(names: Iterable[str]) -> str:
    """The first names of a list, for a message. Long names are cut."""
    rest = iter(names)
    first = [name[:_MAX_NAME] for name in islice(rest, _MAX_NAMES)]
    num_others = sum(1 for _ in rest)
    return ", ".join(first) + (f" and {num_others} others" if num_others else "")


class CommandParser(argparse.ArgumentParser):
    """A parser that refuses the value `--` of an option: argparse drops it, and the option would have a list."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        for option in sys.argv[1:] if args is None else args:
            name, _, value = option.partition("=")
            if value == "--" and name.startswith("--"):
                self.error(f"argument {name}: '--' is not a value")
        return super().parse_known_args(args, namespace)


def tolerate_encodings() -> None:
    """Makes standard output escape characters that its encoding lacks."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def run_command(args: argparse.Namespace, errors: tuple[type[Exception], ...]) -> int:
    """
    Prints the lines that `args.run(args)` yields. Errors of the given types are shown as one line, and an interruption
    as "interrupted" and the text `args.after_interruption`. Returns the exit code: 0, 1 after an error, 130 after an
    interruption.
    """
    try:
        for line in args.run(args):
            print(line, flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"interrupted{args.after_interruption}", file=sys.stderr)
        return 130
    except errors as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return 1
    return 0
