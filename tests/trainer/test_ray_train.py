"""Training in two CPU workers of Ray Train equals training in one process."""

from pathlib import Path

import pytest
import torch
from scripts.train_stream import assert_same_training, numbers_of, train_on, write_parts


ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow  # it starts Ray

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

        root = Path(__file__).parents[2]
        paths = [str(root), str(root / "tests"), str(root / "tests" / "augment")]
        environment = {"PYTHONPATH": ":".join(paths), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        options = {"include_dashboard": False, "log_to_driver": False, "runtime_env": {"env_vars": environment}}
        ray.init(num_cpus=2, object_store_memory=100 * 2**20, **options)
        try:
            fitted = TorchTrainer(
                train,
                train_loop_config={"files": files, "cache_dir": str(folder / "cache"), "output_dir": str(folder)},
                datasets={"train": ray.data.read_parquet(str(folder / "data"))},
                scaling_config=ScalingConfig(num_workers=2, use_gpu=False, resources_per_worker={"CPU": 0.5}),
                run_config=RunConfig(name="run", storage_path=str(folder / "store")),
            ).fit()
        finally:
            ray.shutdown()
    found = [torch.load(folder / f"results{worker}.pt", weights_only=False) for worker in range(2)]
    return found, fitted


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
    found, fitted = results
    assert fitted.metrics["mmel/loss_variants"] == found[0]["shard"]["logs"][-2]["mmel/loss_variants"]
    with fitted.checkpoint.as_directory() as folder:
        assert (Path(folder) / "checkpoint" / "model.safetensors").is_file()
