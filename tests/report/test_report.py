"""Reports of trainers, and of folders in which the command has trained."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from conftest import SENTENCES, make_model, reviews
from datasets import Dataset
from report_pages import HARDEST, HISTOGRAMS, Page
from transformers import (
    BertConfig,
    BertForTokenClassification,
    ViTConfig,
    ViTForImageClassification,
    default_data_collator,
)

from augment import ImageVariants, LexiconSubstitution
from hf_mmel import MMELTrainer, VariantCollator
from hf_mmel.__main__ import main
from hf_mmel.report import write_report
from hf_mmel.report.predictions import predict, score_variants


pytestmark = pytest.mark.integration  # the command trains, and a report reads what it left


def read(path) -> Page:
    return Page((path / "report.html" if path.is_dir() else path).read_text(encoding="utf-8"))


def labelled(tokenizer, rows):
    return Dataset.from_list([{**tokenizer(row["text"]), "label": row["label"], "note": "unused"} for row in rows])


@pytest.fixture
def trained(tokenizer, arguments):
    """A model that knows good films from awful ones, trained without variants, and its data."""
    data = labelled(tokenizer, reviews(labels=(0, 1), num_examples=8))
    model = make_model(tokenizer, id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
    args = arguments(max_steps=20, learning_rate=1e-2, logging_steps=10)
    trainer = MMELTrainer(model, args, train_dataset=data, eval_dataset=data, processing_class=tokenizer)
    trainer.train()
    return trainer


def test_a_planted_flip_is_found(trained, tokenizer, arguments, tmp_path):
    turning = LexiconSubstitution(tokenizer, {"good": ["awful"], "film": ["movie"]}, replace_prob=1.0)
    args = arguments(num_variants=1, mmel_loss="hard")
    trainer = MMELTrainer(
        trained.model, args, train_dataset=trained.train_dataset, processing_class=tokenizer, augmenter=turning
    )
    trained.model.train()
    found = read(write_report(trainer, tmp_path / "report"))
    assert "<del>good</del> <ins>awful</ins>" in found.html and "label good, " in found.text
    assert "label bad, " not in found.text  # "awful" stays, and is known
    assert "Of 8 variants the final model predicts 4 (50.0 %) incorrectly" in found.text
    assert trained.model.training


def test_without_variants_nothing_is_told_of_them(trained, tmp_path):
    found = read(write_report(trained))
    assert found.ids == ["loss", "confusion", "calibration", "configuration"]
    assert "learning_rate 0.01" in found.text and str(tmp_path) not in found.html


def test_a_report_is_about_all_validation_examples(trained):
    trained.args.dataloader_drop_last, trained.args.per_device_eval_batch_size = True, 3
    assert len(predict(trained).labels) == 8 and trained.args.dataloader_drop_last


def test_scored_examples_are_drawn_and_the_variants_those_of_the_first_epoch(dataset, tokenizer, augmenter, arguments):
    args = arguments(num_variants=2, max_steps=1)
    trainer = MMELTrainer(
        make_model(tokenizer), args, train_dataset=dataset, processing_class=tokenizer, augmenter=augmenter
    )
    trainer.train()
    collator = trainer.build_group_collator()
    scored = score_variants(trainer, collator, 4)
    assert (
        scored.variant_count.examples == 4
        and scored.variant_count.different == len(scored.texts)
        and scored.num_all_examples == len(SENTENCES)
    )
    assert len(set(scored.originals)) <= 4 and set(scored.originals) <= {
        tokenizer.decode(row["input_ids"], skip_special_tokens=True) for row in dataset
    }
    collator.set_epoch(3)
    again = score_variants(trainer, collator, 4)
    assert again.texts == scored.texts and np.array_equal(again.after, scored.after)
    # What the model says of one of them by itself.
    with torch.no_grad():
        logits = trainer.model(**tokenizer(scored.texts[0], return_tensors="pt")).logits
    assert scored.after[0] == pytest.approx(logits.softmax(1)[0].double().numpy(), abs=1e-5)


def test_a_head_of_another_kind_is_told_of_in_words(tokenizer, arguments):
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    rows = [{"input_ids": [2, 7, 8, 3], "attention_mask": [1] * 4, "labels": [-100, 0, 1, -100]}] * 4
    data = Dataset.from_list(rows)
    trainer = MMELTrainer(BertForTokenClassification(config), arguments(), default_data_collator, eval_dataset=data)
    found = read(write_report(trainer))
    assert found.ids == ["missing", "configuration"] and "expected" not in found.text


def test_an_image_classifier_has_a_page_without_variants(arguments):
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = ViTForImageClassification(ViTConfig(**shape, image_size=16, patch_size=8, num_labels=2))
    data = [{"pixel_values": torch.rand(3, 16, 16), "labels": i % 2} for i in range(4)]
    args, augmenter = arguments(num_variants=1, mmel_loss="hard"), ImageVariants(crop_padding=2)
    trainer = MMELTrainer(model, args, train_dataset=data, eval_dataset=data, augmenter=augmenter)
    found = read(write_report(trainer))
    assert found.ids == ["missing", "confusion", "calibration", "configuration"]
    assert "Variants of training examples are left out" in found.text


@pytest.mark.parametrize("name, value", [("max_examples", 0), ("max_shown", 0), ("min_confidence", 1.5)])
def test_numbers_out_of_range_are_refused(trained, name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        write_report(trained, **{name: value})


@pytest.fixture
def report(capsys):
    """Runs the sub-command; its exit code, output and errors."""

    def report(folder, *options):
        code = main(["report", str(folder), *map(str, options)])
        return code, *capsys.readouterr()

    return report


def test_a_folder_of_the_command_is_read_again(run, files, report, model_dir, tmp_path):
    base = shutil.copytree(model_dir, tmp_path / "base")
    options = ["--mmel_loss", "hard", "--logging_steps", 1, "--model_name_or_path", base]
    run(*files, "--do_train", "--do_eval", *options)
    shutil.rmtree(base)
    state_file = tmp_path / "out" / "trainer_state.json"
    state = json.loads(state_file.read_text())
    history = {"weight_histograms": HISTOGRAMS, "hardest_variants": HARDEST}
    state["stateful_callbacks"]["VariantHistory"] = {"args": {}, "attributes": history}
    state_file.write_text(json.dumps(state))
    results = json.loads((tmp_path / "out" / "eval_results.json").read_text())
    (tmp_path / "out" / "training_args.bin").write_bytes(b"not a pickle")
    shutil.move(tmp_path / "out", tmp_path / "moved")

    code, out, _ = report(tmp_path / "moved", "--max_examples", 5)
    assert code == 0 and out.strip().endswith("report.html")
    found = read(tmp_path / "moved")
    expected = ["loss", "variant-loss", "weights", "effective", "confusion", "calibration", "flips", "hardest"]
    assert found.ids == [*expected, "configuration"]
    assert f"{results['eval_loss']:.3g}"[:4] in found.text and "that 5 of 16 training examples" in found.text
    assert "MMEL with hard labels" in found.text and "train.csv, val.csv" in found.text
    assert "--train_file train.csv" in found.text and str(tmp_path) not in found.html


def test_without_its_data_a_report_tells_what_the_files_tell(run, files, report, tmp_path, caplog):
    run(*files, "--do_train", "--do_eval", "--mmel_loss", "hard", "--logging_steps", 1)
    (tmp_path / "train.csv").unlink()
    code, _, _ = report(tmp_path / "out")
    found = read(tmp_path / "out")
    curves = ["loss", "variant-loss", "weights", "effective"]
    assert code == 0 and found.ids == ["missing", *curves, "hardest", "configuration"]
    assert "there is no such file" in found.text and "accuracy" in found.text and "num_variants" in found.text
    assert str(tmp_path) not in found.html
    assert caplog.text.count("Predictions and variants are left out") == 1 and "train.csv" in caplog.text


@pytest.mark.parametrize("with_data", [True, False])
@pytest.mark.parametrize("augmenter", ["none", "delete"])
def test_adversarial_variants_are_told_of_and_counted(run, files, report, tmp_path, with_data, augmenter):
    run(*files, "--do_train", "--augmenter", augmenter, "--num_variants", 2, "--adversarial_num_steps", 3)
    if not with_data:
        (tmp_path / "train.csv").unlink()
    assert report(tmp_path / "out")[0] == 0
    text = read(tmp_path / "out").text
    told = {"none": "1 variants per example by AdversarialVariants"}
    told["delete"] = "3 variants per example by RandomDelete and AdversarialVariants"
    assert told[augmenter] in text and '"num_steps": 3' in text


def test_variants_of_a_column_are_read_again(run, files, write, report, tmp_path):
    rows = [{**row, "paraphrases": [f"again {row['text']}"]} for row in reviews()]
    run(*files, "--train_file", write("train.jsonl", rows), "--do_train", "--variants_column", "paraphrases")
    assert report(tmp_path / "out")[0] == 0
    found = read(tmp_path / "out")
    assert {"flips", "hardest"} <= set(found.ids) and "missing" not in found.ids
    assert "variants per example by VariantsFromColumn" in found.text and "Of 16 variants" in found.text


def test_an_interrupted_training_is_told_of_up_to_its_last_checkpoint(run, files, report, tmp_path):
    options = ["--do_train", "--do_eval", "--mmel_loss", "hard", "--logging_steps", 1]
    run(*files, *options, "--save_strategy", "steps", "--save_steps", 2, "--max_steps", 2)
    run(*files, *options, "--overwrite_output_dir", "--max_steps", 3, out="out")  # whose checkpoints are gone
    for name in ("train_results.json", "trainer_state.json", "config.json", "model.safetensors"):
        (tmp_path / "out" / name).unlink()
    code, _, errors = report(tmp_path / "out")
    assert code == 1 and "has left no checkpoint" in errors

    run(*files, *options, "--save_strategy", "steps", "--save_steps", 2, "--max_steps", 3, out="cut")
    for name in ("train_results.json", "trainer_state.json", "config.json", "model.safetensors"):
        (tmp_path / "cut" / name).unlink()
    shutil.rmtree(tmp_path / "cut" / "checkpoint-3")
    assert report(tmp_path / "cut")[0] == 0
    found = read(tmp_path / "cut")
    assert {"missing", "loss", "variant-loss", "confusion", "flips"} <= set(found.ids)
    assert "was interrupted: the page shows it up to checkpoint-2" in found.text


HISTORY = {"weight_histograms": [{"step": 1, "epoch": 1.0, "counts": counts} for counts in ([1, 2], [3])]}
DAMAGED_STATE = {"stateful_callbacks": {"VariantHistory": {"args": {}, "attributes": HISTORY}}}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("options.json", None),
        ("options.json", ["--do_train", 1.5]),
        ("trainer_state.json", None),
        ("trainer_state.json", {"log_history": [{"loss": 1.0}]}),
        ("trainer_state.json", DAMAGED_STATE),
        ("augmenter.json", None),
        ("augmenter.json", "delete"),
    ],
)
def test_a_damaged_file_is_named_on_one_line(run, files, report, tmp_path, name, content):
    run(*files, "--do_train", "--mmel_loss", "hard")
    file = tmp_path / "out" / name
    file.write_text(file.read_text()[:20] if content is None else json.dumps(content))
    code, _, errors = report(tmp_path / "out")
    message = errors.splitlines()[-1]
    assert code == 1 and message.startswith("error: ") and name in message and "damaged" in message


@pytest.mark.parametrize("name", ["report.html", "report/loss.png", "report"])
def test_what_the_file_system_refuses_is_one_line(run, files, report, tmp_path, name):
    run(*files, "--do_train", "--mmel_loss", "hard", "--logging_steps", 1)
    path = tmp_path / "out" / name
    path.mkdir(parents=True) if path.suffix else path.touch()
    code, _, errors = report(tmp_path / "out")
    assert code == 1
    assert re.fullmatch(rf"error: (Is a directory|File exists): .*{name}.*", errors.splitlines()[-1])


def test_a_model_that_cannot_be_read_is_told_of(run, files, report, tmp_path):
    run(*files, "--do_train", "--mmel_loss", "hard")
    file = tmp_path / "out" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "num_attention_heads": None}))
    assert report(tmp_path / "out")[0] == 0
    assert "num_attention_heads" in read(tmp_path / "out").text


def test_a_training_that_has_diverged_has_a_report(trained, tokenizer, augmenter, arguments, tmp_path):
    with torch.no_grad():
        trained.model.classifier.bias.fill_(torch.nan)
    args = arguments(num_variants=1, mmel_loss="hard")
    data = {"train_dataset": trained.train_dataset, "eval_dataset": trained.train_dataset}
    trainer = MMELTrainer(trained.model, args, **data, processing_class=tokenizer, augmenter=augmenter)
    found = read(write_report(trainer))
    assert found.ids == ["missing", "configuration"] and found.text.count("has diverged") == 2


def test_reports_of_regression_and_of_several_labels(run, write, report, tmp_path):
    several = write("several.json", [{**row, "label": [row["label"], "film"]} for row in reviews()])
    numbers = write("numbers.json", reviews(labels=(0.5, 2.5)))
    for name, file in {"several": several, "numbers": numbers}.items():
        run("--train_file", file, "--validation_file", file, "--do_train", "--do_eval", out=name)
        assert report(tmp_path / name)[0] == 0
    assert {"labels", "calibration", "flips"} <= set(read(tmp_path / "several").ids)
    assert {"scatter", "flips"} <= set(read(tmp_path / "numbers").ids)


@pytest.mark.parametrize("brought", ["model", "metric"])
def test_code_that_a_folder_brings_runs_for_those_alone_who_ask_for_it(run, files, report, tmp_path, brought):
    run(*files, "--do_train", "--do_eval", "--mmel_loss", "hard")
    folder, ran = tmp_path / "out", tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w').close()\nfrom transformers import BertConfig\nclass Config(BertConfig): pass\n"
    (folder / "brought.py").write_text(code)
    options = json.loads((folder / "options.json").read_text())
    if brought == "model":
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "brought", "auto_map": {"AutoConfig": "brought.Config"}}
        (folder / "config.json").write_text(json.dumps(config))
        options.append("--trust_remote_code")
    else:
        options += ["--metric_name", str(folder / "brought.py")]
    (folder / "options.json").write_text(json.dumps(options))
    assert report(folder)[0] == 0 and not ran.exists()
    assert ("trust_remote_code" in read(folder).text) == (brought == "model")
    report(folder, "--trust_remote_code")
    assert ran.exists() == (brought == "model")


def test_what_users_can_put_right_is_one_line(report, tmp_path, monkeypatch):
    code, _, errors = report(tmp_path)
    assert code == 1 and "expected the output_dir" in errors and errors.count("\n") == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "config.json").touch()  # an empty folder is found out before what is not installed
    code, _, errors = report(tmp_path)
    assert code == 1
    assert errors == 'error: A report needs matplotlib, jinja2, scikit-learn: pip install "hf_mmel[report]"\n'


def test_groups_that_come_with_the_data_have_curves_and_no_augmenter(tokenizer, augmenter, dataset, arguments):
    collator = VariantCollator(tokenizer, augmenter, num_variants=2)
    batches = Dataset.from_list([{"place": i} for i in range(4)])
    rows = dataset.to_list()
    args = arguments(max_steps=2, logging_steps=1, mmel_loss="hard", remove_unused_columns=False)
    trainer = MMELTrainer(
        make_model(tokenizer), args, lambda places: collator([rows[row["place"]] for row in places]), batches
    )
    trainer.train()
    found = read(write_report(trainer))
    assert found.ids == ["loss", "variant-loss", "weights", "effective", "configuration"]
    assert "MMEL with hard labels" in found.text and "lambda_p" in found.text and "num_variants" not in found.text
