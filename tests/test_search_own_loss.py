"""Greedy search by other losses than the cross entropy with classes: a function of the user's, probabilities."""

import numpy as np
import pytest
import torch
from conftest import make_model
from datasets import Dataset
from test_search import LEXICON, Recorded, logits_alone, made_examples

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import MMELTrainer, search_variants
from hf_mmel.functional import per_variant_loss


def second_logit(outputs, labels, num_items_in_batch=None):
    """A loss that has nothing to do with cross entropy, the mean over the rows."""
    return (outputs.logits[:, 1] - labels).sum() / num_items_in_batch


def test_the_score_is_the_loss_of_each_row(tokenizer):
    examples, model = made_examples(tokenizer, 4), make_model(tokenizer).eval()
    augmenter = Recorded(LexiconSubstitution(tokenizer, LEXICON))
    search_variants(model, augmenter, examples, 2, compute_loss_func=second_logit)
    rows = [examples[3], examples[1], *augmenter.variants(examples[1], 2, 0)]
    with torch.no_grad():
        scores = augmenter.score(rows, np.array([3, 1, 1, 1]))
    expected = [(logits_alone(model, row)[0, 1] - row["label"]).item() for row in rows]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert min(scores[2:]) > scores[1]


def test_a_search_in_training_goes_by_the_loss_function_of_the_trainer(arguments, tokenizer):
    dataset, model = Dataset.from_list(made_examples(tokenizer, 8)), make_model(tokenizer)
    source = LexiconSubstitution(tokenizer, LEXICON)
    alone, tables = GreedySearch(source), []
    search_variants(model, alone, dataset, 2, (42, 0), compute_loss_func=second_logit)
    for loss_func in (second_logit, None):
        augmenter = GreedySearch(source)
        args = arguments(max_steps=1, learning_rate=0.0, mmel_loss="hard", num_variants=2)
        options = {"train_dataset": dataset, "processing_class": tokenizer, "compute_loss_func": loss_func}
        MMELTrainer(model, args, augmenter=augmenter, **options).train()
        tables.append(augmenter.table.texts)
    assert tables[0] == alone.table.texts != tables[1]


@pytest.mark.parametrize("kind", [Dataset.from_list, list])
def test_probabilities_score_by_their_cross_entropy_without_a_problem_type(tokenizer, kind):
    probabilities = [[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    examples = [{**row, "label": probabilities[i % 3]} for i, row in enumerate(made_examples(tokenizer, 6))]
    augmenter, model = Recorded(LexiconSubstitution(tokenizer, LEXICON)), make_model(tokenizer, num_labels=3).eval()
    search_variants(model, augmenter, kind(examples), 2, batch_size=2)  # the last two have zeros and ones
    with torch.no_grad():
        scores = augmenter.score(augmenter.examples, np.array([0, 1]))
    for row, score in zip(augmenter.examples, scores, strict=True):
        options = torch.tensor([row["label"]]), "single_label_classification"
        assert score == pytest.approx(per_variant_loss(logits_alone(model, row), *options).item(), abs=1e-5)
