"""Groups for token classification, question answering and multiple choice: labels, answers and choices of variants."""

import copy
from functools import partial

import pytest
import torch
from conftest import SENTENCES, TOKENIZER_KINDS, WORDS
from datasets import Dataset
from pairwise import pairwise
from task_heads import TASK_HEADS
from transformers import DataCollatorForTokenClassification, DataCollatorWithPadding

from augment import Compose, LexiconSubstitution, RandomDelete, RandomInsert
from hf_mmel import VariantCollator
from hf_mmel.data.groups import IGNORE_INDEX, POSITIONS


QUESTION = "what did children and actors think of the movie"
ANSWERS = {  # first and last word of each text's answer, its length being n
    "the first word": lambda n: (0, 0),
    "the first words": lambda n: (0, min(2, n - 1)),
    "a word inside": lambda n: (n // 2, n // 2),
    "words inside": lambda n: (n // 2 - 1, n // 2),
    "the last word": lambda n: (n - 1, n - 1),
    "all words": lambda n: (0, n - 1),
}


@pytest.fixture
def side(request):
    return request.param


@pytest.fixture
def padding(request):
    return request.param


TOKENIZERS = {"any_tokenizer": TOKENIZER_KINDS, "side": ["right", "left"]}
PADDING = {"padding": {"unpadded": {}, "padded": {"padding": "max_length", "max_length": 60}}}
with_tokenizers = partial(pairwise, list(TOKENIZERS), **TOKENIZERS)
with_padding = partial(pairwise, [*TOKENIZERS, *PADDING], **TOKENIZERS, **PADDING)


@pytest.fixture
def sided(any_tokenizer, side):
    """A tokenizer that pads on one side."""
    tokenizer = copy.deepcopy(any_tokenizer)
    tokenizer.padding_side = side
    return tokenizer


def mixed(tokenizer):
    """Replaces, deletes and puts in words."""
    source = LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5)
    return Compose([source, RandomDelete(tokenizer), RandomInsert(source)])


def word_rows(tokenizer, **padding) -> list[dict]:
    """The number of each word, as the tokenizer has them, at its first piece."""
    rows = []
    for text in SENTENCES:
        row = tokenizer(text, **padding)
        words = row.word_ids()
        first = [word is not None and word != before for before, word in zip([None, *words], words, strict=False)]
        labels = [word if begins else IGNORE_INDEX for begins, word in zip(first, words, strict=True)]
        rows.append({**row, "labels": labels})
    return rows


def answer_rows(tokenizer, answer, **padding) -> list[dict]:
    """Pairs of a question and a text with the answer; `None` for one that the text has not."""
    rows = []
    for text in SENTENCES:
        row = tokenizer(QUESTION, text, return_token_type_ids=True, **padding)
        words = {word for word, part in zip(row.word_ids(), row.sequence_ids(), strict=True) if part == 1}
        start = end = row["input_ids"].index(tokenizer.cls_token_id)
        if answer is not None:
            first, last = answer(len(words))
            start = row.word_to_tokens(first, sequence_index=1).start
            end = row.word_to_tokens(last, sequence_index=1).end - 1
        rows.append({**row, "start_positions": start, "end_positions": end})
    return rows


def changed(batch) -> int:
    """Variants that are other than their originals."""
    return int(batch["variant_mask"][:, 1:].sum())


# --- labels of tokens -------------------------------------------------------------------------


@with_padding()
def test_labels_follow_their_words(sided, padding):
    rows = word_rows(sided, **padding)
    collator = VariantCollator(sided, mixed(sided), 4, data_collator=DataCollatorForTokenClassification(sided))
    batch = collator(rows)
    assert batch["labels"].shape == batch["alignment"].shape == batch["input_ids"].shape and changed(batch) > 20
    replaced = 0
    for row, ids, labels in zip(rows, batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
        pieces = {word: row["input_ids"][place] for place, word in enumerate(row["labels"]) if word != IGNORE_INDEX}
        assert [label for label in labels[0] if label != IGNORE_INDEX] == list(pieces)
        for variant, own in zip(ids, labels, strict=True):
            found = {label: variant[place] for place, label in enumerate(own) if label != IGNORE_INDEX}
            assert list(found) == sorted(found) and found.keys() <= pieces.keys() and found
            for word, piece in found.items():
                if piece != pieces[word]:
                    text, new = (sided.decode([one]).strip() for one in (pieces[word], piece))
                    if text.startswith(new) or new.startswith(text):  # a word that lost the space before it
                        continue
                    assert any(old.startswith(text) for old in WORDS), text
                    replaced += 1
    assert replaced > 5


@with_padding()
def test_alignment_leads_from_the_original_to_the_same_tokens(sided, padding):
    """Unless they are replaced, and then to the first piece of the replacement."""
    rows = word_rows(sided, **padding)
    collator = VariantCollator(sided, mixed(sided), 4, data_collator=DataCollatorForTokenClassification(sided))
    batch = collator(rows)
    alignment, ids, labels = batch["alignment"], batch["input_ids"], batch["labels"]
    found = alignment >= 0
    there = alignment.clamp(min=0)
    same = ids.gather(2, there) == ids[:, :1]
    known = labels[:, :1] != IGNORE_INDEX
    assert (labels.gather(2, there) == labels[:, :1])[found].all()
    assert known.expand_as(found)[found & ~same].all()  # what differs is a word
    assert same[found].float().mean() > 0.8 and (found & ~same).any()
    assert found[:, 0].equal(alignment[:, 0] == torch.arange(ids.shape[2]))
    for row, one in zip(rows, found.tolist(), strict=True):
        assert sum(one[0]) == sum(row["attention_mask"])
    # Tokens that nothing stands for are new, whatever stands for a token stands for no other.
    for places in alignment.flatten(0, 1).tolist():
        places = [place for place in places if place >= 0]
        assert places == sorted(set(places))
    copies = ~batch["variant_mask"]
    assert (alignment == alignment[:, :1])[copies].all()


@with_tokenizers()
def test_padding_has_no_counterpart(sided, side):
    rows = word_rows(sided)
    batch = VariantCollator(sided, mixed(sided), 2, data_collator=DataCollatorForTokenClassification(sided))(rows)
    padding = batch["attention_mask"] == 0
    assert padding.any() and (batch["labels"][padding] == IGNORE_INDEX).all()
    assert (batch["alignment"][padding[:, :1].expand_as(padding)] == -1).all()
    found = batch["alignment"] >= 0
    assert not padding.gather(2, batch["alignment"].clamp(min=0))[found].any()


# --- answers ------------------------------------------------------------------------------------


@with_padding(answer={**ANSWERS, "none": None})
def test_the_answer_is_untouched_and_the_positions_point_to_it(sided, padding, answer):
    rows = answer_rows(sided, answer, **padding)
    batch = VariantCollator(sided, mixed(sided), 4)(rows)
    assert batch["start_positions"].shape == batch["end_positions"].shape == batch["variant_mask"].shape
    assert changed(batch) > 20
    moved = 0
    for i, row in enumerate(rows):
        start, end = (row[name] for name in POSITIONS)
        for k, ids in enumerate(batch["input_ids"][i].tolist()):
            first, last = (batch[name][i, k].item() for name in POSITIONS)
            assert ids[first : last + 1] == row["input_ids"][start : end + 1]
            assert batch["token_type_ids"][i, k, first] == (answer is not None)
            # They are the answer's own tokens, not others like them.
            offset = batch["input_ids"].shape[2] - len(row["input_ids"]) if sided.padding_side == "left" else 0
            places = batch["alignment"][i, k, start + offset : end + offset + 1].tolist()
            assert places == list(range(first, last + 1))
            moved += first != batch["start_positions"][i, 0]
    assert moved or answer is None or sided.padding_side == "left"


@with_padding()
def test_spans_to_keep_besides_the_answer_stay(sided, padding):
    rows = answer_rows(sided, ANSWERS["a word inside"], **padding)
    for row in rows:
        question = (row["input_ids"].index(piece) for piece in (sided.cls_token_id, sided.sep_token_id))
        row["keep_spans"] = [tuple(question)]
    batch = VariantCollator(sided, mixed(sided), 4)(rows)
    free = VariantCollator(sided, mixed(sided), 4)([{**row, "keep_spans": []} for row in rows])
    assert "keep_spans" not in batch and changed(batch) > 10
    kept = []
    for one in (batch, free):
        texts = [
            sided.decode(ids[: ids.index(sided.sep_token_id)], skip_special_tokens=True).strip()
            for group in one["input_ids"].tolist()
            for ids in group
        ]
        kept.append({text == texts[0] for text in texts})
    assert kept == [{True}, {True, False}]
    for row, ids, start, end in zip(rows, *(batch[name].tolist() for name in ("input_ids", *POSITIONS)), strict=True):
        answer = row["input_ids"][row["start_positions"] : row["end_positions"] + 1]
        for k in range(5):
            assert ids[k][start[k] : end[k] + 1] == answer


def test_positions_that_a_data_collator_has_moved_are_not_moved_again(tokenizer):
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.padding_side = "left"
    rows = answer_rows(tokenizer, ANSWERS["the last word"])

    def moving(rows):
        batch = DataCollatorWithPadding(tokenizer)(rows)
        for i, row in enumerate(rows):
            for name in POSITIONS:
                batch[name][i] += batch["input_ids"].shape[1] - len(row["input_ids"])
        return batch

    one, other = (VariantCollator(tokenizer, mixed(tokenizer), 3, data_collator=c)(rows) for c in (None, moving))
    assert all(one[name].equal(other[name]) for name in one)


# --- choices ------------------------------------------------------------------------------------


@with_padding()
def test_each_choice_has_the_variants_of_its_own_row(sided, padding):
    rows = []
    for i in range(len(SENTENCES)):
        pairs = [(SENTENCES[0], SENTENCES[i - c]) for c in range(4)]
        encoded = sided(*map(list, zip(*pairs, strict=True)), return_token_type_ids=True, **padding)
        rows.append({**encoded, "label": i % 4})
    collate = TASK_HEADS["choices"].collator(sided)
    batch = VariantCollator(sided, mixed(sided), 3, data_collator=collate)(rows)
    assert batch["input_ids"].shape[:3] == (len(rows), 4, 4) and changed(batch) > 20
    assert batch["labels"].tolist() == [row["label"] for row in rows] and "alignment" not in batch
    names = ("input_ids", "attention_mask", "token_type_ids")
    for c in range(4):
        flat = [{name: row[name][c] for name in names} for row in rows]
        alone = VariantCollator(sided, mixed(sided), 3, pad_to_multiple_of=batch["input_ids"].shape[3])(flat)
        for name in names:
            assert batch[name][:, :, c].equal(alone[name])
    originals = batch["input_ids"][:, :1]
    assert batch["variant_mask"][:, 1:].equal((batch["input_ids"] != originals).flatten(2).any(-1)[:, 1:])


def test_a_variant_is_there_if_one_of_its_choices_has_changed(tokenizer):
    row = {**tokenizer(["we left early", "the movie"]), "label": 0}
    collate = TASK_HEADS["choices"].collator(tokenizer)
    batch = VariantCollator(tokenizer, LexiconSubstitution(tokenizer, WORDS), 2, data_collator=collate)([row])
    assert batch["variant_mask"].tolist() == [[True, True, True]]
    assert (batch["input_ids"][0, :, 0] == batch["input_ids"][0, 0, 0]).all()
    row = {**tokenizer(["we left early", "a dog"]), "label": 0}
    batch = VariantCollator(tokenizer, LexiconSubstitution(tokenizer, WORDS), 2, data_collator=collate)([row])
    assert batch["variant_mask"].tolist() == [[True, False, False]]


# --- purity, for all of them ----------------------------------------------------------------------


@pytest.fixture
def task(request):
    return TASK_HEADS[request.param]


TASKS = {"task": ["tokens", "answers", "choices"]}
with_tasks = partial(pairwise, [*TOKENIZERS, *TASKS], **TOKENIZERS, **TASKS)


@pytest.fixture
def collator(task, sided):
    return VariantCollator(sided, mixed(sided), 3, seed=7, data_collator=task.collator(sided, pad_to_multiple_of=64))


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


@with_tasks()
def test_groups_do_not_depend_on_the_make_up_of_the_batch(collator, task, sided):
    rows = task.rows(sided)
    together = collator(rows)
    alone = [collator([row]) for row in reversed(rows)][::-1]
    assert changed(together) > 15
    assert equal(together, {name: torch.cat([batch[name] for batch in alone]) for name in together})


@with_tasks()
def test_groups_follow_the_epoch_and_the_seed(collator, task, sided):
    rows = task.rows(sided)
    first = collator(rows)
    collator.set_epoch(1)
    assert not equal(collator(rows), first)
    collator.set_epoch(0)
    assert equal(collator(rows), first)
    other = VariantCollator(sided, collator.augmenter, 3, seed=8, data_collator=collator.data_collator)
    assert not equal(other(rows), first)


@with_tasks()
def test_the_examples_are_left_as_they_are(collator, task, sided):
    rows = task.rows(sided)
    before = copy.deepcopy(rows)
    collator(rows)
    assert rows == before


@with_tasks(kind=["torch", "numpy"])
def test_a_formatted_data_set_gives_the_same_groups(collator, task, sided, kind):
    rows = task.rows(sided)
    dataset = Dataset.from_list(rows).with_format(kind)
    assert equal(collator([dataset[i] for i in range(len(dataset))]), collator(rows))


@with_tasks()
def test_variant_0_is_what_the_data_collator_makes_of_the_examples(collator, task, sided):
    rows = task.rows(sided)
    batch = collator(rows)
    plain = collator.data_collator(rows)
    if "start_positions" in plain and sided.padding_side == "left":
        shift = 64 - torch.tensor([len(row["input_ids"]) for row in rows])
        plain |= {name: plain[name] + shift for name in POSITIONS}
    for name, tensor in plain.items():
        own = batch[name] if name == "labels" and tensor.dim() == 1 else batch[name][:, 0]
        assert own.equal(tensor)
