"""Augmenters that misbehave, in a module of their own, which the workers of Ray import."""

import os
import signal
from pathlib import Path

from augment import LexiconSubstitution


class Unlucky(LexiconSubstitution):
    """
    Ends its own process, without a word, at a text with a word. With a marker file, it does so once, and makes it.
    """

    def __init__(self, tokenizer, words=None, *, deadly="superb", marker=None, **options):
        super().__init__(tokenizer, words or {"awful": ["terrible"], "movie": ["film"]}, **options)
        self.deadly = deadly
        self.marker = marker

    def augment_text(self, text, num_variants=4, seed=42, keep_spans=None):
        if any(self.deadly in one for one in text) and not (self.marker and Path(self.marker).exists()):
            if self.marker:
                Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().augment_text(text, num_variants, seed, keep_spans)
