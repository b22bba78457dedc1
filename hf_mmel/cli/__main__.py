"""`python -m hf_mmel.cli`: the training command, which then finds its modules as any other import does."""

from .run import PROGRAM, main, run_program


if __name__ == "__main__":
    run_program(main, PROGRAM)
