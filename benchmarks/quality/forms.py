"""Forms of words, by lemminflect's dictionary."""

from functools import cache

from lemminflect import getAllInflections, getAllLemmas


BASE_TAGS = {"NOUN": {"NN"}, "VERB": {"VB", "VBP"}, "ADJ": {"JJ"}, "ADV": {"RB"}}
# What a word with such an ending is inflected to; "-s" is that of plurals and of verbs alike.
ENDINGS = {"s": {"NNS", "VBZ"}, "ed": {"VBD", "VBN"}, "ing": {"VBG"}}


@cache
def tags(word: str) -> frozenset[str]:
    """
    The Penn tags that a word may have, none if the dictionary does not have it. Where a word is an inflected form of
    another, that is what it is, even if the dictionary has it as a lemma as well ("movies").
    """
    word, found = word.lower(), set()
    for part, lemmas in getAllLemmas(word).items():
        if part in BASE_TAGS:
            inflected = {tag for lemma in lemmas if lemma != word for tag in _tags_among(_forms(lemma, part), word)}
            # Of a word that is a lemma, only the usual forms count: "sheep" is a plural of its own, not so "film".
            usual = {tag: spelt[:1] for tag, spelt in _forms(word, part).items()}
            found |= inflected or BASE_TAGS[part] | _tags_among(usual, word)
    return frozenset(found)


def _forms(lemma: str, part: str) -> dict[str, tuple[str, ...]]:
    forms = getAllInflections(lemma, part)
    if "VBD" in forms:
        forms.setdefault("VBN", forms["VBD"])  # written down only where it differs
    return forms


def _tags_among(forms: dict[str, tuple[str, ...]], word: str) -> set[str]:
    return {tag for tag, spelt in forms.items() if word in spelt}


def keeps_tag(old: str, new: list[str]) -> bool | None:
    """Whether two words have a tag in common; `None` for words that are not in the dictionary, and for phrases."""
    if len(new) != 1 or not tags(old) or not tags(new[0]):
        return None
    return bool(tags(old) & tags(new[0]))


def ending_of(word: str) -> str | None:
    """The ending of a word that is an inflected form and nothing else: not that of "building" or "tired"."""
    for ending, inflected in ENDINGS.items():
        if word.lower().endswith(ending) and tags(word) and tags(word) <= inflected:
            return ending
    return None


def keeps_ending(old: str, new: list[str]) -> bool:
    """
    Whether a word, or one word of a phrase, is inflected as a word with an ending is: "men" as "boys", "ran" as
    "jumped". Words that are not in the dictionary need the same ending.
    """
    ending = ending_of(old)
    wanted = tags(old) & ENDINGS[ending]
    return any(tags(word) & wanted if tags(word) else word.lower().endswith(ending) for word in new)


def keeps_capitals(old: str, new: list[str]) -> bool:
    """Whether what takes the place of a word with a first capital has one, or all capitals if the word has."""
    return "".join(new).isupper() if old.isupper() and len(old) > 1 else new[0][0].isupper()


def fits_article(old: str, new: list[str]) -> bool:
    """Whether what comes after "a" or "an" begins with a vowel letter just as the word did, or does not as it did."""
    return (old[0].lower() in "aeiou") == (new[0][0].lower() in "aeiou")
