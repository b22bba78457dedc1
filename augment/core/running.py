"""The sub-commands of a program, run to their end."""

import argparse
import os
import sys


def tolerate_encodings() -> None:
    """Has what the encoding of the standard output lacks, or what is no text, written as an escape."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def run_command(args: argparse.Namespace, errors: tuple[type[Exception], ...]) -> int:
    """
    Prints what a sub-command yields.

    Args:
        args (`argparse.Namespace`): With `run`, which takes it and yields lines, and `after_interruption`, a text.
        errors (`tuple`): What the sub-command raises for its user, told in a line.

    Returns:
        `int`: The exit code: 0, 1 after an error, 130 after an interruption.
    """
    try:
        for line in args.run(args):
            print(line, flush=True)
    except BrokenPipeError:  # the reader of our lines has had enough of them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"interrupted{args.after_interruption}", file=sys.stderr)
        return 130
    except errors as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0
