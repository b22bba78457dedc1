"""Attacks on classifiers: what they find and what they cost."""

from itertools import pairwise

import pytest
import torch
from judgements import LEXICON, made_rows
from torch import nn

from augment import Compose, InTurn, LexiconSubstitution, RandomDelete, RandomSwap
from hf_mmel.attack.attacks import ATTACKS, Attempt, Target, candidates_of
from hf_mmel.attack.texts import Classifier, Originals, share_changed


class OneWord(nn.Module):
    """Predicts class 1 for a text without a certain token, and counts the rows that it gets."""

    def __init__(self, token):
        super().__init__()
        self.token, self.bias, self.num_rows = token, nn.Parameter(torch.zeros(1)), 0

    def forward(self, input_ids, attention_mask=None, token_type_ids=None):
        self.num_rows += len(input_ids)
        found = (input_ids == self.token).any(dim=1).float()
        return {"logits": torch.stack([3 * found - 1 + self.bias, -found], dim=1)}


def attacked(model, tokenizer, name, augmenter, texts, budget, labels=None, batch_size=7, seed=0):
    """The attempts of an attack on examples of class 1."""
    classifier = Classifier(model, tokenizer, 64, batch_size)
    labels = labels or [1] * len(texts)
    _, losses = classifier.predict(texts, labels)
    attempts = [Attempt(label, {text: loss}) for label, text, loss in zip(labels, texts, losses, strict=True)]
    ATTACKS[name](Target(classifier, Originals(classifier, texts), attempts, budget), augmenter, seed)
    return attempts


TEXTS = [(row["text"],) for row in made_rows(12)]


@pytest.fixture
def one_word(tokenizer):
    (token,) = tokenizer.convert_tokens_to_ids(["superb"])
    model = OneWord(token)
    model.bias.data -= 1e-3
    return model


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("budget", [0, 1, 5, 40])
def test_queries_are_the_rows_that_the_model_gets(tokenizer, one_word, name, budget):
    attempts = attacked(one_word, tokenizer, name, LexiconSubstitution(tokenizer, LEXICON), TEXTS, budget)
    assert sum(attempt.queries for attempt in attempts) == one_word.num_rows - len(TEXTS)
    assert all(attempt.queries <= budget for attempt in attempts)


@pytest.mark.parametrize("name", ATTACKS)
def test_a_larger_budget_keeps_each_success(tokenizer, one_word, name):
    source, found = LexiconSubstitution(tokenizer, LEXICON), []
    for budget in (0, 1, 2, 4, 8, 17, 40):
        attempts = attacked(one_word, tokenizer, name, source, TEXTS, budget)
        found.append({i: attempt.wrong[1] for i, attempt in enumerate(attempts) if attempt.wrong is not None})
    assert found[0] == {} and found[-1]
    assert all(fewer.keys() <= more.keys() for fewer, more in pairwise(found))


def test_greedy_finds_the_word_that_decides_at_least_where_random_does(tokenizer, one_word):
    source, found = LexiconSubstitution(tokenizer, LEXICON), {}
    for name in ATTACKS:
        attempts = attacked(one_word, tokenizer, name, source, TEXTS, 30)
        found[name] = {i for i, attempt in enumerate(attempts) if attempt.wrong is not None}
    can = {
        i for i, (text,) in enumerate(TEXTS) if any("superb" in LEXICON.get(w.strip(",."), ()) for w in text.split())
    }
    already = {i for i, (text,) in enumerate(TEXTS) if "superb" in text}
    assert found["random"] - already <= found["greedy"] and can - already <= found["greedy"]


def test_an_attack_stops_at_its_first_success(tokenizer, one_word):
    source = LexiconSubstitution(tokenizer, {"awful": ["superb"], "film": ["story", "movie"]}, replace_prob=1.0)
    (attempt,) = attacked(one_word, tokenizer, "random", source, [("the film is awful",)], 50)
    assert attempt.queries == 1 and attempt.wrong[1] in [("the story is superb",), ("the movie is superb",)]
    assert attempt.wrong[2] == 0


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("words", [{}, {"unheard": ["awful"]}])
def test_without_candidates_nothing_changes(tokenizer, one_word, name, words):
    attempts = attacked(one_word, tokenizer, name, LexiconSubstitution(tokenizer, words), TEXTS, 20)
    assert all(attempt.queries == 0 and attempt.wrong is None for attempt in attempts)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_depends_on_the_seed_and_the_example_alone(tokenizer, one_word, name):
    source = LexiconSubstitution(tokenizer, LEXICON)
    together, other = (attacked(one_word, tokenizer, name, source, TEXTS, 9, seed=seed) for seed in (0, 1))
    alone = [attacked(one_word, tokenizer, name, source, [text], 9, batch_size=64)[0] for text in TEXTS[::-1]][::-1]
    assert [a.losses.keys() for a in together] == [a.losses.keys() for a in alone]
    assert [a.losses.keys() for a in together] != [a.losses.keys() for a in other]


@pytest.mark.parametrize("name", ATTACKS)
def test_of_a_pair_only_the_allowed_text_changes(tokenizer, one_word, name):
    pairs = [(first, second) for (first,), (second,) in pairwise(TEXTS)]
    source = LexiconSubstitution(tokenizer, LEXICON, segments="second", max_replaced=1)
    attempts = attacked(one_word, tokenizer, name, source, pairs, 20)
    variants = [(pair, v) for pair, attempt in zip(pairs, attempts, strict=True) for v in attempt.losses if v != pair]
    assert len(variants) > 20
    for pair, variant in variants:
        assert variant[0] == pair[0]
        assert sum(a != b for a, b in zip(pair[1].split(" "), variant[1].split(" "), strict=True)) == 1


def test_candidates_of_words_are_found_in_the_parts_of_an_augmenter(tokenizer):
    first, second = (LexiconSubstitution(tokenizer, {word: ["bad"]}) for word in ("awful", "slow"))
    assert candidates_of(InTurn([first, RandomSwap(tokenizer)])) is first
    assert candidates_of(Compose([first, second])).sources == [first, second]
    assert candidates_of(Compose([RandomSwap(tokenizer), RandomDelete(tokenizer)])) is None


def test_the_share_of_changed_words():
    assert share_changed(("a b, c d",), ("a x, c d",)) == 0.25
    assert share_changed(("a b", "c d"), ("a", "c e f d")) == 0.75
    assert share_changed(("a b",), ("a  b!",)) == 0
