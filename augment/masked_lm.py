"""Substitution by what a masked language model would put in a word's place."""

import hashlib
import json
import os
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .configurable import check_count
from .core.batch import Batch
from .core.cache import cache_folder
from .core.candidates import Candidates
from .core.lexicon import tokenizer_fingerprint
from .core.ragged import ranges
from .core.vocabulary import Vocabulary, capitalised, keeps_inflection, require_dictionary
from .core.words import Words
from .mlm.candidate_table import CandidateTable, Proposals, Rows, entry_type, make_table
from .mlm.fill_mask import FillMask, default_device, fast_dtype, fingerprint, load
from .mlm.passes import MASKINGS, plan
from .substitution import Substitution


MULTI_PIECE = ("refill", "leave")
DTYPES = ("float32", "bfloat16", "float16")

_MOST_PADDING = 1024  # rows of embeddings beyond the vocabulary
_FORMAT = 2  # of the candidates; raise it when they would come out differently


class MaskedLMSubstitution(Substitution):
    """
    Replaces words by what a masked language model would put in their place, which fits the context: "a wonderful film"
    may become "a terrible film".

    A word's candidates are the `top_m` likeliest whole words of its case, a space before it or not, and inflection;
    after "a" and "an" those of them that begin with a vowel letter just as the word does, or do not just as it does
    not. A variant takes one of them with probability `P ~ softmax(log P(word | context) / temperature)`. Stop words,
    numbers, parts of hyphenated words and, if the tokenizer keeps case, capitalised words inside a sentence, most of
    them names, stay; so do, with `keep_inflection`, words that the dictionary does not have.

    A model costs far more than all else here, and the candidates of a row are always the same: for training,
    [`precompute`] them for the data set. Rows that the table does not have get theirs when they are needed.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerFast`]): The classifier's tokenizer, a fast one.
        model (`str`, `Path` or [`~transformers.PreTrainedModel`]):
            A masked LM with the classifier's vocabulary: a name or path, or the model. By name it is loaded at first
            use.
        top_m (`int`, *optional*, defaults to 15): Most candidates of a word.
        temperature (`float`, *optional*, defaults to 1.0):
            Above 0. Near 0 the likeliest candidate is always taken, at `float("inf")` all are alike.
        masking (`str`, *optional*, defaults to `"grouped"`):
            How the model is asked. `"grouped"`: each pass over a row masks words that lie far apart, some 15 % of its
            tokens. `"single"`: a pass for every word. `"none"`: one pass, in which the words stand as they are.
        multi_piece (`str`, *optional*, defaults to `"refill"`):
            Words of several pieces become one mask and so one piece (`"refill"`), or stay (`"leave"`).
        keep_inflection (`bool`, *optional*, defaults to `True`):
            Whether candidates have a part of speech and the inflection of the word. Needs `lemminflect`.
        device (`str`, *optional*): Where the model runs. Defaults to the GPU where there is one.
        dtype (`str`, *optional*):
            In what the model computes. By default in `"bfloat16"` for a table where the device is made for it, else in
            `"float32"`. Without a table, rounding may give a row of another batch another candidate: in one of some
            thousand variants in `"float32"`, more often in 16 bits.
        batch_tokens (`int`, *optional*): Tokens that the model gets at once. Defaults to 2,048 on a CPU, else 32,768.
        cache_dir (`str` or `Path`, *optional*):
            Where tables are kept. Defaults to `$HF_MMEL_CACHE`, or `hf_mmel` in the user's cache folder.
        options: `replace_prob` of [`Substitution`], and the constraints of [`WordAugmenter`].

    Raises:
        `ImportError`: if inflection is to be kept and `lemminflect` is not installed.
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
        masking: str = "grouped",
        multi_piece: str = "refill",
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
        if masking not in MASKINGS:
            raise ValueError(f"masking is {masking!r}; expected one of {', '.join(map(repr, MASKINGS))}.")
        if multi_piece not in MULTI_PIECE:
            raise ValueError(f"multi_piece is {multi_piece!r}; expected one of {', '.join(map(repr, MULTI_PIECE))}.")
        dtype = None if dtype is None else str(dtype).removeprefix("torch.")
        if dtype is not None and dtype not in DTYPES:
            raise ValueError(f"dtype is {dtype!r}; expected one of {', '.join(map(repr, DTYPES))}.")
        if batch_tokens is not None:
            check_count("batch_tokens", batch_tokens)
        if keep_inflection:
            require_dictionary()
        self.model = os.fspath(model) if isinstance(model, str | os.PathLike) else model
        self.top_m = top_m
        self.temperature = temperature
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
        Makes the candidates of all rows of a data set, once, and uses them from now on.

        They are kept on disk, so that a second call opens them, and a call that was interrupted goes on where it
        stopped. In a launch of several processes all call this, and each makes its share; worker processes of a data
        loader share one memory map. Candidates do not depend on `temperature`, `replace_prob` and the constraints.

        Args:
            dataset ([`~datasets.Dataset`] or a sequence of examples): Rows with `input_ids`, tokenised for training.
            path (`str` or `Path`, *optional*):
                The table's folder. Defaults to one in `cache_dir` that is named after all that decides the candidates.

        Returns:
            The augmenter itself.

        Raises:
            `TypeError`: if the length of the data set is not known.
            `ValueError`: if rows have no `input_ids`, or `path` has a table of other data, another tokenizer, model or
                other options.
        """
        rows = Rows(dataset)
        model = load(self.model) if isinstance(self.model, str) else self.model
        device = self.device or default_device()
        dtype = self.dtype or fast_dtype(device)
        manifest = {
            "format": _FORMAT,
            "data": rows.fingerprint(),
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "words": self._vocabulary.fingerprint(self.keep_inflection),
            "model": fingerprint(model),
            "options": {
                "dtype": dtype,
                **{name: getattr(self, name) for name in ("top_m", "masking", "multi_piece", "keep_inflection")},
            },
        }
        if path is None and self._table is not None and self._table.is_of(manifest):
            return self  # it was made beforehand, in a folder of its own maybe
        if path is None:
            digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
            path = cache_folder(self.cache_dir) / f"masked-lm-{digest[:16]}"
        fill_mask = cache(lambda: FillMask(model, device, dtype, self.batch_tokens))
        self._table = make_table(Path(path), rows, manifest, lambda batch: self._propose(batch, fill_mask()))
        return self

    precomputes = True

    def to_dict(self) -> dict[str, Any]:
        config = super().to_dict()
        if not isinstance(self.model, str):
            config["model"] = getattr(self.model, "name_or_path", "")
            if not config["model"]:
                raise ValueError(
                    f"The masked LM is a {type(self.model).__name__} without a name_or_path, which plain data cannot "
                    "describe. Save it with model.save_pretrained(folder), and give the folder instead."
                )
        return config

    def _check_vocabulary(self) -> None:
        size = len(self.tokenizer)
        if self.tokenizer.mask_token_id is None:
            raise ValueError("The tokenizer has no mask token; expected that of a masked LM.")
        if isinstance(self.model, str):
            from transformers import AutoTokenizer

            other = AutoTokenizer.from_pretrained(self.model).get_vocab()
            if other == self.tokenizer.get_vocab():
                return
            found = f"a vocabulary of {len(other)} tokens"
        else:
            rows = self.model.get_input_embeddings().weight.shape[0]
            if size <= rows < size + _MOST_PADDING:
                return
            found = f"embeddings of {rows} tokens"
        raise ValueError(
            f"The masked LM has {found}, and the tokenizer another vocabulary, of {size}; expected the same one, "
            "since candidates are ids. Give a masked LM of the classifier's family, such as the one it was made from."
        )

    @cached_property
    def _choices(self) -> dict[int, np.ndarray]:
        """The ids that words of each kind met so far may become."""
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
                "dataloader_num_workers=0, or, where it sees the examples of a data set as they are, call "
                "precompute(dataset) before training."
            )
        model = load(self.model) if isinstance(self.model, str) else self.model
        return FillMask(model, device, self.dtype or "float32", self.batch_tokens)

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
        # The temperature acts on the distance from the best, so that the best one is never lost to underflow.
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
        """Leaves out the candidates that need another article than the one which stands before their word."""
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
        """The words of a batch that have candidates, whatever the constraints, and the candidates."""
        if self._table is None:
            return self._propose(batch, self._fill_mask)
        known, (count, entries) = self._table.lookup(batch)
        if known.all():
            return count, entries
        rows = np.concatenate([np.flatnonzero(known), np.flatnonzero(~known)])
        more, others = self._propose(batch.take(rows[len(count) :].tolist()), self._fill_mask)
        count = np.concatenate([count, more])
        order = np.repeat(rows, count).argsort(kind="stable")
        return count[rows.argsort()], np.concatenate([entries, others])[order]

    def _propose(self, batch: Batch, fill_mask: FillMask) -> Proposals:
        """What the model proposes for a batch."""
        batch, num_left_out = self._without_padding(batch)
        words, kinds = self._fillable(batch)
        entries = np.zeros(len(words), dtype=entry_type(self.top_m))
        if len(words):
            passes = plan(batch, words, self.masking, self.tokenizer.mask_token_id, fill_mask.limit)
            old = np.where(words.length == 1, batch.ids[words.start], -1)
            entries["start"] = words.start - batch.starts[words.row] + num_left_out[words.row]
            entries["ids"], entries["scores"] = fill_mask.best(passes, old, kinds, self._choices, self.top_m)
        some = entries["ids"][:, 0] >= 0
        return np.bincount(words.row[some], minlength=len(batch)), entries[some]

    def _without_padding(self, batch: Batch) -> tuple[Batch, np.ndarray]:
        """The rows without the padding at their ends, which the model would read as text, and how much of it led."""
        padding = batch.ids == self.tokenizer.pad_token_id
        if self.tokenizer.pad_token_id is None or not padding.any():
            return batch, np.zeros(len(batch), dtype=np.int64)
        row = np.repeat(np.arange(len(batch)), batch.lengths)
        place = (np.arange(len(row)) - batch.starts[row])[~padding]
        first, last = batch.lengths.copy(), np.zeros_like(batch.lengths)
        np.minimum.at(first, row[~padding], place)
        np.maximum.at(last, row[~padding], place + 1)
        lengths = np.maximum(last - first, 0)
        return Batch.of_arrays(batch.ids[ranges(batch.starts + first, lengths)], lengths), first

    def _fillable(self, batch: Batch) -> tuple[Words, np.ndarray]:
        """The words that may have candidates, and the kind of each, which decides among which ids these are."""
        words = self.finder.words(batch)
        if self.multi_piece == "leave":
            words = words[words.length == 1]
        group = self._vocabulary.groups_of(batch.ids, words).astype(np.int64)
        chosen = np.flatnonzero((group > 0) & (words.first | ~capitalised(group)))
        words, kinds = words[chosen], group[chosen] << 16
        if self.keep_inflection:
            kinds |= self._vocabulary.tags_of(batch.ids, words)
        for kind in np.unique(kinds).tolist():
            if kind not in self._choices:
                self._choices[kind] = self._choices_of(kind)
        some = np.array([len(self._choices[kind]) > 0 for kind in kinds.tolist()], dtype=bool)
        return words[some], kinds[some]

    def _choices_of(self, kind: int) -> np.ndarray:
        """The ids that a word of this kind may become."""
        group, tags = kind >> 16, kind & 0xFFFF
        ids = np.flatnonzero(self._vocabulary.group == group)
        return ids[keeps_inflection(tags, self._vocabulary.tags[ids])] if self.keep_inflection else ids
