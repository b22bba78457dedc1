"""The Hub on this machine: GLUE as it is laid out there, and a server that libraries take for it."""

import pytest
import yaml
from datasets import ClassLabel, Dataset, Features, Value
from hub_server import running


@pytest.fixture
def mirror(tmp_path):
    """A folder laid out as GLUE is on the Hub."""
    pair = {"sentence1": "the film was good .", "sentence2": "the movie is fine ."}
    mnli = {"premise": "the film was good .", "hypothesis": "the movie is fine ."}
    two, three = ClassLabel(names=["no", "yes"]), ClassLabel(names=["entailment", "neutral", "contradiction"])
    tasks = {
        "mrpc": (pair, two, ["train", "validation", "test"]),
        "sst2": ({"sentence": "the film was good ."}, two, ["train", "validation", "test"]),
        "rte": (pair, ClassLabel(names=["entailment", "not_entailment"]), ["train", "validation", "test"]),
        "stsb": (pair, Value("float32"), ["train", "validation", "test"]),
        "mnli": (mnli, three, ["train", *(f"{s}_{m}matched" for s in ("validation", "test") for m in ("", "mis"))]),
    }
    configs = []
    for task, (texts, label, splits) in tasks.items():
        configs.append({"config_name": task, "data_files": []})
        for i, split in enumerate(splits):
            features = Features({**dict.fromkeys(texts, Value("string")), "label": label, "idx": Value("int32")})
            size = 8 + i
            labels = [-1 if split.startswith("test") else row % 2 for row in range(size)]
            columns = {name: [text] * size for name, text in texts.items()}
            data = Dataset.from_dict({**columns, "label": labels, "idx": list(range(size))}, features=features)
            file = tmp_path / "glue" / task / f"{split}-00000-of-00001.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            data.to_parquet(file)
            configs[-1]["data_files"].append({"split": split, "path": f"{task}/{split}-*"})
    (tmp_path / "glue" / "README.md").write_text(f"---\n{yaml.safe_dump({'configs': configs})}---\n")
    return ["--dataset_name", tmp_path / "glue"]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub on this machine, which libraries take for the real one; `hub.environment` is for other processes."""
    with running({"hf_token_of_me": "me", "hf_token_of_you": "you"}) as hub:
        hub.environment = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(tmp_path / "hf_home")}
        constants = "huggingface_hub.constants."
        monkeypatch.setattr(constants + "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants + "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants + "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants + "HF_TOKEN_PATH", str(tmp_path / "no_token"))
        monkeypatch.setattr("transformers.utils.hub._hf_api", None)  # made anew, for this address
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
        yield hub
