"""The column of the training data that has the variants of each row, checked, or gathered from rows of their own."""

from collections.abc import Sequence

from datasets import Dataset, List, Value

from augment.from_column import entries_of

from .data_arguments import listed
from .file_checks import check_column, row_error


EXAMPLE = "example"  # the column in which `python -m augment write` numbers the examples


def with_variants(
    dataset: Dataset,
    column: str,
    text_columns: Sequence[str],
    label_column: str,
    where: str,
    limit: int | None = None,
) -> Dataset:
    """
    The training data with a column of lists, as `augment.VariantsFromColumn` reads it. Checks the first `limit` rows.

    If the column has whole numbers and there is a column `example`, as in the files of `python -m augment write`, each
    row is a variant of an example, 0 being the original. The originals are then the rows, with lists of their
    variants. Raises a `ValueError` that names the row if the column is missing or has anything else than texts.
    """
    check_column(dataset, column, where, "--variants_column")
    if column in (*text_columns, *listed(label_column), "label"):
        raise ValueError(
            f"variants_column is {column!r}, which is a column of the text or of the labels; name the column with the "
            "variants."
        )
    if EXAMPLE in dataset.column_names and _are_numbers(dataset, column) and _are_numbers(dataset, EXAMPLE):
        return _gathered(dataset, column, text_columns, where)
    num_entries = 0
    for row, value in enumerate(dataset.select(range(min(len(dataset), limit or len(dataset))))[column]):
        try:
            num_entries += len(entries_of(value, text_columns))
        except ValueError as error:
            raise ValueError(f"{where}: column {column!r} in row {row} (the first is 0) {error}") from None
    if not num_entries:
        raise ValueError(
            f"{where}: column {column!r} has no text in any row; expected lists of texts. Name the column with the "
            "variants with --variants_column."
        )
    return dataset


def _are_numbers(dataset: Dataset, column: str) -> bool:
    """Whether a column has whole numbers, which a csv has as text."""
    if getattr(dataset.features[column], "dtype", "") not in ("string", "int64", "int32"):
        return False
    return all(str(value).isdecimal() for value in dataset[column])


def _gathered(dataset: Dataset, column: str, text_columns: Sequence[str], where: str) -> Dataset:
    """The originals among rows that are a variant each, with the texts of their variants in `column`."""
    examples, numbers = ([int(value) for value in dataset[name]] for name in (EXAMPLE, column))
    originals: dict[int, int] = {}
    for row, (example, number) in enumerate(zip(examples, numbers, strict=True)):
        if number == 0 and originals.setdefault(example, row) != row:
            what = f"a second original of example {example}, which row {originals[example]} has as well,"
            raise row_error(where, column, what, row, "; remove one.")
    texts = list(zip(*(dataset[name] for name in text_columns), strict=True))
    variants: dict[int, list[list[str]]] = {example: [] for example in originals}
    for row in sorted(range(len(dataset)), key=lambda row: numbers[row]):
        if examples[row] not in originals:
            advice = "; write the file with python -m augment write --keep_original."
            what = f"a variant of example {examples[row]}, whose original, number 0, is missing,"
            raise row_error(where, column, what, row, advice)
        if numbers[row] > 0:
            variants[examples[row]].append(list(texts[row]))
    gathered = dataset.select(originals.values()).remove_columns([column, EXAMPLE])
    return gathered.add_column(column, list(variants.values()), feature=List(List(Value("string"))))
