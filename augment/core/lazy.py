"""Objects that compute some of their attributes when they are first needed."""

from functools import cached_property
from typing import Any


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
