"""How much of a text an augmenter can change, and how much it changes."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..base import Augmenter
from ..core.batch import Batch
from ..core.randomness import Seed, row_keys
from ..core.variant_count import VariantCount
from ..core.words import WordFinder
from ..substitution import Substitution


def count_changes(
    augmenter: Augmenter, finder: WordFinder, texts: Sequence[str], num_variants: int, seeds: Sequence[Seed]
) -> Counter[str]:
    """Counts over texts and their variants. Candidates are counted only for a `Substitution`."""
    encoded = augmenter.tokenizer(list(texts), return_attention_mask=False, verbose=False)
    batch = Batch(encoded["input_ids"], bounded=False)
    edits = augmenter.draw_edits(batch, num_variants, row_keys(seeds))
    starts = finder.words(batch).start

    def num_words(start: np.ndarray, stop: np.ndarray) -> int:
        """The words that begin in these ranges of tokens: 1 for a word, more for a phrase."""
        return int((np.searchsorted(starts, stop) - np.searchsorted(starts, start)).sum())

    row = np.repeat(np.arange(len(edits)) % len(batch), edits.counts)
    offset = batch.starts[row]
    counts = Counter(words=len(starts), words_replaced=num_words(offset + edits.start, offset + edits.stop))
    if isinstance(augmenter, Substitution):
        candidates = augmenter.candidates(batch, augmenter.eligible_words(batch))
        words = candidates.words
        counts.update(
            words_with_candidates=num_words(words.start, words.start + words.length),
            words_or_phrases=len(words),
            candidates=int(candidates.count.sum()),
        )
    return counts


def coverage(
    counts: Counter[str], variants: VariantCount, keeps_copies: bool = False
) -> dict[str, int | float | None]:
    """
    The counts, with shares and means; `None` where they are not defined. A phrase counts by its words in shares, and
    as one word in the number of candidates per word. A copy is a variant that equals the original or an earlier
    variant. Copies that an augmenter with `keeps_copies` makes on purpose count as the same text instead.
    """
    num_all = variants.num_variants * variants.examples
    words, known = counts["words"], counts["words_with_candidates"]
    return {
        "rows": variants.examples,
        "words": words,
        "share_of_words_with_candidates": _ratio(known, words if "candidates" in counts else 0),
        "candidates_per_such_word": _ratio(counts["candidates"], counts["words_or_phrases"]),
        "variants": num_all,
        "share_of_words_replaced": _ratio(counts["words_replaced"], words * variants.num_variants),
        "share_of_copies": _ratio(variants.copies, num_all),
        **({"share_of_same_text": _ratio(counts["same_text"], num_all)} if keeps_copies else {}),
        "share_of_rows_without_variants": variants.share_without,
        "different_variants_per_other_row": variants.mean_of_others,
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
