"""The check on a GPU: what it says where something is wrong, and each of its parts with tiny models on the CPU."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import BertForMaskedLM

from benchmarks import gpu_check
from benchmarks.gpu import correctness, launches, masked_lm, memory, scaling, times, training, waits
from benchmarks.gpu.encoders import setting
from benchmarks.gpu.report import FAILED, MET, MISSED, OK, Place, Row, at_most, attempt, line
from benchmarks.gpu_check import PARTS, main
from benchmarks.steps.comparisons import PLAIN, full, top


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages

SMALL = ("--device", "cpu", "--small")


@pytest.fixture
def place(tmp_path):
    return Place("cpu", True, tmp_path)


@pytest.fixture
def check(tmp_path, capsys):
    """Runs the check: its exit status, the rows of its file, and what it printed."""

    def check(*argv):
        file = tmp_path / "found.json"
        status = main([*SMALL, "--output", str(file), *argv])
        content = json.loads(file.read_text())
        assert content["torch"] == torch.__version__ and content["seconds"] > 0
        return status, content["rows"], capsys.readouterr().out

    return check


# The parts


@pytest.mark.parametrize("part", PARTS)
def test_every_part_runs_without_a_gpu(check, part):
    status, rows, printed = check("--only", part)
    assert status == 0
    assert rows and all(row["part"] == part and row["figure"] for row in rows)
    assert {row["verdict"] for row in rows} == {OK if PARTS[part].must_hold else ""}
    table = [text for text in printed.splitlines() if text.startswith("|")]
    assert len(table) == len(rows) + 2 and all(text.count("|") == 7 for text in table)
    assert torch.__version__ in printed.splitlines()[0]


def test_all_parts_together_have_six_minutes():
    assert sum(part.seconds for part in PARTS.values()) <= 350  # and the imports


def test_what_is_timed_is_what_the_docs_have_aims_for():
    aims = [comparison.target for comparison in times.COMPARISONS]
    assert sorted(aims) == [0.42, 0.50, 0.55, 1.03, 1.03, 1.2, 1.5, 1.6]
    by_name = {comparison.name: comparison.target for comparison in times.COMPARISONS}
    assert by_name["time: hard top K=4 bfloat16 / plain"] == 1.6
    assert by_name["time: soft top K=8 bfloat16 / soft full K=8"] == 0.55


def test_steps_in_one_pass_may_wait_twice():
    aims = {name: waits.aim_of(fields) for name, fields in correctness.MODES.items()}
    assert aims["hard full"] == aims["soft top"] == aims["hard sample"] == 2
    assert aims["hard, chunks of 2"] == aims["soft, adversary"] == 4


# What is wrong is found


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("hard full", {"mmel_loss": "hard", "lambda_p": 0.4}),
        ("soft full", {"mmel_loss": "hard"}),
        ("hard top", {"mmel_loss": "hard"}),
        ("hard, effective number of 2", {"mmel_loss": "hard", "effective_num_variants": 2.5}),
        ("soft, adversary", {"mmel_loss": "soft"}),
        ("soft, unlabelled rows", {"mmel_loss": "soft", "unlabelled": 3, "lambda_u": 0.0}),
        ("hard, pseudo-labels", {"mmel_loss": "hard", "unlabelled": 3}),
        ("hard, feature separation", {"mmel_loss": "hard", "feature_separation": 0.5}),
        ("hard, chunks of 2", {"mmel_loss": "hard", "learning_rate": 0.0015}),
    ],
)
def test_another_loss_is_not_within_the_tolerance(place, name, wrong, precision):
    expected, found = correctness.reference(place, name), correctness.train(place, "cpu", "float32", **wrong)
    if found.losses.shape != expected.losses.shape:  # without the adversarial variant
        found.losses, found.weights = (torch.nn.functional.pad(x, (0, 1)) for x in (found.losses, found.weights))
    assert correctness.compared(name, found, expected, precision).verdict == FAILED


def test_a_figure_that_is_not_a_number_fails(place):
    expected = correctness.reference(place, "hard full")
    assert correctness.compared("", expected, expected, "float32").verdict == OK
    for name in ("losses", "weights", "gradients", "update"):
        wrong = replace(expected, **{name: getattr(expected, name) * torch.nan})
        assert correctness.compared("", wrong, expected, "bf16").verdict == FAILED
    assert at_most(1.0, 1.0) == MET and at_most(1.1, 1.0) == at_most(float("nan"), 1.0) == MISSED


def test_a_mode_that_ends_with_an_error_fails_alone(place, monkeypatch):
    modes = {"hard full": {"mmel_loss": "hard"}, "wrong": {"mmel_loss": "wrong"}, "soft full": {"mmel_loss": "soft"}}
    monkeypatch.setattr(correctness, "MODES", modes)
    rows = list(correctness.rows(place))
    assert [row.verdict for row in rows] == [OK, OK, FAILED, FAILED, OK, OK]
    assert "expected one of" in rows[2].figure


def broken_scaler(**changes):
    class Scaler(torch.amp.GradScaler):
        def step(self, optimizer, *args, **kwargs):
            return optimizer.step() if changes.get("steps") else super().step(optimizer, *args, **kwargs)

    return lambda device: Scaler(device, **{name: x for name, x in changes.items() if name != "steps"})


@pytest.mark.parametrize(
    ("changes", "found"),
    [({"backoff_factor": 0.9}, "not so: the scale halves"), ({"steps": True}, "word_embeddings.weight is not")],
    ids=["another scale", "a step that is not skipped"],
)
def test_an_overflow_that_is_handled_wrongly_is_found(place, monkeypatch, changes, found):
    monkeypatch.setattr(torch.amp, "GradScaler", broken_scaler(**changes))
    row = attempt("overflow", scaling.overflowing, place, 2)
    assert row.verdict == FAILED and found in row.figure


def test_gradients_that_are_not_unscaled_are_found(place, monkeypatch):
    monkeypatch.setattr("accelerate.Accelerator.unscale_gradients", lambda self, optimizer=None: None)
    assert scaling.clipped(place, "fp16").verdict == FAILED
    assert scaling.clipped(place, "bf16").verdict == OK


def test_a_launch_that_fails_says_why(place, monkeypatch):
    said = "print('run.py: error: no such augmenter'); raise SystemExit(2)"
    monkeypatch.setattr(training, "command", lambda place: [sys.executable, "-c", said])
    (row,) = training.rows(place)
    assert (row.verdict, row.figure) == (FAILED, "status 2: run.py: error: no such augmenter")


def test_a_launch_for_which_packages_are_missing_is_left_out(place, monkeypatch):
    monkeypatch.setattr(training, "find_spec", lambda package: None)
    (row,) = training.rows(place)
    assert row.verdict == "" and "needs evaluate and sklearn" in row.figure


def test_a_training_run_whose_loss_is_not_finite_is_found(place, monkeypatch):
    results = '{"train_loss": NaN}'
    said = f"import os; os.mkdir('out'); open('out/all_results.json', 'w').write('{results}')"
    monkeypatch.setattr(training, "command", lambda place: [sys.executable, "-c", said])
    (row,) = training.rows(place)
    assert row.verdict == FAILED and row.values["status"] == 0


# The program


def test_a_failing_check_of_correctness_fails_the_program(check, monkeypatch):
    def rows(place):
        yield Row("good", "1", verdict=OK)
        yield Row("bad", "2", verdict=FAILED)

    for part in ("correctness", "times"):
        monkeypatch.setattr(f"benchmarks.gpu.{part}.rows", rows)
    status, found, printed = check("--only", "correctness")
    assert status == 1 and [row["check"] for row in found] == ["good", "bad"]
    assert "1 checks and 0 measurements failed" in printed
    status, found, printed = check("--only", "times")
    assert status == 0 and "0 checks and 1 measurements failed" in printed


def test_a_part_that_ends_with_an_error_does_not_stop_the_others(check, monkeypatch):
    def rows(place):
        yield Row("first", "1")
        raise RuntimeError("a kernel\nis missing")

    monkeypatch.setattr("benchmarks.gpu.memory.rows", rows)
    monkeypatch.setattr("benchmarks.gpu.launches.rows", lambda place: iter([Row("last", "3")]))
    status, found, printed = check("--only", "memory", "launches")
    assert status == 0 and [row["check"] for row in found] == ["first", "as a whole", "last"]
    assert "| memory | as a whole | RuntimeError: a kernel is missing |  | FAILED |" in printed


def test_a_part_stops_at_its_limit_and_keeps_its_rows(check, monkeypatch):
    def rows(place):
        yield Row("first", "1")
        try:
            time.sleep(30)
        except Exception:
            pytest.fail("it is no error that a library may handle")

    monkeypatch.setattr("benchmarks.gpu.correctness.rows", rows)
    monkeypatch.setitem(PARTS, "correctness", PARTS["correctness"]._replace(seconds=0.2))
    start = time.monotonic()
    status, found, _ = check("--only", "correctness")
    assert time.monotonic() - start < 10
    assert status == 1 and [row["check"] for row in found] == ["first", "as a whole"]


def test_what_a_part_has_launched_ends_with_its_limit(tmp_path):
    script = "import subprocess; sleep = subprocess.Popen(['sleep', '60']); print(sleep.pid, flush=True); sleep.wait()"
    with pytest.raises(gpu_check.OutOfTime), gpu_check.limit(3.0):
        training.run([sys.executable, "-c", script], tmp_path)
    process = Path("/proc", (tmp_path / "log").read_text().strip(), "stat")
    time.sleep(0.2)
    # Where nobody waits for it, a process that has ended stays as a zombie.
    assert not process.exists() or process.read_text().rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "finds no CUDA device"),
        (["--device", "cpu"], "needs --small"),
        ([*SMALL, "--output", "no/found.json"], "folder does not exist"),
    ],
)
def test_it_refuses_what_it_cannot_do_in_one_sentence(capsys, monkeypatch, argv, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(argv) == 2
    said = capsys.readouterr()
    assert message in said.err and len(said.err.splitlines()) == 1 and not said.out


def test_the_card_and_its_driver_are_named(monkeypatch):
    card = SimpleNamespace(name="NVIDIA X100", total_memory=2**36)
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda device: card)
    monkeypatch.setattr("subprocess.run", lambda *args, **kwargs: SimpleNamespace(stdout="580.1\n580.1\n"))
    found = gpu_check.describe("cuda")
    assert (found["device"], found["driver"]) == ("NVIDIA X100, 64 GiB", "580.1")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    assert gpu_check.driver_version() == "unknown"


def test_a_cell_stays_in_its_line():
    assert line(["a\nb", "c | d", 1]) == "| a b | c / d | 1 |"


# Measurements


def test_a_comparison_that_needs_too_much_memory_is_left_out(monkeypatch):
    class Bench:
        def step(self, configuration):
            raise torch.OutOfMemoryError

    row = times.timed(Bench(), times.COMPARISONS[0], 0.0)
    assert (row.figure, row.verdict, row.aim) == ("out of memory", "", "<= 1.03")


def test_rows_are_as_long_as_those_of_sst2():
    rows = masked_lm.make_rows(list(range(100, 1000)), 2000, first=2, last=3)
    words = sorted(len(row["input_ids"]) - 2 for row in rows)
    assert words[0] >= 1 and words[-1] <= 52 and 6 <= words[1000] <= 8 and 8.5 <= sum(words) / 2000 <= 10.5
    assert all(row["input_ids"][0] == 2 and row["input_ids"][-1] == 3 for row in rows)


def test_the_share_of_the_peak_counts_the_operations_of_the_model(place):
    found = {row.check.split(",")[0].split(" of ")[0]: row.values for row in masked_lm.rows(place)}
    flops = found["share"]["flops_per_row"]
    config = BertForMaskedLM(masked_lm.masked_lm(place, 1000).config).config
    assert flops > 2 * 10 * (4 * config.hidden_size**2)  # at least one pass over ten tokens
    expected = found["table"]["rows_per_second"] * flops / found["bfloat16 peak"]["flops"]
    assert found["share"]["share"] == pytest.approx(expected)


def test_more_passes_launch_more(place):
    bench = launches.Bench(setting(place, 32, 128), [PLAIN, full("hard", 4), top("hard", 4, True)])
    counts = [launches.count(bench, configuration, is_gpu=False) for configuration in bench.trainers]
    assert 0 < counts[0] < counts[1] < counts[2]


def test_memory_is_that_of_a_new_model(place, monkeypatch):
    peaks = {"hard full K=1": 100, "hard full K=32 chunks of 2 bfloat16": 120}
    monkeypatch.setattr(memory, "peak_of", lambda place, configuration: peaks.get(configuration.name, 150))
    rows = list(memory.rows(replace(place, small=False)))
    assert [row.verdict for row in rows] == [MET, MISSED]
    assert [row.values["ratio"] for row in rows] == [1.2, 1.5]
