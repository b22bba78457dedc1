"""The tables of the results."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def tables(lines: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> Iterator[str]:
    yield f"{len(lines)} runs"
