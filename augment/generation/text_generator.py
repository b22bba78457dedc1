"""One model that writes texts: prompts, batches, generation, decoding."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from ..core.devices import default_device, evaluation
from ..core.given import tokenizer_of
from ..core.lexicon import tokenizer_fingerprint
from ..mlm.fill_mask import longest_input, model_fingerprint


PLACE = "{text}"  # of the text in a prompt

_BATCH_TOKENS = {"cpu": 4096, "cuda": 16384}

# What a model wrote for one text; `None` for a text without an end. Empty if the prompt was too long for the model.
Texts = list[str | None]


class TextGenerator:
    """Completes a prompt with each text of a list. For the arguments see `Generated`; `options` are of `generate`."""

    def __init__(
        self,
        model,
        tokenizer,
        prompt: str,
        options: Mapping[str, Any],
        device: str | None = None,
        batch_tokens: int | None = None,
    ):
        self._given_model, self._given_tokenizer = model, tokenizer
        self.prompt = prompt
        self.options = dict(options)
        self.device = device
        self._batch_tokens = batch_tokens

    @cached_property
    def model(self):
        if isinstance(self._given_model, str):
            return load_model(self._given_model, self.device or default_device())
        return self._given_model

    @cached_property
    def tokenizer(self):
        return tokenizer_of(self._given_model, self._given_tokenizer)

    @cached_property
    def is_causal(self) -> bool:
        return not self.model.config.is_encoder_decoder

    def fingerprint(self) -> dict[str, Any]:
        """Everything that determines what is written for a text, as plain data."""
        is_fast = hasattr(self.tokenizer, "backend_tokenizer")
        vocabulary = json.dumps(sorted(self.tokenizer.get_vocab().items())).encode()
        return {
            "model": model_fingerprint(self.model),
            "model's options": own_options(self.model.generation_config),
            "tokenizer": tokenizer_fingerprint(self.tokenizer) if is_fast else sha256(vocabulary).hexdigest(),
            "prompt": self.prompt,
            "ids of the prompt": self._prompt_ids,  # also what a template and the tokenizer add
        }

    def generate(self, texts: Sequence[str], keys: np.ndarray) -> list[Texts]:
        """N texts for each of B texts, given what random numbers of each depend on: `(B, N)`, `uint64`."""
        ids = self._encode(texts)
        lengths = np.array([len(row) for row in ids])
        limits = self._limits(lengths)
        groups: list[Texts] = [[] for _ in texts]
        num_beams = self.options.get("num_beams") or 1
        with evaluation(self.model):
            for batch in self._batches(lengths, limits, max(keys.shape[1], num_beams)):
                written = self._generate([ids[i] for i in batch], limits[batch], keys[batch])
                for i, group in zip(batch.tolist(), written, strict=True):
                    groups[i] = group
        return groups

    @cached_property
    def _prompt_ids(self) -> list[int]:
        return self._encode([""])[0]

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        prompts = [self.prompt.replace(PLACE, text) for text in texts]
        has_template = self.is_causal and getattr(self.tokenizer, "chat_template", None) is not None
        if has_template:
            chats = [[{"role": "user", "content": prompt}] for prompt in prompts]
            prompts = self.tokenizer.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        return self.tokenizer(prompts, add_special_tokens=not has_template, verbose=False)["input_ids"]

    def _limits(self, lengths: np.ndarray) -> np.ndarray:
        """Most tokens that may be written for prompts `(B,)`; below 1 if the model cannot read the prompt."""
        own, most = np.maximum(lengths - len(self._prompt_ids), 1), longest_input(self.model)
        limits = self.options.get("max_new_tokens") or 2 * own + 16
        limits = np.minimum(limits, most - lengths if self.is_causal else most - 1)
        return np.where((lengths > 0) & (lengths <= min(self.tokenizer.model_max_length, most)), limits, 0)

    def _batches(self, lengths: np.ndarray, limits: np.ndarray, num_rows: int) -> Iterator[np.ndarray]:
        """Indices of prompts that go together, by length. A prompt becomes `num_rows` rows in the model."""
        kind = "cpu" if self.model.device.type == "cpu" else "cuda"
        size = self._batch_tokens or _BATCH_TOKENS[kind]
        order = np.argsort(lengths, kind="stable")
        batch: list[int] = []
        longest = 0
        for i in order[limits[order] > 0].tolist():
            longest = max(longest, int(lengths[i] + limits[i]))
            if batch and (len(batch) + 1) * num_rows * longest > size:
                yield np.array(batch)
                batch, longest = [], int(lengths[i] + limits[i])
            batch.append(i)
        if batch:
            yield np.array(batch)

    def _generate(self, ids: Sequence[list[int]], limits: np.ndarray, keys: np.ndarray) -> list[Texts]:
        """A batch of prompts."""
        import torch

        from .row_sampling import RowSampling

        inputs = self._padded(ids)
        options = {"pad_token_id": self._pad, **self.options, "return_dict_in_generate": False}
        options |= {"num_return_sequences": keys.shape[1], "max_new_tokens": int(limits.max())}
        with torch.inference_mode(), RowSampling(keys.ravel()):
            rows = self.model.generate(**inputs, **options, tokenizer=self.tokenizer).cpu().numpy()
        rows = rows[:, inputs["input_ids"].shape[1] if self.is_causal else 1 :]
        # Rows end in their last token before the end and the padding. A row may go on to the limit of its batch, but
        # has to end within its own, as it would alone.
        is_text = ~np.isin(rows, [options["pad_token_id"], *self._ends])
        written = (is_text * np.arange(1, rows.shape[1] + 1)).max(axis=1)
        texts = [
            self._text(row[:length].tolist()) if length < limit else None
            for row, length, limit in zip(rows, written, np.repeat(limits, keys.shape[1]), strict=True)
        ]
        return [texts[i : i + keys.shape[1]] for i in range(0, len(texts), keys.shape[1])]

    def _padded(self, ids: Sequence[list[int]]) -> dict[str, Any]:
        """A batch of prompts as tensors, padded on the left for a causal model."""
        import torch

        longest, tokens, mask = max(map(len, ids)), [], []
        for row in ids:
            padding = longest - len(row)
            # The model does not see the padding, but penalties of repetition do, so it repeats a token of the prompt.
            tokens.append(row[:1] * padding + row if self.is_causal else row + row[-1:] * padding)
            mask.append([0] * padding + [1] * len(row) if self.is_causal else [1] * len(row) + [0] * padding)
        device = self.model.device
        return {
            "input_ids": torch.tensor(tokens, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }

    @cached_property
    def _ends(self) -> list[int]:
        """The ids that end a text."""
        ends = self.options.get("eos_token_id", self.model.generation_config.eos_token_id)
        return [] if ends is None else np.ravel(ends).tolist()

    @cached_property
    def _pad(self) -> int:
        known = [self.tokenizer.pad_token_id, self.model.generation_config.pad_token_id, *self._ends, 0]
        return next(token for token in known if token is not None)

    def _text(self, ids: list[int]) -> str:
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        for stop in np.ravel(self.options.get("stop_strings") or []).tolist():
            text = text.split(stop)[0]
        return text.strip()


def load_model(name: str, device: str):
    """
    The sequence-to-sequence or causal model of this name or path. Raises a `ValueError` if it is neither, or has no
    weights for its head.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    )

    config = AutoConfig.from_pretrained(name)
    is_seq2seq = getattr(config, "is_encoder_decoder", False)
    names = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES if is_seq2seq else MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    found = ", ".join(config.architectures or [config.model_type])
    expected = "expected a sequence-to-sequence model, such as T5 or BART, or a causal one, such as GPT-2 or Llama."
    if config.model_type not in names or any(kind in found for kind in ("MaskedLM", "Classification", "Answering")):
        raise ValueError(f"The model {name} is a {found}, which writes no texts; {expected}")
    loader = AutoModelForSeq2SeqLM if is_seq2seq else AutoModelForCausalLM
    loaded: Any = loader.from_pretrained(name, output_loading_info=True)
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"The model {name} has no weights for {', '.join(missing[:3])} of {type(model).__name__}; {expected}"
        )
    model.generation_config.max_length = None  # `max_new_tokens` limits the length
    return model.to(device).eval()


def own_options(generation_config) -> dict[str, Any]:
    """The arguments of `generate` that a configuration sets."""
    options = generation_config.to_diff_dict()
    return {name: value for name, value in options.items() if not name.startswith("_") and "version" not in name}
