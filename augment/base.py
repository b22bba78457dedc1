"""The augmenter: tokenised examples in, K variants of each out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from numbers import Integral
from typing import Any, overload

import numpy as np

from .configurable import Configurable
from .core.batch import ALIGNMENT_KEY, SPANS_KEY, TOKEN_COLUMNS_KEY, Batch, Span, TokenColumns, spans_of
from .core.edits import Edits, moved_spans
from .core.given import as_list, check_tokenizer, seeds_of_rows
from .core.lazy import Lazy
from .core.randomness import Seed, row_keys
from .core.text import Rewriter, token_spans, with_marks
from .core.words import special_ids
from .edits import Edit


class Augmenter(Lazy, Configurable, ABC):
    """
    Makes variants of tokenised examples by edits of their words.

    The edits of a variant are a pure function of the seed and the example, whatever the batch, order or process.

    An example may have a column `keep_spans` of pairs `(start, stop)` of positions in its `input_ids`. The tokens from
    `start` to `stop - 1` stay as they are. In a variant, the pairs are moved to where the tokens went.

    If `labels` are labels of tokens, one for each of `input_ids`, the label of a replaced word goes to the first piece
    of its replacement, and the other pieces get -100. A column `alignment`, the numbers 0 to L - 1 of the tokens, is
    treated the same way: in a variant it says which token each token stands for.

    Other columns with as many entries as `input_ids` follow the tokens, too: a replacement takes the entry of the
    word's first piece, and `position_ids` that count up are counted anew. Where another column may happen to be as
    long, a column `token_columns` names those that are of tokens.

    A subclass gives `draw_edits`. See `augment.custom` for its building blocks.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.

    Attributes:
        columns (`tuple[str, ...]`): Columns that the augmenter reads besides the tokenizer's. Models do not know them.
        moves_words, inserts_words, deletes_words (`bool`): Whether the augmenter moves, inserts or deletes words.
        keeps_copies (`bool`):
            Whether the copies of an example without any other variant are meant to be trained on, see `SameText`.
    """

    columns = (SPANS_KEY, ALIGNMENT_KEY, TOKEN_COLUMNS_KEY)
    moves_words = inserts_words = deletes_words = keeps_copies = False

    def __init__(self, tokenizer):
        check_tokenizer(tokenizer)
        self.tokenizer = tokenizer

    @abstractmethod
    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        """
        Draws the edits of K variants of each of B rows.

        The variants of a row differ from each other and from the row as far as possible, and the rest are copies of
        the row, without edits. Tokens for which `batch.kept` is true are not edited. If `batch.bounded` is true, no
        variant is longer than `max_length`.

        Args:
            batch (`Batch`): The B rows.
            num_variants (`int`): K, at least 1.
            keys (`np.ndarray` of shape `(B,)`, `uint64`):
                The random key of each row. The edits of a row must be a pure function of the row and its key.

        Returns:
            `Edits`: of K variants of each row. `different_variants` makes them from edits of one variant per row.
        """

    @overload
    def variants(self, example: Mapping[str, Any], num_variants: int = 4, seed: Seed = 42) -> list[dict[str, Any]]: ...

    @overload
    def variants(
        self, example: Iterable[Mapping[str, Any]], num_variants: int = 4, seed: int | Sequence[Seed] = 42
    ) -> list[list[dict[str, Any]]]: ...

    def variants(self, example, num_variants=4, seed=42):
        """
        K variants of an example, or of each of a list of examples.

        Args:
            example (`Mapping`, or a list, array, pandas Series or `datasets.Dataset` of them):
                A row as a fast tokenizer gives it: `input_ids` of shape `(L,)` and any other columns. Those with L
                entries (`attention_mask`, `token_type_ids`, `bbox`) follow the tokens, see above. The others are
                passed on unchanged.
            num_variants (`int`, *optional*, defaults to 4): K, at least 1.
            seed (`int`, `tuple[int, ...]`, or a sequence of B of them, *optional*, defaults to 42):
                Seed of the example, or one per example. With one int for B examples, example i has the seed
                `(seed, i)`.

        Returns:
            `list[dict]` of length K, or B such lists. Each example has the same variants alone and in a list. They
            differ from each other and from the example. If a bounded number of draws finds fewer than K, the rest are
            copies, which share their lists with the example.

        Raises:
            `TypeError`: if K, a seed or an example has the wrong type.
            `ValueError`: if K is below 1, `input_ids` are missing or not in the tokenizer's vocabulary, `keep_spans`
                are not within them, the number of seeds differs from the number of examples, or the augmenter moves
                words away from their labels or from what other columns say of them.
        """
        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        example = as_list(example)
        batch = Batch.of(example)
        return self._edited(example, batch, self._checked_edits(batch, num_variants, seed))

    def _edited(self, examples: Sequence[Mapping[str, Any]], batch: Batch, edits: Edits) -> list[list[dict[str, Any]]]:
        """The variants of each example, whose rows are in the batch."""
        all_ids, lengths, source = edits.variant_arrays(batch)
        ends = lengths.cumsum()
        ids, changed, begins, ends = (array.tolist() for array in (all_ids, edits.counts > 0, ends - lengths, ends))
        groups: list[list[dict[str, Any]]] = []
        for i, row in enumerate(batch.rows):
            original = {**examples[i], "input_ids": row}
            columns = TokenColumns(original, row, self._special)
            spans = spans_of(original, len(row)) if SPANS_KEY in original else None
            if columns.names and does(self, "moves_words"):
                left = ["labels" if name == ALIGNMENT_KEY else name for name in columns.names]
                raise ValueError(
                    f"A {type(self).__name__} moves words, whose {', '.join(dict.fromkeys(left))} would stay behind, "
                    "and so would the positions of an answer's tokens. Use augmenters that replace words, such as "
                    f"WordNetSynonyms. It is {self!r:.200}."
                )
            group: list[dict[str, Any]] = []
            for number in range(i, len(edits), len(batch)):
                variant = original.copy()
                if changed[number]:
                    begin, end = begins[number], ends[number]
                    variant["input_ids"] = ids[begin:end]
                    if columns.vary:
                        columns.fit(variant, end - begin, (source[begin:end] - batch.starts[i]).tolist())
                    elif end - begin != len(row):
                        columns.fit(variant, end - begin, ())
                if spans is not None:
                    variant[SPANS_KEY] = moved_spans(spans, edits.of_variant(number, batch))
                group.append(variant)
            groups.append(group)
        return groups

    def variant_arrays(
        self, ids: np.ndarray, lengths: np.ndarray, num_variants: int, seeds: Sequence[Seed]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        The variants of `variants` as flat arrays, for collators and files that hold rows one after the other. This
        takes a fraction of the time, since no Python object is made for a row.

        Args:
            ids (`np.ndarray` of shape `(T,)`): The `input_ids` of B examples, one after the other.
            lengths (`np.ndarray` of shape `(B,)`): Their lengths, with sum T.
            num_variants (`int`): K, at least 1.
            seeds (`Sequence` of length B): Seed of each example.

        Returns:
            The ids of all K * B variants, `(T',)`, beginning with the first variant of every example; their lengths
            `(K, B)`; and the source of each id, `(T',)`: the place in the given array of the same token, or of the
            first piece of the word that the id replaces. `column[source]` fits a column of values per token.

        Raises:
            `ValueError`: as in `variants`, or if the lengths do not add up to the number of ids.
        """
        ids, lengths = np.asarray(ids), np.asarray(lengths)
        if not all(array.dtype.kind in "iu" or not array.size for array in (ids, lengths)):
            raise ValueError(f"ids and lengths are of {ids.dtype} and {lengths.dtype}; expected whole numbers.")
        ids, lengths = ids.astype(np.int64), lengths.astype(np.int64)
        if ids.ndim != 1 or lengths.ndim != 1 or lengths.sum() != len(ids) or (lengths < 0).any():
            raise ValueError(
                f"Received ids of shape {ids.shape} and lengths of shape {lengths.shape} with sum {lengths.sum()}; "
                "expected flat ids and the length of each row, with the number of ids as their sum."
            )
        batch = Batch.of_arrays(ids, lengths)
        ids, lengths, source = self._checked_edits(batch, num_variants, seeds).variant_arrays(batch)
        return ids, lengths.reshape(num_variants, len(batch)), source

    def edits(self, example: Mapping[str, Any], num_variants: int = 4, seed: Seed = 42) -> list[list[Edit]]:
        """
        The edits that make the K variants of an example: `apply_edits(example["input_ids"], edits[k])` gives the
        `input_ids` of `variants(example, K, seed)[k]`.
        """
        batch = Batch.of([example])
        edits = self._checked_edits(batch, num_variants, [seed])
        return [edits.of_variant(k, batch) for k in range(num_variants)]

    @overload
    def augment_text(
        self, text: str, num_variants: int = 4, seed: Seed = 42, keep_spans: Sequence[Span] | None = None
    ) -> list[str]: ...

    @overload
    def augment_text(
        self,
        text: list[str] | tuple[str, ...],
        num_variants: int = 4,
        seed: int | Sequence[Seed] = 42,
        keep_spans: Sequence[Sequence[Span]] | None = None,
    ) -> list[list[str]]: ...

    def augment_text(self, text, num_variants=4, seed=42, keep_spans=None):
        """
        K variants of a text, or of each of a list of texts. All other text stays as it is, including spaces and case,
        and a replacement has the case of the word that it replaces. Texts are never truncated.

        Args:
            text (`str`, or a list, array or pandas Series of them): The text.
            num_variants: As in `variants`.
            seed: As in `variants`.
            keep_spans (*optional*): Pairs `(start, stop)` of positions whose words stay, or such a list for each text.

        Raises:
            `TypeError`: if a text is not a `str`.
            `ValueError`: if the number of lists in `keep_spans` differs from the number of texts.
        """
        if isinstance(text, str):
            return self.augment_text([text], num_variants, [seed], None if keep_spans is None else [keep_spans])[0]
        texts = as_list(text)
        texts = texts if isinstance(texts, list) else [texts]
        for i, item in enumerate(texts):
            if not isinstance(item, str):
                raise TypeError(f"Text {i} is {item!r:.100} of type {type(item).__name__}; expected a str.")
        if keep_spans is not None and len(keep_spans) != len(texts):
            raise ValueError(
                f"keep_spans has {len(keep_spans)} lists of pairs for {len(texts)} texts; expected one list per text."
            )
        if not texts:
            return []
        texts = [str(item) for item in texts]  # NumPy has its own
        encoded = self.tokenizer(texts, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
        offsets = [with_marks(*row) for row in zip(texts, encoded["offset_mapping"], strict=True)]
        spans = None
        if keep_spans is not None:
            spans = [token_spans(kept, row) for kept, row in zip(keep_spans, offsets, strict=True)]
        batch = Batch(encoded["input_ids"], spans, bounded=False)
        edits = self._checked_edits(batch, num_variants, seed)
        return [
            [
                self._rewrite(original, offsets[i], edits.of_variant(number, batch))
                for number in range(i, len(edits), len(texts))
            ]
            for i, original in enumerate(texts)
        ]

    def _checked_edits(self, batch: Batch, num_variants: int, seed: int | Sequence[Seed]) -> Edits:
        if not isinstance(num_variants, Integral):
            raise TypeError(f"num_variants is {num_variants!r}; expected an int.")
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1.")
        seeds = seeds_of_rows(seed, len(batch))
        if isinstance(seeds, str | tuple) or not hasattr(seeds, "__len__") or len(seeds) != len(batch):
            raise ValueError(
                f"Received {len(batch)} examples and the seeds {seeds!r:.100}; expected an int, or a list of "
                "one seed per example."
            )
        return self.draw_edits(batch, num_variants, row_keys(seeds))

    @property
    def parts(self) -> list["Augmenter"]:
        """The augmenters among the arguments of this one."""
        values = (value if isinstance(value, list | tuple) else [value] for value in self._arguments().values())
        return [part for part in chain.from_iterable(values) if isinstance(part, Augmenter)]

    def precompute(self, dataset) -> "Augmenter":
        """
        Computes, once for all rows of a dataset, whatever their variants always need, such as the predictions of a
        masked language model, see `MaskedLMSubstitution`. Most augmenters have nothing to compute. Returns the
        augmenter itself.

        Args:
            dataset (`datasets.Dataset` or a sequence of examples): Rows with `input_ids`.
        """
        for part in self.parts:
            part.precompute(dataset)
        return self

    @property
    def precomputes(self) -> bool:
        """Whether `precompute` does anything."""
        return any(part.precomputes for part in self.parts)

    @cached_property
    def _rewrite(self) -> Rewriter:
        return Rewriter(self.tokenizer)

    @cached_property
    def _special(self) -> set[int]:
        """Ids of special tokens, which have no label."""
        return special_ids(self.tokenizer)


def does(augmenter: Augmenter, effect: str) -> bool:
    """Whether an augmenter or one of its parts has this attribute, such as `"moves_words"`, set."""
    return getattr(augmenter, effect) or any(does(part, effect) for part in augmenter.parts)
