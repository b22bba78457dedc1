"""How many different variants examples have."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import astuple, dataclass


# An example without variants gains nothing from augmentation. Up to a tenth of them changes little.
MAX_SHARE_WITHOUT = 0.1
# With fewer than half of the K variants that were asked for, a smaller K gives the same variants.
MIN_SHARE_DIFFERENT = 0.5

ADVICE = (
    "For more variants, which keep the meaning less often, replace 'synonyms' or 'context' by 'wordnet' with "
    "min_sense_share=0 or, with a masked LM, by 'mlm'. Otherwise choose a smaller num_variants, which costs less."
)


@dataclass(frozen=True)
class VariantCount:
    """
    How many variants some examples have that differ from the example and from each other. Counts of equal K add up.

    Args:
        num_variants (`int`): K, the number of variants that were asked for, of each example.
        examples (`int`): Number of examples.
        without (`int`): Number of examples that have no variant.
        different (`int`): Number of different variants of all examples together, at most K * `examples`.
    """

    num_variants: int
    examples: int = 0
    without: int = 0
    different: int = 0

    @classmethod
    def of(cls, groups: Iterable[Sequence[bool]], num_variants: int) -> VariantCount:
        """
        The count of groups: for each, which of the original and its K variants are not among those before them, as
        `are_first` says, or a `variant_mask`.
        """
        present = [sum(group[1:]) for group in groups]
        return cls(num_variants, len(present), present.count(0), sum(present))

    def __add__(self, other: VariantCount) -> VariantCount:
        _, *counts = (a + b for a, b in zip(astuple(self), astuple(other), strict=True))
        return VariantCount(self.num_variants, *counts)

    @property
    def copies(self) -> int:
        """Number of variants that equal their example or an earlier variant."""
        return self.num_variants * self.examples - self.different

    @property
    def share_without(self) -> float | None:
        """The share of the examples that have no variant; `None` without examples."""
        return self.without / self.examples if self.examples else None

    @property
    def mean_of_others(self) -> float | None:
        """The mean number of different variants of the other examples; `None` if there are none."""
        others = self.examples - self.without
        return self.different / others if others else None

    @property
    def are_few(self) -> bool:
        """Whether so many variants are missing that somebody should know."""
        if not self.num_variants or self.share_without is None:
            return False
        are_few = (self.mean_of_others or 0) < MIN_SHARE_DIFFERENT * self.num_variants
        return are_few or self.share_without > MAX_SHARE_WITHOUT

    def sentence(self, num_all: int | None = None) -> str:
        """The count in words. `num_all` is the number of training examples, if known, of which these are a sample."""
        if self.share_without is None:
            return "No training example was counted."
        of_all = "" if num_all is None else f" of {num_all:,}"
        sampled = "" if self.examples == num_all else f" (counted on {self.examples:,}{of_all} examples)"
        others = f"{self.mean_of_others or 0:.2f} different variants on average, of {self.num_variants}{sampled}."
        if not self.without:
            return f"All training examples have variants: {others}"
        if self.without == self.examples:
            return f"No training example has a variant{sampled}."
        return f"{self.share_without:.1%} of the training examples have no variant; the others have {others}"


def are_first(group: Sequence[Hashable]) -> list[bool]:
    """Which entries of a group, an example and its variants, are not among those before them."""
    first = {entry: i for i, entry in reversed([*enumerate(group)])}
    return [first[entry] == i for i, entry in enumerate(group)]
