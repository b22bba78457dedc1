"""Phrases of English that are one word to WordNet: red herring, tear duct, carry out, in the dark."""

from collections.abc import Container

from .inflection import inflections
from .senses import PARTS_OF_SPEECH, file_lines


MAX_WORDS = 3


def read_phrases(wordnet, words: Container[str]) -> dict[str, list[str]]:
    """
    The phrases of two or three words, in all inflections, that have one of `words` in them. A word of a phrase is not
    to be replaced by itself, since the phrase would mean nothing any more ("crimson herring").

    Returns lower-case phrases in sorted order, words separated by spaces, as a lexicon has words without candidates:
    each with an empty list.
    """
    phrases: set[str] = set()
    for pos, file_name in PARTS_OF_SPEECH.items():
        for line in file_lines(wordnet, f"index.{file_name}"):
            parts = line.partition(" ")[0].split("_")
            if 1 < len(parts) <= MAX_WORDS and all(part.isalpha() and part.isascii() for part in parts):
                lemma = " ".join(parts)
                phrases.update((lemma, *(form for spelt in inflections(lemma, pos).values() for form in spelt)))
    return {phrase: [] for phrase in sorted(phrases) if any(part in words for part in phrase.split(" "))}
