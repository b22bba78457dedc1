"""
fasttextaug's RandomWordAug: 30 % of the words that are no stop words, at least one.

With `--target list` it has one flat list of WordNet's synonyms, from which every word may be replaced by any; with
`--target dict` it has those of each word.
"""

from common import parse_arguments, report
from fasttextaug.augmenter.word import RandomWordAug
from wordnet_synonyms import synonyms_of


def main() -> None:
    args = parse_arguments("target")
    synonyms = synonyms_of(args.texts)
    if args.target == "list":
        synonyms = sorted({synonym for group in synonyms.values() for synonym in group})
    augmenter = RandomWordAug(action="substitute", aug_p=0.3, stopwords=set(args.stop_words), target_words=synonyms)

    def make(texts: list[str]) -> list[list[str]]:
        variants = augmenter.augment([text for text in texts for _ in range(args.num_variants)])
        return [variants[i : i + args.num_variants] for i in range(0, len(variants), args.num_variants)]

    report(make, args.texts, args.repeats)


if __name__ == "__main__":
    main()
