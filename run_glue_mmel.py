"""Fine-tune a sequence classifier with MMEL on a GLUE task, a data set of the Hub, or your own files."""

from hf_mmel.cli.run import PROGRAM, main, run_program


if __name__ == "__main__":
    run_program(main, PROGRAM)
