"""The fields of the objective, refused early when they make no sense."""

import copy
import dataclasses
import json
import math
import pickle
import re

import numpy as np
import pytest
import torch
from transformers import HfArgumentParser, TrainingArguments

from hf_mmel import MMELTrainingArguments


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mmel_loss", "worst"),
        ("lambda_p", -0.1),
        ("lambda_p", math.nan),
        ("lambda_t", -1.0),
        ("lambda_t", math.nan),
        ("lambda_t", math.inf),
        ("num_variants", 0),
        ("num_variants", -3),
        ("num_variants", 1.5),
        ("num_variants", True),
        ("variant_backward", "worst"),
        ("variant_backward_count", 0),
        ("variant_chunk_size", 0),
        ("variant_chunk_size", 1.5),
        ("score_interval", 0),
        ("show_variants", -1),
        ("show_variants", 1.5),
        ("lambda_p", "much"),
        ("lambda_p", None),
        ("lambda_t", "inf"),
        ("lambda_t", "1,5"),
        ("num_variants", "four"),
        ("num_variants", math.inf),
        ("score_interval", "2.5"),
        ("min_label_probability", "0.7"),
        ("min_label_probability", "p"),
        ("effective_num_variants", 0.5),
        ("effective_num_variants", math.nan),
        ("effective_num_variants", "two"),
        ("reweighting_warmup", -0.1),
        ("reweighting_warmup", 1.0),
        ("reweighting_warmup", math.nan),
        ("reweighting_warmup", None),
        ("lambda_t_warmup", 1.0),
        ("lambda_t_warmup", "half"),
        ("soft_labels", "model"),
        ("ema_decay", -0.1),
        ("ema_decay", 1.0),
        ("ema_decay", math.nan),
        ("soft_label_temperature", 0.0),
        ("soft_label_temperature", -1.0),
        ("soft_label_temperature", math.inf),
        ("soft_label_temperature", None),
        ("lambda_u", -1.0),
        ("lambda_u", math.inf),
        ("lambda_u", "much"),
        ("confidence_threshold", 1.0),
        ("confidence_threshold", -0.1),
        ("confidence_threshold", math.nan),
        ("unlabeled_ratio", -1),
        ("unlabeled_ratio", math.nan),
        ("unlabeled_loss", "self"),
        ("training_signal_annealing", "cosine"),
        ("feature_separation", -1),
        ("feature_separation", math.nan),
        ("feature_separation", math.inf),
        ("feature_separation", "a"),
        ("feature_separation", None),
    ],
)
def test_a_field_out_of_range_is_named_with_its_value(tmp_path, field, value):
    with pytest.raises(ValueError, match=f"{field} is '?{value}'?; expected"):
        MMELTrainingArguments(str(tmp_path), **{field: value})


def test_even_weights_have_no_largest(tmp_path):
    with pytest.raises(ValueError, match="no largest weights; expected 'full' or 'sample'"):
        MMELTrainingArguments(str(tmp_path), mmel_loss="uniform", variant_backward="top")


def test_weights_that_are_uniform_at_first_have_no_largest(tmp_path):
    fields = {"reweighting_warmup": 0.2, "variant_backward": "top"}
    with pytest.raises(ValueError, match=r"reweighting_warmup is 0.2, but .*; expected 'full' or 'sample'"):
        MMELTrainingArguments(str(tmp_path), **fields)
    assert MMELTrainingArguments(str(tmp_path), mmel_loss="none", **fields).reweighting_warmup == 0.2


@pytest.mark.parametrize("kind", ["ema", "teacher"])
def test_soft_labels_of_another_model_have_no_gradient(tmp_path, kind):
    with pytest.raises(ValueError, match=f"soft_label_gradient is set, but soft_labels='{kind}' are .*; leave it out"):
        MMELTrainingArguments(str(tmp_path), soft_labels=kind, soft_label_gradient=True)


def test_lambda_p_is_given_or_solved(tmp_path):
    with pytest.raises(ValueError, match=r"lambda_p is 0.5 and effective_num_variants is 2.*; leave one of them out"):
        MMELTrainingArguments(str(tmp_path), lambda_p=0.5, effective_num_variants=2)
    args = MMELTrainingArguments(str(tmp_path), effective_num_variants="2", reweighting_warmup="0.1")
    assert (args.lambda_p, args.effective_num_variants, args.reweighting_warmup) == (1.0, 2.0, 0.1)
    args.lambda_p = 0.5
    with pytest.raises(ValueError, match="leave one of them out"):
        args.check_objective()


@pytest.mark.parametrize("lambda_p", [0, 1e-6, 3, math.inf])
def test_lambda_p_ranges_from_zero_to_infinity(tmp_path, lambda_p):
    assert MMELTrainingArguments(str(tmp_path), lambda_p=lambda_p).lambda_p == lambda_p


def test_numbers_may_come_as_text(tmp_path):
    args = MMELTrainingArguments(str(tmp_path), lambda_p="inf", lambda_t="0.5", num_variants="8")
    assert (args.lambda_p, args.lambda_t, args.num_variants) == (math.inf, 0.5, 8)
    assert type(MMELTrainingArguments(str(tmp_path), num_variants=8.0).num_variants) is int
    args = MMELTrainingArguments(
        str(tmp_path), min_label_probability="1e-1", variant_chunk_size="2", show_variants="3"
    )
    numbers = (args.min_label_probability, args.variant_chunk_size, args.show_variants)
    assert numbers == (0.1, 2, 3) and [type(number) for number in numbers] == [float, int, int]
    args.lambda_p = "inf"
    with pytest.raises(ValueError, match="lambda_p is 'inf'; expected a number"):
        args.check_objective()


def test_defaults_are_soft_with_four_variants(tmp_path):
    args = MMELTrainingArguments(str(tmp_path))
    assert isinstance(args, TrainingArguments)
    assert (args.mmel_loss, args.lambda_p, args.lambda_t, args.num_variants) == ("soft", 1.0, 1.0, 4)


def test_the_command_line_reads_every_field(tmp_path):
    (args,) = HfArgumentParser(MMELTrainingArguments).parse_args_into_dataclasses(
        f"--output_dir {tmp_path} --mmel_loss hard --lambda_p inf --lambda_t 0.5 --num_variants 8 "
        "--reweight_original false --soft_label_gradient --reweighting_warmup 0.25".split()
    )
    assert args.reweighting_warmup == 0.25 and args.effective_num_variants is None
    assert (args.mmel_loss, args.lambda_p, args.lambda_t, args.num_variants) == ("hard", math.inf, 0.5, 8)
    assert args.reweight_original is False and args.soft_label_gradient is True


@pytest.mark.parametrize("text", ["0.5,2", "[0.5, 2.0]", "0.5, 2"])
def test_class_weights_are_numbers_however_they_come(tmp_path, text):
    for value in (text, [0.5, 2], (0.5, 2.0), np.array([0.5, 2.0]), torch.tensor([0.5, 2.0])):
        args = MMELTrainingArguments(str(tmp_path), class_weights=value)
        assert args.class_weights == [0.5, 2.0] and {type(number) for number in args.class_weights} == {float}
        assert json.loads(args.to_json_string())["class_weights"] == [0.5, 2.0]
    rules = ("balanced", "effective", "effective:0.99", "effective:0")
    for value, expected in ((text, [0.5, 2.0]), *((rule, rule) for rule in rules)):
        line = ["--output_dir", str(tmp_path), "--class_weights", value]
        (args,) = HfArgumentParser(MMELTrainingArguments).parse_args_into_dataclasses(line)
        assert args.class_weights == expected
    (args,) = HfArgumentParser(MMELTrainingArguments).parse_dict({"output_dir": str(tmp_path), "class_weights": text})
    assert args.class_weights == [0.5, 2.0]
    assert MMELTrainingArguments(str(tmp_path)).class_weights is None


@pytest.mark.parametrize(
    "value",
    [
        *("Balanced", "", "a,b", "1,,2", [], [-1.0], [math.nan], [math.inf], ["a"], 2.0, {}, [[1]]),
        *(f"effective:{beta}" for beta in ("1", "", "-0.1", "nan", "1.5", "0.9.9")),
    ],
)
def test_class_weights_that_are_neither_numbers_nor_a_rule_are_refused(tmp_path, value):
    told = f"class_weights is {value!r}; expected 'balanced', 'effective' ('effective:0.99' sets a beta in [0, 1)), or"
    with pytest.raises(ValueError, match=re.escape(told)):
        MMELTrainingArguments(str(tmp_path), class_weights=value)


def test_every_field_has_a_help_text():
    own = set(MMELTrainingArguments.__dataclass_fields__) - set(TrainingArguments.__dataclass_fields__)
    assert len(own) == 32
    assert all(MMELTrainingArguments.__dataclass_fields__[name].metadata["help"] for name in own)


def test_the_token_is_in_copies_and_not_in_pickles(tmp_path):
    args = MMELTrainingArguments(str(tmp_path), hub_token="hf_secret", lambda_p=0.25, class_weights=[1.0, 2.0])
    copies = [copy.copy(args), copy.deepcopy(args), dataclasses.replace(args)]
    assert [(c.hub_token, c.lambda_p) for c in copies] == [("hf_secret", 0.25)] * 3
    assert copies[1].class_weights == args.class_weights and copies[1].class_weights is not args.class_weights
    pickled = pickle.dumps(args)
    assert b"hf_secret" not in pickled and pickle.loads(pickled).lambda_p == 0.25
    assert "hf_secret" not in repr(args) and "hf_secret" not in args.to_json_string()
