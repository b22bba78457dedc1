"""The fields of the objective, refused early when they make no sense."""

import math

import pytest
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
    ],
)
def test_a_field_out_of_range_is_named_with_its_value(tmp_path, field, value):
    with pytest.raises(ValueError, match=f"{field} is '?{value}'?; expected"):
        MMELTrainingArguments(str(tmp_path), **{field: value})


@pytest.mark.parametrize("lambda_p", [0, 1e-6, 3, math.inf])
def test_lambda_p_ranges_from_zero_to_infinity(tmp_path, lambda_p):
    assert MMELTrainingArguments(str(tmp_path), lambda_p=lambda_p).lambda_p == lambda_p


def test_defaults_are_soft_with_four_variants(tmp_path):
    args = MMELTrainingArguments(str(tmp_path))
    assert isinstance(args, TrainingArguments)
    assert (args.mmel_loss, args.lambda_p, args.lambda_t, args.num_variants) == ("soft", 1.0, 1.0, 4)


def test_the_command_line_reads_every_field(tmp_path):
    (args,) = HfArgumentParser(MMELTrainingArguments).parse_args_into_dataclasses(
        f"--output_dir {tmp_path} --mmel_loss hard --lambda_p inf --lambda_t 0.5 --num_variants 8 "
        "--reweight_original false --soft_label_gradient".split()
    )
    assert (args.mmel_loss, args.lambda_p, args.lambda_t, args.num_variants) == ("hard", math.inf, 0.5, 8)
    assert args.reweight_original is False and args.soft_label_gradient is True


def test_every_field_has_a_help_text():
    own = set(MMELTrainingArguments.__dataclass_fields__) - set(TrainingArguments.__dataclass_fields__)
    assert len(own) == 7
    assert all(MMELTrainingArguments.__dataclass_fields__[name].metadata["help"] for name in own)
