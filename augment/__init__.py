"""Token-level augmentation of tokenised text: ids in, K variants out.

Needs a fast tokenizer and nothing else of transformers, and no torch.
"""

from .base import Augmenter
from .edits import Edit, apply_edits
from .substitution import LexiconSubstitution
from .wordnet import WordNetSynonyms


__all__ = ["Augmenter", "Edit", "LexiconSubstitution", "WordNetSynonyms", "apply_edits"]
