"""The commands and snippets of the README and of docs/, run page by page on a tiny model and a few rows."""

import argparse
import importlib
import inspect
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import documented
import pandas as pd
import pytest
import torch
from accelerate.commands.launch import launch_command_parser
from augmenters import make_masked_lm
from classifiers import make_classifier, save_classifier
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset, DatasetDict, concatenate_datasets
from files import upload
from generators import save_generator
from torch.distributed.run import get_args_parser
from transformers import AutoModelForSequenceClassification, ResNetConfig, ResNetForImageClassification

import augment.__main__
import augment.custom
import hf_mmel.__main__
import hf_mmel.report
from augment import LexiconSubstitution
from hf_mmel import functional
from hf_mmel.cli import run as cli
from hf_mmel.compare.plan import check, read_plan


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "accelerate" / "README.md"]
LANGUAGES = {"bash", "python", "pycon", "diff", "json", "bibtex", ""}
ENCODERS = ("bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2")
MASKED_LMS = ("google-bert/bert-base-uncased", "google-bert/bert-base-multilingual-cased")
# Models that write texts, and the kinds of tiny ones in their places.
GENERATORS = {
    "humarin/chatgpt_paraphraser_on_T5_base": "t5",
    "Helsinki-NLP/opus-mt-en-de": "bart",
    "Helsinki-NLP/opus-mt-de-en": "t5",
    "Qwen/Qwen2.5-1.5B-Instruct": "gpt2",
}
SENTIMENT = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
BUCKET = "s3://bucket"  # a store in memory is in its place
# What stands for `...` in a command.
ELIDED = "--model_name_or_path bert-base-uncased --task_name rte --do_train --do_eval --output_dir outputs/elided"
# Added to each run, so that it takes a moment. Later options win.
SHORT = "--max_steps 2 --use_cpu --report_to none --disable_tqdm true --cache_dir cache --max_seq_length 32"


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each block of code, without its indentation."""
    found = re.findall(
        r"^( *)```(\w*)\n(.*?)^\1```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    return [(language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)) for indent, language, text in found]


def commands(page: Path) -> list[str]:
    """The commands of a page, a line each; those of a loop once for each of its values."""
    text = "".join(text for language, text in blocks(page) if language == "bash").replace("\\\n", " ")

    def rolled_out(loop: re.Match) -> str:
        name, values, body = loop.groups()
        return "".join(body.replace(f"${name}", value) for value in values.split())

    text = re.sub(r"^for (\w+) in ([^;]+); do\n(.*?)^done$", rolled_out, text, flags=re.DOTALL | re.MULTILINE)
    return [line for line in (line.partition(" #")[0].strip() for line in text.splitlines()) if line]


def snippets(page: Path) -> list[str]:
    """The snippets of Python, and what is left of a diff where it has been applied."""
    codes = []
    for language, text in blocks(page):
        if language == "python":
            codes.append(text)
        elif language == "diff":
            codes.append("\n".join(line[1:] for line in text.splitlines() if not line.startswith("-")))
    return [code for code in codes if "import ray" not in code]  # which tests/trainer/test_ray_train.py runs


def with_page(values: list) -> list:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in values]


class Shell:
    """Runs commands as a shell in the root of a checkout would, but on what is at hand."""

    def __init__(self, encoder: Path, classifier: Path, masked_lm: Path, data: Path, hub, store: str):
        self.encoder, self.classifier, self.masked_lm, self.data, self.hub = encoder, classifier, masked_lm, data, hub
        self.store = store

    def run(self, command: str) -> None:
        program, *argv = self._words(command)
        if program == "python":
            program, argv = argv[0], argv[1:]
            if program == "-m":
                program, argv = f"python -m {argv[0]}", argv[1:]
        kinds = {
            "run_glue_mmel.py": self._train,
            "torchrun": self._torchrun,
            "accelerate": self._accelerate,
            "python -m augment": self._augment,
            "python -m hf_mmel": self._hf_mmel,
            "make": self._make,
            "pip": self._pip,
            "hf": self._hf,
        }
        if program.startswith("python -m benchmarks."):
            self._benchmark(program.removeprefix("python -m "), argv)
        elif program.startswith("examples/"):
            with pytest.MonkeyPatch.context() as patch:
                patch.syspath_prepend(ROOT / "examples")  # where a script that is run looks first
                runpy.run_path(str(ROOT / program))  # their mains have tests of their own
        else:
            kinds[program](argv)

    def _words(self, command: str) -> list[str]:
        names = dict.fromkeys(ENCODERS, self.encoder) | dict.fromkeys(MASKED_LMS, self.masked_lm) | GENERATORS
        words = shlex.split(command.replace("...", ELIDED).replace(BUCKET, self.store))
        return [str(names.get(word, word)) for word in words]

    def _train(self, options: list[str]) -> dict[str, float]:
        model = Path(options[options.index("--model_name_or_path") + 1])
        if not (model / "config.json").is_file():  # that of an earlier training on RTE
            shutil.copytree(self.classifier, model, dirs_exist_ok=True)
        return cli.main([*options, *self._mirror(options), *SHORT.split()])

    def _mirror(self, options: list[str]) -> list[str]:
        """Where the tasks of GLUE are at hand."""
        return ["--dataset_name", str(self.data)] if "--task_name" in options else []

    def _parse(self, options: list[str]) -> None:
        """The options of a launch, which has tests of its own: see test_run_glue_mmel_processes.py."""
        cli.parse_arguments([*options, *SHORT.split()])

    def _torchrun(self, argv: list[str]) -> None:
        launch = get_args_parser().parse_args(argv)
        assert launch.training_script == "run_glue_mmel.py"
        self._parse(launch.training_script_args)

    def _accelerate(self, argv: list[str]) -> None:
        assert argv[0] == "launch"
        launch = launch_command_parser().parse_args(argv[1:])
        assert launch.training_script == "run_glue_mmel.py"
        assert launch.config_file is None or (ROOT / launch.config_file).is_file()
        self._parse(launch.training_script_args)

    def _augment(self, argv: list[str]) -> None:
        if argv[0] != "download":  # which needs a network, and has tests of its own
            assert augment.__main__.main(argv) == 0

    def _hf_mmel(self, argv: list[str]) -> None:
        """A report or an attack; of a comparison the checks before its first run: the runs have tests of their own."""
        if argv[0] in ("report", "attack"):
            assert hf_mmel.__main__.main(argv) == 0
            return
        args = hf_mmel.__main__.parse(argv)
        # The model has a head, which the augmenter mlm needs.
        args.options += ["--model_name_or_path", str(self.masked_lm), *self._mirror(argv), *SHORT.split()]
        assert check(read_plan(args))[0].metric == "eval_accuracy"

    def _make(self, argv: list[str]) -> None:
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        assert set(argv) <= set(targets)

    def _pip(self, argv: list[str]) -> None:
        extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), flags=re.MULTILINE)
        for package in argv[1:]:
            for extra in re.findall(r"\[(.*)\]", package):
                assert set(extra.split(",")) <= set(extras)

    def _hf(self, argv: list[str]) -> None:
        if argv[0] == "auth":  # asks for a token
            return
        program = shutil.which("hf", path=os.path.dirname(sys.executable))
        environment = {**os.environ, **self.hub.environment, "HF_TOKEN": "hf_token_of_me"}
        subprocess.run([program, *argv], env=environment, check=True, capture_output=True, timeout=120)

    def _benchmark(self, module: str, argv: list[str]) -> None:
        """The arguments alone: the benchmarks themselves take minutes, and have tests of their own."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [module, *argv])
            program = importlib.import_module(module)
            if hasattr(program, "__path__"):  # a package
                program = importlib.import_module(f"{module}.__main__")
            assert isinstance(program.parse_arguments(), argparse.Namespace)


@pytest.fixture
def shell(synonyms, wordnet, tokenizer, model_dir, mirror, hub, store, tmp_path, monkeypatch) -> Shell:
    """A shell in a folder with the users' own files, where the pages' models, data and WordNet are tiny ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_token_of_me")
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "lexicons"))
    classes = ["entailment", "not_entailment"]
    labels = {"id2label": dict(enumerate(classes)), "label2id": {name: i for i, name in enumerate(classes)}}
    for name, model in {"classifier": make_model(tokenizer, **labels), "masked_lm": make_masked_lm(tokenizer)}.items():
        model.save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    save_classifier(make_classifier(tokenizer, "NEGATIVE", "POSITIVE"), tokenizer, tmp_path / "sentiment")
    for kind in set(GENERATORS.values()):
        save_generator(kind, tmp_path / kind)
    rows = pd.DataFrame({"sentence": SENTENCES, "label": ["bad", "good", "mixed"] * 3})
    for name in ("train", "dev"):
        rows.to_csv(f"{name}.csv", index=False)
    rows[["sentence"]].to_csv("unlabelled.csv", index=False)
    upload(Path("train.csv"), f"{store}/train.csv")
    Path("my_augmenters.py").write_text(documented.CLASSES, encoding="utf-8")
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    (all_senses,) = re.findall(r"`all_senses.json`:\n\n```json\n(.*?)```", guide, re.DOTALL)
    Path("all_senses.json").write_text(all_senses, encoding="utf-8")
    return Shell(model_dir, tmp_path / "classifier", tmp_path / "masked_lm", mirror[1], hub, store)


@pytest.mark.parametrize("page", with_page([page for page in PAGES if commands(page)]))
def test_the_commands_of_a_page_run_in_their_order(shell, page):
    for command in commands(page):
        shell.run(command)


@pytest.fixture
def names(shell, tokenizer, monkeypatch) -> dict:
    """What the snippets take for granted: a tokenizer, models, data."""
    monkeypatch.setattr(
        augment,
        "WordNetSynonyms",
        lambda tokenizer, readings="main", min_sense_share=None, **options: augment.LexiconSubstitution(
            tokenizer, WORDS, **options
        ),
    )
    examples = [dict(tokenizer(text)) for text in SENTENCES]
    labelled = Dataset.from_list([{**example, "label": i % 2} for i, example in enumerate(examples)])
    wordnet = LexiconSubstitution(tokenizer, WORDS)
    rows = Dataset.from_dict({"sentence": SENTENCES, "label": [i % 2 for i in range(len(SENTENCES))]})
    glue = DatasetDict({"train": concatenate_datasets([rows] * 56), "validation": rows})  # the README takes 500
    load, formats = datasets.load_dataset, ("csv", "parquet")
    monkeypatch.setattr(
        datasets, "load_dataset", lambda path, *args, **options: load(path, **options) if path in formats else glue
    )
    with_variants = {"text": SENTENCES, "variants": [["the film was bad"]] * len(SENTENCES), "label": rows["label"]}
    for part in ("variants/part-00000-of-00002.parquet", "variants/part-00001-of-00002.parquet"):
        Dataset.from_dict(with_variants).to_parquet(part)
    return {
        "tokenizer": tokenizer,
        "model": AutoModelForSequenceClassification.from_pretrained(shell.classifier),
        "image_model": ResNetForImageClassification(ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1])),
        "images": [{"pixel_values": torch.rand(3, 8, 8), "labels": i % 2} for i in range(8)],
        "train": labelled,
        "dev": labelled,
        "unlabelled": labelled.remove_columns("label"),
        "dataset": labelled,
        "train_dataset": labelled,
        "augmenter": wordnet,
        "wordnet": wordnet,
        "masked_lm": augment.MaskedLMSubstitution(tokenizer, str(shell.masked_lm), keep_inflection=False),
        "list_of_examples": examples,
        "list_of_seeds": list(range(len(examples))),
        "flat_ids": [token for example in examples for token in example["input_ids"]],
        "lengths": [len(example["input_ids"]) for example in examples],
    }


@pytest.mark.parametrize("page", with_page([page for page in PAGES if snippets(page)]))
def test_the_snippets_of_a_page_run_in_their_order(shell, names, page):
    for code in snippets(page):
        code = re.sub(r"max_steps=[\d_]+", "max_steps=2", code)
        for model in (*MASKED_LMS, *ENCODERS):
            code = code.replace(f'"{model}"', repr(str(shell.masked_lm)))
        for model, kind in {**GENERATORS, SENTIMENT: "sentiment"}.items():
            code = code.replace(f'"{model}"', repr(kind))
        code = code.replace(BUCKET, shell.store)
        exec(compile(code, page.name, "exec"), names)


@pytest.mark.parametrize("page", with_page(PAGES))
def test_all_blocks_of_a_page_are_of_languages_that_are_tested(page):
    assert {language for language, _ in blocks(page)} <= LANGUAGES
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks(page))


def public_objects() -> dict[str, object]:
    """Full name -> object of all that the API page documents."""
    modules = (hf_mmel, hf_mmel.report, augment, augment.custom)
    named = {f"{module.__name__}.{name}": getattr(module, name) for module in modules for name in module.__all__}
    functions = inspect.getmembers(functional, inspect.isfunction)
    own = {f"hf_mmel.functional.{name}": function for name, function in functions if not name.startswith("_")}
    return named | own


def test_every_public_object_has_a_docstring():
    undocumented = [name for name, thing in public_objects().items() if not inspect.getdoc(thing)]
    assert not undocumented


@pytest.mark.slow
def test_the_site_builds_whole_and_from_what_is_installed(tmp_path):
    # Without --quiet, which hides warnings from --strict.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert set(public_objects()) <= set(re.findall(r'id="([\w.]+)"', pages["api.html"]))
    for name, page in pages.items():
        fetched = re.findall(r'<(?:script|img|iframe|link)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"', page)
        assert not fetched, f"{name} fetches {fetched}"
