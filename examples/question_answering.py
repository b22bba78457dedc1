"""Extractive question answering: which words of a text answer a question.

    python examples/question_answering.py [--seeds 1 2 3] [--num_train 150]

The training questions and texts are of few words. The test questions and texts are of the same words, or of synonyms
that training lacks. The lexicon of the augmenter lists these synonyms, and from augmentation alone a model can know
them. No variant touches the answer, whose place follows the edits around it. The task is too small to tell which way
of weighing variants is best.
"""

import random

import numpy as np
from _tiny import compare, in_other_words, make_arguments, make_config, make_tokenizer, words_of
from datasets import Dataset
from transformers import BertForQuestionAnswering, DataCollatorWithPadding, EvalPrediction, set_seed

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
        *(IN_PIECES.get(word, word) for word in words_of(SYNONYMS)),
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
    """A tokenised question and text, with the places of the answer's first and last token."""
    encoding = TOKENIZER(question, text)
    start = text.index(answer)
    return {
        **encoding,
        "start_positions": encoding.char_to_token(start, sequence_index=1),
        "end_positions": encoding.char_to_token(start + len(answer) - 1, sequence_index=1),
    }


def exercises(size: int, part: str, synonyms: dict[str, list[str]]) -> Dataset:
    """Tokenised questions and texts, with a synonym for each word that has any."""
    rng = random.Random(part)
    rows = [exercise(rng) for _ in range(size)]
    return Dataset.from_list(
        [
            encode(in_other_words(question, synonyms, rng), in_other_words(text, synonyms, rng), answer)
            for question, text, answer in rows
        ]
    )


def exact_match(prediction: EvalPrediction) -> dict[str, float]:
    """Share of the answers of which both ends are found."""
    pairs = zip(prediction.predictions, prediction.label_ids, strict=True)
    right = [logits.argmax(-1) == positions for logits, positions in pairs]
    return {"exact_match": np.mean(right[0] & right[1])}


def run(method: str, seed: int, num_train: int) -> dict[str, float]:
    """Exact matches after one training."""
    set_seed(seed)
    trainer = MMELTrainer(
        BertForQuestionAnswering(make_config(TOKENIZER)),
        make_arguments(method, seed, num_train_epochs=10),
        train_dataset=exercises(num_train, f"training {seed}", {}),
        processing_class=TOKENIZER,
        data_collator=DataCollatorWithPadding(TOKENIZER),
        augmenter=LexiconSubstitution(TOKENIZER, SYNONYMS),
        compute_metrics=exact_match,
    )
    trainer.train()
    tests = {
        "same words": exercises(200, "test", {}),
        "synonyms": exercises(200, "test", SYNONYMS),
    }
    return {name: trainer.predict(rows).metrics["test_exact_match"] for name, rows in tests.items()}


def main(argv: list[str] | None = None) -> dict[str, list[dict[str, float]]]:
    return compare(run, __doc__, metric="exact match", num_train=150, argv=argv)


if __name__ == "__main__":
    main()
