"""Fewer rows than a full product that still hold every pair of values of any two parameters."""

from collections.abc import Callable, Iterable, Mapping
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
    fixtures: Iterable[str] = (), unless: Callable[..., bool] = lambda **row: False, **axes: Mapping | Iterable
) -> pytest.MarkDecorator:
    """
    Parametrises a test so that each value of a parameter meets each value of every other one.

    Args:
        fixtures (`Iterable[str]`): Names of the parameters that are fixtures, and so are given values as their param.
        unless (`Callable`): Whether values do not go together, by their names: `unless(parameter=name, ...)`.
        axes (`Mapping` or `Iterable`): The values of each parameter, by the names that they have in test names.
    """
    values = {name: _by_name(axis) for name, axis in axes.items()}
    rows = pairwise_rows(row for row in product(*values.values()) if not unless(**dict(zip(axes, row, strict=True))))
    cases = [
        pytest.param(*(axis[name] for axis, name in zip(values.values(), row, strict=True)), id="-".join(row))
        for row in rows
    ]
    return pytest.mark.parametrize(tuple(axes), cases, indirect=list(fixtures))


def in_turn(shift: int = 0, fixtures: Iterable[str] = (), **axes: Mapping | Iterable) -> pytest.MarkDecorator:
    """
    Parametrises a test by the values of one parameter, each with the next value of the other one, of which there are
    fewer. For laws that hold of each value alone: tests with other shifts have other pairs.

    Args:
        shift (`int`): Which value of the second parameter the first value of the first one has.
        fixtures (`Iterable[str]`): As of `pairwise`.
        axes (`Mapping` or `Iterable`): The values of the two parameters, by the names that they have in test names.
    """
    many, few = (list(_by_name(axis).items()) for axis in axes.values())
    rows = [(pair, few[(number + shift) % len(few)]) for number, pair in enumerate(many)]
    cases = [pytest.param(one, other, id=f"{name}-{others}") for (name, one), (others, other) in rows]
    return pytest.mark.parametrize(tuple(axes), cases, indirect=list(fixtures))


def _by_name(axis: Mapping | Iterable) -> Mapping:
    return axis if isinstance(axis, Mapping) else {str(value): value for value in axis}
