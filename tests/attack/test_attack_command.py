"""The command that attacks a classifier: what it reads, writes, resumes and refuses."""

import json
import re
import shutil

import numpy as np
import pytest
from judgements import LEXICON, learned, made_rows
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_mmel.__main__ import main
from hf_mmel.attack import command
from hf_mmel.attack.attacks import ATTACKS
from hf_mmel.attack.texts import Classifier


pytestmark = pytest.mark.integration  # whole attacks, some interrupted


AUGMENTER = {"class": "LexiconSubstitution", "words": LEXICON}


@pytest.fixture(scope="module")
def trained_dir(tokenizer, tmp_path_factory):
    """A model that knows the labels of the made texts, but for the wrong ones."""
    names = {0: "bad", 1: "good"}
    rows = [{**tokenizer(row["text"]), "label": int(row["label"] == "good")} for row in made_rows()]
    right = [row for i, row in enumerate(rows) if i % 10 != 9]
    model = learned(tokenizer, right, id2label=names, label2id={name: i for i, name in names.items()})
    path = tmp_path_factory.mktemp("trained")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def attack(trained_dir, write, tmp_path, capsys):
    """Runs the command on the made texts; its exit code, output and errors. Later options win over these."""
    write("augmenter.json", AUGMENTER)

    def attack(*options, out="attack", rows=None, model=None):
        data = write(f"{out}.jsonl", made_rows() if rows is None else rows)
        argv = [model or trained_dir, "--validation_file", data, "--augmenter", tmp_path / "augmenter.json"]
        argv += ["--output_dir", tmp_path / out, "--use_cpu", "--budget", 12, *options]
        code, (out, errors) = main(["attack", *map(str, argv)]), capsys.readouterr()
        bars = re.compile(r"[^\r\n]*\d+%[^\r\n]*[\r\n]+|\r|Generating[^\r\n]*[\r\n]+")
        return code, out, bars.sub("", errors)

    return attack


def results(folder):
    return json.loads((folder / "attack.json").read_text()), examples(folder)


def examples(folder):
    return [json.loads(line) for line in (folder / "attack.jsonl").read_text().splitlines()]


def successes(rows, name):
    return {row["id"] for row in rows if row.get(name, {}).get("success")}


def test_each_success_is_a_wrong_prediction_on_the_text_that_is_written(attack, trained_dir, tmp_path):
    assert attack("--budget", 40)[0] == 0
    summary, rows = results(tmp_path / "attack")
    model = AutoModelForSequenceClassification.from_pretrained(trained_dir).eval()
    tokenizer = AutoTokenizer.from_pretrained(trained_dir)

    def prediction(text):
        return model.config.id2label[model(**tokenizer(text, return_tensors="pt")).logits.argmax().item()]

    for row, made in zip(rows, made_rows(), strict=True):
        assert (row["text"], row["label"]) == (made["text"], made["label"]) and prediction(row["text"]) == row[
            "prediction"
        ]
        for name in ATTACKS if row["prediction"] == row["label"] else ():
            if row[name]["success"]:
                assert prediction(row[name]["text"]) == row[name]["prediction"] != row["label"]
                assert ",  the " in row[name]["text"]  # spaces stay
    correct = sum(row["prediction"] == row["label"] for row in rows)
    assert summary["accuracy"] == correct / 40 < 1
    for name in ATTACKS:
        assert sum(name in row for row in rows) == correct
        number = len(successes(rows, name))
        assert summary[name]["accuracy"] == (correct - number) / 40 <= summary["accuracy"]
        assert summary[name]["success_rate"] == number / correct > 0
        queries = [row[name]["queries"] for row in rows if name in row]
        assert summary[name]["mean_queries"] == pytest.approx(np.mean(queries))
    assert len(successes(rows, "greedy")) >= len(successes(rows, "random"))


def test_the_table_shows_what_the_file_says(attack, tmp_path):
    _, out, _ = attack("--num_shown", 1)
    summary, rows = results(tmp_path / "attack")
    lines = out.splitlines()
    assert lines[0].endswith("attack.jsonl, variants by LexiconSubstitution, budget 12")
    assert lines[3].split() == ["none", f"{summary['accuracy']:.1%}"]
    for line, name in zip(lines[4:6], ATTACKS, strict=True):
        shares = [f"{summary[name][key]:.1%}" for key in ("accuracy", "success_rate", "words_changed")]
        assert line.split() == [name, *shares[:2], f"{summary[name]['mean_queries']:.1f}", shares[2]]
    first = next(row for row in rows if row["id"] in successes(rows, "random") | successes(rows, "greedy"))
    assert f"{first['id']}  {first['label']}: {first['text']}" in lines and "[-" in out and "{+" in out


def files_in(folder):
    return {file.name: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_the_batch_size_does_not_matter(attack, tmp_path):
    attack()
    expected = files_in(tmp_path / "attack")
    for size in (1, 5):
        attack("--per_device_eval_batch_size", size, out="again")
        found = files_in(tmp_path / "again")
        assert {name: found[name] for name in ("attack.jsonl", "000000.json")} == {
            name: expected[name] for name in ("attack.jsonl", "000000.json")
        }
        shutil.rmtree(tmp_path / "again")


@pytest.mark.parametrize("num_calls", [1, 9])
def test_an_interrupted_attack_resumes_to_the_same_bytes(attack, tmp_path, monkeypatch, num_calls):
    attack(out="whole")
    monkeypatch.setattr(command, "BLOCK", 8)
    attack()
    expected = files_in(tmp_path / "attack")
    assert expected["attack.jsonl"] == (tmp_path / "whole" / "attack.jsonl").read_bytes()
    shutil.rmtree(tmp_path / "attack")
    predict, calls = Classifier.predict, []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == num_calls * 8:
            raise KeyboardInterrupt
        return predict(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "predict", interrupted)
        assert attack()[0] == 130
    assert not (tmp_path / "attack" / "attack.json").exists()
    assert attack()[0] == 0 and files_in(tmp_path / "attack") == expected


def test_a_finished_attack_is_not_repeated(attack, tmp_path, monkeypatch):
    first = attack()
    expected = files_in(tmp_path / "attack")
    monkeypatch.setattr(Classifier, "predict", None)
    assert attack() == first and files_in(tmp_path / "attack") == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--budget", 13], "budget"),
        (["--seed", 1], "seed"),
        (["--attacks", "random"], "attacks"),
        (["--max_replaced", 2], "max_replaced, augmenter"),
        (["--max_eval_samples", 3], "examples"),
    ],
)
def test_other_options_do_not_resume(attack, tmp_path, options, named):
    attack()
    before = files_in(tmp_path / "attack")
    code, _, errors = attack(*options)
    assert (
        code == 1 and errors.count("\n") == 1 and f"different settings: {named}. Pass another --output_dir" in errors
    )
    assert files_in(tmp_path / "attack") == before


def test_no_variant_replaces_more_words_than_allowed(attack, tmp_path):
    attack("--max_replaced", 1, "--budget", 40)
    rows = examples(tmp_path / "attack")
    for name in ATTACKS:
        changed = [row for row in rows if row["id"] in successes(rows, name)]
        assert changed
        for row in changed:
            words = zip(row["text"].split(" "), row[name]["text"].split(" "), strict=True)
            assert sum(a != b for a, b in words) == 1 and row[name]["words_changed"] == round(1 / 10, 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", -1], "budget is -1; expected a whole number >= 0."),
        (["--max_replaced", 0], "max_replaced is 0; expected a whole number >= 1."),
        (["--attacks", "random,beam"], "attacks is 'random,beam'; expected random or greedy, or both"),
        (["--augmenter", "none"], "augmenter is 'none', which makes no variants"),
        (["--augmenter", "swap", "--attacks", "greedy"], "RandomSwap has none; pass --attacks random"),
        (["--augmenter", "no-such-file"], "The augmenter is 'no-such-file'; expected one of"),
        (["--learning_rate", 1], "attack has no option --learning_rate;"),
        (["--model_name_or_path", "x"], "name the model by the first argument alone"),
        (["--validation_file", "missing.csv"], "validation_file is 'missing.csv', and there is no such file"),
        (["--text_column_names", "sentence"], "'sentence'"),
        (["--do_regression"], "an attack needs one class for each example"),
    ],
)
def test_errors_are_one_line(attack, tmp_path, options, message):
    code, out, errors = attack(*options)
    assert code == 1 and message in errors and errors.count("\n") == 1 and out == ""
    assert not (tmp_path / "attack").exists()


def test_the_model_comes_first(trained_dir, capsys):
    assert main(["attack", "--validation_file", "dev.csv", str(trained_dir)]) == 1
    assert "MODEL comes first: python -m hf_mmel attack MODEL, and then the options." in capsys.readouterr().err


@pytest.mark.parametrize(("label", "kind"), [(0.5, "regression"), (["good"], "multi-label")])
def test_regression_and_multi_label_are_refused_by_name(attack, label, kind):
    code, _, errors = attack(rows=[{**row, "label": label} for row in made_rows(4)])
    assert code == 1 and f"The labels are those of {kind}; an attack needs one class for each example." in errors


def test_other_classes_than_those_of_the_model_are_refused(attack):
    rows = [{**row, "label": f"class {i % 3}"} for i, row in enumerate(made_rows(6))]
    code, _, errors = attack("--ignore_mismatched_sizes", rows=rows)
    assert code == 1 and "predicts 2 classes, and " in errors and "has 3: class 0, class 1, class 2;" in errors


def test_a_model_without_a_trained_head_is_refused(attack, model_dir):
    code, _, errors = attack(model=model_dir)
    assert code == 1 and "has no trained head for sequence classification" in errors


def test_without_candidates_of_words_there_is_no_greedy_attack(attack, tmp_path):
    code, out, _ = attack("--augmenter", "swap")
    assert code == 0 and "There is no greedy attack, since RandomSwap has no candidates of words." in out
    assert "greedy" not in results(tmp_path / "attack")[0]


@pytest.mark.integration  # the command trains
def test_a_run_is_attacked_on_its_own_data_with_its_own_augmenter(run, files, capsys, tmp_path):
    run(*files, "--do_train", "--do_eval", "--augmenter", "wordnet", "--replace_prob", 0.9)
    folder = tmp_path / "out"
    assert main(["attack", str(folder), "--use_cpu"]) == 0
    summary, rows = results(folder / "attack")
    assert summary["augmenter"] == json.loads((folder / "augmenter.json").read_text())
    assert (
        len(rows) == 16
        and summary["accuracy"] == json.loads((folder / "eval_results.json").read_text())["eval_accuracy"]
    )
    assert main(["attack", str(folder), "--use_cpu", "--max_eval_samples", "4", "--augmenter", "typos"]) == 1
    assert "different settings: " in capsys.readouterr().err
    out = ["--output_dir", str(tmp_path / "typos")]
    assert main(["attack", str(folder), "--use_cpu", "--max_eval_samples", "4", "--augmenter", "typos", *out]) == 0
    assert results(tmp_path / "typos")[0]["augmenter"]["class"] == "Typos"
