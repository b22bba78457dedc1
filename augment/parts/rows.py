"""The rows that a command augments, and the rows that it writes for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

from ..base import Augmenter
from ..core.tables import Row
from ..core.variant_count import are_first
from ..shards import drawn_texts


@dataclass(frozen=True)
class VariantRows:
    """
    How the variants of rows become rows: one for each variant, numbered by `example` and `variant`, or one for each
    example, with a list of variants in `new_column`.

    Args:
        columns (`tuple[str, ...]`): The columns of texts.
        num_variants (`int`): K.
        seed (`int`): Random seed.
        keep_original (`bool`): Whether the original has a row, as variant 0.
        keep_copies (`bool`): Whether to keep variants that equal the original or an earlier variant.
        new_column (`str` or `None`): Name of the column of lists.
    """

    columns: tuple[str, ...]
    num_variants: int
    seed: int = 0
    keep_original: bool = False
    keep_copies: bool = False
    new_column: str | None = None

    @property
    def added(self) -> tuple[str, ...]:
        """The columns that are added to those of the input."""
        return ("example", "variant") if self.new_column is None else (self.new_column,)

    def __post_init__(self) -> None:
        if self.num_variants < 1:
            raise ValueError(f"num_variants is {self.num_variants}; expected at least 1.")

    def check_columns(self, columns: Sequence[str], source: object) -> None:
        """Raises a `ValueError` if the input has a column that is to be added."""
        for name in self.added:
            if name in columns:
                advice = "Rename the column." if self.new_column is None else "Choose another --new_column."
                raise ValueError(
                    f"{source} has a column {name!r}, which the output needs for its own values. {advice}"
                )

    def schema(self, schema):
        """The types of the columns of the rows, given those of the input, if it has any."""
        if schema is None or self.new_column is None:
            return schema
        import pyarrow

        text = pyarrow.list_(pyarrow.string())
        return schema.append(pyarrow.field(self.new_column, text if len(self.columns) == 1 else pyarrow.list_(text)))

    def of(self, rows: Sequence[Row], first: int, augmenter: Augmenter) -> tuple[list[Row], dict[str, int]]:
        """The rows to write for rows of the input, of which the first has the number `first`, and counts."""
        texts = [[row[name] for row in rows] for name in self.columns]
        groups = drawn_texts(texts, range(first, first + len(rows)), self.seed, augmenter, self.num_variants)
        new_rows: list[Row] = []
        num_copies = 0
        for i, (row, group) in enumerate(zip(rows, groups, strict=True)):
            are_new = are_first(group)
            num_copies += are_new.count(False)
            kept = [True] * len(group) if self.keep_copies else are_new
            if self.new_column is not None:
                variants = compress(group[1:], kept[1:])
                new_rows.append(row | {self.new_column: [_entry(variant) for variant in variants]})
                continue
            for k, variant in enumerate(group):
                if kept[k] and (k > 0 or self.keep_original):
                    changed = dict(zip(self.columns, variant, strict=True))
                    new_rows.append(row | changed | {"example": first + i, "variant": k})
        return new_rows, {"rows": len(new_rows), "copies": num_copies}


def _entry(variant: tuple[str, ...]) -> Any:
    """A variant in a list: a text, or a list of the texts of a pair."""
    return variant[0] if len(variant) == 1 else list(variant)
