"""A label per word: which words of a sentence are animals, and which are vehicles.

    python examples/token_classification.py [--seeds 1 2 3] [--num_train 50]

The training sentences have few nouns. The test sentences have the same ones, or others of like meaning that no
training sentence has. The lexicon of the augmenter lists these, and from augmentation alone a model can know them.
Where a word of several pieces takes the place of another, its first piece takes over the label. The task is too small
to tell which way of weighing variants is best.
"""

import random

import numpy as np
from _tiny import compare, in_other_words, make_arguments, make_config, make_tokenizer, words_of
from datasets import Dataset
from transformers import BertForTokenClassification, DataCollatorForTokenClassification, EvalPrediction, set_seed

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
TOKENIZER = make_tokenizer([*(IN_PIECES.get(word, word) for word in words_of(SYNONYMS)), *TEMPLATES])


def sentence(rng: random.Random) -> tuple[list[str], list[str]]:
    """Words, and the label of each. The place of a noun does not tell its label."""
    words = rng.choice(TEMPLATES).split()
    labels = [rng.choice(LABELS) if word == "_" else "O" for word in words]
    words = [rng.choice(WORDS[label]) if word == "_" else word for word, label in zip(words, labels, strict=True)]
    return words, labels


def encode(words: list[str], labels: list[str]) -> dict[str, list[int]]:
    """A tokenised sentence, in which the first piece of each word has its label and all else has -100."""
    encoding = TOKENIZER(words, is_split_into_words=True)
    places = encoding.word_ids()
    firsts = [place is not None and place != before for before, place in zip([None, *places], places, strict=False)]
    ids = [LABELS.index(labels[place]) if first else -100 for place, first in zip(places, firsts, strict=True)]
    return {**encoding, "labels": ids}


def sentences(size: int, part: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised sentences, with a synonym for each word that has any."""
    rng = random.Random(part)
    rows = [sentence(rng) for _ in range(size)]
    return Dataset.from_list(
        [encode(in_other_words(" ".join(words), synonyms, rng).split(), labels) for words, labels in rows]
    )


def entity_f1(prediction: EvalPrediction) -> dict[str, float]:
    """F1 of the words that are animals or vehicles."""
    expected = prediction.label_ids
    predicted = np.where(expected == -100, 0, prediction.predictions.argmax(-1))
    right = np.sum((predicted == expected) & (expected > 0))
    return {"f1": 2 * right / (np.sum(predicted > 0) + np.sum(expected > 0))}


def run(method: str, seed: int, num_train: int) -> dict[str, float]:
    """F1 after one training."""
    set_seed(seed)
    trainer = MMELTrainer(
        BertForTokenClassification(make_config(TOKENIZER, num_labels=len(LABELS))),
        make_arguments(method, seed, num_train_epochs=8),
        train_dataset=sentences(num_train, f"training {seed}", {}),
        processing_class=TOKENIZER,
        data_collator=DataCollatorForTokenClassification(TOKENIZER),
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=entity_f1,
    )
    trainer.train()
    tests = {"same words": sentences(200, "test", {}), "synonyms": sentences(200, "test", SYNONYMS)}
    return {name: trainer.predict(rows).metrics["test_f1"] for name, rows in tests.items()}


def main(argv: list[str] | None = None) -> dict[str, list[dict[str, float]]]:
    return compare(run, __doc__, metric="F1 of animals and vehicles", num_train=50, argv=argv)


if __name__ == "__main__":
    main()
