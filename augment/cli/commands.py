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
from ..core.tables import Table
from ..core.variant_count import ADVICE, VariantCount, are_first
from ..core.words import WordFinder
from ..languages.language import ENGLISH, check_lang
from ..parts.rows import VariantRows
from ..registry import augmenter_config, load_augmenter
from . import output, parts


def preview(args: Namespace, colour: bool) -> Iterator[str]:
    """Shows the variants of a text, or of the first rows of a file, with their changes marked. Leaves out copies."""
    if args.text is not None:
        texts = [args.text]
    else:
        texts = [row[args.column] for row in islice(Table(args.file, [args.column]), max(args.num_rows, 0))]
    if not texts:
        raise ValueError(f"num_rows is {args.num_rows}; expected at least 1.")
    augmenter = _augmenter(args)
    groups = augmenter.augment_text(texts, args.num_variants, _seeds(0, len(texts), 0, args))
    for number, (text, variants) in enumerate(zip(texts, groups, strict=True)):
        if number:
            yield ""
        yield f"0  {text}"
        are_meant = _are_meant(augmenter, text, variants)
        are_new = [are_meant or is_new for is_new in are_first([text, *variants])[1:]]
        for k, variant in enumerate(variants, 1):
            if are_new[k - 1]:
                shown = variant if args.no_marks else marked(text, variant, COLOURS if colour else PLAIN)
                yield f"{k}  {shown}{'  (same text)' if are_meant else ''}"
        if not all(are_new):
            yield f"   no {'other ' if any(are_new) else ''}variant found"


def write(args: Namespace) -> Iterator[str]:
    """Writes the variants of the rows of a file to another file, or into a folder of parts."""
    rows = _variant_rows(args)
    if parts.is_folder(args.output):
        yield from parts.write_parts(args, rows)
        return
    parts.check_is_file(args)
    table = Table(args.input, rows.columns)
    out = output.checked_output(args.output, table.path)
    num_rows, table_columns = table.scan()
    rows.check_columns(table_columns, table.path)
    augmenter = _augmenter(args)
    all_columns = [*table_columns, *rows.added]
    writer = output.ResumableWriter(out, all_columns, rows.schema(table.schema), _settings(args, table, augmenter))
    _precompute(augmenter, table)
    writer.write(table, num_rows, lambda chunk, first: rows.of(chunk, first, augmenter))
    yield parts.summary(out, {**writer.counts, "examples": num_rows}, vars(rows))


def stats(args: Namespace) -> Iterator[str]:
    """Reports how much of a column an augmenter can change, and how much it changes."""
    from tqdm import tqdm

    from .coverage import count_changes, coverage

    table = Table(args.file, [args.column])
    augmenter = _augmenter(args)
    _precompute(augmenter, table)
    finder, counts, variants = WordFinder(augmenter.tokenizer), Counter[str](), VariantCount(args.num_variants)
    with tqdm(unit=" rows", disable=None) as bar:
        for i, rows in enumerate(table.chunks(output.CHUNK)):
            texts, seeds = [row[args.column] for row in rows], _seeds(i * output.CHUNK, len(rows), 0, args)
            groups = augmenter.augment_text(texts, args.num_variants, seeds)
            counts.update(count_changes(augmenter, finder, texts, args.num_variants, seeds))
            for text, group in zip(texts, groups, strict=True):
                are_meant = _are_meant(augmenter, text, group)
                counts["same_text"] += args.num_variants * are_meant
                are_new = [are_meant or is_new for is_new in are_first([text, *group])]
                variants += VariantCount.of([are_new], args.num_variants)
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


def _variant_rows(args: Namespace) -> VariantRows:
    """The rows that the options of `write` ask for."""
    if args.column == args.column2:
        raise ValueError(f"column and column2 are both {args.column!r}; expected different columns.")
    if args.keep_original and args.new_column is not None:
        raise ValueError("--keep_original has no use with --new_column, where each row has its original in any case.")
    columns = (args.column,) if args.column2 is None else (args.column, args.column2)
    options = ("num_variants", "seed", "keep_original", "keep_copies", "new_column")
    return VariantRows(columns, **{name: getattr(args, name) for name in options})


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
            for rows in table.chunks(output.CHUNK)
            for name in table.text_columns
            for ids in augmenter.tokenizer([row[name] for row in rows], verbose=False)["input_ids"]
        ]
    )


def _seeds(first: int, num_rows: int, column: int, args: Namespace) -> list[tuple[int, ...]]:
    """A seed for each row, which depends only on the row's number in the file."""
    return [(args.seed, number, column) for number in range(first, first + num_rows)]


def _are_meant(augmenter: Augmenter, text: str, variants: Sequence[str]) -> bool:
    """Whether the variants of a text are copies that are meant to be trained on."""
    return augmenter.keeps_copies and all(variant == text for variant in variants)


def _settings(args: Namespace, table: Table, augmenter: Augmenter) -> dict[str, Any]:
    """Everything that determines the written rows."""
    options = ("column", "column2", "num_variants", "seed", "keep_original", "keep_copies")
    return {
        "input": f"{table.suffix} {table.digest()}",
        "augmenter": augmenter.to_dict(),
        "tokenizer": tokenizer_fingerprint(augmenter.tokenizer),
        **{name: getattr(args, name) for name in options},
        **({} if args.new_column is None else {"new_column": args.new_column}),
        "rows per part": output.CHUNK,
    }
