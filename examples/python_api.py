"""From csv files to a fine-tuned model and its accuracy: python -m examples.python_api [MODEL]"""

import sys

from datasets import load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from augment import make_augmenter
from hf_mmel import MMELTrainer, MMELTrainingArguments


checkpoint = sys.argv[1] if len(sys.argv) > 1 else "google-bert/bert-base-uncased"
files = {"train": "examples/own_data/train.csv", "dev": "examples/own_data/dev.csv"}
data = load_dataset("csv", data_files=files)
names = sorted(set(data["train"]["verdict"]))
data = data.map(lambda row: {"label": names.index(row["verdict"])})
tokenizer = AutoTokenizer.from_pretrained(checkpoint)
data = data.map(lambda rows: tokenizer(rows["review"], truncation=True), batched=True)
# float32, even if the checkpoint is stored in half precision, in which small updates are lost.
model = AutoModelForSequenceClassification.from_pretrained(
    checkpoint, id2label=dict(enumerate(names)), dtype="float32"
)

trainer = MMELTrainer(
    model,
    MMELTrainingArguments("outputs/python_api", mmel_loss="soft", num_variants=4, num_train_epochs=10),
    train_dataset=data["train"],
    eval_dataset=data["dev"],
    processing_class=tokenizer,
    augmenter=make_augmenter("synonyms", tokenizer),
    compute_metrics=lambda found: {"accuracy": (found.predictions.argmax(-1) == found.label_ids).mean()},
)
trainer.train()
print(trainer.evaluate())
