"""Insertion of punctuation marks."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from .configurable import check_choice
from .core.batch import Batch
from .core.candidates import Candidates
from .core.lazy import cached_method
from .core.lexicon import encode_after
from .core.ragged import ranges
from .core.words import Words, piece_text, word_marker
from .substitution import Substitution


MARKS = (",", ".", ";", ":", "!")
PLACES = ("all", "end")
_INSIDE = (",", ":")  # which end no sentence
_CLOSING = frozenset("'\")]}’”»")  # may follow the mark that ends a sentence


class RandomPunctuation(Substitution):
    """
    Inserts punctuation marks after words: the movie, was awful.

    All words stay, in their order, so that almost every text has variants that mean the same. A mark comes after a
    word that another word or the end of the text follows. `max_replaced` is the largest number of marks in a variant.

    Only marks at the end read as if somebody had written them, so `places="end"` is for variants that are to be
    correct: the movie was awful! A text that ends in some of the marks gets another one or "..." in their place. A
    sentence that has an end gets no comma or colon there, and may lose its mark.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        marks (`Iterable[str]`, *optional*, defaults to `MARKS`):
            The marks, all equally likely. `MARKS` are comma, full stop, semicolon, colon and exclamation mark; a
            question mark would turn a statement into a question. Marks that the tokenizer does not know are left out.
        places (`str`, *optional*, defaults to `"all"`):
            Where marks come: after any word (`"all"`), or at the end of a text alone (`"end"`).
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] that a mark follows a word, on condition that at least one does.
        constraints: Which words a mark may follow, see `WordAugmenter`.

    Raises:
        `ValueError`: if an argument is out of range, the tokenizer knows no mark, or is slow or marks words in an
            unknown way.

    Example:

    ```python
    >>> augmenter = RandomPunctuation(tokenizer)
    >>> augmenter.augment_text("The movie was awful", num_variants=2, seed=0)
    ['The movie, was awful', 'The movie was awful!']
    ```

    Source: Karimi, Rossi and Prati, "AEDA: An easier data augmentation technique for text classification", Findings of
    EMNLP 2021, https://arxiv.org/abs/2108.13230.
    """

    inserts_words = joined_words = True

    def __init__(
        self, tokenizer, *, marks: Iterable[str] = MARKS, places: str = "all", replace_prob: float = 0.1, **constraints
    ):
        super().__init__(tokenizer, replace_prob=replace_prob, **constraints)
        check_choice("places", places, PLACES)
        self.places = places
        self.marks = tuple(marks)
        encoded = dict.fromkeys(pieces for pieces in encode_after(tokenizer, list(self.marks), "a") if pieces)
        if not encoded:
            raise ValueError(f"The tokenizer knows none of the marks {self.marks!r:.100}; expected at least one.")
        self._pieces = np.array([piece for pieces in encoded for piece in pieces], dtype=np.int64)
        self._lengths = np.array([len(pieces) for pieces in encoded])

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        inserted = self._inserted(batch, words)
        return inserted if self.places == "all" else Candidates.joined([inserted, self._exchanged(batch, words)])

    def _inserted(self, batch: Batch, words: Words) -> Candidates:
        """Words with a mark after them."""
        usable = words.last
        if self.places == "all":
            first = self.finder.words(batch).start  # without the "n" of "wo n't"
            first = first[(self.finder.spaced | self.finder.unspaced)[batch.ids[first]]]
            usable = usable | np.isin(words.start + words.length, first)
        words = words[usable]
        # A replacement is the pieces of the word and those of the mark.
        num_marks = len(self._lengths)
        word = np.repeat(np.arange(len(words)), num_marks)
        own, new = words.length[word], np.tile(self._lengths, len(words))
        ends = (own + new).cumsum()
        pieces = np.empty(ends[-1] if len(ends) else 0, dtype=np.int64)
        pieces[ranges(ends - own - new, own)] = batch.ids[ranges(words.start[word], own)]
        pieces[ranges(ends - new, new)] = np.tile(self._pieces, len(words))
        return Candidates.of_arrays(words, np.full(len(words), num_marks), own + new, pieces)

    def _exchanged(self, batch: Batch, words: Words) -> Candidates:
        """The marks that end a text, all as one word, with each of the other marks."""
        begins = np.zeros(len(batch.ids) + 1, dtype=bool)
        begins[batch.starts] = begins[-1] = True
        kept = np.zeros(len(batch.ids), dtype=bool) if batch.kept is None else batch.kept
        no_mark = np.append(~self._consists_of(frozenset("".join(self.marks)))[batch.ids] | kept, True) | begins
        stops = np.flatnonzero(no_mark)
        start = words.start + words.length
        stop = stops[np.searchsorted(stops, start)]
        text_ends = begins | np.append(np.isin(batch.ids, sorted(self._special)), True)
        not_closing = np.flatnonzero(np.append(~self._consists_of(_CLOSING)[batch.ids], True) | begins)
        chosen = (stop > start) & text_ends[not_closing[np.searchsorted(not_closing, stop)]]
        words, start, stop = words[chosen], start[chosen], stop[chosen]
        no = np.zeros(len(words), dtype=bool)
        runs = Words(words.row, start, stop - start, first=no, last=~no, after_article=no)
        options = [self._others(int(self.finder.spaced[run[0]]), run) for run in runs.pieces(batch.ids)]
        return Candidates.of(runs, options)

    @cached_property
    def _encoded_marks(self) -> list[dict[str, tuple[int, ...]]]:
        """The ids of each mark that may end a text, after a word and after a space."""
        marks = dict.fromkeys([*self.marks, "..."] if "." in self.marks else self.marks)
        encoded = (
            zip(marks, encode_after(self.tokenizer, list(marks), before), strict=True) for before in ("a", "a ")
        )
        return [{mark: pieces for mark, pieces in own if pieces} for own in encoded]

    @cached_method
    def _others(self, spaced: int, run: tuple[int, ...]) -> list[tuple[int, ...]]:
        """What may take the place of marks at the end, with `spaced=1` after a space, else 0."""
        known = self._encoded_marks[spaced]
        inside = [known[mark] for mark in _INSIDE if mark in known]
        options = dict.fromkeys(pieces for pieces in known.values() if pieces != run)
        if not any(run[-len(pieces) :] == pieces for pieces in inside):  # no comma takes the place of a full stop
            options = dict.fromkeys([*(pieces for pieces in options if pieces not in inside), ()])
        return list(options)

    @cached_method
    def _consists_of(self, characters: frozenset[str]) -> np.ndarray:
        """Whether each id of the tokenizer consists of these characters, `(N,)`."""
        marker, found = word_marker(self.tokenizer), np.zeros(self.finder.num_ids, dtype=bool)
        for token, piece in self.tokenizer.get_vocab().items():
            text = piece_text(token.removeprefix(marker), marker)
            found[piece] = bool(text) and characters.issuperset(text)
        return found
