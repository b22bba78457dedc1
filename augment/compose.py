"""Augmenters made of others: one after the other, one of several, or the first that knows a word."""

from collections.abc import Sequence

import numpy as np

from .base import Augmenter
from .core.batch import Batch, Swaps
from .core.candidates import Candidates, joined
from .core.randomness import mix, unit
from .core.rejection import different_variants, gathered
from .core.words import Words
from .substitution import Substitution


class Compose(Augmenter):
    """
    Applies augmenters one after the other, each to what the one before it made.

    The constraints of each part hold for its own changes: a part makes no variant longer than its own `max_length`. A
    row that an earlier part has made shorter than that is not full to a later one, which may change its last word.

    Args:
        augmenters (`Sequence[Augmenter]`): The parts, in the order of their use, with one vocabulary.

    Raises:
        `TypeError`: if a part is no augmenter.
        `ValueError`: if there is no part, or the parts have different vocabularies.

    Example:

    ```python
    >>> augmenter = Compose([WordNetSynonyms(tokenizer), Sometimes(RandomDelete(tokenizer), p=0.3)])
    >>> augmenter.augment_text("the movie was awful and the actors ran away", num_variants=2, seed=5)
    ['the movie was terrible and the actors ran away', 'the was dreadful and the actors ran away']
    ```
    """

    def __init__(self, augmenters: Sequence[Augmenter]):
        self.augmenters = _parts(augmenters)
        super().__init__(self.augmenters[0].tokenizer)

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        def in_turn(rows: Batch, keys: np.ndarray) -> list[Swaps]:
            stages: list[Swaps] = []
            for number, augmenter in enumerate(self.augmenters):
                if stages:
                    rows = stages[-1].applied(rows)
                stages.append(augmenter._swaps(rows, 1, mix(keys ^ np.uint64(number)), fit))
            return stages

        return different_variants(batch, num_variants, keys, in_turn)

    def _parts(self) -> list[Augmenter]:
        return self.augmenters[:1]  # the others see what it made

    def _does(self, what: str) -> bool:
        if what == "moves_words":  # a new word takes the place of the one before it, if that is deleted afterwards
            inserting = [part._does("inserts_words") for part in self.augmenters]
            if any(part._does("deletes_words") and any(inserting[:i]) for i, part in enumerate(self.augmenters)):
                return True
        return super()._does(what)


class OneOf(Augmenter):
    """
    Makes each variant by one of several augmenters, chosen at random.

    Where that one cannot change the example, or makes a variant that the example has already, other draws follow, nine
    for each variant at most: with a part that can seldom change anything and a high probability, copies remain.

    Args:
        augmenters (`Sequence[Augmenter]`): The N augmenters, with one vocabulary.
        p (`Sequence[float]` of length N, *optional*): Their probabilities, which sum to 1. Defaults to `1 / N` each.

    Raises:
        `TypeError`: if a part is no augmenter.
        `ValueError`: if there is no part, the parts have different vocabularies, or `p` are no N probabilities.
    """

    def __init__(self, augmenters: Sequence[Augmenter], p: Sequence[float] | None = None):
        self.augmenters = _parts(augmenters)
        super().__init__(self.augmenters[0].tokenizer)
        self.p = None if p is None else [float(share) for share in p]
        shares = np.full(len(self.augmenters), 1 / len(self.augmenters)) if p is None else np.array(self.p)
        if len(shares) != len(self.augmenters) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1):
            raise ValueError(
                f"p is {p!r} for {len(self.augmenters)} augmenters; expected one probability for each, with sum 1."
            )
        self._ends = shares.cumsum()[:-1]

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        def by_one(rows: Batch, keys: np.ndarray) -> list[Swaps]:
            chosen = np.searchsorted(self._ends, unit(mix(keys)), side="right")
            order = chosen.argsort(kind="stable")
            parts = [
                self.augmenters[chosen[of_part[0]]]._swaps(rows.take(of_part), 1, mix(~keys[of_part]), fit)
                for of_part in np.split(order, np.flatnonzero(np.diff(chosen[order])) + 1)
            ]
            return [gathered(parts, order.argsort())]

        return different_variants(batch, num_variants, keys, by_one)


class Sometimes(Augmenter):
    """
    Uses an augmenter for each variant with a probability, and otherwise leaves the example as it is: a part of a
    [`Compose`].

    Args:
        augmenter (`Augmenter`): The augmenter.
        p (`float`, *optional*, defaults to 0.5): Probability in [0, 1] that a variant is changed.

    Raises:
        `TypeError`: if `augmenter` is none.
        `ValueError`: if `p` is no probability.
    """

    def __init__(self, augmenter: Augmenter, p: float = 0.5):
        (self.augmenter,) = _parts([augmenter])
        super().__init__(augmenter.tokenizer)
        if not 0 <= p <= 1:
            raise ValueError(f"p is {p}; expected a probability in [0, 1].")
        self.p = p

    def _swaps(self, batch: Batch, num_variants: int, keys: np.ndarray, fit: bool) -> Swaps:
        swaps = self.augmenter._swaps(batch, num_variants, mix(keys), fit)
        variant = np.arange(1, num_variants + 1, dtype=np.uint64)[:, None]
        return swaps.where((unit(mix(mix(~keys) ^ variant)) < self.p).ravel())


class FirstOf(Substitution):
    """
    Replaces each word by the candidates of the first source that has any for it: what a masked language model leaves
    alone may go to its neighbours in an embedding space.

    A source serves those words only that its own constraints let it change. How many words a variant replaces is up to
    `replace_prob` here, and not to those of the sources; of all `max_length` and `max_replaced`, the lowest hold.

    Args:
        sources (`Sequence[Substitution]`): The sources, the preferred one first, with one vocabulary.
        options: `replace_prob` of [`Substitution`], and the constraints of [`WordAugmenter`].

    Raises:
        `TypeError`: if a source is no substitution.
        `ValueError`: if there is no source, the sources have different vocabularies, or an option is out of range.
    """

    def __init__(self, sources: Sequence[Substitution], **options):
        self.sources = _parts(sources, Substitution)
        super().__init__(self.sources[0].tokenizer, **options)

    def _longest(self, fit: bool) -> int:
        return min(super()._longest(fit), *(source._longest(fit) for source in self.sources))

    def _candidates(self, batch: Batch, words: Words) -> Candidates:
        parts = []
        for source in self.sources:
            its_own = np.isin(words.start, source._words(batch, fit=False).start, assume_unique=True)
            parts.append(source._candidates(batch, words[its_own]))
            words = words[~np.isin(words.start, parts[-1].words.start, assume_unique=True)]
        return joined(parts)

    def _limits(self, candidates: Candidates, num_rows: int) -> np.ndarray | None:
        parts = [super()._limits(candidates, num_rows), *(s._limits(candidates, num_rows) for s in self.sources)]
        limits = [limit for limit in parts if limit is not None]
        return np.minimum.reduce(limits) if limits else None


def _parts(augmenters: Sequence[Augmenter], kind: type = Augmenter) -> list:
    """The augmenters, if they can work together."""
    parts = list(augmenters) if isinstance(augmenters, Sequence) else [augmenters]
    if not parts:
        raise ValueError("Received an empty list of augmenters; expected at least one.")
    for part in parts:
        if not isinstance(part, kind):
            raise TypeError(f"Received {part!r:.100} of type {type(part).__name__}; expected a {kind.__name__}.")
    first = parts[0].tokenizer
    for part in parts[1:]:
        if part.tokenizer is not first and part.tokenizer.get_vocab() != first.get_vocab():
            raise ValueError(
                f"{type(parts[0]).__name__} and {type(part).__name__} have tokenizers of different vocabularies, so "
                "that one cannot read the token ids of the other; expected augmenters made with one tokenizer."
            )
    return parts
