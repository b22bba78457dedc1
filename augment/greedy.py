"""Greedy search: position by position, the replacement that the classifier finds hardest."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .base import Augmenter
from .configurable import check_choice, check_count
from .core.batch import SPANS_KEY, Batch, TokenColumns
from .core.candidates import Candidates
from .core.edits import Edits
from .core.given import check_object
from .core.randomness import GOLDEN, Seed, mix, row_keys, unit
from .core.variant_table import SharedTable, Variant, VariantTable
from .edits import Edit
from .substitution import Substitution


OBJECTIVES = ("loss", "divergence")
STRATEGIES = ("beam", "orders")

Score = Callable[[list[dict[str, Any]], np.ndarray], np.ndarray]


class GreedySearch(Augmenter):
    """
    Replaces words, position by position, by the candidate that raises the classifier's loss most.

    The search needs the classifier, so it comes before the variants: `search` finds variants, and after `keep`,
    `variants` looks them up. `hf_mmel.MMELTrainer` does both at the beginning of every epoch, see
    `hf_mmel.GreedySearchCallback`; `hf_mmel.search_variants` does both without a trainer.

    An example in the table has the variants of the table, whatever the seed. If the table has fewer than K, the rest
    are drawn from `candidates`. Any other example has drawn variants only. The table is not part of a saved
    configuration, and the trainer does not search for a `GreedySearch` inside another augmenter.

    For an example of K variants, a search costs one forward pass of the original and at most
    K * `num_positions` * `max_candidates` passes of variants (`"beam"` tries only `max_candidates` at the first
    position).

    Args:
        candidates (`Substitution`):
            The source of candidates, with its constraints and the probabilities of its candidates.
        objective (`str`, *optional*, defaults to `"loss"`):
            What to raise: the `"loss"` under the label, or the `"divergence"` of the prediction from the prediction on
            the original. In training with a `compute_loss_func`, the loss is what that gives for the row.
        num_positions (`int`, *optional*, defaults to 3):
            Number of words at which replacements are tried, chosen and ordered at random. A searched variant replaces
            at most this many words.
        strategy (`str`, *optional*, defaults to `"beam"`):
            `"beam"` visits the positions once and keeps the K best variants so far. `"orders"` makes K searches for
            the single best variant, each over other positions in another order. If two of these find the same variant,
            as in texts of few words, the second one is drawn instead.
        max_candidates (`int`, *optional*, defaults to 8):
            Number of candidates tried at a position. If there are more, this many are drawn by their probabilities.

    Raises:
        `TypeError`: if `candidates` is not a `Substitution`.
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
        check_object("candidates", candidates, Substitution)
        check_choice("objective", objective, OBJECTIVES)
        check_choice("strategy", strategy, STRATEGIES)
        check_count("num_positions", num_positions)
        check_count("max_candidates", max_candidates)
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
        Searches for K variants of each of B examples.

        A replacement is made if it raises the objective. If none does, the best single replacements are the variants.
        The variants of an example differ from each other and from it. There are fewer than K if the positions tried
        have no more.

        Args:
            examples (sequence of B `Mapping`): As for `variants`.
            score (`Callable`):
                The objective of each of N rows, `(N,)`: `score(rows, of)` gets the rows as dicts with the columns of
                the examples, and `of` `(N,)`, the number of the example that each row is a variant of. It is called
                with the originals, and then once per position with the variants of all examples. NaN counts as the
                lowest score.
            num_variants (`int`): K, at least 1.
            seeds (sequence of B seeds): Determine which positions and candidates are tried.

        Returns:
            `VariantTable`: for `keep`, alone or joined with the tables of other examples.

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
        scores = _Scores(examples, batch, self._special, score)
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
        Makes `variants` look up the variants of this search from now on, also in copies of the augmenter in other
        processes, forked at any time or pickled after the first call, as long as this augmenter exists.
        """
        self._shared.write(table)

    @property
    def table(self) -> VariantTable | None:
        """The variants of the last search; `None` before the first one."""
        return self._shared.read()

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        table = self.table
        if table is None:
            return self.candidates.draw_edits(batch, num_variants, keys)
        groups = [variants[:num_variants] for variants in table.lookup(batch)]
        short = [i for i, group in enumerate(groups) if len(group) < num_variants]
        rows = batch.take(short)
        drawn = self.candidates.draw_edits(rows, num_variants, keys[short])
        for position, i in enumerate(short):
            found = [tuple(drawn.of_variant(number, rows)) for number in range(position, len(drawn), len(short))]
            new = [variant for variant in found if variant not in groups[i]]
            groups[i] = [*groups[i], *new][:num_variants]
        return Edits.of(group[k] for k in range(num_variants) for group in groups)

    def _walks(self, batch: Batch, num_variants: int, keys: np.ndarray) -> list["_Walk"]:
        """The walks over the positions of each row: one for a beam, K for K orders, none for a row without words."""
        source = self.candidates
        candidates = source.candidates(batch, source.eligible_words(batch))
        room = source.room(batch).tolist()
        most = self.num_positions if source.most_replaced is None else min(self.num_positions, source.most_replaced)
        num_words = np.bincount(candidates.words.row, minlength=len(batch))
        first_word = num_words.cumsum() - num_words
        num_walks, width = (1, num_variants) if self.strategy == "beam" else (num_variants, 1)
        walks = []
        for i in num_words.nonzero()[0].tolist():
            streams = mix(mix(keys[i] ^ np.arange(num_words[i], dtype=np.uint64)))  # one per word of the row
            options: dict[int, list[Edit]] = {}
            for stride in np.arange(num_walks, dtype=np.uint64) * GOLDEN:
                order = mix(streams + stride).argsort()[:most].tolist()
                for word in order:
                    if word not in options:
                        options[word] = self._options(batch, candidates, int(first_word[i]) + word, streams[word])
                walks.append(_Walk(i, [options[word] for word in order], width, room[i]))
        return walks

    def _options(self, batch: Batch, candidates: Candidates, word: int, key: np.uint64) -> list[Edit]:
        """The replacements of a word to try."""
        choice = np.arange(candidates.count[word])
        if len(choice) > self.max_candidates:
            # A draw without replacement: the smallest of exponential variables with the probabilities as rates.
            rate = np.maximum(candidates.probability(word, choice), 1e-100)
            time = -np.log1p(-unit(mix(key ^ ~choice.astype(np.uint64)))) / rate
            choice = np.sort(time.argsort(kind="stable")[: self.max_candidates])
        words = candidates.words
        first, start = words.start[word], int(words.start[word] - batch.starts[words.row[word]])
        old = tuple(batch.ids[first : first + words.length[word]].tolist())
        return [Edit(start, old, candidates.ids_of(number)) for number in candidates.replacements(word, choice)]


@dataclass
class _Walk:
    """A search over positions of one example, given by its number in the batch."""

    example: int
    positions: list[list[Edit]]  # the replacements to try at each
    width: int  # number of variants that are kept, among which the original may be
    room: int  # number of tokens by which a variant may be longer than the example
    best: list[Variant] = field(default_factory=list)  # the `width` best so far, without the original

    def children(self, step: int, scores: "_Scores") -> list[Variant]:
        """The best variants so far, each with one more replacement at a position."""
        replacements = self.positions[step] if step < len(self.positions) else []
        parents = self.ranked([(), *self.best], scores)[: self.width]
        children = [tuple(sorted((*parent, edit))) for parent in parents for edit in replacements]
        return [child for child in children if sum(len(edit.new) - len(edit.old) for edit in child) <= self.room]

    def ranked(self, variants: Iterable[Variant], scores: "_Scores") -> list[Variant]:
        """Variants of the example, the best one first. Equal ones keep their order."""
        return sorted(variants, key=lambda variant: -scores[self.example, variant])


class _Scores(dict[tuple[int, Variant], float]):
    """Objective of each variant that was scored. Its key is the number of the example and the edits."""

    def __init__(self, examples: Sequence[Mapping[str, Any]], batch: Batch, special: Set[int], score: Score):
        super().__init__()
        self._score = score
        self._originals: list[dict[str, Any]] = [
            {name: value for name, value in example.items() if name != SPANS_KEY} | {"input_ids": row}
            for example, row in zip(examples, batch.rows, strict=True)
        ]
        self._columns = [TokenColumns(original, original["input_ids"], special) for original in self._originals]

    def add(self, variants: Iterable[tuple[int, Variant]]) -> None:
        """Scores the variants that were not scored before, all at once."""
        new = [key for key in dict.fromkeys(variants) if key not in self]
        if not new:
            return
        of = np.array([example for example, _ in new])
        scores = np.asarray(self._score([self._row(*key) for key in new], of), dtype=np.float64)
        if scores.shape != of.shape:
            raise ValueError(f"score gave an array of shape {scores.shape} for {len(of)} rows; expected ({len(of)},).")
        self.update(zip(new, np.where(np.isnan(scores), -np.inf, scores).tolist(), strict=True))

    def _row(self, example: int, variant: Variant) -> dict[str, Any]:
        """A variant as a row to score."""
        row = self._originals[example].copy()
        if variant:
            ids = row["input_ids"].copy()
            source = list(range(len(ids)))
            for start, old, new in reversed(variant):
                ids[start : start + len(old)] = new
                source[start : start + len(old)] = [start] * len(new)
            row["input_ids"] = ids
            self._columns[example].fit(row, len(source), source)
        return row
