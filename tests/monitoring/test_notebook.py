"""What a notebook shows of a training run: the table of losses, and the hardest variants."""

import re
import sys
from html import escape
from types import ModuleType

import pytest
from conftest import SENTENCES, make_model
from datasets import Dataset
from transformers import Trainer

from hf_mmel import MMELTrainer
from hf_mmel.monitoring.showing import show_variants


MODULES = ("transformers.utils.notebook", "hf_mmel.monitoring.notebook_table")  # import IPython
TITLES = {
    "Loss Original": "mmel/loss_original",
    "Loss Variants": "mmel/loss_variants",
    "Max Weight": "mmel/max_weight",
    "Effective Num Variants": "mmel/effective_num_variants",
    "Variants Per Second": "mmel/variants_per_second",
}
ROW = {"epoch": 2.0, "step": 7, "label": "bad", "weight": 0.25, "loss": 1.5, "loss_original": 0.125}
ROW |= {"original": "an <odd> film", "variant": "an <old> film"}


class Handle:
    """What `display` returns for an output that changes."""

    def __init__(self, outputs):
        self.outputs, self.place = outputs, len(outputs) - 1

    def update(self, content):
        self.outputs[self.place] = content


@pytest.fixture
def outputs(monkeypatch):
    """A notebook, whose display is a stand-in of IPython's: the outputs of a cell, each as it was updated last."""
    shown = []

    def display(content, display_id=False, raw=False):
        shown.append(content)
        return Handle(shown) if display_id else None

    module, package = ModuleType("IPython.display"), ModuleType("IPython")
    module.display, module.HTML, package.display = display, str, module
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    for name in MODULES:
        sys.modules.pop(name, None)
    from transformers.utils.notebook import NotebookProgressCallback

    monkeypatch.setattr("transformers.trainer.DEFAULT_PROGRESS_CALLBACK", NotebookProgressCallback)
    monkeypatch.setattr("hf_mmel.monitoring.showing.is_in_notebook", lambda: True)
    yield shown
    for name in MODULES:
        sys.modules.pop(name, None)


def table(html):
    """The rows of the table in an output, the titles first."""
    rows = re.findall(r"<tr.*?</tr>", html, flags=re.DOTALL)
    return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in rows]


@pytest.fixture
def make(arguments, tokenizer, augmenter):
    rows = Dataset.from_list([{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES)])

    def make(cls=MMELTrainer, callbacks=None, **fields):
        fields = {"num_train_epochs": 2, "logging_steps": 2, "per_device_train_batch_size": 3, **fields}
        given = {"augmenter": augmenter} if issubclass(cls, MMELTrainer) else {}
        args = arguments(disable_tqdm=False, **fields)
        return cls(make_model(tokenizer), args, None, rows, rows, tokenizer, callbacks=callbacks, **given)

    return make


def losses(trainer):
    return [log for log in trainer.state.log_history if "loss" in log]


def columns(log):
    return [f"{log[name]:.6f}" for name in TITLES.values()]


def test_the_table_shows_the_metrics_of_the_variants_beside_each_training_loss(outputs, make):
    trainer = make()
    trainer.train()
    logs = losses(trainer)
    assert len(outputs) == 1 and len(logs) == 3
    lines = [[str(log["step"]), f"{log['loss']:.6f}", *columns(log)] for log in logs]
    assert table(outputs[0]) == [["Step", "Training Loss", *TITLES], *lines]


@pytest.mark.parametrize("strategy", ["steps", "epoch"])
def test_with_evaluation_the_table_shows_those_of_the_latest_training_loss(outputs, make, strategy):
    trainer = make(eval_strategy=strategy, eval_steps=3, logging_steps=1)
    trainer.train()
    titles, *lines = table(outputs[0])
    assert titles[:3] == [strategy.capitalize().removesuffix("s"), "Training Loss", "Validation Loss"]
    assert titles[-5:] == list(TITLES) and len(outputs) == 1
    latest = [log for log in losses(trainer) if log["step"] in (3, 6)]
    assert [line[-5:] for line in lines] == [columns(log) for log in latest]
    assert [line[1] for line in lines] == [f"{log['loss']:.6f}" for log in latest]


def test_a_metric_that_comes_later_adds_a_column(outputs, make):
    class LeavesOut(MMELTrainer):
        def log(self, logs, start_time=None):
            if self.state.global_step == 4:
                logs["mmel/left_out"] = 7
            super().log(logs, start_time)

    make(LeavesOut).train()
    titles, *lines = table(outputs[0])
    assert titles[-1] == "Left Out" and [len(line) for line in lines] == [7, 8, 8]
    assert [line[-1] for line in lines[1:]] == ["7", "No Log"]


@pytest.mark.parametrize("fields", [{}, {"eval_strategy": "epoch"}])
def test_the_table_of_a_run_without_variants_is_the_stock_one(outputs, make, fields):
    for cls in (MMELTrainer, Trainer):
        make(cls, mmel_loss="none", **fields).train()
    ours, stock = map(table, outputs)
    assert ours == stock and len(stock) >= 3


def test_evaluation_without_training_shows_the_stock_table(outputs, make):
    make().evaluate()
    assert table(outputs[-1])[0][:2] == ["Training Loss", "Validation Loss"]


def test_only_the_stock_table_is_replaced(outputs, make):
    from transformers.utils.notebook import NotebookProgressCallback

    class OwnTable(NotebookProgressCallback):
        pass

    make(callbacks=[OwnTable()]).train()
    assert [table(output)[0][2:] for output in outputs] == [[], list(TITLES)]


def test_the_table_is_removed_by_the_stock_ones_name(outputs, make):
    from transformers.utils.notebook import NotebookProgressCallback

    trainer = make()
    trainer.remove_callback(NotebookProgressCallback)
    trainer.train()
    assert outputs == []


# The hardest variants


def test_the_hardest_variants_are_displayed_as_a_table_at_the_end_of_each_epoch(outputs, make, capsys):
    trainer = make(show_variants=2)
    trainer.train()
    _, *epochs = outputs  # the first is the table of losses
    hardest = trainer.state.stateful_callbacks["VariantHistory"]["attributes"]["hardest_variants"]
    assert len(epochs) == 2 and "Hardest" not in capsys.readouterr().out
    for epoch, output in enumerate(epochs, start=1):
        assert f"<p>Hardest variants of epoch {epoch}:</p>" in output["text/html"]
        titles, *lines = table(output["text/html"])
        assert titles == ["Label", "Weight", "Loss", "Loss Original", "Variant"]
        rows = [row for row in hardest if row["epoch"] == epoch][:2]
        for line, row in zip(lines, rows, strict=True):
            numbers = [f"{row[name]:.3g}" for name in ("weight", "loss", "loss_original")]
            assert line[:4] == [escape(row["label"]), *numbers]
            assert re.sub(r"<del>.*?</del> |</?ins>", "", line[4]) == row["variant"]


def test_texts_are_escaped_and_changed_words_are_marked(outputs):
    show_variants([ROW])
    (output,) = outputs
    assert table(output["text/html"])[1][-1] == "an &lt;<del>odd</del> <ins>old</ins>&gt; film"


def test_a_notebook_without_html_has_the_lines_of_the_terminal(outputs, monkeypatch, capsys):
    show_variants([ROW])
    monkeypatch.setattr("hf_mmel.monitoring.showing.is_in_notebook", lambda: False)
    show_variants([ROW])
    (output,) = outputs
    assert output["text/plain"] == capsys.readouterr().out.rstrip("\n")


def test_without_labels_there_is_no_column_for_them(outputs):
    show_variants([{**ROW, "label": None}])
    assert table(outputs[0]["text/html"])[0][0] == "Weight"
