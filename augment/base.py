"""The augmenter: tokenised examples in, K variants of each out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from numbers import Integral
from typing import Any

import numpy as np

from .configurable import Configurable
from .core.batch import (
    ALIGNMENT_KEY,
    IGNORE_INDEX,
    SPANS_KEY,
    Batch,
    Span,
    Swaps,
    first_piece_columns,
    token_level_columns,
)
from .core.lexicon import has_case
from .core.randomness import Seed, row_keys
from .core.text import in_case_of, rewritten, token_spans
from .core.words import special_ids
from .edits import Edit


class Augmenter(Configurable, ABC):
    """
    Makes variants of tokenised examples by edits of their words.

    Which edits a variant gets is a pure function of the seed and the example: batch, order, process and interpreter
    make no difference.

    An example may have a column `keep_spans`, pairs `(start, stop)` of places in its `input_ids`: the tokens from
    `start` to `stop - 1` stay as they are, and variants have the pairs moved to where the tokens went.

    Where `labels` are those of tokens, one for each of `input_ids`, the label of a replaced word goes to the first
    piece of its replacement, and the other pieces get -100. So with a column `alignment`, the numbers of the tokens
    from 0 to L - 1, which in a variant tell for each token the one that it stands for.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.

    Attributes:
        columns (`tuple[str, ...]`): Columns that are read besides those of the tokenizer; models do not know them.
        moves_words, inserts_words, deletes_words (`bool`): Whether words change places, come in, or go.
    """

    columns = (SPANS_KEY, ALIGNMENT_KEY)
    moves_words = inserts_words = deletes_words = False

    _caches: tuple[str, ...] = ("_special",)  # attributes that use fills, each made anew where it is absent

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    @abstractmethod
    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        """
        The swaps that make K variants of each of B rows, a row's variants as different as they can be. They depend on
        the row and its key alone, `keys` being of shape `(B,)` and `uint64`. Where `fit` is true no variant is longer
        than `max_length`.
        """

    def variants(
        self, example: Mapping[str, Any] | Sequence[Mapping[str, Any]], num_variants: int, seed: Seed | Sequence[Seed]
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """
        K variants of an example, or of each of a list of examples.

        Args:
            example (`Mapping` or a sequence of them):
                A row as a fast tokenizer gives it: `input_ids` of shape `(L,)` and any other keys. Those with a value
                per token (`attention_mask`, `token_type_ids`, `special_tokens_mask`) are fitted to the variant, a
                replacement taking the value of the word's first piece, and so are labels of tokens, see above; all
                others are passed on as they are.
            num_variants (`int`): K, at least 1.
            seed (`int`, `tuple[int, ...]`, or a sequence of B of them): Seed of the example, or one per example.

        Returns:
            `list[dict]` of length K, or B such lists: the same whether made one by one or at once. The variants of an
            example differ from each other and from it; where a bounded number of draws finds no more, the rest are
            copies, which share their lists with the example.

        Raises:
            `TypeError`: if K, a seed or an example is not of the type above.
            `ValueError`: if K is below 1, `input_ids` are missing or not of the tokenizer's vocabulary, `keep_spans`
                are not within them, the number of seeds is not that of the examples, or the augmenter moves words
                away from their labels.
        """
        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        batch = Batch.of(example)
        swaps = self._checked_swaps(batch, num_variants, seed)
        rows, lengths, source = swaps.apply(batch)
        ends = lengths.cumsum()
        rows, counts, begins, ends = (array.tolist() for array in (rows, swaps.counts, ends - lengths, ends))
        groups: list[list[dict[str, Any]]] = []
        for i, original in enumerate(example):
            row = batch.rows[i]
            original = {**original, "input_ids": row}
            constant, varying = token_level_columns(original, len(row))
            of_first_pieces = first_piece_columns(original, row, self._special)
            if of_first_pieces and self._does("moves_words"):
                raise ValueError(
                    f"A {type(self).__name__} moves words, whose labels would stay behind, and so would the places of "
                    f"an answer's tokens; for both take augmenters that replace words, such as WordNetSynonyms. It is "
                    f"{self!r:.200}."
                )
            group, own = [], slice(i, None, len(batch))  # the numbers of its variants
            for count, begin, end in zip(counts[own], begins[own], ends[own], strict=True):
                variant = original.copy()
                group.append(variant)
                if not count:
                    continue
                variant["input_ids"] = rows[begin:end]
                if end - begin != len(row):
                    for name, value in constant:
                        variant[name] = value * (end - begin)
                if not varying and not of_first_pieces:
                    continue
                places = (source[begin:end] - batch.starts[i]).tolist()
                for name, values in varying:
                    variant[name] = [values[place] for place in places]
                for name, values in of_first_pieces:
                    variant[name] = [
                        values[place] if place != before else IGNORE_INDEX
                        for before, place in zip([None, *places], places, strict=False)
                    ]
            if SPANS_KEY in original:
                for k, variant in enumerate(group):
                    variant[SPANS_KEY] = swaps.shift(batch.spans[i], k * len(batch) + i)
            groups.append(group)
        return groups

    def variant_arrays(
        self, ids: np.ndarray, lengths: np.ndarray, num_variants: int, seeds: Sequence[Seed]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        The variants of [`variants`] as flat arrays, for collators and files that hold rows one after the other: no
        Python object is made for a row, which takes a fraction of the time.

        Args:
            ids (`np.ndarray` of shape `(T,)`): The `input_ids` of B examples, one after the other.
            lengths (`np.ndarray` of shape `(B,)`): Their lengths, with sum T.
            num_variants (`int`): K, at least 1.
            seeds (`Sequence` of length B): Seed of each example.

        Returns:
            The ids of all K * B variants, `(T',)`, first the first variant of every example; their lengths `(K, B)`;
            and the source of each of the ids, `(T',)`: the place in the array received of the token that it is, or of
            the first piece of the word that it replaces. A column of values per token is fitted to
            the variants by `column[source]`.

        Raises:
            `ValueError`: as in [`variants`], or if the lengths are not those of rows that fill `ids`.
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
        ids, lengths, source = self._checked_swaps(batch, num_variants, seeds).apply(batch)
        return ids, lengths.reshape(num_variants, len(batch)), source

    def precompute(self, dataset) -> "Augmenter":
        """
        Does once, for all rows of a data set, what their variants need and is the same every time: the passes of a
        masked language model, see [`MaskedLMSubstitution`]. Most augmenters have nothing of the kind.

        Args:
            dataset ([`~datasets.Dataset`] or a sequence of examples): Rows with `input_ids`.

        Returns:
            The augmenter itself.
        """
        for part in self._parts():
            part.precompute(dataset)
        return self

    @property
    def precomputes(self) -> bool:
        """Whether [`precompute`] does anything."""
        return any(part.precomputes for part in self._parts())

    @cached_property
    def _special(self) -> set[int]:
        """Ids of special tokens, which have no label."""
        return special_ids(self.tokenizer)

    def _does(self, what: str) -> bool:
        """Whether this augmenter, or one that it is made of, does what an attribute of its class tells."""
        return getattr(self, what) or any(part._does(what) for part in Augmenter._parts(self))

    def _parts(self) -> list["Augmenter"]:
        """The augmenters that this one is made of and that see the examples."""
        values = self._arguments().values()
        return [
            part
            for value in values
            for part in (value if isinstance(value, list | tuple) else [value])
            if isinstance(part, Augmenter)
        ]

    def edits(self, example: Mapping[str, Any], num_variants: int, seed: Seed) -> list[list[Edit]]:
        """
        The edits that make the K variants of an example: `apply_edits(example["input_ids"], edits[k])` gives the
        `input_ids` of `variants(example, K, seed)[k]`.
        """
        batch = Batch.of([example])
        row = batch.rows[0]
        swaps = self._checked_swaps(batch, num_variants, [seed])
        return [
            [Edit(start, tuple(row[start:stop]), tuple(new)) for start, stop, new in swaps.of_variant(k)]
            for k in range(num_variants)
        ]

    def augment_text(
        self,
        text: str | Sequence[str],
        num_variants: int,
        seed: Seed | Sequence[Seed],
        keep_spans: Sequence[Span] | Sequence[Sequence[Span]] | None = None,
    ) -> list[str] | list[list[str]]:
        """
        K variants of a text, or of each of a list of texts with a seed for each. What is not replaced stands
        untouched, spaces and case included, and a replacement is in the case of the word that it replaces. Whatever
        its length, no text is cut.

        Args:
            text (`str` or a sequence of them): The text.
            num_variants: As in [`variants`].
            seed: As in [`variants`].
            keep_spans (*optional*): Pairs `(start, stop)` of places in the text whose words stay, or a list of pairs
                for each text.

        Raises:
            `TypeError`: if a text is not a `str`.
            `ValueError`: if the number of lists in `keep_spans` is not that of the texts.
        """
        if isinstance(text, str):
            return self.augment_text([text], num_variants, [seed], None if keep_spans is None else [keep_spans])[0]
        texts = list(text) if isinstance(text, Sequence) else [text]
        for i, item in enumerate(texts):
            if not isinstance(item, str):
                raise TypeError(f"Text {i} is {item!r} of type {type(item).__name__}; expected a str.")
        if keep_spans is not None and len(keep_spans) != len(texts):
            raise ValueError(
                f"keep_spans has {len(keep_spans)} lists of pairs for {len(texts)} texts; expected one list per text."
            )
        if not texts:
            return []
        encoded = self.tokenizer(texts, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
        offsets = encoded["offset_mapping"]
        spans = None
        if keep_spans is not None:
            spans = [token_spans(kept, row) for kept, row in zip(keep_spans, offsets, strict=True)]
        batch = Batch(encoded["input_ids"], spans)
        swaps = self._checked_swaps(batch, num_variants, seed, fit=False)
        spell = cache(lambda pieces: self.tokenizer.decode(pieces).strip())
        recase = (lambda word, new: new) if has_case(self.tokenizer) else in_case_of
        return [
            [
                rewritten(original, offsets[i], batch.rows[i], swaps.of_variant(number), spell, recase)
                for number in range(i, len(swaps), len(texts))
            ]
            for i, original in enumerate(texts)
        ]

    def _checked_swaps(self, batch: Batch, num_variants: int, seeds: Sequence[Seed], fit: bool = True) -> Swaps:
        if not isinstance(num_variants, Integral):
            raise TypeError(f"num_variants is {num_variants!r}; expected an int.")
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1.")
        if isinstance(seeds, str | tuple) or not hasattr(seeds, "__len__") or len(seeds) != len(batch):
            raise ValueError(
                f"Received {len(batch)} examples and the seeds {seeds!r:.100}; expected a list of one seed per "
                "example."
            )
        return self._swaps(batch, num_variants, row_keys(seeds), fit)

    def __getstate__(self) -> dict[str, Any]:
        # Without caches, the hash by which `datasets` knows a `map` does not change with use.
        return {name: value for name, value in vars(self).items() if name not in self._caches}
