"""Several labels per text: the topics that a support ticket names.

    python examples/multi_label.py [--seeds 1 2 3] [--num_train 100]

The training tickets name things by few words. The test tickets use the same words, or synonyms that no training ticket
has. The augmenter's lexicon lists these synonyms, so that only augmentation can teach them to the model. The task is
too small to tell which method is best.
"""

import random
from functools import partial

import numpy as np
from _tiny import all_words, compare, make_arguments, make_config, make_tokenizer, replace_words
from datasets import Dataset
from transformers import BertForSequenceClassification, EvalPrediction

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


TOPICS = {
    "delivery": ["parcel", "courier"],
    "payment": ["invoice", "refund"],
    "account": ["password", "username"],
    "device": ["screen", "battery"],
}
SYNONYMS = {
    "parcel": ["package", "shipment"],
    "courier": ["driver", "carrier"],
    "invoice": ["bill", "receipt"],
    "refund": ["repayment", "reimbursement"],
    "password": ["passcode", "pin"],
    "username": ["nickname", "login"],
    "screen": ["display", "monitor"],
    "battery": ["charger", "accumulator"],
}
PROBLEMS = ["is missing", "is wrong", "was late", "is gone"]
OPENINGS = ["hello ,", "please help :", "again ,", "dear team ,"]


def ticket(rng: random.Random) -> tuple[str, list[float]]:
    """A text on one or two topics, and for each topic whether it is one of them, as 1.0 or 0.0."""
    topics = rng.sample(list(TOPICS), rng.randint(1, 2))
    clauses = [f"the {rng.choice(TOPICS[topic])} {rng.choice(PROBLEMS)}" for topic in topics]
    return f"{rng.choice(OPENINGS)} {' and '.join(clauses)} .", [float(topic in topics) for topic in TOPICS]


TOKENIZER = make_tokenizer([*all_words(SYNONYMS), *PROBLEMS, *OPENINGS, "the and ."])


def tickets(size: int, split: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised tickets, with a synonym for each word that has any."""
    rng = random.Random(split)
    rows = [ticket(rng) for _ in range(size)]
    return Dataset.from_list(
        [{**TOKENIZER(replace_words(text, synonyms, rng)), "labels": labels} for text, labels in rows]
    )


def micro_f1(prediction: EvalPrediction) -> dict[str, float]:
    predicted, expected = prediction.predictions > 0, prediction.label_ids == 1
    return {"micro_f1": 2 * np.sum(predicted & expected) / (np.sum(predicted) + np.sum(expected))}


def make_trainer(method: str, seed: int, train_dataset: Dataset) -> MMELTrainer:
    return MMELTrainer(
        BertForSequenceClassification(
            make_config(TOKENIZER, num_labels=len(TOPICS), problem_type="multi_label_classification")
        ),
        make_arguments(method, seed, num_train_epochs=15),
        train_dataset=train_dataset,
        processing_class=TOKENIZER,
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=micro_f1,
    )


main = partial(compare, make_trainer, tickets, SYNONYMS, metric="micro_f1", num_train=100, description=__doc__)


if __name__ == "__main__":
    main()
