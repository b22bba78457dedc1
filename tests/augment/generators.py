"""Tiny random models that write texts: sequence-to-sequence and causal ones."""

from pathlib import Path

import torch
from conftest import make_tokenizer, perturb_weights
from tokenizers import processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)


GENERATORS = ["bart", "t5", "gpt2"]


def make_generator(kind: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """A model of one layer whose texts depend on the prompt, and its tokenizer. The same at every call."""
    tokenizer = make_tokenizer("bpe")
    if kind == "gpt2":
        tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    ids = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": tokenizer.cls_token_id}
    sizes = {"vocab_size": len(tokenizer), "d_model": 32, **ids, "eos_token_id": tokenizer.sep_token_id}
    torch.manual_seed(0)
    model: PreTrainedModel
    if kind == "bart":
        parts = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}
        layers = {f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in parts.items()}
        start = {"decoder_start_token_id": tokenizer.sep_token_id, "forced_eos_token_id": None, "dropout": 0.0}
        model = BartForConditionalGeneration(BartConfig(**sizes, **layers, **start, max_position_embeddings=128))
    elif kind == "t5":
        start = {"decoder_start_token_id": tokenizer.pad_token_id, "dropout_rate": 0.0}
        model = T5ForConditionalGeneration(T5Config(**sizes, **start, d_kv=16, d_ff=32, num_layers=1, num_heads=2))
    else:
        sizes = {"vocab_size": len(tokenizer), "n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 128, **ids}
        model = GPT2LMHeadModel(GPT2Config(**sizes, eos_token_id=tokenizer.sep_token_id))
    for embedding in (module for module in model.modules() if isinstance(module, torch.nn.Embedding)):
        torch.nn.init.normal_(embedding.weight, std=0.2)
    # Some 10 % of the tokens end a text, so that texts of random tokens do end.
    ends = [tokenizer.sep_token_id, *range(6, len(tokenizer), 10)]
    model.generation_config.eos_token_id = ends
    return perturb_weights(model).eval(), tokenizer


def save_generator(kind: str, folder: Path) -> str:
    """Name of a folder with the model and its tokenizer."""
    for part in make_generator(kind):
        part.save_pretrained(folder)
    return str(folder)
