"""Objects that compute some of their attributes when they are first needed."""

from collections.abc import Callable
from functools import cached_property, lru_cache, partial
from typing import Any, TypeVar


Result = TypeVar("Result")

# A cache of the words of a dataset. New words never end, as in texts of the web, and frequent ones return soon.
MAX_WORDS = 1 << 16
word_cache = lru_cache(MAX_WORDS)


class Lazy:
    """
    Leaves cached properties out of pickles.

    Pickles stay small, and using the object does not change the hash by which `datasets` recognises a `map`.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(getattr(type(self), name, None), cached_property)
        }


def cached_method(method: Callable[..., Result]) -> cached_property[Callable[..., Result]]:
    """A method of a `Lazy` object that keeps its results for the last `MAX_WORDS` arguments, but not in pickles."""
    return cached_property(lambda self: lru_cache(MAX_WORDS)(partial(method, self)))
