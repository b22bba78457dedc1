"""Forms of words, by WordNet and its morphy, which finds the lemma of an inflected form."""

from functools import cache

from augment.english.stopwords import STOP_WORDS
from augment.english.wordnet_data import load_wordnet


# Penn tags of the lemmas of a part of speech.
LEMMA_TAGS = {"n": {"NN"}, "v": {"VB", "VBP"}, "a": {"JJ"}, "r": {"RB"}}
# What a word with such an ending is inflected to; "-s" is that of plurals and of verbs alike.
ENDINGS = {"s": {"NNS", "VBZ"}, "ed": {"VBD", "VBN"}, "ing": {"VBG"}}


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


def ending_of(word: str) -> str | None:
    """The ending of a word that is an inflected form and nothing else: not that of "building" or "tired"."""
    for ending, inflected in ENDINGS.items():
        if word.lower().endswith(ending) and word.lower() not in STOP_WORDS and tags(word) and tags(word) <= inflected:
            return ending
    return None


def keeps_ending(old: str, new: list[str]) -> bool:
    """
    Whether a word, or one word of a phrase, is inflected as a word with an ending is: "men" as "boys", "ran" as
    "jumped". Words that WordNet does not know need the same ending.
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
