"""Makes TextAttack importable without downloads, and without the packages that its two augmenters here do not use."""

import importlib
import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

import nltk
from nltk.corpus import wordnet


UNUSED = {
    "Levenshtein",
    "OpenHowNet",
    "bert_score",
    "datasets",
    "editdistance",
    "flair",
    "langdetect",
    "language_tool_python",
    "lemminflect",
    "num2words",
    "pinyin",
    "terminaltables",
    "word2number",
}


class _Unused(MetaPathFinder, Loader):
    """Finds the unused packages: whatever has a capital letter in them is an empty class, and all else a module."""

    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self, is_package=True) if name.partition(".")[0] in UNUSED else None

    def create_module(self, spec):
        def attribute(name: str) -> type | types.ModuleType:
            if name.startswith("_"):
                raise AttributeError(name)
            return importlib.import_module(f"{spec.name}.{name}") if name.islower() else type(name, (), {})

        module = types.ModuleType(spec.name)
        module.__getattr__ = attribute
        return module

    def exec_module(self, module):
        pass


def prepare(stop_words: list[str]) -> None:
    """To be called before TextAttack is imported. The stop words stand in for NLTK's, which it would download."""
    sys.meta_path.append(_Unused())
    nltk.download = lambda *args, **kwargs: True
    wordnet.langs = lambda: ["eng"]
    nltk.corpus.stopwords = types.SimpleNamespace(words=lambda language: stop_words)
