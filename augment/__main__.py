"""`python -m augment`: what the package offers at the command line."""

from __future__ import annotations

import argparse
import sys

from .wordnet_data import ensure_wordnet


def main(argv: list[str] | None = None) -> int:
    """Run one sub-command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m augment", description="Text variants for training.")
    commands = parser.add_subparsers(dest="command", required=True)
    download = commands.add_parser("download", help="make WordNet available to NLTK")
    download.add_argument(
        "--target", metavar="DIR", help="the nltk_data folder to put it into (default: in the virtual environment)"
    )
    args = parser.parse_args(argv)
    try:
        print(ensure_wordnet(args.target))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
