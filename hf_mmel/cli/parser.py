"""The options of the command line: read from a config file, parsed into the groups of arguments, and looked up."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from transformers import HfArgumentParser

from augment.core.running import CommandParser

from ..argument_groups import check_ranges
from ..hub.redaction import without_tokens
from ..training_args import MMELTrainingArguments
from .arguments import Arguments, AugmenterArguments, ModelArguments, RunArguments
from .data_arguments import DataArguments
from .errors import UsageError, usage_errors
from .help import ALL, DESCRIPTION, GROUPS, PROGRAM, title_of
from .preflight import RANGES, check_combinations


_MAX_FITTING = 6  # options that an error about an abbreviation shows


class OptionParser(CommandParser, HfArgumentParser):
    """A parser whose errors are one line, without the long list of all options, and whose help has titled groups."""

    _groups: dict[str, Any] | None = None  # by title

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Adds an option to the group that it belongs to."""
        if names[0] == "-h":
            return super().add_argument(*names, **settings)
        if self._groups is None:
            self._groups = {group.title: self.add_argument_group(group.title) for group in GROUPS}
        title = title_of(settings.get("dest", names[0].lstrip("-")))
        return self._groups[title].add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {ALL}.")

    def completed(self, options: Sequence[str]) -> list[str]:
        """The options with abbreviated names written out. A `UsageError` names all that an abbreviation fits."""
        return [self._completed(option) for option in options]

    def _completed(self, option: str) -> str:
        name, equals, value = option.partition("=")
        known = self._option_string_actions
        if not name.startswith("--") or name in ("--", *known):
            return option
        # The spellings of an option, with underscores and with hyphens, share an action.
        fitting = {known[full].option_strings[0] for full in known if full.startswith(name)}
        if len(fitting) > 1:
            shown = ", ".join(sorted(fitting)[:_MAX_FITTING]) + (", ..." if len(fitting) > _MAX_FITTING else "")
            self.error(f"{name} may be any of {shown}; write out the one that you mean")
        return fitting.pop() + equals + value if fitting else option


def parse_arguments(options: Sequence[str]) -> Arguments:
    """Parses the options. Raises a `UsageError` if one is unknown, out of range or does not fit the others."""
    parser = _parser_of_all()
    if parser.parse_known_args(options)[0].dry_run and not torch.cuda.is_available():
        options = [*options, "--use_cpu", "--tf32", "false"]  # a dry run does not need the device of the training run
    with usage_errors(Exception):  # `TrainingArguments` raise many kinds of errors on unexpected values
        *parsed, rest = parser.parse_args_into_dataclasses(
            list(options), return_remaining_strings=True, look_for_args_file=False
        )
    if rest:  # the message leaves out values, as one of them may be a token
        unknown = [name.partition("=")[0] for name in rest if name.startswith("--")]
        what = ", ".join(unknown) or without_tokens(" ".join(rest))
        raise UsageError(f"There is no option {what}; {ALL}.")
    arguments = Arguments(*parsed)
    with usage_errors(ValueError):
        check_ranges(arguments.training, RANGES)
        check_combinations(arguments)
    return arguments


@cache
def _parser_of_all() -> OptionParser:
    groups: Any = (ModelArguments, DataArguments, AugmenterArguments, RunArguments, MMELTrainingArguments)
    epilog = "Every boolean option also has the form --no_NAME."
    usage = "%(prog)s [FILE] [options]"
    parser = OptionParser(
        groups, prog=PROGRAM, usage=usage, description=DESCRIPTION, epilog=epilog, allow_abbrev=False
    )
    for option in (option for group in groups for option in fields(group)):  # `HfArgumentParser` negates few booleans
        if option.init and option.type in (bool, bool | None) and option.default is not True:
            names = f"--no_{option.name}", f"--no-{option.name.replace('_', '-')}"
            parser.add_argument(*names, action="store_false", dest=option.name, help=argparse.SUPPRESS)
    return parser


def full_help(program: str) -> str:
    """The help of all options, of a program that is started by this name."""
    parser = _parser_of_all()
    parser.prog = program
    return parser.format_help()


def read_options(argv: Sequence[str]) -> list[str]:
    """
    The options by their full names, with those of a .json or .yaml file first if the first argument is such a file.
    Abbreviations are written out here, once, so that whoever looks for an option finds it by its name.
    """
    complete = _parser_of_all().completed
    if not argv or argv[0].startswith("-") or not argv[0].endswith((".json", ".yaml", ".yml")):
        return complete(argv)
    path = Path(argv[0])
    with usage_errors(ValueError, OSError):
        return [*_options_of(path, _read_config_file(path)), *complete(argv[1:])]


def _read_config_file(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:  # the message leaves out the line itself, which may hold a token
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{path} is not YAML: {error.problem}{line}. Put quotes around text with a colon.") from None
    except yaml.YAMLError:
        raise ValueError(f"{path} is not YAML; it has a character that is not allowed there.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as UTF-8 text in {path.suffix[1:].upper()}: {error}.") from None


def _options_of(path: Path, arguments: Any) -> list[str]:
    """Keys and values as command-line options, so that the parser converts and checks them."""
    if not isinstance(arguments, dict):
        raise ValueError(f"{path} holds a {type(arguments).__name__}; expected arguments as keys with their values.")
    options = []
    for name, value in arguments.items():
        if not isinstance(name, str):
            raise ValueError(f"{path} has the key {name!r}; expected names of arguments.")
        if name.startswith(("no_", "no-")) and isinstance(value, bool):  # takes no value on the command line
            options += [f"--{name}"] if value else []
        elif isinstance(value, list):
            options += [f"--{name}", *map(str, value)]
        elif value is not None:
            try:  # YAML has dates, other keys than text, and cycles
                options.append(f"--{name}={json.dumps(value) if isinstance(value, dict) else value}")
            except (TypeError, ValueError, RecursionError) as error:
                raise ValueError(f"{path}: the value of {name} cannot be written as JSON: {error}.") from None
    return options


def value_of(options: Sequence[str], name: str) -> str | None:
    """The value of an option; the last one counts."""
    return getattr(_parser_of(name).parse_known_args(options)[0], name)


def without_options(options: Sequence[str], names: Sequence[str]) -> list[str]:
    """The options without those of the given names and their values."""
    return _parser_of(*names).parse_known_args(options)[1]


def _parser_of(*names: str) -> OptionParser:
    parser = OptionParser((), add_help=False, allow_abbrev=False)
    for name in names:
        parser.add_argument(*dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]))
    return parser
