"""What is measured of the variants of a source."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from augment.core.variant_count import VariantCount, are_first

from .changes import find_changes, words_of
from .forms import ending_of, fits_article, keeps_capitals, keeps_ending, tags


ARTICLES = ("a", "an")


class Shares:
    """Shares of yes among counted answers, by name."""

    def __init__(self):
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, name: str, answer: Any, count: int = 1) -> None:
        self._counts[name][0] += int(answer)
        self._counts[name][1] += count

    def to_dict(self) -> dict[str, dict[str, float]]:
        return {name: {"share": yes / max(count, 1), "count": count} for name, (yes, count) in self._counts.items()}


def new_variants(text: str, group: Sequence[str]) -> list[str]:
    """The variants of a text that are no copies: they differ from the text and from earlier variants."""
    return [variant for variant, is_new in zip(group, _are_new([text, *group])[1:], strict=True) if is_new]


def count_variants(texts: Sequence[str], groups: Sequence[Sequence[str]], num_variants: int) -> dict[str, Any]:
    """
    Counts as training does: the variants that a group lacks, and those that repeat the text or an earlier variant, are
    copies.
    """
    masks = [_are_new([text, *group]) for text, group in zip(texts, groups, strict=True)]
    count = VariantCount.of(masks, num_variants)
    return {
        "copies": count.copies / (num_variants * count.examples),
        "rows without": count.share_without,
        "rows": count.examples,
        "different": count.different,
    }


def _are_new(texts: Sequence[str]) -> list[bool]:
    """Spaces and case alone make no variant: some libraries split and join all text anew."""
    return are_first(["".join(text.casefold().split()) for text in texts])


def compare_words(
    texts: Sequence[str],
    groups: Sequence[Sequence[str]],
    tag_words: Callable[[Sequence[str]], list[list[str]]],
) -> dict[str, dict[str, float]]:
    """
    Which forms words keep that are replaced. Words that only change places are not replaced.

    Args:
        texts (`Sequence[str]`): The texts.
        groups (`Sequence[Sequence[str]]`): Variants of each that are no copies.
        tag_words (`Callable`): Gives the Penn tags of the words of texts, each in its context.

    Returns:
        `dict`: Shares by name, each with the number of words that it is a share of.
    """
    context = iter(tag_words([*texts, *(variant for group in groups for variant in group)]))
    old_tags = [next(context) for _ in texts]
    shares = Shares()
    for text, text_tags, group in zip(texts, old_tags, groups, strict=True):
        old = words_of(text)
        for variant in group:
            new, variant_tags = words_of(variant), next(context)
            changes = find_changes(old, new)
            shares.add("words changed", changes.num_changed, len(old))
            if sorted(map(str.casefold, old)) == sorted(map(str.casefold, new)):
                continue
            for place, start, stop in changes.replaced:
                word, replacement = old[place], new[start:stop]
                if len(replacement) == 1:
                    is_same = text_tags[place] == variant_tags[start]
                    shares.add("same tag", is_same)
                    shares.add("same tag possible", is_same or text_tags[place] in tags(replacement[0]))
                if ending := ending_of(word, text_tags[place]):
                    shares.add(f"-{ending}", keeps_ending(text_tags[place], replacement))
                if place and old[place - 1].lower() in ARTICLES:
                    shares.add("article", fits_article(word, replacement))
                if word[0].isupper():
                    shares.add("capitals", keeps_capitals(word, replacement))
    return shares.to_dict()


def perplexity_ratio(
    groups: Sequence[Sequence[str]],
    original_scores: Sequence[tuple[float, int]],
    log_probs: Callable[[Sequence[str]], list[tuple[float, int]]],
) -> float | None:
    """
    The median, over variants that are no copies, of their perplexity relative to that of the text; `None` if there
    are none.

    Args:
        groups (`Sequence[Sequence[str]]`): Variants of each text that are no copies.
        original_scores (`Sequence[tuple[float, int]]`): What `log_probs` says of the texts.
        log_probs (`Callable`): Gives the log-probability of each text and the number of its tokens.
    """
    scores = iter(log_probs([variant for group in groups for variant in group]))
    before = [perplexity(score) for score, group in zip(original_scores, groups, strict=True) for _ in group]
    ratios = [perplexity(score) / old for score, old in zip(scores, before, strict=True)]
    return statistics.median(ratios) if ratios else None


def perplexity(score: tuple[float, int]) -> float:
    log_prob, count = score
    return math.exp(-log_prob / max(count, 1))
