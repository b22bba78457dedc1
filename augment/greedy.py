"""Greedy search: replacements taken position by position, those that the classifier finds hardest."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .base import Augmenter
from .configurable import check_count
from .core.batch import SPANS_KEY, TOKEN_LEVEL_KEYS, Batch, Swaps
from .core.candidates import Candidates
from .core.randomness import GOLDEN, Seed, mix, row_keys, unit
from .core.variant_table import SharedTable, Variant, VariantTable
from .substitution import Substitution


OBJECTIVES = ("loss", "divergence")
STRATEGIES = ("beam", "orders")

Score = Callable[[list[dict[str, Any]], np.ndarray], np.ndarray]


class GreedySearch(Augmenter):
    """
    Replaces, position by position, the word by the candidate that raises the classifier's loss most.

    The search asks the classifier, so it comes before the variants: [`search`] finds them, [`keep`] has them looked up
    by [`variants`]. [`~hf_mmel.MMELTrainer`] does both at the beginning of every epoch, see
    [`~hf_mmel.GreedySearchCallback`]; [`~hf_mmel.search_variants`] does without a trainer. Copies in worker processes
    see each new table. An example that is in the table has the variants of the table, whatever the seed, and draws
    from `candidates` only for what the table lacks of K variants; any other has draws alone. The table is not part
    of a saved configuration, and a `GreedySearch` within another augmenter is not searched by the trainer.

    An example of K variants costs at most K * `num_positions` * `max_candidates` forward passes in a search (the first
    position of `"beam"` only `max_candidates`) and one of the original.

    Args:
        candidates ([`Substitution`]):
            What may become what: its words, candidates, constraints and, where it has any, their probabilities.
        objective (`str`, *optional*, defaults to `"loss"`):
            What to raise: the `"loss"` under the label, or the `"divergence"` of the prediction from that on the
            original.
        num_positions (`int`, *optional*, defaults to 3):
            Words at which replacements are tried, chosen and ordered at random. Most that a searched variant replaces.
        strategy (`str`, *optional*, defaults to `"beam"`):
            `"beam"` goes over the positions once, with the K best variants so far. `"orders"` goes over them K times
            with the best one, each time over other positions in another order; where two end at the same variant,
            as in texts of few words, a draw makes up for the second.
        max_candidates (`int`, *optional*, defaults to 8):
            Candidates tried at a position. Of more, as many are drawn with their probabilities.

    Raises:
        `TypeError`: if `candidates` is no substitution.
        `ValueError`: if another argument is not one of the above.

    Example:

    ```python
    >>> augmenter = GreedySearch(WordNetSynonyms(tokenizer), num_positions=2)
    >>> search_variants(model, augmenter, examples, num_variants=4)
    >>> hard_variants = augmenter.variants(examples, 4, seeds)
    ```

    Source: Yi et al., ICLR 2021, arXiv 2103.08933, algorithm 2.
    """

    def __init__(
        self,
        candidates: Substitution,
        *,
        objective: str = "loss",
        num_positions: int = 3,
        strategy: str = "beam",
        max_candidates: int = 8,
    ):
        if not isinstance(candidates, Substitution):
            raise TypeError(
                f"candidates is a {type(candidates).__name__}; expected a Substitution, such as "
                "WordNetSynonyms(tokenizer), which says what each word may become."
            )
        if objective not in OBJECTIVES:
            raise ValueError(f"objective is {objective!r}; expected one of {', '.join(map(repr, OBJECTIVES))}.")
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy is {strategy!r}; expected one of {', '.join(map(repr, STRATEGIES))}.")
        for name, value in (("num_positions", num_positions), ("max_candidates", max_candidates)):
            check_count(name, value)
        super().__init__(candidates.tokenizer)
        self.candidates = candidates
        self.objective = objective
        self.num_positions = num_positions
        self.strategy = strategy
        self.max_candidates = max_candidates
        self._shared = SharedTable()

    def search(
        self, examples: Sequence[Mapping[str, Any]], score: Score, num_variants: int, seeds: Sequence[Seed]
    ) -> VariantTable:
        """
        Searches K variants of each of B examples.

        A replacement is taken if it raises the objective; where none does, the best single ones are the variants. The
        variants of an example differ from each other and from it, and there are fewer than K where the positions tried
        have no more.

        Args:
            examples (sequence of B `Mapping`): As for [`variants`].
            score (`Callable`):
                The objective of each of N rows, `(N,)`: `score(rows, of)` gets the rows as dicts with the columns of
                the examples, and `of` `(N,)`, the example that each is a variant of. It is called once per position
                with the rows of all examples, and before that with the originals. NaN counts as the least.
            num_variants (`int`): K, at least 1.
            seeds (sequence of B seeds): Say which positions and candidates are tried.

        Returns:
            `VariantTable`: for [`keep`], alone or joined with those of other examples.

        Raises:
            `ValueError`: if K is below 1, or the number of seeds or of scores is wrong.
        """
        if num_variants < 1 or len(seeds) != len(examples):
            raise ValueError(
                f"Received num_variants {num_variants} and {len(seeds)} seeds for {len(examples)} examples; expected "
                "at least 1 variant, and one seed per example."
            )
        batch = Batch.of(examples)
        walks = self._walks(batch, num_variants, row_keys(seeds))
        scores = _Scores(examples, batch, score)
        scores.add([(walk.example, ()) for walk in walks])
        for step in range(self.num_positions):
            tried = [walk.children(step, scores) for walk in walks]
            scores.add([(walk.example, child) for walk, row in zip(walks, tried, strict=True) for child in row])
            for walk, children in zip(walks, tried, strict=True):
                walk.best = walk.ranked([*walk.best, *children], scores)[: walk.width]

        groups: list[list[Variant]] = [[] for _ in batch.rows]
        for walk in walks:
            different = dict.fromkeys([*groups[walk.example], *walk.best])
            groups[walk.example] = walk.ranked(different, scores)
        return VariantTable.of(batch, groups)

    def keep(self, table: VariantTable) -> None:
        """
        Has the variants of a search looked up from now on, instead of those of the search before. So do the copies of
        the augmenter in other processes, forked at any time or pickled after the first call, while this one is there.
        """
        self._shared.write(table)

    def _walks(self, batch: Batch, num_variants: int, keys: np.ndarray) -> list["_Walk"]:
        """One walk over the positions of each row that has any, or K of them."""
        source = self.candidates
        candidates = source._candidates(batch, source._words(batch, True))
        room = np.maximum(source._longest(True) - batch.lengths, 0).tolist()
        limits = source._limits(candidates, len(batch))
        num_words = np.bincount(candidates.words.row, minlength=len(batch))
        first_word = num_words.cumsum() - num_words
        num_walks, width = (1, num_variants) if self.strategy == "beam" else (num_variants, 1)
        strides = np.arange(num_walks, dtype=np.uint64) * GOLDEN
        walks = []
        for i in num_words.nonzero()[0].tolist():
            most = self.num_positions if limits is None else min(self.num_positions, int(limits[i]))
            streams = mix(mix(keys[i] ^ np.arange(num_words[i], dtype=np.uint64)))  # one per word of the row
            options: dict[int, list] = {}
            for stride in strides:
                order = mix(streams + stride).argsort()[:most].tolist()
                for word in order:
                    if word not in options:
                        options[word] = self._options(batch, candidates, int(first_word[i]) + word, streams[word])
                walks.append(_Walk(i, [options[word] for word in order], width, room[i]))
        return walks

    def _options(self, batch: Batch, candidates: Candidates, word: int, key: np.uint64) -> list:
        """The replacements to try for a word, as swaps."""
        choice = np.arange(candidates.count[word])
        if len(choice) > self.max_candidates:
            # A draw without replacement: the least of exponential variables with the probabilities as rates.
            rate = np.maximum(candidates.probability(np.full(len(choice), word), choice), 1e-100)
            time = -np.log1p(-unit(mix(key ^ ~choice.astype(np.uint64)))) / rate
            choice = np.sort(time.argsort(kind="stable")[: self.max_candidates])
        words = candidates.words
        start = int(words.start[word] - batch.starts[words.row[word]])
        stop = start + int(words.length[word])
        replacements = candidates.replacements(np.full(len(choice), word), choice)
        bounds = zip(candidates.offsets[replacements], candidates.offsets[replacements + 1], strict=True)
        return [(start, stop, tuple(candidates.pieces[begin:end].tolist())) for begin, end in bounds]

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        table = self._shared.read()
        if table is None:
            return self.candidates._swaps(batch, num_variants, keys, fit)
        groups = [variants[:num_variants] for variants in table.lookup(batch)]
        short = [i for i, group in enumerate(groups) if len(group) < num_variants]
        drawn = self.candidates._swaps(batch.take(short), num_variants, keys[short], fit)
        for place, i in enumerate(short):
            found = [
                tuple((start, stop, tuple(new)) for start, stop, new in drawn.of_variant(number))
                for number in range(place, len(drawn), len(short))
            ]
            new = [variant for variant in found if variant not in groups[i]]
            groups[i] = [*groups[i], *new][:num_variants]
        return Swaps.of_variants(group[k] for k in range(num_variants) for group in groups)


@dataclass
class _Walk:
    """
    A search over positions of one example.

    Attributes:
        example (`int`): Place of the example in its batch.
        positions (`list[list]`): At each position, the swaps to try.
        width (`int`): Number of variants to go on with, the original being one of them where it is among the best.
        room (`int`): Tokens by which a variant may be longer than the example.
        best (`list[Variant]`): The `width` best variants so far, the original aside.
    """

    example: int
    positions: list[list[tuple[int, int, tuple[int, ...]]]]
    width: int
    room: int
    best: list[Variant] = field(default_factory=list)

    def children(self, step: int, scores: "_Scores") -> list[Variant]:
        """What the best variants so far may become at a position."""
        swaps = self.positions[step] if step < len(self.positions) else []
        parents = self.ranked([(), *self.best], scores)[: self.width]
        children = [tuple(sorted((*parent, swap))) for parent in parents for swap in swaps]
        return [child for child in children if _growth(child) <= self.room]

    def ranked(self, variants: Sequence[Variant] | Mapping[Variant, Any], scores: "_Scores") -> list[Variant]:
        """Variants of the example, the best one first; of equals the first stays so."""
        return sorted(variants, key=lambda variant: -scores[self.example, variant])


class _Scores(dict):
    """Objective of each variant of each example that was scored: `(example, variant)` to `float`."""

    def __init__(self, examples: Sequence[Mapping[str, Any]], batch: Batch, score: Score):
        super().__init__()
        self._examples, self._batch, self._score = examples, batch, score

    def add(self, variants: Sequence[tuple[int, Variant]]) -> None:
        """Scores those that were not scored before, all at once."""
        new = [key for key in dict.fromkeys(variants) if key not in self]
        if not new:
            return
        of = np.array([example for example, _ in new])
        scores = np.asarray(self._score(self._rows(new), of), dtype=np.float64)
        if scores.shape != of.shape:
            raise ValueError(f"score gave an array of shape {scores.shape} for {len(of)} rows; expected ({len(of)},).")
        self.update(zip(new, np.where(np.isnan(scores), -np.inf, scores).tolist(), strict=True))

    def _rows(self, variants: Sequence[tuple[int, Variant]]) -> list[dict[str, Any]]:
        rows = []
        for example, variant in variants:
            ids = self._batch.rows[example]
            row = {name: value for name, value in self._examples[example].items() if name != SPANS_KEY}
            for name in TOKEN_LEVEL_KEYS:
                if name in row and len(row[name]) == len(ids):
                    values = list(row[name])
                    row[name] = _made(values, [(a, b, [values[a]] * len(new)) for a, b, new in variant])
            rows.append({**row, "input_ids": _made(ids, variant)})
        return rows


def _made(values: Sequence[Any], variant: Sequence[tuple[int, int, Sequence[Any]]]) -> list[Any]:
    """A list with its swaps made."""
    made = list(values)
    for start, stop, new in reversed(variant):
        made[start:stop] = new
    return made


def _growth(variant: Variant) -> int:
    return sum(len(new) - (stop - start) for start, stop, new in variant)
