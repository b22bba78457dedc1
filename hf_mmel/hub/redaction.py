"""Keeps access tokens and the folders of this machine out of what is published or printed."""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any


# A report shows texts of the training data, so it is never pushed along with a model.
REPORT_PAGE, REPORT_FOLDER = "report.html", "report"
LONGEST_LIST = 300  # characters; a longer list or mapping is shown as its number of entries

# Tokens of users, organisations and OAuth applications on the Hub.
_TOKEN = re.compile(r"\b(?:hf|api_org)_[A-Za-z0-9_]{6,}")
# A token's option, as in --token, --hub_token and --hub-token, and not in --tokenizer_name.
_TOKEN_OPTION = re.compile(r"--(?:[\w-]*[_-])?token")
# Absolute paths inside other text, such as JSON. After a letter or a slash a path is part of an address. A path with
# spaces has to be in quotes.
_ROOT = r"(?:file://|~|[A-Za-z]:)?[/\\](?!/)"
_PATHS = (
    re.compile(rf"(?<=(?P<quote>[\"'])){_ROOT}[^\"'\n]+(?=(?P=quote))"),
    re.compile(rf"(?<![\w./\\~-]){_ROOT}[^\s\"',;]+"),
)


def without_tokens(text: str) -> str:
    """The text with `<token>` in place of each token of the Hub."""
    return _TOKEN.sub("<token>", text)


def without_token_options(options: Sequence[str]) -> list[str]:
    """The options, `--name value` or `--name=value`, without those that take a token, and their values."""
    kept, is_token = [], False
    for option in options:
        if option.startswith("--"):
            is_token = bool(_TOKEN_OPTION.fullmatch(option.partition("=")[0]))
        if not is_token:
            kept.append(without_tokens(option))
    return kept


def without_folders(text: str) -> str:
    """
    The text with each absolute path cut to its last part, and with `~` for the home folder, which names the user. A
    text that is itself a path is cut if it starts at `~` or climbs with `..`, too.
    """
    if (home := os.path.expanduser("~")) not in ("~", "/"):
        text = re.sub(rf"(?<![\w.-]){re.escape(home)}(?![\w-])", "~", text)
    is_absolute = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    if is_absolute or text.startswith(("~", "../", "..\\")):
        return _last_part(text)
    for path in _PATHS:
        text = path.sub(lambda match: _last_part(match.group()), text)
    return text


def plain_config(config: Any) -> Any:
    """
    A configuration for readers, such as `augmenter.to_dict()`: paths lose their folders, and a long list or mapping
    becomes its number of entries, unless it describes a class or holds such descriptions.
    """
    if isinstance(config, str):
        return without_folders(config)
    if not isinstance(config, Mapping | list | tuple):
        return config
    parts = [config] if isinstance(config, Mapping) else config
    has_class = any(isinstance(part, Mapping) and "class" in part for part in parts)
    if not has_class and len(repr(config)) > LONGEST_LIST:
        return f"<{len(config)} entries>"
    if isinstance(config, Mapping):
        return {key: plain_config(value) for key, value in config.items()}
    return [plain_config(item) for item in config]


def command_line(program: str, options: Sequence[str]) -> str:
    """
    The command for readers, one option per line, without folders, tokens, and the options that take tokens. Of an
    option that is given more than once, only the last one is shown, since it is the one that counts.
    """
    line = shlex.split(program)
    lines = {"": line}
    for option in without_token_options(options):
        name, equals, value = option.partition("=")
        if not option.startswith("--"):
            line.append(without_folders(option))
            continue
        key = name.replace("-", "_").removeprefix("__").removeprefix("no_")
        lines.pop(key, None)  # the last one keeps its own position
        lines[key] = line = [name + equals + without_folders(value)]
    shown = without_tokens(" \\\n    ".join(shlex.join(line) for line in lines.values()))
    return shown.encode(errors="replace").decode()  # file names may be any bytes


def _last_part(path: str) -> str:
    return PureWindowsPath(path).name or path  # splits at both kinds of slashes
