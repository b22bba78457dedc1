"""Variants that come with the data: a column with a list of texts for each row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, overload

import numpy as np

from .base import Augmenter
from .configurable import Configurable, check_count
from .core.batch import LABELS_KEY, SPANS_KEY, TOKEN_COLUMNS_KEY, TOKEN_LEVEL_KEYS, are_of_tokens
from .core.given import as_list, check_object, check_tokenizer, seeds_of_rows
from .core.lazy import Lazy
from .core.randomness import Seed, mix, row_keys
from .core.running import shown
from .core.text_lists import Entry, entries_of, plain
from .core.words import special_ids


Example = Mapping[str, Any]
_CHUNK = 1000  # rows that are tokenised at once
_POSITIONS = ("start_positions", "end_positions")


class VariantsFromColumn(Lazy, Configurable):
    """
    Takes the variants of an example from a column of the dataset: texts from a language model, from back-translation
    or from annotators.

    The column has a list of texts in each row. A single text counts as a list of one, and a text that is a list in
    JSON, as in a csv, as this list. `None` and blank texts are left out, and so are texts with the tokens of the
    original or of an earlier text. An entry of the list is one of these:

    - a text, which takes the place of the first text column;
    - a list with a text for each text column;
    - a dict with texts by the names of text columns. A text column that it lacks keeps its text.

    If a row has more than K texts, each epoch draws K of them. If it has fewer, the rest are copies of the example,
    which `hf_mmel` leaves out of the group. With `then`, another augmenter makes them.

    Texts are tokenised by `tokenizer(text, truncation=True, max_length=max_length)`. `precompute`, which `MMELTrainer`
    calls before training, checks that the originals are tokenised in the same way, and so does `variants`.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerBase`): The classifier's tokenizer.
        column (`str`): The column of the lists.
        text_columns (`str` or a list of `str`, *optional*, defaults to `"text"`):
            The column, or the two columns of a pair, that `input_ids` were made from. The dataset must still have
            them.
        then (`Augmenter`, *optional*): Makes the variants that a row lacks.
        delimiter (`str`, *optional*): Joins the text columns to one text, of which there may be any number then.
        max_length (`int`, *optional*):
            The `max_length` that the originals were truncated with. Defaults to the tokenizer's `model_max_length`.

    Attributes:
        columns (`tuple[str, ...]`): Columns that the augmenter reads. Models do not know them.

    Raises:
        `TypeError`: if `tokenizer` is not a tokenizer, or `then` is not an `Augmenter`.
        `ValueError`: if the text columns are none, contain `column`, or are more than two without a delimiter, if
            `then` has another vocabulary, or if `max_length` is below 1.

    Example:

    ```python
    >>> augmenter = VariantsFromColumn(tokenizer, "paraphrases")
    >>> row = {"text": "a fine film", "paraphrases": ["a good movie", "A fine film"], **tokenizer("a fine film")}
    >>> [tokenizer.decode(variant["input_ids"]) for variant in augmenter.variants(row, num_variants=1)]
    ['[CLS] a good movie [SEP]']
    ```
    """

    def __init__(
        self,
        tokenizer,
        column: str,
        text_columns: str | Sequence[str] = "text",
        *,
        then: Augmenter | None = None,
        delimiter: str | None = None,
        max_length: int | None = None,
    ):
        check_tokenizer(tokenizer)
        names = [text_columns] if isinstance(text_columns, str) else list(text_columns)
        if not names or column in names or (len(names) > 2 and delimiter is None):
            raise ValueError(
                f"column is {column!r} and text_columns is {text_columns!r}; expected the column with the lists, and "
                "another one with the text, or two with the texts of a pair. More columns need a delimiter."
            )
        check_count("max_length", max_length, optional=True)
        if then is not None:
            check_object("then", then, Augmenter)
            if then.tokenizer is not tokenizer and then.tokenizer.get_vocab() != tokenizer.get_vocab():
                raise ValueError(
                    f"The tokenizer of {type(then).__name__} has another vocabulary than the one that is given; "
                    "expected one tokenizer for both."
                )
        self.tokenizer = tokenizer
        self.column = column
        self.text_columns = names
        self.then = then
        self.delimiter = delimiter
        self.max_length = max_length
        self.columns = (column, *names, *([SPANS_KEY] if then is not None else []))

    @overload
    def variants(self, example: Example, num_variants: int = 4, seed: Seed = 42) -> list[dict[str, Any]]: ...

    @overload
    def variants(
        self, example: Iterable[Example], num_variants: int = 4, seed: int | Sequence[Seed] = 42
    ) -> list[list[dict[str, Any]]]: ...

    def variants(self, example, num_variants=4, seed=42):
        """
        K variants of an example, or of each of a list of examples.

        Args:
            example (`Mapping`, or a list, array, pandas Series or `datasets.Dataset` of them):
                A row with `input_ids`, the text columns and the column of the lists. The variants have the
                `input_ids`, `attention_mask`, `token_type_ids` and `special_tokens_mask` of their texts, if the row
                has these columns. All other columns are passed on unchanged.
            num_variants: As in `Augmenter.variants`.
            seed: As in `Augmenter.variants`.

        Returns:
            `list[dict]` of length K, or B such lists. The variants differ from each other and from the example. If
            there are fewer than K, the rest are copies of the example.

        Raises:
            `TypeError`: if a seed has the wrong type.
            `ValueError`: if K is below 1, a column is missing or holds something else, the number of seeds differs
                from the number of examples, `input_ids` are not those of the text, or the example has labels of
                tokens, an answer or choices.
        """
        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        check_count("num_variants", num_variants)
        examples = as_list(example)
        seeds = seeds_of_rows(seed, len(examples))
        if len(seeds) != len(examples):
            raise ValueError(f"Received {len(examples)} examples and {len(seeds)} seeds; expected one per example.")
        own = zip(self._own(examples), row_keys(seeds), strict=True)
        groups = [_drawn(variants, num_variants, key) for variants, key in own]
        few = [i for i, group in enumerate(groups) if len(group) < num_variants]
        if self.then is not None and few:
            # Lists may be as long as the tokens by chance. Columns of tokens are refused with these variants.
            rows = [{**examples[i], TOKEN_COLUMNS_KEY: ()} for i in few]
            others = self.then.variants(rows, num_variants, [seeds[i] for i in few])
            for i, variants in zip(few, others, strict=True):
                new = [{name: x for name, x in row.items() if name != TOKEN_COLUMNS_KEY} for row in variants]
                groups[i] = _different([examples[i], *groups[i], *new])[1:][:num_variants]
        return [
            [*group, *(dict(row) for _ in range(num_variants - len(group)))]
            for row, group in zip(examples, groups, strict=True)
        ]

    def precompute(self, dataset) -> "VariantsFromColumn":
        """
        Checks all rows of a dataset, and has `then` compute what it needs of them. Returns the augmenter itself.

        Args:
            dataset (`datasets.Dataset` or a sequence of examples): Rows with `input_ids`.

        Raises:
            `ValueError`: as in `variants`, with the number of the row, or if no row has a variant.
        """
        rows = iter(dataset)
        first, has_variants = 0, False
        while chunk := list(islice(rows, _CHUNK)):
            has_variants |= any(list(self._own(chunk, first)))  # all are checked
            first += len(chunk)
        if first and not has_variants:
            raise ValueError(
                f"The column {self.column!r} has no text that differs from the original in any of {first} rows; "
                "expected lists of texts."
            )
        if self.then is not None:
            self.then.precompute(dataset)
        return self

    @property
    def precomputes(self) -> bool:
        """Whether `precompute` computes anything besides its checks."""
        return self.then is not None and self.then.precomputes

    @property
    def keeps_copies(self) -> bool:
        """Whether copies of an example without variants are meant, see `Augmenter`."""
        return self.then is not None and self.then.keeps_copies

    def _own(self, examples: Sequence[Example], first: int | None = None) -> Iterator[list[dict[str, Any]]]:
        """The different variants in the column of each example. Examples are numbered from `first` in errors."""
        names = ["An example" if first is None else f"Row {first + i} (from 0)" for i in range(len(examples))]
        groups: list[list[tuple[str, ...]]] = []
        for name, example in zip(names, examples, strict=True):
            self._check(example, name)
            originals = tuple(example[column] for column in self.text_columns)
            entries = checked_entries(example, name, self.column, self.text_columns)
            groups.append([originals, *(filled(entry, originals) for entry in entries)])
        encoded = self._tokenize([texts for group in groups for texts in group]) if groups else {}
        stop = 0
        for name, example, group in zip(names, examples, groups, strict=True):
            start, stop = stop, stop + len(group)
            columns = [column for column in ("input_ids", *TOKEN_LEVEL_KEYS) if column in example]
            rows = [{**example, **{column: encoded[column][k] for column in columns}} for k in range(start, stop)]
            self._check_ids(example, rows[0], name)
            yield _different([example, *rows[1:]])[1:]

    def _tokenize(self, texts: Sequence[Entry]) -> Mapping[str, list]:
        """The tokenizer's columns of rows of texts, a text for each text column."""
        columns: list[list] = [list(column) for column in zip(*texts, strict=True)]
        if self.delimiter is not None:
            columns = [[self.delimiter.join(parts) for parts in zip(*columns, strict=True)]]
        wanted = dict.fromkeys(("return_attention_mask", "return_token_type_ids", "return_special_tokens_mask"), True)
        return self.tokenizer(*columns, truncation=True, max_length=self.max_length, verbose=False, **wanted)

    def _check(self, example: Example, name: str) -> None:
        """Checks that an example has what is read of it, and nothing that belongs to single tokens."""
        if missing := [column for column in (self.column, *self.text_columns) if column not in example]:
            what = "with the texts" if missing[0] == self.column else "that its input_ids were made from"
            raise ValueError(
                f"{name} has no column {missing[0]!r}, {what}; its columns are {shown(map(repr, example))}. Name the "
                "right one in VariantsFromColumn, and keep it in the dataset."
            )
        ids, kind = example.get("input_ids"), None
        if ids is None:
            raise ValueError(f"{name} has no input_ids; tokenise it first: tokenizer(text, truncation=True).")
        if len(ids) and np.ndim(ids[0]):
            kind = "choices"
        elif not set(_POSITIONS).isdisjoint(example):
            kind = "an answer"
        elif any(self._are_of_tokens(example, label) for label in (LABELS_KEY, "label", "label_ids")):
            kind = "a label for each token"
        if kind is not None:
            raise ValueError(
                f"{name} has {kind}, and the texts in the column {self.column!r} do not say where tokens went. Use an "
                "augmenter that edits words, such as WordNetSynonyms."
            )

    def _are_of_tokens(self, example: Example, name: str) -> bool:
        return name in example and are_of_tokens(plain(example[name]), plain(example["input_ids"]), self._special)

    def _check_ids(self, example: Example, made: Example, name: str) -> None:
        """Checks that an example has been tokenised as its variants are."""
        ids, expected = _attended(example), tuple(made["input_ids"])
        if ids == expected:
            return
        max_length = "" if self.max_length is None else f", max_length={self.max_length}"
        advice = f"max_length={len(ids)}, if the originals were truncated to it" if len(ids) < len(expected) else ""
        raise ValueError(
            f"{name} has {len(ids)} input_ids, which are not the {len(expected)} that tokenizer(text, truncation=True"
            f"{max_length}) makes of its {' and '.join(map(repr, self.text_columns))}, so that its variants would be "
            f"tokenised in another way. Tokenise the dataset like this, or give VariantsFromColumn "
            f"{advice or 'the right text_columns and max_length'}."
        )

    @cached_property
    def _special(self) -> set[int]:
        return special_ids(self.tokenizer)


def checked_entries(row: Example, name: str, column: str, text_columns: Sequence[str]) -> list[Entry]:
    """The entries in the list of a row. Raises a `ValueError` with its name if they or its originals are no texts."""
    for text_column in text_columns:
        if not isinstance(text := row.get(text_column), str):
            raise ValueError(f"{name}: the column {text_column!r} is {text!r:.60}; expected a text.")
    try:
        return entries_of(row.get(column), text_columns)
    except ValueError as error:
        raise ValueError(f"{name}: the column {column!r} {error}") from None


def filled(entry: Entry, originals: Sequence[str]) -> tuple[str, ...]:
    """The texts of a variant, with the originals where it has none."""
    return tuple(text if own is None else own for own, text in zip(entry, originals, strict=True))


def _drawn(variants: list[dict[str, Any]], num_variants: int, key: np.uint64) -> list[dict[str, Any]]:
    """K of the variants, in their order; all if there are no more."""
    if len(variants) <= num_variants:
        return variants
    order = mix(key ^ np.arange(len(variants), dtype=np.uint64)).argsort(kind="stable")
    return [variants[i] for i in sorted(order[:num_variants].tolist())]


def _different(rows: Sequence[Any]) -> list[Any]:
    """The rows without those that have the tokens of an earlier one."""
    by_ids: dict[tuple[int, ...], Any] = {}
    for row in rows:
        by_ids.setdefault(_attended(row), row)
    return list(by_ids.values())


def _attended(example: Example) -> tuple[int, ...]:
    """The token ids of an example without padding."""
    ids, mask = plain(example["input_ids"]), example.get("attention_mask")
    return tuple(ids) if mask is None else tuple(token for token, seen in zip(ids, plain(mask), strict=True) if seen)
