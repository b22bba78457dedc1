"""Which of the texts that a model wrote for an original are kept."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .text_generator import Texts


Scorer = Callable[[list[str], list[str]], Any]

SCORED_TEXTS = 128  # at once

# Why texts are left out.
REASONS = {
    "too long": "with a prompt too long for the model",
    "unfinished": "without an end (raise max_new_tokens)",
    "copies": "equal to the original or to another one",
    "length": "by min_ratio and max_ratio",
    "score": "by min_score",
}


class TextFilter:
    """Keeps texts that have an end, are no copies, and whose length and score are in range. See `Generated`."""

    def __init__(self, min_ratio: float, max_ratio: float, scorer: Scorer | None, min_score: float | None):
        if not 0 <= min_ratio <= max_ratio:
            raise ValueError(f"min_ratio is {min_ratio} and max_ratio is {max_ratio}; expected 0 <= min <= max.")
        if (scorer is None) != (min_score is None):
            raise ValueError(f"scorer is {scorer} and min_score is {min_score}; expected both or neither.")
        self.min_ratio = min_ratio
        self.max_ratio = max_ratio
        self.scorer = scorer
        self.min_score = min_score

    def keep(self, generated: Mapping[str, Texts], num_variants: int) -> tuple[dict[str, list[str]], Counter[str]]:
        """The first K good texts of each original, and how many texts are left out for which of the `REASONS`."""
        left_out = Counter[str]()
        pairs: list[tuple[str, str]] = []
        for original, texts in generated.items():
            left_out["too long"] += not texts
            known, length = {_normalised(original)}, len(_normalised(original))
            for text in texts:
                if text is None:
                    left_out["unfinished"] += 1
                elif (normalised := _normalised(text)) in known:
                    left_out["copies"] += 1
                elif not text or not self.min_ratio <= len(normalised) / length <= self.max_ratio:
                    left_out["length"] += 1
                else:
                    known.add(normalised)
                    pairs.append((original, text))
        kept: dict[str, list[str]] = {original: [] for original in generated}
        for (original, text), is_good in zip(pairs, self._have_good_scores(pairs), strict=True):
            left_out["score"] += not is_good
            if is_good and len(kept[original]) < num_variants:
                kept[original].append(text)
        return kept, left_out

    def _have_good_scores(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        if self.scorer is None:
            return [True] * len(pairs)
        good: list[bool] = []
        for begin in range(0, len(pairs), SCORED_TEXTS):
            originals, texts = map(list, zip(*pairs[begin : begin + SCORED_TEXTS], strict=True))
            scores = np.asarray(self.scorer(originals, texts))
            if scores.shape != (len(texts),) or scores.dtype.kind not in "fiub":
                raise ValueError(
                    f"The scorer returned an array of {scores.dtype} of shape {scores.shape} for {len(texts)} pairs; "
                    f"expected a number for each pair, of shape ({len(texts)},)."
                )
            good += (scores >= self.min_score).tolist()
        return good


def _normalised(text: str) -> str:
    return " ".join(text.split()).casefold()
