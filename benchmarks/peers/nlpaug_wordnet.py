"""
nlpaug's SynonymAug with its own defaults: 30 % of a sentence's words, by WordNet's synonyms of their part of speech.

NLTK's part-of-speech tagger cannot always be downloaded. The one used here is NLTK's, with the weights of the tagger
from which it was ported, which the package textblob-aptagger has. It is loaded once, as NLTK itself does since 3.10.
"""

import pickle
from importlib.metadata import files

import nltk
from common import parse_arguments, report


class WeightsUnpickler(pickle.Unpickler):
    """Plain data only: dicts, lists, numbers, strings and sets."""

    def find_class(self, module: str, name: str) -> type:
        if (module, name) == ("__builtin__", "set"):
            return set
        raise pickle.UnpicklingError(f"The tagger's weights hold {module}.{name}; expected plain data.")


def load_tagger() -> nltk.PerceptronTagger:
    (weights,) = (file for file in files("textblob-aptagger") if file.suffix == ".pickle")
    tagger = nltk.PerceptronTagger(load=False)
    with open(weights.locate(), "rb") as file:
        tagger.decode_json_params(WeightsUnpickler(file, encoding="latin-1").load())
    return tagger


def main() -> None:
    args = parse_arguments()
    from nlpaug.augmenter.word import SynonymAug

    tagger = load_tagger()
    nltk.tag._get_tagger = lambda lang=None: tagger
    augmenter = SynonymAug(aug_src="wordnet")

    # A list of texts would give one variant of each.
    report(
        lambda texts: [augmenter.augment(text, n=args.num_variants) for text in texts],
        args.texts,
        args.repeats,
        variants=args.variants,
    )


if __name__ == "__main__":
    main()
