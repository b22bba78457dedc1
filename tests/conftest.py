"""Tiny tokenizers and models, made in seconds and without a network."""

import json
import os
import re
import string
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import torch
from datasets import Dataset
from hypothesis import settings
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForSequenceClassification,
)

from augment import LexiconSubstitution, WordNetSynonyms
from augment.english.antonyms import Antonyms
from augment.english.synonyms import build_synonyms
from augment.english.wordnet_data import load_wordnet
from hf_mmel import MMELTrainingArguments


pytest_plugins = ["hub_fixtures", "quick_fixtures", "store_fixtures"]

# The same texts at every run; `pytest --hypothesis-profile default` looks for new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("numerics", "what no test may depend on; see `make test-numerics`")
    group.addoption("--num_threads", type=int, metavar="N", help="threads of PyTorch in each process (1 by default)")
    group.addoption("--perturb_weights", type=float, metavar="X", help="move initial weights by this relative amount")


def pytest_configure(config: pytest.Config) -> None:
    """Passes options and cache on to the processes that tests start, whose scripts import this module."""
    for option, variable in (("num_threads", "OMP_NUM_THREADS"), ("perturb_weights", "PERTURB_WEIGHTS")):
        if config.getoption(option) is not None:
            os.environ[variable] = str(config.getoption(option))
    set_num_threads()
    if not hasattr(config, "workerinput"):  # the cache of the user is not read; workers share that of the run
        folder = tempfile.TemporaryDirectory(prefix="hf_mmel-cache-", ignore_cleanup_errors=True)
        os.environ["HF_MMEL_CACHE"] = folder.name
        config.add_cleanup(folder.cleanup)


def set_num_threads() -> None:
    """One thread unless `--num_threads` says otherwise: tiny models gain nothing from more, and tests share cores."""
    torch.set_num_threads(int(os.environ.setdefault("OMP_NUM_THREADS", "1")))


set_num_threads()


def perturb_weights(model: torch.nn.Module) -> torch.nn.Module:
    """The model with each weight moved by the relative amount of `--perturb_weights`, the same way at every call."""
    if amount := float(os.environ.get("PERTURB_WEIGHTS", 0)):
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(1 + amount * torch.randn(weight.shape, generator=generator))
    return model


SENTENCES = [
    "the movie was awful and the actors ran away",
    "a wonderful film with great players",
    "the plot is terrible, the music is lovely",
    "an odd picture: boring, slow and dull",
    "children laughed and clapped at the funny clown",
    "we left early because the acting was bad",
    "a superb story told with warmth",
    "the worst thing I ever saw",
    "don't: it's a state-of-the-art (3-d) film's end!",
]
WORDS = {
    "movie": ["film", "motion picture", "picture"],
    "film": ["movie", "picture"],
    "awful": ["terrible", "dreadful"],
    "terrible": ["awful"],
    "actors": ["players", "performers"],
    "ran": ["jogged"],
    "odd": ["unusual", "strange"],
    "wonderful": ["superb", "marvelous"],
    "lovely": ["beautiful"],
    "funny": ["amusing", "comic"],
    "story": ["tale"],
    "children": ["kids"],
}
TOKENIZER_KINDS = ["wordpiece", "bpe", "unigram"]


def make_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """A tokenizer of one of three families, trained on a few sentences, with BERT's or RoBERTa's special tokens."""
    texts = [*SENTENCES, *(s.capitalize() for s in SENTENCES), *WORDS, *(c for cs in WORDS.values() for c in cs)] * 3
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if kind == "wordpiece":
        # Every letter and all words but a few, which come out in pieces. Training one here would break ties at random.
        words = {word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower())} - {
            "children",
            "marvelous",
        }
        pieces = [*special, *sorted(words | set(string.ascii_lowercase + string.digits + string.punctuation))]
        pieces += [f"##{letter}" for letter in string.ascii_lowercase]
        tokenizer = Tokenizer(models.WordPiece({piece: i for i, piece in enumerate(pieces)}, unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece(prefix="##")
        trainer = None
    elif kind == "bpe":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    else:
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        tokenizer.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=300,
            special_tokens=special,
            unk_token="[UNK]",
            initial_alphabet=list(string.ascii_letters + string.digits + ".\u0301"),
            show_progress=False,
        )
    if trainer is not None:
        tokenizer.train_from_iterator(texts, trainer)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def make_model(tokenizer: PreTrainedTokenizerFast, dropout: float = 0.0, **config) -> BertForSequenceClassification:
    """A BERT of two layers and 32 units, the same at every call."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **config,
    )
    return perturb_weights(BertForSequenceClassification(config))


def make_encoder_decoder(tokenizer: PreTrainedTokenizerFast, kind: str) -> PreTrainedModel:
    """A classifier with an encoder and a decoder of one layer, BART or T5, which reads the row's only end token."""
    torch.manual_seed(0)
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.sep_token_id}
    sizes = {"vocab_size": len(tokenizer), "d_model": 32, "num_labels": 2, **special}
    if kind == "t5":
        config = T5Config(
            **sizes, d_kv=16, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0, decoder_start_token_id=0
        )
        return perturb_weights(T5ForSequenceClassification(config))
    layers = {f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in _BART_SIZES.items()}
    start = {"decoder_start_token_id": tokenizer.sep_token_id, "bos_token_id": tokenizer.cls_token_id}
    return perturb_weights(BartForSequenceClassification(BartConfig(**sizes, **layers, **start, dropout=0.0)))


_BART_SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 32}
ENCODER_DECODERS = ["bart", "t5"]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer("wordpiece")


@pytest.fixture(scope="session", params=TOKENIZER_KINDS)
def any_tokenizer(request) -> PreTrainedTokenizerFast:
    return make_tokenizer(request.param)


@pytest.fixture
def dataset(tokenizer):
    return Dataset.from_list([{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES)])


@pytest.fixture
def arguments(tmp_path):
    """Makes training arguments without reports, checkpoints and bars."""

    def make(cls=MMELTrainingArguments, **fields):
        defaults = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "use_cpu": True}
        return cls(str(tmp_path / "out"), **{**defaults, **fields})

    return make


@pytest.fixture(scope="session")
def augmenter(tokenizer) -> LexiconSubstitution:
    return LexiconSubstitution(tokenizer, WORDS)


@pytest.fixture(autouse=True)
def no_wordnet_is_installed(request):
    with pytest.MonkeyPatch.context() as patch:  # which a test's own `undo` does not undo
        if not request.node.get_closest_marker("slow"):
            patch.setattr("nltk.data.path", [])
            patch.setattr("augment.core.vocabulary.installed_antonyms", lambda: Antonyms({"great": ["awful", "bad"]}))
        yield


@pytest.fixture(scope="session")
def nltk_data(tmp_path_factory) -> Path:
    """A folder for NLTK with a small WordNet in it."""
    from mini_wordnet import write_mini_wordnet  # beside the augmenters' tests, which scripts do not see

    root = tmp_path_factory.mktemp("nltk_data")
    root.chmod(0o755)
    write_mini_wordnet(root / "corpora" / "wordnet")
    return root


@pytest.fixture
def wordnet(nltk_data, monkeypatch) -> None:
    """The small WordNet is what is installed."""
    monkeypatch.setattr("nltk.data.path", [str(nltk_data)])


@pytest.fixture(scope="session")
def wordnet_cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("lexicons")


@pytest.fixture(params=["lexicon", "wordnet"])
def make(request, wordnet, wordnet_cache):
    """Makes an augmenter of one kind: `make(tokenizer, **options)`, with its words and candidates as `make.table`."""
    if request.param == "lexicon":

        def make(tokenizer, **options):
            return LexiconSubstitution(tokenizer, WORDS, **options)

        make.table = WORDS
    else:

        def make(tokenizer, **options):
            return WordNetSynonyms(tokenizer, cache_dir=wordnet_cache, **options)

        make.table = build_synonyms(load_wordnet())
    return make


SYNONYMS = {"film": ["movie"], "good": ["fine", "great"], "awful": ["bad"], "actor": ["player"]}


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory, tokenizer):
    """An encoder of two layers, without dropout, and its tokenizer."""
    path = tmp_path_factory.mktemp("model")
    tokenizer.save_pretrained(path)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes, **dropout)
    perturb_weights(BertModel(config)).save_pretrained(path)
    return path


@pytest.fixture(scope="session")
def masked_lm_dir(model_dir, tmp_path_factory):
    """The checkpoint of a small masked LM, with the tokenizer."""
    path = tmp_path_factory.mktemp("masked_lm")
    AutoTokenizer.from_pretrained(model_dir).save_pretrained(path)
    torch.manual_seed(0)
    perturb_weights(BertForMaskedLM(BertConfig.from_pretrained(model_dir))).save_pretrained(path)
    return path


@pytest.fixture
def synonyms(monkeypatch):
    """The WordNet augmenter over a handful of words."""
    monkeypatch.setattr("augment.english.wordnet_data.load_wordnet", lambda: None)
    monkeypatch.setattr("augment.english.synonyms.build_synonyms", lambda wordnet, **options: SYNONYMS)
    monkeypatch.setattr("augment.english.phrases.read_phrases", lambda wordnet, words: {})


@pytest.fixture
def run(synonyms, model_dir, tmp_path):
    """Runs the command; later options win over these."""
    from hf_mmel.cli import run as cli

    def run(*options, out="out"):
        argv = ["--model_name_or_path", model_dir, "--output_dir", tmp_path / out, "--cache_dir", tmp_path / "cache"]
        argv += ["--report_to", "none", "--use_cpu", "--disable_tqdm", "true", "--save_strategy", "no"]
        argv += ["--max_steps", 3, "--per_device_train_batch_size", 4, "--num_variants", 2, *options]
        return cli.main([str(option) for option in argv])

    return run


@pytest.fixture
def write(tmp_path):
    """Writes rows as csv, json or json lines."""

    def write(name, rows):
        texts = {"csv": pd.DataFrame(rows).to_csv(index=False), "json": json.dumps(rows)}
        texts["jsonl"] = "\n".join(map(json.dumps, rows))
        (path := tmp_path / name).write_text(texts[name.split(".")[1]])
        return path

    return write


def reviews(labels=("bad", "good"), num_examples=16):
    return [
        {"text": f"the film was {('awful', 'good')[i % 2]} .", "label": labels[i % 2]} for i in range(num_examples)
    ]


def results(tmp_path, name, out="out"):
    return json.loads((tmp_path / out / f"{name}_results.json").read_text())


@pytest.fixture
def files(write):
    return ["--train_file", write("train.csv", reviews()), "--validation_file", write("val.csv", reviews())]
