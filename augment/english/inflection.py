"""Inflected forms of English words and phrases, from lemminflect's dictionary."""

from ..core.lazy import word_cache
from .stopwords import STOP_WORDS


BASE_TAGS = {"n": "NN", "v": "VB", "a": "JJ", "r": "RB"}
_UPOS = {"n": "NOUN", "v": "VERB", "a": "ADJ", "r": "ADV"}


@word_cache
def inflections(lemma: str, pos: str) -> dict[str, tuple[str, ...]]:
    """
    Inflected forms of a lower-case lemma as `"n"`, `"v"`, `"a"` or `"r"`: Penn Treebank tag -> spellings, the usual
    one first. The base form, forms that do not exist ("more beautiful" is no inflection) and plurals that equal the
    singular ("sheep") have no entry, nor do words that the dictionary lacks: its rules guess too often ("sheeps").

    In a phrase, a noun inflects its head ("motion pictures", "terms of office") and a verb its first word ("started
    out"); adjectives and adverbs have no inflection.
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
    """Index of the word that inflects in a phrase, or `None` if it is not a single word."""
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
        # The dictionary lists the participle only if it differs from the past tense.
        forms.setdefault("VBN", forms["VBD"])
    return {tag: spelt for tag, spelt in forms.items() if tag not in (BASE_TAGS[pos], "VBP")}
