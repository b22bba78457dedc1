"""The command line as users run it: tiny files in, results on disk out."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from command_outputs import config_of, log_of, predictions
from conftest import make_model, results, reviews
from transformers import AutoModelForSequenceClassification, BertConfig

from hf_mmel.cli import run as cli
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole runs of the command


ROOT = Path(__file__).parents[2]


def test_own_files_are_learnt_from_and_results_are_written(run, files, tmp_path):
    metrics = run(*files, "--do_train", "--do_eval", "--max_steps", 30, "--learning_rate", 1e-2, "--logging_steps", 10)
    assert metrics["eval_accuracy"] == 1.0
    assert metrics["train_samples"] == metrics["eval_samples"] == 16
    assert results(tmp_path, "all") == metrics
    assert results(tmp_path, "train").items() <= metrics.items()
    assert results(tmp_path, "eval")["eval_accuracy"] == 1.0 and results(tmp_path, "eval")["eval_samples"] == 16
    # The saved model knows the labels by name, and the variants took part in training.
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert config_of(tmp_path / "out")["label2id"] == {"bad": 0, "good": 1}
    assert any(entry.get("mmel/effective_num_variants", 0) > 1.1 for entry in log_of(tmp_path / "out"))


@pytest.mark.parametrize("mmel_loss", ["soft", "hard", "uniform", "none"])
def test_every_objective_trains(run, files, mmel_loss):
    assert run(*files, "--do_train", "--mmel_loss", mmel_loss)["train_loss"] > 0


@pytest.mark.parametrize("augmenter", ["mlm", "mlm_insert", "embedding", "typos", "delete", "swap", "insert"])
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
        losses.append(log_of(tmp_path / objective)[0]["mmel/loss_variants"])
    assert losses[0] > losses[1]


@pytest.mark.parametrize("augmenter", ["none", "delete"])
def test_adversarial_variants_are_harder_than_the_originals(run, files, tmp_path, augmenter):
    options = ["--do_train", *files, "--augmenter", augmenter, "--logging_steps", 1]
    run(*options, "--adversarial_num_steps", 2, "--adversarial_step_size", 5.0)
    steps = log_of(tmp_path / "out")[:-1]
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
    assert config_of(tmp_path / "out")["id2label"] == {"0": "entailment", "1": "not_entailment"}
    predicted = predictions(tmp_path / "out", "rte")
    assert len(predicted) == 10 and set(predicted) <= {"entailment", "not_entailment"}


def test_stsb_is_regression(run, mirror, tmp_path):
    metrics = run(*mirror, "--task_name", "stsb", "--do_train", "--do_eval", "--do_predict")
    assert {"eval_pearson", "eval_spearmanr", "eval_combined_score"} <= metrics.keys()
    config = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").config
    assert (config.num_labels, config.problem_type) == (1, "regression")
    assert all(map(float, predictions(tmp_path / "out", "stsb")))


def test_mnli_is_evaluated_on_both_validation_sets(run, mirror, tmp_path):
    metrics = run(*mirror, "--task_name", "mnli", "--do_train", "--do_eval", "--do_predict")
    assert (metrics["eval_samples"], metrics["eval_samples_mm"]) == (9, 10)
    assert {"eval_accuracy", "eval_accuracy_mm"} <= results(tmp_path, "eval").keys()
    assert [len(predictions(tmp_path / "out", name)) for name in ("mnli", "mnli-mm")] == [11, 12]


@pytest.mark.parametrize(
    ("labels", "names"),
    [((10, 9), ["9", "10"]), (("no", "maybe"), ["maybe", "no"]), ((True, False), ["False", "True"])],
)
def test_labels_are_named_in_sorted_order(run, write, tmp_path, labels, names):
    run("--train_file", write("train.jsonl", reviews(labels)), "--do_train")
    assert config_of(tmp_path / "out")["id2label"] == {str(i): name for i, name in enumerate(names)}


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
    assert set(predictions(tmp_path / "out", "mrpc")) == {"yes"}


def test_a_trained_model_predicts_unlabelled_files(run, files, write, tmp_path):
    run(*files, "--do_train", "--max_steps", 30, "--learning_rate", 1e-2)
    test = write("test.csv", [{"text": row["text"]} for row in reviews(num_examples=3)])
    metrics = run("--model_name_or_path", tmp_path / "out", "--test_file", test, "--do_predict", out="predictions")
    assert metrics == {} and predictions(tmp_path / "predictions") == ["bad", "good", "bad"]


def test_predictions_are_in_the_order_of_the_file(run, write, tokenizer, tmp_path):
    make_model(tokenizer, num_labels=1, initializer_range=0.3).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    test = write("test.csv", [{"text": "the film " * (7 * i % 10 + 1) + "was good"} for i in range(10)])
    written = []
    for strategy in ("random", "group_by_length"):
        options = ["--test_file", test, "--do_predict", "--train_sampling_strategy", strategy]
        run(*options, "--model_name_or_path", tmp_path / "model", "--per_device_eval_batch_size", 2, out=strategy)
        written.append(predictions(tmp_path / strategy))
    assert len(set(written[0])) > 5 and written[0] == written[1]


def test_dropping_the_last_batch_is_for_training_alone(run, write, tmp_path):
    train, validation = write("train.csv", reviews(num_examples=10)), write("val.csv", reviews(num_examples=7))
    files = ["--train_file", train, "--validation_file", validation, "--per_device_eval_batch_size", 4]
    run(*files, "--do_train", "--do_eval", "--max_steps", -1, "--num_train_epochs", 1, "--eval_strategy", "epoch",
        "--dataloader_drop_last", out="dropped")  # fmt: skip
    state = json.loads((tmp_path / "dropped" / "trainer_state.json").read_text())
    assert state["global_step"] == 2  # not 3
    options = ["--model_name_or_path", tmp_path / "dropped", *files, "--do_eval"]
    expected = run(*options, out="kept")
    (during,) = (log for log in state["log_history"] if "eval_loss" in log)
    after = results(tmp_path, "eval", "dropped")
    for name in ("eval_loss", "eval_accuracy"):
        assert during[name] == after[name] == pytest.approx(expected[name])


def test_rows_that_fill_no_batch_are_evaluated_and_predicted(run, files, write, tmp_path):
    three = write("three.csv", reviews(num_examples=3))
    options = ["--validation_file", three, "--test_file", three, "--do_eval", "--do_predict"]
    assert run(*options, "--dataloader_drop_last")["eval_accuracy"] in (0, 1 / 3, 2 / 3, 1)
    assert len(predictions(tmp_path / "out")) == 3


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
    assert cli.main([str(file)])["eval_loss"] == expected["eval_loss"]
    other = [str(tmp_path / "once more"), "--learning_rate", "2e-2", "--no_do_train"]
    found = cli.main([str(file), "--output_dir", *other])  # options after it win
    assert found["eval_loss"] != expected["eval_loss"] and "train_loss" not in found


def test_only_the_first_examples_are_used(run, write, tmp_path):
    rows = [*reviews(num_examples=6), *[{"text": "a film", "label": "unheard"}] * 6]
    train, validation = write("train.csv", reviews()), write("val.csv", rows)
    options = ["--train_file", train, "--validation_file", validation, "--test_file", validation]
    options += ["--max_train_samples", 5, "--max_eval_samples", 6, "--max_predict_samples", 7]
    metrics = run(*options, "--do_train", "--do_eval", "--do_predict")
    assert (metrics["train_samples"], metrics["eval_samples"]) == (5, 6)
    assert len(predictions(tmp_path / "out")) == 7


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
