"""
fast-aug's WordsRandomSubstituteAugmenter: 30 % of the words that are no stop words, at least one.

It knows no synonyms, only one flat list, from which every word may be replaced by any: it is given those of WordNet.
"""

from common import parse_arguments, report
from fast_aug.text import WordsRandomSubstituteAugmenter
from wordnet_synonyms import synonyms_of


def main() -> None:
    args = parse_arguments()
    vocabulary = sorted({synonym for synonyms in synonyms_of(args.texts).values() for synonym in synonyms})
    augmenter = WordsRandomSubstituteAugmenter((0.3, 1, None), vocabulary, set(args.stop_words))

    def make(texts: list[str]) -> list[list[str]]:
        variants = augmenter.augment_batch([text for text in texts for _ in range(args.num_variants)])
        return [variants[i : i + args.num_variants] for i in range(0, len(variants), args.num_variants)]

    report(make, args.texts, args.repeats)


if __name__ == "__main__":
    main()
