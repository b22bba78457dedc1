"""The type that the weights of a model are loaded in."""

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertModel

from hf_mmel.cli import run as cli
from hf_mmel.cli.preflight import check_weights


HALF = ["float16", "bfloat16"]


@pytest.fixture
def stored_in(model_dir, tmp_path):
    """The folder of a checkpoint whose weights, those of bfloat16, are stored in a type."""

    def stored_in(dtype):
        folder = tmp_path / f"stored_in_{dtype}"
        AutoTokenizer.from_pretrained(model_dir).save_pretrained(folder)
        model = BertModel.from_pretrained(model_dir).bfloat16().float().to(getattr(torch, dtype))
        model.save_pretrained(folder)
        return folder

    return stored_in


def types_in(folder):
    return {str(weight.dtype) for weight in load_file(folder / "model.safetensors").values()}


def test_weights_stored_in_half_precision_are_trained_in_float32(run, files, stored_in, tmp_path, caplog):
    for dtype in ("float32", "bfloat16"):
        caplog.clear()
        run(*files, "--do_train", "--model_name_or_path", stored_in(dtype), out=dtype)
        assert ("is stored in bfloat16; training float32 weights" in caplog.text) == (dtype != "float32")
        assert types_in(tmp_path / dtype) == {"torch.float32"}
    stored, expected = (load_file(tmp_path / out / "model.safetensors") for out in ("bfloat16", "float32"))
    assert all(torch.equal(weight, expected[name]) for name, weight in stored.items())


@pytest.mark.parametrize("dtype", ["bfloat16", "auto"])
def test_a_type_that_is_asked_for_is_that_of_the_weights(run, files, stored_in, tmp_path, caplog, dtype):
    options = [*files, "--do_train", "--do_eval", "--model_name_or_path", stored_in("bfloat16"), "--dtype", dtype]
    scores = run(*options)
    assert types_in(tmp_path / "out") == {"torch.bfloat16"} and "float32 weights" not in caplog.text
    again = run(*options)  # which evaluates the finished model
    alone = run("--model_name_or_path", tmp_path / "out", *files, "--do_eval", out="alone")
    assert scores["eval_loss"] == again["eval_loss"] == alone["eval_loss"]


@pytest.mark.parametrize("stored", HALF)
@pytest.mark.parametrize("asked", [None, "float32"])
def test_an_evaluation_keeps_the_type_of_the_file_unless_asked(run, files, stored_in, monkeypatch, stored, asked):
    types, load = [], cli.load_model

    def seen(*args):
        model = load(*args)
        types.append(model.dtype)
        return model

    monkeypatch.setattr("hf_mmel.cli.run.load_model", seen)
    run(*files, "--do_eval", "--model_name_or_path", stored_in(stored), *(["--dtype", asked] if asked else []))
    assert types == [getattr(torch, asked or stored)]


def test_fp16_needs_weights_in_float32(arguments):
    args = arguments()
    args.fp16 = True
    for dtype in (torch.float32, torch.bfloat16):
        check_weights(args, dtype)
    with pytest.raises(ValueError, match=r"fp16 computes in float16 and needs float32 weights.*leave out --dtype"):
        check_weights(args, torch.float16)
