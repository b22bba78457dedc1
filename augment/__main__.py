"""`python -m augment`: the command line of the package."""

import argparse
import os
import sys
from functools import partial

from .cli import commands
from .cli.filter import filter_variants
from .cli.generate import generate
from .cli.output import SUFFIXES
from .cli.parts import ROWS_PER_PART, join
from .core.running import CommandParser, run_command, tolerate_encodings
from .core.tables import READERS
from .registry import NAMES, WITH_MODEL


ERRORS = (ValueError, TypeError, LookupError, OSError, RuntimeError, ImportError)
PROGRAM = "python -m augment"


def main(argv: list[str] | None = None, program: str = PROGRAM) -> int:
    """
    Runs a sub-command of a program that was called by this name. Returns the exit code: 0, 1 after an error, 130 after
    an interruption.
    """
    return run_command(_parser(program).parse_args(argv), ERRORS)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = CommandParser(prog=program, description="Makes variants of text for training.")
    parser.set_defaults(after_interruption="")
    add = partial(parser.add_subparsers(required=True, metavar="COMMAND").add_parser, allow_abbrev=False)
    readable, writable = ", ".join(READERS), ", ".join(SUFFIXES)

    shared = CommandParser(add_help=False)  # options of every command that augments text
    option = shared.add_argument
    option(
        "--augmenter",
        default="synonyms",
        metavar="NAME",
        help=f"{', '.join(NAMES)}, a JSON file with the output of Augmenter.to_dict, or MODULE:CLASS of your "
        "own (default: synonyms)",
    )
    option("--model", metavar="NAME", help=f"name or folder of the model of {', '.join(WITH_MODEL)}")
    option("--tokenizer", metavar="NAME", help="name or folder of a tokenizer (default: the model's, else of bytes)")
    option("--column", default="text", help="column that contains the text (default: text)")
    option("--num_variants", type=int, default=4, metavar="K", help="variants of each text (default: 4)")
    option("--seed", type=int, default=0, help="random seed (default: 0)")
    option("--lang", metavar="CODE", help="language of the text, such as deu, spa or cmn (default: eng)")
    option("--replace_prob", type=float, metavar="P", help="probability that a word changes (default: per augmenter)")

    preview = add("preview", parents=[shared], help="show variants of a text, or of the first rows of a file")
    source = preview.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="the text")
    source.add_argument("--file", metavar="FILE", help=f"a file of rows: {readable}")
    preview.add_argument("--num_rows", type=int, default=10, metavar="N", help="rows to show (default: 10)")
    preview.add_argument(
        "--no_marks",
        action="store_true",
        help="do not mark changes as [-removed-] {+added+}, or by colours",
    )
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    preview.set_defaults(run=partial(commands.preview, colour=colour))

    write = add("write", parents=[shared], help="write the variants of the rows of a file to another file or a folder")
    option = write.add_argument
    option(
        "input",
        metavar="IN",
        help=f"the file of rows: {readable}; if OUT is a folder, also a folder of files, or a pattern in quotes",
    )
    option("output", metavar="OUT", help=f"the file to write: {writable}; or, without an ending, a folder of parts")
    option("--column2", help="a second column of text to augment")
    option("--keep_original", action="store_true", help="also write the originals, as variant 0")
    option(
        "--keep_copies", action="store_true", help="also write variants that equal the original or an earlier variant"
    )
    option(
        "--new_column", metavar="NAME", help="write a row per example, with the list of its variants in this column"
    )
    option(
        "--rows_per_part", type=int, metavar="N", help=f"rows of IN that a part covers (default: {ROWS_PER_PART:,})"
    )
    option("--shard", metavar="I/N", help="write only share I of N of the parts, I from 0; then join the shares")
    option("--engine", choices=["ray"], help="write the parts on the machines of a Ray cluster, or all cores of this")
    option("--num_workers", type=int, metavar="N", help="processes of --engine ray")
    write.set_defaults(run=commands.write, after_interruption="; run the same command again to resume")

    joined = add("join", help="check the parts that the shares of a write have written into a folder")
    joined.add_argument("output", metavar="OUT", help="the folder of parts")
    joined.set_defaults(run=join)

    new_texts = add("generate", help="write the rows of a file with paraphrases or back-translations by a model")
    option = new_texts.add_argument
    option("input", metavar="IN", help=f"the file of rows: {readable}")
    option("output", metavar="OUT", help=f"the file to write: {writable}")
    option(
        "--model",
        action="append",
        required=True,
        metavar="NAME",
        help="name or folder of a sequence-to-sequence or causal model; given twice, the second model continues with "
        "what the first one wrote, such as a translation back",
    )
    option(
        "--prompt",
        action="append",
        help="what the model is given, with {text} in the place of the text (default: {text}); one for each --model, "
        "or one for all",
    )
    option("--column", default="text", help="column that contains the text (default: text)")
    option("--new_column", default="paraphrases", metavar="NAME", help="the column to add (default: paraphrases)")
    option("--num_variants", type=int, default=4, metavar="K", help="most new texts of each text (default: 4)")
    option("--seed", type=int, default=0, help="random seed (default: 0)")
    option("--num_return_sequences", type=int, metavar="N", help="texts to generate, of which K are kept (default: K)")
    option("--temperature", type=float, metavar="T", help="of sampling (default: the model's)")
    option("--top_p", type=float, metavar="P", help="of sampling (default: the model's)")
    option("--num_beams", type=int, metavar="N", help="beam search in place of sampling")
    option("--max_new_tokens", type=int, metavar="N", help="limit of a new text (default: twice its original, and 16)")
    option("--min_ratio", type=float, default=0.5, metavar="R", help="shortest new text, in originals (default: 0.5)")
    option("--max_ratio", type=float, default=2.0, metavar="R", help="longest new text, in originals (default: 2)")
    option("--batch_tokens", type=int, metavar="N", help="tokens per batch (default: 4096 on a CPU, else 16384)")
    option("--cache_dir", metavar="DIR", help="where generated texts are stored (default: $HF_MMEL_CACHE)")
    new_texts.set_defaults(run=generate, after_interruption="; run the same command again to resume")

    kept = add("filter", help="write the variants of a file to which a classifier gives their label to another file")
    option = kept.add_argument
    option("input", metavar="IN", help=f"the file of variants, of write, generate or your own: {readable}")
    option("output", metavar="OUT", help=f"the file to write: {writable}")
    option("--model", required=True, metavar="NAME", help="name or folder of a text classifier")
    option(
        "--variants_column",
        required=True,
        metavar="NAME",
        help="column that contains lists of variants, or the number of each variant, 'variant' in files of write",
    )
    option("--column", default="text", help="column that contains the text (default: text)")
    option("--column2", help="the second column of text, of a pair")
    labels = kept.add_mutually_exclusive_group()
    labels.add_argument("--label_column", default="label", help="column that contains the label (default: label)")
    labels.add_argument(
        "--no_labels", action="store_true", help="go by the class that the classifier gives the original"
    )
    option(
        "--label_names",
        metavar="LABEL=NAME,...",
        help="the classifier's name of labels that it calls something else, such as 0=NEGATIVE,1=POSITIVE",
    )
    option(
        "--min_label_probability",
        type=float,
        default=0.5,
        metavar="P",
        help="least probability of the label, by the classifier, of a variant that is kept (default: 0.5)",
    )
    kept.set_defaults(run=filter_variants, after_interruption="; run the same command again to resume")

    stats = add("stats", parents=[shared], help="report how much of a file's text an augmenter changes")
    stats.add_argument("file", metavar="FILE", help=f"the file of rows: {readable}")
    stats.add_argument("--json", action="store_true", help="print one line of JSON")
    stats.set_defaults(run=commands.stats)

    download = add("download", help="make WordNet available to NLTK, in English and other languages")
    download.add_argument(
        "--lang",
        default="eng",
        metavar="CODE",
        help="also the words and stop words of this language, such as deu, spa or cmn (ISO 639-3)",
    )
    download.add_argument(
        "--target", metavar="DIR", help="the nltk_data folder to put it into (default: in the virtual environment)"
    )
    download.set_defaults(run=commands.download)
    return parser


if __name__ == "__main__":
    tolerate_encodings()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # hides warnings that concern training
    sys.exit(main())
