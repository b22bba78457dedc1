"""A masked language model that proposes words for positions of a text."""

import copy
import hashlib
import json
import math
from collections.abc import Sequence

import numpy as np

from ..core.devices import is_on
from .masking import MaskedInputs


_BATCH_TOKENS = {"cpu": 2048, "cuda": 32768}
_MAX_LOGITS = {"cpu": 1 << 24, "cuda": 1 << 29}  # of a batch


class FillMask:
    """
    Proposes words for positions of a text with a masked LM, which is copied if its device or dtype is another. Batches
    have 2,048 tokens on a CPU and 32,768 elsewhere by default.
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

    def best(
        self,
        inputs: MaskedInputs,
        choices: Sequence[np.ndarray],
        excluded: Sequence[np.ndarray],
        top_m: int,
        min_probability: float = 0.0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        The M best candidates of each of W words, `(W, M)`: ids in ascending order, -1 where there are fewer, and the
        logarithms of their probabilities relative to each other, `float16`.

        Word w may become one of the ids `choices[w]`, except those in `excluded[w]`. Words with the same choices
        should share the array. A candidate has at least `min_probability`
        in its place, all ids of the model considered.
        """
        import torch

        device = self.model.device
        kinds = np.unique([id(ids) for ids in choices], return_inverse=True)[1]
        ids = torch.full((len(choices), top_m), -1, device=device)
        scores = torch.full((len(choices), top_m), -torch.inf, device=device)
        with torch.inference_mode():
            for sequences, words, row in inputs.batches(self.batch_tokens, self._max_words):
                logits = self.logits(sequences, row, inputs.position[words])
                # The logarithm of the least probability, as a logit of each word.
                least = logits.float().logsumexp(-1) + math.log(max(min_probability, 1e-30))
                count = np.array([len(excluded[word]) for word in words])
                if count.sum():
                    columns = np.concatenate([excluded[word] for word in words])
                    logits[np.repeat(np.arange(len(words)), count), columns] = -torch.inf
                by_kind = kinds[words].argsort(kind="stable")
                for same in np.split(by_kind, np.flatnonzero(np.diff(kinds[words[by_kind]])) + 1):
                    column = torch.from_numpy(choices[words[same[0]]]).to(device)
                    chosen = logits[torch.from_numpy(same[:, None]).to(device), column]
                    chosen = chosen.float().masked_fill(chosen < least[same, None], -torch.inf)
                    score, index = chosen.topk(min(top_m, len(column)))
                    target = torch.from_numpy(words[same]).to(device)
                    ids[target, : score.shape[1]] = column[index]
                    scores[target, : score.shape[1]] = score
        return _by_id(ids.cpu().numpy(), scores.cpu().numpy())

    def logits(self, sequences: list[list[int]], row: np.ndarray, position: np.ndarray):
        """Logits `(P, N)` at P positions of a batch of sequences: each at `position` in the sequence `row`."""
        import torch

        length = max(map(len, sequences))
        pad = self.model.config.pad_token_id or 0
        ids = torch.tensor([sequence + [pad] * (length - len(sequence)) for sequence in sequences])
        lengths = torch.tensor([len(sequence) for sequence in sequences])
        mask = (torch.arange(length) < lengths[:, None]).long()
        inputs = {"input_ids": ids.to(self.model.device), "attention_mask": mask.to(self.model.device)}
        positions = torch.from_numpy(row).to(self.model.device), torch.from_numpy(position).to(self.model.device)
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
