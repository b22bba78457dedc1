"""The augmenter that a name, or a file that describes one, stands for."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .base import Augmenter


NAMES = ("wordnet", "mlm", "embedding", "delete", "swap", "insert")
_WITH_MODEL = ("mlm", "embedding")


def make_augmenter(
    name: str, *, model: str | None = None, tokenizer: str | None = None, replace_prob: float | None = None
) -> Augmenter:
    """
    Args:
        name (`str`): One of `NAMES`, or a JSON file with what [`Augmenter.to_dict`] gives.
        model (`str`, *optional*): Name or folder of the model of "mlm" and "embedding".
        tokenizer (`str`, *optional*):
            Name or folder of the tokenizer. Defaults to that of the model, and to bytes where there is no model.
        replace_prob (`float`, *optional*): Probability that a word is replaced. Defaults to the augmenter's own.

    Raises:
        `ValueError`: if the arguments do not go together, or one is not known or out of range.
        `OSError`: if a tokenizer or a model cannot be loaded.
        `LookupError`: if WordNet is needed and not installed.
    """
    config = None if name in NAMES else _config(name)
    if config is not None:
        if model is not None or replace_prob is not None:
            raise ValueError(f"{name} has all arguments of its augmenter; expected no model and no replace_prob.")
        model = _model_of(config)
    elif (model is None) == (name in _WITH_MODEL):
        needs = "needs a model, by name or folder" if model is None else f"has no use for the model {model!r}"
        raise ValueError(f"The augmenter {name!r} {needs}.")

    words = _load_tokenizer(tokenizer or model)
    options: dict[str, Any] = {} if replace_prob is None else {"replace_prob": replace_prob}
    if config is not None:
        with _loading(f"The augmenter of {name}"):
            return Augmenter.from_dict(config, words)
    import augment

    if name in _WITH_MODEL:
        kind = augment.MaskedLMSubstitution if name == "mlm" else augment.EmbeddingNeighbours
        with _loading(f"The model {model!r}"):
            return kind(words, model, **options)
    if name == "insert":
        return augment.RandomInsert(augment.WordNetSynonyms(words), **options)
    kinds = {"wordnet": augment.WordNetSynonyms, "delete": augment.RandomDelete, "swap": augment.RandomSwap}
    return kinds[name](words, **options)


def _config(name: str) -> Mapping[str, Any]:
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"The augmenter is {name!r}; expected one of {', '.join(NAMES)}, or a JSON file of yours.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{name} cannot be read as JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{name} holds {config!r:.60}; expected an object with a class and its arguments.")
    return config


def _model_of(config: Any) -> str | None:
    """The first model that the description of an augmenter, or of one of its parts, names."""
    if isinstance(config, dict):
        if isinstance(config.get("model"), str):
            return config["model"]
        config = list(config.values())
    found = (_model_of(item) for item in config) if isinstance(config, list) else ()
    return next((model for model in found if model is not None), None)


def _load_tokenizer(name: str | None):
    if name is None:
        from .byte_tokenizer import byte_tokenizer

        return byte_tokenizer()
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    with _loading(f"The tokenizer {name!r}", Exception):  # damaged files raise all kinds
        return AutoTokenizer.from_pretrained(name)


@contextmanager
def _loading(what: str, errors: type[Exception] = OSError) -> Iterator[None]:
    """Makes one line of the paragraphs of advice that come with files that cannot be loaded."""
    try:
        yield
    except errors as error:
        raise OSError(f"{what} cannot be loaded: {' '.join(str(error).split())}") from error
