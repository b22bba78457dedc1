"""`python -m augment`: what the package offers at the command line."""

import argparse
import os
import sys
from functools import partial

from .cli import commands
from .cli.formats import WRITERS
from .cli.tables import READERS
from .core.running import run_command, tolerate_encodings
from .registry import NAMES


ERRORS = (ValueError, TypeError, LookupError, OSError, RuntimeError, ImportError)


def main(argv: list[str] | None = None) -> int:
    """
    Runs one sub-command.

    Returns:
        `int`: The exit code: 0, 1 after an error, 2 after a wrong use, 130 after an interruption.
    """
    return run_command(_parser().parse_args(argv), ERRORS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m augment", description="Variants of text, for training.")
    parser.set_defaults(after_interruption="")
    add = partial(parser.add_subparsers(required=True, metavar="COMMAND").add_parser, allow_abbrev=False)
    readable, writable = (", ".join(suffixes) for suffixes in (READERS, WRITERS))

    preview = add("preview", help="show variants of a text, or of the first rows of a file")
    source = preview.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="the text")
    source.add_argument("--file", metavar="FILE", help=f"a file of rows: {readable}")
    preview.add_argument("--column", default="text", help="its column with the text (default: text)")
    preview.add_argument("--num_rows", type=int, default=10, metavar="N", help="rows to show (default: 10)")
    _add_augmenter(preview)
    preview.set_defaults(run=lambda args: commands.preview(args, colour=_shows_colour()))

    write = add("write", help="write the rows of a file with their variants to another file")
    write.add_argument("input", metavar="IN", help=f"the file of rows: {readable}")
    write.add_argument("output", metavar="OUT", help=f"the file to write: {writable}")
    write.add_argument("--column", default="text", help="the column with the text (default: text)")
    write.add_argument("--column2", help="a second column of text, which changes too")
    write.add_argument("--keep_original", action="store_true", help="write the originals too, as variant 0")
    write.add_argument("--keep_copies", action="store_true", help="write variants too that are copies of earlier rows")
    _add_augmenter(write)
    write.set_defaults(run=commands.write, after_interruption="; the same command goes on from here")

    stats = add("stats", help="tell how much of a file's text an augmenter changes")
    stats.add_argument("file", metavar="FILE", help=f"the file of rows: {readable}")
    stats.add_argument("--column", default="text", help="the column with the text (default: text)")
    stats.add_argument("--json", action="store_true", help="print one line of JSON")
    _add_augmenter(stats)
    stats.set_defaults(run=commands.stats)

    download = add("download", help="make WordNet available to NLTK")
    download.add_argument(
        "--target", metavar="DIR", help="the nltk_data folder to put it into (default: in the virtual environment)"
    )
    download.set_defaults(run=commands.download)
    return parser


def _add_augmenter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--augmenter",
        default="wordnet",
        metavar="NAME",
        help=f"{', '.join(NAMES)}, or a JSON file with what Augmenter.to_dict gives (default: wordnet)",
    )
    parser.add_argument("--model", metavar="NAME", help="name or folder of the model of mlm and embedding")
    parser.add_argument(
        "--tokenizer",
        metavar="NAME",
        help="name or folder of a tokenizer (default: that of the model; without a model, one of bytes is built in)",
    )
    parser.add_argument("--num_variants", type=int, default=4, metavar="K", help="variants of each text (default: 4)")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other variants (default: 0)")
    parser.add_argument(
        "--replace_prob", type=float, metavar="P", help="probability that a word changes (default: the augmenter's)"
    )


def _shows_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


if __name__ == "__main__":
    tolerate_encodings()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its notes are not for those who augment a file
    sys.exit(main())
