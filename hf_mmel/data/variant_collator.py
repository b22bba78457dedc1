"""Groups of variants of text: from tokenised examples to tensors of shape `(B, V, L)`."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase, default_data_collator

from augment.core.batch import SPANS_KEY, TOKEN_COLUMNS_KEY, TOKEN_LEVEL_KEYS
from augment.core.variant_count import are_first
from augment.core.words import special_ids

from .group_collator import Example, GroupCollator, check_is_object, hashed, plain
from .groups import ALIGNMENT, IGNORE_INDEX, LABEL_COLUMNS, LABELS, POSITIONS, are_of_tokens, folded
from .token_columns import filler, padded, token_columns_of


class VariantCollator(GroupCollator):
    """
    Collates B tokenised examples into groups of V = K + 1 variants, variant 0 being the original.

    A variant is a pure function of (seed, epoch, example), the example being known by its token ids, as in
    `GroupCollator`.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerBase`):
            The classifier's tokenizer, which pads.
        augmenter:
            As in `GroupCollator`. One that has a `tokenizer` must have one with the same vocabulary.
        num_variants (*optional*):
            As in `GroupCollator`.
        seed (*optional*):
            As in `GroupCollator`.
        epochs_per_draw (*optional*):
            As in `GroupCollator`.
        pad_to_multiple_of (`int`, *optional*):
            Pads to a multiple of this length instead of to the longest row.
        data_collator (`Callable`, *optional*):
            Collates the B x V rows before they are folded into groups, and evaluation batches as they are. Defaults to
            `transformers.DataCollatorWithPadding` with `tokenizer` and `pad_to_multiple_of`. With
            `transformers.default_data_collator`, for rows that come padded to one length at their end, variants get
            that length, too; one that would be longer stays a copy.

    Returns the dict of `GroupCollator`, with each model input of shape `(B, V, L)`. Examples say by their columns
    what they are for:

    - token classification, `labels` with one label per token: they are fitted to the variants, `(B, V, L)`, see
      `augment.Augmenter`, and `alignment` of shape `(B, V, L)` tells for each token of the original its place in
      the variant, -1 where it has none;
    - question answering, `start_positions` and `end_positions`: the tokens from start to end stay, the positions
      follow them, `(B, V)`, and there is `alignment`, too;
    - multiple choice, `input_ids` with one row of ids per choice: each choice has variants of its own, and variant v
      of the example has variant v of each choice, `(B, V, C, L)`.

    Other columns with an entry for each token (`global_attention_mask`, `bbox`, `position_ids`) follow the tokens, see
    `augment.Augmenter`. They are padded with zeros, or with -100 where they hold it, to the length of `input_ids`. A
    column is one of these if it has as many entries as `input_ids`: in every row of a dataset that `read_columns` has
    seen, which `MMELTrainer` calls before training, else in the example.

    Token classification and question answering need an augmenter whose `columns` name `alignment` and `keep_spans`, as
    all of `augment` do, and the data collator that transformers has for the task.

    Raises:
        `TypeError`: if the augmenter is none, or cannot tell where tokens went.
        `ValueError`: if `num_variants` or `epochs_per_draw` is below 1, if the augmenter's tokenizer has another
            vocabulary, if the augmenter makes another number of variants, or if an example has no `input_ids` or an
            answer outside them.

    Example:

    ```python
    >>> collator = VariantCollator(tokenizer, WordNetSynonyms(tokenizer), num_variants=2)
    >>> batch = collator([{"input_ids": [101, 2023, 3185, 102], "label": 1}])
    >>> batch["input_ids"].shape, batch["labels"].shape, batch["variant_mask"].shape
    (torch.Size([1, 3, 4]), torch.Size([1]), torch.Size([1, 3]))
    ```
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        augmenter: Any,
        num_variants: int = 4,
        seed: int = 42,
        pad_to_multiple_of: int | None = None,
        data_collator: Callable[[list[Example]], dict[str, torch.Tensor]] | None = None,
        epochs_per_draw: int = 1,
    ):
        if tokenizer is None:
            raise ValueError("An augmenter is given, but no tokenizer; pass it as processing_class=tokenizer.")
        check_is_object("augmenter", augmenter)
        other = getattr(augmenter, "tokenizer", tokenizer)
        if other is not tokenizer and other.get_vocab() != tokenizer.get_vocab():
            raise ValueError(
                f"The augmenter writes token ids of a {type(other).__name__} with {len(other)} tokens, the collator "
                f"pads for a {type(tokenizer).__name__} with {len(tokenizer)} tokens and another vocabulary. "
                "Build the augmenter with the classifier's tokenizer."
            )
        if data_collator is not None and pad_to_multiple_of is not None:
            raise ValueError("pad_to_multiple_of goes to the data_collator when one is given; pass one of the two.")
        data_collator = data_collator or DataCollatorWithPadding(tokenizer, pad_to_multiple_of=pad_to_multiple_of)
        super().__init__(augmenter, num_variants, seed, data_collator, epochs_per_draw)
        self.tokenizer = tokenizer
        self._special = special_ids(tokenizer)
        self.token_columns: tuple[str, ...] | None = None  # where a dataset was read

    def __call__(self, examples: list[Example]) -> dict[str, torch.Tensor]:
        examples = [{name: plain(value) for name, value in example.items()} for example in examples]
        self._check_input(examples)
        nested = bool(examples[0]["input_ids"]) and isinstance(examples[0]["input_ids"][0], list)
        rows = [row for example in examples for row in (_choices(example) if nested else [self._marked(example)])]
        if self.token_columns is not None and TOKEN_COLUMNS_KEY in getattr(self.augmenter, "columns", ()):
            rows = [{TOKEN_COLUMNS_KEY: self.token_columns, **row} for row in rows]
        _check_labels(rows)
        groups = self._with_variants(rows)
        if self.data_collator is default_data_collator:  # which pads nothing: rows come padded to one length
            groups = [[group[0], *(self._of_length(group[0], variant) for variant in group[1:])] for group in groups]
        if nested:
            groups = _regrouped(examples, groups)
        return self._collate(groups)

    def read_columns(self, dataset: Any, used: Collection[str] | None = None) -> None:
        self.token_columns = token_columns_of(dataset, used) if isinstance(dataset, Dataset) else None
        if self.token_columns and TOKEN_COLUMNS_KEY not in getattr(self.augmenter, "columns", ()):
            raise TypeError(
                f"The examples have an entry for each token in {', '.join(self.token_columns)}, but the columns of "
                f"the augmenter, a {type(self.augmenter).__name__}, do not name {TOKEN_COLUMNS_KEY}; expected one "
                "that has these entries follow the tokens into its variants, such as those of augment."
            )

    def _marked(self, example: Example) -> Example:
        """The example with what an augmenter is to keep, and to tell, of its tokens."""
        length = len(example["input_ids"])
        for name in LABEL_COLUMNS:  # under whose other names data collators take labels of tokens, too
            if name != LABELS and are_of_tokens(example.get(name), example["input_ids"], self._special):
                example = {**example, LABELS: example[name]}
                del example[name]
        has_answer = POSITIONS[0] in example
        if not has_answer and not are_of_tokens(example.get(LABELS), example["input_ids"], self._special):
            return example
        missing = {ALIGNMENT, SPANS_KEY}.difference(getattr(self.augmenter, "columns", ()))
        if missing:
            raise TypeError(
                f"The examples have {' and '.join(POSITIONS) if has_answer else 'a label per token'}, but the columns "
                f"of the augmenter, a {type(self.augmenter).__name__}, do not name {' and '.join(sorted(missing))}; "
                "expected one that tells where tokens went, such as those of augment."
            )
        attended = example.get("attention_mask", [1] * length)  # rows may come padded
        example = {**example, ALIGNMENT: [i if seen else IGNORE_INDEX for i, seen in enumerate(attended)]}
        if has_answer:
            start, end = (example[name] for name in POSITIONS)
            if not 0 <= start <= end < length:
                raise ValueError(
                    f"An example of {length} tokens has its answer from {start} to {end}; expected 0 <= start <= end "
                    f"< {length}. Where the text does not hold the answer, have both point to the first token."
                )
            example[SPANS_KEY] = [*(example.get(SPANS_KEY) or ()), (start, end + 1)]
        return example

    def _of_length(self, row: Example, variant: Example) -> Example:
        """The variant with as much padding at its end as makes it as long as its row; the row where it has no room."""
        length, ids = len(row["input_ids"]), variant["input_ids"]
        if len(ids) == length:
            return variant
        attended = variant.get("attention_mask", [token != self.tokenizer.pad_token_id for token in ids])
        if any(attended[length:]):
            return row
        padding: dict[str, Any] = {
            "input_ids": self.tokenizer.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": self.tokenizer.pad_token_type_id,
            "special_tokens_mask": 1,
            ALIGNMENT: IGNORE_INDEX,
        }
        if ALIGNMENT in row and POSITIONS[0] not in row:
            padding[LABELS] = IGNORE_INDEX
        missing = length - len(ids)
        for name, values in variant.items():
            old = row.get(name)
            if name in padding or not (isinstance(values, list) and isinstance(old, list)):
                continue
            if (len(old), len(values)) == (length, len(ids)):  # as long as the tokens before and after
                padding[name] = filler(old) if row.get("attention_mask", [1])[-1] else old[-1]
        fitted = {name: (variant[name] + [x] * missing)[:length] for name, x in padding.items() if name in variant}
        return {**variant, **fitted}

    def _collate(self, groups: list[list[Example]]) -> dict[str, torch.Tensor]:
        """Tensors of groups of V examples."""
        left_out = {*getattr(self.augmenter, "columns", ()), ALIGNMENT}
        rows = [
            {name: value for name, value in _with_positions(row).items() if name not in left_out}
            for group in groups
            for row in group
        ]
        collated = self._collated(rows, len({len(group[0]["input_ids"]) for group in groups}) == 1)
        if POSITIONS[0] in collated and self.tokenizer.padding_side == "left":
            collated.update(_moved_by_padding(rows, collated))
        batch = folded(collated, len(groups), len(rows))
        if ALIGNMENT in groups[0][0]:
            batch[ALIGNMENT] = self._alignment(groups, batch["input_ids"].shape[-1])
        if LABELS in batch and (ALIGNMENT not in batch or POSITIONS[0] in batch):
            batch[LABELS] = batch[LABELS][:, 0].contiguous()
        return self._marked_batch(batch, groups)

    def _collated(self, rows: list[Example], have_one_length: bool) -> dict[str, Any]:
        """
        The collated rows. Collators of transformers do not pad columns that the tokenizer does not make, and need not
        where the originals have one length; variants have others.
        """
        if not have_one_length or not _pads_like_its_tokenizer(self.data_collator):
            return dict(self.data_collator(rows))
        known = {*self.tokenizer.model_input_names, *TOKEN_LEVEL_KEYS, "input_ids", *LABEL_COLUMNS}
        chosen = rows[0] if self.token_columns is None else self.token_columns
        own = [name for name in chosen if name not in known and all(_fits(row.get(name), row) for row in rows)]
        collated = dict(self.data_collator([{name: x for name, x in row.items() if name not in own} for row in rows]))
        length = collated["input_ids"].shape[-1]
        for name in own:
            entries = [padded(row[name], row["input_ids"], length, self.tokenizer) for row in rows]
            collated[name] = torch.tensor(entries)
        return collated

    def _are_first(self, variants: list[list]) -> list[bool]:
        return are_first(
            [tuple(map(tuple, ids)) if ids and isinstance(ids[0], list) else tuple(ids) for ids in variants]
        )

    def _group_key(self, group: list[Example]) -> int:
        return hashed(repr((group[0], [row["input_ids"] for row in group])).encode(), signed=True)

    def _alignment(self, groups: list[list[Example]], length: int) -> torch.Tensor:
        """Of each token of the originals its place in each variant, or -1, as the rows are padded, `(B, V, L)`."""
        on_the_left = self.tokenizer.padding_side == "left"
        alignment = np.full((len(groups), self.num_variants + 1, length), -1)
        for i, group in enumerate(groups):
            shift = length - len(group[0]["input_ids"]) if on_the_left else 0
            for k, row in enumerate(group):
                stands_for = np.array(row[ALIGNMENT])
                places = (stands_for != IGNORE_INDEX).nonzero()[0]
                own_shift = length - len(stands_for) if on_the_left else 0
                alignment[i, k, stands_for[places] + shift] = places + own_shift
        return torch.from_numpy(alignment)


def collator_for(augmenter: Any, processing_class: Any, **options: Any) -> GroupCollator:
    """The collator for the main input of an augmenter. `processing_class` reads the examples, as in `Trainer`."""
    if getattr(augmenter, "main_input_name", "input_ids") == "input_ids":
        return VariantCollator(processing_class, augmenter, **options)
    return GroupCollator(augmenter, **options)


def _check_labels(rows: list[Example]) -> None:
    """Refuses a batch in which some rows have a label per token, or an answer, and others not."""
    of_tokens = any(ALIGNMENT in row for row in rows)
    if not of_tokens:  # as many labels as tokens, now more and now less, are those of tokens, without their -100
        sizes = {(len(row["input_ids"]), len(x)) for row in rows if isinstance(x := row.get(LABELS), list)}
        of_tokens = len(sizes) > 1 and all(tokens == labels for tokens, labels in sizes)
    for row in rows:
        if of_tokens and ALIGNMENT not in row:
            raise ValueError(
                f"An example of {len(row['input_ids'])} tokens has the labels {row.get(LABELS)!r:.80}, where others "
                "of its batch have one for each token, or an answer; expected so of all of them, with -100 for "
                "special tokens."
            )


def _pads_like_its_tokenizer(data_collator: Callable) -> bool:
    is_of_transformers = type(data_collator).__module__.startswith("transformers.")
    return is_of_transformers and hasattr(data_collator, "tokenizer")


def _fits(entries: Any, row: Example) -> bool:
    """Whether there is an entry for each token of a row, or for each of each of its choices."""
    ids = row["input_ids"]
    if not isinstance(entries, list) or len(entries) != len(ids):
        return False
    if not ids or not isinstance(ids[0], list):
        return True
    return all(isinstance(x, list) and len(x) == len(choice) for x, choice in zip(entries, ids, strict=True))


def _with_positions(row: Example) -> Example:
    """The row, its answer where the last one of the spans to keep has gone."""
    if POSITIONS[0] not in row:
        return row
    start, stop = row[SPANS_KEY][-1]
    return {**row, POSITIONS[0]: start, POSITIONS[1]: stop - 1}


def _moved_by_padding(rows: list[Example], collated: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The answers of rows that were padded on the left, moved by the padding."""
    padding = collated["input_ids"].shape[-1] - torch.tensor([len(row["input_ids"]) for row in rows])
    given = {name: torch.tensor([row[name] for row in rows]) for name in POSITIONS}
    return {name: places + padding for name, places in given.items()}


def _choices(example: Example) -> list[Example]:
    """The choices of an example of multiple choice as rows of their own."""
    count = len(example["input_ids"])
    nested = {name: value for name, value in example.items() if isinstance(value, list) and len(value) == count}
    return [{name: value[i] for name, value in nested.items()} for i in range(count)]


def _regrouped(examples: list[Example], choices: list[list[Example]]) -> list[list[Example]]:
    """Groups of examples of multiple choice from the groups of their choices."""
    groups, following = [], iter(choices)
    for example in examples:
        own = [next(following) for _ in example["input_ids"]]
        groups.append(
            [{**example, **{name: [row[name] for row in rows] for name in rows[0]}} for rows in zip(*own, strict=True)]
        )
    return groups
