"""Fine-tune a sequence classifier with MMEL on a GLUE task, a dataset of the Hub, or your own files."""

from hf_mmel.cli.__main__ import train
from hf_mmel.cli.help import PROGRAM


def main(argv: list[str] | None = None) -> dict[str, float]:
    """For notebooks and launchers: `hf_mmel.cli.run.main`, which is imported late, as that takes seconds."""
    from hf_mmel.cli import run

    return run.main(argv)


if __name__ == "__main__":
    train(PROGRAM)
