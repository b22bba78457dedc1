"""Data files of the command in a store are read as those on disk."""

import pandas as pd
import pytest
from conftest import reviews
from datasets import Dataset
from files import upload
from fsspec.implementations.memory import MemoryFileSystem

from augment.core.storage import location
from hf_mmel.cli.data import load_splits
from hf_mmel.cli.data_arguments import DataArguments
from hf_mmel.cli.fingerprint import digest_of
from hf_mmel.cli.parser import UsageError, parse_arguments


ROWS = reviews()[:4]


@pytest.fixture
def put(any_store, tmp_path, write):
    """Writes rows as a file or folder, and puts it into a store. Returns its path and its URL."""

    def put(name):
        url = f"{any_store}/{name}"
        if "." not in name:
            Dataset.from_list(ROWS).save_to_disk(tmp_path / name)
            for path in (tmp_path / name).iterdir():
                upload(path, f"{url}/{path.name}")
        elif name.endswith(".parquet"):
            pd.DataFrame(ROWS).to_parquet(tmp_path / name)
            upload(tmp_path / name, url)
        else:
            upload(write(name, ROWS), url)
        return tmp_path / name, url

    return put


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.jsonl", "a.parquet", "a [1].parquet", "saved"])
def test_data_in_a_store_is_read_as_the_same_on_disk(put, tmp_path, name):
    path, url = put(name)
    on_disk, stored = (DataArguments(train_file=str(file)) for file in (path, url))
    assert stored.where("train") == url
    cache = str(tmp_path / "cache")
    local, remote = (load_splits(arguments, ["train"], cache)["train"] for arguments in (on_disk, stored))
    assert remote[:] == local[:] and remote.features == local.features and len(remote) == 4
    assert digest_of(location(url)) == digest_of(path)


def parsed(*options):
    return parse_arguments(["--model_name_or_path", "x", "--output_dir", "out", "--do_train", *options])


def test_a_file_that_is_not_in_the_store_is_named(any_store):
    with pytest.raises(UsageError, match=rf"train_file is '{any_store}/a.csv', and there is no such file"):
        parsed("--train_file", f"{any_store}/a.csv")


def test_an_empty_file_in_a_store_is_named(store, tmp_path):
    arguments = DataArguments(train_file=upload(b"", f"{store}/a.csv"))
    with pytest.raises(ValueError, match=f"^{store}/a.csv has no rows; expected at least one example.$"):
        load_splits(arguments, ["train"], str(tmp_path))


def test_a_store_that_refuses_is_named(store, tmp_path, monkeypatch):
    arguments = DataArguments(train_file=upload(b"text\na\n", f"{store}/a.csv"))

    def refuse(*_, **__):
        raise PermissionError("Access denied")

    monkeypatch.setattr(MemoryFileSystem, "info", refuse)
    with pytest.raises(ValueError, match=f"^{store}/a.csv cannot be read: .*Access denied"):
        load_splits(arguments, ["train"], str(tmp_path))
    with pytest.raises(UsageError, match=f"^{store}/a.csv cannot be read: Access denied$"):
        parsed("--train_file", f"{store}/a.csv")


def test_a_cache_in_a_store_is_refused(files):
    with pytest.raises(
        UsageError, match=r"cache_dir is 's3://bucket/cache'; .* this machine\. .*set .* HF_MMEL_CACHE to"
    ):
        parsed(*map(str, files), "--cache_dir", "s3://bucket/cache")


@pytest.mark.integration
def test_a_run_on_files_in_a_store_is_the_run_on_the_same_on_disk(run, files, bucket):
    urls = [upload(part, f"{bucket}/{part.name}") if not isinstance(part, str) else part for part in files]
    options = ["--do_train", "--do_eval", "--max_steps", 1]
    losses = [run(*chosen, *options, out=f"out{i}")["eval_loss"] for i, chosen in enumerate((files, urls))]
    assert losses[0] == losses[1]
