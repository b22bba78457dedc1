"""Augmentation on a small Ray cluster of this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import SENTENCES
from pyarrow import parquet

from augment import LexiconSubstitution, variants_of_shard
from augment.parts.job import PartJob
from augment.parts.rows import VariantRows
from augment.parts.source import Source
from augment.ray_data import AddVariants, write_parts
from augment.registry import augmenter_config


ray = pytest.importorskip("ray", reason="the tests of Ray need the extra `ray`")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TEXTS = [text for text in SENTENCES if "superb" not in text] * 5
DEADLY = 17


@pytest.fixture(scope="module")
def cluster():
    """Room for two workers, and for the tasks that shuffle rows."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}"}
    ray.init(
        "local",
        num_cpus=4,
        object_store_memory=100 << 20,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": paths},
    )
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture
def make_job(tokenizer, tmp_path, monkeypatch):
    """
    Makes a job with a new folder. `text` is that of row `DEADLY`; options are arguments of `Unlucky`. All names are
    relative to a folder in which the cluster was not started.
    """
    monkeypatch.chdir(tmp_path)
    tokenizer.save_pretrained("tokenizer")

    def make(folder="out", text="a superb film", **options):
        texts = [*TEXTS[:DEADLY], text, *TEXTS[DEADLY:]]
        parquet.write_table(pa.table({"text": texts}), "in.parquet")
        own_class = "ray_augmenters:Unlucky"
        return PartJob(
            Source("in.parquet", ["text"]),
            folder,
            VariantRows(("text",), 2, 7),
            augmenter_config(own_class, **options),
            "tokenizer",
            own_class,
            rows_per_part=5,
        )

    return make


def parts_of(job):
    paths = sorted(job.folder.path.glob("part-*"))
    return {path.name: path.read_bytes() for path in paths if path.suffix == ".parquet"}


@pytest.mark.parametrize(("batch_format", "num_blocks", "num_workers"), [("pyarrow", 1, 1), ("default", 5, 2)])
def test_variants_do_not_depend_on_blocks_order_and_workers(
    cluster, tokenizer, tmp_path, batch_format, num_blocks, num_workers
):
    augmenter = LexiconSubstitution(tokenizer, {"movie": ["film"], "awful": ["terrible", "dreadful"]})
    ids = list(range(len(TEXTS)))
    dataset = ray.data.from_arrow(pa.table({"id": ids, "text": TEXTS})).random_shuffle(seed=num_blocks)
    dataset = dataset.repartition(num_blocks).map_batches(
        AddVariants,
        fn_constructor_kwargs={"augmenter": augmenter.to_dict(), "tokenizer": tokenizer, "index_column": "id"},
        batch_format=batch_format,
        batch_size=4,
        concurrency=num_workers,
    )
    dataset.write_parquet(str(tmp_path / "out"))
    table = parquet.read_table(tmp_path / "out").sort_by("id")
    assert table.schema.field("variants").type == pa.list_(pa.field("element", pa.string()))
    expected = variants_of_shard({"text": TEXTS}, ids, augmenter=augmenter)["variants"]
    assert table.to_pydict() == {"id": ids, "text": TEXTS, "variants": expected}


def test_the_pipeline_of_the_docs_runs(cluster, tokenizer, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    (code,) = [block for block in page.split("```\n") if "read_parquet(" in block]
    monkeypatch.chdir(tmp_path)
    tokenizer.save_pretrained("tokenizer")
    Path("reviews").mkdir()
    parquet.write_table(pa.table({"id": range(len(TEXTS)), "text": TEXTS}), "reviews/0.parquet")
    for name, found in {"reviews/": "reviews", "augmented/": "augmented", "bert-base-uncased": "tokenizer"}.items():
        assert f'"{name}"' in code
        code = code.replace(f'"{name}"', repr(str(tmp_path / found)))
    code = code.replace('"synonyms"', '"punctuate"').replace("concurrency=4", "concurrency=1")
    exec(compile(code, "scale.md", "exec"), {})
    assert all(parquet.read_table("augmented")["variants"].to_pylist())


def test_a_killed_worker_loses_and_doubles_no_part(cluster, make_job, tmp_path):
    marker = tmp_path / "killed"
    job = make_job(marker=str(marker))
    numbers = job.missing()
    assert len(numbers) == 9 and sorted(write_parts(job, numbers, 2)) == numbers
    assert marker.exists() and job.missing() == []
    alone = make_job("alone", marker=str(marker))
    for number in numbers:
        alone.write(number)
    names = set(job.folder.settings) - {"augmenter"}
    assert {name: job.folder.settings[name] for name in names} == {name: alone.folder.settings[name] for name in names}
    assert parts_of(job) == parts_of(alone)


def test_a_part_whose_worker_dies_again_and_again_is_named(cluster, make_job):
    job = make_job()
    with pytest.raises(RuntimeError) as caught:
        list(write_parts(job, job.missing(), 1))
    assert "The worker of part 3 died 3 times, probably out of memory; " in str(caught.value)
    assert str(caught.value).endswith("run the same command again to continue.")
    assert "\n" not in str(caught.value) and 3 in job.missing()


def test_an_error_of_a_worker_has_its_own_message(cluster, make_job):
    job = make_job(text=None)
    with pytest.raises(RuntimeError, match=r"in\.parquet, column 'text', row 17 \(from 0\) is None; expected text\.$"):
        list(write_parts(job, job.missing(), 1))


def test_a_class_that_workers_cannot_import_is_named(cluster, make_job, monkeypatch):
    job = make_job(text="a film")
    monkeypatch.setattr(job, "own_class", "nowhere:Unlucky")
    with pytest.raises(RuntimeError, match=r"^The augmenter is 'nowhere:Unlucky', but the module nowhere cannot be"):
        list(write_parts(job, job.missing(), 1))


def test_the_command_starts_a_cluster_and_sends_your_class(make_job, tmp_path):
    job = make_job(text="a film")
    for number in job.missing():
        job.write(number)
    source = (Path(__file__).parent / "ray_augmenters.py").read_text(encoding="utf-8")
    (tmp_path / "my_augmenters.py").write_text(source, encoding="utf-8")
    options = "--augmenter my_augmenters:Unlucky --tokenizer tokenizer --num_variants 2 --seed 7 --rows_per_part 5"
    done = subprocess.run(
        [sys.executable, "-m", "augment", "write", "in.parquet", "mine/", *options.split(), "--engine", "ray"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    noise = "has constructor arguments in the object store"  # a line of Ray's core about all actors of Ray Data
    assert [line for line in done.stderr.splitlines() if noise not in line] == []
    assert done.stdout.startswith("mine/: ") and "of 41 examples in 9 parts" in done.stdout
    assert {path.name: path.read_bytes() for path in (tmp_path / "mine").glob("part-*.parquet")} == parts_of(job)
