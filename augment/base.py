"""The augmenter: tokenised examples in, K variants of each out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cache
from numbers import Integral
from typing import Any

import numpy as np

from .batch import Batch, Swaps, input_ids, token_level_columns
from .candidates import Candidates
from .edits import Edit
from .randomness import Seed, row_keys
from .sampling import draw
from .words import WordFinder, Words


SEGMENTS = ("all", "first", "second")

_NO_LIMIT = 1 << 40  # tokens


class Augmenter(ABC):
    """
    Makes variants of tokenised examples by replacing words with candidates.

    A subclass proposes the candidates; which words and which candidates a variant gets is drawn here, as a pure
    function of the seed and the example: batch, order, process and interpreter make no difference.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]):
            The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.3):
            Probability in (0, 1] that a word which has candidates is replaced, on condition that at least one is.
        max_length (`int`, *optional*):
            Longest variant in tokens; a replacement that would make a longer one is not made. The last word of a row
            of this length, which may have been cut, stays. Defaults to `tokenizer.model_max_length`.
        segments (`str`, *optional*, defaults to `"all"`):
            Which text of a pair may change: `"all"`, `"first"` or `"second"`.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    def __init__(self, tokenizer, replace_prob: float = 0.3, max_length: int | None = None, segments: str = "all"):
        if not 0 < replace_prob <= 1:
            raise ValueError(f"replace_prob is {replace_prob}; expected a probability in (0, 1].")
        if max_length is not None and max_length < 1:
            raise ValueError(f"max_length is {max_length}; expected a number of tokens >= 1.")
        if segments not in SEGMENTS:
            raise ValueError(f"segments is {segments!r}; expected one of {', '.join(map(repr, SEGMENTS))}.")
        self._finder = WordFinder(tokenizer)
        if segments != "all" and self._finder.separator is None:
            raise ValueError(f"segments is {segments!r}, but the tokenizer has no token that separates texts.")
        self.tokenizer = tokenizer
        self.replace_prob = replace_prob
        self.max_length = min(max_length or tokenizer.model_max_length, _NO_LIMIT)
        self.segments = segments

    @abstractmethod
    def _candidates(self, ids: np.ndarray, words: Words) -> Candidates:
        """What may take the place of which of `words`, that lie in `ids` of shape `(T,)`."""

    def variants(
        self, example: Mapping[str, Any] | Sequence[Mapping[str, Any]], num_variants: int, seed: Seed | Sequence[Seed]
    ) -> list[dict[str, Any]] | list[list[dict[str, Any]]]:
        """
        K variants of an example, or of each of a list of examples.

        Args:
            example (`Mapping` or a sequence of them):
                A row as a fast tokenizer gives it: `input_ids` of shape `(L,)` and any other keys. Those with a value
                per token (`attention_mask`, `token_type_ids`, `special_tokens_mask`) are fitted to the variant, a
                replacement taking the value of the word's first piece; all others are passed on as they are.
            num_variants (`int`): K, at least 1.
            seed (`int`, `tuple[int, ...]`, or a sequence of B of them): Seed of the example, or one per example.

        Returns:
            `list[dict]` of length K, or B such lists: the same whether made one by one or at once. The variants of an
            example differ from each other and from it; where candidates are too few for that, the rest are copies.

        Raises:
            `TypeError`: if K, a seed or an example is not of the type above.
            `ValueError`: if K is below 1, `input_ids` are missing or not of the tokenizer's vocabulary, or the number
                of seeds is not that of the examples.
        """
        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        batch = Batch(input_ids(example))
        swaps = self._swaps(batch, num_variants, seed)
        groups: list[list[dict[str, Any]]] = []
        for i, original in enumerate(example):
            row = batch.rows[i]
            constant, varying = token_level_columns(original, len(row))
            group = []
            for begin, end in swaps.bounds[i :: len(batch.rows)]:
                variant = dict(original)
                if begin < end:
                    variant["input_ids"] = ids = swaps.apply(row, begin, end)
                    for name, value in constant:
                        variant[name] = value * len(ids)
                    for name, values in varying:
                        variant[name] = swaps.stretch(values, begin, end)
                group.append(variant)
            groups.append(group)
        return groups

    def edits(self, example: Mapping[str, Any], num_variants: int, seed: Seed) -> list[list[Edit]]:
        """
        The edits that make the K variants of an example: `apply_edits(example["input_ids"], edits[k])` gives the
        `input_ids` of `variants(example, K, seed)[k]`.
        """
        batch = Batch(input_ids([example]))
        row = batch.rows[0]
        swaps = self._swaps(batch, num_variants, [seed])
        return [
            [Edit(start, tuple(row[start:stop]), tuple(new)) for start, stop, new in swaps.between(begin, end)]
            for begin, end in swaps.bounds
        ]

    def augment_text(
        self, text: str | Sequence[str], num_variants: int, seed: Seed | Sequence[Seed]
    ) -> list[str] | list[list[str]]:
        """
        K variants of a text, or of each of a list of texts with a seed for each. What is not replaced stands
        untouched, spaces and case included, and a replacement is in the case of the word that it replaces. Whatever
        its length, no text is cut.

        Raises:
            `TypeError`: if a text is not a `str`.
        """
        if isinstance(text, str):
            return self.augment_text([text], num_variants, [seed])[0]
        texts = list(text) if isinstance(text, Sequence) else [text]
        for i, item in enumerate(texts):
            if not isinstance(item, str):
                raise TypeError(f"Text {i} is {item!r} of type {type(item).__name__}; expected a str.")
        if not texts:
            return []
        encoded = self.tokenizer(texts, return_offsets_mapping=True, return_attention_mask=False, verbose=False)
        batch = Batch(encoded["input_ids"])
        swaps = self._swaps(batch, num_variants, seed, _NO_LIMIT)
        spell = cache(lambda new: self.tokenizer.decode(new).strip())
        groups: list[list[str]] = []
        for i, original in enumerate(texts):
            spans = encoded["offset_mapping"][i]
            group = []
            for bounds in swaps.bounds[i :: len(texts)]:
                parts, position = [], 0
                for start, stop, new in swaps.between(*bounds):
                    begin, end = spans[start][0], spans[stop - 1][1]
                    word = original[begin:end].lstrip()  # some tokenizers take the space for a part of the word
                    parts += [original[position : end - len(word)], _in_case_of(word, spell(tuple(new)))]
                    position = end
                group.append("".join([*parts, original[position:]]))
            groups.append(group)
        return groups

    def _swaps(self, batch: Batch, num_variants: int, seeds: Sequence[Seed], max_length: int | None = None) -> Swaps:
        candidates, choice = self._draw(batch, num_variants, seeds, max_length or self.max_length)
        return Swaps(batch, candidates, choice)

    def _draw(
        self, batch: Batch, num_variants: int, seeds: Sequence[Seed], max_length: int
    ) -> tuple[Candidates, np.ndarray]:
        """The candidates of a batch, and what each of the K variants takes of them, `(K, W)`."""
        if not isinstance(num_variants, Integral):
            raise TypeError(f"num_variants is {num_variants!r}; expected an int.")
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1.")
        if isinstance(seeds, str | tuple) or not hasattr(seeds, "__len__") or len(seeds) != len(batch.rows):
            raise ValueError(
                f"Received {len(batch.rows)} examples and the seeds {seeds!r:.100}; expected a list of one seed per "
                "example."
            )
        words = self._finder.words(batch.ids, batch.starts, batch.lengths)
        if self.segments != "all":
            segment = self._finder.segments(batch.ids, batch.starts, words)
            words = words[segment == SEGMENTS.index(self.segments) - 1]
        full = batch.lengths >= max_length
        if full.any():
            words = words[~(full[words.row] & words.last)]
        candidates = self._candidates(batch.ids, words)
        room = np.maximum(max_length - batch.lengths, 0)
        return candidates, draw(candidates, room, row_keys(seeds), num_variants, self.replace_prob)


def _in_case_of(word: str, replacement: str) -> str:
    """The replacement in capitals, or with a first capital, where the word is so written."""
    if word.isupper() and len(word) > 1:
        return replacement.upper()
    return replacement[:1].upper() + replacement[1:] if word[:1].isupper() else replacement
