"""Multiple choice: which of three endings fits a story.

    python examples/multiple_choice.py [--seeds 1 2 3] [--num_train 150]

The training stories use few different words. The test stories use the same words, or synonyms that no training story
has. The augmenter's lexicon lists these synonyms, so that only augmentation can teach them to the model. The task is
too small to tell which method is best.
"""

import random
from functools import partial

import numpy as np
from _tiny import all_words, compare, make_arguments, make_config, make_tokenizer, replace_words
from datasets import Dataset
from transformers import BertForMultipleChoice, DataCollatorForMultipleChoice, EvalPrediction

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


NUM_CHOICES = 3
ENDINGS = {  # what who feels so does
    "happy": "laughed",
    "sad": "cried",
    "angry": "shouted",
    "tired": "slept",
}
SYNONYMS = {
    "happy": ["glad", "cheerful"],
    "sad": ["unhappy", "sorrowful"],
    "angry": ["furious", "mad"],
    "tired": ["sleepy", "exhausted"],
    "laughed": ["smiled", "giggled"],
    "cried": ["wept", "sobbed"],
    "shouted": ["yelled", "screamed"],
    "slept": ["dozed", "napped"],
}
PEOPLE = ["the girl", "the boy", "my friend", "our teacher"]
TOKENIZER = make_tokenizer([*all_words(SYNONYMS), *PEOPLE, "was"])


def story(rng: random.Random) -> tuple[str, list[str], int]:
    """A beginning, its possible endings, and the number of the right one."""
    feelings = rng.sample(list(ENDINGS), NUM_CHOICES)
    label = rng.randrange(NUM_CHOICES)
    return f"{rng.choice(PEOPLE)} was {feelings[label]}", [ENDINGS[feeling] for feeling in feelings], label


def stories(size: int, split: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised stories, the beginning with each ending, with a synonym for each word that has any."""
    rng = random.Random(split)
    rows = []
    for beginning, endings, label in [story(rng) for _ in range(size)]:
        beginning, *endings = (replace_words(text, synonyms, rng) for text in (beginning, *endings))
        rows.append({**TOKENIZER([beginning] * NUM_CHOICES, endings), "label": label})
    return Dataset.from_list(rows)


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": np.mean(prediction.predictions.argmax(-1) == prediction.label_ids)}


def make_trainer(method: str, seed: int, train_dataset: Dataset) -> MMELTrainer:
    return MMELTrainer(
        BertForMultipleChoice(make_config(TOKENIZER)),
        make_arguments(method, seed, num_train_epochs=10),
        train_dataset=train_dataset,
        processing_class=TOKENIZER,
        data_collator=DataCollatorForMultipleChoice(TOKENIZER),
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=accuracy,
    )


main = partial(compare, make_trainer, stories, SYNONYMS, metric="accuracy", num_train=150, description=__doc__)


if __name__ == "__main__":
    main()
