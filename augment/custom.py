"""
The building blocks of augmenters of your own.

- A source of candidates subclasses `Substitution` and gives `candidates`: what each word of a batch may become.
- Any other augmenter subclasses `augment.Augmenter`, or `WordAugmenter` for constraints on words, and gives
  `draw_edits`: the edits that make K variants of each row of a batch.

Both are then used like any augmenter of this package, alone and as parts of others. docs/custom_augmenters.md has an
example of each.
"""

from .core.batch import Batch
from .core.candidates import Candidates
from .core.edits import Edits
from .core.rejection import different_variants
from .core.words import Words
from .substitution import Substitution
from .word_augmenter import WordAugmenter


__all__ = ["Batch", "Candidates", "Edits", "Substitution", "WordAugmenter", "Words", "different_variants"]
