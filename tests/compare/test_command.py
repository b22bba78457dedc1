"""The comparison as users run it, most of it with a stand-in for the training runs."""

import json
import re
from pathlib import Path

import pytest
from conftest import reviews
from stand_in import read, read_calls, value_of, write_stand_in

from hf_mmel.__main__ import main


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


GOOD_RESULTS = {"arguments": {}, "augmenters": {}, "cells": []}
OF_RUN = {"method": "none", "augmenter": None, "seed": 1, "metrics": {"eval_accuracy": 0.5}, "seconds": 1.0}
WRONG_RESULTS = [{"arguments": 5}, {"augmenters": 5}, {"cells": 3}, {"cells": [3]}, {"cells": [{"metrics": {}}]}]
WRONG_RESULTS += [{"cells": [OF_RUN | {"metrics": 3}]}, {"cells": [OF_RUN | {"seed": []}]}]


@pytest.fixture
def compare(synonyms, model_dir, files, tmp_path, capsys):
    """Runs `python -m hf_mmel compare` in this process; the exit code, and what was said."""
    launcher = write_stand_in(tmp_path)

    def compare(*options, code=0, data=files, out=("--output_dir", tmp_path / "out")):
        argv = ["compare", "--model_name_or_path", model_dir, *data, *out, "--cache_dir", tmp_path / "cache"]
        argv += ["--launcher", launcher, "--methods", "none,hard", *options]
        assert main(list(map(str, argv))) == code
        said = capsys.readouterr()
        return said.out + said.err

    return compare


@pytest.fixture
def calls(tmp_path):
    """The names of the runs that have been started since the last time."""

    return lambda: [Path(value_of(options, "--output_dir")).name for options in read_calls(tmp_path)]


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def test_the_grid_is_run_seed_by_seed_and_everything_is_written(compare, calls, out):
    said = compare("--seeds", 3)
    assert calls() == [f"{kind}-seed-{seed}" for seed in (1, 2, 3) for kind in ("none", "hard-synonyms")]
    assert "6 of 6  hard  synonyms  seed 3  accuracy 0.5502" in said and "3 of 6  none  –  seed 2" in said
    none, hard = read(out)["summary"]
    assert none["mean"] == pytest.approx(0.52) and none["std"] == pytest.approx(0.01)
    assert hard["seeds"] == [1, 2, 3] and hard["difference_to_none"]["mean"] == pytest.approx(0.02, abs=1e-3)
    assert len(read(out)["cells"]) == 6 and read(out)["cells"][0]["metrics"]["eval_samples"] == 16
    document = (out / "compare.md").read_text()
    for line in read(out)["conclusions"]:
        assert line in said and line in document
        assert line in (out / "compare.html").read_text()
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_runs_that_are_no_better_than_the_majority_class_are_not_compared(compare, out, write):
    good, bad = {"text": "the film was good .", "label": "good"}, {"text": "the film was awful .", "label": "bad"}
    rows = [good, bad, good, good]
    data = ["--train_file", write("train.csv", rows), "--validation_file", write("val.csv", rows)]
    said = compare("--seeds", 3, data=data)
    first = read(out)["conclusions"][0]
    assert first.startswith("Not shown to beat the majority class: all settings.") and "accuracy 0.7500" in first
    assert "“MMEL-H (hard labels) with synonyms”: nothing can be concluded" in said


def test_a_run_has_the_shared_options_with_its_own_added(compare, tmp_path):
    compare("--seeds", "7", "--methods", "hard", "--lambda_p", 0.5, "--save_strategy", "epoch", "--seeds", "7,9")
    options = read_calls(tmp_path)[0]
    assert options[:2] == ["--save_strategy", "no"] and value_of(options, "--save_strategy") == "epoch", (
        "the user's own count over ours"
    )
    own = {"--lambda_p": "0.5", "--seed": "7", "--mmel_loss": "hard", "--augmenter": "synonyms"}
    assert {name: value_of(options, name) for name in own} == own
    assert {"--do_train", "--do_eval"} <= set(options) and not {"--methods", "--seeds"} & set(options)


def test_a_run_that_fails_is_told_and_repeated_and_what_is_finished_is_not(compare, calls, out, tmp_path):
    (fail := tmp_path / "fail-none-seed-1").touch()
    said = compare("--seeds", 2, code=1)
    assert len(calls()) == 4
    assert "none  –  seed 1  failed: exit code 1: MemoryError: There is no room. (see" in said
    assert "error: 1 of the runs failed; the same command repeats them." in said
    assert "none-seed-1: exit code 1" in (out / "compare.md").read_text()
    assert [row["seeds"] for row in read(out)["summary"]] == [[2], [1, 2]]
    fail.unlink()
    assert "3 already finished" in compare("--seeds", 2)
    assert calls() == ["none-seed-1"]
    compare("--seeds", 2)
    assert calls() == []
    assert "Failed" not in (out / "compare.md").read_text()
    compare("--seeds", 3, "--methods", "none,soft")
    assert calls() == ["soft-synonyms-seed-1", "soft-synonyms-seed-2", "none-seed-3", "soft-synonyms-seed-3"]
    assert [(row["method"], len(row["seeds"])) for row in read(out)["summary"]] == [
        ("none", 3),
        ("soft", 3),
        ("hard", 2),
    ]


def test_a_run_whose_folder_is_gone_is_run_again(compare, calls, out):
    compare("--seeds", "1,2")
    calls()
    (out / "cells" / "none-seed-2" / "all_results.json").unlink()
    compare("--seeds", "1,2")
    assert calls() == ["none-seed-2"]


@pytest.mark.parametrize(
    "content",
    [b"[]", b"null", b"\xff\xfe", b"{", b"[" * 100_000]
    + [json.dumps(GOOD_RESULTS | wrong).encode() for wrong in WRONG_RESULTS],
)
def test_results_that_are_damaged_are_named_on_one_line(compare, calls, out, content):
    out.mkdir()
    (out / "compare.json").write_bytes(content)
    (out / "cells" / "none-seed-1").mkdir(parents=True)
    (out / "cells" / "none-seed-1" / "all_results.json").write_text("{}")
    last = compare(code=1).splitlines()[-1]
    assert re.fullmatch(r"error: .*compare\.json is damaged.*; delete it to repeat all runs\.", last)
    assert calls() == []


@pytest.mark.parametrize(
    "name", [*(f"compare.{kind}" for kind in ("json", "md", "png", "html")), "cells", "cells/none-seed-1"]
)
def test_what_the_file_system_refuses_is_one_line(compare, out, name):
    path = out / name
    path.parent.mkdir(parents=True)
    path.mkdir() if path.suffix else path.touch()
    said = compare("--seeds", 1, code=1)
    assert "Traceback" not in said
    assert re.search(rf"error: (Is a directory|Not a directory|File exists): .*{name}.*\n$", said)


def test_other_arguments_are_refused_unless_all_is_to_be_run_again(compare, calls, out):
    compare("--seeds", "1,2", "--token", "hf_abcdefghij")
    assert "hf_abcdefghij" not in "".join(file.read_text() for file in out.glob("compare.[jm]*"))
    calls()
    said = compare("--seeds", "1,2", "--lambda_p", 0.5, code=1)
    assert "holds a comparison with other arguments: lambda_p was 1.0 and is 0.5" in said and calls() == []
    compare("--seeds", "1,2", "--logging_steps", 3, "--show_variants", 3, "--metric", "loss", "--jobs", 1)
    assert calls() == [] and read(out)["metric"] == "eval_loss"
    assert "lower is better" in (out / "compare.md").read_text()
    compare("--seeds", "1,2", "--lambda_p", 0.5, "--overwrite_output_dir")
    assert len(calls()) == 4


def test_data_that_have_changed_are_refused(compare, write, out):
    compare("--seeds", "1,2")
    kept = read(out)
    write("train.csv", reviews(num_examples=12))
    assert "other arguments: content of train_file was " in compare("--seeds", "1,2", code=1)
    kept["arguments"] = {name: what for name, what in kept["arguments"].items() if not name.startswith("content")}
    (out / "compare.json").write_text(json.dumps(kept))  # as those of earlier versions
    compare("--seeds", "1,2")


def test_an_augmenter_that_has_changed_is_refused(compare, tmp_path):
    (own := tmp_path / "own.json").write_text(json.dumps({"class": "RandomDelete", "replace_prob": 0.1}))
    grid = ["--seeds", "1,2", "--methods", "hard", "--augmenters", f"wordnet,{own},same_text", "--replace_prob", 0.3]
    compare(*grid)
    options = read_calls(tmp_path)
    assert "--replace_prob" in options[0] and "--replace_prob" not in options[1], "a file has its arguments itself"
    assert "--replace_prob" not in options[2], "copies replace no word"
    folders = [Path(value_of(of_run, "--output_dir")).name for of_run in options]
    assert folders == [f"hard-{name}-seed-{seed}" for seed in (1, 2) for name in ("wordnet", "own", "same_text")]
    own.write_text(json.dumps({"class": "RandomDelete", "replace_prob": 0.2}))
    assert "own was {'class': 'RandomDelete', 'replace_prob': 0.1}" in compare(*grid, code=1)


@pytest.mark.parametrize("keep", [False, True])
def test_weights_are_kept_only_if_asked_for(compare, out, keep):
    compare("--seeds", "1,2", *(["--keep_models"] if keep else []))
    folder = out / "cells" / "none-seed-1"
    assert (folder / "log.txt").exists() and (folder / "all_results.json").exists()
    assert (folder / "model.safetensors").exists() == (folder / "checkpoint-2").exists() == keep


def test_a_file_may_hold_the_options_and_later_ones_count_over_it(compare, calls, files, model_dir, tmp_path, out):
    options = {"lambda_p": 0.5, "train_file": str(files[1]), "validation_file": str(files[3]), "push_to_hub": False}
    (config := tmp_path / "config.json").write_text(
        json.dumps({**options, "output_dir": "elsewhere", "num_variants": 3})
    )
    argv = ["compare", str(config), "--launcher", write_stand_in(tmp_path)]
    argv += ["--methods", "hard", "--seeds", "1", "--cache_dir", str(tmp_path / "cache"), "--output_dir", str(out)]
    argv += ["--lambda_p", "2", "--model_name_or_path", str(tmp_path.parent / "nothing")]
    assert main(argv) == 1 and calls() == []  # there is no such model
    assert main([*argv[:-1], str(model_dir)]) == 0
    assert read(out)["arguments"]["lambda_p"] == 2.0 and read(out)["arguments"]["num_variants"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--push_to_hub"], "push_to_hub is not for a comparison"),
        (["--seed", 3], "seed is not for a comparison; pass --seeds"),
        (["--mmel-loss", "hard"], "mmel_loss is not for a comparison; pass --methods"),
        (["--augmenter=mlm"], "augmenter is not for a comparison; pass --augmenters"),
        (["--glue_submission"], "it takes the predictions of one model"),
        (["--resume_from_checkpoint", "x"], "resume_from_checkpoint is not for a comparison"),
        (["--dry_run"], "dry_run is not for a comparison"),
        (
            ["--methods", "none,harder"],
            "methods is 'none,harder'; expected some of none, uniform, hard, soft, longer, label_smoothing",
        ),
        (["--methods", "hard,hard"], "r-drop, temperature, each once"),
        (["--methods", "hard,temperature"], "'temperature', which scales the predictions of 'none'; add 'none'"),
        (["--methods", "label_smoothing", "--label_smoothing_factor", "0.2"], "has its own, 0.1; leave one of them"),
        (["--methods", "none,temperature", "--metric", "loss"], "not comparable for temperature; expected one of acc"),
        (["--save_eval_predictions"], "save_eval_predictions is not for a comparison; predictions are always kept"),
        (["--attack_budget", "5"], "attack_budget is 5, but there is no attack; add --attack"),
        (["--attack", "--attack_budget", "0"], "attack_budget is 0; expected a whole number >= 1"),
        (["--attack", "--attack_augmenter", "same_text"], "attack_augmenter is 'same_text'; expected context"),
        (["--augmenters", "wordnet,wordnet"], "each with a name of its own"),
        (["--augmenters", "a/x.json,b/x.json"], "each with a name of its own"),
        (["--augmenters", "none"], "add 'none' to --methods"),
        (["--augmenters", "worldnet"], "augmenters has 'worldnet'"),
        (["--seeds", "0"], "seeds is '0'"),
        (["--seeds", "1,01"], "seeds is '1,01'; expected each once"),
        (["--seeds", "7,4294967296"], "none above 4294967295"),
        (["--seeds", "x"], "expected how many, such as 5"),
        (["--seeds", "20240101"], "expected at most 1000. To run that one seed, pass '20240101,'"),
        (["--seeds", "1" * 5000], "none above 4294967295"),
        (["--seeds", f"1,{'1' * 5000}"], "none above 4294967295"),
        (["--budget", "30"], "budget is '30'; expected a time such as 90s, 30m or 2h"),
        (["--cell_limit", "0s"], "cell_limit is '0s'"),
        (["--jobs", "0"], "jobs is 0"),
        (["--jobs", "1" * 20], "expected a whole number from 1 to 1000"),
        (["--cell_limit", f"{'1' * 5000}s"], "expected a time such as 90s, 30m or 2h"),
        (["--jobs", "2"], "with a launcher the runs go one after the other"),
        (["--launcher", "no_such_command -x"], "launcher is 'no_such_command -x'"),
        (["--launcher", "accelerate 'launch"], "whose quotes do not match: No closing quotation"),
        (["--metric", "f1"], "metric is 'f1'; expected one of accuracy, loss"),
        (["--lambda_p", "-1"], "lambda_p"),
        (["--lamda_p", "1"], "There is no option --lamda_p"),
        (["--label_column_name", "stars"], "stars"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line_before_anything_runs(compare, calls, out, options, message):
    said = compare(*options, code=1)
    assert message in said and said.rstrip().splitlines()[-1].startswith("error: ")
    assert calls() == [] and not out.exists()


def test_there_has_to_be_an_output_dir_and_something_to_evaluate(compare, calls, files):
    assert "There is no output_dir" in compare(out=(), code=1)
    assert "pass --validation_file" in compare(data=files[:2], code=1)
    assert calls() == []


def test_an_output_dir_that_cannot_be_one_is_refused_in_a_line(compare, calls, tmp_path):
    (tmp_path / "taken").touch()
    for folder in ("taken", "taken/out"):
        said = compare(out=("--output_dir", tmp_path / folder), code=1)
        assert said.rstrip().splitlines()[-1].startswith("error: ") and "taken" in said.splitlines()[-1]
    assert calls() == []


def test_a_budget_that_is_too_small_keeps_the_run_that_was_timed(compare, calls, out):
    said = compare("--budget", "0.001s", code=1)
    assert "error: budget is 0 s, but the first seed takes about 1 min here" in said
    assert calls() == ["hard-synonyms-seed-1"] and len(read(out)["cells"]) == 1
    assert "1 already finished" in compare("--budget", "1h", "--seeds", "1,2")
    assert calls() == ["none-seed-1", "none-seed-2", "hard-synonyms-seed-2"]


def test_a_budget_whose_first_run_fails_is_not_spent(compare, calls, tmp_path):
    (tmp_path / "fail-hard-synonyms-seed-1").touch()
    said = compare("--budget", "1h", code=1)
    assert "There is no room" in said and "hard-synonyms-seed-1 failed; --budget needs its time" in said
    assert calls() == ["hard-synonyms-seed-1"]


def test_matplotlib_is_missed_before_any_work(compare, calls, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert 'pip install "hf_mmel[report]"' in compare(code=1) and calls() == []
