"""Several labels per text: what a support ticket is about, with all topics that it names.

    python examples/multi_label.py [--seeds 1 2 3] [--num_train 100]

The training tickets name things by few words. The test tickets name them by the same words, or by synonyms that no
training ticket has. The lexicon of the augmenter lists these synonyms, and from augmentation alone a model can know
them. The task is too small to tell which way of weighing variants is best.
"""

import random

import numpy as np
from _tiny import compare, in_other_words, make_arguments, make_config, make_tokenizer, words_of
from datasets import Dataset
from transformers import BertForSequenceClassification, EvalPrediction, set_seed

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


TOKENIZER = make_tokenizer([*words_of(SYNONYMS), *PROBLEMS, *OPENINGS, "the and ."])


def tickets(size: int, part: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised tickets, with a synonym for each word that has any."""
    rng = random.Random(part)
    rows = [ticket(rng) for _ in range(size)]
    return Dataset.from_list(
        [{**TOKENIZER(in_other_words(text, synonyms, rng)), "labels": labels} for text, labels in rows]
    )


def micro_f1(prediction: EvalPrediction) -> dict[str, float]:
    predicted, expected = prediction.predictions > 0, prediction.label_ids == 1
    return {"f1": 2 * np.sum(predicted & expected) / (np.sum(predicted) + np.sum(expected))}


def run(method: str, seed: int, num_train: int) -> dict[str, float]:
    """Micro F1 after one training."""
    set_seed(seed)
    trainer = MMELTrainer(
        BertForSequenceClassification(
            make_config(TOKENIZER, num_labels=len(TOPICS), problem_type="multi_label_classification")
        ),
        make_arguments(method, seed, num_train_epochs=15),
        train_dataset=tickets(num_train, f"training {seed}", {}),
        processing_class=TOKENIZER,
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=micro_f1,
    )
    trainer.train()
    tests = {"same words": tickets(200, "test", {}), "synonyms": tickets(200, "test", SYNONYMS)}
    return {name: trainer.predict(rows).metrics["test_f1"] for name, rows in tests.items()}


def main(argv: list[str] | None = None) -> dict[str, list[dict[str, float]]]:
    return compare(run, __doc__, metric="micro F1", num_train=100, argv=argv)


if __name__ == "__main__":
    main()
