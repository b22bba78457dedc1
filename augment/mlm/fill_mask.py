"""A masked language model that proposes words for positions of a text."""

import copy
import hashlib
import json
import logging
import math
from typing import NamedTuple

import numpy as np

from ..core.devices import HostCopy, is_on, on_device
from ..core.runs import Runs
from ..core.words import Words
from .masking import MaskedInputs, MaskedPass


logger = logging.getLogger(__name__)

_BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
_MAX_LOGITS = {"cpu": 1 << 24, "cuda": 1 << 29}  # of a pass
_MAX_CHOICES = 1 << 25  # that are compared at once


class Questions(NamedTuple):
    """
    The W places of a batch that a masked LM is asked about.

    Attributes:
        words (`Words`): The words that a mask replaces. For a mask that is inserted, it has no tokens.
        choices (`Runs`): The ids that the model may propose for each place, at least one.
        excluded (`Runs`): Ids that it may not propose, whether they are choices or not.
    """

    words: Words
    choices: Runs
    excluded: Runs


class Answers:
    """
    What a masked LM proposes for W words, on its way from the device.

    Args:
        words (`np.ndarray` of shape `(W,)`): Numbers of the words, in the order of the proposals.
        proposed (`torch.Tensor` of shape `(2, W, M)`, `int32`): Their ids, and the bits of their `float32` logits.
    """

    def __init__(self, words: np.ndarray, proposed):
        self._words, self._proposed = words, HostCopy(proposed)

    def is_ready(self) -> bool:
        """Whether they can be read without waiting for the device."""
        return self._proposed.is_ready()

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """
        The M best candidates of each word, `(W, M)`: ids in ascending order, -1 where there are fewer, and the
        logarithms of their probabilities relative to each other, `float16`.
        """
        ids, scores = self._proposed.numpy()[:, self._words.argsort()]
        return _by_id(ids.astype(np.int64), scores.view(np.float32))


class FillMask:
    """
    Proposes words for positions of a text with a masked LM, which is copied if its device or dtype is another.

    A forward pass has at most `batch_tokens` tokens, by default 2,048 on a CPU and 65,536 elsewhere. If the device
    runs out of memory, this number is halved for good, and so is the number of words of a pass.
    """

    def __init__(self, model, device: str, dtype: str, batch_tokens: int | None = None):
        import torch

        if not is_on(model, device, dtype) or model.training:
            model = copy.deepcopy(model).to(device, getattr(torch, dtype)).eval()
        self.model = model
        self.max_length = longest_input(model)
        kind = "cpu" if model.device.type == "cpu" else "cuda"
        self.batch_tokens = batch_tokens or _BATCH_TOKENS[kind]
        self._max_words = max(_MAX_LOGITS[kind] // model.get_input_embeddings().weight.shape[0], 1)
        self._gathers = model.base_model is not model

    def best(self, inputs: MaskedInputs, questions: Questions, top_m: int, min_probability: float = 0.0) -> Answers:
        """
        The `top_m` best candidates of each word among its choices. A candidate has at least `min_probability` in its
        place, all ids of the model considered.

        On a GPU the work is only begun: nothing here waits for the device.
        """
        import torch

        choices = on_device(questions.choices.items, self.model.device)
        words, proposed = [], []
        begin, pad_id = 0, self.model.config.pad_token_id or 0
        while begin < len(inputs):
            masked = inputs.forward_pass(begin, self.batch_tokens, self._max_words, pad_id)
            # Words with about as many choices stand together.
            masked = masked.take(questions.choices.count[masked.words].argsort(kind="stable")[::-1])
            try:
                with torch.inference_mode():
                    proposed.append(self._best_of(masked, questions, choices, top_m, min_probability))
            except torch.cuda.OutOfMemoryError:
                if len(masked.lengths) == 1:
                    raise
                # Half of this pass, which may be smaller than the limits.
                self.batch_tokens = max(min(self.batch_tokens, masked.ids.size) // 2, 1)
                self._max_words = max(min(self._max_words, len(masked.words)) // 2, 1)
                logger.info("Out of memory; the masked LM continues with %d tokens per batch.", self.batch_tokens)
                continue
            words.append(masked.words)
            begin += len(masked.lengths)
        return Answers(np.concatenate(words), torch.cat(proposed, dim=1))

    def _best_of(self, masked: MaskedPass, questions: Questions, choices, top_m: int, min_probability: float):
        """The ids and scores of one pass, see `Answers`, given the choices of all words on the device."""
        import torch

        logits = self.logits(masked)
        device = logits.device
        # The logarithm of the least probability, as a logit of each word.
        least = logits.float().logsumexp(-1) + math.log(max(min_probability, 1e-30))
        excluded = questions.excluded[masked.words]
        if excluded.count.any():
            rows = np.repeat(np.arange(len(excluded)), excluded.count)
            places = on_device(rows, device), on_device(excluded.flat().astype(np.int64), device)
            logits.index_put_(places, logits.new_full((), -torch.inf))
        counts = questions.choices.count[masked.words]
        first, count = (on_device(x, device) for x in (questions.choices.first[masked.words], counts))
        ids = torch.full((len(counts), top_m), -1, dtype=torch.int32, device=device)
        scores = torch.full((len(counts), top_m), -torch.inf, device=device)
        begin = 0
        while begin < len(counts):
            most = int(counts[begin])
            end = min(int((counts > most // 2).sum()), begin + max(_MAX_CHOICES // most, 1))
            some, column = slice(begin, end), torch.arange(most, device=device)
            own = choices[(first[some, None] + column).clamp(max=len(choices) - 1)]
            chosen = logits[some].gather(1, own).float()
            chosen.masked_fill_((column >= count[some, None]) | (chosen < least[some, None]), -torch.inf)
            score, index = chosen.topk(min(top_m, most))
            ids[some, : score.shape[1]] = own.gather(1, index).int()
            scores[some, : score.shape[1]] = score
            begin = end
        return torch.stack([ids, scores.view(torch.int32)])

    def logits(self, masked: MaskedPass):
        """Logits `(P, N)` of the words of a pass."""
        import torch

        device = self.model.device
        inputs = {"input_ids": on_device(masked.ids, device)}
        length = masked.ids.shape[1]
        if (masked.lengths < length).any():  # without a mask, models need not ask the device about padding
            attended = np.arange(length) < masked.lengths[:, None]
            inputs["attention_mask"] = on_device(attended.astype(np.int64), device)
        positions = on_device(masked.row, device), on_device(masked.position, device)
        with torch.inference_mode():
            if self._gathers:
                logits = self._gathered(inputs, positions)
                if logits is not None:
                    return logits
                self._gathers = False
            return self.model(**inputs).logits[positions]

    def _gathered(self, inputs: dict, positions: tuple):
        """
        The logits from a head that sees only the hidden states at the positions, which saves most of its work: a
        product with the whole vocabulary. `None` if the head needs all positions.
        """
        found = False

        def gather(module, args, output):
            nonlocal found
            hidden = output[0]
            found = tuple(hidden.shape[:2]) == tuple(inputs["input_ids"].shape)
            if found:
                output.last_hidden_state = hidden[positions][None]
            return output

        handle = self.model.base_model.register_forward_hook(gather)
        try:
            logits = self.model(**inputs).logits
        finally:
            handle.remove()
        return logits[0] if found and tuple(logits.shape[:2]) == (1, len(positions[0])) else None


def load_masked_lm(name: str):
    """The masked LM of this name or path. Raises a `ValueError` if it has no weights for a masked-LM head."""
    from transformers import AutoModelForMaskedLM

    model, info = AutoModelForMaskedLM.from_pretrained(name, output_loading_info=True)
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"{name} has no weights for {', '.join(missing[:3])} of {type(model).__name__}; expected a model trained "
            "as a masked LM, since others propose random words."
        )
    return model.eval()


def model_fingerprint(model) -> str:
    """A digest of weights and configuration, the same in every process and on every device."""
    import torch

    config = model.config.to_diff_dict()
    for name in ("_name_or_path", "dtype", "transformers_version", "architectures"):
        config.pop(name, None)
    digest = hashlib.sha256(json.dumps([model.config.model_type, config], sort_keys=True, default=str).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def longest_input(model) -> int:
    """Most tokens that the model has positions for."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            # RoBERTa's positions start after the padding index.
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return getattr(model.config, "max_position_embeddings", None) or 1 << 40


def _by_id(ids: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Candidates in the order of their ids, and scores as log-probabilities. An order by score would not be stable:
    rounding may depend on the batch and swap two candidates with nearly equal scores.
    """
    absent = np.isneginf(scores)
    order = np.where(absent, np.iinfo(np.int64).max, ids).argsort(axis=1)
    ids, scores, absent = (np.take_along_axis(array, order, axis=1) for array in (ids, scores, absent))
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = scores - scores.max(axis=1, keepdims=True, initial=-np.inf)
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return np.where(absent, -1, ids).astype(np.int32), np.where(absent, -np.inf, scores).astype(np.float16)
