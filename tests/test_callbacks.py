"""What is seen of a training while it runs: the progress bar."""

import re

import pytest
from conftest import make_model
from transformers import PrinterCallback, ProgressCallback, Trainer

from hf_mmel import MMELTrainer
from hf_mmel.callbacks import _SHOWN_IN_BAR, VariantProgressCallback


@pytest.fixture
def make(arguments, tokenizer, dataset, augmenter):
    def make(callbacks=None, cls=MMELTrainer, **fields):
        args = arguments(max_steps=4, logging_steps=2, per_device_train_batch_size=4, **fields)
        given = {"augmenter": augmenter} if cls is MMELTrainer else {}
        model = make_model(tokenizer)
        return cls(model, args, None, dataset, dataset, tokenizer, callbacks=callbacks, **given)

    return make


def bars(trainer):
    bars = (ProgressCallback, PrinterCallback)
    return [callback for callback in trainer.callback_handler.callbacks if isinstance(callback, bars)]


def test_the_bar_shows_the_figures_of_the_latest_log(make, capsys):
    trainer = make(disable_tqdm=False, show_variants=2, eval_strategy="steps", eval_steps=2)
    trainer.train()
    out, err = capsys.readouterr()
    logs = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert len(logs) == 2
    for log in logs:
        postfix = ", ".join(f"{name}={log[key]:.3g}" for name, key in _SHOWN_IN_BAR.items())
        assert f", {postfix}]" in err
    assert out.count("'loss'") == 2 and out.count("Hardest variants of epoch") == 2  # lines of their own
    assert all(re.match(r"\{|Hardest|  label|    |$", line) for line in out.splitlines())


def test_only_the_stock_bar_is_replaced(make):
    class OwnBar(ProgressCallback):
        pass

    own = OwnBar()
    assert [type(bar) for bar in bars(make([own], disable_tqdm=False))] == [OwnBar, VariantProgressCallback]
    (given,) = bars(make([ProgressCallback(max_str_len=7)], disable_tqdm=False))[:1]
    assert type(given) is VariantProgressCallback and given.max_str_len == 7
    assert [type(bar) for bar in bars(make(disable_tqdm=True))] == [PrinterCallback]


def test_a_default_bar_of_another_kind_is_left_alone(make, monkeypatch):
    class OtherBar(PrinterCallback):
        pass

    monkeypatch.setattr("transformers.trainer.DEFAULT_PROGRESS_CALLBACK", OtherBar)
    assert [type(bar) for bar in bars(make(disable_tqdm=False))] == [OtherBar]


def test_the_bar_is_removed_by_the_stock_ones_name(make, capsys):
    trainer = make(disable_tqdm=False)
    trainer.remove_callback(ProgressCallback)
    trainer.train()
    assert bars(trainer) == [] and "%|" not in capsys.readouterr().err


def test_the_bar_of_a_training_without_variants_is_the_stock_one(make, capsys):
    texts = []
    for cls in (MMELTrainer, Trainer):
        make(cls=cls, disable_tqdm=False, mmel_loss="none").train()
        _, err = capsys.readouterr()
        texts.append(re.sub(r"\d+:\d+| *[\d.?]+(it/s|s/it)", "", err.rsplit("\r", 1)[-1]))
    assert texts[0] == texts[1] and "4/4" in texts[0]
