"""How often making a table waits for the device, and what it does when the device has no memory left."""

import numpy as np
import pytest
import torch
from augmenters import make_masked_lm, masked_lm, masked_lm_insertion
from conftest import SENTENCES
from device_waits import Waits

from augment import LexiconSubstitution
from augment.mlm import candidate_table
from augment.mlm.fill_mask import Answers, FillMask
from examples import TEXTS, examples_of


@pytest.fixture(autouse=True)
def known_model(monkeypatch):
    """The fingerprint of a model reads its weights, before the table is begun."""
    monkeypatch.setattr("augment.mlm.source.model_fingerprint", lambda model: "model")
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # in which operations can be counted


@pytest.fixture
def sentences(tokenizer, monkeypatch):
    """Rows for a table of five parts."""
    monkeypatch.setattr(candidate_table, "PART_TOKENS", 22)
    return examples_of(tokenizer, SENTENCES)


@pytest.fixture
def passes(monkeypatch):
    """The shapes of the forward passes, the last dimension being the number of logits."""
    shapes, logits = [], FillMask.logits

    def counted(self, masked):
        result = logits(self, masked)
        shapes.append((*masked.ids.shape, len(result)))
        return result

    monkeypatch.setattr(FillMask, "logits", counted)
    return shapes


@pytest.fixture
def made(monkeypatch):
    """One item for each part that a model is asked about."""
    made, best = [], FillMask.best

    def counted(self, *arguments):
        made.append(1)
        return best(self, *arguments)

    monkeypatch.setattr(FillMask, "best", counted)
    return made


def source(tokenizer):
    return LexiconSubstitution(tokenizer, {"movie": ["film", "plot"], "awful": ["dull", "funny"], "actors": ["clown"]})


AUGMENTERS = {
    "grouped": masked_lm,
    "none": lambda tokenizer, **options: masked_lm(tokenizer, masking="none", multi_piece="leave", **options),
    "source": lambda tokenizer, **options: masked_lm(tokenizer, source=source(tokenizer), **options),
    "insertion": masked_lm_insertion,
}


@pytest.mark.parametrize("name", AUGMENTERS)
def test_making_a_table_waits_for_the_device_once_per_part(tokenizer, sentences, tmp_path, passes, made, name):
    for batch_tokens in (10, 1000):
        passes[:], made[:] = [], []
        augmenter = AUGMENTERS[name](tokenizer, batch_tokens=batch_tokens, dtype="float32", device="cpu")
        with Waits() as waits:
            augmenter.precompute(sentences, tmp_path / str(batch_tokens))
        num_parts = len(made)
        assert len(waits.own) == num_parts <= 5, waits.table()
        assert (len(passes) > num_parts) == (batch_tokens == 10)


def test_a_batch_without_padding_does_not_make_the_model_ask_about_it(tokenizer, tmp_path):
    with Waits() as waits:
        augmenter = masked_lm(tokenizer, masking="none", dtype="float32", device="cpu")
        augmenter.precompute(examples_of(tokenizer, TEXTS[:1]), tmp_path)
    assert [wait.in_model for wait in waits.found] == [False]


def test_the_head_sees_only_the_places_that_are_asked_about(tokenizer, sentences, tmp_path, passes):
    masked_lm(tokenizer).precompute(sentences, tmp_path)
    assert sum(words for _, _, words in passes) < sum(rows * length for rows, length, _ in passes) / 3


def test_a_part_is_read_when_the_next_one_has_begun(tokenizer, sentences, tmp_path, monkeypatch):
    events, best, read = [], FillMask.best, Answers.read

    def begun(self, *arguments):
        events.append("begin")
        return best(self, *arguments)

    def finished(self):
        events.append("read")
        return read(self)

    monkeypatch.setattr(FillMask, "best", begun)
    monkeypatch.setattr(Answers, "read", finished)
    masked_lm(tokenizer, dtype="float32").precompute(sentences, tmp_path / "cpu")
    assert events == ["begin", "read"] * 5
    expected, events[:] = (tmp_path / "cpu" / "entries.npy").read_bytes(), []
    monkeypatch.setattr(Answers, "is_ready", lambda self: False)  # as on a GPU that is busy
    masked_lm(tokenizer, dtype="float32").precompute(sentences, tmp_path / "gpu")
    assert events == ["begin", *["begin", "read"] * 4, "read"]
    assert (tmp_path / "gpu" / "entries.npy").read_bytes() == expected


def test_rows_of_similar_length_are_computed_together(tokenizer, sentences, tmp_path, monkeypatch):
    lengths = []
    monkeypatch.setattr(candidate_table.UniqueRows, "batch", spied(candidate_table.UniqueRows.batch, lengths))
    masked_lm(tokenizer).precompute(sentences, tmp_path)
    flat = [length for part in lengths for length in part]
    assert len(lengths) == 5 and flat == sorted(flat, reverse=True)


def spied(batch, lengths):
    def spy(self, rows):
        lengths.append(batch(self, rows).lengths.tolist())
        return batch(self, rows)

    return spy


def test_after_running_out_of_memory_smaller_batches_give_the_same(
    tokenizer, sentences, tmp_path, monkeypatch, caplog
):
    expected, sizes, logits = masked_lm(tokenizer).precompute(sentences, tmp_path / "all"), [], FillMask.logits

    def limited(self, masked):
        sizes.append(masked.ids.size)
        if masked.ids.size > 40 and len(masked.ids) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return logits(self, masked)

    monkeypatch.setattr(FillMask, "logits", limited)
    with caplog.at_level("INFO", logger="augment.mlm.fill_mask"):
        table = masked_lm(tokenizer, batch_tokens=320).precompute(sentences, tmp_path / "limited")
    found = [np.load(augmenter._table.folder / "entries.npy") for augmenter in (expected, table)]
    assert np.array_equal(found[0]["ids"], found[1]["ids"])
    np.testing.assert_allclose(found[0]["scores"], found[1]["scores"], atol=2e-3)
    assert 1 <= caplog.text.count("Out of memory") <= 3  # it is halved for good
    assert max(sizes) > 40


def test_no_memory_for_one_row_is_an_error(tokenizer, sentences, tmp_path, monkeypatch):
    def raises(self, masked):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(FillMask, "logits", raises)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        masked_lm(tokenizer).precompute(sentences, tmp_path)


@pytest.mark.parametrize("most", [1, 50, 1 << 25])
def test_words_with_different_numbers_of_choices_are_compared_apart(tokenizer, monkeypatch, most):
    monkeypatch.setattr("augment.mlm.fill_mask._MAX_CHOICES", most)
    examples = examples_of(tokenizer, SENTENCES)
    for augmenter in (masked_lm, lambda t, **o: masked_lm(t, source=source(t), **o)):
        found = augmenter(tokenizer).variants(examples, 4, list(range(len(examples))))
        monkeypatch.undo()
        assert found == augmenter(tokenizer).variants(examples, 4, list(range(len(examples))))
        monkeypatch.setattr("augment.mlm.fill_mask._MAX_CHOICES", most)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "electra"])
def test_a_model_predicts_the_same_without_a_mask_where_there_is_no_padding(tokenizer, model_type):
    model, rows = (
        make_masked_lm(tokenizer, model_type),
        torch.tensor(examples_of(tokenizer, TEXTS[:1])[0]["input_ids"]),
    )
    with torch.inference_mode():
        whole = model(rows[None], attention_mask=torch.ones_like(rows[None])).logits
        torch.testing.assert_close(model(rows[None]).logits, whole, rtol=0, atol=0)
