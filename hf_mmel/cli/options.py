"""Options of the command line: from a file, and the negations of booleans."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import NoReturn

import yaml
from transformers import HfArgumentParser

from .usage import UsageError, usage_errors


def read_options(argv: Sequence[str]) -> list[str]:
    """The options, those of a .json or .yaml file first if one stands before them."""
    if not argv or argv[0].startswith("-") or not argv[0].endswith((".json", ".yaml", ".yml")):
        return list(argv)
    with usage_errors(ValueError, OSError):
        return [*_options_of_file(Path(argv[0])), *argv[1:]]


def _options_of_file(path: Path) -> list[str]:
    """The file's keys and values as options, so that they are converted and checked as on the command line."""
    try:
        text = path.read_text(encoding="utf-8")
        arguments = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not encoded in UTF-8, at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}.") from None
    except yaml.MarkedYAMLError as error:  # without the line itself, which may hold a token
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"{path} is not YAML: {error.problem}{line}. Put quotes around text with a colon.") from None
    except yaml.YAMLError:
        raise ValueError(f"{path} is not YAML; it has a character that is not allowed there.") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, and what is nested as deeply
        raise ValueError(f"{path} cannot be read: {error}.") from None
    if not isinstance(arguments, dict):
        raise ValueError(f"{path} holds a {type(arguments).__name__}; expected arguments as keys with their values.")
    options = []
    for name, value in arguments.items():
        if not isinstance(name, str):
            raise ValueError(f"{path} has the key {name!r}; expected names of arguments.")
        if name.startswith(("no_", "no-")) and isinstance(value, bool):  # has no value on the command line
            options += [f"--{name}"] if value else []
        elif isinstance(value, list):
            options += [f"--{name}", *map(str, value)]
        elif value is not None:
            options.append(f"--{name}={_as_text(path, name, value)}")
    return options


def _as_text(path: Path, name: str, value: object) -> str:
    try:
        return json.dumps(value) if isinstance(value, dict) else str(value)
    except (TypeError, ValueError, RecursionError) as error:  # YAML has dates, keys that are no text, and circles
        raise ValueError(f"{path} has for {name} what cannot be written as JSON: {error}.") from None


class OptionParser(HfArgumentParser):
    """A parser that refuses an option as the command refuses all else, without the long list of all options."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; --help lists all options.")


def add_negations(parser: HfArgumentParser, groups: tuple[type, ...]) -> None:
    """`--no_x` for every boolean, whose type the parser has resolved; it has one itself for those true by default."""
    for option in (option for group in groups for option in fields(group)):
        if option.init and option.type in (bool, bool | None) and option.default is not True:
            names = f"--no_{option.name}", f"--no-{option.name.replace('_', '-')}"
            parser.add_argument(*names, action="store_false", dest=option.name, help=argparse.SUPPRESS)


def value_of(options: Sequence[str], name: str) -> str | None:
    """The value that an option is given, the last one if it is given several times."""
    return getattr(_parser_of(name).parse_known_args(options)[0], name)


def without_options(options: Sequence[str], names: Sequence[str]) -> list[str]:
    """The options but for those named, each of which has a value."""
    return _parser_of(*names).parse_known_args(options)[1]


def _parser_of(*names: str) -> OptionParser:
    parser = OptionParser((), add_help=False, allow_abbrev=False)
    for name in names:
        parser.add_argument(*dict.fromkeys([f"--{name}", f"--{name.replace('_', '-')}"]))
    return parser
