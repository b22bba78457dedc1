"""The synonyms that the peers without WordNet are given."""

from nltk.corpus import wordnet


def synonyms_of(texts: list[str]) -> dict[str, list[str]]:
    """The words of the texts that have synonyms, each with all lemmas of all of its synsets."""
    found = {}
    for word in dict.fromkeys(word for text in texts for word in text.split()):
        lemmas = (name.replace("_", " ") for synset in wordnet.synsets(word) for name in synset.lemma_names())
        if synonyms := [name for name in dict.fromkeys(lemmas) if name.lower() != word.lower()]:
            found[word] = synonyms
    return found
