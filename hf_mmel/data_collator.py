"""Groups of variants: from tokenised examples to tensors of shape `(B, V, L)`."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from transformers import DataCollatorWithPadding, PreTrainedTokenizerBase, default_data_collator

from augment.batch import SPANS_KEY, are_of_tokens
from augment.words import special_ids

from .groups import ALIGNMENT, GROUP_KEY, IGNORE_INDEX, LABELS, POSITIONS, VARIANT_MASK


class VariantCollator:
    """
    Collates B tokenised examples into groups of V = K + 1 variants, variant 0 being the original.

    A variant is a pure function of (seed, epoch, example), the example being known by its token ids: neither the
    number of workers or processes, nor the make-up of the batch, nor a resume in mid-epoch changes it. Two examples
    with the same ids have the same variants in the same epoch. Every epoch has new ones, or every so many: call
    [`~VariantCollator.set_epoch`], as [`MMELTrainer`] does.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]):
            The classifier's tokenizer, which pads.
        augmenter:
            Any object with `variants(examples, num_variants, seeds)`, which takes a list of B examples and a list of B
            seeds (tuples of ints) and returns B lists of K examples with the same keys. An augmenter that has a
            `tokenizer` must have one with the same vocabulary. One that has `columns` reads the columns so named,
            which no batch has. One that has `precompute(dataset)` is given the training set by [`MMELTrainer`], if
            that has a length, before its first batch.
        num_variants (`int`, *optional*, defaults to 4):
            Augmented variants per example (K), the original not counted.
        seed (`int`, *optional*, defaults to 42):
            Seed of the variants.
        pad_to_multiple_of (`int`, *optional*):
            Pads to a multiple of this length instead of to the longest row.
        data_collator (`Callable`, *optional*):
            Collates the B x V rows before they are folded into groups, and evaluation batches as they are. Defaults to
            [`~transformers.DataCollatorWithPadding`] with `tokenizer` and `pad_to_multiple_of`. With
            [`~transformers.default_data_collator`], for rows that come padded to one length at their end, variants get
            that length, too; one that would be longer stays a copy.
        epochs_per_draw (`int`, *optional*, defaults to 1):
            Epochs for which an example keeps its variants.

    Returns a dict: each model input of shape `(B, V, L)`, `labels` of shape `(B, ...)` (they belong to the example),
    and `variant_mask` of shape `(B, V)`, `False` for a variant that repeats its original or another. Where variants
    are kept for several epochs there is `group_key` of shape `(B,)`, too, by which the same group is known again.
    Examples say by their columns what they are for:

    - token classification, `labels` with one label per token: they are fitted to the variants, `(B, V, L)`, see
      [`~augment.Augmenter`], and `alignment` of shape `(B, V, L)` tells for each token of the original its place in
      the variant, -1 where it has none;
    - question answering, `start_positions` and `end_positions`: the tokens from start to end stay, the positions
      follow them, `(B, V)`, and there is `alignment`, too;
    - multiple choice, `input_ids` with one row of ids per choice: each choice has variants of its own, and variant v
      of the example has variant v of each choice, `(B, V, C, L)`.

    The first two need an augmenter whose `columns` name `alignment` and `keep_spans`, as all of `augment` do, and the
    data collator that transformers has for the task.

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
        data_collator: Callable[[list[dict[str, Any]]], dict[str, torch.Tensor]] | None = None,
        epochs_per_draw: int = 1,
    ):
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1 augmented variant per example.")
        if epochs_per_draw < 1:
            raise ValueError(f"epochs_per_draw is {epochs_per_draw}; expected at least 1 epoch.")
        if not callable(getattr(augmenter, "variants", None)):
            raise TypeError(
                f"augmenter is a {type(augmenter).__name__}; expected an object with "
                "variants(examples, num_variants, seeds), such as augment.WordNetSynonyms(tokenizer)."
            )
        other = getattr(augmenter, "tokenizer", tokenizer)
        if other is not tokenizer and other.get_vocab() != tokenizer.get_vocab():
            raise ValueError(
                f"The augmenter writes token ids of a {type(other).__name__} with {len(other)} tokens, the collator "
                f"pads for a {type(tokenizer).__name__} with {len(tokenizer)} tokens and another vocabulary. "
                "Build the augmenter with the classifier's tokenizer."
            )
        if data_collator is not None and pad_to_multiple_of is not None:
            raise ValueError("pad_to_multiple_of goes to the data_collator when one is given; pass one of the two.")
        self.tokenizer = tokenizer
        self.augmenter = augmenter
        self.num_variants = num_variants
        self.seed = seed
        self.epochs_per_draw = epochs_per_draw
        self.data_collator = data_collator or DataCollatorWithPadding(tokenizer, pad_to_multiple_of=pad_to_multiple_of)
        self._special = special_ids(tokenizer)
        # Shared memory, because worker processes that outlive an epoch hold a copy of everything else.
        self._draw = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Has all later batches, those of running worker processes included, made of the variants of this epoch."""
        self._draw.fill_(epoch // self.epochs_per_draw)

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        examples = [{name: plain(value) for name, value in example.items()} for example in examples]
        for example in examples:
            if "input_ids" not in example:
                raise ValueError(
                    f"An example has the keys {sorted(example)}; expected input_ids among them. "
                    "Tokenise the data set first: dataset.map(lambda row: tokenizer(row['text']))."
                )
        nested = bool(examples[0]["input_ids"]) and isinstance(examples[0]["input_ids"][0], list)
        rows = [row for example in examples for row in (_choices(example) if nested else [self._marked(example)])]
        _check_labels(rows)
        draw = int(self._draw)
        seeds = [(self.seed, draw, _fingerprint(row["input_ids"])) for row in rows]
        variants = self.augmenter.variants(rows, self.num_variants, seeds)
        counts = [len(group) for group in variants]
        if counts != [self.num_variants] * len(rows):
            raise ValueError(
                f"The augmenter, a {type(self.augmenter).__name__}, gave lists of {counts} variants; expected "
                f"{len(rows)} lists of {self.num_variants} variants. Where there are fewer, it has to fill up with "
                "copies of the example."
            )
        if self.data_collator is default_data_collator:  # which pads nothing: rows come padded to one length
            variants = [
                [self._of_length(row, variant) for variant in group] for row, group in zip(rows, variants, strict=True)
            ]
        groups = [[row, *group] for row, group in zip(rows, variants, strict=True)]
        if nested:
            groups = _regrouped(examples, groups)
        return self._collate(groups)

    def _marked(self, example: dict[str, Any]) -> dict[str, Any]:
        """The example with what an augmenter is to keep, and to tell, of its tokens."""
        length = len(example["input_ids"])
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

    def _of_length(self, row: dict[str, Any], variant: dict[str, Any]) -> dict[str, Any]:
        """The variant with as much padding at its end as makes it as long as its row; the row where it has no room."""
        length, ids = len(row["input_ids"]), variant["input_ids"]
        if len(ids) == length:
            return variant
        attended = variant.get("attention_mask", [token != self.tokenizer.pad_token_id for token in ids])
        if any(attended[length:]):
            return row
        padding = {
            "input_ids": self.tokenizer.pad_token_id,
            "attention_mask": 0,
            "token_type_ids": self.tokenizer.pad_token_type_id,
            "special_tokens_mask": 1,
            ALIGNMENT: IGNORE_INDEX,
        }
        if ALIGNMENT in row and POSITIONS[0] not in row:
            padding[LABELS] = IGNORE_INDEX
        missing = length - len(ids)
        fitted = {name: (variant[name] + [x] * missing)[:length] for name, x in padding.items() if name in variant}
        return {**variant, **fitted}

    def _collate(self, groups: list[list[dict[str, Any]]]) -> dict[str, torch.Tensor]:
        """Tensors of groups of V examples."""
        left_out = {*getattr(self.augmenter, "columns", ()), ALIGNMENT}
        rows = [
            {name: value for name, value in _with_positions(row).items() if name not in left_out}
            for group in groups
            for row in group
        ]
        shape = (len(groups), self.num_variants + 1)
        collated = dict(self.data_collator(rows))
        if POSITIONS[0] in collated and self.tokenizer.padding_side == "left":
            collated.update(_moved_by_padding(rows, collated))
        batch = {name: tensor.view(*shape, *tensor.shape[1:]) for name, tensor in collated.items()}
        if ALIGNMENT in groups[0][0]:
            batch[ALIGNMENT] = self._alignment(groups, batch["input_ids"].shape[-1])
        if LABELS in batch and (ALIGNMENT not in batch or POSITIONS[0] in batch):
            batch[LABELS] = batch[LABELS][:, 0].contiguous()
        batch[VARIANT_MASK] = torch.tensor([_are_first([row["input_ids"] for row in group]) for group in groups])
        if self.epochs_per_draw > 1:
            batch[GROUP_KEY] = torch.tensor([_group_key(group) for group in groups])
        return batch

    def _alignment(self, groups: list[list[dict[str, Any]]], length: int) -> torch.Tensor:
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


def plain(value: Any) -> Any:
    """A list for the tuple, tensor or array that a formatted data set gives, so that all rows are of one kind."""
    value = value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
    if isinstance(value, list) and value and (hasattr(value[0], "tolist") or isinstance(value[0], tuple)):
        return [plain(part) for part in value]  # choices of different lengths
    return value


def _check_labels(rows: list[dict[str, Any]]) -> None:
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


def _fingerprint(input_ids: list[int]) -> int:
    """64 bits that identify an example by its content, the same in every process and interpreter."""
    digest = blake2b(np.asarray(input_ids, dtype=np.int64).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _are_first(variants: list[list]) -> list[bool]:
    """Which variants are not among those before them."""
    seen, first = set(), []
    for ids in variants:
        content = tuple(map(tuple, ids)) if ids and isinstance(ids[0], list) else tuple(ids)
        first.append(content not in seen)
        seen.add(content)
    return first


def _group_key(group: list[dict[str, Any]]) -> int:
    """64 bits that identify an example, its label included, with these variants."""
    content = repr((group[0], [row["input_ids"] for row in group]))
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "little", signed=True)


def _with_positions(row: dict[str, Any]) -> dict[str, Any]:
    """The row, its answer where the last one of the spans to keep has gone."""
    if POSITIONS[0] not in row:
        return row
    start, stop = row[SPANS_KEY][-1]
    return {**row, POSITIONS[0]: start, POSITIONS[1]: stop - 1}


def _moved_by_padding(rows: list[dict[str, Any]], collated: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The answers of rows that were padded on the left, moved by the padding."""
    padding = collated["input_ids"].shape[-1] - torch.tensor([len(row["input_ids"]) for row in rows])
    given = {name: torch.tensor([row[name] for row in rows]) for name in POSITIONS}
    return {name: places + padding for name, places in given.items()}


def _choices(example: dict[str, Any]) -> list[dict[str, Any]]:
    """The choices of an example of multiple choice as rows of their own."""
    count = len(example["input_ids"])
    nested = {name: value for name, value in example.items() if isinstance(value, list) and len(value) == count}
    return [{name: value[i] for name, value in nested.items()} for i in range(count)]


def _regrouped(examples: list[dict[str, Any]], choices: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Groups of examples of multiple choice from the groups of their choices."""
    groups, following = [], iter(choices)
    for example in examples:
        own = [next(following) for _ in example["input_ids"]]
        groups.append(
            [{**example, **{name: [row[name] for row in rows] for name in rows[0]}} for rows in zip(*own, strict=True)]
        )
    return groups
