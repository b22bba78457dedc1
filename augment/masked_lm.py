"""Substitution by words that a masked language model proposes."""

import hashlib
import json
import os
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from .configurable import check_choice, check_count
from .core.atomic_file import cache_folder
from .core.batch import Batch
from .core.candidates import Candidates
from .core.devices import default_device, fast_dtype
from .core.given import check_object
from .core.lexicon import tokenizer_fingerprint
from .core.ragged import ranges
from .core.vocabulary import Vocabulary, capitalised, keeps_inflection, require_dictionary
from .core.words import Words
from .mlm.candidate_table import CandidateTable, Proposals, UniqueRows, entry_type, make_table
from .mlm.fill_mask import FillMask, load_masked_lm, model_fingerprint
from .mlm.masking import MASKINGS, mask_words
from .substitution import Substitution


MULTI_PIECE = ("refill", "leave")
DTYPES = ("float32", "bfloat16", "float16")

_TABLE_OPTIONS = ("top_m", "min_probability", "masking", "multi_piece", "keep_inflection")  # that candidates depend on
_MAX_PADDING = 1024  # embeddings beyond the vocabulary
_FORMAT = 3  # of the candidates; raise it when a change of the code changes them


class MaskedLMSubstitution(Substitution):
    """
    Replaces words by words that a masked language model proposes, which fit the context: "a wonderful film" may become
    "a terrible film".

    The candidates of a word are the `top_m` most likely whole words with the same case, inflection and preceding space
    (or none). After "a" and "an", they start with a vowel letter exactly if the word does. A variant takes each
    candidate with probability `P ~ softmax(log P(word | context) / temperature)`. Stop words, numbers and parts of
    hyphenated words stay, and so do capitalised words inside a sentence, mostly names, if the tokenizer preserves
    case, and words that the dictionary lacks, with `keep_inflection`.

    The model takes far more time than everything else, and the candidates of a row never change, so `precompute`
    them for the training dataset. Other rows get their candidates on demand.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        model (`str`, `Path` or `transformers.PreTrainedModel`):
            A masked LM with the classifier's vocabulary: a name or path, which is loaded at first use, or the model.
        top_m (`int`, *optional*, defaults to 15): Maximum number of candidates of a word.
        temperature (`float`, *optional*, defaults to 1.0):
            Above 0. Near 0 the most likely candidate is always taken; at `float("inf")` all are equally likely.
        masking (`str`, *optional*, defaults to `"grouped"`):
            What the model is given. `"grouped"`: each forward pass over a row masks words that are far apart, about
            15 % of its tokens. `"single"`: one pass per word. `"none"`: one pass without masks.
        multi_piece (`str`, *optional*, defaults to `"refill"`):
            Words of several pieces are masked by one mask and become one piece (`"refill"`), or stay (`"leave"`).
        keep_inflection (`bool`, *optional*, defaults to `True`):
            Whether candidates must have a part of speech and the inflection of the word. Needs `lemminflect`.
        device (`str`, *optional*): Where the model runs. Defaults to the GPU if there is one.
        dtype (`str`, *optional*):
            Floating-point type of the model. The default is `"bfloat16"` for a table if the device supports it, else
            `"float32"`. Without a table, rounding can change a candidate if the row is in another batch: in one of
            several thousand variants in `"float32"`, more often in 16 bits.
        batch_tokens (`int`, *optional*): Tokens per batch of the model. Defaults to 2,048 on a CPU, else 32,768.
        cache_dir (`str` or `Path`, *optional*):
            Where tables are stored. Defaults to `$HF_MMEL_CACHE`, or `hf_mmel` in the user's cache folder.
        options: `replace_prob` of `Substitution`, and the constraints of `WordAugmenter`.

    Raises:
        `ImportError`: if `keep_inflection` is set and `lemminflect` is not installed.
        `ValueError`: if an argument is out of range, the model has another vocabulary, or the tokenizer has no mask,
            is slow or marks words in an unknown way.

    Example:

    ```python
    >>> augmenter = MaskedLMSubstitution(tokenizer, "google-bert/bert-base-uncased")
    >>> augmenter.precompute(train_dataset)
    >>> augmenter.augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The story was awful.', 'The movie was wonderful.']
    ```

    Source: Kobayashi, "Contextual augmentation: data augmentation by words with paradigmatic relations", NAACL 2018,
    and Wu et al., "Conditional BERT contextual augmentation", ICCS 2019.
    """

    def __init__(
        self,
        tokenizer,
        model,
        *,
        top_m: int = 15,
        temperature: float = 1.0,
        source: Substitution | None = None,
        min_probability: float = 0.001,
        masking: str = "none",
        multi_piece: str = "leave",
        keep_inflection: bool = True,
        device: str | None = None,
        dtype: str | None = None,
        batch_tokens: int | None = None,
        cache_dir: str | os.PathLike | None = None,
        **options,
    ):
        super().__init__(tokenizer, **options)
        check_count("top_m", top_m)
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}; expected a number > 0, float('inf') for all alike.")
        if not 0 <= min_probability <= 1:
            raise ValueError(f"min_probability is {min_probability}; expected a probability in [0, 1].")
        if source is not None:
            check_object("source", source, Substitution)
        check_choice("masking", masking, MASKINGS)
        check_choice("multi_piece", multi_piece, MULTI_PIECE)
        if dtype is not None:
            dtype = str(dtype).removeprefix("torch.")
            check_choice("dtype", dtype, DTYPES)
        if batch_tokens is not None:
            check_count("batch_tokens", batch_tokens)
        if keep_inflection:
            require_dictionary()
        self.model = os.fspath(model) if isinstance(model, str | os.PathLike) else model
        self.top_m = top_m
        self.temperature = temperature
        self.source = source
        self.min_probability = min_probability
        self.masking = masking
        self.multi_piece = multi_piece
        self.keep_inflection = keep_inflection
        self.device = None if device is None else str(device)
        self.dtype = dtype
        self.batch_tokens = batch_tokens
        self.cache_dir = None if cache_dir is None else os.fspath(cache_dir)
        self._check_vocabulary()
        self._table: CandidateTable | None = None

    def precompute(self, dataset, path: str | os.PathLike | None = None) -> "MaskedLMSubstitution":
        """
        Computes the candidates of all rows of a dataset once and uses them from now on.

        They are stored on disk: a second call loads them, and a call after an interruption resumes. In a distributed
        launch all processes call this, and each computes its share; the worker processes of a data loader share one
        memory map. Candidates do not depend on `temperature`, `replace_prob` and the constraints.

        Args:
            dataset (`datasets.Dataset` or a sequence of examples): Rows with `input_ids`, tokenised for training.
            path (`str` or `Path`, *optional*):
                Folder of the table. Defaults to one in `cache_dir`, named after everything that determines the
                candidates.

        Returns:
            The augmenter itself.

        Raises:
            `TypeError`: if the length of the dataset is unknown.
            `ValueError`: if rows have no `input_ids`, or `path` has a table of other data, another tokenizer, model or
                other options.
        """
        rows = UniqueRows(dataset)
        model = self._loaded_model()
        device = self.device or default_device()
        dtype = self.dtype or fast_dtype(device)
        manifest = {
            "format": _FORMAT,
            "data": rows.fingerprint(),
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "words": self._vocabulary.fingerprint(self.keep_inflection),
            "model": model_fingerprint(model),
            "options": {
                "dtype": dtype,
                "source": None if self.source is None else self.source.to_dict(),
                **{name: getattr(self, name) for name in _TABLE_OPTIONS},
            },
        }
        if path is None and self._table is not None and self._table.matches(manifest):
            return self  # already made, perhaps in another folder
        if path is None:
            digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
            path = cache_folder(self.cache_dir) / f"masked-lm-{digest[:16]}"
        fill_mask = cache(lambda: FillMask(model, device, dtype, self.batch_tokens))  # only if the table is incomplete
        self._table = make_table(Path(path), rows, manifest, lambda batch: self._propose(batch, fill_mask()))
        return self

    precomputes = True

    def _check_vocabulary(self) -> None:
        size = len(self.tokenizer)
        if self.tokenizer.mask_token_id is None:
            raise ValueError("The tokenizer has no mask token; expected the tokenizer of a masked LM.")
        if isinstance(self.model, str):
            from transformers import AutoTokenizer

            vocabulary = AutoTokenizer.from_pretrained(self.model).get_vocab()
            if vocabulary == self.tokenizer.get_vocab():
                return
            found = f"a vocabulary of {len(vocabulary)} tokens"
        else:
            rows = self.model.get_input_embeddings().weight.shape[0]
            if size <= rows < size + _MAX_PADDING:
                return
            found = f"embeddings of {rows} tokens"
        raise ValueError(
            f"The masked LM has {found}, and the tokenizer another vocabulary, of {size}; expected the same one, "
            "since candidates are ids. Choose a masked LM with the classifier's vocabulary, such as the pretrained "
            "model of the classifier."
        )

    @cached_property
    def _choices(self) -> dict[int, np.ndarray]:
        """For each kind of word met so far, the ids that it may become."""
        return {}

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokenizer)

    @cached_property
    def _fill_mask(self) -> FillMask:
        """The model for rows without a table."""
        from torch.utils.data import get_worker_info

        device = self.device or default_device()
        if not device.startswith("cpu") and get_worker_info() is not None:
            raise RuntimeError(
                f"A masked LM on {device} is needed in a worker process of a data loader, which cannot share it. Set "
                "dataloader_num_workers=0, or call precompute(dataset) before training if the augmenter gets the "
                "examples of a dataset unchanged."
            )
        return FillMask(self._loaded_model(), device, self.dtype or "float32", self.batch_tokens)

    def _loaded_model(self):
        return load_masked_lm(self.model) if isinstance(self.model, str) else self.model

    def candidates(self, batch: Batch, words: Words) -> Candidates:
        count, entries = self._proposals(batch)
        place = np.repeat(batch.starts, count) + entries["start"]
        found = np.searchsorted(place, words.start)
        known = np.flatnonzero(found < len(place))
        known = known[place[found[known]] == words.start[known]]
        words, entries = words[known], entries[found[known]]
        if words.after_article.any():
            words, entries = self._after_articles(batch, words, entries)
        ids = entries["ids"]
        present = ids >= 0
        # Relative to the best score, so that the best candidate never underflows at a low temperature.
        scores = np.where(present, entries["scores"], -np.inf).astype(np.float64)
        distance = np.where(present, scores - scores.max(axis=1, keepdims=True, initial=-1e9), 0.0)
        cumulative = np.where(present, np.exp(distance / self.temperature), 0.0).cumsum(axis=1)
        pieces = np.arange(self.finder.num_ids + 1)
        return Candidates(
            words,
            np.arange(len(words)) * self.top_m,
            present.sum(axis=1),
            ids.ravel(),
            pieces,
            pieces,
            1,
            (cumulative / cumulative[:, -1:]).ravel(),
        )

    def _after_articles(self, batch: Batch, words: Words, entries: np.ndarray) -> tuple[Words, np.ndarray]:
        """Removes candidates that do not fit the article before their word."""
        vowels = self._vocabulary.vowels_of(batch.ids, words)
        fits = ~words.after_article[:, None] | (self._vocabulary.vowels[entries["ids"]] == vowels[:, None])
        fits &= entries["ids"] >= 0
        order = (~fits).argsort(axis=1, kind="stable")
        fitting = entries.copy()
        for name, absent in (("ids", -1), ("scores", -np.inf)):
            fitting[name] = np.take_along_axis(np.where(fits, entries[name], absent), order, axis=1)
        some = fits.any(axis=1)
        return words[some], fitting[some]

    def _proposals(self, batch: Batch) -> Proposals:
        """The words of a batch that have candidates, regardless of the constraints, with the candidates."""
        if self._table is None:
            return self._propose(batch, self._fill_mask)
        known, (count, entries) = self._table.lookup(batch)
        if known.all():
            return count, entries
        rows = np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)])
        new_count, new_entries = self._propose(batch.take(rows[len(count) :].tolist()), self._fill_mask)
        count = np.concatenate([count, new_count])
        order = np.repeat(rows, count).argsort(kind="stable")
        return count[rows.argsort()], np.concatenate([entries, new_entries])[order]

    def _propose(self, batch: Batch, fill_mask: FillMask) -> Proposals:
        """The words of a batch for which the model proposes candidates, with the candidates."""
        batch, num_removed = self._without_padding(batch)
        words, choices = self._fillable(batch)
        entries = np.zeros(len(words), dtype=entry_type(self.top_m))
        if len(words):
            inputs = mask_words(batch, words, self.masking, self.tokenizer.mask_token_id, fill_mask.max_length)
            old = np.where(words.length == 1, batch.ids[words.start], -1)
            antonyms = self._vocabulary.antonyms_of(batch.ids, words)
            entries["start"] = words.start - batch.starts[words.row] + num_removed[words.row]
            entries["ids"], entries["scores"] = fill_mask.best(
                inputs, old, choices, antonyms, self.top_m, self.min_probability
            )
        some = entries["ids"][:, 0] >= 0
        return np.bincount(words.row[some], minlength=len(batch)), entries[some]

    def _without_padding(self, batch: Batch) -> tuple[Batch, np.ndarray]:
        """The rows without padding at their ends, which the model would read as text; how much was on the left."""
        padding = batch.ids == self.tokenizer.pad_token_id
        if self.tokenizer.pad_token_id is None or not padding.any():
            return batch, np.zeros(len(batch), dtype=np.int64)
        row = np.repeat(np.arange(len(batch)), batch.lengths)
        position = (np.arange(len(row)) - batch.starts[row])[~padding]
        first, last = batch.lengths.copy(), np.zeros_like(batch.lengths)
        np.minimum.at(first, row[~padding], position)
        np.maximum.at(last, row[~padding], position + 1)
        lengths = np.maximum(last - first, 0)
        return Batch.of_arrays(batch.ids[ranges(batch.starts + first, lengths)], lengths), first

    def _fillable(self, batch: Batch) -> tuple[Words, list[np.ndarray]]:
        """The words that may have candidates, and the ids that each may become."""
        words = self.finder.words(batch)
        if self.multi_piece == "leave":
            words = words[words.length == 1]
        if self.source is not None:
            return self._proposed(self.source.candidates(batch, words))
        group = self._vocabulary.groups_of(batch.ids, words).astype(np.int64)
        chosen = np.flatnonzero((group > 0) & (words.first | ~capitalised(group)))
        words, kinds = words[chosen], group[chosen] << 16
        if self.keep_inflection:
            kinds |= self._vocabulary.tags_of(batch.ids, words)
        for kind in np.unique(kinds).tolist():
            if kind not in self._choices:
                ids = np.flatnonzero(self._vocabulary.group == kind >> 16)
                if self.keep_inflection:
                    ids = ids[keeps_inflection(kind & 0xFFFF, self._vocabulary.tags[ids])]
                self._choices[kind] = ids
        choices = [self._choices[kind] for kind in kinds.tolist()]
        some = np.flatnonzero([len(ids) > 0 for ids in choices])
        return words[some], [choices[i] for i in some]

    def _proposed(self, candidates: Candidates) -> tuple[Words, list[np.ndarray]]:
        """The words for which a source has candidates of one piece, and these."""
        candidates = candidates.compact()
        ids = np.where(np.diff(candidates.offsets) == 1, candidates.pieces[candidates.offsets[:-1]], -1).astype(
            np.int64
        )
        choices = [own[own >= 0] for own in np.split(ids, candidates.first[1:])]
        some = np.flatnonzero([len(own) > 0 for own in choices])
        return candidates.words[some], [choices[i] for i in some]
