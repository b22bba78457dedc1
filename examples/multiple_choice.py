"""Multiple choice: which of three endings goes with a story.

    python examples/multiple_choice.py [--seeds 1 2 3] [--num_train 150]

The training stories are told in few words. The test stories are told in the same words, or in synonyms that no
training story has. The lexicon of the augmenter lists these synonyms, and from augmentation alone a model can know
them. The task is too small to tell which way of weighing variants is best.
"""

import random

import numpy as np
from _tiny import compare, in_other_words, make_arguments, make_config, make_tokenizer, words_of
from datasets import Dataset
from transformers import BertForMultipleChoice, DataCollatorForMultipleChoice, EvalPrediction, set_seed

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
TOKENIZER = make_tokenizer([*words_of(SYNONYMS), *PEOPLE, "was"])


def story(rng: random.Random) -> tuple[str, list[str], int]:
    """A beginning, its possible endings, and the number of the right one."""
    feelings = rng.sample(list(ENDINGS), NUM_CHOICES)
    label = rng.randrange(NUM_CHOICES)
    return f"{rng.choice(PEOPLE)} was {feelings[label]}", [ENDINGS[feeling] for feeling in feelings], label


def stories(size: int, part: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised stories, the beginning with each ending, with a synonym for each word that has any."""
    rng = random.Random(part)
    rows = []
    for beginning, endings, label in [story(rng) for _ in range(size)]:
        beginning, *endings = (in_other_words(text, synonyms, rng) for text in (beginning, *endings))
        rows.append({**TOKENIZER([beginning] * NUM_CHOICES, endings), "label": label})
    return Dataset.from_list(rows)


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    return {"accuracy": np.mean(prediction.predictions.argmax(-1) == prediction.label_ids)}


def run(method: str, seed: int, num_train: int) -> dict[str, float]:
    """Accuracy after one training."""
    set_seed(seed)
    trainer = MMELTrainer(
        BertForMultipleChoice(make_config(TOKENIZER)),
        make_arguments(method, seed, num_train_epochs=10),
        train_dataset=stories(num_train, f"training {seed}", {}),
        processing_class=TOKENIZER,
        data_collator=DataCollatorForMultipleChoice(TOKENIZER),
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=accuracy,
    )
    trainer.train()
    tests = {"same words": stories(200, "test", {}), "synonyms": stories(200, "test", SYNONYMS)}
    return {name: trainer.predict(rows).metrics["test_accuracy"] for name, rows in tests.items()}


def main(argv: list[str] | None = None) -> dict[str, list[dict[str, float]]]:
    return compare(run, __doc__, metric="accuracy", num_train=150, argv=argv)


if __name__ == "__main__":
    main()
