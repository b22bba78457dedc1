"""Objects that compute some of their attributes when they are first needed."""

from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any, TypeVar


Result = TypeVar("Result")


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
    """A method of a `Lazy` object that keeps its result for each of its arguments, and leaves them out of pickles."""
    return cached_property(lambda self: cache(partial(method, self)))
