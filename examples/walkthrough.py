"""A tour of the parts, from a sentence to a trained model, in cells that editors run one at a time.

    python examples/walkthrough.py

It also runs from top to bottom, in seconds and without a network.
"""

# %% [markdown]
# # From a sentence to weights
#
# The tokenizer and the model are tiny, and made here. Everything below works in the same way with a checkpoint:
# `AutoTokenizer.from_pretrained(name)` and `AutoModelForSequenceClassification.from_pretrained(name)`.

# %%
import torch
from _tiny import all_words, make_arguments, make_config, make_tokenizer
from datasets import Dataset
from transformers import BertForSequenceClassification, PrinterCallback, set_seed

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer, VariantCollator
from hf_mmel.functional import mmel_hard_loss, mmel_weights, per_variant_loss


PRAISE = ["a good film", "the story is lovely", "i liked the music", "a fine and funny film"]
BLAME = ["a bad film", "the story is dull", "i hated the music", "a poor and boring film"]
WORDS = {
    "good": ["great", "nice"],
    "bad": ["awful", "lousy"],
    "film": ["movie", "picture"],
    "lovely": ["charming"],
    "dull": ["flat"],
    "story": ["tale", "plot"],
    "music": ["score", "songs"],
    "funny": ["witty"],
    "boring": ["tedious"],
}
set_seed(0)
torch.set_num_threads(1)  # faster for models of this size
tokenizer = make_tokenizer([*PRAISE, *BLAME, *all_words(WORDS)])

# %% [markdown]
# ## Variants of a sentence
#
# An augmenter makes variants that differ from each other. The same seed gives the same variants, in any batch, process
# and worker. `edits` returns the changes as data: which tokens were replaced by which.

# %%
augmenter = LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5)
sentence = "a good film"
print("Variants of", repr(sentence))
for variant in augmenter.augment_text(sentence, num_variants=3, seed=0):
    print("   ", variant)
print("Edits of the first:", augmenter.edits(tokenizer(sentence), num_variants=3, seed=0)[0])

# %% [markdown]
# ## Groups
#
# A training batch holds B groups, each with the original and K variants of an example, V = K + 1. `variant_mask` says
# which variants are present, since an example may have fewer than requested.

# %%
rows = [{**tokenizer(text), "label": int(text in PRAISE)} for text in PRAISE + BLAME]
collator = VariantCollator(tokenizer, augmenter, num_variants=3)
batch = collator(rows[:2])
print("\ninput_ids", tuple(batch["input_ids"].shape), "labels", tuple(batch["labels"].shape))
for group, mask in zip(batch["input_ids"], batch["variant_mask"], strict=True):
    print("   ", [text for text, there in zip(tokenizer.batch_decode(group, True), mask, strict=True) if there])

# %% [markdown]
# ## Weights
#
# The losses of the variants under the label, `(B, V)`, decide their weights: the softmax of the losses divided by
# `lambda_p`. If `lambda_p` is large, all weights are nearly equal, as in plain augmentation. If it is small, the
# hardest variant has nearly all the weight.

# %%
model = BertForSequenceClassification(make_config(tokenizer, num_labels=2)).eval()


@torch.no_grad()
def losses_of(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The loss of every variant, `(B, V)`."""
    num_examples, num_variants, length = batch["input_ids"].shape
    logits = model(**{name: batch[name].reshape(-1, length) for name in ("input_ids", "attention_mask")}).logits
    labels = batch["labels"].repeat_interleave(num_variants)
    return per_variant_loss(logits, labels, "single_label_classification").reshape(num_examples, num_variants)


losses, mask = losses_of(batch), batch["variant_mask"]
print("\nlosses of the first group", losses[0].tolist())
for lambda_p in (0.0, 0.01, 0.1, 1.0, float("inf")):
    weights = mmel_weights(losses, lambda_p, mask)
    print(f"lambda_p {lambda_p:>4}: weights {[round(w, 3) for w in weights[0].tolist()]}")

# %% [markdown]
# The objective of MMEL-H is the sum of weights times losses. It lies between the mean and the maximum of the losses.

# %%
print("\nmean, objective and largest of the losses of each example, lambda_p 0.01:")
for values in zip(losses.mean(1), mmel_hard_loss(losses, 0.01, mask), losses.amax(1), strict=True):
    print("   ", [round(float(value), 4) for value in values])

# %% [markdown]
# ## Training
#
# `MMELTrainer` is `Trainer` with an augmenter. Each logged loss comes with metrics of the variants:
#
# - `mmel/loss_original` and `mmel/loss_variants`: if the second is much larger, the variants teach something new, or
#   they no longer match their label. Read some.
# - `mmel/max_weight` and `mmel/effective_num_variants`: 1 / V and V for equal weights, 1 and 1 if one variant has all
#   the weight. They show whether `lambda_p` is small or large for losses of this size.

# %%
arguments = make_arguments("hard", seed=0, num_train_epochs=15, lambda_p=0.1)
arguments.logging_strategy, arguments.logging_steps = "epoch", 1
trainer = MMELTrainer(
    model,
    arguments,
    train_dataset=Dataset.from_list(rows),
    processing_class=tokenizer,
    augmenter=augmenter,
)
trainer.remove_callback(PrinterCallback)  # the table below shows the logs
trainer.train()
history = [entry for entry in trainer.state.log_history if "mmel/max_weight" in entry]
print(f"\n{'epoch':>5} {'original':>9} {'variants':>9} {'max_weight':>10} {'effective':>9}")
for entry in history[::3]:
    figures = [entry[f"mmel/{name}"] for name in ("loss_original", "loss_variants", "max_weight")]
    print("{:5.0f} {:9.3f} {:9.3f} {:10.2f}".format(entry["epoch"], *figures), end=" ")
    print(f"{entry['mmel/effective_num_variants']:9.2f}")

# %% [markdown]
# ## A prediction
#
# Apart from "a", "the" and "is", none of these words is in the training texts: the model knows them from variants.

# %%
texts = ["a great movie", "the tale is charming", "a lousy picture", "the plot is flat"]
logits = trainer.predict(Dataset.from_list([dict(tokenizer(text)) for text in texts])).predictions
predictions = dict(zip(texts, ("praise" if row.argmax() else "blame" for row in logits), strict=True))
print()
for text, label in predictions.items():
    print(f"{text}: {label}")
