"""A number per text: how many stars a review gives.

    python examples/regression.py [--seeds 1 2 3] [--num_train 50]

The training reviews praise and blame in few words. The test reviews do so in the same words, or in synonyms that no
training review has. The lexicon of the augmenter lists these synonyms, and from augmentation alone a model can know
them. The task is too small to tell which way of weighing variants is best.
"""

import random
import statistics

import numpy as np
from _tiny import compare, in_other_words, make_arguments, make_config, make_tokenizer, words_of
from datasets import Dataset
from transformers import BertForSequenceClassification, EvalPrediction, set_seed

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


STARS = {"awful": 1, "weak": 2, "fair": 3, "good": 4, "superb": 5}
SYNONYMS = {
    "awful": ["terrible", "dreadful"],
    "weak": ["poor", "feeble"],
    "fair": ["average", "decent"],
    "good": ["nice", "pleasant"],
    "superb": ["brilliant", "perfect"],
}
THINGS = ["food", "service", "room", "view", "pool", "breakfast", "bar"]
TOKENIZER = make_tokenizer([*words_of(SYNONYMS), *THINGS, "the is and ."])


def review(rng: random.Random) -> tuple[str, float]:
    """A text on two things, and the mean of their stars."""
    words = rng.choices(list(STARS), k=2)
    clauses = [f"the {thing} is {word}" for thing, word in zip(rng.sample(THINGS, 2), words, strict=True)]
    return f"{' and '.join(clauses)} .", statistics.mean(STARS[word] for word in words)


def reviews(size: int, part: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised reviews, with a synonym for each word that has any."""
    rng = random.Random(part)
    rows = [review(rng) for _ in range(size)]
    return Dataset.from_list(
        [{**TOKENIZER(in_other_words(text, synonyms, rng)), "label": float(stars)} for text, stars in rows]
    )


def correlation(prediction: EvalPrediction) -> dict[str, float]:
    return {"correlation": np.corrcoef(prediction.predictions.squeeze(-1), prediction.label_ids)[0, 1]}


def run(method: str, seed: int, num_train: int) -> dict[str, float]:
    """Pearson correlation after one training."""
    set_seed(seed)
    trainer = MMELTrainer(
        BertForSequenceClassification(make_config(TOKENIZER, num_labels=1, problem_type="regression")),
        make_arguments(method, seed, num_train_epochs=15),
        train_dataset=reviews(num_train, f"training {seed}", {}),
        processing_class=TOKENIZER,
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=correlation,
    )
    trainer.train()
    tests = {
        "same words": reviews(200, "test", {}),
        "synonyms": reviews(200, "test", SYNONYMS),
    }
    return {name: trainer.predict(rows).metrics["test_correlation"] for name, rows in tests.items()}


def main(argv: list[str] | None = None) -> dict[str, list[dict[str, float]]]:
    return compare(run, __doc__, metric="Pearson correlation", num_train=50, argv=argv)


if __name__ == "__main__":
    main()
