"""From texts to a trained model and a prediction, with the Python API.

    python examples/python_api.py [google-bert/bert-base-uncased]

Without an argument the model is a small one with random weights, which learns the few sentences below in seconds.
"""

import sys

from _tiny import make_config, make_tokenizer
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertForSequenceClassification,
    pipeline,
    set_seed,
)

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer, MMELTrainingArguments


PRAISE = ["i loved this film", "a good story", "the music is good", "what a fine film", "the cast is good"]
BLAME = ["i hated this film", "a bad story", "the music is bad", "what a poor film", "the cast is bad"]
WORDS = {"good": ["great", "nice"], "bad": ["awful", "dull"], "film": ["movie", "picture"], "loved": ["liked"]}


def main(checkpoint: str | None = None) -> str:
    """Trains, and returns what the model says of a text whose words training has as variants alone."""
    set_seed(0)
    names = {0: "blame", 1: "praise"}
    if checkpoint is None:
        tokenizer = make_tokenizer([*PRAISE, *BLAME, *(word for words in WORDS.values() for word in words)])
        model = BertForSequenceClassification(make_config(tokenizer, id2label=names))
    else:
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        model = AutoModelForSequenceClassification.from_pretrained(checkpoint, id2label=names)

    data = Dataset.from_dict({"text": PRAISE + BLAME, "label": [1] * len(PRAISE) + [0] * len(BLAME)})
    data = data.map(lambda rows: tokenizer(rows["text"], truncation=True), batched=True)
    arguments = MMELTrainingArguments(
        "outputs/python_api",
        mmel_loss="hard",  # or "soft", "uniform", "none"
        lambda_p=1.0,
        num_variants=2,
        learning_rate=2e-3 if checkpoint is None else 5e-5,
        num_train_epochs=20,
        report_to="none",
        save_strategy="no",
    )
    augmenter = LexiconSubstitution(tokenizer, WORDS)  # or WordNetSynonyms(tokenizer), MaskedLMSubstitution(...), ...
    trainer = MMELTrainer(model, arguments, train_dataset=data, processing_class=tokenizer, augmenter=augmenter)
    trainer.train()

    classify = pipeline("text-classification", model=model, tokenizer=tokenizer)
    text = "a great movie"
    prediction = classify(text)[0]
    print(f"{text!r}: {prediction['label']} ({prediction['score']:.2f})")
    return prediction["label"]


if __name__ == "__main__":
    main(*sys.argv[1:])
