"""Augmenters made of others: one after the other, one of several, each in turn, or the first that knows a word."""

from collections.abc import Sequence

import numpy as np

from .base import Augmenter, does
from .configurable import check_probability
from .core.batch import Batch
from .core.candidates import Candidates
from .core.edits import Edits
from .core.given import check_object
from .core.randomness import mix, unit
from .core.rejection import Distinct, DrawOne, different_variants
from .core.words import Words
from .substitution import Substitution


class Compose(Augmenter):
    """
    Applies augmenters one after the other, each to the variant that the one before has made.

    The constraints of each part hold for its own changes: a part makes no variant longer than its own `max_length`. If
    an earlier part has shortened a row of this length, a later part may change the last word of the row.

    Args:
        augmenters (`Sequence[Augmenter]`): The parts, in the order of their use, with one vocabulary.

    Raises:
        `TypeError`: if a part is not an augmenter.
        `ValueError`: if there is no part, or the parts have different vocabularies.

    Example:

    ```python
    >>> augmenter = Compose([WordNetSynonyms(tokenizer), Sometimes(RandomDelete(tokenizer), p=0.3)])
    >>> augmenter.augment_text("the movie was awful and the actors ran away", num_variants=2, seed=5)
    ['the movie was terrible and the actors ran away', 'the was dreadful and the actors ran away']
    ```
    """

    def __init__(self, augmenters: Sequence[Augmenter]):
        self.augmenters = _checked_parts(augmenters)
        super().__init__(self.augmenters[0].tokenizer)
        inserts = [does(part, "inserts_words") for part in self.augmenters]
        # A word that an insertion has put after another one takes its place if that one is deleted later.
        self.moves_words = any(
            does(part, "deletes_words") and any(inserts[:i]) for i, part in enumerate(self.augmenters)
        )

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        def stage(augmenter: Augmenter, number: int) -> DrawOne:
            return lambda rows, keys: augmenter.draw_edits(rows, 1, mix(keys ^ np.uint64(number)))

        stages = [stage(augmenter, number) for number, augmenter in enumerate(self.augmenters)]
        return different_variants(batch, num_variants, keys, *stages)

    def precompute(self, dataset) -> Augmenter:
        self.augmenters[0].precompute(dataset)  # the others do not see the examples, but what it makes of them
        return self

    @property
    def precomputes(self) -> bool:
        return self.augmenters[0].precomputes


class OneOf(Augmenter):
    """
    Makes each variant by one of several augmenters, chosen at random.

    If the chosen augmenter cannot change the example, or repeats a variant, there are further draws, up to nine per
    variant. Copies remain if a part with a high probability can seldom change anything.

    Args:
        augmenters (`Sequence[Augmenter]`): The N augmenters, with one vocabulary.
        p (`Sequence[float]` of length N, *optional*): Their probabilities, which sum to 1. Defaults to `1 / N` each.

    Raises:
        `TypeError`: if a part is not an augmenter.
        `ValueError`: if there is no part, the parts have different vocabularies, or `p` is not N probabilities.
    """

    def __init__(self, augmenters: Sequence[Augmenter], p: Sequence[float] | None = None):
        self.augmenters = _checked_parts(augmenters)
        super().__init__(self.augmenters[0].tokenizer)
        self.p = None if p is None else [float(share) for share in p]
        shares = np.full(len(self.augmenters), 1 / len(self.augmenters)) if p is None else np.array(self.p)
        if len(shares) != len(self.augmenters) or not (shares >= 0).all() or not np.isclose(shares.sum(), 1):
            raise ValueError(
                f"p is {p!r} for {len(self.augmenters)} augmenters; expected one probability for each, with sum 1."
            )
        self._ends = shares.cumsum()[:-1]

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        return different_variants(batch, num_variants, keys, self._draw_one)

    def _draw_one(self, batch: Batch, keys: np.ndarray) -> Edits:
        chosen = np.searchsorted(self._ends, unit(mix(keys)), side="right")
        order = chosen.argsort(kind="stable")
        parts = [
            self.augmenters[chosen[rows[0]]].draw_edits(batch.take(rows), 1, mix(~keys[rows]))
            for rows in np.split(order, np.flatnonzero(np.diff(chosen[order])) + 1)
        ]
        return Edits.select(parts, order.argsort())


class Sometimes(Augmenter):
    """
    Uses an augmenter for each variant with a probability, and otherwise leaves the example as it is, in a `Compose`.

    Args:
        augmenter (`Augmenter`): The augmenter.
        p (`float`, *optional*, defaults to 0.5): Probability in [0, 1] that a variant is changed.

    Raises:
        `TypeError`: if `augmenter` is not an augmenter.
        `ValueError`: if `p` is not a probability.
    """

    def __init__(self, augmenter: Augmenter, p: float = 0.5):
        (self.augmenter,) = _checked_parts([augmenter])
        super().__init__(augmenter.tokenizer)
        check_probability("p", p, may_be_zero=True)
        self.p = p

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        edits = self.augmenter.draw_edits(batch, num_variants, mix(keys))
        variant = np.arange(1, num_variants + 1, dtype=np.uint64)[:, None]
        is_changed = (unit(mix(mix(~keys) ^ variant)) < self.p).ravel()
        return Edits.select([edits], np.where(is_changed, np.arange(len(edits)), -1))


class InTurn(Augmenter):
    """
    Makes the variants of an example by the first augmenter, those that it lacks by the second one, and so on.

    The first augmenter's variants are those that it makes alone. An example with K different variants never reaches
    the next augmenter, so put the ones that keep the meaning best first. What none can change stays a copy.

    Args:
        augmenters (`Sequence[Augmenter]`): The augmenters, in order of preference, with one vocabulary.

    Raises:
        `TypeError`: if a part is not an augmenter.
        `ValueError`: if there is no part, or the parts have different vocabularies.

    Example:

    ```python
    >>> augmenter = InTurn([WordNetSynonyms(tokenizer), RandomSwap(tokenizer)])
    >>> augmenter.augment_text("The movie was awful.", num_variants=6, seed=0)
    ```
    """

    def __init__(self, augmenters: Sequence[Augmenter]):
        self.augmenters = _checked_parts(augmenters)
        super().__init__(self.augmenters[0].tokenizer)

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        distinct = Distinct(batch, num_variants)
        drawn: list[Edits] = []
        for number, augmenter in enumerate(self.augmenters):
            if len(distinct.short):
                rows, short = batch.take(distinct.short), distinct.short
                own_keys = keys if number == 0 else mix(keys[short] ^ np.uint64(number))
                drawn.append(augmenter.draw_edits(rows, num_variants, own_keys))
                distinct.add(np.tile(short, num_variants), drawn[-1].apply(rows))
        return Edits.select(drawn, distinct.chosen()) if drawn else Edits.of(())


class FirstOf(Substitution):
    """
    Replaces each word by the candidates of the first source that has any for it. For example, words that a masked
    language model leaves alone may become their neighbours in an embedding space.

    A source only serves words that its own constraints let it change, and its `replace_prob` is not used. The lowest
    `max_length` and the lowest `max_replaced` of all hold.

    Args:
        sources (`Sequence[Substitution]`): The sources, in order of preference, with one vocabulary.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `TypeError`: if a source is not a `Substitution`.
        `ValueError`: if there is no source, the sources have different vocabularies, or an option is out of range.
    """

    def __init__(self, sources: Sequence[Substitution], **options):
        self.sources = _checked_parts(sources, Substitution)
        super().__init__(self.sources[0].tokenizer, **options)

    def room(self, batch: Batch) -> np.ndarray:
        return np.minimum.reduce([super().room(batch), *(source.room(batch) for source in self.sources)])

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        parts = []
        for source in self.sources:
            own = np.isin(words.start, source.eligible_words(batch).start, assume_unique=True)
            parts.append(source.candidates(batch, words[own]))
            words = words[~words.overlaps(parts[-1].words)]  # a phrase takes several
        return Candidates.joined(parts)

    @property
    def most_replaced(self) -> int | None:
        limits = [self.max_replaced, *(source.most_replaced for source in self.sources)]
        return min((limit for limit in limits if limit is not None), default=None)


def _checked_parts(augmenters: Sequence[Augmenter], kind: type = Augmenter) -> list:
    """The augmenters as a list, if they can work together."""
    parts = list(augmenters) if isinstance(augmenters, Sequence) else [augmenters]
    if not parts:
        raise ValueError("Received an empty list of augmenters; expected at least one.")
    for part in parts:
        check_object("A part", part, kind)
        check_part(part, parts[0])
    return parts


def check_part(part: Augmenter, first: Augmenter) -> None:
    """Raises a `ValueError` if an augmenter cannot be part of another one together with `first`."""
    if part.keeps_copies:
        raise ValueError(
            f"A {type(part).__name__} is given as a part of another augmenter, to which a copy is a variant that was "
            f"not found; expected the other one as a part of it: {type(part).__name__}(tokenizer, augmenter)."
        )
    if part.tokenizer is not first.tokenizer and part.tokenizer.get_vocab() != first.tokenizer.get_vocab():
        raise ValueError(
            f"{type(first).__name__} and {type(part).__name__} have tokenizers of different vocabularies, so "
            "that one cannot read the token ids of the other; expected augmenters made with one tokenizer."
        )
