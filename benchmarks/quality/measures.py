"""What is measured of the variants of a source."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from .changes import find_changes, words_of
from .forms import ending_of, fits_article, keeps_capitals, keeps_ending, keeps_tag


ARTICLES = ("a", "an")


class Shares:
    """Shares of yes among counted answers, by name. An answer of `None` is not counted."""

    def __init__(self):
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, name: str, answer: Any, count: int = 1) -> None:
        if answer is not None:
            self._counts[name][0] += int(answer)
            self._counts[name][1] += count

    def to_dict(self) -> dict[str, dict[str, float]]:
        return {name: {"share": yes / max(count, 1), "count": count} for name, (yes, count) in self._counts.items()}


def measure(
    texts: Sequence[str],
    groups: Sequence[Sequence[str]],
    num_variants: int,
    stop_words: frozenset[str],
    tag_words: Callable[[Sequence[str]], list[list[str]]],
) -> dict[str, Any]:
    """
    Args:
        texts (`Sequence[str]`): The sentences.
        groups (`Sequence[Sequence[str]]`): The variants of the first sentences, or of all.
        num_variants (`int`): K, how many were asked for.
        stop_words (`frozenset[str]`): Lower-case stop words.
        tag_words (`Callable`): Gives the Penn tags of the words of texts, each in its context.

    Returns:
        `dict`: Shares by name, each with the number of words or variants that it is a share of.
    """
    texts = texts[: len(groups)]
    context = iter(tag_words([*texts, *(variant for group in groups for variant in group)]))
    old_tags = [next(context) for _ in texts]
    shares = Shares()
    for text, text_tags, group in zip(texts, old_tags, groups, strict=True):
        old = words_of(text)
        seen: set[tuple[str, ...]] = set()
        for variant in group:
            new, variant_tags = words_of(variant), next(context)
            shares.add("different from the original", _folded(new) != _folded(old))
            shares.add("different from all others", _folded(new) not in seen)
            seen.add(_folded(new))
            changes = find_changes(old, new)
            shares.add("words changed", changes.num_changed, len(old))
            shares.add("clear", len(changes.replaced), len(changes.replaced) + changes.num_unclear)
            for place, start, stop in changes.replaced:
                word, replacement = old[place], new[start:stop]
                shares.add("stop words", word.lower() in stop_words)
                shares.add("phrases", len(replacement) > 1)
                shares.add("same form", kept := keeps_tag(word, replacement))
                if len(replacement) == 1:
                    shares.add("not in the dictionary", kept is None)
                    shares.add("same tag in context", text_tags[place] == variant_tags[start])
                if ending := ending_of(word):
                    shares.add(f"-{ending}", keeps_ending(word, replacement))
                if place and old[place - 1].lower() in ARTICLES:
                    shares.add("article", fits_article(word, replacement))
                if word[0].isupper():
                    shares.add("capitals", keeps_capitals(word, replacement))
        for _ in range(num_variants - len(group)):
            shares.add("different from the original", False)
            shares.add("different from all others", False)
    return shares.to_dict()


def _folded(words: list[str]) -> tuple[str, ...]:
    return tuple(word.casefold() for word in words)


def fluency(
    texts: Sequence[str],
    groups: Sequence[Sequence[str]],
    scores: Sequence[tuple[float, int]],
    original_scores: Sequence[tuple[float, int]],
) -> dict[str, float]:
    """
    How likely the first variants of the first sentences are, from their log-probabilities and numbers of tokens.

    Returns:
        `dict`: `"perplexity"` is the geometric mean over sentences. `"nats per changed word"` is by how much less
        likely than the originals all variants together are, over the number of words that they have changed.
    """
    num_changed = sum(
        find_changes(words_of(text), words_of(group[0])).num_changed
        for text, group, _ in zip(texts, groups, scores, strict=False)
    )
    lost = sum(before - after for (before, _), (after, _) in zip(original_scores, scores, strict=True))
    return {"perplexity": perplexity(scores), "nats per changed word": lost / max(num_changed, 1)}


def perplexity(scores: Sequence[tuple[float, int]]) -> float:
    return math.exp(-statistics.fmean(log_prob / count for log_prob, count in scores))
