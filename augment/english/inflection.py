"""Inflected forms of English words, single and multi-word, from lemminflect's dictionary."""

from __future__ import annotations

from functools import cache

from .stopwords import STOP_WORDS


BASE_TAGS = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}
_UPOS = {"n": "NOUN", "v": "VERB", "a": "ADJ", "r": "ADV"}


@cache
def inflections(lemma: str, pos: str) -> dict[str, tuple[str, ...]]:
    """
    Inflected forms of one lemma, the base form left out.

    Only words of the dictionary are inflected: its rules for other words guess too often ("sheeps").

    Args:
        lemma (`str`): Lower-case lemma, its words separated by spaces.
        pos (`str`):
            `"n"`, `"v"`, `"a"` or `"r"`. Of several words, a noun inflects its head ("motion pictures", "terms of
            office") and a verb its first ("started out"); adjectives and adverbs of several words have no inflection.

    Returns:
        `dict[str, tuple[str, ...]]`: Penn Treebank tag -> spellings, the usual one first. A form that does not exist
        ("more beautiful" is no inflection) or that equals the singular ("sheep") has no entry.
    """
    words = lemma.split(" ")
    if len(words) == 1:
        return _word_inflections(lemma, pos)
    head = _head(words, pos)
    if head is None:
        return {}
    before, after = words[:head], words[head + 1 :]
    forms = _word_inflections(words[head], pos)
    return {tag: tuple(" ".join([*before, form, *after]) for form in spelt) for tag, spelt in forms.items()}


def _head(words: list[str], pos: str) -> int | None:
    """Index of the word that inflects in a lemma of several words, `None` where that is no single word."""
    if pos == "v":
        return 0 if words[0] != "be" else None  # "was" or "were" depends on the subject
    if pos != "n" or "and" in words or "or" in words:
        return None
    return next((i - 1 for i, word in enumerate(words) if i and word in STOP_WORDS), len(words) - 1)


def _word_inflections(lemma: str, pos: str) -> dict[str, tuple[str, ...]]:
    from lemminflect import getAllInflections

    forms = getAllInflections(lemma, _UPOS[pos])
    if pos == "n":
        plurals = tuple(form for form in forms.get("NNS", ()) if form != lemma)
        return {"NNS": plurals} if plurals else {}
    if pos == "v" and "VBD" in forms:
        # The dictionary writes the participle down only where it differs from the past tense.
        forms.setdefault("VBN", forms["VBD"])
    return {tag: spelt for tag, spelt in forms.items() if tag not in (BASE_TAGS[pos], "VBP")}
