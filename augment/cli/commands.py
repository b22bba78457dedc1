"""The sub-commands of `python -m augment`. Each yields the lines that it prints."""

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..base import Augmenter
from ..core.lexicon import tokenizer_fingerprint
from ..core.marking import COLOURS, PLAIN, marked
from ..core.tables import Row, Table
from ..core.variant_count import ADVICE, VariantCount, are_first
from ..core.words import WordFinder
from ..languages.language import ENGLISH, check_lang
from ..registry import augmenter_config, load_augmenter
from .output import checked_output


CHUNK = 1000  # rows that are read, augmented and written at once

Texts = tuple[str, ...]  # the texts of a row, one per column


def preview(args: Namespace, colour: bool) -> Iterator[str]:
    """Shows the variants of a text, or of the first rows of a file, with their changes marked. Leaves out copies."""
    if args.text is not None:
        texts = [args.text]
    else:
        texts = [row[args.column] for row in islice(Table(args.file, [args.column]), max(args.num_rows, 0))]
    if not texts:
        raise ValueError(f"num_rows is {args.num_rows}; expected at least 1.")
    augmenter = _augmenter(args)
    groups = _variants(augmenter, [(text,) for text in texts], 0, args)
    for number, (text, variants) in enumerate(zip(texts, groups, strict=True)):
        if number:
            yield ""
        yield f"0  {text}"
        are_meant = _are_meant(augmenter, (text,), variants)
        copies, note = (set(), "  (same text)") if are_meant else (_copies((text,), variants), "")
        for k, (variant,) in enumerate(variants, 1):
            if k not in copies:
                shown = variant if args.no_marks else marked(text, variant, COLOURS if colour else PLAIN)
                yield f"{k}  {shown}{note}"
        if copies:
            yield f"   no {'other ' if len(copies) < len(variants) else ''}variant found"


def write(args: Namespace) -> Iterator[str]:
    """Writes the variants of the rows of a file to another file."""
    from tqdm import tqdm

    from .output import ResumableWriter

    if args.column == args.column2:
        raise ValueError(f"column and column2 are both {args.column!r}; expected different columns.")
    columns = [args.column] if args.column2 is None else [args.column, args.column2]
    table = Table(args.input, columns)
    out = checked_output(args.output, table.path)
    num_rows, table_columns = table.scan()
    for name in ("example", "variant"):
        if name in table_columns:
            raise ValueError(
                f"{table.path} has a column {name!r}, which {out} needs for its own values. Rename the column."
            )
    augmenter = _augmenter(args)
    all_columns = [*table_columns, "example", "variant"]
    writer = ResumableWriter(out, all_columns, table.schema, _settings(args, table, augmenter))
    _precompute(augmenter, table)
    with tqdm(total=num_rows, unit=" rows", disable=None) as bar:
        for i, rows in enumerate(table.chunks(CHUNK)):
            if i >= writer.num_parts:
                new_rows, num_copies = _with_variants(rows, columns, augmenter, i * CHUNK, args)
                writer.add(new_rows, {"rows": len(new_rows), "copies": num_copies})
            bar.update(len(rows))
    writer.finish()
    yield (
        f"{out}: {writer.counts['rows']} rows of {num_rows} examples. Of "
        f"{num_rows * args.num_variants} variants, {writer.counts['copies']} were copies and "
        f"{'kept' if args.keep_copies else 'left out'}."
    )


def stats(args: Namespace) -> Iterator[str]:
    """Reports how much of a column an augmenter can change, and how much it changes."""
    from tqdm import tqdm

    from .coverage import count_changes, coverage

    table = Table(args.file, [args.column])
    augmenter = _augmenter(args)
    _precompute(augmenter, table)
    finder, counts, variants = WordFinder(augmenter.tokenizer), Counter[str](), VariantCount(args.num_variants)
    with tqdm(unit=" rows", disable=None) as bar:
        for i, rows in enumerate(table.chunks(CHUNK)):
            texts, seeds = [row[args.column] for row in rows], _seeds(i * CHUNK, len(rows), 0, args)
            groups = augmenter.augment_text(texts, args.num_variants, seeds)
            counts.update(count_changes(augmenter, finder, texts, args.num_variants, seeds))
            firsts = [are_first([text, *group]) for text, group in zip(texts, groups, strict=True)]
            for i, (text, group) in enumerate(zip(texts, groups, strict=True)):
                if _are_meant(augmenter, (text,), [(variant,) for variant in group]):
                    firsts[i] = [True] * len(firsts[i])
                    counts["same_text"] += len(group)
            variants += VariantCount.of(firsts, args.num_variants)
            bar.update(len(rows))
    report = coverage(counts, variants, augmenter.keeps_copies)
    if args.json:
        yield json.dumps({"file": args.file, "column": args.column, **report}, ensure_ascii=False)
        return
    yield f"{args.file}, column {args.column}"
    for name, value in report.items():
        if value is not None:
            number = f"{value:.1%}" if name.startswith("share") else f"{value:.2f}".removesuffix(".00")
            yield f"{name.replace('_', ' '):32}{number:>12}"
    if variants.are_few:
        yield ADVICE


def download(args: Namespace) -> Iterator[str]:
    """Makes WordNet available to NLTK, and the words of another language."""
    from ..english.wordnet_data import ensure_wordnet
    from ..languages.omw import ensure_language

    lang = check_lang(args.lang)
    yield ensure_wordnet(args.target)
    if lang != ENGLISH:
        yield ensure_language(lang, args.target)


def _augmenter(args: Namespace) -> Augmenter:
    if args.num_variants < 1:
        raise ValueError(f"num_variants is {args.num_variants}; expected at least 1.")
    config = augmenter_config(args.augmenter, args.model, replace_prob=args.replace_prob, lang=args.lang)
    return load_augmenter(config, args.tokenizer)


def _precompute(augmenter: Augmenter, table: Table) -> None:
    """Runs the augmenter's model, if it has one, on the whole file at once: large batches are faster."""
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
    """The K variants of each row, of which the first has the number `first` in its file."""
    by_column = [
        augmenter.augment_text(texts, args.num_variants, _seeds(first, len(rows), column, args))
        for column, texts in enumerate(zip(*rows, strict=True))
    ]
    return [list(zip(*variants, strict=True)) for variants in zip(*by_column, strict=True)]


def _with_variants(
    rows: Sequence[Row], columns: Sequence[str], augmenter: Augmenter, first: int, args: Namespace
) -> tuple[list[Row], int]:
    """The rows to write for some rows of the input, and how many of their variants are copies."""
    originals = [tuple(row[name] for name in columns) for row in rows]
    new_rows: list[Row] = []
    num_copies = 0
    for i, variants in enumerate(_variants(augmenter, originals, first, args)):
        copies = _copies(originals[i], variants)
        num_copies += len(copies)
        for k, texts in enumerate([originals[i], *variants]):
            if (k > 0 or args.keep_original) and (k not in copies or args.keep_copies):
                changed = dict(zip(columns, texts, strict=True))
                new_rows.append(rows[i] | changed | {"example": first + i, "variant": k})
    return new_rows, num_copies


def _seeds(first: int, num_rows: int, column: int, args: Namespace) -> list[tuple[int, ...]]:
    """A seed for each row, which depends only on the row's number in the file."""
    return [(args.seed, number, column) for number in range(first, first + num_rows)]


def _copies(original: Texts | str, variants: Sequence[Texts | str]) -> set[int]:
    """Numbers, from 1, of the variants that equal the original or an earlier variant."""
    return {k for k, is_first in enumerate(are_first([original, *variants])) if not is_first}


def _are_meant(augmenter: Augmenter, original: Texts | str, variants: Sequence[Texts | str]) -> bool:
    """Whether the variants of an original are copies that are meant to be trained on."""
    return augmenter.keeps_copies and all(variant == original for variant in variants)


def _settings(args: Namespace, table: Table, augmenter: Augmenter) -> dict[str, Any]:
    """Everything that determines the written rows."""
    options = ("column", "column2", "num_variants", "seed", "keep_original", "keep_copies")
    return {
        "input": f"{table.suffix} {table.digest()}",
        "augmenter": augmenter.to_dict(),
        "tokenizer": tokenizer_fingerprint(augmenter.tokenizer),
        **{name: getattr(args, name) for name in options},
        "rows per part": CHUNK,
    }
