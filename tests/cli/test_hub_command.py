"""`run_glue_mmel.py --push_to_hub` as users run it."""

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard
from transformers import AutoModelForSequenceClassification, BertConfig, BertModel

from hf_mmel.cli import run as cli
from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.cli.hub import data_facts
from hf_mmel.cli.run import UsageError


pytestmark = pytest.mark.integration  # whole commands, each with its pushes


ROOT = Path(__file__).parents[2]
TOKEN = "hf_token_of_me"


@pytest.fixture
def options(tokenizer, tmp_path):
    """A run of three steps on a file of one's own."""
    tokenizer.save_pretrained(tmp_path / "model")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)
    BertModel(config).save_pretrained(tmp_path / "model")
    rows = [{"text": f"the film was {word} .", "label": word} for word in ("awful", "good")] * 4
    (tmp_path / "reviews.json").write_text(json.dumps(rows))
    augmenter = {"class": "LexiconSubstitution", "words": {"film": ["movie"], "good": ["fine", "great"]}}
    (tmp_path / "words.json").write_text(json.dumps(augmenter))
    named = {"train_file": "reviews.json", "validation_file": "reviews.json", "model_name_or_path": "model"}
    named |= {"augmenter": "words.json", "output_dir": "out", "cache_dir": "cache"}
    options = [part for name, file in named.items() for part in (f"--{name}", str(tmp_path / file))]
    options += ["--do_train", "--do_eval", "--max_steps", "3", "--logging_steps", "1", "--num_variants", "2"]
    options += ["--report_to", "none", "--use_cpu", "--disable_tqdm", "true", "--save_steps", "2", "--push_to_hub"]
    return options


def test_a_run_ends_with_a_repository_that_tells_of_it(hub, options, tmp_path):
    pushing = [
        "--hub_token",
        TOKEN,
        "--hub_model_id",
        "me/reviews",
        "--hub_private_repo",
        "true",
        "--hub_tags",
        "a",
        "b",
    ]
    metrics = cli.main([*options, *pushing, "--hub_revision", "tuned", "--hub_strategy", "checkpoint"])
    repository = hub.repositories["me/reviews"]
    files = repository.files("tuned")
    assert repository.private and not repository.files("main")
    expected = {"README.md", "all_results.json", "augmenter.json", "config.json", "mmel_weights.svg"}
    expected |= {"model.safetensors", "tokenizer.json", "last-checkpoint/optimizer.pt"}
    assert expected <= files.keys()
    messages = [message for _, message, _ in repository.commits]
    assert all(message.startswith("Training in progress, step") for message in messages[:-1])
    assert messages[-1] == "End of training"

    card = ModelCard(files["README.md"].decode())
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["accuracy"].metric_value == metrics["eval_accuracy"]
    assert results["accuracy"].dataset_name == "reviews.json" and results["accuracy"].dataset_split == "validation"
    assert card.data.tags[:3] == ["a", "b", "mmel"] and card.data.model_name == "reviews"
    command = card.text.split("```bash\n")[1].split("\n```")[0]
    assert "--train_file reviews.json" in command and "--hub_private_repo true" in command
    assert "token" not in command and str(tmp_path) not in card.content


@pytest.mark.parametrize(("limit", "told"), [(3, "validation[:3]"), (100, "validation")])
def test_scores_of_the_first_rows_are_told_as_such(hub, options, limit, told):
    cli.main([*options, "--hub_token", TOKEN, "--max_eval_samples", str(limit)])
    card = ModelCard(hub.repositories["me/out"].files()["README.md"].decode())
    assert f"| {told} | Accuracy |" in card.text
    results = [(result.metric_type, result.dataset_split) for result in card.data.eval_results or []]
    assert results == ([("accuracy", "validation")] if told == "validation" else [])


def test_only_data_of_the_hub_has_its_address(tmp_path):
    of_hub = {"dataset": "GLUE RTE", "dataset_tags": "nyu-mll/glue", "dataset_args": "rte"}
    assert data_facts(DataArguments(task_name="rte")) == of_hub
    assert data_facts(DataArguments(task_name="rte", dataset_name="me/glue")) == {**of_hub, "dataset_tags": "me/glue"}
    copy = data_facts(DataArguments(task_name="rte", dataset_name=str(tmp_path)))
    assert copy == {"dataset": "GLUE RTE (local copy)", "dataset_tags": None, "dataset_args": None}
    assert data_facts(DataArguments(dataset_name=str(tmp_path)))["dataset_tags"] is None


def test_data_without_a_validation_split_is_told_to_be_scored_on_its_test_split(hub, options, tmp_path):
    (tmp_path / "reviews").mkdir()
    for split in ("train", "test"):
        (tmp_path / "reviews" / f"{split}.json").write_text((tmp_path / "reviews.json").read_text())
    files = options.index("--train_file")
    options = [*options[:files], *options[files + 4 :], "--dataset_name", str(tmp_path / "reviews")]
    cli.main([*options, "--hub_token", TOKEN])
    card = ModelCard(hub.repositories["me/out"].files()["README.md"].decode())
    (result,) = card.data.eval_results
    assert (result.dataset_name, result.dataset_split) == ("reviews", "test")


def test_a_file_of_arguments_is_told_as_options(hub, options, tmp_path):
    pairs = zip(options, [*options[1:], "--"], strict=True)
    values = {name[2:]: True if value.startswith("--") else value for name, value in pairs if name.startswith("--")}
    (tmp_path / "run.json").write_text(json.dumps({**values, "hub_token": TOKEN}))
    cli.main([str(tmp_path / "run.json")])
    card = hub.repositories["me/out"].files()["README.md"].decode()
    assert "--train_file=reviews.json" in card and TOKEN not in card


@pytest.mark.parametrize(
    ("pushing", "words"),
    [
        (["--hub_token", "hf_token_of_nobody"], "--hub_token"),
        (["--hub_token", "sentinel\nof me"], "--hub_token"),
        (["--token", "hf_sentinelł"], "--token"),
        ([], "hf auth login"),
        (["--hub_token", TOKEN, "--hub_model_id", "you/model"], "you/model"),
        (["--hub_token", TOKEN, "--hub_model_id", "a/b/c"], "a/b/c"),
    ],
)
def test_a_token_that_will_not_do_ends_the_run_before_it_begins(hub, options, monkeypatch, pushing, words):
    monkeypatch.setattr("hf_mmel.cli.run.load_splits", lambda *args: pytest.fail("data was loaded"))
    with pytest.raises(UsageError) as refusal:
        cli.main([*options, *pushing])
    assert words in str(refusal.value) and "\n" not in str(refusal.value) and not hub.repositories
    told = "".join(traceback.format_exception(refusal.value))
    assert not any(token in told for token in [*pushing[1:2], "sentinel"])


def test_a_hub_that_does_not_answer_ends_the_run_before_it_begins(hub, options, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UsageError, match="refused"):
        cli.main([*options, "--hub_token", TOKEN])


def test_a_push_that_fails_leaves_the_model_and_its_scores(hub, options, tmp_path):
    hub.failures = ["403"] * 20
    with pytest.raises(UsageError) as failure:
        cli.main([*options, "--hub_token", TOKEN, "--hub_strategy", "end"])
    message, out = str(failure.value), tmp_path / "out"
    assert "model.safetensors" in message or "training_args.bin" in message
    assert f"hf upload me/out {out} ." in message and "\n" not in message
    AutoModelForSequenceClassification.from_pretrained(out)
    assert "eval_accuracy" in json.loads((out / "all_results.json").read_text())
    hub.failures = []
    HfApi(token=TOKEN).upload_folder(repo_id="me/out", folder_path=out, ignore_patterns="checkpoint-*")  # as it said
    assert {"model.safetensors", "README.md"} <= hub.repositories["me/out"].files().keys()


def test_the_same_command_pushes_what_an_earlier_one_could_not(hub, options, monkeypatch):
    options = [*options, "--hub_token", TOKEN, "--hub_strategy", "end"]
    hub.failures = ["403"] * 20
    with pytest.raises(UsageError):
        cli.main(options)
    hub.failures = []
    monkeypatch.setattr("hf_mmel.cli.run.MMELTrainer.train", lambda *args, **kwargs: pytest.fail("it trains again"))
    cli.main(options)
    files = hub.repositories["me/out"].files()
    card = files["README.md"].decode()
    assert {"model.safetensors", "mmel_weights.svg"} <= files.keys()
    assert "fine-tuned on reviews.json" in card and "## Weights over training" in card and "## Training" in card


@pytest.mark.parametrize("steps", [2, 4], ids=["finished", "resumed"])
def test_texts_of_a_training_that_was_not_to_be_pushed_are_not_uploaded_later(hub, options, tmp_path, steps):
    alone = [option for option in options if option != "--push_to_hub"]
    cli.main([*alone, "--mmel_loss", "hard", "--max_steps", "2"])
    assert '"original": "the film was' in (tmp_path / "out" / "trainer_state.json").read_text()
    pushing = ["--mmel_loss", "hard", "--hub_token", TOKEN, "--hub_strategy", "checkpoint", "--max_steps", str(steps)]
    cli.main([*options, *pushing])
    files = hub.repositories["me/out"].files()
    states = {name: content for name, content in files.items() if name.endswith("trainer_state.json")}
    assert len(states) == (1 if steps == 2 else 2)
    for name, content in files.items():
        assert b'"original"' not in content, name
        assert name not in states or b'"counts"' in content


def test_a_report_which_shows_texts_is_not_pushed(hub, options, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").touch()
    with pytest.raises(UsageError, match="report\\.html shows texts"):
        cli.main([*options, "--hub_token", TOKEN])
    assert not hub.repositories


def test_a_mistyped_option_shows_no_token(options):
    with pytest.raises(UsageError, match="--hub_tokn") as refusal:
        cli.main([*options, "--hub_tokn", TOKEN])
    assert TOKEN not in "".join(traceback.format_exception(refusal.value))


def run_alone(hub, options, **environment) -> subprocess.CompletedProcess:
    environment = {**os.environ, **hub.environment, "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, ROOT / "run_glue_mmel.py", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)


def test_no_token_is_printed_written_or_uploaded(hub, options, tmp_path):
    hub.tokens = {"hf_sentinel_to_push": "me"}
    options += ["--token", "hf_sentinel_to_read", "--hub_token", "hf_sentinel_to_push", "--log_level", "debug"]
    options += ["--hub_strategy", "all_checkpoints", "--hub_always_push"]
    ended = run_alone(hub, options, HF_TOKEN="hf_sentinel_of_environment", HF_DEBUG="1")
    assert ended.returncode == 0, ended.stderr
    assert "PUT" in ended.stderr  # what is sent is logged
    assert "sentinel" not in ended.stdout + ended.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"training_args.bin", "trainer_state.json", "optimizer.pt", "README.md"} <= {path.name for path in written}
    assert [path for path in written if b"sentinel" in path.read_bytes()] == []
    uploaded = hub.repositories["me/out"].files()
    assert "checkpoint-2/training_args.bin" in uploaded
    assert [path for path, content in uploaded.items() if b"sentinel" in content] == []


def test_a_token_of_the_environment_that_will_not_do_ends_the_command_with_one_line(hub, options):
    ended = run_alone(hub, options, HF_TOKEN="hf_sentinel")
    assert ended.returncode == 1 and "sentinel" not in ended.stdout + ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if "error:" in line]
    assert "HF_TOKEN" in line and "Invalid" in line and "Traceback" not in ended.stderr
