"""`python -m augment filter`: a file of variants without those that lose their label."""

from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..core.running import shown
from ..core.shared_folder import distributed
from ..core.tables import Row, Table
from ..label_filter import LabelFilter, check_lists, doubt_of
from ..mlm.fill_mask import model_fingerprint
from .output import ResumableWriter, checked_output, features_of


EXAMPLE = "example"  # the column in which `write` numbers the examples

CHUNK = 1000  # rows that are read, classified and written at once

Texts = tuple[str, ...]  # the texts of a row, one per column


def filter_variants(args: Namespace) -> Iterator[str]:
    """Writes the rows of a file of variants to another file, without the variants that lose their label."""
    from tqdm import tqdm

    if distributed()[0] > 0:
        return  # one process classifies and writes
    columns = [args.column] if args.column2 is None else [args.column, args.column2]
    label_column = None if args.no_labels else args.label_column
    table = Table(args.input, columns)
    out = checked_output(args.output, table.path)
    num_rows, table_columns = table.scan()
    _check_columns(table, table_columns, [*columns, args.variants_column], label_column)
    label_filter = LabelFilter(
        args.model,
        min_label_probability=args.min_label_probability,
        label_names=_label_names(args.label_names),
    )
    are_rows = EXAMPLE in table_columns and _are_numbers(table, EXAMPLE) and _are_numbers(table, args.variants_column)
    number_column = args.variants_column if are_rows else None
    _check_rows(table, columns, args.variants_column, number_column, label_column)
    classes = None
    if label_column is not None:
        class_names = (features_of(table.schema).get(label_column) or {}).get("names")
        classes = label_filter.classifier.class_ids([row.get(label_column) for row in table], class_names)
    settings = {
        "input": f"{table.suffix} {table.digest()}",
        "columns": [*columns, args.variants_column, label_column],
        "model": model_fingerprint(label_filter.classifier.model),
        "min_label_probability": args.min_label_probability,
        "label_names": args.label_names,
        "rows per part": CHUNK,
    }
    writer = ResumableWriter(out, table_columns, table.schema, settings)
    pairs = _with_originals(table, columns, number_column)
    with tqdm(total=num_rows, unit=" rows", disable=None) as bar:
        for i, start in enumerate(range(0, num_rows, CHUNK)):
            rows, originals = zip(*islice(pairs, CHUNK), strict=True)
            if i >= writer.num_parts:
                own = None if classes is None else classes[start : start + CHUNK]
                if are_rows:
                    part = _keep_rows(label_filter, rows, originals, columns, args.variants_column, own)
                else:
                    part = _keep_lists(label_filter, rows, columns, args.variants_column, own)
                writer.add(*part)
            bar.update(len(rows))
    writer.finish()
    counts = writer.counts
    yield f"{out}: {counts['kept']} of {counts['variants']} variants keep their label."
    if classes is not None and (doubt := doubt_of(counts["right"], counts["originals"])):
        yield doubt


def _keep_lists(
    label_filter: LabelFilter, rows: Sequence[Row], columns: Sequence[str], variants_column: str, classes: Any
) -> tuple[list[Row], dict[str, int]]:
    """The rows to write where each row has a list of variants, and counts."""
    kept = label_filter.kept(rows, variants_column, columns, classes)
    counts = {"variants": kept.num_variants, "kept": kept.num_kept, "right": kept.num_right, "originals": len(rows)}
    return [{**row, variants_column: value} for row, value in zip(rows, kept.lists, strict=True)], counts


def _keep_rows(
    label_filter: LabelFilter,
    rows: Sequence[Row],
    originals: Sequence[Texts | None],
    columns: Sequence[str],
    variants_column: str,
    classes: Any,
) -> tuple[list[Row], dict[str, int]]:
    """The rows to write where each row is a variant, or an original, which always stays; and counts."""
    texts = [tuple(row[name] for name in columns) for row in rows]
    known = [own if original is None else original for own, original in zip(texts, originals, strict=True)]
    keeps_label = label_filter.scores(known, texts, classes) >= label_filter.min_label_probability
    is_original = np.array([int(row[variants_column]) == 0 for row in rows])
    counts = {
        "variants": int((~is_original).sum()),
        "kept": int((keeps_label & ~is_original).sum()),
        "right": int((keeps_label & is_original).sum()),
        "originals": int(is_original.sum()),
    }
    return [rows[i] for i in np.flatnonzero(keeps_label | is_original).tolist()], counts


def _with_originals(
    table: Table, columns: Sequence[str], number_column: str | None
) -> Iterator[tuple[Row, Texts | None]]:
    """
    The rows, each with the texts of its original: those of the last row with number 0, if it is of the same example.
    `None` if there is none, or rows have no numbers.
    """
    example, original = None, None
    for row in table:
        if number_column is None:
            yield row, None
            continue
        if int(row[number_column]) == 0:
            example, original = int(row[EXAMPLE]), tuple(row[name] for name in columns)
        yield row, original if int(row[EXAMPLE]) == example else None


def _check_columns(table: Table, known: Sequence[str], columns: Sequence[str], label_column: str | None) -> None:
    names = [*columns, *([] if label_column is None else [label_column])]
    if len(set(names)) < len(names):
        raise ValueError(
            f"The columns of texts, variants and labels are {shown(map(repr, names))}; expected different columns."
        )
    for name in names:
        if name not in known:
            advice = " If there are no labels, give --no_labels." if name == label_column else ""
            raise ValueError(
                f"{table.path} has no column {name!r}; its columns are {shown(map(repr, known))}.{advice}"
            )


def _check_rows(
    table: Table, columns: Sequence[str], variants_column: str, number_column: str | None, label_column: str | None
) -> None:
    """Checks that the variants of all rows can be read, and that originals are there if they say the class."""
    for number, (row, original) in enumerate(_with_originals(table, columns, number_column)):
        if number_column is None:
            check_lists(row, number, variants_column, columns)
        elif original is None and label_column is None:
            raise ValueError(
                f"{table.path}: row {number} (from 0) is a variant of example {row[EXAMPLE]}, and the original, with "
                "the number 0, is not before it. Write the file with python -m augment write --keep_original."
            )


def _are_numbers(table: Table, column: str) -> bool:
    """Whether a column has whole numbers, which a csv has as text."""
    return all(str(row.get(column)).isdecimal() for row in table)


def _label_names(option: str | None) -> dict[str, str]:
    """The classifier's name of each label, from `label=NAME,label=NAME`."""
    parts = [part.partition("=") for part in option.split(",")] if option else []
    if wrong := ["".join(part) for part in parts if not all(part)]:
        raise ValueError(f"label_names has {wrong[0]!r:.60}; expected label=NAME, such as 0=NEGATIVE,1=POSITIVE.")
    return {label.strip(): name.strip() for label, _, name in parts}
