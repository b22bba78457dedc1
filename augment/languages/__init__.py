"""Languages other than English: the Open Multilingual Wordnet, stop words, and a check of a text's language."""
