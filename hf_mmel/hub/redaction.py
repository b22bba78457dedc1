"""What stays out of what is published or printed: access tokens and the folders of this machine."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


# Tokens of users, organisations and OAuth applications on the Hub.
_TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9_]{6,}")
# A token's option, as in --token, --hub_token and --hub-token, and not in --tokenizer_name.
_TOKEN_OPTION = re.compile(r"--(?:[\w-]*[_-])?token")
# Absolute paths inside of other text, such as JSON. What follows a letter or a slash is part of an address, and spaces
# are part of a path between quotes alone.
_ROOT = r"(?:file://|~|[A-Za-z]:)?[/\\](?!/)"
_QUOTED_PATH = re.compile(rf"(?P<quote>[\"'])(?P<path>{_ROOT}[^\"'\n]+)(?P=quote)")
_INNER_PATH = re.compile(rf"(?<![\w./\\~-]){_ROOT}[^\s\"',;]+")


def without_tokens(text: str) -> str:
    """The text with `<token>` for each token of the Hub."""
    return _TOKEN.sub("<token>", text)


def without_token_options(options: Sequence[str]) -> list[str]:
    """The options, `--name value` or `--name=value`, without those of tokens and their values."""
    kept, skips = [], False
    for option in options:
        if option.startswith("--"):
            skips = bool(_TOKEN_OPTION.fullmatch(option.partition("=")[0]))
        if not skips:
            kept.append(without_tokens(option))
    return kept


def without_folders(text: str) -> str:
    """
    The text with the last part of each absolute path in its place, and `~` for the home folder, whose name is that of
    the user; relative ones that climb are cut, too. A path with spaces inside of other text has to be in quotes.
    """
    if (home := os.path.expanduser("~")) not in ("~", "/"):
        text = re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w-])", "~", text)
    if _is_elsewhere(text):
        return _last_part(text)
    text = _QUOTED_PATH.sub(lambda found: found["quote"] + _last_part(found["path"]) + found["quote"], text)
    return _INNER_PATH.sub(lambda found: _last_part(found.group()), text)


def plain_config(config: Any, longest: int = 300) -> Any:
    """
    A configuration for readers: paths without their folders, and the number of entries for what is long.

    Args:
        config: Plain data, such as `augmenter.to_dict()`.
        longest (`int`): Characters of a list or mapping that is shown in full; that of a class always is.
    """
    if isinstance(config, str):
        return without_folders(config)
    if isinstance(config, Mapping):
        if "class" not in config and len(repr(config)) > longest:
            return f"<{len(config)} entries>"
        return {key: plain_config(value, longest) for key, value in config.items()}
    if isinstance(config, list | tuple):
        holds_classes = any(isinstance(item, Mapping) and "class" in item for item in config)
        if not holds_classes and len(repr(config)) > longest:
            return f"<{len(config)} entries>"
        return [plain_config(item, longest) for item in config]
    return config


def command_line(program: str, options: Sequence[str]) -> str:
    """
    The command for readers, an option on each line: without tokens and their options, and without folders. Of an
    option that is given more than once the last one is shown, which is the one that counts.

    Args:
        program (`str`): What is run.
        options (`Sequence[str]`): Its options, `--name value` or `--name=value`.
    """
    line = shlex.split(program)
    lines = {"": line}
    for option in without_token_options(options):
        name, equals, value = option.partition("=")
        if option.startswith("--"):
            line = [name + equals + without_folders(value)]
            key = name.replace("-", "_").removeprefix("__").removeprefix("no_")
            lines.pop(key, None)  # the last one stands in its own place
            lines[key] = line
        else:
            line.append(without_folders(option))
    shown = without_tokens(" \\\n    ".join(shlex.join(line) for line in lines.values()))
    return shown.encode(errors="replace").decode()  # names of files are any bytes


def _is_elsewhere(text: str) -> bool:
    is_absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return is_absolute or text.startswith(("~", "../", "..\\"))


def _last_part(path: str) -> str:
    return PureWindowsPath(path).name or path  # which divides at both kinds of slashes
