"""English: WordNet and its synonyms, inflected forms, stop words."""
