"""The benchmark of training steps: what it compares, how it times, and what it keeps."""

from itertools import chain, repeat
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.step_cost import LEAST_PAIRS, Measured, draw, lines, ratio_of, time_pairs
from benchmarks.steps.comparisons import (
    MEMORY,
    PLAIN,
    TIME,
    Comparison,
    Configuration,
    adversarial,
    adversaries,
    aims,
    chunked,
    comparisons,
    compilations,
    full,
    picture,
    top,
)
from benchmarks.steps.measuring import Bench, Setting, as_examples, make_batch


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    torch.manual_seed(0)
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    folder = tmp_path_factory.mktemp("model")
    BertForSequenceClassification(config).save_pretrained(folder)
    return Setting(str(folder), batch_size=3, length=6, device="cpu")


@pytest.mark.parametrize(
    ("configuration", "scored", "trained"),
    [
        (PLAIN, [], [3]),
        (Configuration("stock", 4), [], [15]),
        (full("hard", 4), [], [15]),
        (full("soft", 4), [], [15]),
        (top("hard", 4, False), [15], [3]),
        (top("soft", 4, True), [15], [6]),
        (chunked("hard", 4, False), [], [5, 5, 5]),
        (adversarial("hard", 2), [], [3, 3, 6]),
        (adversarial("soft", 1), [], [6, 6]),
    ],
    ids=lambda value: value.name if isinstance(value, Configuration) else None,
)
def test_a_step_trains_on_the_rows_that_its_name_says(setting, configuration, scored, trained):
    bench, rows = Bench(setting, [configuration]), {False: [], True: []}
    before = bench.model.classifier.weight.detach().clone()
    bench.model.register_forward_pre_hook(
        lambda module, args, kwargs: rows[torch.is_grad_enabled()].append(len(kwargs["input_ids"])), with_kwargs=True
    )
    assert bench.step(configuration) > 0
    assert rows == {False: scored, True: trained}
    assert not torch.equal(bench.model.classifier.weight, before)
    assert all(weight.grad is None for weight in bench.model.parameters())


def test_compiled_scoring_is_timed_once_it_is_compiled(setting, monkeypatch):
    compile, bench_steps = torch.compile, []
    monkeypatch.setattr(torch, "compile", lambda model, **options: compile(model, backend="eager"))
    comparison = compilations()[0]
    bench = Bench(setting, [comparison.ours, comparison.baseline])
    step = bench.step
    bench.step = lambda side, number: bench_steps.append(side) or step(side, number)
    torch._dynamo.utils.counters.clear()
    figure = time_pairs(bench, comparison, seconds=0)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1  # of rows of one length
    assert bench_steps[:2] == [comparison.ours] * 2 and figure["pairs"] == LEAST_PAIRS
    assert comparison.name == "time: hard top K=8 bfloat16 compiled / hard top K=8 bfloat16"


def test_the_baseline_has_the_same_sequences(setting):
    groups = make_batch(setting, 4, number=1)
    examples = as_examples(groups)
    assert examples["input_ids"].shape == (15, 6) and "variant_mask" not in examples
    assert torch.equal(examples["input_ids"], groups["input_ids"].flatten(0, 1))
    assert torch.equal(examples["labels"], groups["labels"].repeat_interleave(5))
    absent = {**groups, "variant_mask": groups["variant_mask"].clone()}
    absent["variant_mask"][1, 2:] = False
    assert len(as_examples(absent)["input_ids"]) == len(as_examples(absent)["labels"]) == 12


def test_a_ratio_of_times_is_the_median_over_pairs():
    comparison, order = Comparison(TIME, full("hard", 1), PLAIN), []
    times = {comparison.ours: chain([2.0, 30.0], repeat(4.0)), PLAIN: chain([1.0, 10.0], repeat(1.0))}

    def step(configuration, number):
        order.append(configuration)
        return next(times[configuration])

    figure = time_pairs(SimpleNamespace(step=step), comparison, seconds=0)
    assert figure["pairs"] == LEAST_PAIRS == 3
    assert (figure["least"], figure["ratio"], figure["most"]) == (2.0, 3.0, 4.0)  # 2 of 1, 30 of 10, 4 of 1
    assert order == [PLAIN, comparison.ours, comparison.ours, PLAIN, PLAIN, comparison.ours]


def test_figures_are_kept_by_setting(setting, tmp_path):
    path, other = tmp_path / "results.jsonl", Setting(None, 8, 64, "cpu")
    Measured(path, setting, fresh=False).add("a", {"ratio": 1.0})
    Measured(path, other, fresh=False).add("a", {"ratio": 2.0})
    assert Measured(path, setting, fresh=False).figures == {"a": {"ratio": 1.0}}
    assert Measured(path, setting, fresh=True).figures == {}


def test_memory_is_the_peak_over_the_steps(setting, monkeypatch):
    bench = Bench(setting, [PLAIN])
    monkeypatch.setattr(bench, "step", lambda configuration, number: torch.ones(25_000_000).sum())
    assert 99e6 <= bench.peak_memory(PLAIN) < 150e6


def test_ratios_of_memory_share_their_configurations():
    comparison = Comparison(MEMORY, full("hard", 8), PLAIN)
    figures = {"memory: hard full K=8": {"bytes": 300}}
    assert ratio_of(comparison, figures) is None
    assert ratio_of(comparison, {**figures, "memory: plain": {"bytes": 100}}) == 3.0


def test_what_is_drawn_and_aimed_at_is_measured_once():
    names = [comparison.name for comparison in comparisons(for_picture=True)]
    assert len(set(names)) == len(names) and {c.name for c in [*aims(), *adversaries(), *picture()]} == set(names)
    assert all(comparison.target for comparison in aims())


def test_the_picture_has_all_that_was_measured(tmp_path):
    figures = {c.name: {"ratio": 2.0} for c in picture() if c.quantity == TIME and c.ours.num_variants <= 4}
    panels = {"Time": lines(TIME, figures), "Memory": lines(MEMORY, {})}
    assert {name: len(line) for name, line in panels["Time"].items()}["full"] == 3
    draw(tmp_path / "steps.svg", panels)
    curves = [group for group in ElementTree.parse(tmp_path / "steps.svg").iter() if group.get("clip-path")]
    points = [len([part for part in group if part.tag.endswith("use")]) for group in curves]
    # Four kinds of steps, and in both panels the line of the originals.
    assert sorted(filter(None, points)) == [3, 3, 3, 3, 6, 6]
