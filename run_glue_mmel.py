"""Fine-tune a sequence classifier with MMEL on a GLUE task, a data set of the Hub, or your own files."""

from hf_mmel.cli.__main__ import train
from hf_mmel.cli.help import PROGRAM


if __name__ == "__main__":
    train(PROGRAM)
