"""What the results of a run depend on, and which changes of it are told."""

import json

import pytest
from datasets import Dataset

from hf_mmel.cli.fingerprint import arguments_of, contents_of, differences_of, digest_of
from hf_mmel.cli.parser import parse_arguments


@pytest.fixture
def parsed(tmp_path, write):
    """The arguments of a run on a file."""
    file = write("train.csv", [{"text": "a film", "label": "x"}])

    def parsed(*options):
        fixed = ["--model_name_or_path", "x", "--train_file", str(file), "--output_dir", str(tmp_path / "out")]
        return parse_arguments([*fixed, "--do_train", *options])

    return parsed


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ("--seed 7 --logging_steps 3 --save_steps 5 --dataloader_num_workers 1 --token hf_x --hub_token hf_y", []),
        ("--trackio_space_id me/space --no_use_fast_tokenizer --ddp_timeout 60 --run_name first", []),
        ("--learning_rate 1e-3 --lambda_p 0.5", ["learning_rate", "lambda_p"]),
        ("--max_seq_length 64 --replace_prob 0.5 --label_column_name y", ["max_seq_length", "label_col", "replace"]),
    ],
)
def test_arguments_count_if_results_depend_on_them(parsed, options, changed):
    before, after = arguments_of(parsed()), arguments_of(parsed(*options.split()))
    told = differences_of(before, after)
    assert len(told.split(", ")) == max(len(changed), 1) and all(name in told for name in changed)
    assert bool(told) == bool(changed) and "hf_" not in json.dumps(after)


def test_the_steps_of_checkpoints_count_if_the_best_of_them_is_taken(parsed):
    best = ["--load_best_model_at_end", "--do_eval", "--eval_strategy", "steps", "--eval_steps", "2"]
    before, after = (arguments_of(parsed(*best, "--save_steps", steps)) for steps in ("2", "4"))
    assert differences_of(before, after) == "save_steps was 2 and is 4"


def test_arguments_without_an_effect_that_an_earlier_version_recorded_do_not_count(parsed):
    after = arguments_of(parsed())
    assert differences_of({**after, "local_rank": 0, "use_fast_tokenizer": False}, after) == ""
    assert differences_of({**after, "gone": 1}, after) == "gone was 1 and is None"


def test_the_content_of_a_file_counts_under_the_same_name(parsed, write):
    args = parsed()
    before = arguments_of(args) | contents_of(args)
    assert differences_of(before, arguments_of(args) | contents_of(args)) == ""
    other = write("train.csv", [{"text": "another film", "label": "x"}])
    told = differences_of(before, arguments_of(args) | contents_of(args))
    assert told.startswith("content of train_file was ")
    assert differences_of(before, before | contents_of(args), ignored={"train_file"}) == ""
    assert differences_of(before, {**before, "train_file": str(other) + "x"}).startswith("train_file was ")
    assert differences_of(arguments_of(args), before) == ""  # an earlier version recorded no contents


def test_the_digest_of_a_saved_dataset_is_that_of_its_data(tmp_path):
    Dataset.from_dict({"text": ["a"], "label": [0]}).save_to_disk(tmp_path / "a")
    before = digest_of(tmp_path / "a")
    (tmp_path / "a" / "cache-1.arrow").write_bytes(b"a cache")
    assert digest_of(tmp_path / "a") == before
    Dataset.from_dict({"text": ["b"], "label": [0]}).save_to_disk(tmp_path / "b")
    assert digest_of(tmp_path / "b") != before
