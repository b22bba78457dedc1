"""Which words each input of a masked LM masks."""

from dataclasses import replace

import numpy as np
import pytest

from augment.core.batch import Batch
from augment.core.words import WordFinder
from augment.mlm.masking import MASKINGS, mask_words
from examples import TEXTS


TEXT = "the children laughed and clapped at the funny clown because the marvelous actors ran away from a dull plot"


def planned(tokenizer, texts, masking, limit=512):
    batch = Batch(tokenizer(texts)["input_ids"])
    words = WordFinder(tokenizer).words(batch)
    return batch, words, mask_words(batch, words, masking, tokenizer.mask_token_id, limit)


def sequences_of(masked):
    return [ids.tolist() for ids in np.split(masked.ids, masked.lengths.cumsum()[:-1])]


def masks_of(masked, mask):
    return [[i for i, token in enumerate(sequence) if token == mask] for sequence in sequences_of(masked)]


@pytest.mark.parametrize("masking", ["grouped", "single"])
def test_every_word_is_masked_in_one_input_and_the_rest_stays(any_tokenizer, masking):
    batch, words, masked = planned(any_tokenizer, TEXTS, masking)
    pieces = words.pieces(batch.ids)
    asked = [[] for _ in masked.lengths]
    for w in range(len(words)):
        asked[masked.sequence[w]].append(w)
    assert sorted(w for group in asked for w in group) == list(range(len(words)))
    for sequence, group, masks in zip(
        sequences_of(masked), asked, masks_of(masked, any_tokenizer.mask_token_id), strict=True
    ):
        assert masks == masked.position[group].tolist()
        for w in reversed(group):
            sequence = [*sequence[: masked.position[w]], *pieces[w], *sequence[masked.position[w] + 1 :]]
        assert sequence == batch.rows[words.row[group[0]]]


def test_grouped_masks_about_fifteen_percent_at_once(tokenizer):
    batch, _, masked = planned(tokenizer, [TEXT], "grouped")
    shares = [len(masks) / batch.lengths[0] for masks in masks_of(masked, tokenizer.mask_token_id)]
    assert min(shares) >= 0.1 and max(shares) <= 0.16
    assert len(shares) < len(TEXT.split()) / 2


def test_words_masked_together_lie_far_apart(tokenizer):
    _, _, masked = planned(tokenizer, [TEXT], "grouped")
    for masks in masks_of(masked, tokenizer.mask_token_id):
        assert np.diff(masks).min() >= len(masked)


def test_single_masks_one_word_per_input(any_tokenizer):
    _, words, masked = planned(any_tokenizer, TEXTS, "single")
    assert len(masked) == len(words)
    assert all(len(masks) == 1 for masks in masks_of(masked, any_tokenizer.mask_token_id))


def test_none_masks_words_of_several_pieces_only(any_tokenizer):
    batch, words, masked = planned(any_tokenizer, [TEXT, "movie"], "none")
    assert len(masked) == 2 and (words.length > 1).any()
    for w in range(len(words)):
        token = sequences_of(masked)[masked.sequence[w]][masked.position[w]]
        assert token == (batch.ids[words.start[w]] if words.length[w] == 1 else any_tokenizer.mask_token_id)


@pytest.mark.parametrize("masking", MASKINGS)
def test_rows_beyond_the_limit_are_cut_and_every_word_is_asked(any_tokenizer, masking):
    _, words, masked = planned(any_tokenizer, [TEXT, "movie"], masking, limit=9)
    assert masked.lengths.max() <= 9
    assert len(masked.position) == len(words)
    for i, position in zip(masked.sequence, masked.position, strict=True):
        assert masking == "none" or sequences_of(masked)[i][position] == any_tokenizer.mask_token_id


@pytest.mark.parametrize("max_tokens, max_words", [(1, 1000), (60, 1000), (10_000, 3), (10_000, 1000)])
def test_passes_have_each_sequence_once_within_their_bounds(tokenizer, max_tokens, max_words):
    _, words, masked = planned(tokenizer, TEXTS, "grouped")
    sequences, numbers, expected = [], [], sequences_of(masked)
    while len(sequences) < len(masked):
        one = masked.forward_pass(len(sequences), max_tokens, max_words, tokenizer.pad_token_id)
        assert len(one.lengths) == 1 or one.ids.size <= max_tokens
        assert len(one.lengths) == 1 or len(one.words) <= max_words
        assert one.ids.shape == (len(one.lengths), one.lengths.max())
        batch = [ids[:length].tolist() for ids, length in zip(one.ids, one.lengths, strict=True)]
        assert (one.ids[np.arange(one.ids.shape[1]) >= one.lengths[:, None]] == tokenizer.pad_token_id).all()
        assert [batch[i] for i in one.row] == [expected[i] for i in masked.sequence[one.words]]
        assert one.position.tolist() == masked.position[one.words].tolist()
        sequences += batch
        numbers += one.words.tolist()
    assert sorted(sequences) == sorted(expected)
    assert sorted(numbers) == list(range(len(words)))
    assert [len(sequence) for sequence in sequences] == sorted(map(len, expected))


@pytest.mark.parametrize("limit", [512, 12, 5])
@pytest.mark.parametrize("masking", ["grouped", "single"])
def test_masks_are_inserted_where_a_word_has_no_tokens(any_tokenizer, masking, limit):
    batch = Batch(any_tokenizer([TEXT, *TEXTS])["input_ids"])
    words = WordFinder(any_tokenizer).words(batch)
    places = replace(words, length=np.zeros_like(words.length))
    masked = mask_words(batch, places, masking, any_tokenizer.mask_token_id, limit)
    assert masked.lengths.max() <= limit
    masks = masks_of(masked, any_tokenizer.mask_token_id)
    assert sorted(zip(masked.sequence, masked.position, strict=True)) == [
        (i, place) for i, own in enumerate(masks) for place in own
    ]
    for w in range(len(places)):
        sequence, position = sequences_of(masked)[masked.sequence[w]], masked.position[w]
        row, start = batch.rows[places.row[w]], places.start[w] - batch.starts[places.row[w]]
        after = [i for i in sequence[position + 1 :] if i != any_tokenizer.mask_token_id]
        before = [i for i in sequence[:position] if i != any_tokenizer.mask_token_id]
        assert row[start : start + len(after)] == after and row[start - len(before) : start] == before
        assert after or limit < 512
