"""The study of accuracy: what it runs, for how long, and that it runs nothing twice."""

import pytest
from transformers import HfArgumentParser

from benchmarks import step_accuracy
from hf_mmel import MMELTrainingArguments


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


@pytest.fixture
def study(tmp_path, monkeypatch, capsys):
    """Runs the study with made-up results: `study(*options)` gives the arguments of its runs and its table."""

    def main(*options):
        runs = []

        def run(arguments):
            runs.append(dict(zip(arguments[::2], arguments[1::2], strict=False)))
            how = arguments[len(arguments) - 1 - arguments[::-1].index("--variant_backward") + 1]
            return {"accuracy": 0.5 + int(runs[-1]["--seed"]) / 100, "seconds": {"full": 300.0, "top": 100.0}[how]}

        monkeypatch.setattr(step_accuracy, "run", run)
        monkeypatch.setattr("sys.argv", ["step_accuracy", "--model", "m", "--work_dir", str(tmp_path), *options])
        assert step_accuracy.main() == 0
        return runs, capsys.readouterr().out.splitlines()[2:]

    return main


WAYS = ("--tasks", "rte", "--ways", "full K=4", "top K=4", "top K=4 in the time of full K=4")


def test_as_many_epochs_as_take_the_time_of_another_way(study):
    runs, table = study("--seeds", "1", "3", *WAYS)
    assert [(run["--seed"], float(run["--num_train_epochs"])) for run in runs] == [
        *(("1", epochs) for epochs in (3, 3, 9)),
        *(("3", epochs) for epochs in (3, 3, 9)),
    ]
    assert table == [
        "| rte | full K=4 | 52.0 ± 1.4 | 51.0, 53.0 | 300 |",
        "| rte | top K=4 | 52.0 ± 1.4 | 51.0, 53.0 | 100 |",
        "| rte | top K=4 in the time of full K=4 | 52.0 ± 1.4 | 51.0, 53.0 | 100 |",
    ]


def test_what_was_run_is_not_run_again(study):
    _, table = study("--seeds", "1", *WAYS)
    runs, again = study("--seeds", "1", *WAYS)
    assert runs == [] and again == table
    runs, _ = study("--seeds", "1", "2", *WAYS)
    assert {run["--seed"] for run in runs} == {"2"}
    assert len(study("--seeds", "1", "--epochs", "2", *WAYS)[0]) == 3


def test_a_way_that_there_is_not_is_refused(study, capsys):
    with pytest.raises(SystemExit):
        study("--ways", "top K=5")
    assert "--ways has 'top K=5'; expected some of plain, full K=4" in capsys.readouterr().err


def test_every_way_is_one_that_the_command_takes():
    for options in step_accuracy.WAYS.values():
        HfArgumentParser(MMELTrainingArguments).parse_args_into_dataclasses(
            ["--output_dir", "out", "--use_cpu", "--mmel_loss", "hard", *options]
        )
