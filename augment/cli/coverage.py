"""How much of a text an augmenter can change, and how much it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..base import Augmenter
from ..core.batch import Batch
from ..core.randomness import Seed, row_keys
from ..core.words import WordFinder
from ..substitution import Substitution


@dataclass
class Coverage:
    """Counts over texts and their variants. Candidates are counted only for a `Substitution`."""

    augmenter: Augmenter
    num_variants: int
    rows: int = 0
    words: int = 0
    words_with_candidates: int = 0
    candidates: int = 0
    words_replaced: int = 0
    copies: int = 0

    def __post_init__(self):
        self._finder = WordFinder(self.augmenter.tokenizer)

    def add(self, texts: Sequence[str], seeds: Sequence[Seed], copies: int) -> None:
        """Counts texts, given the seeds of their variants and how many of these are copies."""
        encoded = self.augmenter.tokenizer(list(texts), return_attention_mask=False, verbose=False)
        batch = Batch(encoded["input_ids"], bounded=False)
        edits = self.augmenter.draw_edits(batch, self.num_variants, row_keys(seeds))
        self.rows += len(texts)
        self.words += len(self._finder.words(batch))
        self.words_replaced += len(edits.start)
        self.copies += copies
        if isinstance(self.augmenter, Substitution):
            candidates = self.augmenter.candidates(batch, self.augmenter.eligible_words(batch))
            self.words_with_candidates += len(candidates.words)
            self.candidates += int(candidates.count.sum())

    def report(self) -> dict[str, Any]:
        """
        The counts, with shares and means; `None` where they are not defined. A copy is a variant that equals the
        original or an earlier variant.
        """
        words = self.words if isinstance(self.augmenter, Substitution) else 0
        variants = self.rows * self.num_variants
        return {
            "rows": self.rows,
            "words": self.words,
            "share_of_words_with_candidates": _ratio(self.words_with_candidates, words),
            "candidates_per_such_word": _ratio(self.candidates, self.words_with_candidates),
            "variants": variants,
            "share_of_words_replaced": _ratio(self.words_replaced, self.words * self.num_variants),
            "share_of_copies": _ratio(self.copies, variants),
        }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
