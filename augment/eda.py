"""
Easy data augmentation: words deleted, exchanged, or inserted.

Source: Wei and Zou, "EDA: Easy data augmentation techniques for boosting performance on text classification tasks",
EMNLP 2019, https://arxiv.org/abs/1901.11196. Its fourth operation, the replacement of words by synonyms, is
`WordNetSynonyms`.
"""

import numpy as np

from .base import Augmenter, does
from .configurable import check_probability
from .core.batch import Batch
from .core.candidates import Candidates
from .core.edits import Edits
from .core.given import check_object
from .core.lazy import Lazy, cached_method
from .core.lexicon import encode_after, has_case
from .core.ragged import positions_in, ranges, run_hashes
from .core.randomness import low_unit, mix, unit
from .core.rejection import different_variants
from .core.sampling import KEEP, draw
from .core.words import WordFinder, Words, piece_text, word_marker
from .edits import Edit
from .negations import KeepsNegations
from .substitution import Substitution


class RandomDelete(KeepsNegations):
    """
    Deletes words, but never all words of a text. Unlike in EDA, English negations and words of contrast ("not",
    "never", "without", "but", "although") stay, since a text without them may have the opposite label.

    If a tokenizer writes words differently with and without a space before them, a word without a space is deleted if
    another word that may change follows it. That word loses its space, by an edit that does not count in
    `max_replaced`.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] that a word is deleted, on condition that at least one is.
        constraints: `lang` of the texts (`"eng"`; the negations of no other language are known), and which words may
            be deleted, see `WordAugmenter`.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    deletes_words = True

    def __init__(self, tokenizer, *, replace_prob: float = 0.1, **constraints):
        super().__init__(tokenizer, **constraints)
        check_probability("replace_prob", replace_prob)
        self.replace_prob = replace_prob
        self._spelling = _Spelling(tokenizer, self.finder)

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        # Different deletions may have the same result in rows that repeat a word.
        return different_variants(batch, num_variants, keys, self._draw_one)

    def _draw_one(self, batch: Batch, keys: np.ndarray) -> Edits:
        num_words = np.bincount(_texts(self.finder, batch, self.finder.words(batch)), minlength=2 * len(batch))
        eligible = self.eligible_words(batch)
        removable = self._spelling.removable(eligible, batch) & ~self._spelling.possessive(eligible, batch)
        eligible = eligible[removable]
        spare = num_words[_texts(self.finder, batch, eligible)] - 1
        words = eligible[spare > 0]
        limits = np.full(len(batch), len(batch.ids) if self.max_replaced is None else self.max_replaced)
        np.minimum.at(limits, words.row, spare[spare > 0])
        nothing = Candidates.of(words, [[()]] * len(words))
        choice = draw(nothing, np.zeros_like(batch.lengths), keys, 1, self.replace_prob, limits)
        deleted = words[choice[0] != KEEP]
        if self._spelling.needs_no_space(deleted, batch).all():
            return Edits.of_choice(batch, nothing, choice)
        return self._without_space(batch, deleted, eligible)

    def _without_space(self, batch: Batch, deleted: Words, eligible: Words) -> Edits:
        """
        The edits that delete words. The word that comes to stand in the place of one without a space loses its own;
        without such a word, the one without a space stays.
        """
        edits: list[dict[int, Edit]] = [{} for _ in batch.rows]  # by where they start
        next_words = dict(zip(eligible.start.tolist(), eligible.pieces(batch.ids), strict=True))
        gone = dict(zip(deleted.start.tolist(), deleted.pieces(batch.ids), strict=True))
        columns = deleted.row.tolist(), gone.items(), self._spelling.needs_no_space(deleted, batch).tolist()
        for row, (start, pieces), needs_no_space in zip(*columns, strict=True):
            offset = int(batch.starts[row])
            if not needs_no_space:
                after = start
                while after in gone:
                    after += len(gone[after])
                old = next_words.get(after, ())
                new = self._spelling.respelt(old, False) if old and self.finder.spaced[old[0]] else ()
                if not new or len(new) > len(old) + len(pieces):
                    continue
                edits[row][after] = Edit(after - offset, old, new)
            edits[row][start] = Edit(start - offset, pieces, ())
        return Edits.of(own.values() for own in edits)


class RandomSwap(KeepsNegations):
    """
    Exchanges words with others of the same text: one pair of words, and each further pair with a probability.

    Unlike in EDA, English negations and words of contrast ("not", "never", "don't", "but", "although") stay in their
    places, and no word passes one of them: "not bad but slow" never becomes "not slow but bad".

    If a tokenizer writes words differently with and without a space before them, a word is written anew for its new
    place. The capitalised first word of a sentence stays if the tokenizer keeps case.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] of each pair but the first one, when all words are paired at random.
        constraints: `lang` of the texts (`"eng"`; the negations of no other language are known), and which words may
            move, see `WordAugmenter`. A pair counts as two words of `max_replaced`.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.
    """

    moves_words = True

    def __init__(self, tokenizer, *, replace_prob: float = 0.1, **constraints):
        super().__init__(tokenizer, **constraints)
        if self.max_replaced == 1:
            raise ValueError("max_replaced is 1; expected at least 2, since words change places in pairs.")
        check_probability("replace_prob", replace_prob)
        self.replace_prob = replace_prob
        self._spelling = _Spelling(tokenizer, self.finder)

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        return different_variants(batch, num_variants, keys, self._draw_one)

    def _draw_one(self, batch: Batch, keys: np.ndarray) -> Edits:
        words = self.eligible_words(batch)
        words = words[~self._spelling.capital_of_sentence(words, batch)]
        # The words of a text between two negations are paired in random order.
        group = _texts(self.finder, batch, words) + np.searchsorted(self.negations(batch), words.start)
        order = np.lexsort((_bits(words.row, mix(keys)), group))
        group = group[order]
        even = np.flatnonzero((positions_in(group)[:-1] % 2 == 0) & (group[1:] == group[:-1]))
        left, right = order[even], order[even + 1]
        row = words.row[left]
        pairs = _some(row, mix(~keys), self.replace_prob)
        if self.max_replaced is not None:
            pairs = pairs[positions_in(row[pairs]) < self.max_replaced // 2]

        left, right = left[pairs], right[pairs]
        spaced = self.finder.spaced[batch.ids[words.start]]
        if (spaced[left] != spaced[right]).any():
            return self._respelt(batch, words, left.tolist(), right.tolist())
        partner = np.arange(len(words))
        partner[left], partner[right] = right, left
        hashes = run_hashes(batch.ids, words.start, words.length)
        moved = np.flatnonzero(hashes != hashes[partner])  # to exchange equal words changes nothing
        new = words[partner[moved]]
        return Edits.of_words(batch, words, moved, new.length, batch.ids[ranges(new.start, new.length)])

    def _respelt(self, batch: Batch, words: Words, left: list[int], right: list[int]) -> Edits:
        """The edits that exchange these words, written for their new places. A pair that does not fit stays."""
        pieces, spaced = words.pieces(batch.ids), self.finder.spaced[batch.ids[words.start]].tolist()
        room = self.room(batch).tolist()
        variants: list[list[Edit]] = [[] for _ in batch.rows]
        for i, j in zip(left, right, strict=True):
            b, first, second = int(words.row[i]), pieces[i], pieces[j]
            if spaced[i] != spaced[j]:
                first, second = (self._spelling.respelt(pieces[word], not spaced[word]) for word in (i, j))
            growth = len(first) + len(second) - len(pieces[i]) - len(pieces[j])
            if not (first and second) or second == pieces[i] or growth > room[b]:
                continue
            room[b] -= max(growth, 0)
            starts = (words.start[[i, j]] - batch.starts[b]).tolist()
            variants[b] += [Edit(starts[0], pieces[i], second), Edit(starts[1], pieces[j], first)]
        return Edits.of(variants)


class RandomInsert(Augmenter):
    """
    Inserts, after random words, candidates of random words of the same text. EDA inserts synonyms.

    Words are only inserted after words that the source may change under its constraints. The `max_replaced` of the
    source is the largest number of words that a variant gets.

    Args:
        source (`Substitution`): The source of candidates. Its own `replace_prob` is not used.
        replace_prob (`float`, *optional*, defaults to 0.1):
            Probability in (0, 1] that a word is followed by a new one. One word is in any case.

    Raises:
        `TypeError`: if the source is not a `Substitution`.
        `ValueError`: if `replace_prob` is out of range, or the source inserts words itself.
    """

    inserts_words = True

    def __init__(self, source: Substitution, *, replace_prob: float = 0.1):
        check_object("source", source, Substitution)
        if does(source, "inserts_words"):
            raise ValueError(
                f"The source, a {type(source).__name__}, inserts words itself; expected one that only replaces words, "
                "such as WordNetSynonyms(tokenizer)."
            )
        super().__init__(source.tokenizer)
        self.source = source
        check_probability("replace_prob", replace_prob)
        self.replace_prob = replace_prob
        self._spelling = _Spelling(source.tokenizer, source.finder)

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        return different_variants(batch, num_variants, keys, self._draw_one)

    def _draw_one(self, batch: Batch, keys: np.ndarray) -> Edits:
        finder = self.source.finder
        words = self.source.eligible_words(batch)
        # A new word comes after a space and inside a sentence, so the word whose candidate it is must do so, too.
        inside = finder.spaced[batch.ids[words.start]] & ~self._spelling.capital_of_sentence(words, batch)
        candidates = self.source.candidates(batch, words[inside])
        text, offered = _texts(finder, batch, words), _texts(finder, batch, candidates.words)
        first = np.searchsorted(offered, text, side="left")
        count = np.searchsorted(offered, text, side="right") - first
        usable = (count > 0) & ~self._spelling.possessive(words, batch)
        words, first, count = words[usable], first[usable], count[usable]

        bits = _bits(words.row, mix(keys))
        word = first + (unit(bits) * count).astype(np.int64)
        replacement = candidates.replacements(word, candidates.drawn(word, low_unit(bits)))
        chosen = _some(words.row, mix(~keys), self.replace_prob)
        if self.source.max_replaced is not None:
            chosen = chosen[positions_in(words.row[chosen]) < self.source.max_replaced]
        room = self.source.room(batch).tolist()
        variants: list[list[Edit]] = [[] for _ in batch.rows]
        words, replacement = words[chosen], replacement[chosen]
        starts = (words.start - batch.starts[words.row]).tolist()
        columns = words.row.tolist(), starts, words.pieces(batch.ids), replacement.tolist()
        for row, start, old, number in zip(*columns, strict=True):
            new = candidates.ids_of(number)
            if 0 < len(new) <= room[row]:
                room[row] -= len(new)
                variants[row].append(Edit(start, old, old + new))
        return Edits.of(variants)


class _Spelling(Lazy):
    """How a tokenizer writes words, which its `finder` finds."""

    def __init__(self, tokenizer, finder: WordFinder):
        self._tokenizer = tokenizer
        self._needs_no_space = finder.spaced | finder.unspaced
        self._keeps_case = has_case(tokenizer)
        self._is_apostrophe, self._ends_in_space = np.zeros((2, finder.num_ids), dtype=bool)
        marker = word_marker(tokenizer)
        for token, i in tokenizer.get_vocab().items():
            self._is_apostrophe[i] = token.startswith(("'", "’"))
            self._ends_in_space[i] = piece_text(token, marker)[-1:].isspace()

    def possessive(self, words: Words, batch: Batch) -> np.ndarray:
        """Whether an apostrophe follows each word, `(W,)`."""
        after = np.append(self._is_apostrophe[batch.ids], False)
        return after[words.start + words.length] & ~words.last

    def needs_no_space(self, words: Words, batch: Batch) -> np.ndarray:
        """Whether each word has the space before it in its pieces, or needs none, as in Chinese: `(W,)`."""
        return self._needs_no_space[batch.ids[words.start]]

    def removable(self, words: Words, batch: Batch) -> np.ndarray:
        """
        Whether each word can be deleted, `(W,)`. One without a space can if another of the words follows it, which
        takes its place, and no other pieces spell a space before it, as those of a tab do.
        """
        before = np.where(words.start > batch.starts[words.row], batch.ids[words.start - 1], -1)
        followed = np.isin(words.start + words.length, words.start)
        return self.needs_no_space(words, batch) | (followed & ((before < 0) | ~self._ends_in_space[before]))

    @cached_method
    def respelt(self, pieces: tuple[int, ...], with_space: bool) -> tuple[int, ...]:
        """
        The pieces of a word that is written with a space if it had none, or else without; none if its text is not
        known exactly.
        """
        text = self._tokenizer.decode(list(pieces)).strip()
        old, new = ("(", "a ") if with_space else ("a ", "(")
        is_known = encode_after(self._tokenizer, [text], old) == [pieces]
        return encode_after(self._tokenizer, [text], new)[0] if is_known else ()

    def capital_of_sentence(self, words: Words, batch: Batch) -> np.ndarray:
        """Whether each word has a capital letter because a sentence may begin with it, `(W,)`."""
        capital = words.first & self._keeps_case
        capital[capital] = [self._has_capital(pieces) for pieces in words[capital].pieces(batch.ids)]
        return capital

    @cached_method
    def _has_capital(self, pieces: tuple[int, ...]) -> bool:
        text = self._tokenizer.decode(list(pieces)).strip()
        return text != text.lower()


def _texts(finder: WordFinder, batch: Batch, words: Words) -> np.ndarray:
    """The number of the text of each word, in increasing order, `(W,)`: a row has two texts."""
    return 2 * words.row + finder.segments(batch, words)


def _bits(row: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Random bits of the items of rows, a function of the key of the row and the position in the row."""
    return mix(keys[row] ^ positions_in(row).astype(np.uint64))


def _some(row: np.ndarray, keys: np.ndarray, prob: float) -> np.ndarray:
    """A random item of each row, and each further item with a probability, in random order: `(N,)`."""
    bits = _bits(row, keys)
    order = np.lexsort((bits, row))
    return order[(positions_in(row) == 0) | (unit(mix(bits))[order] < prob)]
