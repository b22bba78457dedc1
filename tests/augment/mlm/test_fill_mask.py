"""The masked LM at work."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from augmenters import make_masked_lm
from transformers import BertForMaskedLM

from augment.core.batch import Batch
from augment.core.devices import fast_dtype, is_on
from augment.core.runs import Runs
from augment.core.words import WordFinder
from augment.mlm.fill_mask import FillMask, Questions, load_masked_lm, longest_input, model_fingerprint
from augment.mlm.masking import MaskedPass, mask_words
from examples import TEXTS


@pytest.fixture
def model(tokenizer):
    return make_masked_lm(tokenizer)


class Whole(BertForMaskedLM):
    """A head that gives logits for all places whatever it gets."""

    def forward(self, input_ids, **inputs):
        output = super().forward(input_ids, **inputs)
        if output.logits.shape[:2] != input_ids.shape:
            output.logits = output.logits.new_zeros(*input_ids.shape, output.logits.shape[-1])
        return output


def asked(tokenizer, masking="grouped", texts=TEXTS):
    batch = Batch(tokenizer(texts)["input_ids"])
    words = WordFinder(tokenizer).words(batch)
    old = np.where(words.length == 1, batch.ids[words.start], -1)
    return mask_words(batch, words, masking, tokenizer.mask_token_id, 64), words, old


def best(fill_mask, tokenizer, top_m=5, choices=None, **options):
    masked, words, old = asked(tokenizer, **options)
    own = np.arange(len(tokenizer)) if choices is None else np.array(choices)
    single = np.flatnonzero(old >= 0)
    excluded = Runs.grouped(old[single], single, len(old))
    return fill_mask.best(masked, Questions(words, Runs.of([own], np.zeros_like(old)), excluded), top_m).read()


def pass_of(sequences, row, position):
    """A forward pass over these sequences, which predicts a word at each position in a row."""
    lengths = np.array([len(sequence) for sequence in sequences])
    ids = np.array([sequence + [0] * (lengths.max() - len(sequence)) for sequence in sequences])
    return MaskedPass(ids, lengths, np.arange(len(row)), np.array(row), np.array(position))


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "electra"])
def test_head_at_the_places_equals_head_everywhere(tokenizer, model_type):
    fill_mask = FillMask(make_masked_lm(tokenizer, model_type), "cpu", "float32")
    masked = pass_of(tokenizer(TEXTS)["input_ids"], [0, 0, 3, 5], [1, 3, 2, 0])
    at_places = fill_mask.logits(masked)
    assert fill_mask._gathers and at_places.shape == (4, len(tokenizer))
    fill_mask._gathers = False
    torch.testing.assert_close(at_places, fill_mask.logits(masked))
    assert at_places.std(dim=0).min() > 0


def test_head_that_needs_all_places_gets_them(tokenizer, model):
    whole = Whole(model.config)
    whole.load_state_dict(model.state_dict())
    expected = best(FillMask(model, "cpu", "float32"), tokenizer)
    fill_mask = FillMask(whole.eval(), "cpu", "float32")
    for ids, other in zip(expected, best(fill_mask, tokenizer), strict=True):
        assert np.array_equal(ids, other)
    assert not fill_mask._gathers


def test_padding_and_batches_change_no_candidate(tokenizer, model):
    ids, scores = best(FillMask(model, "cpu", "float32"), tokenizer)
    for batch_tokens in (1, 40, 100):
        other_ids, other_scores = best(FillMask(model, "cpu", "float32", batch_tokens), tokenizer)
        assert np.array_equal(ids, other_ids)
        np.testing.assert_allclose(scores, other_scores, atol=2e-3)


def test_candidates_are_the_best_of_the_choices_without_the_old_word(tokenizer, model):
    fill_mask = FillMask(model, "cpu", "float32")
    masked, _, old = asked(tokenizer)
    sequences = np.split(masked.ids, masked.lengths.cumsum()[:-1])
    choices = np.arange(20, 60)
    ids, scores = best(fill_mask, tokenizer, choices=choices)
    for w in range(len(old)):
        one = pass_of([sequences[masked.sequence[w]].tolist()], [0], [masked.position[w]])
        logits = fill_mask.logits(one)[0].numpy()
        order = [i for i in choices[np.argsort(-logits[choices])] if i != old[w]][:5]
        assert ids[w].tolist() == sorted(order)
        chances = np.exp(logits[ids[w]]) / np.exp(logits[ids[w]]).sum()
        np.testing.assert_allclose(np.exp(scores[w].astype(float)), chances, atol=2e-3)


def test_fewer_choices_than_candidates_wanted_leave_the_rest_empty(tokenizer, model):
    film = tokenizer.convert_tokens_to_ids("film")
    ids, scores = best(FillMask(model, "cpu", "float32"), tokenizer, choices=[film - 1, film], texts=["the film ran"])
    assert ids.tolist()[1] == [film - 1, -1, -1, -1, -1] and scores[1, 0] == 0 and np.isneginf(scores[1, 1:]).all()
    assert ids.tolist()[2] == [film - 1, film, -1, -1, -1]


def test_bfloat16_gives_about_the_same_and_leaves_the_model_alone(tokenizer, model):
    model.train()
    ids, _ = best(FillMask(model, "cpu", "float32"), tokenizer)
    half, _ = best(FillMask(model, "cpu", "bfloat16"), tokenizer)
    assert np.mean([len({*a} & {*b}) for a, b in zip(ids, half, strict=True)]) > 4
    assert model.dtype == torch.float32 and model.training


def test_default_dtype_is_that_of_the_processor(monkeypatch):
    for amx, expected in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda amx=amx: {"amx_bf16": amx}, raising=False)
        assert fast_dtype("cpu") == expected


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_model_that_is_on_the_device_is_not_copied(model, device):
    assert FillMask(model, device, "float32").model is model
    assert FillMask(model, device, "bfloat16").model is not model
    assert FillMask(model.train(), device, "float32").model is not model


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_model_on_the_first_gpu_is_not_copied(model):
    model = model.to("cuda:0")
    assert all(FillMask(model, device, "float32").model is model for device in ("cuda", "cuda:0"))


@pytest.mark.parametrize(
    ("device", "current", "expected"),
    [("cuda", "cuda:0", True), ("cuda", "cuda:1", False), ("cuda:0", "cuda:0", True), ("cpu", "cpu", False)],
)
def test_device_without_a_number_is_the_current_one(monkeypatch, device, current, expected):
    tensors = {device: SimpleNamespace(device=torch.device(current))}
    monkeypatch.setattr(torch, "empty", lambda size, device: tensors[device])
    assert is_on(SimpleNamespace(device=torch.device("cuda:0"), dtype=torch.float32), device, "float32") == expected


@pytest.mark.parametrize("model_type, expected", [("bert", 66), ("distilbert", 66), ("roberta", 66)])
def test_longest_input_is_one_that_the_model_takes(tokenizer, model_type, expected):
    model = make_masked_lm(tokenizer, model_type)
    limit = longest_input(model)
    assert limit == expected - (model_type == "roberta") * (tokenizer.pad_token_id + 1)
    token = tokenizer.convert_tokens_to_ids("film")
    model(torch.full((1, limit), token))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.full((1, limit + 1), token))


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert", "electra"])
def test_loaded_model_is_the_saved_one(tokenizer, tmp_path, model_type):
    model = make_masked_lm(tokenizer, model_type)
    model.save_pretrained(tmp_path)
    assert model_fingerprint(load_masked_lm(tmp_path)) == model_fingerprint(model)


def test_fingerprint_is_that_of_the_weights(tokenizer, model):
    expected = model_fingerprint(model)
    assert model_fingerprint(make_masked_lm(tokenizer)) == expected
    with torch.no_grad():
        model.get_input_embeddings().weight[3, 3] += 1e-6
    assert model_fingerprint(model) != expected
