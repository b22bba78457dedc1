"""The augmenter that a name, or a file that describes one, stands for."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .base import Augmenter
from .configurable import parameters_of


_CLASSES = {
    "wordnet": {"class": "WordNetSynonyms"},
    "mlm": {"class": "MaskedLMSubstitution"},
    "embedding": {"class": "EmbeddingNeighbours"},
    "delete": {"class": "RandomDelete"},
    "swap": {"class": "RandomSwap"},
    "insert": {"class": "RandomInsert", "source": {"class": "WordNetSynonyms"}},
}
NAMES = tuple(_CLASSES)
_WITH_MODEL = ("mlm", "embedding")
_MAX_DEPTH = 50


def augmenter_config(name: str, model: str | None = None, **options) -> dict[str, Any]:
    """
    What [`Augmenter.to_dict`] gives of an augmenter.

    Args:
        name (`str`): One of `NAMES`, or a JSON file that holds the configuration.
        model (`str`, *optional*): Name or folder of the model of "mlm" and "embedding".
        options: Arguments of the augmenter, `None` for its own default.

    Raises:
        `ValueError`: if the name is not known, the file is not readable, or the arguments do not go together.
    """
    options = {option: value for option, value in options.items() if value is not None}
    if name not in NAMES:
        config = _read(name)
        if model is not None or options:
            given = [*(["model"] if model is not None else []), *options]
            raise ValueError(f"{name} has all arguments of its augmenter; expected no {' and no '.join(given)}.")
        return config
    if (model is None) == (name in _WITH_MODEL):
        needs = "needs a model, by name or folder" if model is None else f"has no use for the model {model!r}"
        raise ValueError(f"The augmenter {name!r} {needs}.")
    config = {**_CLASSES[name], **({} if model is None else {"model": model})}
    if "source" in config:  # which has the constraints
        own = {option: options.pop(option) for option in ("replace_prob",) if option in options}
        return {**config, "source": {**config["source"], **options}, **own}
    return {**config, **options}


def limited(config: Mapping[str, Any], max_length: int) -> dict[str, Any]:
    """The configuration with no variant longer than this, in any of its parts."""

    def limit(value: Any) -> Any:
        if isinstance(value, list):
            return [limit(item) for item in value]
        return (
            limited(value, max_length) if isinstance(value, Mapping) and isinstance(value.get("class"), str) else value
        )

    own = {name: limit(value) for name, value in config.items()}
    given = own.get("max_length")
    if "max_length" in parameters_of(config["class"]) and (given is None or isinstance(given, int)):  # else refused
        own["max_length"] = min(given or max_length, max_length)
    return own


def load_augmenter(config: Mapping[str, Any], tokenizer: str | None = None) -> Augmenter:
    """
    The augmenter of a configuration.

    Args:
        config (`Mapping`): As [`augmenter_config`] gives it.
        tokenizer (`str`, *optional*):
            Name or folder of the tokenizer. Defaults to that of the model, and to bytes where there is no model.

    Raises:
        `ValueError`: if an argument is not known or out of range.
        `OSError`: if a tokenizer or a model cannot be loaded.
        `LookupError`: if WordNet is needed and not installed.
    """
    loaded = _load_tokenizer(tokenizer or next(models_in(config), None))
    with _loading(f"The augmenter {config['class']}"):
        return Augmenter.from_dict(config, loaded)


def models_in(config: Any) -> Iterator[str]:
    """The models that the description of an augmenter, or of one of its parts, names, the outermost first."""
    parts = [config]
    while parts:
        yield from (part["model"] for part in parts if isinstance(part, dict) and isinstance(part.get("model"), str))
        parts = [inner for part in parts for inner in _parts(part)]


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"The augmenter is {name!r}; expected one of {', '.join(NAMES)}, or a JSON file of yours.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict) or "class" not in config:
        raise ValueError(f"{name} holds {config!r:.60}; expected an object with a class and its arguments.")
    parts, depth = [config], 0
    while parts := [part for value in parts for part in _parts(value)]:
        depth += 1
        if depth > _MAX_DEPTH:
            raise ValueError(
                f"{name} has parts within parts, more than {_MAX_DEPTH} deep; no augmenter needs as many."
            )
    return config


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []


def _load_tokenizer(name: str | None):
    if name is None:
        from .core.byte_tokenizer import ByteTokenizer

        return ByteTokenizer()
    from transformers import AutoTokenizer

    with _loading(f"The tokenizer {name!r}", Exception):  # damaged files raise all kinds
        return AutoTokenizer.from_pretrained(name)


@contextmanager
def _loading(what: str, errors: type[Exception] = OSError) -> Iterator[None]:
    """Makes one line of the paragraphs of advice that come with files that cannot be loaded."""
    try:
        yield
    except errors as error:
        raise OSError(f"{what} cannot be loaded: {' '.join(str(error).split())}") from error
