"""A dry run: it shows what the training would see, counts what it would do, and leaves nothing behind."""

import json
import re
from unittest.mock import Mock

import pytest
import torch
from transformers import BertConfig

from augment.core.variant_count import ADVICE
from hf_mmel.cli import timing
from hf_mmel.cli.run import UsageError
from hf_mmel.data.groups import VARIANT_MASK
from hf_mmel.data.variant_collator import VariantCollator
from hf_mmel.trainer import MMELTrainer


pytestmark = pytest.mark.integration  # dry runs of the whole command


@pytest.fixture
def show(run, capsys):
    """Runs the command dry; what it prints."""

    def show(*options):
        assert run(*options, "--dry_run", out="dry") == {}
        return capsys.readouterr().out

    return show


def figure(printed, name):
    return re.search(rf"^{name} +(.*)$", printed, flags=re.MULTILINE)[1]


def test_nothing_is_written_and_no_weights_are_loaded(show, files, tmp_path, monkeypatch):
    loading = Mock(side_effect=AssertionError("weights were loaded"))
    monkeypatch.setattr("hf_mmel.cli.model.AutoModelForSequenceClassification.from_pretrained", loading)
    test = ["--do_predict", "--test_file", files[3]]
    printed = show(*files, "--do_train", "--do_eval", *test, "--report_to", "tensorboard")
    assert not (tmp_path / "dry").exists()
    assert re.match(r"BertForSequenceClassification, [\d,]+ parameters; outputs: bad, good", figure(printed, "model"))
    assert figure(printed, "validation") == figure(printed, "test") == "16 examples, 2 batches"


def test_ten_examples_are_shown_with_the_words_that_change(show, files):
    printed = show(*files, "--do_train", "--augment_segments", "all")
    examples = re.findall(r"^example (\d+), label (\w+)$", printed, flags=re.MULTILINE)
    assert examples == [(str(i), ("bad", "good")[i % 2]) for i in range(10)]
    lines = printed.splitlines()[1:4]
    assert lines[0] == "  0  the film was awful."
    assert all(re.search(r"\[-\w+-\] \{\+\w+\+\}", line) for line in lines[1:])


def test_the_texts_of_a_pair_stand_apart(show, mirror):
    printed = show(*mirror, "--task_name", "rte", "--do_train")
    assert "  0  the film was good. | the movie is fine." in printed
    assert "example 0, label entailment" in printed


def test_the_variants_shown_are_those_of_the_first_epoch(show, run, files, tokenizer, monkeypatch):
    printed = show(*files, "--do_train", "--seed", 5)
    shown = [line[5:] for line in printed.splitlines() if re.match(r"  [1-9]  ", line)]
    seen = set()
    collate = VariantCollator.__call__

    def watch(self, examples):
        batch = collate(self, examples)
        rows = batch["input_ids"][:, 1:][batch[VARIANT_MASK][:, 1:]]
        seen.update(tokenizer.decode(row, skip_special_tokens=True) for row in rows)
        return batch

    monkeypatch.setattr(VariantCollator, "__call__", watch)
    run(*files, "--do_train", "--seed", 5, "--num_train_epochs", 1, "--max_steps", -1)
    plain = {re.sub(r"\[-.*?-\] ?|\{\+|\+\}", "", line) for line in shown}
    assert plain == seen and len(shown) == 20


@pytest.mark.parametrize(
    "options",
    [
        ["--num_train_epochs", 3],
        ["--num_train_epochs", 1.5, "--gradient_accumulation_steps", 2],
        ["--num_train_epochs", 2, "--dataloader_drop_last", "--max_train_samples", 15],
        ["--num_train_epochs", 2, "--max_train_samples", 3],
        ["--max_steps", 7],
    ],
)
def test_the_number_of_steps_is_that_of_the_training(show, run, files, options, monkeypatch):
    options = [*files, "--do_train", "--max_steps", -1, *options]
    steps = int(figure(show(*options), "optimisation steps"))
    counted = []
    monkeypatch.setattr("torch.optim.AdamW.step", lambda self, *args, **kwargs: counted.append(1))
    run(*options, "--optim", "adamw_torch", "--lr_scheduler_type", "constant")
    assert len(counted) == steps > 1


def test_examples_variants_and_lengths_are_counted(show, write):
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(["the film was good .", "the plot ."] * 6)]
    options = ["--train_file", write("train.csv", rows), "--do_train", "--gradient_accumulation_steps", 2]
    options += ["--augmenter", "wordnet"]
    printed = show(*options, "--num_variants", 3)
    assert figure(printed, "training examples") == "12"
    few = "50.0% of the training examples have no variant; the others have 3.00 different variants on average, of 3."
    assert figure(printed, "variants") == few  # there is no other word for a plot
    assert ADVICE in printed
    assert figure(printed, "batch of a process") == "4 examples, 10.0 sequences"
    assert figure(printed, "optimisation step") == "8 examples, 20.0 sequences"
    assert figure(show(*options, "--pad_to_max_length", "--max_seq_length", 20), "padded to").endswith("20 at most")
    assert not re.search("same text", printed)
    plain = show(*options, "--mmel_loss", "none")
    assert figure(plain, "variants") == "none" and ADVICE not in plain
    assert figure(plain, "batch of a process") == "4 examples, 4.0 sequences"
    adversarial = show(*options, "--num_variants", 3, "--adversarial_num_steps", 2)
    assert figure(adversarial, "adversarial variants") == "1 per example"
    assert figure(adversarial, "batch of a process") == "4 examples, 14.0 sequences"


def test_a_batch_has_its_unlabelled_examples_with_as_many_variants(show, files, write):
    options = [*files, "--do_train", "--gradient_accumulation_steps", 2, "--unlabeled_ratio", 1.5]
    options += ["--unlabeled_file", write("more.jsonl", [{"text": "an awful film"}]), "--num_variants", 2]
    printed = show(*options, "--mmel_loss", "soft")
    assert figure(printed, "batch of a process") == "4 examples and 6 unlabelled ones, 30.0 sequences"
    assert figure(printed, "optimisation step") == "8 examples and 12 unlabelled ones, 60.0 sequences"
    alone = show(*options, "--unlabeled_loss", "entropy")  # which has no variants of unlabelled examples
    assert figure(alone, "batch of a process") == "4 examples and 6 unlabelled ones, 18.0 sequences"


def test_a_masked_lm_is_asked_for_few_examples_alone(show, write, masked_lm_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MMEL_CACHE", str(tmp_path / "tables"))
    rows = [{"text": f"the film {i} was good .", "label": i % 2} for i in range(300)]
    options = ["--train_file", write("train.csv", rows), "--do_train", "--augmenter", "mlm"]
    printed = show(*options, "--model_name_or_path", masked_lm_dir)
    assert figure(printed, "variants").endswith("(counted on 100 of 300 examples).")
    assert re.fullmatch(r"about \d+ seconds? for candidates, unless .*", figure(printed, "before training"))
    assert not list(tmp_path.glob("tables/masked-lm-*"))


def test_a_head_or_a_vocabulary_that_does_not_fit_is_refused(show, files, model_dir, tokenizer, tmp_path):
    options = [*files, "--do_train", "--model_name_or_path", tmp_path / "other", "--tokenizer_name", model_dir]
    head = {"num_labels": 3, "architectures": ["BertForSequenceClassification"]}
    BertConfig.from_pretrained(model_dir, **head).save_pretrained(tmp_path / "other")
    with pytest.raises(UsageError, match="classifier of 3 outputs, the data needs 2"):
        show(*options)
    BertConfig.from_pretrained(model_dir, vocab_size=7).save_pretrained(tmp_path / "other")
    with pytest.raises(UsageError, match=f"The tokenizer has {len(tokenizer)} tokens, the model 7 embeddings"):
        show(*options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="the training itself would be accepted")
def test_options_of_a_gpu_need_none(show, files):
    assert figure(show(*files, "--do_train", "--bf16", "--tf32", "true", "--use_cpu", "false"), "optimisation steps")


def test_a_dry_run_of_seeds_is_that_of_one(show, files):
    options = [*files, "--do_train", "--max_steps", 5]
    assert figure(show(*options, "--seeds", "1,2"), "optimisation steps") == "5"


def test_several_labels_of_a_row_are_shown_by_their_names(show, write):
    labels = [["good", "film"], ["bad"], []]
    rows = [{"text": "the film was good .", "label": label} for label in labels]
    printed = show("--train_file", write("train.json", rows), "--do_train")
    shown = re.findall(r"^example \d+, (.*)$", printed, flags=re.MULTILINE)
    assert shown == ["labels film, good", "labels bad", "labels none"]


def test_copies_that_are_meant_are_named(show, write, tmp_path):
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(["the film was good .", "the plot ."] * 6)]
    (tmp_path / "same.json").write_text(json.dumps({"class": "SameText", "augmenter": {"class": "WordNetSynonyms"}}))
    options = ["--train_file", write("train.csv", rows), "--do_train", "--num_variants", 3]
    printed = show(*options, "--augmenter", tmp_path / "same.json")
    assert "All training examples have variants: 3.00 different variants" in printed
    assert "The variants of 50.0% of the examples are the same text." in printed
    assert printed.count("  3  the plot.  (same text)") == 5 and printed.count("(same text)") == 15
    assert "The variants of 100.0% of the examples" in show(*options, "--augmenter", "same_text")


def test_the_time_of_training_is_estimated_from_timed_steps(show, files, monkeypatch):
    monkeypatch.setattr("hf_mmel.cli.dry_run.time_steps", lambda *args: timing.StepTimes(10, 2.7, 0.3))
    time = "about 5.0 hours on this machine: 6,000 steps of 3 s, estimated from 10, without evaluation; 10% of it for"
    assert figure(show(*files, "--do_train", "--max_steps", 6000), "training time").startswith(time)
    accumulated = ["--max_steps", 10, "--gradient_accumulation_steps", 2]
    assert ": 10 steps of 6 s, " in figure(show(*files, "--do_train", *accumulated), "training time")
    plain = figure(show(*files, "--do_train", "--max_steps", 20, "--augmenter", "none"), "training time")
    assert plain == "about 60 seconds on this machine: 20 steps of 3 s, estimated from 10, without evaluation"


def test_timed_steps_are_those_of_the_training_and_leave_nothing_behind(
    show, run, files, tmp_path, monkeypatch, caplog
):
    steps = []
    step = MMELTrainer.training_step

    def watch(self, model, inputs, *args):
        steps.append(inputs["input_ids"].shape[:2])
        return step(self, model, inputs, *args)

    monkeypatch.setattr(MMELTrainer, "training_step", watch)
    options = [*files, "--do_train", "--num_variants", 3, "--logging_steps", 1, "--save_steps", 1, "--max_steps", 100]
    options += ["--gradient_accumulation_steps", 3, "--per_device_train_batch_size", 2, "--show_variants", 2]
    options += ["--report_to", "tensorboard"]
    printed = show(*options)
    assert steps == [(2, 4)] * (1 + timing.MAX_STEPS)
    assert re.match(
        r"about .*: 100 steps of .* estimated from 10, .*; \d+% of it for variants", figure(printed, "training time")
    )
    assert "runtime" not in printed and "Hardest" not in printed
    assert not any("training examples" in record.getMessage() for record in caplog.records)
    assert not (tmp_path / "dry").exists()


def test_slow_steps_are_few(show, files, monkeypatch):
    monkeypatch.setattr(timing, "MAX_SECONDS", 0)
    assert "estimated from 1," in figure(show(*files, "--do_train"), "training time")


def test_a_model_too_large_for_this_machine_is_not_timed(show, files, monkeypatch):
    monkeypatch.setattr(timing, "get_max_memory", lambda: {"cpu": 1000, 0: 1000})
    reason = figure(show(*files, "--do_train"), "training time")
    assert re.fullmatch(r"no estimate: training needs more than \S+ GB of memory, and 0.0 GB are free here", reason)


def test_a_step_that_fails_here_leaves_the_rest_of_the_dry_run(show, files, monkeypatch):
    monkeypatch.setattr(MMELTrainer, "training_step", Mock(side_effect=RuntimeError("no such\ndevice")))
    printed = show(*files, "--do_train")
    assert figure(printed, "training time") == "no estimate: a step failed here with RuntimeError: no such device"
    assert figure(printed, "optimisation steps")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 second"), (89, "89 seconds"), (740, "12 minutes"), (7200, "2.0 hours"), (3 * 86400, "3.0 days")],
)
def test_a_time_has_no_more_digits_than_an_estimate(seconds, text):
    assert timing.duration(seconds) == text
