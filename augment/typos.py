"""Typing errors."""

from functools import cached_property

import numpy as np

from .configurable import check_count
from .core.batch import Batch
from .core.candidates import Candidates
from .core.words import Words
from .negations import KeepsNegations
from .substitution import Pieces, Substitution


_ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))  # and how far each is moved to the right
_KEYS = {key: (x + shift, y) for y, (row, shift) in enumerate(_ROWS) for x, key in enumerate(row)}
# Keys that touch each other.
NEIGHBOURS = {
    key: "".join(other for other, (u, v) in _KEYS.items() if other != key and abs(x - u) <= 1 and abs(y - v) <= 1)
    for key, (x, y) in _KEYS.items()
}
_MAX_KNOWN = 1 << 14  # words; the errors of one take some kilobytes


class Typos(KeepsNegations, Substitution):
    """
    Makes typing errors, one in a word: two neighbouring letters are swapped, or a letter is dropped, doubled or
    replaced by one whose key touches its own on an English keyboard (QWERTY): movie → mvoie, mvie, moovie, mobie.

    Any word of letters may change, stop words and names included, except English negations and words of contrast,
    which an error may turn into other words ("not" into "now", "never" into "ever"). The four kinds of errors are
    equally likely, and so are the errors of one kind.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        min_letters (`int`, *optional*, defaults to 4): Words with fewer letters stay.
        keep_first (`bool`, *optional*, defaults to `True`): Whether the first letter of a word stays.
        options: `lang` of the texts (`"eng"`; the negations of no other language are known), `replace_prob` of
            `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `ValueError`: if an argument is out of range, or the tokenizer is slow or marks words in an unknown way.

    Example:

    ```python
    >>> augmenter = Typos(tokenizer, replace_prob=0.2)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The moviie was awful.', 'The move was awful.']
    ```

    Source: Belinkov and Bisk, "Synthetic and natural noise both break neural machine translation", ICLR 2018, and
    Pruthi et al., "Combating adversarial misspellings with robust word recognition", ACL 2019.
    """

    def __init__(self, tokenizer, *, min_letters: int = 4, keep_first: bool = True, **options):
        super().__init__(tokenizer, **options)
        check_count("min_letters", min_letters)
        self.min_letters = min_letters
        self.keep_first = keep_first

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        pieces = words.pieces(batch.ids)
        if len(self._known) > _MAX_KNOWN:
            self._known.clear()
        self._learn([word for word in dict.fromkeys(pieces) if word not in self._known])
        found = [self._known[word] for word in pieces]
        count = np.array([len(lengths) for _, lengths, _ in found], dtype=np.int64)
        ids, lengths, cumulative = map(np.concatenate, zip(_arrays({}), *found, strict=True))
        return Candidates.of_arrays(words, count, lengths, ids, cumulative)

    @cached_property
    def _known(self) -> dict[Pieces, tuple[np.ndarray, ...]]:
        """The errors of words met lately, as `_arrays` gives them."""
        return {}

    def _learn(self, words: list[Pieces]) -> None:
        """Tokenises the errors of words as they stand in the place of the words."""
        texts = [self.tokenizer.decode(list(word)).strip() for word in words]
        errors = [
            typing_errors(text, self.keep_first) if text.isalpha() and len(text) >= self.min_letters else {}
            for text in texts
        ]
        for word, own, encoded in zip(words, errors, self._encoded(words, errors), strict=True):
            chances: dict[Pieces, float] = {}
            for pieces, chance in zip(encoded, own.values(), strict=True):
                if pieces:
                    chances[pieces] = chances.get(pieces, 0.0) + chance
            self._known[word] = _arrays(chances)


def _arrays(chances: dict[Pieces, float]) -> tuple[np.ndarray, ...]:
    """The ids of the errors of a word, one error after the other; their lengths; and `Candidates.cumulative`."""
    total = np.array(list(chances.values()), dtype=np.float64).cumsum()
    ids = np.array([piece for pieces in chances for piece in pieces], dtype=np.int32)
    return ids, np.array([len(pieces) for pieces in chances], dtype=np.int64), total / total[-1:]


def typing_errors(word: str, keep_first: bool) -> dict[str, float]:
    """The words that one typing error makes of a word of letters, each with its probability."""
    swapped, dropped, doubled, missed = [], [], [], []
    for i in range(int(keep_first), len(word)):
        start, letter, rest = word[:i], word[i], word[i + 1 :]
        keys = NEIGHBOURS.get(letter.lower(), "")
        if rest:
            swapped.append(start + rest[0] + letter + rest[1:])
        dropped.append(start + rest)
        doubled.append(start + letter + letter + rest)
        missed += [start + (key.upper() if letter.isupper() else key) + rest for key in keys]
    kinds = [
        [text for text in dict.fromkeys(texts) if text not in ("", word)]
        for texts in (swapped, dropped, doubled, missed)
    ]
    kinds = [texts for texts in kinds if texts]
    return {text: 1 / (len(kinds) * len(texts)) for texts in kinds for text in texts}
