"""Which words each pass of a masked LM masks."""

import numpy as np
import pytest

from augment.core.batch import Batch
from augment.core.words import WordFinder
from augment.mlm.passes import MASKINGS, plan
from examples import TEXTS


TEXT = "the children laughed and clapped at the funny clown because the marvelous actors ran away from a dull plot"


def planned(tokenizer, texts, masking, limit=512):
    batch = Batch(tokenizer(texts)["input_ids"])
    words = WordFinder(tokenizer).words(batch)
    return batch, words, plan(batch, words, masking, tokenizer.mask_token_id, limit)


def masks_of(passes, mask):
    return [[i for i, token in enumerate(sequence) if token == mask] for sequence in passes.sequences]


@pytest.mark.parametrize("masking", ["grouped", "single"])
def test_every_word_is_masked_in_one_pass_and_the_rest_stands(any_tokenizer, masking):
    batch, words, passes = planned(any_tokenizer, TEXTS, masking)
    pieces = words.pieces(batch.ids)
    asked = [[] for _ in passes.sequences]
    for w in range(len(words)):
        asked[passes.sequence[w]].append(w)
    assert sorted(w for group in asked for w in group) == list(range(len(words)))
    for sequence, group, masks in zip(
        passes.sequences, asked, masks_of(passes, any_tokenizer.mask_token_id), strict=True
    ):
        assert masks == passes.place[group].tolist()
        for w in reversed(group):
            sequence = [*sequence[: passes.place[w]], *pieces[w], *sequence[passes.place[w] + 1 :]]
        assert sequence == batch.rows[words.row[group[0]]]


def test_grouped_masks_about_fifteen_percent_at_once(tokenizer):
    batch, _, passes = planned(tokenizer, [TEXT], "grouped")
    shares = [len(masks) / batch.lengths[0] for masks in masks_of(passes, tokenizer.mask_token_id)]
    assert min(shares) >= 0.1 and max(shares) <= 0.16
    assert len(shares) < len(TEXT.split()) / 2


def test_words_masked_together_lie_far_apart(tokenizer):
    _, _, passes = planned(tokenizer, [TEXT], "grouped")
    for masks in masks_of(passes, tokenizer.mask_token_id):
        assert np.diff(masks).min() >= len(passes.sequences)


def test_single_masks_one_word_a_pass(any_tokenizer):
    _, words, passes = planned(any_tokenizer, TEXTS, "single")
    assert len(passes.sequences) == len(words)
    assert all(len(masks) == 1 for masks in masks_of(passes, any_tokenizer.mask_token_id))


def test_none_masks_words_of_several_pieces_only(any_tokenizer):
    batch, words, passes = planned(any_tokenizer, [TEXT, "movie"], "none")
    assert len(passes.sequences) == 2 and (words.length > 1).any()
    for w in range(len(words)):
        token = passes.sequences[passes.sequence[w]][passes.place[w]]
        assert token == (batch.ids[words.start[w]] if words.length[w] == 1 else any_tokenizer.mask_token_id)


@pytest.mark.parametrize("masking", MASKINGS)
def test_rows_beyond_the_limit_are_cut_and_every_word_is_asked(any_tokenizer, masking):
    _, words, passes = planned(any_tokenizer, [TEXT, "movie"], masking, limit=9)
    assert max(map(len, passes.sequences)) <= 9
    assert len(passes.place) == len(words)
    for i, place in zip(passes.sequence, passes.place, strict=True):
        assert masking == "none" or passes.sequences[i][place] == any_tokenizer.mask_token_id


@pytest.mark.parametrize("max_tokens, max_words", [(1, 1000), (60, 1000), (10_000, 3), (10_000, 1000)])
def test_batches_have_each_sequence_once_within_their_bounds(tokenizer, max_tokens, max_words):
    _, words, passes = planned(tokenizer, TEXTS, "grouped")
    sequences, numbers = [], []
    for batch, asked, row in passes.batches(max_tokens, max_words):
        assert len(batch) == 1 or len(batch) * max(map(len, batch)) <= max_tokens
        assert len(batch) == 1 or len(asked) <= max_words
        assert [batch[i] for i in row] == [passes.sequences[i] for i in passes.sequence[asked]]
        sequences += batch
        numbers += asked.tolist()
    assert sorted(sequences) == sorted(passes.sequences)
    assert sorted(numbers) == list(range(len(words)))
    assert [len(sequence) for sequence in sequences] == sorted(map(len, passes.sequences))
