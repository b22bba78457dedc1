"""What the augmenters with a masked language model share: the model, the table of its proposals, and their draw."""

import hashlib
import json
import os
from abc import abstractmethod
from functools import cache, cached_property

import numpy as np

from ..configurable import check_choice, check_count
from ..core.atomic_file import cache_folder, local_cache_folder
from ..core.batch import Batch
from ..core.devices import default_device, fast_dtype
from ..core.lexicon import tokenizer_fingerprint
from ..core.ragged import find, ranges
from ..core.storage import location
from ..core.vocabulary import Vocabulary
from ..languages.language import ENGLISH
from ..substitution import Substitution
from .candidate_table import CandidateTable, Pending, Proposals, UniqueRows, entry_type, make_table
from .fill_mask import FillMask, Questions, load_masked_lm, model_fingerprint
from .masking import mask_words


DTYPES = ("float32", "bfloat16", "float16")

_MAX_PADDING = 1024  # embeddings beyond the vocabulary


class MaskedLMSource(Substitution):
    """
    A source of candidates that a masked language model proposes.

    A subclass says what the model is asked (`questions`), and what becomes of its proposals (`candidates`). The model
    takes far more time than everything else, and its proposals for a row never change, so `precompute` them for the
    training dataset. Other rows get theirs on demand.

    Args:
        See `MaskedLMSubstitution`.

    Attributes:
        maskings (`tuple[str, ...]`): The values of `masking`.
        table_format (`int` or `str`): A mark of the code that determines the proposals, in the manifest of each table.
        table_options (`tuple[str, ...]`): The arguments that determine the proposals.
        lang (`str`): The language of the texts.
        min_probability (`float`): The least probability of a proposal.
    """

    maskings: tuple[str, ...]
    table_format: int | str
    table_options: tuple[str, ...]
    lang = ENGLISH
    min_probability = 0.0
    precomputes = True

    def __init__(
        self,
        tokenizer,
        model,
        *,
        top_m: int = 15,
        temperature: float = 1.0,
        masking: str = "grouped",
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
        check_choice("masking", masking, self.maskings)
        if dtype is not None:
            dtype = str(dtype).removeprefix("torch.")
            check_choice("dtype", dtype, DTYPES)
        if batch_tokens is not None:
            check_count("batch_tokens", batch_tokens)
        self.model = os.fspath(model) if isinstance(model, str | os.PathLike) else model
        self.top_m = top_m
        self.temperature = temperature
        self.masking = masking
        self.device = None if device is None else str(device)
        self.dtype = dtype
        self.batch_tokens = batch_tokens
        self.cache_dir = None if cache_dir is None else str(location(cache_dir))
        self._check_vocabulary()
        self._table: CandidateTable | None = None

    @property
    @abstractmethod
    def needs_tags(self) -> bool:
        """Whether the choices depend on the parts of speech of the vocabulary."""

    @abstractmethod
    def questions(self, batch: Batch) -> Questions:
        """What the model is asked about a batch, regardless of the constraints: a pure function of each row."""

    def precompute(self, dataset, path: str | os.PathLike | None = None) -> "MaskedLMSource":
        """
        Computes the candidates of all rows of a dataset once and uses them from now on.

        They are stored on disk: a second call loads them, and a call after an interruption resumes. In a distributed
        launch all processes call this, and each computes its share; the worker processes of a data loader share one
        memory map. Candidates do not depend on `temperature`, `replace_prob` and the constraints.

        Args:
            dataset (`datasets.Dataset` or a sequence of examples): Rows with `input_ids`, tokenised for training.
            path (`str` or `Path`, *optional*):
                Folder of the table, or its URL in a store, such as `s3://bucket/table`, of which each machine makes a
                copy. Defaults to one in `cache_dir`, named after everything that determines the candidates.

        Returns:
            The augmenter itself.

        Raises:
            `TypeError`: if the length of the dataset is unknown.
            `ValueError`: if rows have no `input_ids`, or `path` has a table of other data, another tokenizer, model or
                other options.
        """
        super().precompute(dataset)
        rows = UniqueRows(dataset)
        model = self._loaded_model()
        device = self.device or default_device()
        dtype = self.dtype or fast_dtype(device)
        manifest = {
            "format": self.table_format,
            "data": rows.fingerprint(),
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "words": self._vocabulary.fingerprint(self.needs_tags),
            "model": model_fingerprint(model),
            "options": {"dtype": dtype, **{name: getattr(self, name) for name in self.table_options}},
        }
        if path is None and self._table is not None and self._table.matches(manifest):
            return self  # already made, perhaps in another folder
        if path is None:
            digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
            path = cache_folder(self.cache_dir) / f"masked-lm-{digest[:16]}"
        fill_mask = cache(lambda: FillMask(model, device, dtype, self.batch_tokens))  # only if the table is incomplete
        copies = local_cache_folder(self.cache_dir)
        self._table = make_table(location(path), rows, manifest, lambda batch: self._begin(batch, fill_mask()), copies)
        return self

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
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tokenizer, self.lang)

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

    def _proposed(self, batch: Batch, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        What the model proposes at places `(W,)` in `batch.ids`.

        Returns:
            The numbers of the places for which it proposes anything, and the entry of each of these.
        """
        count, entries = self._proposals(batch)
        found = find(np.repeat(batch.starts, count) + entries["start"], place)
        known = np.flatnonzero(found >= 0)
        return known, entries[found[known]]

    def _cumulative(self, entries: np.ndarray) -> np.ndarray:
        """Probability of each proposal or one before it, under the temperature, `(W, M)`."""
        present = entries["ids"] >= 0
        # Relative to the best score, so that the best candidate never underflows at a low temperature.
        scores = np.where(present, entries["scores"], -np.inf).astype(np.float64)
        distance = np.where(present, scores - scores.max(axis=1, keepdims=True, initial=-1e9), 0.0)
        cumulative = np.where(present, np.exp(distance / self.temperature), 0.0).cumsum(axis=1)
        return cumulative / cumulative[:, -1:]

    def _proposals(self, batch: Batch) -> Proposals:
        """The proposals for a batch, regardless of the constraints, from the table where it has a row."""
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
        """What the model proposes for a batch."""
        return self._begin(batch, fill_mask).result()

    def _begin(self, batch: Batch, fill_mask: FillMask) -> Pending:
        """Has the model begin to propose something for a batch."""
        batch, num_removed = self._without_padding(batch)
        questions = self.questions(batch)
        words = questions.words
        entries = np.zeros(len(words), dtype=entry_type(self.top_m))
        if not len(words):
            return Pending(lambda: True, lambda: (np.zeros(len(batch), dtype=np.int64), entries))
        inputs = mask_words(batch, words, self.masking, self.tokenizer.mask_token_id, fill_mask.max_length)
        answers = fill_mask.best(inputs, questions, self.top_m, self.min_probability)
        entries["start"] = words.start - batch.starts[words.row] + num_removed[words.row]

        def result() -> Proposals:
            entries["ids"], entries["scores"] = answers.read()
            some = entries["ids"][:, 0] >= 0
            return np.bincount(words.row[some], minlength=len(batch)), entries[some]

        return Pending(answers.is_ready, result)

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
