"""Augmentation of tokenised text and of images: ids or pixels in, K variants out.

Text needs a fast tokenizer and nothing else of transformers, and no torch.
"""

from .base import Augmenter
from .compose import Compose, FirstOf, InTurn, OneOf, Sometimes
from .core import versions  # noqa: F401 - refuses what is out of range before anything fails for it
from .eda import RandomDelete, RandomInsert, RandomSwap
from .edits import Edit, apply_edits
from .embedding import EmbeddingNeighbours
from .from_column import VariantsFromColumn
from .generated import Generated
from .greedy import GreedySearch
from .images import ImageVariants
from .label_filter import LabelFilter
from .masked_lm import MaskedLMSubstitution
from .masked_lm_insertion import MaskedLMInsertion
from .punctuation import RandomPunctuation
from .registry import make_augmenter
from .same_text import SameText
from .shards import variants_of_shard
from .substitution import LexiconSubstitution
from .typos import Typos
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
    "InTurn",
    "LabelFilter",
    "LexiconSubstitution",
    "MaskedLMInsertion",
    "MaskedLMSubstitution",
    "OneOf",
    "RandomDelete",
    "RandomInsert",
    "RandomPunctuation",
    "RandomSwap",
    "SameText",
    "Sometimes",
    "Typos",
    "VariantsFromColumn",
    "WordNetSynonyms",
    "apply_edits",
    "make_augmenter",
    "variants_of_shard",
]
