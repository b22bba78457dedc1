"""`hf-mmel` and `python -m hf_mmel`: all commands of both packages.

Each command imports torch and transformers when it runs, so that help and errors about its arguments are fast.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from .cli.__main__ import train
from .cli.errors import UsageError, file_errors, usage_errors
from .own_augment import own_augment


with own_augment():  # Python executes this module itself
    from augment.__main__ import main as augment_main
    from augment.core.running import CommandParser, run_command, tolerate_encodings

PROGRAM = "python -m hf_mmel"
_RUN_FOLDER = (
    "expected the output_dir of a run of run_glue_mmel with --do_train. The runs of --seeds are in the folders seed-N."
)


def main(argv: list[str] | None = None, program: str = PROGRAM) -> int:
    """
    Runs a sub-command of a program that was called by this name. Its exit code is 0, or 1 after an error, 2 after
    wrong usage, 130 after an interruption.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["train"]:
        train(f"{program} train", argv[1:])
        return 0
    if argv[:1] == ["augment"]:
        return augment_main(argv[1:], f"{program} augment")
    return run_command(parse(argv, program), (UsageError,))


def parse(argv: list[str], program: str = PROGRAM) -> argparse.Namespace:
    """The arguments of a sub-command. In `options` are those of run_glue_mmel.py, if the sub-command takes them."""
    parser = CommandParser(prog=program, description="Trains on augmented text, and shows what it does on your data.")
    parser.set_defaults(after_interruption="", takes_options=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("train", help="fine-tune a classifier on augmented text, as run_glue_mmel.py does")
    compare = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="train a grid of methods, augmenters and seeds, and compare their scores",
        usage=f"{program} compare [FILE] [option of run_glue_mmel.py ...] [options below]",
        description="Trains a grid of methods, augmenters and seeds, and compares their scores. Takes the options of "
        "run_glue_mmel.py, from a .json or .yaml file, from the command line, or from both, as well as:",
    )
    for name, default, metavar, what in (
        (
            "--methods",
            "none,uniform,hard,soft",
            None,
            "some of none, uniform, hard and soft, the values of mmel_loss, and of the rivals longer, "
            "label_smoothing, r-drop and temperature (default: %(default)s)",
        ),
        (
            "--augmenters",
            None,
            "NAMES",
            "names, JSON files or MODULE:CLASS (default: that of --augmenter, or column with --variants_column)",
        ),
        ("--seeds", "5", None, "number of seeds, or a list such as 3,7,9 (default: %(default)s, which are 1 to 5)"),
        ("--metric", None, "NAME", "the score (default: metric_for_best_model, or the task's)"),
        ("--budget", None, "TIME", "skip seeds that would not finish in this time: 90s, 30m, 2h"),
        ("--cell_limit", None, "TIME", "stop a run that takes longer, and count it as failed"),
        ("--jobs", None, "N", "runs at a time (default: one per GPU, one on a CPU)"),
        ("--launcher", None, "COMMAND", "starts each run on all GPUs: 'accelerate launch --multi_gpu ...'"),
    ):
        compare.add_argument(name, type=int if metavar == "N" else str, default=default, metavar=metavar, help=what)
    compare.add_argument("--keep_models", action="store_true", help="keep the weights of all runs")
    compare.add_argument(
        "--attack", action="store_true", help="measure the accuracy of each model in the worst case over variants, too"
    )
    what = "most variants of an example that an attack classifies (default: 100)"
    compare.add_argument("--attack_budget", type=int, metavar="N", help=what)
    what = "name, JSON file or MODULE:CLASS of the augmenter of all attacks (default: synonyms)"
    compare.add_argument("--attack_augmenter", metavar="NAME", help=what)
    compare.set_defaults(run=_compare, takes_options=True, after_interruption="; run the same command again to resume")

    what = "write a page about a training run, with its variants and its predictions"
    report = commands.add_parser("report", allow_abbrev=False, help=what)
    report.add_argument("folder", metavar="OUTPUT_DIR", type=Path, help="the output_dir of run_glue_mmel.py")
    for name, count, metavar, what in (
        ("--max_examples", 1000, "N", "training examples whose variants are scored"),
        ("--min_confidence", 0.75, "P", "least probability of a suspected label flip to show it"),
        ("--max_shown", 30, "N", "most suspected label flips to show"),
    ):
        what += " (default: %(default)s)"
        report.add_argument(name, type=type(count), default=count, metavar=metavar, help=what)
    report.add_argument(
        "--trust_remote_code", action="store_true", help="run model code that comes with the folder, if you trust it"
    )
    report.add_argument(
        "--augmenter", metavar="MODULE:CLASS", help="your own class of augmenters, if the run was trained with one"
    )
    report.set_defaults(run=_report)

    what = "measure the accuracy of a classifier in the worst case over variants of its texts"
    attack = commands.add_parser(
        "attack",
        allow_abbrev=False,
        help=what,
        usage=f"{program} attack MODEL [option of run_glue_mmel.py ...] [options below]",
        description="Measures the accuracy of a trained classifier in the worst case over variants of its texts. Of a "
        "run of run_glue_mmel.py the data and the augmenter are known. Takes the options of run_glue_mmel.py for the "
        "model, the data and the augmenter, such as --validation_file and --augmenter, as well as:",
    )
    attack.add_argument("model", metavar="MODEL", help="the output_dir of run_glue_mmel.py, or name of a classifier")
    what = "random, greedy, or both with a comma (default: both, if the augmenter has candidates of words)"
    attack.add_argument("--attacks", metavar="NAMES", help=what)
    for name, number, metavar, what in (
        ("--budget", 100, "N", "most variants of an example that are classified (default: %(default)s)"),
        ("--max_replaced", None, "N", "most words that a variant replaces (default: the augmenter's own)"),
        ("--num_shown", 3, "N", "examples to show (default: %(default)s)"),
        ("--seed", 42, "N", "random seed (default: %(default)s)"),
        ("--per_device_eval_batch_size", 64, "N", "texts per forward pass (default: %(default)s)"),
    ):
        attack.add_argument(name, type=int, default=number, metavar=metavar, help=what)
    attack.add_argument("--output_dir", metavar="DIR", help="folder of the results (default: MODEL/attack, of a run)")
    attack.add_argument("--use_cpu", action="store_true", help="compute on the CPU, even if there is a GPU")
    attack.set_defaults(run=_attack, takes_options=True, after_interruption="; run the same command again to resume")

    commands.add_parser("augment", help="make, show and filter variants of text, as python -m augment does")
    args, options = parser.parse_known_args(argv)
    if options and not args.takes_options:
        parser.error(f"there is no option {options[0]}")
    args.argv, args.options = argv, options
    return args


def _compare(args: argparse.Namespace) -> Iterator[str]:
    if args.options and not args.options[0].startswith("-") and not Path(args.options[0]).is_file():
        raise UsageError(f"{args.options[0]} is no file; expected options, or a .json or .yaml file of options.")
    from .compare import compare

    for number in (signal.SIGTERM, signal.SIGHUP):  # so that no runs stay behind
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    with file_errors():
        yield from compare(args)


def _report(args: argparse.Namespace) -> Iterator[str]:
    if problem := _what_is_wrong_with(args.folder):
        raise UsageError(f"{args.folder} {problem}; {_RUN_FOLDER}")
    from .report import check_installed

    with usage_errors(ImportError):
        check_installed()
    from .report.rebuild import report_of_folder

    numbers = args.max_examples, args.min_confidence, args.max_shown
    with file_errors():
        yield str(report_of_folder(args.folder, *numbers, args.trust_remote_code, args.augmenter))


def _attack(args: argparse.Namespace) -> Iterator[str]:
    problem = _what_is_wrong_with(Path(args.model)) if args.argv[1] == args.model else None
    if problem and (args.output_dir is None or Path(args.model).exists()):
        hub = "" if args.output_dir else " For a model of the Hub name the folder of the results with --output_dir."
        raise UsageError(f"{args.model} {problem}; {_RUN_FOLDER}{hub}")
    from .attack import attack

    with file_errors():
        yield from attack(args)


def _what_is_wrong_with(path: Path) -> str | None:
    """Why a folder cannot be the one of a run; checked before the imports that take seconds."""
    if not path.exists():
        return "does not exist"
    return "is empty" if path.is_dir() and not any(path.iterdir()) else None


def console(program: str = "hf-mmel") -> int:
    """The command line of the process; returns the exit code."""
    tolerate_encodings()
    if sys.argv[1:2] != ["train"]:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # its notes do not concern the other commands
    return main(program=program)


if __name__ == "__main__":
    sys.exit(console(PROGRAM))
