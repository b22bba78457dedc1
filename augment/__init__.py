"""Augmentation of tokenised text and of images: ids or pixels in, K variants out.

Text needs a fast tokenizer and nothing else of transformers, and no torch.
"""

from .base import Augmenter
from .compose import Compose, FirstOf, OneOf, Sometimes
from .core import versions  # noqa: F401 - refuses what is out of range before anything fails for it
from .eda import RandomDelete, RandomInsert, RandomSwap
from .edits import Edit, apply_edits
from .embedding import EmbeddingNeighbours
from .generated import Generated
from .greedy import GreedySearch
from .images import ImageVariants
from .masked_lm import MaskedLMSubstitution
from .substitution import LexiconSubstitution
from .wordnet import WordNetSynonyms


__all__ = [
    "Augmenter",
    "Compose",
    "Edit",
    "EmbeddingNeighbours",
    "FirstOf",
    "Generated",
    "GreedySearch",
    "ImageVariants",
    "LexiconSubstitution",
    "MaskedLMSubstitution",
    "OneOf",
    "RandomDelete",
    "RandomInsert",
    "RandomSwap",
    "Sometimes",
    "WordNetSynonyms",
    "apply_edits",
]
