"""Augmenters by name, or from a JSON file that describes one."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from typing import Any

from .base import Augmenter
from .configurable import configurable_classes, is_config, parameters_of


_IN_CONTEXT = {"class": "MaskedLMSubstitution", "source": {"class": "WordNetSynonyms", "readings": "all"}}
# Fills examples that have too few synonyms: marks at the end change nearly every text and keep its meaning. Readers
# call a colon or a semicolon there a mistake. With "…" a text that ends in a full stop has K = 4 variants.
_MARKS = {"class": "RandomPunctuation", "places": "end", "marks": [",", ".", "!", "...", "…"]}
_CONFIGS: dict[str, dict[str, Any]] = {
    "context": {"class": "InTurn", "augmenters": [_IN_CONTEXT, _MARKS]},
    "synonyms": {"class": "InTurn", "augmenters": [{"class": "WordNetSynonyms", "multiword": False}, _MARKS]},
    "wordnet": {"class": "WordNetSynonyms"},
    "mlm": {"class": "MaskedLMSubstitution"},
    "mlm_insert": {"class": "MaskedLMInsertion"},
    "embedding": {"class": "EmbeddingNeighbours"},
    "typos": {"class": "Typos"},
    "delete": {"class": "RandomDelete"},
    "swap": {"class": "RandomSwap"},
    "punctuate": {"class": "RandomPunctuation"},
    "insert": {"class": "RandomInsert", "source": {"class": "WordNetSynonyms"}},
    "same_text": {"class": "SameText"},
}
NAMES = tuple(_CONFIGS)
WITH_MASKED_LM = ("context", "mlm", "mlm_insert")
WITH_MODEL = (*WITH_MASKED_LM, "embedding")
WITH_WORDS = tuple(name for name in NAMES if name != "same_text")  # which have a `replace_prob` and constraints
_WITHOUT_LANGUAGE = ("punctuate", "mlm_insert", "same_text")
_ENGLISH_ONLY = ("context", "mlm_insert")
_MAX_DEPTH = 50


def augmenter_config(name: str, model: str | None = None, **options) -> dict[str, Any]:
    """
    The configuration of an augmenter, as `Augmenter.to_dict` returns it, given one of `NAMES`, a JSON file that
    contains it or the `MODULE:CLASS` of an augmenter class, and arguments of the augmenter; `None` means its default.
    Those to which every language is the same ignore `lang`. Raises a `ValueError` if the name is unknown, the file is
    not readable, the class cannot be imported, or the arguments are incompatible.
    """
    options = {option: value for option, value in {"model": model, **options}.items() if value is not None}
    if is_class_path(name):
        return {"class": import_class(name).__name__, **options}
    if name not in NAMES:
        config = _read(name)
        if options:
            raise ValueError(f"{name} has all arguments of its augmenter; expected no {' and no '.join(options)}.")
        return config
    if (model is None) == (name in WITH_MODEL):
        if model is not None:
            raise ValueError(f"The augmenter {name!r} has no use for the model {model!r}.")
        raise ValueError(
            f"The augmenter {name!r} needs a model. Pass its name or folder as --model, or as --augmenter_model in "
            "training; in Python, as the argument model."
        )
    if name in _ENGLISH_ONLY and options.get("lang", "eng") != "eng":
        raise ValueError(
            f"lang is {options['lang']!r}, but the augmenter {name!r} knows English only; choose another one."
        )
    if name in _WITHOUT_LANGUAGE:
        options.pop("lang", None)
    config = dict(_CONFIGS[name])
    if "augmenters" in config:
        return {**config, "augmenters": [_with_options(part, options) for part in config["augmenters"]]}
    if "source" in config:  # the constraints belong to the source
        own = {option: options.pop(option) for option in ("replace_prob",) if option in options}
        return {**config, "source": {**config["source"], **options}, **own}
    return {**config, **options}


def is_class_path(name: str) -> bool:
    """Whether a name has the form `MODULE:CLASS`."""
    return re.fullmatch(r"\w+(\.\w+)*:\w+", name) is not None


def import_class(path: str) -> type[Augmenter]:
    """The class of a `MODULE:CLASS`; the module is in the current folder or installed."""
    module_name, _, name = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # last, where its files hide no package
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ValueError(
            f"The augmenter is {path!r}, but the module {module_name} cannot be imported: {error}. Expected a module "
            f"in the current folder, {os.getcwd()}, or an installed one."
        ) from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Augmenter)) or isabstract(found):
        where = getattr(module, "__file__", None) or module_name
        raise ValueError(
            f"The augmenter is {path!r}, but {name} in {where} is {found!r:.80}; expected a subclass of "
            "augment.Augmenter that defines all abstract methods."
        )
    augment = import_module(__package__)  # a configuration has no more than the name of a class
    for known in (configurable_classes()[found.__name__], getattr(augment, found.__name__, found)):
        if known is not found:
            raise ValueError(
                f"The augmenter is {path!r}, but {known.__module__} has a class {known.__name__}, too, and augmenters "
                "are saved by the names of their classes; rename yours."
            )
    return found


def _with_options(part: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a part with those of the options that it has."""
    known = parameters_of(configurable_classes()[part["class"]])
    config = {**part, **{name: value for name, value in options.items() if name in known}}
    if "source" in part:  # which takes part in no draw
        files = {name: value for name, value in options.items() if name == "cache_dir"}
        config["source"] = _with_options(part["source"], files)
    return config


def limited(config: Mapping[str, Any], most: int, name: str = "max_length") -> dict[str, Any]:
    """The configuration with an upper limit of an argument, such as `max_length`, of every part that has it."""

    def limit(value: Any) -> Any:
        if isinstance(value, list):
            return [limit(item) for item in value]
        return limited(value, most, name) if is_config(value) else value

    new = {argument: limit(value) for argument, value in config.items()}
    own = new.get(name)
    accepted = parameters_of(configurable_classes().get(config["class"], object))
    # A value of a wrong type stays, so that the augmenter refuses it.
    if name in accepted and (own is None or isinstance(own, int)):
        new[name] = min(own or most, most)
    return new


def make_augmenter(name: str, tokenizer, model: str | None = None, **options) -> Augmenter:
    """
    Builds the augmenter that `--augmenter` of the command line builds.

    Args:
        name (`str`):
            One of `"context"`, `"synonyms"`, `"wordnet"`, `"mlm"`, `"mlm_insert"`, `"embedding"`, `"typos"`,
            `"delete"`, `"swap"`, `"punctuate"`, `"insert"` and `"same_text"`; or a JSON file with the configuration of
            an augmenter, as `Augmenter.to_dict` returns it; or an augmenter class of your own, as `"MODULE:CLASS"`.
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        model (`str`, *optional*):
            Name or path of the masked LM of `"context"`, `"mlm"` and `"mlm_insert"`, or of the model whose input
            embeddings `"embedding"` compares.
        options: Arguments of the augmenter, such as `replace_prob`.

    Raises:
        `ValueError`: if the name is unknown, the file is not readable, a model is missing or not needed, or an
            argument is out of range.

    Example:

    ```python
    >>> augmenter = make_augmenter("synonyms", tokenizer)
    >>> augmenter.augment_text("The movies were awful.", num_variants=2, seed=0)
    ['The films were awful.', 'The movies were dreadful.']
    ```
    """
    return Augmenter.from_dict(augmenter_config(name, model, **options), tokenizer)


def load_augmenter(config: Mapping[str, Any], tokenizer: str | None = None) -> Augmenter:
    """
    Builds the augmenter of a configuration with the tokenizer of this name or folder. It defaults to the tokenizer of
    the model, and to a tokenizer of bytes if there is no model.
    """
    loaded = _load_tokenizer(tokenizer or next(models_in(config), None))
    with _errors_on_one_line(f"The augmenter {config['class']}"):
        return Augmenter.from_dict(config, loaded)


def models_in(config: Any) -> Iterator[str]:
    """The models that a configuration or one of its parts names, the outermost first."""
    for values in _levels(config):
        yield from (part["model"] for part in values if isinstance(part, dict) and isinstance(part.get("model"), str))


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file():
        raise ValueError(
            f"The augmenter is {name!r}; expected one of {', '.join(NAMES)}, a JSON file of your own, or the "
            "MODULE:CLASS of your own class."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict) or "class" not in config:
        raise ValueError(f"{name} contains {config!r:.60}; expected an object with a class and its arguments.")
    if any(depth > _MAX_DEPTH for depth, _ in enumerate(_levels(config))):
        raise ValueError(f"{name} has parts nested more than {_MAX_DEPTH} deep; no augmenter needs that many.")
    return config


def _levels(config: Any) -> Iterator[list[Any]]:
    """All values of nested dicts and lists, level by level from the outermost."""
    values = [config]
    while values:
        yield values
        containers = [list(value.values()) if isinstance(value, dict) else value for value in values]
        values = [item for container in containers if isinstance(container, list) for item in container]


def _load_tokenizer(name: str | None):
    if name is None:
        from .core.byte_tokenizer import ByteTokenizer

        return ByteTokenizer()
    from transformers import AutoTokenizer

    with _errors_on_one_line(f"The tokenizer {name!r}", Exception):  # damaged files raise all kinds
        return AutoTokenizer.from_pretrained(name)


@contextmanager
def _errors_on_one_line(what: str, errors: type[Exception] = OSError) -> Iterator[None]:
    """Shortens the paragraphs of advice about files that cannot be loaded to one line."""
    try:
        yield
    except errors as error:
        raise OSError(f"{what} cannot be loaded: {' '.join(str(error).split())}") from error
