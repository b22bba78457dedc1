"""Paraphrases and back-translations of whole texts, by sequence-to-sequence and causal language models."""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from .configurable import check_count
from .core.atomic_file import cache_folder
from .core.given import as_list, columns_of
from .core.randomness import Seed, row_keys
from .core.running import shown
from .core.shared_folder import distributed
from .core.tables import is_encodable
from .generation.filtering import REASONS, Scorer, TextFilter
from .generation.store import stored_texts
from .generation.text_generator import PLACE, TextGenerator, Texts, own_options


logger = logging.getLogger(__name__)

_FORMAT = 1  # of the texts; raise it when a change of the code changes them


class Generated:
    """
    Writes new texts for a text, such as paraphrases or back-translations, by a model of transformers. It makes a
    column with a list of texts for each row of a dataset.

    A new text is kept if it ends, if it differs from the original and from those before it in more than case and
    space, and if its length and its score are in range.

    The random numbers of a sampled text are a hash of the seed, of the original and of its number among the texts of
    this original. The last digits of what the model computes depend on the shape of the batch, so a text can differ
    now and then in another dataset, or with other `batch_tokens`. Within a dataset the batches are always the same,
    also after an interruption and with another number of processes.

    Args:
        model (`str`, `Path`, `transformers.PreTrainedModel` or a list of them):
            A sequence-to-sequence model (T5, BART, Marian) or a causal one (GPT-2, Llama): a name or path, which is
            loaded at first use, or the model, which is used on its device. A list is a chain, such as a translator
            and one back: the second model continues with what the first one wrote.
        prompt (`str` or a list of `str`, *optional*, defaults to `"{text}"`):
            What the model is given, with `{text}` in the place of the text: `"paraphrase: {text}"`. If the tokenizer
            of a causal model has a chat template, the prompt is the user's message. A list has one for each model of a
            chain.
        tokenizer (*optional*): The tokenizer of the model, needed if the model is not given by name; or a list.
        generation_config (`transformers.GenerationConfig`, *optional*):
            Arguments of `generate`. Those that it does not set are the model's own.
        min_ratio (`float`, *optional*, defaults to 0.5): Shortest new text, in characters of the original.
        max_ratio (`float`, *optional*, defaults to 2.0): Longest new text, in characters of the original.
        scorer (`Callable`, *optional*):
            `scorer(original_texts, texts)` gives a number for each of N pairs, `(N,)`, at most 128 at once. That of a
            classifier is `LabelFilter(...).scores`.
        min_score (`float`, *optional*): Texts with a lower score are left out.
        device (`str`, *optional*): Where models given by name run. Defaults to the GPU if there is one.
        batch_tokens (`int`, *optional*):
            Tokens per batch, those to be generated included. Defaults to 4,096 on a CPU, else 16,384.
        cache_dir (`str` or `Path`, *optional*):
            Where texts are stored: a folder, or the URL of one in a store, such as `s3://bucket/cache`. Defaults to
            `$HF_MMEL_CACHE`, or `hf_mmel` in the user's cache folder.
        generation:
            Single arguments of `generate`, such as `temperature=0.9` or `num_beams=8`. By default texts are sampled,
            unless `num_beams` is larger than 1. `max_new_tokens` is by default twice the tokens of the text and 16
            more. `num_return_sequences` texts are written for each original, by default as many as are wanted; with
            more, others can replace those that are left out. In a chain, later models write one text for each of them.

    Raises:
        `TypeError`: if the model is no model or name, or an argument of `generate` is unknown.
        `ValueError`: if an argument is out of range, a prompt lacks `{text}`, or, at first use, a model is neither a
            sequence-to-sequence nor a causal one.

    Example:

    ```python
    >>> generated = Generated("humarin/chatgpt_paraphraser_on_T5_base", "paraphrase: {text}", temperature=0.9)
    >>> dataset = generated.annotate(dataset, "sentence", num_variants=4)
    >>> dataset[0]["paraphrases"]
    ```

    Source of back-translation: Sennrich, Haddow and Birch, "Improving neural machine translation models with
    monolingual data", ACL 2016, and, for classifiers, Xie et al., "Unsupervised data augmentation for consistency
    training", NeurIPS 2020.
    """

    def __init__(
        self,
        model,
        prompt: str | Sequence[str] = PLACE,
        *,
        tokenizer=None,
        generation_config=None,
        min_ratio: float = 0.5,
        max_ratio: float = 2.0,
        scorer: Scorer | None = None,
        min_score: float | None = None,
        device: str | None = None,
        batch_tokens: int | None = None,
        cache_dir: str | os.PathLike | None = None,
        **generation,
    ):
        self.filter = TextFilter(min_ratio, max_ratio, scorer, min_score)
        check_count("batch_tokens", batch_tokens, optional=True)
        if generation_config is not None:
            generation = own_options(generation_config) | generation
        self.options = _checked_options(generation)
        models = list(model) if isinstance(model, list | tuple) else [model]
        prompts, tokenizers = _per_model("prompt", prompt, models), _per_model("tokenizer", tokenizer, models)
        if not models:
            raise ValueError("model is an empty list; expected a model, or a list with the models of a chain.")
        self.generators = [
            TextGenerator(_checked_model(*own), own[1], _checked_prompt(prompt), self.options, device, batch_tokens)
            for *own, prompt in zip(models, tokenizers, prompts, strict=True)
        ]
        self.cache_dir = cache_dir

    def texts(self, texts: Sequence[str], num_variants: int = 4, seed: Seed = 42) -> list[list[str]]:
        """
        New texts for each of B texts.

        They are stored on disk, before they are filtered: a second call loads them, and a call after an interruption
        resumes. In a distributed launch all processes call this with the same texts, and each writes its share.

        Args:
            texts: B texts.
            num_variants (`int`, *optional*, defaults to 4): Maximum number of new texts for each.
            seed (`int` or tuple of `int`, *optional*, defaults to 42): Of sampling.

        Returns:
            A list of B lists of up to `num_variants` texts, the same ones for equal texts.

        Raises:
            `ValueError`: if `num_variants` is out of range or more than is generated, or the scorer does not return N
                numbers.
            `TypeError`: if `texts` is not a list of texts.
        """
        num_texts = self._num_texts(num_variants)
        texts = _checked_texts(texts)
        distinct = sorted({text for text in texts if text.strip()}, key=lambda text: (len(text), text))
        generated = self._generated(distinct, num_texts, seed) if distinct else {}
        kept, left_out = self.filter.keep(generated, num_variants)
        if num_few := sum(len(group) < num_variants for group in kept.values()):
            reasons = [f"{left_out[name]} {reason}" for name, reason in REASONS.items() if left_out[name]]
            logger.warning(
                "%d of %d texts have fewer than %d new ones. Of %d that were generated, these are left out: %s.",
                *(num_few, len(distinct), num_variants, num_texts * len(distinct), ", ".join(reasons)),
            )
        return [list(kept.get(text, [])) for text in texts]

    def annotate(
        self,
        dataset,
        text_column: str = "text",
        column: str = "paraphrases",
        num_variants: int = 4,
        seed: Seed = 42,
    ):
        """
        The dataset with a column of lists of new texts. See `texts`.

        Args:
            dataset (`datasets.Dataset` or a list of dicts): Rows with a column of text.
            text_column (`str`, *optional*, defaults to `"text"`): The column of the originals.
            column (`str`, *optional*, defaults to `"paraphrases"`): The new column.
            num_variants: As in `texts`.
            seed: As in `texts`.

        Returns:
            A `datasets.Dataset`, or a list of dicts.

        Raises:
            `TypeError`: if the dataset is something else, such as a stream.
            `ValueError`: if the text column is missing, the new one is not, or a row has no text.
        """
        columns, is_list = columns_of(dataset), isinstance(dataset, list | tuple)
        if text_column not in columns and len(dataset):
            raise ValueError(f"text_column is {text_column!r}; the dataset has the columns {shown(columns)}.")
        if column in columns:
            raise ValueError(f"The dataset already has a column {column!r}. Choose another name, or remove it.")
        texts = [row.get(text_column) for row in dataset] if is_list else list(dataset[text_column])
        groups = self.texts(texts, num_variants, seed)
        if is_list:
            return [{**row, column: group} for row, group in zip(dataset, groups, strict=True)]
        from datasets import List, Value

        return dataset.add_column(column, groups, feature=List(Value("string")))

    def _num_texts(self, num_variants: int) -> int:
        """How many texts are generated for each original."""
        check_count("num_variants", num_variants)
        num_texts = self.options.get("num_return_sequences") or num_variants
        if num_texts < num_variants:
            raise ValueError(
                f"num_return_sequences is {num_texts} and num_variants {num_variants}; expected at least as many."
            )
        if not self.options["do_sample"] and num_texts > self.options["num_beams"]:
            raise ValueError(
                f"do_sample is False and num_beams is {self.options['num_beams']}, but {num_texts} texts are to be "
                f"generated for each original; expected do_sample=True or num_beams >= {num_texts}."
            )
        return num_texts

    def _generated(self, originals: Sequence[str], num_texts: int, seed: Seed) -> dict[str, Texts]:
        """All texts of the originals, from the cache or new."""
        distributed()  # chooses the device of this process, before models are loaded
        seed = seed if isinstance(seed, tuple) else (seed,)
        manifest = {
            "format": _FORMAT,
            "data": hashlib.sha256(json.dumps(originals).encode()).hexdigest(),
            "models": [generator.fingerprint() for generator in self.generators],
            "options": self.options,
            "texts": num_texts,
            "seed": row_keys([seed]).tolist(),
        }
        manifest = json.loads(json.dumps(manifest, default=repr))
        digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        folder = cache_folder(self.cache_dir) / f"generated-{digest[:16]}"
        return stored_texts(folder, originals, manifest, lambda part: self._generate(part, num_texts, seed))

    def _generate(self, originals: Sequence[str], num_texts: int, seed: tuple[int, ...]) -> list[Texts]:
        hashes = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") for text in originals]
        groups: list[Texts] = []
        for step, generator in enumerate(self.generators):
            keys = row_keys([(*seed, number, step, k) for number in hashes for k in range(num_texts)])
            keys = keys.reshape(-1, num_texts)
            if step == 0:
                groups = generator.generate(originals, keys)
                continue
            places = [(i, k) for i, group in enumerate(groups) for k, text in enumerate(group) if text]
            own = np.array([keys[place] for place in places], dtype=np.uint64)[:, None]
            written = generator.generate([str(groups[i][k]) for i, k in places], own) if places else []
            for (i, k), new in zip(places, written, strict=True):
                groups[i][k] = new[0] if new else None
        return groups


def _per_model(name: str, value: Any, models: Sequence[Any]) -> list[Any]:
    """A value for each model: those of a list, or the same one for all."""
    if not isinstance(value, list | tuple):
        return [value] * len(models)
    if len(value) != len(models):
        raise ValueError(f"{name} is a list of {len(value)} for {len(models)} models; expected one for each.")
    return list(value)


def _checked_prompt(prompt: Any) -> str:
    if not isinstance(prompt, str) or PLACE not in prompt:
        raise ValueError(
            f"prompt is {prompt!r:.200}; expected a string with {PLACE} in the place of the text, such as "
            f"'paraphrase: {PLACE}'."
        )
    return prompt


def _checked_model(model: Any, tokenizer: Any) -> Any:
    """A name or path as a string, or a model that can generate, with its tokenizer."""
    if isinstance(model, str | os.PathLike):
        return os.fspath(model)
    if not hasattr(model, "can_generate"):
        raise TypeError(f"model is {model!r:.60}; expected the name of a model, or a model of transformers.")
    if not model.can_generate():
        raise ValueError(
            f"model is a {type(model).__name__}, which writes no texts; expected a sequence-to-sequence model, such "
            "as T5ForConditionalGeneration, or a causal one, such as GPT2LMHeadModel."
        )
    if tokenizer is None:
        raise ValueError(f"model is a {type(model).__name__} and tokenizer is None; pass the model's tokenizer too.")
    return model


def _checked_options(generation: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `generate`, with a choice of sampling or beam search."""
    from transformers import GenerationConfig

    known = [name for name in vars(GenerationConfig()) if not name.startswith("_")]
    if unknown := [name for name in generation if name not in known]:
        raise TypeError(
            f"Received {', '.join(map(repr, unknown))}; expected arguments of Generated or of "
            "transformers.GenerationConfig, such as temperature."
        )
    if "max_length" in generation:
        raise ValueError("max_length would count the prompt of causal models; expected max_new_tokens.")
    num_beams = generation.get("num_beams") or 1
    do_sample = generation.get("do_sample")
    if do_sample is None:
        do_sample = num_beams == 1
    if do_sample and num_beams > 1:
        raise ValueError(
            f"do_sample is True and num_beams is {num_beams}; expected one of the two, since sampled beams depend on "
            "the other texts of a batch."
        )
    return {**generation, "do_sample": do_sample, "num_beams": num_beams}


def _checked_texts(texts: Any) -> list[str]:
    texts = as_list(texts)
    if not isinstance(texts, list | tuple):
        raise TypeError(f"texts is a {type(texts).__name__}; expected a list of texts.")
    for number, text in enumerate(texts):
        if not isinstance(text, str) or not is_encodable(text):
            raise ValueError(f"Row {number} (from 0) is {text!r:.60}; expected text.")
    return list(texts)
