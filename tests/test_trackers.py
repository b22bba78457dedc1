"""The metrics of the variants in TensorBoard, Weights & Biases and MLflow."""

import pytest
from conftest import make_model
from transformers import TrainerState

from hf_mmel import MMELTrainer


METRICS = ["loss_original", "loss_variants", "max_weight", "effective_num_variants", "variants_per_second"]
Points = dict[str, list[tuple[int, float]]]  # steps and values of each metric


@pytest.fixture
def train(arguments, tokenizer, dataset, augmenter):
    def train(tracker: str) -> TrainerState:
        args = arguments(
            max_steps=4,
            logging_steps=2,
            per_device_train_batch_size=4,
            eval_strategy="steps",
            eval_steps=2,
            report_to=tracker,
        )
        trainer = MMELTrainer(make_model(tokenizer), args, None, dataset, dataset, tokenizer, augmenter=augmenter)
        trainer.train()
        return trainer.state

    return train


def check(points: Points, state: TrainerState, prefix: str) -> None:
    """The tracker has the logged metrics of the variants, and no others of that name, where it has the loss."""
    logs = [log for log in state.log_history if "loss" in log]
    assert len(logs) == 2 and f"{prefix}loss" in points
    assert {name for name in points if "mmel" in name} == {f"{prefix}mmel/{name}" for name in METRICS}
    for name in METRICS:
        expected = [(log["step"], pytest.approx(log[f"mmel/{name}"])) for log in logs]
        assert points[f"{prefix}mmel/{name}"] == expected


def test_tensorboard_has_every_metric_beside_the_loss(train, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    state = train("tensorboard")
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    points = {name: [(point.step, point.value) for point in events.Scalars(name)] for name in events.Tags()["scalars"]}
    assert "eval/loss" in points
    check(points, state, "train/")


@pytest.mark.slow
def test_wandb_has_every_metric_beside_the_loss(train, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    for name, value in {"WANDB_MODE": "offline", "WANDB_DIR": tmp_path, "WANDB_SILENT": "true"}.items():
        monkeypatch.setenv(name, str(value))
    points: Points = {}
    log = wandb.Run.log

    def recorded(self, data, *args, **kwargs):
        log(self, data, *args, **kwargs)
        for name, value in data.items():
            points.setdefault(name, []).append((data["train/global_step"], value))

    monkeypatch.setattr(wandb.Run, "log", recorded)
    state = train("wandb")
    summary = dict(wandb.run.summary)
    wandb.finish()
    assert "eval/loss" in points
    check(points, state, "train/")
    assert all(summary[name] == values[-1][1] for name, values in points.items())


@pytest.mark.slow
def test_mlflow_has_every_metric_beside_the_loss(train, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    state = train("mlflow")
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    points = {
        name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    assert "eval_loss" in points
    check(points, state, "")
