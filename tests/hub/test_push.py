"""Pushing with `trainer.push_to_hub()`: what arrives at the Hub, when, and what happens where an upload fails."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import SENTENCES, make_model
from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import RepositoryNotFoundError
from transformers import TrainerCallback

from hf_mmel import MMELTrainer


TOKEN = "hf_token_of_me"


@pytest.fixture
def make_trainer(hub, arguments, tokenizer, dataset, augmenter):
    def make(**fields):
        args = arguments(**{"max_steps": 4, "logging_steps": 1, "hub_token": TOKEN, **fields})
        options = {"train_dataset": dataset, "processing_class": tokenizer, "augmenter": augmenter}
        return MMELTrainer(make_model(tokenizer, id2label={0: "bad", 1: "good"}), args, **options)

    return make


def folder(trainer) -> Path:
    return Path(trainer.args.output_dir)


class WaitForPushes(TrainerCallback):
    """Else what a checkpoint pushes is what the next one has put in its place, where training is faster."""

    def __init__(self, trainer):
        self.trainer = trainer

    def on_save(self, args, state, control, **kwargs):
        if self.trainer.push_in_progress is not None:
            self.trainer.push_in_progress.wait_until_done()


def large_files(trainer) -> list[Path]:
    return [folder(trainer) / "model.safetensors", folder(trainer) / "training_args.bin"]


# Reads the model as somebody would who never heard of hf_mmel.
READER = """
import json, sys
sys.modules.update(dict.fromkeys(["hf_mmel", "augment"]))  # importing them fails
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
model = AutoModelForSequenceClassification.from_pretrained("me/out")
inputs = AutoTokenizer.from_pretrained("me/out")(json.loads(sys.argv[1]), padding=True, return_tensors="pt")
with torch.no_grad():
    print(json.dumps([model(**inputs).logits.tolist(), model.config.id2label]))
"""


@pytest.mark.integration
def test_a_pushed_model_is_that_of_the_trainer_to_transformers_alone(hub, make_trainer, tokenizer):
    trainer = make_trainer(push_to_hub=True, hub_private_repo=True)
    trainer.train()
    trainer.push_to_hub()
    environment = {**os.environ, **hub.environment, "HF_TOKEN": TOKEN}
    command = [sys.executable, "-c", READER, json.dumps(SENTENCES)]
    read = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    logits, names = json.loads(read.stdout.splitlines()[-1])
    model = trainer.model.eval()
    with torch.no_grad():
        expected = model(**tokenizer(SENTENCES, padding=True, return_tensors="pt")).logits
    torch.testing.assert_close(torch.tensor(logits), expected)
    assert names == {"0": "bad", "1": "good"}
    for file in large_files(trainer):
        assert hub.repositories["me/out"].files()[file.name] == file.read_bytes()


def test_a_private_repository_is_for_its_owner(hub, make_trainer):
    make_trainer(push_to_hub=True, hub_private_repo=True)
    assert HfApi(token=TOKEN).model_info("me/out").private
    with pytest.raises(RepositoryNotFoundError):
        HfApi(token="hf_token_of_you").model_info("me/out")
    make_trainer(push_to_hub=True, hub_private_repo=False, hub_model_id="me/open")
    assert not HfApi(token="hf_token_of_you").model_info("me/open").private


def test_the_card_is_pushed_with_its_picture_and_tags(hub, make_trainer):
    trainer = make_trainer(hub_tags=["reviews"])  # not told to push until it is
    trainer.train()
    assert not hub.repositories
    trainer.push_to_hub(tags=["english"], dataset="my reviews", scores={"dev": {"eval_accuracy": 0.5}})
    files = hub.repositories["me/out"].files()
    card = ModelCard(files["README.md"].decode())
    assert card.data.tags[:3] == ["english", "reviews", "mmel"]
    assert card.data.eval_results[0].metric_value == 0.5
    assert b"<svg " in files["mmel_weights.svg"] and "(mmel_weights.svg)" in card.text


@pytest.mark.parametrize(
    ("strategy", "in_training"),
    [
        ("end", []),
        ("every_save", ["", ""]),
        ("checkpoint", ["", "last-checkpoint/", "", "last-checkpoint/"]),
        ("all_checkpoints", ["", "checkpoint-2/", "", "checkpoint-4/"]),
    ],
)
def test_what_is_pushed_when(hub, make_trainer, strategy, in_training):
    trainer = make_trainer(push_to_hub=True, hub_strategy=strategy, save_strategy="steps", save_steps=2)
    trainer.add_callback(WaitForPushes(trainer))
    trainer.train()
    trainer.push_to_hub()
    *commits, last = hub.repositories["me/out"].commits
    weights = [path for _, _, paths in commits for path in paths if path.endswith("model.safetensors")]
    assert weights == [f"{place}model.safetensors" for place in in_training]
    assert last[1] == "End of training" and "README.md" in last[2]
    resumable = {f"{place}trainer_state.json" for place in in_training if place}
    assert resumable <= hub.repositories["me/out"].files().keys()


def test_a_branch_of_its_own_leaves_the_main_one_alone(hub, make_trainer):
    trainer = make_trainer(hub_revision="tuned")
    trainer.init_hf_repo()
    HfApi(token=TOKEN).create_branch("me/out", branch="tuned")
    trainer.push_to_hub()
    assert "model.safetensors" in hub.repositories["me/out"].files("tuned")
    assert hub.repositories["me/out"].files() == {}


@pytest.mark.parametrize("failure", ["500", "closed"])
def test_an_upload_that_breaks_off_is_made_again(hub, make_trainer, failure):
    trainer = make_trainer()
    hub.failures = [failure]
    trainer.push_to_hub()
    counts = Counter(hub.uploads)
    assert sorted(counts.values()) == [1, 2]
    for file in large_files(trainer):
        assert hub.repositories["me/out"].files()[file.name] == file.read_bytes()


def test_a_second_push_uploads_what_the_first_one_did_not(hub, make_trainer):
    trainer = make_trainer()
    hub.failures = ["403"]
    with pytest.raises(RuntimeError, match="Error while uploading"):
        trainer.push_to_hub()
    assert not hub.repositories["me/out"].commits
    (stored,) = hub.large_files
    trainer.push_to_hub()
    assert hub.uploads.count(stored) == 1 and len(hub.uploads) == 3
    for file in large_files(trainer):
        assert hub.repositories["me/out"].files()[file.name] == file.read_bytes()


def test_the_pickled_arguments_have_no_token(make_trainer, hub):
    trainer = make_trainer(push_to_hub=True)
    trainer.push_to_hub()
    content = hub.repositories["me/out"].files()["training_args.bin"]
    assert TOKEN.encode() not in content and trainer.args.hub_token == TOKEN
    saved = torch.load(folder(trainer) / "training_args.bin", weights_only=False)
    assert saved.hub_token is None and saved.lambda_p == trainer.args.lambda_p
