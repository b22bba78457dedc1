"""`python -m hf_mmel.cli`: the training command, which then finds its modules as any other import does."""

import sys

from .errors import run_program
from .help import asked_help, short_help


def train(program: str, argv: list[str] | None = None) -> None:
    """Runs the training command, or shows its help. `program` is the name that it was called by."""
    options = sys.argv[1:] if argv is None else argv

    def run() -> None:
        asked = asked_help(options)
        if asked == "short":  # without the imports below
            sys.stdout.write(short_help(program))
        elif asked == "all":
            from .parser import full_help

            sys.stdout.write(full_help(program))
        else:
            from .run import main

            main(options)

    run_program(run, program)


if __name__ == "__main__":
    train("python -m hf_mmel.cli")
