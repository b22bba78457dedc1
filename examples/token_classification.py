"""A label per word: which words of a sentence are animals, and which are vehicles.

    python examples/token_classification.py [--seeds 1 2 3] [--num_train 50]

The training sentences have few nouns. The test sentences have the same nouns, or synonyms that no training sentence
has. The augmenter's lexicon lists these synonyms, so that only augmentation can teach them to the model. If a word of
several pieces replaces another word, its first piece gets the label. The task is too small to tell which method is
best.
"""

import random
from functools import partial

import numpy as np
from _tiny import all_words, compare, make_arguments, make_config, make_tokenizer, replace_words
from datasets import Dataset
from transformers import BertForTokenClassification, DataCollatorForTokenClassification, EvalPrediction

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


LABELS = ["O", "ANIMAL", "VEHICLE"]
WORDS = {"O": ["house", "stone", "fence"], "ANIMAL": ["dog", "rabbit", "horse"], "VEHICLE": ["car", "bike", "plane"]}
SYNONYMS = {
    "house": ["cottage", "mansion"],
    "stone": ["rock", "boulder"],
    "fence": ["railing", "hedge"],
    "dog": ["hound", "puppy"],
    "rabbit": ["hare", "bunny"],
    "horse": ["pony", "mare"],
    "car": ["automobile", "sedan"],
    "bike": ["bicycle", "cycle"],
    "plane": ["aircraft", "jet"],
}
IN_PIECES = {"automobile": "auto ##mobile", "bicycle": "bi ##cycle", "aircraft": "air ##craft", "puppy": "pup ##py"}
TEMPLATES = ["we saw the _ near the _ and the _", "behind the _ they left the _", "the _ is bigger than the _ there"]
TOKENIZER = make_tokenizer([*(IN_PIECES.get(word, word) for word in all_words(SYNONYMS)), *TEMPLATES])


def sentence(rng: random.Random) -> tuple[list[str], list[str]]:
    """Words, and the label of each. The position of a noun does not tell its label."""
    words = rng.choice(TEMPLATES).split()
    labels = [rng.choice(LABELS) if word == "_" else "O" for word in words]
    words = [rng.choice(WORDS[label]) if word == "_" else word for word, label in zip(words, labels, strict=True)]
    return words, labels


def encode(words: list[str], labels: list[str]) -> dict[str, list[int]]:
    """A tokenised sentence, in which the first piece of each word has its label, and all other tokens have -100."""
    encoding = TOKENIZER(words, is_split_into_words=True)
    words_of_tokens = encoding.word_ids()
    previous = [None, *words_of_tokens[:-1]]
    ids = [
        -100 if word is None or word == before else LABELS.index(labels[word])
        for before, word in zip(previous, words_of_tokens, strict=True)
    ]
    return {**encoding, "labels": ids}


def sentences(size: int, split: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised sentences, with a synonym for each word that has any."""
    rng = random.Random(split)
    rows = [sentence(rng) for _ in range(size)]
    return Dataset.from_list(
        [encode(replace_words(" ".join(words), synonyms, rng).split(), labels) for words, labels in rows]
    )


def entity_f1(prediction: EvalPrediction) -> dict[str, float]:
    """F1 of the words that are animals or vehicles."""
    expected = prediction.label_ids
    predicted = np.where(expected == -100, 0, prediction.predictions.argmax(-1))
    right = np.sum((predicted == expected) & (expected > 0))
    return {"entity_f1": 2 * right / (np.sum(predicted > 0) + np.sum(expected > 0))}


def make_trainer(method: str, seed: int, train_dataset: Dataset) -> MMELTrainer:
    return MMELTrainer(
        BertForTokenClassification(make_config(TOKENIZER, num_labels=len(LABELS))),
        make_arguments(method, seed, num_train_epochs=8),
        train_dataset=train_dataset,
        processing_class=TOKENIZER,
        data_collator=DataCollatorForTokenClassification(TOKENIZER),
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=entity_f1,
    )


main = partial(compare, make_trainer, sentences, SYNONYMS, metric="entity_f1", num_train=50, description=__doc__)


if __name__ == "__main__":
    main()
