"""Copies of a text, which a model with dropout reads differently."""

import numpy as np

from .base import Augmenter
from .compose import check_part
from .core.batch import Batch
from .core.edits import Edits
from .core.given import check_object


class SameText(Augmenter):
    """
    Makes copies of the text, which are trained on as variants: the model reads each with another dropout mask.

    Copies of other augmenters are left out of training, since they only say that no more variants were found. Those
    of `SameText` are kept (`keeps_copies`). With `mmel_loss="soft"` the divergence of a copy is that between two
    predictions on one text, as in R-Drop. See "The same text twice" in docs/augment.md for what is equal to R-Drop.

    Args:
        tokenizer (`transformers.PreTrainedTokenizerFast`): The classifier's tokenizer, a fast one.
        augmenter (`Augmenter`, *optional*):
            Makes the variants of the examples that it can change. Only the others get copies. By default all get
            copies.

    Raises:
        `TypeError`: if `augmenter` is not an augmenter.
        `ValueError`: if `augmenter` has a tokenizer with another vocabulary, or is made with a `SameText`.

    Example:

    ```python
    >>> SameText(tokenizer).augment_text("The movie was awful.", num_variants=2, seed=0)
    ['The movie was awful.', 'The movie was awful.']
    >>> augmenter = SameText(tokenizer, WordNetSynonyms(tokenizer))
    >>> augmenter.augment_text(["The movie was awful.", "Who is he?"], num_variants=1, seed=0)
    [['The film was awful.'], ['Who is he?']]
    ```

    Source: Liang et al., "R-Drop: Regularized dropout for neural networks", NeurIPS 2021, arXiv 2106.14448.
    """

    keeps_copies = True

    def __init__(self, tokenizer, augmenter: Augmenter | None = None):
        super().__init__(tokenizer)
        if augmenter is not None:
            check_object("augmenter", augmenter, Augmenter)
            check_part(augmenter, self)
        self.augmenter = augmenter

    def draw_edits(self, batch: Batch, num_variants: int, keys: np.ndarray) -> Edits:
        if self.augmenter is not None:
            return self.augmenter.draw_edits(batch, num_variants, keys)
        return Edits.of([[]] * (num_variants * len(batch)))
