"""Streams of files with a column of variants, on two processes: who reads which rows, and what the rows train."""

import json
from pathlib import Path

import pytest
import torch
from command_launches import TORCHRUN, outputs, start
from scripts.train_stream import assert_same_training, numbers_of, train_on, write_parts


pytestmark = pytest.mark.integration  # it starts processes

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_stream.py"
OWN_PARTS = {"accelerator_config": {"dispatch_batches": False}}
FOURS = {"per_device_train_batch_size": 4, "max_steps": 6, **OWN_PARTS}
TWOS = {**FOURS, "per_device_train_batch_size": 2}
ALL = {"num_variants": 3}  # all texts of each row, whatever the epoch
# Name -> rows of each part, arguments of the run on two processes. There are 24 rows, eight in each update.
CASES = {
    "even parts": ([6, 6, 6, 6], FOURS),
    "pairs": ([6, 6, 6, 6], {**FOURS, "is_pair": True}),
    "shuffled": ([6, 6, 6, 6], {**FOURS, "buffer_size": 4}),
    "data loader workers": ([6, 6, 6, 6], {**TWOS, "gradient_accumulation_steps": 2, "dataloader_num_workers": 2}),
    "fewer parts than processes": ([24], FOURS),
    # The second process ends its passes in the middle of an update, the first one does not.
    "three parts, accumulated": ([8, 8, 6], {**TWOS, "gradient_accumulation_steps": 2, **ALL, "max_steps": 7}),
}
# A pass has three updates: the first checkpoint is within the first pass, the second one within the second.
RESUMED = {
    "first pass": ([6, 6, 6, 6], {**FOURS, "buffer_size": 4, "max_steps": 5}, 2),
    "second pass": ([6, 6, 6, 6], {**FOURS, "buffer_size": 4, "max_steps": 5, "passes": None}, 4),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All cases in one launch; the results of each process."""
    folder = tmp_path_factory.mktemp("streams")
    cases = {}
    for name, (sizes, case) in CASES.items():
        cases[name] = {"files": files_of(folder / f"{name}-data", sizes, case.get("is_pair", False)), **case}
    for name, (sizes, case, step) in RESUMED.items():
        case = {"files": files_of(folder / f"{name}-data", sizes), **case}
        cases[f"whole, {name}"] = {**case, "save_strategy": "steps", "save_steps": step}
        cases[f"resumed, {name}"] = {
            **case,
            "resume_from_checkpoint": str(folder / f"whole, {name}/checkpoint-{step}"),
        }
    outputs(start(folder, TORCHRUN, SCRIPT, [str(folder), json.dumps(cases)]))
    return [torch.load(folder / f"results{process}.pt", weights_only=False) for process in range(2)]


def files_of(folder: Path, sizes: list[int], is_pair: bool = False) -> str:
    folder.mkdir()
    return write_parts(folder, sizes, is_pair)


def rows_read(results, name):
    """The numbers of the rows that each process has trained on, in their order."""
    is_pair = CASES.get(name, ((), {}))[1].get("is_pair", False)
    return [numbers_of(result[name]["batches"], is_pair) for result in results]


@pytest.mark.parametrize("name", CASES)
def test_each_row_is_read_once_in_a_pass_by_one_process(results, name):
    own = []
    for read in rows_read(results, name):
        rows = set(read)
        passes = [read[start : start + len(rows)] for start in range(0, len(read), len(rows))]
        assert all(len(set(one)) == len(one) for one in passes) and len(passes) > 1
        own += rows
    assert sorted(own) == list(range(sum(CASES[name][0])))


def test_a_shuffled_stream_has_another_order_in_each_pass(results):
    for read in rows_read(results, "shuffled"):
        assert read[:12] != sorted(read[:12]) and read[:12] != read[12:]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one_that_trains_on_the_same_rows(results, tmp_path, name):
    sizes, case = CASES[name]
    fields = {key: case[key] for key in ("num_variants", "is_pair", "max_steps") if key in case}
    per_pass = None if "num_variants" in case else sum(sizes)  # with all variants, passes do not matter
    reference = train_on(str(tmp_path), rows_read(results, name), per_pass, **fields)
    for result in results:
        assert_same_training(reference, result[name])
    assert sum(result[name]["num_variants"] for result in results) == reference.num_variants > 0


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_stream_continues_with_the_next_rows(results, name):
    step = RESUMED[name][2]
    for result in results:
        whole, resumed = (result[f"{kind}, {name}"] for kind in ("whole", "resumed"))
        assert resumed["batches"] == whole["batches"][step:]
        assert all(torch.equal(weight, resumed["weights"][key]) for key, weight in whole["weights"].items())
