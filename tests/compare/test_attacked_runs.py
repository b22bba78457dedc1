"""Comparisons in the worst case, with stand-ins for training runs and attacks."""

import shutil
from pathlib import Path

import pytest
from stand_in import plan_of, read, read_calls, value_of, write_attack, write_stand_in

from hf_mmel.__main__ import main
from hf_mmel.compare.plan import Plan, Run, Setting


pytestmark = pytest.mark.integration  # it starts processes


@pytest.fixture
def compare(synonyms, model_dir, files, tmp_path, capsys, monkeypatch):
    """Runs the comparison; the exit code is checked, and what was said is returned."""
    launcher, attack = write_stand_in(tmp_path), write_attack(tmp_path)
    monkeypatch.setattr(Plan, "attack_command", lambda plan, run: [*attack, str(plan.folder(run))])

    def compare(*options, code=0, methods="none,hard", seeds=2):
        argv = ["compare", "--model_name_or_path", model_dir, *files, "--output_dir", tmp_path / "out"]
        argv += ["--cache_dir", tmp_path / "cache", "--launcher", launcher, "--methods", methods]
        assert main(list(map(str, [*argv, "--seeds", seeds, *options]))) == code
        said = capsys.readouterr()
        return said.out + said.err

    return compare


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def calls(tmp_path):
    """The names of the runs that have been trained and attacked since the last time."""

    def calls():
        lines = read_calls(tmp_path)
        trained = [Path(value_of(line, "--output_dir")).name for line in lines if line[0] != "attack"]
        return trained, [f"attack {Path(line[1]).name}" for line in lines if line[0] == "attack"]

    return calls


RUNS = [f"{kind}-seed-{seed}" for seed in (1, 2) for kind in ("none", "hard-synonyms")]
ATTACKS = [f"attack {name}" for name in RUNS]


def test_clean_and_worst_case_accuracy_are_side_by_side(compare, calls, out):
    said = compare("--attack", seeds=3)
    none, hard = read(out)["summary"]
    assert none["worst_case"]["accuracy"]["mean"] == 8 / 16 and hard["worst_case"]["accuracy"]["mean"] == 12 / 16
    attacked = hard["worst_case"]["worst_case_accuracy"]
    assert none["worst_case"]["worst_case_accuracy"]["mean"] == 6 / 16 and attacked["mean"] == 10 / 16
    assert attacked["difference_to_none"]["mean"] == 4 / 16 and attacked["difference_to_none"]["seeds"] == [1, 2, 3]
    seed = {"only_baseline": 0, "only_setting": 4, "p": 0.125}
    assert attacked["paired_test"] == {"p": 0.125, "seeds": dict.fromkeys("123", seed)}
    row = "| MMEL-H (hard labels) | synonyms | 3 | 0.7500 | +0.2500 | 0.12 | 0.6250 | +0.2500 | 0.12 |"
    assert row in said and row in (out / "compare.md").read_text()
    assert "accuracy 0.5300  worst case 0.6250" in said
    assert "Under attack" not in said, "neither setting beats the majority class"
    assert not list(out.rglob("*.safetensors")) and len(list(out.rglob("attack.jsonl"))) == 6
    assert len(list(out.rglob("eval_predictions.npz"))) == 6, "predictions stay"


def test_a_resumed_comparison_attacks_nothing_twice(compare, calls):
    compare("--attack")
    assert calls() == (RUNS, ATTACKS)
    assert "4 already finished" in compare("--attack")
    assert calls() == ([], [])
    compare("--attack", methods="none,hard,soft")
    assert calls() == (
        [f"soft-synonyms-seed-{n}" for n in (1, 2)],
        [f"attack soft-synonyms-seed-{n}" for n in (1, 2)],
    )


def test_an_attack_that_fails_is_repeated_without_training_again(compare, calls, out, tmp_path):
    (fail := tmp_path / "fail-attack-none-seed-2").touch()
    said = compare("--attack", code=1)
    assert "none  –  seed 2  failed: exit code 1: MemoryError: There is no room for an attack. (see" in said
    assert "attack_log.txt" in said and calls() == (RUNS, ATTACKS)
    assert [file.parent.name for file in out.rglob("*.safetensors")] == ["none-seed-2"]
    fail.unlink()
    assert "3 already finished" in compare("--attack")
    assert calls() == ([], ["attack none-seed-2"])
    assert not list(out.rglob("*.safetensors")) and "error" not in str(read(out)["cells"])


def test_models_whose_weights_are_gone_are_trained_again_for_an_attack(compare, calls, out):
    compare()
    assert calls() == (RUNS, []) and "worst_case" not in read(out)["summary"][0]
    compare("--attack")
    assert calls() == (RUNS, ATTACKS)


def test_models_that_are_kept_are_not(compare, calls, out):
    compare("--keep_models")
    calls()
    compare("--attack", "--keep_models")
    assert calls() == ([], ATTACKS) and len(list(out.rglob("*.safetensors"))) == 4


def test_a_new_model_is_not_attacked_by_what_is_left_of_an_attack(compare, calls, out):
    compare("--attack")
    folder = out / "cells" / "none-seed-1"
    (folder / "attack" / "blocks").mkdir()
    (folder / "all_results.json").unlink()
    calls()
    compare("--attack")
    assert calls() == (["none-seed-1"], ["attack none-seed-1"]) and not (folder / "attack" / "blocks").exists()


def test_another_attack_is_refused_once_a_model_has_been_attacked(compare, calls, out, tmp_path):
    for name in RUNS:
        (tmp_path / f"fail-attack-{name}").touch()
    compare("--attack", "--attack_budget", 1000, code=1)
    compare("--attack", "--attack_budget", 10, code=1)
    for name in RUNS:
        (tmp_path / f"fail-attack-{name}").unlink()
    compare("--attack", "--attack_budget", 10)
    calls()
    said = compare("--attack", "--attack_budget", 20, code=1)
    assert "holds a comparison with other arguments: attack_budget was 10 and is 20." in said
    said = compare("--attack", "--attack_budget", 10, "--attack_augmenter", "typos", code=1)
    assert "attack_augmenter was synonyms and is typos" in said and calls() == ([], [])
    compare()
    assert read(out)["attack"] == {"attack_budget": 10, "attack_augmenter": "synonyms"}
    assert "worst_case" in read(out)["summary"][0]


def test_a_paired_test_is_beside_the_interval(compare, out, calls):
    said = compare(seeds=3)
    assert read(out)["summary"][1]["paired_test"]["p"] == 0.125 and "(p = 0.12 in the paired test)" not in said
    assert "| difference to no augmentation | 95% interval | p | time per run |" in said
    assert "p is that of an exact paired test over the examples." in said


def test_without_predictions_there_is_no_paired_test_and_the_settings_are_named(compare, out):
    compare()
    for file in (out / "cells").glob("hard-*/eval_predictions.npz"):
        file.unlink()
    said = compare()
    assert (
        "There is no paired test of “MMEL-H (hard labels) with synonyms”: predictions on the same examples are missing"
        in said
    )
    assert read(out)["summary"][1]["paired_test"] is None


def test_other_scores_than_accuracy_have_no_paired_test(compare, out):
    said = compare("--metric", "loss")
    assert "There is no paired test over the examples, as loss is not the accuracy of one class for each" in said
    assert read(out)["summary"][1]["paired_test"] is None


def test_without_none_the_first_setting_is_the_baseline(compare, out):
    said = compare(methods="hard,soft")
    row = read(out)["summary"][1]
    assert (
        row["difference_to_hard-synonyms"]["seeds"] == [1, 2] and row["paired_test"]["seeds"]["1"]["only_setting"] == 2
    )
    assert "difference to MMEL-H (hard labels) with synonyms" in said


def test_the_temperature_is_a_row_without_runs(compare, calls, out):
    said = compare(methods="none,temperature,hard")
    assert calls() == (RUNS, [])
    none, temperature, _ = read(out)["summary"]
    assert temperature["method"] == "temperature" and temperature["mean"] == none["mean"]
    assert temperature["calibration"]["log_loss"] < none["calibration"]["log_loss"]
    assert temperature["calibration"]["temperature"] > 10, "half of the sure predictions are wrong"
    assert "“temperature scaling” changes the probabilities of “no augmentation”, and none of its predictions." in said
    compare()
    assert [row["method"] for row in read(out)["summary"]] == ["none", "hard"]


def test_all_attacks_have_the_same_options(model_dir, files, tmp_path):
    argv = ["--model_name_or_path", model_dir, *files, "--output_dir", tmp_path, "--use_cpu", "--attack"]
    argv += ["--augmenters", "typos", "--attack_augmenter", "wordnet", "--attack_budget", 7, "--augmenter_lang", "deu"]
    plan = plan_of(*argv)
    commands = [plan.attack_command(run)[3:] for run in plan.runs]
    folders = [command.pop(1) for command in commands]
    assert folders == [str(plan.folder(run)) for run in plan.runs]
    assert all(command == commands[0] for command in commands)
    options = "--augmenter wordnet --augmenter_lang deu --budget 7 --num_shown 0 --use_cpu"
    assert commands[0] == ["attack", *options.split()]
    assert plan.folder(Run(Setting("none"), 1)).name == "none-seed-1"


def test_attacks_may_use_a_class_of_your_own(model_dir, files, tmp_path):
    argv = ["--model_name_or_path", model_dir, *files, "--output_dir", tmp_path, "--use_cpu", "--attack"]
    plan = plan_of(*argv, "--augmenters", "typos", "--attack_augmenter", "own.words:Shout")
    assert "own.words:Shout" in plan.attack_command(plan.runs[0])


@pytest.mark.slow  # it trains and attacks
def test_models_are_really_attacked(model_dir, files, tmp_path, synonyms):
    argv = ["compare", "--model_name_or_path", model_dir, *files, "--output_dir", tmp_path / "out", "--use_cpu"]
    argv += ["--max_steps", 30, "--learning_rate", 1e-2, "--per_device_train_batch_size", 4, "--num_variants", 2]
    argv += ["--methods", "none,r-drop,temperature", "--seeds", "1,", "--attack", "--attack_augmenter", "typos"]
    assert main(list(map(str, [*argv, "--cache_dir", tmp_path / "cache"]))) == 0
    none, r_drop, temperature = read(tmp_path / "out")["summary"]
    for row in (none, r_drop):
        attacked = row["worst_case"]
        assert attacked["accuracy"]["mean"] == row["mean"] >= attacked["worst_case_accuracy"]["mean"]
    assert "worst_case" not in temperature and temperature["mean"] == none["mean"]
    shutil.rmtree(tmp_path / "out")
