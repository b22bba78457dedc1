"""`python -m hf_mmel`: what the package offers at the command line besides training."""

import argparse
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path


def main(argv: list[str] | None = None) -> int:
    """
    Runs one sub-command.

    Returns:
        `int`: The exit code: 0, 1 after an error, 2 after a wrong use, 130 after an interruption.
    """
    args = _parser().parse_args(argv)
    try:
        for line in args.run(args):
            print(line, flush=True)
    except BrokenPipeError:  # the reader of our lines has had enough of them
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"interrupted{args.after_interruption}", file=sys.stderr)
        return 130
    except ValueError as error:
        from .command.usage import UsageError

        if not isinstance(error, UsageError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hf_mmel", description="What augmentation does on your data.")
    parser.set_defaults(after_interruption="")
    add = partial(parser.add_subparsers(required=True, metavar="COMMAND").add_parser, allow_abbrev=False)

    report = add("report", help="write a page that tells what a training did, with its variants and its predictions")
    report.add_argument("folder", metavar="OUTPUT_DIR", type=Path, help="the output_dir of run_glue_mmel")
    report.add_argument(
        "--max_examples",
        type=int,
        default=1000,
        metavar="N",
        help="training examples whose variants are scored (default: %(default)s)",
    )
    report.add_argument(
        "--min_confidence",
        type=float,
        default=0.75,
        metavar="P",
        help="least probability of a suspected label flip that is shown (default: %(default)s)",
    )
    report.add_argument(
        "--max_shown",
        type=int,
        default=30,
        metavar="N",
        help="most suspected label flips that are shown (default: %(default)s)",
    )
    report.set_defaults(run=_report)
    return parser


def _report(args: argparse.Namespace) -> Iterator[str]:
    from .command.usage import usage_errors
    from .report import check_installed

    with usage_errors(ImportError):
        check_installed()
    from .report.rebuild import report_of_folder

    yield str(report_of_folder(args.folder, args.max_examples, args.min_confidence, args.max_shown))


if __name__ == "__main__":
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its notes are not for those who read a page
    sys.exit(main())
