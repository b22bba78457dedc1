"""The command line as users run it: tiny files in, results on disk out."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from conftest import make_model, results, reviews
from transformers import AutoModelForSequenceClassification, BertConfig

import run_glue_mmel
from hf_mmel import MMELTrainingArguments
from hf_mmel.command.earlier import find_earlier, is_whole, last_checkpoint
from run_glue_mmel import UsageError


ROOT = Path(__file__).parents[1]


def test_own_files_are_learnt_from_and_results_are_written(run, files, tmp_path):
    metrics = run(*files, "--do_train", "--do_eval", "--max_steps", 30, "--learning_rate", 1e-2, "--logging_steps", 10)
    assert metrics["eval_accuracy"] == 1.0
    assert metrics["train_samples"] == metrics["eval_samples"] == 16
    assert results(tmp_path, "all") == metrics
    assert results(tmp_path, "train")["train_loss"] == metrics["train_loss"]
    assert results(tmp_path, "eval")["eval_accuracy"] == 1.0
    # The saved model knows the labels by name, and the variants took part in training.
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["label2id"] == {"bad": 0, "good": 1}
    log = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"]
    assert any(entry.get("mmel/effective_num_variants", 0) > 1.1 for entry in log)


@pytest.mark.parametrize("mmel_loss", ["soft", "hard", "uniform", "none"])
def test_every_objective_trains(run, files, mmel_loss):
    assert run(*files, "--do_train", "--mmel_loss", mmel_loss)["train_loss"] > 0


@pytest.mark.parametrize("augmenter", ["mlm", "embedding", "delete", "swap", "insert"])
def test_a_run_is_repeated_from_its_saved_augmenter(run, files, masked_lm_dir, tmp_path, augmenter):
    options = ["--do_train", *files, "--mmel_loss", "hard", "--model_name_or_path", masked_lm_dir]
    metrics = run(*options, "--augmenter", augmenter)
    saved = tmp_path / "out" / "augmenter.json"
    assert str(tmp_path / "cache") not in saved.read_text()
    again = run(*options, "--augmenter", saved, out="again")
    assert again["train_loss"] == metrics["train_loss"]
    assert (tmp_path / "again" / "augmenter.json").read_text() == saved.read_text()
    plain = run(*options, "--augmenter", "none", out="plain")
    assert plain["train_loss"] != metrics["train_loss"] and not (tmp_path / "plain" / "augmenter.json").exists()


def test_greedy_search_raises_the_loss_of_the_variants(run, files, tmp_path):
    losses = []
    for objective in ("loss", "none"):
        run("--do_train", *files, "--greedy_search", objective, "--logging_steps", 1, out=objective)
        history = json.loads((tmp_path / objective / "trainer_state.json").read_text())["log_history"]
        losses.append(history[0]["mmel/loss_variants"])
    assert losses[0] > losses[1]


@pytest.mark.parametrize("augmenter", ["none", "delete"])
def test_adversarial_variants_are_harder_than_the_originals(run, files, tmp_path, augmenter):
    options = ["--do_train", *files, "--augmenter", augmenter, "--logging_steps", 1]
    run(*options, "--adversarial_num_steps", 2, "--adversarial_step_size", 5.0)
    steps = json.loads((tmp_path / "out" / "trainer_state.json").read_text())["log_history"][:-1]
    variants, originals = (sum(step[f"mmel/loss_{of}"] for step in steps) for of in ("variants", "original"))
    assert variants > originals


def test_masked_lm_without_a_head_is_refused_before_training(run, files):
    with pytest.raises(UsageError, match="expected a model trained as a masked LM"):
        run("--do_train", *files, "--augmenter", "mlm")


def test_without_augmenter_it_is_plain_fine_tuning(run, files):
    options = [*files, "--do_train", "--do_eval", "--learning_rate", 1e-2]
    plain = run(*options, "--mmel_loss", "none")
    no_augmenter = run(*options, "--augmenter", "none", out="other")
    variants = run(*options, "--mmel_loss", "hard", out="third")
    assert no_augmenter["eval_loss"] == plain["eval_loss"] != variants["eval_loss"]


@pytest.mark.parametrize("action", ["--do_eval", "--do_train"], ids=["new head", "training"])
def test_the_seed_decides(run, files, action):
    seeds = {"one": 1, "again": 1, "two": 2}
    losses = {
        out: run(*files, action, "--do_eval", "--seed", seed, out=out)["eval_loss"] for out, seed in seeds.items()
    }
    assert losses["one"] == losses["again"] != losses["two"]


def test_glue_task_of_a_local_mirror(run, mirror, tmp_path):
    metrics = run(*mirror, "--task_name", "rte", "--do_train", "--do_eval", "--do_predict")
    assert metrics["eval_samples"] == 9
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {"0": "entailment", "1": "not_entailment"}
    lines = (tmp_path / "out" / "predict_results_rte.txt").read_text().splitlines()
    assert lines[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in lines[1:]] == [str(i) for i in range(10)]
    assert {line.split("\t")[1] for line in lines[1:]} <= {"entailment", "not_entailment"}


def test_stsb_is_regression(run, mirror, tmp_path):
    metrics = run(*mirror, "--task_name", "stsb", "--do_train", "--do_eval", "--do_predict")
    assert {"eval_pearson", "eval_spearmanr", "eval_combined_score"} <= metrics.keys()
    config = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config
    assert (config.num_labels, config.problem_type) == (1, "regression")
    lines = (tmp_path / "out" / "predict_results_stsb.txt").read_text().splitlines()
    float(lines[1].split("\t")[1])


def test_mnli_is_evaluated_on_both_validation_sets(run, mirror, tmp_path):
    metrics = run(*mirror, "--task_name", "mnli", "--do_train", "--do_eval", "--do_predict")
    assert (metrics["eval_samples"], metrics["eval_samples_mm"]) == (9, 10)
    assert {"eval_accuracy", "eval_accuracy_mm"} <= results(tmp_path, "eval").keys()
    for name, num_lines in [("mnli", 12), ("mnli-mm", 13)]:
        assert len((tmp_path / "out" / f"predict_results_{name}.txt").read_text().splitlines()) == num_lines


def test_float_labels_are_regression(run, write, tmp_path):
    train = write("train.json", reviews(labels=(0.5, 2.5)))
    metrics = run("--train_file", train, "--validation_file", train, "--do_train", "--do_eval")
    assert "eval_pearson" in metrics


@pytest.mark.parametrize(
    ("labels", "names"),
    [((10, 9), ["9", "10"]), (("no", "maybe"), ["maybe", "no"]), ((True, False), ["False", "True"])],
)
def test_labels_are_named_in_sorted_order(run, write, tmp_path, labels, names):
    run("--train_file", write("train.jsonl", reviews(labels)), "--do_train")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["id2label"] == {str(i): name for i, name in enumerate(names)}


def test_the_checkpoints_own_label_order_is_kept(run, mirror, model_dir, tmp_path):
    config = BertConfig.from_pretrained(model_dir, id2label={0: "YES", 1: "NO"}, label2id={"YES": 0, "NO": 1})
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(model_dir, config=config)
    model.classifier.bias.data = torch.tensor([10.0, -10.0])
    model.save_pretrained(tmp_path / "yes")
    options = ["--model_name_or_path", tmp_path / "yes", "--tokenizer_name", model_dir, "--task_name", "mrpc"]
    metrics = run(*mirror, *options, "--do_eval", "--do_predict")
    # The model says yes to everything: 4 of 9 are, and F1 is that of yes, the data's class 1.
    assert metrics["eval_accuracy"] == pytest.approx(4 / 9)
    assert metrics["eval_f1"] == pytest.approx(2 * 4 / 9 / (4 / 9 + 1))
    predictions = (tmp_path / "out" / "predict_results_mrpc.txt").read_text().splitlines()[1:]
    assert {line.split("\t")[1] for line in predictions} == {"yes"}


def test_a_trained_model_predicts_unlabelled_files(run, files, write, tmp_path):
    run(*files, "--do_train", "--max_steps", 30, "--learning_rate", 1e-2)
    test = write("test.csv", [{"text": row["text"]} for row in reviews(num_examples=3)])
    metrics = run("--model_name_or_path", tmp_path / "out", "--test_file", test, "--do_predict", out="predictions")
    assert metrics == {}
    lines = (tmp_path / "predictions" / "predict_results_custom.txt").read_text().splitlines()
    assert lines == ["index\tprediction", "0\tbad", "1\tgood", "2\tbad"]


def test_predictions_are_in_the_order_of_the_file(run, write, tokenizer, tmp_path):
    make_model(tokenizer, num_labels=1, initializer_range=0.3).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    test = write("test.csv", [{"text": "the film " * (7 * i % 10 + 1) + "was good"} for i in range(10)])
    written = []
    for strategy in ("random", "group_by_length"):
        options = ["--test_file", test, "--do_predict", "--train_sampling_strategy", strategy]
        run(*options, "--model_name_or_path", tmp_path / "model", "--per_device_eval_batch_size", 2, out=strategy)
        written.append((tmp_path / strategy / "predict_results_custom.txt").read_text().splitlines())
    assert len({line.split("\t")[1] for line in written[0]}) > 5
    assert written[0] == written[1]


def test_evaluation_alone_uses_the_trained_models_labels(run, files, write, tmp_path):
    run(*files, "--do_train", "--max_steps", 30, "--learning_rate", 1e-2)
    only_good = write("good.csv", reviews()[1::2])
    metrics = run("--model_name_or_path", tmp_path / "out", "--validation_file", only_good, "--do_eval", out="eval")
    assert metrics["eval_accuracy"] == 1.0


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_a_file_of_arguments_is_as_good_as_options(run, files, model_dir, tmp_path, suffix):
    expected = run(*files, "--do_train", "--do_eval", "--learning_rate", "2e-3", "--lr_scheduler_kwargs", "{}")
    arguments = {"model_name_or_path": model_dir, "output_dir": tmp_path / "other", "cache_dir": tmp_path / "cache"}
    arguments |= {files[0][2:]: files[1], files[2][2:]: files[3], "report_to": "none"}
    arguments = {name: str(value) for name, value in arguments.items()}
    arguments |= {"use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "max_steps": 3, "run_name": None}
    arguments |= {"per_device_train_batch_size": 4, "num_variants": 2, "do_train": True, "do_eval": True}
    arguments |= {"learning_rate": "2e-3", "lr_scheduler_kwargs": {}}
    file = tmp_path / f"arguments.{suffix}"
    file.write_text(json.dumps(arguments) if suffix == "json" else yaml.safe_dump(arguments))
    assert run_glue_mmel.main([str(file)])["eval_loss"] == expected["eval_loss"]
    other = [str(tmp_path / "once more"), "--learning_rate", "2e-2", "--no_do_train"]
    found = run_glue_mmel.main([str(file), "--output_dir", *other])  # options after it win
    assert found["eval_loss"] != expected["eval_loss"] and "train_loss" not in found


def test_training_goes_on_from_the_last_checkpoint(run, files, tmp_path, capsys):
    options = [*files, "--do_train", "--do_eval", "--save_strategy", "steps", "--save_steps", 2]
    run(*options, "--max_steps", 2)
    first = (tmp_path / "out" / "checkpoint-2" / "model.safetensors").stat().st_mtime_ns
    run(*options, "--max_steps", 4)
    assert (tmp_path / "out" / "checkpoint-2" / "model.safetensors").stat().st_mtime_ns == first
    assert (tmp_path / "out" / "checkpoint-4").is_dir()
    run(*options, "--max_steps", 2, "--overwrite_output_dir")
    assert (tmp_path / "out" / "checkpoint-2" / "model.safetensors").stat().st_mtime_ns != first
    assert not (tmp_path / "out" / "checkpoint-4").exists()  # or the next command would go on from it


def test_a_trained_model_is_not_overwritten_unasked(run, files):
    run(*files, "--do_train")
    message = r"holds a trained model already.* \(seed was 42 and is 1\).*--overwrite_output_dir"
    with pytest.raises(run_glue_mmel.UsageError, match=message):
        run(*files, "--do_train", "--seed", 1)
    run(*files, "--do_train", "--overwrite_output_dir")


@pytest.mark.parametrize("save_strategy", ["no", "steps"])
def test_the_same_command_does_not_train_a_finished_model_again(run, files, tmp_path, monkeypatch, save_strategy):
    options = [*files, "--do_train", "--do_eval", "--learning_rate", 0.1, "--save_strategy", save_strategy]
    monkeypatch.setattr("run_glue_mmel.evaluate_splits", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # the run is ended over its evaluation
        run(*options)
    monkeypatch.undo()
    trained = (tmp_path / "out" / "model.safetensors").read_bytes()
    monkeypatch.setattr("run_glue_mmel.MMELTrainer.train", lambda *_: 1 / 0)
    monkeypatch.setattr("run_glue_mmel.build_augmenter", lambda *_: None)
    metrics = run(*options, "--max_predict_samples", 2)  # which training has no use of
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == trained
    monkeypatch.undo()
    monkeypatch.setattr("run_glue_mmel.build_augmenter", lambda *_: None)
    of_model = run(*files, "--do_eval", "--model_name_or_path", tmp_path / "out", out="evaluated")
    assert metrics["eval_loss"] == of_model["eval_loss"]
    assert metrics["train_loss"] == results(tmp_path, "train")["train_loss"] > 0
    assert metrics.items() == results(tmp_path, "all").items()


@pytest.mark.parametrize("written", [None, "", '{"epoch": 1.0, "glo'])
def test_a_checkpoint_that_is_not_whole_is_not_gone_on_from(run, files, tmp_path, written, caplog):
    options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 2, "--logging_steps", 1]
    run(*options)
    expected = (tmp_path / "out" / "model.safetensors").read_bytes()
    last = max((tmp_path / "out").glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    (tmp_path / "out" / "train_results.json").unlink()
    (last / "model.safetensors").write_bytes(b"half")
    (last / "trainer_state.json").unlink()
    if written is not None:
        (last / "trainer_state.json").write_text(written)
    (tmp_path / "out" / "model.safetensors").unlink()
    run(*options)
    assert f"{last.name} is not whole" in caplog.text and "Resuming from" in caplog.text
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trainer_state.json", b'{"global_step": "two"}'),
        ("trainer_state.json", b'{"unheard_of": 1}'),
        ("trainer_state.json", b'{"log_history": [{"loss": 1.0}]}'),
        (
            "trainer_state.json",
            b'{"stateful_callbacks": {"VariantHistory": {"attributes": {"hardest_variants": [1]}}}}',
        ),
        ("config.json", b'{"hidden_size": \xff}'),
        ("config.json", b"[]"),
        ("config.json", b'{"dtype": "x"}'),
        ("tokenizer_config.json", b'{"model_max'),
        ("model.safetensors", b"half"),
        ("optimizer.pt", b"PK"),
    ],
)
def test_a_checkpoint_with_a_damaged_file_is_not_gone_on_from(run, files, tmp_path, name, content, caplog):
    options = [*files, "--do_train", "--save_strategy", "steps", "--save_steps", 1]
    run(*options)
    last = tmp_path / "out" / "checkpoint-3"
    assert is_whole(last)
    (last / name).write_bytes(content)
    (tmp_path / "out" / "train_results.json").unlink()
    run(*options)
    assert "checkpoint-3 is not whole" in caplog.text and "Resuming from" in caplog.text
    (last / name).write_bytes(content)
    with pytest.raises(UsageError, match="expected the folder of a whole checkpoint"):
        run(*options, "--resume_from_checkpoint", last)


@pytest.mark.parametrize("size", [0, 100])
def test_a_checkpoint_with_half_a_random_state_of_a_process_is_not_whole(tmp_path, size):
    for step in (2, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text("{}")
        for process in (0, 1):
            torch.save({"cpu": torch.get_rng_state()}, folder / f"rng_state_{process}.pth")
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    state = tmp_path / "checkpoint-10" / "rng_state_1.pth"
    state.write_bytes(state.read_bytes()[:size])
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")


def test_a_training_that_was_ended_over_its_model_is_made_again(run, files, tmp_path):
    options = [*files, "--do_train", "--save_strategy", "no"]
    run(*options)
    expected = (tmp_path / "out" / "model.safetensors").read_bytes()
    (tmp_path / "out" / "train_results.json").write_text('{"epoch"')
    (tmp_path / "out" / "model.safetensors").write_bytes(expected[:100])
    run(*options)
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == expected


def test_results_that_were_ended_over_are_written_anew(run, files, tmp_path):
    options = [*files, "--do_train", "--do_eval"]
    run(*options)
    expected = results(tmp_path, "all")
    (tmp_path / "out" / "all_results.json").write_text('{"eval_')
    run(*options)
    assert results(tmp_path, "all")["eval_loss"] == expected["eval_loss"]


def test_a_finished_training_whose_state_is_gone_is_one_line(run, files, tmp_path):
    options = [*files, "--do_train"]
    run(*options)
    (tmp_path / "out" / "trainer_state.json").unlink()
    for changed in ([], ["--max_steps", 5]):
        with pytest.raises(UsageError, match=r"trainer_state\.json is missing or damaged"):
            run(*options, *changed)


def test_a_model_that_is_trained_anew_is_not_taken_for_finished(run, files, tmp_path, monkeypatch):
    options = [*files, "--do_train"]
    run(*options)
    monkeypatch.setattr("run_glue_mmel.MMELTrainer.train", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(*options, "--overwrite_output_dir")
    with pytest.raises(ZeroDivisionError):  # it was to be replaced
        run(*options)
    with pytest.raises(run_glue_mmel.UsageError, match=r"holds a trained model already, .* \(seed was 42 and is 1\)"):
        run(*options, "--seed", 1)
    monkeypatch.undo()
    monkeypatch.setattr("run_glue_mmel.build_augmenter", lambda *_: None)
    run(*options, "--overwrite_output_dir")
    assert run(*options)["train_loss"] == results(tmp_path, "train")["train_loss"]  # the wish to overwrite is no other


def test_the_options_are_kept_without_tokens(run, files, tmp_path):
    run(*files, "--do_train", "--token", "hf_abcdefghijkl", "--hub_token=hf_abcdefghijkl")
    options = json.loads((tmp_path / "out" / "options.json").read_text())
    assert not any("token" in option or "hf_abc" in option for option in options)
    *_, training_args = run_glue_mmel.parse_arguments(options)
    assert training_args.max_steps == 3 and training_args.output_dir == str(tmp_path / "out")


def test_only_the_first_examples_are_used(run, write, tmp_path):
    rows = [*reviews(num_examples=6), *[{"text": "a film", "label": "unheard"}] * 6]
    train, validation = write("train.csv", reviews()), write("val.csv", rows)
    options = ["--train_file", train, "--validation_file", validation, "--test_file", validation]
    options += ["--max_train_samples", 5, "--max_eval_samples", 6, "--max_predict_samples", 7]
    metrics = run(*options, "--do_train", "--do_eval", "--do_predict")
    assert (metrics["train_samples"], metrics["eval_samples"]) == (5, 6)
    assert len((tmp_path / "out" / "predict_results_custom.txt").read_text().splitlines()) == 8


def test_texts_that_look_like_missing_values_are_texts(run, write):
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(["NA", "", "null", "None", "film ☂", "."] * 2)]
    assert run("--train_file", write("train.csv", rows), "--do_train")["train_samples"] == 12


def test_text_columns_can_be_named(run, write):
    rows = [{"id": "x", "left": "the film", "right": "a movie", "gold": i % 2} for i in range(8)]
    options = ["--train_file", write("train.csv", rows), "--label_column_name", "gold", "--do_train"]
    assert run(*options, "--text_column_names", "left,right", "--augment_segments", "second")["train_loss"] > 0


def test_padding_to_max_length_changes_shapes_alone(run, files, monkeypatch):
    widths = []
    forward = torch.nn.Embedding.forward
    monkeypatch.setattr(
        torch.nn.Embedding, "forward", lambda self, ids: (widths.append(ids.shape[-1]), forward(self, ids))[1]
    )
    dynamic = run(*files, "--do_eval", "--max_seq_length", 32)
    assert 32 not in widths
    padded = run(*files, "--do_eval", "--max_seq_length", 32, "--pad_to_max_length")
    assert 32 in widths
    assert padded["eval_loss"] == pytest.approx(dynamic["eval_loss"], abs=1e-5)


def test_accumulation_steps_change_nothing_without_variants(run, files):
    options = [*files, "--do_train", "--do_eval", "--mmel_loss", "none", "--optim", "sgd", "--learning_rate", 0.5]
    options += ["--max_grad_norm", 0, "--logging_steps", 1]
    whole = run(*options, "--per_device_train_batch_size", 8)
    parts = run(*options, "--per_device_train_batch_size", 2, "--gradient_accumulation_steps", 4, out="parts")
    for name in ("train_loss", "eval_loss"):
        assert parts[name] == pytest.approx(whole[name], abs=1e-5)


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_processes_ask_each_other_as_often_whatever_each_of_them_has(tmp_path, monkeypatch, has_checkpoint):
    """Else, on machines that do not share the folder, they would wait for each other in vain."""
    asked = []
    monkeypatch.setattr("hf_mmel.command.earlier.gathered", lambda part: (asked.append(part), [None])[1])
    if has_checkpoint:
        (tmp_path / "checkpoint-2").mkdir()
        (tmp_path / "checkpoint-2" / "trainer_state.json").write_text("{}")
    args = MMELTrainingArguments(str(tmp_path), do_train=True, use_cpu=True)
    earlier = find_earlier(args, False, {}, lambda options: {})
    assert (earlier.folder is not None) == has_checkpoint and len(asked) == 2
