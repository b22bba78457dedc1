"""Extractive question answering: which words of a text answer a question.

    python examples/question_answering.py [--seeds 1 2 3] [--num_train 150]

The training questions and texts have few words. The test questions and texts use the same words, or synonyms that
training lacks. The augmenter's lexicon lists these synonyms, so that only augmentation can teach them to the model. No
variant changes the answer, and its position follows the edits around it. The task is too small to tell which method is
best.
"""

import random
from functools import partial

import numpy as np
from _tiny import all_words, compare, make_arguments, make_config, make_tokenizer, replace_words
from datasets import Dataset
from transformers import BertForQuestionAnswering, DataCollatorWithPadding, EvalPrediction

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer


ANSWERS = {
    "price": ["ten dollars", "two thousand dollars", "nine dollars"],
    "color": ["dark blue", "red", "light green"],
    "place": ["paris", "new york", "san francisco"],
}
CLAUSES = {"price": "costs _", "color": "looks _", "place": "stands in _"}
SYNONYMS = {
    "price": ["cost", "value"],
    "color": ["shade", "tint"],
    "place": ["location", "position"],
    "costs": ["fetches", "earns"],
    "looks": ["appears", "seems"],
    "stands": ["rests", "stays"],
    "car": ["automobile", "sedan"],
    "house": ["cottage", "mansion"],
    "boat": ["ship", "yacht"],
}
THINGS = ["car", "house", "boat"]
IN_PIECES = {"automobile": "auto ##mobile", "location": "loca ##tion", "position": "posi ##tion"}
TOKENIZER = make_tokenizer(
    [
        *(IN_PIECES.get(word, word) for word in all_words(SYNONYMS)),
        *(answer for answers in ANSWERS.values() for answer in answers),
        "what is the of ? in and , .",
    ]
)


def exercise(rng: random.Random) -> tuple[str, str, str]:
    """A question, a text on three qualities of a thing in any order, and the answer."""
    thing, asked = rng.choice(THINGS), rng.choice(list(ANSWERS))
    answers = {quality: rng.choice(ANSWERS[quality]) for quality in rng.sample(list(ANSWERS), 3)}
    first, second, third = (CLAUSES[quality].replace("_", answer) for quality, answer in answers.items())
    return f"what is the {asked} of the {thing} ?", f"the {thing} {first} , {second} and {third} .", answers[asked]


def encode(question: str, text: str, answer: str) -> dict[str, list[int] | int]:
    """A tokenised question and text, with the positions of the answer's first and last token."""
    encoding = TOKENIZER(question, text)
    start = text.index(answer)
    return {
        **encoding,
        "start_positions": encoding.char_to_token(start, sequence_index=1),
        "end_positions": encoding.char_to_token(start + len(answer) - 1, sequence_index=1),
    }


def exercises(size: int, split: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised questions and texts, with a synonym for each word that has any."""
    rng = random.Random(split)
    rows = [exercise(rng) for _ in range(size)]
    return Dataset.from_list(
        [
            encode(replace_words(question, synonyms, rng), replace_words(text, synonyms, rng), answer)
            for question, text, answer in rows
        ]
    )


def exact_match(prediction: EvalPrediction) -> dict[str, float]:
    """Share of the answers whose start and end are both right."""
    pairs = zip(prediction.predictions, prediction.label_ids, strict=True)
    right = [logits.argmax(-1) == positions for logits, positions in pairs]
    return {"exact_match": np.mean(right[0] & right[1])}


def make_trainer(method: str, seed: int, train_dataset: Dataset) -> MMELTrainer:
    return MMELTrainer(
        BertForQuestionAnswering(make_config(TOKENIZER)),
        make_arguments(method, seed, num_train_epochs=10),
        train_dataset=train_dataset,
        processing_class=TOKENIZER,
        data_collator=DataCollatorWithPadding(TOKENIZER),
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=exact_match,
    )


main = partial(compare, make_trainer, exercises, SYNONYMS, metric="exact_match", num_train=150, description=__doc__)


if __name__ == "__main__":
    main()
