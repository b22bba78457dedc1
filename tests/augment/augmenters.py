"""One of every augmenter, for the laws that all of them keep: name -> a function of the tokenizer and options."""

from conftest import WORDS

from augment import LexiconSubstitution, WordNetSynonyms


AUGMENTERS = {
    "lexicon": lambda tokenizer, **options: LexiconSubstitution(tokenizer, WORDS, **options),
    "wordnet": WordNetSynonyms,
}
