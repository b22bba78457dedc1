"""The public names of hf_mmel, which are imported when they are used."""

import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import hf_mmel


ROOT = Path(__file__).parents[1]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("import hf_mmel, sys\nprint('torch' in sys.modules, 'transformers' in sys.modules)", "False False"),
        (
            "from hf_mmel import *\nprint(MMELTrainer.__name__, search_variants.__name__)",
            "MMELTrainer search_variants",
        ),
        ("import hf_mmel\nprint(hf_mmel.functional.__name__)", "hf_mmel.functional"),
        ("from hf_mmel import trainer\nprint(trainer.MMELTrainer.__name__)", "MMELTrainer"),
        ("import hf_mmel\nprint(hf_mmel.VariantHistory is hf_mmel.VariantHistory)", "True"),
    ],
)
def test_a_name_is_imported_when_it_is_used(code, printed):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == (printed, 0), done.stderr


@pytest.mark.parametrize("name", hf_mmel.__all__)
def test_every_public_name_is_there_and_can_be_pickled(name):
    value = getattr(hf_mmel, name)
    assert name in dir(hf_mmel) and pickle.loads(pickle.dumps(value)) is value
    assert getattr(import_module(value.__module__), name) is value


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'hf_mmel' has no attribute 'MMELTrainr'"):
        hf_mmel.MMELTrainr  # noqa: B018
    assert not hasattr(hf_mmel, "__wrapped__")
    with pytest.raises(ImportError, match="cannot import name 'MMELTrainr'"):
        from hf_mmel import MMELTrainr  # noqa: F401
