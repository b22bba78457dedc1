"""A number per text: how many stars a review gives.

    python examples/regression.py [--seeds 1 2 3] [--num_train 50]

The training reviews praise and blame in few words. The test reviews use the same words, or synonyms that no training
review has. The augmenter's lexicon lists these synonyms, so that only augmentation can teach them to the model. The
task is too small to tell which method is best.
"""

import random
import statistics
from functools import partial

import numpy as np
from _tiny import all_words, compare, make_arguments, make_config, make_tokenizer, replace_words
from datasets import Dataset
from transformers import BertForSequenceClassification, EvalPrediction

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
TOKENIZER = make_tokenizer([*all_words(SYNONYMS), *THINGS, "the is and ."])


def review(rng: random.Random) -> tuple[str, float]:
    """A text on two things, and the mean of their stars."""
    words = rng.choices(list(STARS), k=2)
    clauses = [f"the {thing} is {word}" for thing, word in zip(rng.sample(THINGS, 2), words, strict=True)]
    return f"{' and '.join(clauses)} .", statistics.mean(STARS[word] for word in words)


def reviews(size: int, split: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised reviews, with a synonym for each word that has any."""
    rng = random.Random(split)
    rows = [review(rng) for _ in range(size)]
    return Dataset.from_list(
        [{**TOKENIZER(replace_words(text, synonyms, rng)), "label": float(stars)} for text, stars in rows]
    )


def pearson(prediction: EvalPrediction) -> dict[str, float]:
    return {"pearson": np.corrcoef(prediction.predictions.squeeze(-1), prediction.label_ids)[0, 1]}


def make_trainer(method: str, seed: int, train_dataset: Dataset) -> MMELTrainer:
    return MMELTrainer(
        BertForSequenceClassification(make_config(TOKENIZER, num_labels=1, problem_type="regression")),
        make_arguments(method, seed, num_train_epochs=15),
        train_dataset=train_dataset,
        processing_class=TOKENIZER,
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=pearson,
    )


main = partial(compare, make_trainer, reviews, SYNONYMS, metric="pearson", num_train=50, description=__doc__)


if __name__ == "__main__":
    main()
