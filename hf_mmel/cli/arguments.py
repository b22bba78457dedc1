"""The arguments of the model, of the augmenter, and of the run as a whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from augment.core.storage import is_on_disk, location
from augment.languages.language import ENGLISH
from augment.registry import NAMES, WITH_MASKED_LM, WITH_MODEL, augmenter_config, limited

from .data_arguments import DataArguments, argument, listed


if TYPE_CHECKING:  # modules with torch or transformers are imported where they are used, so that --help is fast
    from transformers import PretrainedConfig

    from ..step.adversarial import AdversarialVariants
    from ..training_args import MMELTrainingArguments

SUBMISSION = "submission.zip"
MAX_SEED = 2**32 - 1  # the largest seed of NumPy
_DEFAULT_NAME = "true"  # value of `--glue_submission` without a name


@dataclass
class ModelArguments:
    """Which model to fine-tune, and where it comes from."""

    model_name_or_path: str = field(metadata={"help": "Name on the Hub or local path of the pretrained model."})
    teacher_model_name_or_path: str | None = argument(
        None,
        "Trained classifier that predicts the soft labels of soft_labels=teacher. A name on the Hub or a local path.",
    )
    config_name: str | None = argument(None, "Configuration, if it is not the model's own.")
    tokenizer_name: str | None = argument(None, "Tokenizer, if it is not the model's own.")
    cache_dir: str | None = argument(None, "Folder for downloaded models and data and for the augmenter's lexicon.")
    use_fast_tokenizer: bool = argument(True, "Has no effect: transformers 5 uses a fast tokenizer if there is one.")
    model_revision: str = argument("main", "Branch, tag or commit of the model on the Hub.")
    token: str | None = argument(None, "Access token for the Hub. Default: the one stored by `hf auth login`.")
    trust_remote_code: bool = argument(False, "Run model code that comes with the checkpoint, if you trust it.")
    ignore_mismatched_sizes: bool = argument(False, "Start from a new head if the checkpoint's has another size.")
    dtype: str | None = argument(
        None,
        "Type of the weights. Default: float32 in training, whatever type they are stored in, since small updates are "
        "lost in half precision (--bf16 and --fp16 compute in it and keep float32 weights); else that of the file, "
        "which 'auto' is in training, too.",
        choices=["auto", "float32", "bfloat16", "float16"],
    )
    overwrite_output_dir: bool = argument(False, "Train from the start, even if output_dir holds a model.")

    def __post_init__(self):
        if self.cache_dir is not None and not {"{", "}"}.isdisjoint(self.cache_dir):
            raise ValueError(f"cache_dir is {self.cache_dir!r}; datasets cannot use a folder with braces in its name.")
        if self.cache_dir is not None and not is_on_disk(location(self.cache_dir)):
            raise ValueError(
                f"cache_dir is {self.cache_dir!r}; expected a folder on this machine. To keep candidates of a masked "
                "LM in a store, leave it out and set the environment variable HF_MMEL_CACHE to the URL."
            )

    @property
    def hub_options(self) -> dict[str, Any]:
        """The keyword arguments of every `from_pretrained`."""
        same_names = {name: getattr(self, name) for name in ("cache_dir", "token", "trust_remote_code")}
        return {"revision": self.model_revision, **same_names}


@dataclass
class AugmenterArguments:
    """How to make the variants."""

    augmenter: str = argument(  # None until `choose` is called
        None,
        "Source of variants, such as synonyms, context or typos. One of "
        f"{', '.join(NAMES)}, a JSON file with the configuration of an augmenter, your own class as MODULE:CLASS, or "
        "'none' to train on the originals only. Default: context if the model has a masked-LM head and the texts are "
        "English, else synonyms; wordnet with greedy_search, which searches among the candidates of words, and none "
        "with variants_column.",
    )
    variants_column: str | None = argument(
        None,
        "Column of the training data with your own variants of each row: a list of texts, such as paraphrases. With "
        "an --augmenter, it makes the variants of rows that have fewer than num_variants. In a file of python -m "
        "augment write --keep_original, it is the column variant.",
    )
    augmenter_model: str | None = argument(
        None,
        f"Model of the augmenters that need one: {', '.join(WITH_MODEL)}. It has the classifier's vocabulary. "
        "Default: model_name_or_path, which has a masked-LM head if it is a pretrained checkpoint.",
    )
    augmenter_lang: str | None = argument(
        None,
        "Language of the texts, for the augmenter: an ISO 639-3 code such as deu, spa or cmn. Default: eng.",
    )
    mlm_masking: str | None = argument(
        None,
        "What the masked LM sees: 'none' the whole text in one pass, 'grouped' a text in which each pass masks about "
        "15 percent, 'single' one in which it masks one word. Default: none; for mlm_insert, which masks, grouped.",
        choices=["grouped", "single", "none"],
    )
    greedy_search: str = argument(
        "none",
        "Search for the hardest variants at every epoch: the candidates that most increase the model's loss, or the "
        "divergence of its prediction from the prediction on the original.",
        choices=["none", "loss", "divergence"],
    )
    replace_prob: float | None = argument(None, "Probability that a word is replaced. Default: the augmenter's own.")
    augment_segments: str | None = argument(
        None, "Which text of a pair may change.", choices=["all", "first", "second"]
    )
    adversarial_num_steps: int = argument(
        0,
        "Gradient steps of an adversarial variant of each example; 0: no such variant. It is added to those of the "
        "augmenter or, with --augmenter none, is the only one.",
    )
    adversarial_step_size: float = argument(0.1, "Length of an adversarial step, in the unit of the word embeddings.")
    adversarial_norm: str = argument("l2", "Norm that measures adversarial steps.", choices=["l2", "linf"])

    def __post_init__(self):
        if self.augmenter is None and self.variants_column is not None:
            self.augmenter = "none"
        elif self.augmenter is None and self.greedy_search != "none":
            self.augmenter = "wordnet"
        if self.variants_column is not None and self.greedy_search != "none":
            raise ValueError(
                f"greedy_search is {self.greedy_search!r}, which searches among the candidates of an augmenter, and "
                f"variants_column is {self.variants_column!r}; expected one of them."
            )
        try:
            self.adversary()
        except ValueError as error:
            raise ValueError(f"adversarial_{error}") from None

    def choose(self, config: "PretrainedConfig") -> None:
        """Sets the augmenter, unless one is given, to the best one that a model of this configuration allows."""
        if self.augmenter is not None:
            return
        if self.augmenter_model is not None:
            from transformers import AutoConfig

            config = AutoConfig.from_pretrained(self.augmenter_model)
        has_head = any(name.endswith("ForMaskedLM") for name in config.architectures or ())
        self.augmenter = "context" if has_head and self.augmenter_lang in (None, ENGLISH) else "synonyms"

    def adversary(self) -> "AdversarialVariants | None":
        """The source of adversarial variants; `None` if there are none."""
        if not self.adversarial_num_steps:
            return None
        from ..step.adversarial import AdversarialVariants

        return AdversarialVariants(self.adversarial_num_steps, self.adversarial_step_size, self.adversarial_norm)

    def column_of_variants(self) -> str | None:
        """The column of the training data that has variants, given here or in the file of the augmenter."""
        if self.variants_column is not None or file_of_augmenter(self.augmenter) is None:
            return self.variants_column
        config = augmenter_config(self.augmenter)
        return config.get("column") if config["class"] == "VariantsFromColumn" else None

    def config(
        self,
        model: str,
        max_length: int,
        cache_dir: str | None,
        text_columns: Sequence[str] = (),
        delimiter: str | None = None,
    ) -> dict[str, Any]:
        """
        The augmenter's configuration, for a classifier `model` whose inputs have at most `max_length` tokens, and are
        made from `text_columns`, which a `delimiter` may join.
        """
        if self.variants_column is None:
            config = self._config_of_augmenter(model, cache_dir)
        else:
            then = None if self.augmenter == "none" else self._config_of_augmenter(model, cache_dir)
            columns = {"column": self.variants_column, "text_columns": list(text_columns), "delimiter": delimiter}
            config = {"class": "VariantsFromColumn", **columns, "then": then}
        config = limited(config, max_length)
        if self.greedy_search != "none":
            config = {"class": "GreedySearch", "candidates": config, "objective": self.greedy_search}
        return config

    def _config_of_augmenter(self, model: str, cache_dir: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"replace_prob": self.replace_prob, "segments": self.augment_segments}
        options["lang"] = self.augmenter_lang
        if self.augmenter in (*WITH_MASKED_LM, "synonyms", "wordnet"):
            options["cache_dir"] = cache_dir
        if self.augmenter in WITH_MASKED_LM:
            options["masking"] = self.mlm_masking
        name = self.augmenter_model or (model if self.augmenter in WITH_MODEL else None)
        return augmenter_config(self.augmenter, name, **options)


def file_of_augmenter(augmenter: str | None) -> Path | None:
    """The JSON file that is given as the augmenter; `None` if it is a name."""
    if augmenter is None or augmenter in (*NAMES, "none") or not Path(augmenter).is_file():
        return None
    return Path(augmenter)


@dataclass
class RunArguments:
    """What to run besides a single training run, and what else to write: seeds, a dry run, predictions."""

    seeds: list[str] | None = field(
        default=None,
        metadata={
            "help": "Train once with each of these seeds, separated by commas. Each has the folder output_dir/seed-N, "
            "and mean and standard deviation are reported. Finished seeds are not run again."
        },
    )
    dry_run: bool = argument(
        False,
        "Show what a training run would do, and stop: load and tokenise the data, show ten examples with their "
        "variants, the length of the training run and an estimate of its time. Nothing is written to output_dir.",
    )
    glue_submission: str | None = argument(
        None,
        "Write the predictions in the format of the GLUE leaderboard: with do_predict on a GLUE task, to this zip, or "
        f"to {SUBMISSION} in output_dir. Files of other tasks in the zip stay.",
        nargs="?",
        const=_DEFAULT_NAME,
    )
    save_eval_predictions: bool = argument(
        False,
        "Write the label and the model's outputs for each evaluated example: with do_eval, to eval_predictions.npz.",
    )

    def __post_init__(self):
        if self.seeds is not None:
            self.seeds = _parse_seeds(self.seeds)
        if self.glue_submission is not None and self.glue_submission.lower() in ("true", "false"):  # from a JSON file
            self.glue_submission = _DEFAULT_NAME if self.glue_submission.lower() == "true" else None
        if self.glue_submission not in (None, _DEFAULT_NAME) and not self.glue_submission.endswith(".zip"):
            raise ValueError(
                f"glue_submission is {self.glue_submission!r}; expected a name that ends in .zip, or no name, for "
                f"{SUBMISSION} in output_dir."
            )

    def submission_path(self, output_dir: str) -> Path | None:
        """The zip of the submission; `None` if there is none."""
        if self.glue_submission is None:
            return None
        return Path(output_dir, SUBMISSION) if self.glue_submission == _DEFAULT_NAME else Path(self.glue_submission)


class Arguments(NamedTuple):
    """All arguments of the command, by group."""

    model: ModelArguments
    data: DataArguments
    augmenter: AugmenterArguments
    run: RunArguments
    training: "MMELTrainingArguments"


def is_seed(text: str) -> bool:
    """Whether a text is a seed. Its length is checked first, as Python reads no number of thousands of digits."""
    return text.isdecimal() and len(text.lstrip("0")) <= len(str(MAX_SEED)) and int(text) <= MAX_SEED


def _parse_seeds(given: list[str]) -> list[Any]:
    """Seeds, as `int`, from `["1,2,3"]` or `["1", "2", "3"]`."""
    names = listed(",".join(map(str, given)))
    if not all(map(is_seed, names)):
        expected = f"whole numbers from 0 to {MAX_SEED}, such as 1,2,3."
    elif len(set(map(int, names))) < len(names):
        expected = "each seed once."
    elif len(names) < 2:
        expected = "two or more. For a single seed pass --seed."
    else:
        return [int(name) for name in names]
    raise ValueError(f"seeds is {','.join(names)!r}; expected {expected}")
