"""The augmenter: tokenised examples in, K variants of each out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .candidates import Candidates
from .edits import Edit, splice
from .randomness import Seed, row_keys
from .sampling import KEEP, draw
from .words import WordFinder, Words


TOKEN_LEVEL_KEYS = ("attention_mask", "token_type_ids", "special_tokens_mask")
SEGMENTS = ("all", "first", "second")


class Augmenter(ABC):
    """
    Makes variants of tokenised examples by replacing words with candidates.

    A subclass proposes the candidates; which words and which candidates a variant gets is drawn here, as a pure function
    of the seed and the example: batch, order, process and interpreter make no difference.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]):
            The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.3):
            Probability in (0, 1] that a word which has candidates is replaced. Every variant has one replacement at least.
        max_length (`int`, *optional*):
            Longest variant in tokens; a replacement that would make a longer one is not made. Defaults to
            `tokenizer.model_max_length`.
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
        self.tokenizer = tokenizer
        self.replace_prob = replace_prob
        self.max_length = min(max_length or tokenizer.model_max_length, 1 << 40)
        self.segments = segments
        self._finder = WordFinder(tokenizer)

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
                A row as a fast tokenizer gives it: `input_ids` of shape `(L,)` and any other keys. Those with a value per
                token (`attention_mask`, `token_type_ids`, `special_tokens_mask`) are cut to the variant, a replacement
                taking the value of the word's first piece; all others are passed on as they are.
            num_variants (`int`): K, at least 1.
            seed (`int`, `tuple[int, ...]`, or a sequence of B of them): Seed of the example, or one per example.

        Returns:
            `list[dict]` of length K, or B such lists: the same whether made one by one or at once. The variants of an
            example differ from each other and from it; where candidates are too few for that, the rest are copies.

        Raises:
            `ValueError`: if K is below 1, `input_ids` are missing or not of the tokenizer's vocabulary, or the number of
                seeds is not that of the examples.
        """
        if isinstance(example, Mapping):
            return self.variants([example], num_variants, [seed])[0]
        examples = example
        rows = self._rows(examples)
        batch = _Batch(rows)
        candidates, choice = self._draw(batch, num_variants, seed)
        variant, word = np.nonzero(choice != KEEP)
        replacement = candidates.replacements(word, choice[variant, word])
        new_starts = candidates.offsets[replacement].astype(np.int64)
        new_lengths = candidates.offsets[replacement + 1] - new_starts

        total = len(batch.ids)
        spliced, sources = splice(
            np.tile(batch.ids, num_variants),
            candidates.words.start[word] + variant * total,
            candidates.words.length[word],
            new_starts,
            new_lengths,
            candidates.pieces,
        )
        lengths = np.tile(batch.lengths, (num_variants, 1))
        np.add.at(lengths, (variant, candidates.words.row[word]), new_lengths - candidates.words.length[word])
        bounds = np.concatenate([[0], np.cumsum(lengths)]).tolist()
        changed = np.zeros(lengths.shape, dtype=bool)
        changed[variant, candidates.words.row[word]] = True
        columns = {"input_ids": spliced.tolist()}
        for name in TOKEN_LEVEL_KEYS:
            if len(examples) and all(name in row for row in examples):
                values = np.concatenate([np.asarray(row[name]) for row in examples])
                if len(values) == total:
                    columns[name] = values[sources % total].tolist() if total else []
        groups: list[list[dict[str, Any]]] = [[] for _ in examples]
        position = 0
        for flags in changed.tolist():
            for original, group, has_changed in zip(examples, groups, flags, strict=True):
                if has_changed:
                    begin, end = bounds[position], bounds[position + 1]
                    group.append({**original, **{name: values[begin:end] for name, values in columns.items()}})
                else:
                    group.append(dict(original))
                position += 1
        return groups

    def edits(self, example: Mapping[str, Any], num_variants: int, seed: Seed) -> list[list[Edit]]:
        """
        The edits that make the K variants of an example: `apply_edits(example["input_ids"], edits[k])` gives the
        `input_ids` of `variants(example, K, seed)[k]`.
        """
        batch = _Batch(self._rows([example]))
        candidates, choice = self._draw(batch, num_variants, [seed])
        return [
            [
                Edit(
                    start := int(candidates.words.start[word]),
                    tuple(batch.ids[start : start + candidates.words.length[word]].tolist()),
                    self._pieces(candidates, word, chosen[word]),
                )
                for word in np.flatnonzero(chosen != KEEP)
            ]
            for chosen in choice
        ]

    def augment_text(
        self, text: str | Sequence[str], num_variants: int, seed: Seed | Sequence[Seed]
    ) -> list[str] | list[list[str]]:
        """
        K variants of a text, or of each of a list of texts with a seed for each. What is not replaced stands untouched,
        spaces and case included, and a replacement is in the case of the word that it replaces.

        Raises:
            `TypeError`: if a text is not a `str`.
        """
        if isinstance(text, str):
            return self.augment_text([text], num_variants, [seed])[0]
        for i, item in enumerate(text):
            if not isinstance(item, str):
                raise TypeError(f"Text {i} is {item!r} of type {type(item).__name__}; expected a str.")
        if not len(text):
            return []
        encoded = self.tokenizer(list(text), return_offsets_mapping=True, return_attention_mask=False, verbose=False)
        batch = _Batch(encoded["input_ids"])
        candidates, choice = self._draw(batch, num_variants, seed, max_length=1 << 40)
        words = candidates.words
        last = words.start + words.length - 1
        spans = [span for row in encoded["offset_mapping"] for span in row]
        texts: list[list[str]] = [[] for _ in text]
        bounds = np.searchsorted(words.row, np.arange(len(text) + 1))
        spellings: dict[int, str] = {}
        for chosen in choice:
            for i, original in enumerate(text):
                parts, end = [], 0
                for word in bounds[i] + np.flatnonzero(chosen[bounds[i] : bounds[i + 1]] != KEEP):
                    replacement = int(candidates.replacements(word, chosen[word]))
                    if replacement not in spellings:
                        pieces = self._pieces(candidates, word, chosen[word])
                        spellings[replacement] = self.tokenizer.decode(pieces).strip()
                    begin, stop = spans[words.start[word]][0], spans[last[word]][1]
                    begin += len(original[begin:stop]) - len(original[begin:stop].lstrip())
                    parts += [original[end:begin], _in_case_of(original[begin:stop], spellings[replacement])]
                    end = stop
                texts[i].append("".join([*parts, original[end:]]))
        return texts

    def _draw(
        self, batch: "_Batch", num_variants: int, seeds: Seed | Sequence[Seed], max_length: int | None = None
    ) -> tuple[Candidates, np.ndarray]:
        """The candidates of a batch, and what each of the K variants takes of them, `(K, W)`."""
        if num_variants < 1:
            raise ValueError(f"num_variants is {num_variants}; expected at least 1.")
        if isinstance(seeds, int | tuple) or len(seeds) != len(batch.lengths):
            raise ValueError(
                f"Received {len(batch.lengths)} examples and the seeds {seeds!r:.100}; expected one seed per example."
            )
        words = self._finder.words(batch.ids, batch.starts, batch.lengths)
        if self.segments != "all":
            segment = self._finder.segments(batch.ids, batch.starts, batch.lengths)[words.start]
            words = words[segment == SEGMENTS.index(self.segments) - 1]
        max_length = self.max_length if max_length is None else max_length
        # A row of the full length was likely cut, and its last word with it.
        full = batch.lengths[words.row] >= max_length
        if full.any():
            words = words[~(full & words.last)]
        candidates = self._candidates(batch.ids, words)
        room = np.maximum(max_length - batch.lengths, 0)
        return candidates, draw(candidates, room, row_keys(seeds), num_variants, self.replace_prob)

    @staticmethod
    def _rows(examples: Sequence[Mapping[str, Any]]) -> list[Any]:
        for i, example in enumerate(examples):
            if not isinstance(example, Mapping) or "input_ids" not in example:
                keys = sorted(example) if isinstance(example, Mapping) else type(example).__name__
                raise ValueError(
                    f"Example {i} has {keys}; expected a dict with input_ids, as tokenizer(text) gives it. "
                    "For plain text there is augment_text."
                )
        return [example["input_ids"] for example in examples]

    @staticmethod
    def _pieces(candidates: Candidates, word: int, choice: int) -> tuple[int, ...]:
        replacement = candidates.replacements(word, choice)
        return tuple(candidates.pieces[candidates.offsets[replacement] : candidates.offsets[replacement + 1]].tolist())


class _Batch:
    """Rows of token ids, one after the other: `ids` `(T,)`, `starts` and `lengths` `(B,)`."""

    def __init__(self, rows: Sequence[Sequence[int]]):
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self.starts = np.cumsum(self.lengths) - self.lengths
        self.ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(self.lengths.sum()))


def _in_case_of(word: str, replacement: str) -> str:
    """The replacement in capitals, or with a first capital, where the word is so written."""
    if word.isupper() and len(word) > 1:
        return replacement.upper()
    return replacement[:1].upper() + replacement[1:] if word[:1].isupper() else replacement
