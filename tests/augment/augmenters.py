"""One of every augmenter, for the laws that all of them keep: name -> a function of the tokenizer and options."""

import numpy as np
import torch
from conftest import WORDS, make_model, perturb_weights
from documented import Hesitation, KeyboardTypos
from transformers import AutoConfig, AutoModelForMaskedLM

from augment import (
    Compose,
    EmbeddingNeighbours,
    FirstOf,
    GreedySearch,
    InTurn,
    LexiconSubstitution,
    MaskedLMInsertion,
    MaskedLMSubstitution,
    OneOf,
    RandomDelete,
    RandomInsert,
    RandomPunctuation,
    RandomSwap,
    SameText,
    Sometimes,
    Typos,
    WordNetSynonyms,
)
from augment.core.batch import Batch


def lexicon(tokenizer, **options):
    return LexiconSubstitution(tokenizer, WORDS, **options)


def make_masked_lm(tokenizer, model_type="bert"):
    """A masked LM of two layers and 32 units, the same at every call."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    if model_type == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    ids = {"pad_token_id": tokenizer.pad_token_id, "vocab_size": len(tokenizer), "max_position_embeddings": 66}
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(model_type, **sizes, **ids))
    for embedding in (module for module in model.modules() if isinstance(module, torch.nn.Embedding)):
        torch.nn.init.normal_(embedding.weight)  # so that what it says depends on the context
    return perturb_weights(model).eval()


# To a model of random weights all words are about equally likely.
RANDOM_MODEL = {"top_m": 15, "min_probability": 0.0, "masking": "grouped", "multi_piece": "refill"}


def masked_lm(tokenizer, **options):
    options = {"top_m": 4, "keep_inflection": False, **options}
    options = RANDOM_MODEL | options
    return MaskedLMSubstitution(tokenizer, make_masked_lm(tokenizer), **options)


def masked_lm_insertion(tokenizer, **options):
    options = {"top_m": 4, "modifiers_only": False, **options}
    return MaskedLMInsertion(tokenizer, make_masked_lm(tokenizer), **options)


def candidates_of(augmenter, texts) -> list[dict[str, dict[str, float]]]:
    """Of each text, its words with their candidates, or with what may come after them, and the probabilities."""
    tokenizer = augmenter.tokenizer
    batch = Batch(tokenizer(texts)["input_ids"], bounded=False)
    found = augmenter.candidates(batch, augmenter.eligible_words(batch))
    result = [{} for _ in texts]
    for w, pieces in enumerate(found.words.pieces(batch.ids)):
        places = np.arange(found.first[w], found.first[w] + found.count[w])
        chances = np.diff(found.cumulative[places], prepend=0)
        new = [found.ids_of(number) for number in found.table[places]]
        if augmenter.inserts_words:
            assert all(ids[:-1] == pieces for ids in new)
        names = [tokenizer.decode(ids[-1:]).strip() for ids in new]
        result[found.words.row[w]][tokenizer.decode(list(pieces)).strip()] = dict(zip(names, chances, strict=True))
    return result


AUGMENTERS = {
    "lexicon": lexicon,
    "wordnet": WordNetSynonyms,
    "delete": RandomDelete,
    "swap": RandomSwap,
    "insert": lambda tokenizer, **options: RandomInsert(lexicon(tokenizer, **options)),
    "compose": lambda tokenizer, **options: Compose(
        [lexicon(tokenizer, **options), Sometimes(RandomDelete(tokenizer, **options))]
    ),
    "one_of": lambda tokenizer, **options: OneOf([lexicon(tokenizer, **options), RandomSwap(tokenizer, **options)]),
    "first_of": lambda tokenizer, **options: FirstOf(
        [LexiconSubstitution(tokenizer, {"movie": ["story"]}, **options), lexicon(tokenizer, **options)], **options
    ),
    "in_turn": lambda tokenizer, **options: InTurn(
        [LexiconSubstitution(tokenizer, {"movie": ["story"]}, **options), lexicon(tokenizer, **options)]
    ),
    "in_context": lambda tokenizer, **options: masked_lm(tokenizer, source=lexicon(tokenizer), **options),
    "greedy": lambda tokenizer, **options: GreedySearch(lexicon(tokenizer, **options)),
    "embedding": lambda tokenizer, **options: EmbeddingNeighbours(
        tokenizer, make_model(tokenizer), num_neighbours=3, min_similarity=-1, keep_inflection=False, **options
    ),
    "masked_lm": masked_lm,
    "masked_lm_insertion": masked_lm_insertion,
    "typos": Typos,
    "punctuation": RandomPunctuation,
    "same_text": lambda tokenizer, **options: SameText(tokenizer, lexicon(tokenizer, **options)),
    "keyboard_typos": KeyboardTypos,
    "hesitation": Hesitation,
}
