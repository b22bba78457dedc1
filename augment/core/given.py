"""Conversions and checks of arguments: lists, seeds of rows, objects and tokenizers."""

from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain
from numbers import Integral
from typing import Any

from .randomness import Seed


def as_list(values: Any) -> Any:
    """The values as a list, if they have an order, as those of an array, a pandas Series or a data set do."""
    is_single = isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable)
    if is_single or type(values) is list or getattr(values, "ndim", 1) != 1:  # a list is not copied
        return values
    return list(values)


def seeds_of_rows(seed: Any, num_rows: int) -> Sequence[Seed]:
    """One seed per row: row i has the seed `(seed, i)` if one int is given. Anything else is returned as it is."""
    return [(int(seed), i) for i in range(num_rows)] if isinstance(seed, Integral) else seed


def columns_of(dataset: Any) -> list[str]:
    """The columns of a `datasets.Dataset` or of a list of dicts. Raises a `TypeError` if it is neither."""
    if isinstance(dataset, list | tuple):
        return list(dict.fromkeys(chain.from_iterable(dataset)))
    if not hasattr(dataset, "add_column") or not hasattr(dataset, "__len__"):  # such as a stream
        raise TypeError(f"dataset is a {type(dataset).__name__}; expected a datasets.Dataset or a list of dicts.")
    return dataset.column_names


def check_object(name: str, value: Any, kind: type) -> None:
    """Raises a `TypeError` if a value is not an object of a class, or is the class itself."""
    if isinstance(value, type):
        raise TypeError(
            f"{name} is the class {value.__name__}; expected an object of it, {value.__name__}(tokenizer, ...)."
        )
    if not isinstance(value, kind):
        raise TypeError(
            f"{name} is {value!r:.100} of type {type(value).__name__}; expected a {kind.__name__}, such as "
            "WordNetSynonyms(tokenizer)."
        )


def check_tokenizer(tokenizer: Any) -> None:
    """Raises a `TypeError` if the name of a tokenizer, or its class, is given instead of the tokenizer."""
    if isinstance(tokenizer, str):
        raise TypeError(
            f"tokenizer is the string {tokenizer!r:.100}; expected a tokenizer: "
            f"AutoTokenizer.from_pretrained({tokenizer!r:.100})."
        )
    if isinstance(tokenizer, type):
        raise TypeError(
            f"tokenizer is the class {tokenizer.__name__}; expected a tokenizer: AutoTokenizer.from_pretrained(...)."
        )


def tokenizer_of(model: Any, tokenizer: Any = None) -> Any:
    """The tokenizer that is given, or else that of the model with this name or folder."""
    if tokenizer is not None:
        return tokenizer
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)
