"""Fewer rows than a full product that still hold every pair of values of any two parameters."""

from collections.abc import Callable, Iterable
from itertools import combinations, product

import pytest


def pairwise_rows(rows: Iterable[tuple]) -> list[tuple]:
    """Some of the rows, which hold every pair of values in any two columns that all rows together hold."""
    rows = list(rows)
    pairs = {row: set(combinations(enumerate(row), 2)) for row in rows}
    missing, chosen = set().union(*pairs.values()), []
    while missing:
        best = max(rows, key=lambda row: len(pairs[row] & missing))  # the first of the best: the same at every run
        missing -= pairs[best]
        chosen.append(best)
    return [row for row in rows if row in chosen]


def pairwise(
    fixtures: Iterable[str] = (), unless: Callable[..., bool] = lambda **row: False, **axes: dict | list
) -> pytest.MarkDecorator:
    """
    Parametrises a test so that each value of a parameter meets each value of every other one.

    Args:
        fixtures (`Iterable[str]`): Names of the parameters that are fixtures, and so are given values as their param.
        unless (`Callable`): Whether values do not go together, by their names: `unless(parameter=name, ...)`.
        axes (`dict` or `list`): The values of each parameter, by the names that they have in the name of a test.
    """
    values = {name: axis if isinstance(axis, dict) else {str(v): v for v in axis} for name, axis in axes.items()}
    rows = pairwise_rows(row for row in product(*values.values()) if not unless(**dict(zip(axes, row, strict=True))))
    cases = [
        pytest.param(*(axis[name] for axis, name in zip(values.values(), row, strict=True)), id="-".join(row))
        for row in rows
    ]
    return pytest.mark.parametrize(tuple(axes), cases, indirect=list(fixtures))
