"""What a model writes for a prompt, alone and in a batch."""

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model, make_tokenizer
from generators import GENERATORS, make_generator, save_generator
from transformers import (
    BertConfig,
    BertForMaskedLM,
    ByT5Tokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    T5Config,
    T5ForConditionalGeneration,
)

from augment.core.randomness import row_keys
from augment.generation.text_generator import TextGenerator, load_model


SAMPLING = {"do_sample": True, "num_beams": 1, "max_new_tokens": 12}
NUCLEUS = {**SAMPLING, "temperature": 0.8, "top_p": 0.9, "no_repeat_ngram_size": 1}
BEAMS = {"do_sample": False, "num_beams": 3, "max_new_tokens": 12, "no_repeat_ngram_size": 1}
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<you>{% endif %}"
)


def keys(num_rows: int = len(SENTENCES), num_texts: int = 3, seed: int = 0) -> np.ndarray:
    return row_keys([(seed, i, k) for i in range(num_rows) for k in range(num_texts)]).reshape(num_rows, num_texts)


def generator(kind: str, options=SAMPLING, prompt="say: {text}", **arguments) -> TextGenerator:
    return TextGenerator(*make_generator(kind), prompt, options, **arguments)


@pytest.fixture
def calls(monkeypatch):
    """The arguments of each call of `generate`."""
    calls, generate = [], GPT2LMHeadModel.generate

    def counted(self, **arguments):
        calls.append(arguments)
        return generate(self, **arguments)

    for kind in GENERATORS:
        monkeypatch.setattr(type(make_generator(kind)[0]), "generate", counted)
    return calls


@pytest.mark.parametrize(
    ("kind", "options"),
    [*((kind, {}) for kind in GENERATORS), ("gpt2", SAMPLING), ("bart", NUCLEUS), ("t5", BEAMS)],
    ids=[*GENERATORS, "gpt2-sampling", "bart-nucleus", "t5-beams"],
)
def test_a_text_is_written_the_same_alone_and_in_any_batch(kind, options, calls):
    options = options or {"do_sample": True}  # with a limit of each text's own
    together = generator(kind, options).generate(SENTENCES, keys())
    assert len(calls) == 1
    assert len({text for group in together for text in group}) > 1
    few = [0, 2, 7]
    own = [generator(kind, options).generate([SENTENCES[i]], keys()[[i]])[0] for i in few]
    assert own == [together[i] for i in few]
    calls.clear()
    assert generator(kind, options, batch_tokens=300).generate(SENTENCES, keys()) == together
    assert 1 < len(calls) < 9


@pytest.mark.parametrize("kind", GENERATORS)
def test_texts_depend_on_their_keys_and_on_the_prompt(kind):
    texts = [generator(kind).generate(SENTENCES, keys(seed=seed)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert generator(kind, prompt="{text}").generate(SENTENCES, keys()) != texts[0]
    assert len({*map(tuple, texts[0])}) > 5 and len(set(texts[0][0])) > 1


@pytest.mark.parametrize("kind", GENERATORS)
def test_sampling_of_the_likeliest_token_is_greedy_search(kind):
    greedy = generator(kind, {**SAMPLING, "do_sample": False}).generate(SENTENCES, keys(num_texts=1))
    for option in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}):
        sampled = generator(kind, {**SAMPLING, **option}).generate(SENTENCES, keys(num_texts=2))
        assert sampled == [group * 2 for group in greedy]


def test_a_prompt_surrounds_the_text(calls):
    made = generator("gpt2", prompt="a {text} b {text} {}")
    made.generate(["film {text}"], keys(1))
    assert made.tokenizer.decode(calls[0]["input_ids"][0]) == "a film {text} b film {text} {}"


def test_a_chat_template_makes_the_prompt_a_message_of_causal_models_alone(calls):
    for kind in ("gpt2", "bart"):
        made = generator(kind)
        made.tokenizer.chat_template = TEMPLATE
        made.generate(["film"], keys(1))
    chat, plain = (make_generator("bart")[1].decode(call["input_ids"][0]) for call in calls)
    assert chat == "<user>say: film<you>" and plain == "[CLS]say: film[SEP]"


def test_a_causal_model_without_a_template_is_given_the_prompt(calls):
    made = generator("gpt2")
    made.generate(["film"], keys(1))
    assert made.tokenizer.decode(calls[0]["input_ids"][0]) == "say: film"


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_text_without_an_end_is_none(kind):
    endless = generator(kind, {**SAMPLING, "eos_token_id": -1, "max_new_tokens": 4})
    assert endless.generate(["film", "a story"], keys(2)) == [[None] * 3] * 2


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_default_limit_is_twice_the_text_and_16_more(kind, calls):
    made = generator(kind, {"do_sample": True})
    lengths = [len(made.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in ("film", SENTENCES[0])]
    made.generate(["film", SENTENCES[0]], keys(2))
    assert abs(calls[0]["max_new_tokens"] - (2 * lengths[1] + 16)) <= 2 * 2  # a space more or less before the text


@pytest.mark.parametrize("kind", GENERATORS)
def test_prompts_that_the_model_cannot_read_have_no_texts(kind, calls):
    made = generator(kind, {**SAMPLING, "max_new_tokens": 20})
    made.tokenizer.model_max_length = 120
    long = "film " * 200
    groups = made.generate(["film", long, "a film"], keys(3))
    assert groups[1] == [] and [len(group) for group in groups] == [3, 0, 3]
    assert made.generate([long], keys(1)) == [[]] and len(calls) == 1


def test_a_causal_model_needs_positions_for_its_text_too(calls):
    made = generator("gpt2", {**SAMPLING, "max_new_tokens": 100})
    made.tokenizer.model_max_length = 10**9
    text = "a " * 60
    made.generate([text], keys(1))
    assert calls[0]["max_new_tokens"] + calls[0]["input_ids"].shape[1] == 128


def test_a_stop_string_ends_a_text_and_is_no_part_of_it():
    made = generator("gpt2", {**SAMPLING, "stop_strings": ["a", "e"], "max_new_tokens": 60, "eos_token_id": -1})
    texts = [text for group in made.generate(SENTENCES, keys()) for text in group]
    assert len([text for text in texts if text]) > 9
    assert not any("a" in text or "e" in text for text in texts if text)


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_model_in_training_is_evaluated_and_trains_on(kind):
    model, tokenizer = make_generator(kind)
    expected = generator(kind).generate(SENTENCES, keys())
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    assert TextGenerator(model, tokenizer, "say: {text}", SAMPLING).generate(SENTENCES, keys()) == expected
    assert model.training


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_model_by_name_writes_what_the_model_writes(kind, tmp_path):
    name = save_generator(kind, tmp_path)
    by_name = TextGenerator(name, None, "say: {text}", SAMPLING, device="cpu")
    assert by_name.generate(SENTENCES, keys()) == generator(kind).generate(SENTENCES, keys())
    assert by_name.fingerprint()["model"] == generator(kind).fingerprint()["model"]


def test_fingerprints_tell_models_prompts_tokenizers_and_templates_apart():
    made = [generator(kind) for kind in ("gpt2", "bart", "t5", "gpt2", "gpt2")] + [generator("gpt2", prompt="{text}")]
    made[3].model.generation_config.top_p = 0.5
    made[4].tokenizer.chat_template = TEMPLATE
    prints = [str(one.fingerprint()) for one in made]
    assert len(set(prints)) == 6
    assert str(generator("gpt2").fingerprint()) == prints[0]


def test_a_tokenizer_in_python_does_too():
    tokenizer = ByT5Tokenizer()
    sizes = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    model = T5ForConditionalGeneration(T5Config(vocab_size=384, **sizes))
    model.generation_config.eos_token_id = list(range(60, 110))
    made = TextGenerator(model, tokenizer, "say: {text}", SAMPLING)
    assert any(text for group in made.generate(SENTENCES, keys()) for text in group)
    other = TextGenerator(model, ByT5Tokenizer(extra_ids=5), "say: {text}", SAMPLING)
    assert made.fingerprint()["tokenizer"] != other.fingerprint()["tokenizer"]


@pytest.mark.parametrize("kind", ["classifier", "masked_lm"])
def test_a_model_that_writes_no_texts_is_refused_by_name(kind, tmp_path):
    tokenizer = make_tokenizer("wordpiece")
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    masked_lm = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), **sizes))
    model = make_model(tokenizer) if kind == "classifier" else masked_lm
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=rf"is a {type(model).__name__}, which writes no texts; expected .*T5.*GPT-2"):
        load_model(str(tmp_path), "cpu")


def test_a_model_without_the_weights_of_its_head_is_refused(tmp_path):
    config = GPT2Config(vocab_size=50, n_embd=32, n_layer=1, n_head=2, tie_word_embeddings=False)
    model = GPT2LMHeadModel(config)
    model.transformer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"has no weights for lm_head.weight of GPT2LMHeadModel"):
        load_model(str(tmp_path), "cpu")
