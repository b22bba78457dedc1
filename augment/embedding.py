"""Neighbours of a word among the input embeddings of a model."""

from functools import cached_property

import numpy as np

from .configurable import check_count
from .core.batch import Batch
from .core.candidates import Candidates
from .core.vocabulary import Vocabulary, checked_inflection, keeps_inflection
from .core.words import Words
from .languages.language import ENGLISH, check_lang
from .substitution import Substitution


# Number of rows of every matrix product. The last digits of a product may depend on its number of rows. With one row
# per word, the neighbours of a word would depend on the other words of its batch.
_BLOCK = 32


class EmbeddingNeighbours(Substitution):
    """
    Replaces words by their nearest neighbours among the input embeddings of a model, with equal probabilities.

    Neighbours are whole words of the tokenizer's vocabulary in the same case. The embedding of a word of several
    pieces is the mean of theirs. Similarity is the cosine after the mean embedding of all whole words is subtracted,
    so that unrelated words have a similarity of about 0 with any model (Mu and Viswanath, 2018). Stop words stay, and
    so do capitalised words inside a sentence, mostly names, if the tokenizer keeps case. After "a" and "an",
    neighbours start with a vowel letter exactly if the word does.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        model (`str`, `Path` or `transformers.PreTrainedModel`):
            A model with the tokenizer's vocabulary, or its name or path. A model given by name is loaded at first use
            and not pickled.
        num_neighbours (`int`, *optional*, defaults to 15): Largest number of candidates of a word.
        min_similarity (`float`, *optional*, defaults to 0.3): Smallest similarity of a candidate and its word.
        lang (`str`, *optional*, defaults to `"eng"`):
            The language of the texts, see `MaskedLMSubstitution`.
        keep_inflection (`bool`, *optional*):
            Whether a candidate must share a part of speech and the inflection of its word, see `MaskedLMSubstitution`.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `ImportError`: if inflection is kept and lemminflect is not installed.
        `LookupError`: if the stop words of another language than English are not installed.
        `OSError`: if there is no model of this name.
        `ValueError`: if an argument is out of range, the model has another vocabulary, or the tokenizer is slow or
            marks words in an unknown way.

    Source: Mu and Viswanath, "All-but-the-top: Simple and effective postprocessing for word representations", ICLR
    2018, https://arxiv.org/abs/1702.01417.
    """

    def __init__(
        self,
        tokenizer,
        model,
        *,
        num_neighbours: int = 15,
        min_similarity: float = 0.3,
        lang: str = ENGLISH,
        keep_inflection: bool | None = None,
        **options,
    ):
        super().__init__(tokenizer, **options)
        check_count("num_neighbours", num_neighbours)
        if not -1 <= min_similarity <= 1:
            raise ValueError(f"min_similarity is {min_similarity}; expected a cosine in [-1, 1].")
        self.lang = check_lang(lang)
        self.keep_inflection = checked_inflection(keep_inflection, lang)
        self.model = model if hasattr(model, "get_input_embeddings") else str(model)
        self.num_neighbours = num_neighbours
        self.min_similarity = min_similarity
        self._check_vocabulary()

    @cached_property
    def _neighbours(self) -> "_Neighbours":
        model = self.model
        if isinstance(model, str):
            from transformers import AutoModel

            model = AutoModel.from_pretrained(model)
        embeddings = model.get_input_embeddings().weight.detach().cpu().float().numpy()
        return _Neighbours(self, embeddings[: self.finder.num_ids])

    def _check_vocabulary(self) -> None:
        if isinstance(self.model, str):
            from transformers import AutoTokenizer

            same = AutoTokenizer.from_pretrained(self.model).get_vocab() == self.tokenizer.get_vocab()
        else:
            same = self.model.get_input_embeddings().num_embeddings >= self.finder.num_ids
        if not same:
            name = getattr(self.model, "name_or_path", self.model) or type(self.model).__name__
            raise ValueError(
                f"The model {name} has another vocabulary than the tokenizer, so its embeddings belong to other "
                "words; expected a model with the classifier's vocabulary, such as the classifier itself."
            )

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        return self._neighbours.candidates(batch.ids, words)


class _Neighbours:
    """The neighbours of words, computed at the first request and stored, given the embeddings of all ids, `(N, D)`."""

    def __init__(self, options: EmbeddingNeighbours, embeddings: np.ndarray):
        self._options, self._vocabulary = options, Vocabulary(options.tokenizer, options.lang)
        whole = np.flatnonzero(self._vocabulary.group)
        self._whole = whole[self._vocabulary.group[whole].argsort(kind="stable")]  # sorted by group
        self._embeddings = embeddings - (embeddings[whole].mean(axis=0) if len(whole) else 0)
        self._directions = _directions(self._embeddings[self._whole])
        # Word s has the neighbours `table[s]`. The first `fitting[s]` of them may follow its article.
        self._number = np.full(len(embeddings), -1)  # of each word of one piece
        self._number_of_longer: dict[tuple[int, ...], int] = {}
        self._table = np.zeros((0, options.num_neighbours), dtype=np.int64)
        self._count, self._fitting = np.zeros((2, 0), dtype=np.int64)
        self._may_be_name = np.zeros(0, dtype=bool)
        self._ids = np.arange(len(embeddings) + 1)

    def candidates(self, ids: np.ndarray, words: Words) -> Candidates:
        """The neighbours of words of a batch with these ids."""
        numbers = self._numbers(ids, words)
        if (numbers < 0).any():
            self._add(ids, words[numbers < 0])
            numbers = self._numbers(ids, words)
        count = np.where(words.after_article, self._fitting[numbers], self._count[numbers])
        usable = np.flatnonzero((count > 0) & (words.first | ~self._may_be_name[numbers]))
        first = numbers[usable] * self._table.shape[1]
        return Candidates(
            words[usable], first, count[usable], self._table.ravel(), self._ids, self._ids[:-1], longest=1
        )

    def _numbers(self, ids: np.ndarray, words: Words) -> np.ndarray:
        """Number of each word, `(W,)`; -1 for words that are not stored."""
        numbers = self._number[ids[words.start]]
        longer = np.flatnonzero(words.length > 1)
        numbers[longer] = [self._number_of_longer.get(pieces, -1) for pieces in words[longer].pieces(ids)]
        return numbers

    def _add(self, ids: np.ndarray, words: Words) -> None:
        pieces = words.pieces(ids)
        last = list({run: i for i, run in enumerate(pieces)}.values())
        words, pieces = words[np.array(last)], [pieces[i] for i in last]
        for number, run in enumerate(pieces, len(self._table)):
            if len(run) == 1:
                self._number[run[0]] = number
            else:
                self._number_of_longer[run] = number

        nearest = self._nearest(ids, words, pieces)
        present = nearest >= 0
        vowels = self._vocabulary.vowels_of(ids, words)
        fits = present & ((self._vocabulary.vowels[nearest] == vowels[:, None]) | (self._options.lang != ENGLISH))
        order = (-2 * present - fits).argsort(axis=1, kind="stable")
        self._table = np.concatenate([self._table, np.take_along_axis(nearest, order, axis=1)])
        self._count = np.append(self._count, present.sum(axis=1))
        self._fitting = np.append(self._fitting, fits.sum(axis=1))
        names = self._vocabulary.may_be_name(self._vocabulary.groups_of(ids, words))
        self._may_be_name = np.append(self._may_be_name, names)

    def _nearest(self, ids: np.ndarray, words: Words, pieces: list[tuple[int, ...]]) -> np.ndarray:
        """Ids of the M nearest neighbours of each of U words, `(U, M)`, in rising order after -1 for missing ones."""
        nearest = np.full((len(words), self._options.num_neighbours), -1)
        directions = _directions(np.stack([self._embeddings[list(run)].mean(axis=0) for run in pieces]))
        single = np.where(words.length == 1, ids[words.start], -1)
        groups = self._vocabulary.groups_of(ids, words)
        antonyms = self._vocabulary.antonyms_of(ids, words)
        opposites = np.split(antonyms.flat(), antonyms.count.cumsum()[:-1])
        tags = self._vocabulary.tags_of(ids, words) if self._options.keep_inflection else None
        for group in np.unique(groups[groups > 0]):
            begin, end = np.searchsorted(self._vocabulary.group[self._whole], [group, group + 1])
            others = self._whole[begin:end]
            most = min(nearest.shape[1], len(others))
            alike = np.flatnonzero(groups == group)
            for part in np.split(alike, range(_BLOCK, len(alike), _BLOCK)):
                block = np.zeros((_BLOCK, directions.shape[1]), dtype=directions.dtype)
                block[: len(part)] = directions[part]
                similarity = (block @ self._directions[begin:end].T)[: len(part)]
                fits = (similarity >= self._options.min_similarity) & (others != single[part, None])
                if tags is not None:
                    fits &= keeps_inflection(tags[part, None], self._vocabulary.tags[others])
                for row, word in enumerate(part.tolist()):
                    fits[row] &= ~np.isin(others, opposites[word])
                distance = np.where(fits, -similarity, np.inf)
                best = distance.argpartition(most - 1, axis=1)[:, :most]
                nearest[part, :most] = np.where(np.take_along_axis(fits, best, axis=1), others[best], -1)
        nearest.sort(axis=1)
        return nearest


def _directions(vectors: np.ndarray) -> np.ndarray:
    """The vectors, scaled to length 1, `(N, D)`."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
