"""Forms of words, by WordNet and its morphy, which finds the lemma of an inflected form."""

from functools import cache

from augment.english.wordnet_data import load_wordnet


# Penn tags of the lemmas of a part of speech.
LEMMA_TAGS = {"n": {"NN"}, "v": {"VB", "VBP"}, "a": {"JJ"}, "r": {"RB"}}
# The endings of inflected words.
ENDINGS = {"NNS": "s", "VBZ": "s", "VBD": "ed", "VBN": "ed", "VBG": "ing"}


wordnet = cache(load_wordnet)


@cache
def tags(word: str) -> frozenset[str]:
    """The Penn tags that a word may have in WordNet: none if neither the word nor its lemma is there."""
    word, found = word.lower(), set()
    for part, lemma_tags in LEMMA_TAGS.items():
        for synset in wordnet().synsets(word, part):  # which asks morphy for lemmas
            is_lemma = word in (name.lower() for name in synset.lemma_names())
            found |= lemma_tags if is_lemma else _inflected(word, part)
    return frozenset(found)


def _inflected(word: str, part: str) -> set[str]:
    if part == "v":
        return {"VBZ"} if word.endswith("s") else {"VBG"} if word.endswith("ing") else {"VBD", "VBN"}
    if part == "n":
        return {"NNS"}
    return ({"JJS"} if word.endswith("st") else {"JJR"}) if part == "a" else {"RBR"}


def ending_of(word: str, tag: str) -> str | None:
    """The ending of a word that is inflected, by its tag in the context and by WordNet."""
    ending = ENDINGS.get(tag)
    return ending if ending and word.lower().endswith(ending) and tag in tags(word) else None


def keeps_ending(tag: str, new: list[str]) -> bool:
    """
    Whether a word, or one word of a phrase, may be inflected as this tag says: "ran" as "jumped" is. Words that
    WordNet does not know need the letters of the ending.
    """
    return any(tag in tags(word) if tags(word) else word.lower().endswith(ENDINGS[tag]) for word in new)


def keeps_capitals(old: str, new: list[str]) -> bool:
    """Whether what takes the place of a word with a first capital has one, or all capitals if the word has."""
    return "".join(new).isupper() if old.isupper() and len(old) > 1 else new[0][0].isupper()


def fits_article(old: str, new: list[str]) -> bool:
    """Whether what comes after "a" or "an" begins with a vowel letter just as the word did, or does not as it did."""
    return (old[0].lower() in "aeiou") == (new[0][0].lower() in "aeiou")
