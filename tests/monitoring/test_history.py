"""What a training keeps of its weights and of its hardest variants."""

import json
from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from task_heads import TASK_HEADS
from trainer_runs import training_logs
from transformers import Trainer, TrainerState

from augment import LexiconSubstitution
from hf_mmel import MMELTrainer, VariantCollator
from hf_mmel.monitoring.decoding import make_decoder
from hf_mmel.monitoring.hardest import HardestVariants
from hf_mmel.monitoring.history import NUM_HARDEST, VariantHistory
from hf_mmel.monitoring.metrics import GroupMetrics


TEXTS = [f"{text} {i}" for i in range(4) for text in SENTENCES]  # more than are kept of an epoch
REPEATED = [("a funny film", "a comic film"), ("a funny film", "a funny movie"), ("a story", "a tale")]
NAMES = {"id2label": {0: "bad", 1: "good"}, "label2id": {"bad": 0, "good": 1}}


@pytest.fixture
def rows(tokenizer):
    return Dataset.from_list([{**tokenizer(text), "label": i % 2} for i, text in enumerate(TEXTS)])


@pytest.fixture
def train(arguments, tokenizer, augmenter, rows):
    def train(checkpoint=None, dropout=0.0, cls=MMELTrainer, callbacks=None, given=None, **fields):
        defaults = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-3, "logging_steps": 2}
        given = {"augmenter": augmenter, "processing_class": tokenizer} if given is None else given
        args = arguments(**{**defaults, "num_variants": 3, "lambda_p": 0.1, "mmel_loss": "hard", **fields})
        model = make_model(tokenizer, dropout, **NAMES)
        trainer = cls(model, args, train_dataset=rows, callbacks=callbacks, **given)
        folder = Path(args.output_dir)
        trainer.train(resume_from_checkpoint=checkpoint and str(folder / f"checkpoint-{checkpoint}"))
        return trainer

    return train


def history_of(trainer):
    return trainer.state.stateful_callbacks["VariantHistory"]["attributes"]


MODES = {
    "hard": {},
    "soft": {"mmel_loss": "soft"},
    "soft, originals weighed": {"mmel_loss": "soft", "reweight_original": True},
    "originals not weighed": {"reweight_original": False},
    "accumulation": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3},
    "passes": {"variant_chunk_size": 2},
    "passes that cut groups": {"variant_chunk_size": 1, "per_device_train_batch_size": 3},
    "the largest": {"variant_backward": "top"},
    "a draw": {"variant_backward": "sample", "variant_backward_count": 2, "mmel_loss": "soft"},
    "reused scores": {"variant_backward": "top", "score_interval": 2},
}


@pytest.mark.parametrize("mode", MODES)
def test_the_hardest_variants_are_those_of_all_that_were_trained_on(train, tokenizer, monkeypatch, mode):
    seen, add, decode = [], HardestVariants.add, make_decoder(tokenizer)

    def recorded(self, ids, labels, losses, weights, variant_mask, step):
        for i, v in variant_mask.nonzero().tolist():
            if v > 0:
                original, variant = decode(ids[i, 0].tolist()), decode(ids[i, v].tolist())
                figures = {"weight": weights[i, v].item(), "loss": losses[i, v].item()}
                figures |= {"loss_original": losses[i, 0].item(), "step": step}
                label = ("bad", "good")[labels[i]]
                seen.append({"original": original, "variant": variant, "label": label, **figures})
        add(self, ids, labels, losses, weights, variant_mask, step)

    monkeypatch.setattr(HardestVariants, "add", recorded)
    trainer = train(dropout=0.1, **MODES[mode])
    steps = trainer.state.global_step // 2
    for epoch in (1, 2):
        of_epoch = [{"epoch": epoch, **entry} for entry in seen if (entry["step"] - 1) // steps == epoch - 1]
        hardest = {}
        for entry in of_epoch:
            hardest[entry["original"]] = max(entry["loss"], hardest.get(entry["original"], 0.0))
        kept = [entry for entry in history_of(trainer)["hardest_variants"] if entry["epoch"] == epoch]
        assert len(hardest) > NUM_HARDEST == len(kept)
        assert [entry["loss"] for entry in kept] == sorted(hardest.values(), reverse=True)[:NUM_HARDEST]
        # Of equal losses any may be kept.
        assert all(entry in of_epoch and entry["loss"] == hardest[entry["original"]] for entry in kept)
        assert len({entry["original"] for entry in kept}) == NUM_HARDEST
        assert all(entry["original"] != entry["variant"] for entry in kept)


@pytest.mark.parametrize("mode", MODES)
def test_counts_of_the_histograms_add_up_to_the_weighed_variants(train, monkeypatch, mode):
    weighed, add = [], GroupMetrics.add

    def recorded(self, losses, variant_mask, *args, **kwargs):
        mask = variant_mask.clone()
        mask[:, 0] &= mode not in ("soft", "a draw", "originals not weighed")
        weighed.append(int(mask[mask.sum(dim=1) > 1].sum()))
        add(self, losses, variant_mask, *args, **kwargs)

    monkeypatch.setattr(GroupMetrics, "add", recorded)
    trainer = train(num_train_epochs=1, **MODES[mode])
    histograms = history_of(trainer)["weight_histograms"]
    logs = training_logs(trainer)
    assert [(entry["step"], entry["epoch"]) for entry in histograms] == [(log["step"], log["epoch"]) for log in logs]
    assert len(weighed) == trainer.state.global_step * fields_of(mode, "gradient_accumulation_steps", 1)
    logged = logs[-1]["step"] * fields_of(mode, "gradient_accumulation_steps", 1)
    assert sum(sum(entry["counts"]) for entry in histograms) == sum(weighed[:logged]) > 30


def fields_of(mode, name, default):
    return MODES[mode].get(name, default)


def test_an_example_that_comes_again_in_an_epoch_is_kept_once_as_it_was_hardest(arguments, tokenizer, augmenter):
    hardest = HardestVariants(8)
    texts = [(tokenizer(text)["input_ids"], tokenizer(variant)["input_ids"]) for text, variant in REPEATED]
    history = VariantHistory()
    history._hardest, mask = hardest, torch.ones(1, 2, dtype=torch.bool)
    for step, (loss, (original, variant)) in enumerate(zip((0.5, 2.0, 1.0), texts, strict=True), start=1):
        losses = torch.tensor([[0.1, loss]])
        batch = {"input_ids": torch.tensor([[original, variant]]), "labels": torch.tensor([1]), "variant_mask": mask}
        history.add(batch, losses, losses, batch["variant_mask"], step, tokenizer)
    history.on_epoch_end(arguments(), TrainerState(epoch=1.0), None, model=make_model(tokenizer, **NAMES))
    found = [(entry["original"], entry["variant"], entry["step"]) for entry in history.hardest_variants]
    assert found == [(*REPEATED[1], 2), (*REPEATED[2], 3)]


def test_a_state_that_is_saved_without_a_checkpoint_has_the_history(train):
    trainer = train(show_variants=12)
    trainer.save_state()
    path = Path(trainer.args.output_dir) / "trainer_state.json"
    saved = json.loads(path.read_text())["stateful_callbacks"]["VariantHistory"]
    assert saved == {"args": {}, "attributes": history_of(trainer)}
    assert len(saved["attributes"]["weight_histograms"]) == 9
    assert len(saved["attributes"]["hardest_variants"]) == 2 * 12


def test_a_second_training_begins_its_history_anew(train):
    trainer = train()
    first = json.loads(json.dumps(history_of(trainer)))
    trainer.args.learning_rate = 0.0
    trainer.train()
    second = history_of(trainer)
    assert len(first["hardest_variants"]) == len(second["hardest_variants"]) == 2 * NUM_HARDEST
    assert len(first["weight_histograms"]) == len(second["weight_histograms"])
    assert first != second


# Resuming: 9 updates in an epoch


def finished(trainer, epoch):
    return [entry for entry in history_of(trainer)["hardest_variants"] if entry["epoch"] <= epoch]


@pytest.mark.parametrize("restored", [False, True])
def test_a_resumed_run_has_the_history_of_an_uninterrupted_one_but_for_the_variants_before_the_stop(train, restored):
    fields = {"save_strategy": "steps", "save_steps": 4, "num_train_epochs": 3, "logging_steps": 2, "dropout": 0.1}
    fields["restore_callback_states_from_checkpoint"] = restored
    whole = train(**fields)
    resumed = train(12, **fields)  # in the middle of the second epoch
    assert history_of(whole)["weight_histograms"] == history_of(resumed)["weight_histograms"]
    assert len(history_of(resumed)["weight_histograms"]) == 13
    for epoch in (1, 3):
        entries = [[entry for entry in finished(run, 3) if entry["epoch"] == epoch] for run in (whole, resumed)]
        assert entries[0] == entries[1] and len(entries[0]) == NUM_HARDEST
    since = [entry for entry in finished(resumed, 2) if entry["epoch"] == 2]
    assert since and all(entry["step"] > 12 for entry in since)
    before = [entry for entry in finished(whole, 2) if entry["epoch"] == 2]
    assert [entry for entry in before if entry["step"] > 12] == [entry for entry in since if entry in before]


def test_a_checkpoint_at_the_end_of_an_epoch_has_its_hardest_variants(train):
    train(save_strategy="epoch", num_train_epochs=1)
    resumed = train(9, save_strategy="epoch")
    assert [entry["epoch"] for entry in history_of(resumed)["hardest_variants"]] == [1] * 10 + [2] * 10


def test_a_checkpoint_without_a_history_is_resumed_and_the_next_one_has_it(train):
    fields = {"save_strategy": "steps", "save_steps": 5}
    whole = train(**fields)
    path = Path(whole.args.output_dir) / "checkpoint-5" / "trainer_state.json"
    state = json.loads(path.read_text())
    del state["stateful_callbacks"]["VariantHistory"]
    path.write_text(json.dumps(state))
    train(5, **fields)
    state = TrainerState.load_from_json(Path(whole.args.output_dir) / "checkpoint-15" / "trainer_state.json")
    histograms = state.stateful_callbacks["VariantHistory"]["attributes"]["weight_histograms"]
    # The window that the stop has cut begins with it.
    assert histograms[1:] == history_of(whole)["weight_histograms"][3:7]
    assert sum(histograms[0]["counts"]) < sum(history_of(whole)["weight_histograms"][2]["counts"])


def test_a_stock_trainer_resumes_a_checkpoint_with_a_history(train, tokenizer):
    fields = {"save_strategy": "steps", "save_steps": 5}
    train(**fields)
    stock = train(5, cls=Trainer, given={"processing_class": tokenizer}, **fields)
    assert stock.state.global_step == 18


# What can be read


@pytest.mark.parametrize("head", TASK_HEADS.values(), ids=TASK_HEADS)
def test_variants_of_every_head_are_read_with_their_labels(arguments, tokenizer, head):
    rows = head.rows(tokenizer)
    trainer = MMELTrainer(
        head.model(tokenizer),
        arguments(num_train_epochs=1, mmel_loss="hard", per_device_train_batch_size=3),
        head.collator(tokenizer),
        Dataset.from_list(rows),
        None,
        tokenizer,
        augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
    )
    trainer.train()
    decode = make_decoder(tokenizer)
    texts = [decode(row["input_ids"]) for row in rows]
    hardest = history_of(trainer)["hardest_variants"]
    assert len(hardest) >= 7 and {entry["original"] for entry in hardest} <= set(texts)
    places = [texts.index(entry["original"]) for entry in hardest]
    expected = {
        "single_label": lambda i: f"LABEL_{i % 2}",
        "regression": lambda i: i / 4 - 1,
        "multi_label": lambda i: ", ".join(
            f"LABEL_{k}" for k, has_it in enumerate([i % 2, i % 3 == 0, i > 4]) if has_it
        ),
        "choices": lambda i: i % 3,
    }.get(head.name, lambda i: None)
    assert [entry["label"] for entry in hardest] == [expected(i) for i in places]
    if head.name == "choices":
        assert all(entry["original"].count(" || ") == 2 for entry in hardest)
    assert (head.name == "answers") == all(entry["original"].count(" | ") == 1 for entry in hardest)


class Unreadable:
    """Groups under a tokenizer that the trainer does not know."""

    def __init__(self, collator):
        self.collator = collator

    def __call__(self, rows):
        return self.collator(rows)


def test_groups_that_nothing_can_read_have_weights_and_no_variants(train, tokenizer, augmenter):
    collator = VariantCollator(tokenizer, augmenter)
    unread = train(given={"data_collator": Unreadable(collator)})
    assert len(history_of(unread)["weight_histograms"]) == 9 and history_of(unread)["hardest_variants"] == []
    own = train(given={"data_collator": Unreadable(collator), "processing_class": tokenizer})
    without_class = train(given={"data_collator": collator})
    assert len(history_of(own)["hardest_variants"]) == len(history_of(without_class)["hardest_variants"]) == 20


def test_losses_that_are_no_numbers_are_left_out():
    hardest = HardestVariants(3)
    losses = torch.tensor([[0.0, torch.nan, 1.0], [0.0, torch.inf, torch.nan], [0.0, 2.0, 3.0]])
    ids = torch.arange(9).view(3, 3, 1)
    mask = torch.tensor([[True, True, True], [True, True, True], [True, True, False]])
    hardest.add(ids, None, losses, losses, mask, step=7)
    found = [(one["loss"], one["step"], one["original"], one["variant"]) for one in hardest.pop()]
    assert found == [(2.0, 7, [6], [7]), (1.0, 7, [0], [2])] and hardest.pop() == []


def test_a_run_that_is_pushed_keeps_no_texts(train, capsys):
    class Pushed(MMELTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.args.push_to_hub = True  # without a repository

    history = history_of(train(cls=Pushed, show_variants=1, num_train_epochs=1))
    assert history["hardest_variants"] == [] and len(history["weight_histograms"]) == 4
    assert "Hardest variants" in capsys.readouterr().out


# Shown


def test_the_hardest_variants_are_shown_at_the_end_of_each_epoch(train, capsys):
    trainer = train(show_variants=3)
    entries = history_of(trainer)["hardest_variants"]
    lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
    assert len(lines) == 2 * (1 + 2 * 3)
    for epoch in (0, 1):
        title, *shown = lines[7 * epoch : 7 * epoch + 7]
        assert title == f"Hardest variants of epoch {epoch + 1}:"
        for i in range(3):
            entry, (figures, text) = entries[10 * epoch + i], shown[2 * i : 2 * i + 2]
            assert figures == (
                f"  label {entry['label']}, weight {entry['weight']:.3g}, loss {entry['loss']:.3g} "
                f"(original {entry['loss_original']:.3g})"
            )
            assert "[-" in text and "{+" in text


def test_words_are_marked_by_colours_on_a_terminal(train, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    train(show_variants=1, num_train_epochs=1)
    assert "\033[32m" in capsys.readouterr().out


def test_nothing_is_shown_unless_it_is_asked_for(train, capsys):
    train()
    assert "Hardest variants" not in capsys.readouterr().out


def test_the_history_is_found_where_a_user_has_given_one(train):
    history = VariantHistory()
    trainer = train(callbacks=[history], num_train_epochs=1)
    found = [entry for entry in trainer.callback_handler.callbacks if isinstance(entry, VariantHistory)]
    assert found == [history] and len(history.hardest_variants) == NUM_HARDEST
