"""The benchmark of large datasets: what it computes, and a small run."""

import json
import os

import psutil
import pytest
from pyarrow import parquet

from benchmarks import scale


@pytest.fixture
def no_data(monkeypatch):
    monkeypatch.setattr(
        scale, "sentences", lambda data: iter(f"The movie number {i} was awful ." for i in range(10**6))
    )


def test_speed_leaves_out_the_first_part_of_each_worker():
    assert scale._steady_speed([(8.0, 4), (5.0, 10), (6.0, 10)], 1) == pytest.approx(14 / 3, abs=0.05)
    assert scale._steady_speed([(5.0, 10), (5.0, 10), (6.0, 10), (7.0, 10)], 2) == 10
    assert scale._steady_speed([(5.0, 10)], 1) is None


def test_efficiency_is_the_speed_of_two_over_twice_that_of_one():
    speeds = {"one process": {"rows_per_second": 100.0}, "2 shares": {"rows_per_second": 150.0}}
    assert scale.efficiency_of("2 shares", speeds) == 0.75
    assert scale.efficiency_of("one process", speeds) is None


def test_an_estimate_multiplies_workers_and_price():
    assert scale.estimate(1000, 64, 0.05, num_rows=64_000 * 3600 * 2) == "2.0 hours, 6.40 dollars"


def test_the_input_has_as_many_rows_as_asked_and_is_written_once(no_data, tmp_path):
    path = tmp_path / "in.parquet"
    scale.write_input(path, "data", 10_500)
    scale.write_input(path, "data", 3)
    table = parquet.read_table(path)
    assert table.num_rows == 10_500 and table.schema.names == ["text", "label"]
    assert len(set(table["text"].to_pylist())) == 10_500


def test_texts_beyond_the_dataset_have_its_words_and_lengths(monkeypatch):
    texts = ["a b c d", "e f"]
    monkeypatch.setattr("datasets.load_dataset", lambda *args, **kwargs: {"sentence": texts})
    made = [text for text, _ in zip(scale.sentences("data"), range(4), strict=False)]
    assert made == ["a b c d", "e f", "a b f", "e c d"]


def test_processes_that_have_ended_count_with_the_time_they_were_last_seen_with():
    watch = scale.Watch()
    watch.look([psutil.Process(os.getpid())])
    seen, peak = watch.cpu_seconds, watch.peak_bytes
    watch.look([])
    assert 0 < seen == watch.cpu_seconds and 0 < peak == watch.peak_bytes


@pytest.mark.integration
def test_a_small_run_measures_what_is_missing(no_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(scale, "WAYS", {name: scale.WAYS[name] for name in ("one process", "2 shares")})
    results = tmp_path / "results.jsonl"
    argv = ["--augmenter=typos", "--num_rows=60", "--memory_rows", "20", "--rows_per_part=10", "--num_variants=2"]
    argv += ["--memory_augmenter=typos", f"--work_dir={tmp_path}", f"--results={results}"]
    assert scale.main(argv) == 0
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert [(line["figure"], line["way"], line["rows"]) for line in lines] == [
        ("speed", "one process", 60),
        ("speed", "2 shares", 60),
        ("memory", "one process", 20),
    ]
    assert all(line["peak_mb"] > 50 and line["variants_per_cpu_second"] > 0 for line in lines)
    assert "| 2 shares |" in capsys.readouterr().out
    assert scale.main(argv) == 0 and len(results.read_text().splitlines()) == 3
