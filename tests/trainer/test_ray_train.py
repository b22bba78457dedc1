"""Training in two CPU workers of Ray Train equals training in one process."""

import json
import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import torch
from conftest import make_model, make_tokenizer
from scripts.train_stream import assert_same_training, numbers_of, train_on, write_parts


ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow  # it starts Ray

ROOT = Path(__file__).parents[2]
WAYS = ["dataset", "shard"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What each worker found, and the checkpoint that Ray Train kept."""
    folder = tmp_path_factory.mktemp("ray")
    (folder / "data").mkdir()
    files = write_parts(folder / "data", [6, 6, 6, 6])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        import ray.data
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer
        from scripts.train_with_ray import train

        paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "augment")]
        environment = {"PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        options = {"include_dashboard": False, "log_to_driver": False, "runtime_env": {"env_vars": environment}}
        ray.init(num_cpus=4, object_store_memory=100 * 2**20, **options)
        try:
            fitted = TorchTrainer(
                train,
                train_loop_config={
                    "files": files,
                    "cache_dir": str(folder / "cache"),
                    "output_dir": str(folder),
                    "documented": documented(folder),
                },
                datasets={"train": ray.data.read_parquet(str(folder / "data"))},
                scaling_config=ScalingConfig(num_workers=2, use_gpu=False),
                run_config=RunConfig(name="run", storage_path=str(folder / "store")),
            ).fit()
        finally:
            ray.shutdown()
    found = [torch.load(folder / f"results{worker}.pt", weights_only=False) for worker in range(2)]
    return found, fitted, folder


def documented(folder: Path):
    """The function that the docs give to `TorchTrainer`, with a tiny model and few steps."""
    tokenizer = make_tokenizer("wordpiece")
    make_model(tokenizer).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    page = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(import ray.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    code = code.replace("bert-base-uncased", str(folder / "model")).replace("variants/", str(folder / "data"))
    code = code.replace("outputs/ray", str(folder / "documented")).replace(
        "max_steps=10_000", "max_steps=1, logging_steps=1"
    )
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.train.torch.TorchTrainer", MagicMock())
        exec(compile(code, "running.md", "exec"), names)
    return names["train"]


@pytest.mark.parametrize("way", WAYS)
def test_each_row_is_trained_on_once_in_a_pass(results, way):
    first, second = (numbers_of(found[way]["batches"]) for found in results[0])
    for start in (0, 12):
        assert sorted([*first[start : start + 12], *second[start : start + 12]]) == list(range(24))


@pytest.mark.parametrize("way", WAYS)
def test_two_workers_equal_one_process(results, tmp_path, way):
    read = [numbers_of(found[way]["batches"]) for found in results[0]]
    reference = train_on(str(tmp_path), read, per_pass=24, max_steps=6)
    for found in results[0]:
        assert_same_training(reference, found[way])
        assert found[way]["num_threads"] == 1
    assert sum(found[way]["num_variants"] for found in results[0]) == reference.num_variants > 0


def test_ray_has_the_last_checkpoint_and_its_metrics(results):
    found, fitted, _ = results
    assert fitted.metrics["mmel/loss_variants"] == found[0]["shard"]["logs"][-2]["mmel/loss_variants"]
    with fitted.checkpoint.as_directory() as folder:
        assert (Path(folder) / "checkpoint" / "model.safetensors").is_file()


def test_the_documented_function_trains_on_variants(results):
    state = json.loads((results[2] / "documented" / "checkpoint-1" / "trainer_state.json").read_text())
    assert state["log_history"][0]["mmel/effective_num_variants"] > 1.5
