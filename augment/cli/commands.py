"""What the sub-commands of `python -m augment` do. Each yields the lines that it has to say."""

import hashlib
import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..base import Augmenter
from ..core.lexicon import tokenizer_fingerprint
from ..core.marking import marked
from ..registry import augmenter_config, load_augmenter
from .formats import WRITERS
from .tables import Row, Table


CHUNK = 1000  # rows at a time

Texts = tuple[str, ...]  # those of a row, one per column


def preview(args: Namespace, colour: bool) -> Iterator[str]:
    """A text, or the first ones of a file, each with its variants."""
    if args.text is not None:
        texts = [args.text]
    else:
        texts = [row[args.column] for row in islice(Table(args.file, [args.column]), max(args.num_rows, 0))]
    if not texts:
        raise ValueError(f"num_rows is {args.num_rows}; expected at least 1.")
    groups = _variants(_augmenter(args), [(text,) for text in texts], 0, args)
    for number, (text, variants) in enumerate(zip(texts, groups, strict=True)):
        if number:
            yield ""
        yield f"0  {text}"
        for k, (variant,) in enumerate(variants, 1):
            yield f"{k}  {marked(text, variant) if colour else variant}"


def write(args: Namespace) -> Iterator[str]:
    """Makes a data set of the rows of a file and their variants."""
    from tqdm import tqdm

    from .parts import Parts

    columns = [args.column] if args.column2 is None else [args.column, args.column2]
    if args.column == args.column2:
        raise ValueError(f"column and column2 are both {args.column!r}; expected different ones.")
    table = Table(args.input, columns)
    out = _output(args.output, table.path)
    survey = table.survey()
    for name in ("example", "variant"):
        if name in survey.columns:
            raise ValueError(f"{table.path} has a column {name!r}; expected none, since {out} gets one of this name.")
    augmenter = _augmenter(args)
    parts = Parts(out, [*survey.columns, "example", "variant"], table.schema, _making(args, table, augmenter))
    _precompute(augmenter, table)
    numbers = {} if out.suffix == ".csv" else survey.numbers
    with tqdm(total=survey.num_rows, unit=" rows", disable=None) as bar:
        for i, rows in enumerate(table.chunks(CHUNK)):
            if i >= parts.num_parts:
                rows = [row | {name: kind(row[name]) for name, kind in numbers.items()} for row in rows]
                new_rows, num_copies = _with_variants(rows, columns, augmenter, i * CHUNK, args)
                parts.add(new_rows, {"rows": len(new_rows), "copies": num_copies})
            bar.update(len(rows))
    parts.join()
    fate = "kept" if args.keep_copies else "left out"
    yield (
        f"{out}: {parts.counts['rows']} rows of {survey.num_rows} examples. Of {survey.num_rows * args.num_variants} "
        f"variants, {parts.counts['copies']} were copies and {fate}."
    )


def stats(args: Namespace) -> Iterator[str]:
    """How much of a column an augmenter can change, and does change."""
    from tqdm import tqdm

    from .coverage import Coverage

    table = Table(args.file, [args.column])
    augmenter = _augmenter(args)
    _precompute(augmenter, table)
    coverage = Coverage(augmenter, args.num_variants)
    with tqdm(unit=" rows", disable=None) as bar:
        for i, rows in enumerate(table.chunks(CHUNK)):
            texts = [(row[args.column],) for row in rows]
            groups = _variants(augmenter, texts, i * CHUNK, args)
            num_copies = sum(len(_copies(*group)) for group in zip(texts, groups, strict=True))
            coverage.add([text for (text,) in texts], _seeds(i * CHUNK, len(rows), 0, args), num_copies)
            bar.update(len(rows))
    report = coverage.report()
    if args.json:
        yield json.dumps({"file": args.file, "column": args.column, **report}, ensure_ascii=False)
        return
    yield f"{args.file}, column {args.column}"
    for name, value in report.items():
        if value is not None:
            number = f"{value:.1%}" if name.startswith("share") else f"{value:.2f}".removesuffix(".00")
            yield f"{name.replace('_', ' '):32}{number:>12}"


def download(args: Namespace) -> Iterator[str]:
    """Makes WordNet available to NLTK."""
    from ..english.wordnet_data import ensure_wordnet

    yield ensure_wordnet(args.target)


def _augmenter(args: Namespace) -> Augmenter:
    if args.num_variants < 1:
        raise ValueError(f"num_variants is {args.num_variants}; expected at least 1.")
    config = augmenter_config(args.augmenter, args.model, replace_prob=args.replace_prob)
    return load_augmenter(config, args.tokenizer)


def _precompute(augmenter: Augmenter, table: Table) -> None:
    """Has a model see the whole file at once, where the augmenter has one: large batches are quicker."""
    if not augmenter.precomputes:
        return
    augmenter.precompute(
        [
            {"input_ids": np.array(ids, dtype=np.int32)}
            for rows in table.chunks(CHUNK)
            for name in table.text_columns
            for ids in augmenter.tokenizer([row[name] for row in rows], verbose=False)["input_ids"]
        ]
    )


def _variants(augmenter: Augmenter, rows: Sequence[Texts], first: int, args: Namespace) -> list[list[Texts]]:
    """The K variants of each of some rows, which are numbered from `first`; the texts of a row change together."""
    by_column = [
        augmenter.augment_text(texts, args.num_variants, _seeds(first, len(rows), column, args))
        for column, texts in enumerate(zip(*rows, strict=True))
    ]
    return [list(zip(*variants, strict=True)) for variants in zip(*by_column, strict=True)]


def _with_variants(
    rows: Sequence[Row], columns: Sequence[str], augmenter: Augmenter, first: int, args: Namespace
) -> tuple[list[Row], int]:
    """The rows that some rows become, numbered from `first`, and how many of the variants are copies."""
    originals = [tuple(row[name] for name in columns) for row in rows]
    groups = _variants(augmenter, originals, first, args)
    new_rows: list[Row] = []
    num_copies = 0
    for i, variants in enumerate(groups):
        copies = _copies(originals[i], variants)
        num_copies += len(copies)
        for k, texts in enumerate([originals[i], *variants]):
            if (k > 0 or args.keep_original) and (k not in copies or args.keep_copies):
                changed = dict(zip(columns, texts, strict=True))
                new_rows.append(rows[i] | changed | {"example": first + i, "variant": k})
    return new_rows, num_copies


def _seeds(first: int, num_rows: int, column: int, args: Namespace) -> list[tuple[int, ...]]:
    """A seed for each of some rows, that depends on its place in the file only."""
    return [(args.seed, number, column) for number in range(first, first + num_rows)]


def _copies(original: Texts, variants: Sequence[Texts]) -> set[int]:
    """Numbers, from 1, of the variants that are the original or a variant before them once more."""
    earlier = [original, *variants]
    return {k for k in range(1, len(earlier)) if earlier[k] in earlier[:k]}


def _output(name: str, source: Path) -> Path:
    """The file to write, if it can be written."""
    out = Path(name)
    if out.suffix not in WRITERS:
        raise ValueError(f"{out} ends in {out.suffix!r}; expected one of {', '.join(WRITERS)}.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"The folder {out.parent} of {out} is not there; make it first.")
    if out.is_dir():
        raise IsADirectoryError(f"{out} is a folder; expected the name of a file.")
    if out.exists() and out.samefile(source):
        raise ValueError(f"{out} is the file to read as well; expected another name.")
    return out


def _making(args: Namespace, table: Table, augmenter: Augmenter) -> dict[str, Any]:
    """All that the rows to write depend on."""
    digest = hashlib.sha256()
    with table.path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    options = ("column", "column2", "num_variants", "seed", "keep_original", "keep_copies")
    return {
        "input": f"{table.path.suffix} {digest.hexdigest()}",
        "augmenter": augmenter.to_dict(),
        "tokenizer": tokenizer_fingerprint(augmenter.tokenizer),
        **{name: getattr(args, name) for name in options},
        "rows per part": CHUNK,
    }
