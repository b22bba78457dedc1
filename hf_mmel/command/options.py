"""Options of the command line: from a file, and the negations of booleans."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

import yaml
from transformers import HfArgumentParser

from .usage import usage_errors


def read_options(argv: list[str]) -> list[str]:
    """The options as they are, or those of the one .json or .yaml file that stands in their place."""
    if len(argv) == 1 and argv[0].endswith((".json", ".yaml", ".yml")):
        with usage_errors(ValueError, OSError, yaml.YAMLError):
            return options_from_file(Path(argv[0]))
    return argv


def options_from_file(path: Path) -> list[str]:
    """The file's keys and values as options, so that they are converted and checked as on the command line."""
    text = path.read_text(encoding="utf-8")
    arguments = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    if not isinstance(arguments, dict):
        raise ValueError(f"{path} holds a {type(arguments).__name__}; expected arguments as keys with their values.")
    options = []
    for name, value in arguments.items():
        if isinstance(value, list):
            options += [f"--{name}", *map(str, value)]
        elif value is not None:
            options.append(f"--{name}={json.dumps(value) if isinstance(value, dict) else value}")
    return options


def add_negations(parser: HfArgumentParser, groups: tuple[type, ...]) -> None:
    """`--no_x` for every boolean, whose type the parser has resolved; it has one itself for those true by default."""
    for option in (option for group in groups for option in fields(group)):
        if option.init and option.type in (bool, bool | None) and option.default is not True:
            names = f"--no_{option.name}", f"--no-{option.name.replace('_', '-')}"
            parser.add_argument(*names, action="store_false", dest=option.name, help=argparse.SUPPRESS)
