"""Training on two processes, launched as users do, equals training on one."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import make_model, make_tokenizer
from scripts.train_groups import train
from trainer_runs import SPEED, same_weights


pytestmark = pytest.mark.integration  # it starts processes, or runs whole programs and pages


SCRIPT = Path(__file__).parents[1] / "scripts" / "train_groups.py"
TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")

HALVES = {"per_device_train_batch_size": 4}
QUARTERS = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
LOCAL_COUNTS = {"average_tokens_across_devices": False}
# Sentences 5 and 7 have no word to replace: the second process has no variant in the first update, both in the second.
FEW_VARIANTS = {"rows": [0, 1, 5, 7, 5, 7, 7, 5, 2, 5, 3, 4], "max_steps": 3}

FROM_EXAMPLES = {"num_steps": 2, "step_size": 0.1, "random_start": False}  # which no process has to draw


def accelerator(**options):
    return {"accelerator_config": options}


# Name -> arguments of both runs, of that on two processes, of that on one (in batches of 8).
CASES = {
    "hard 4x1": ({"mmel_loss": "hard"}, HALVES, {}),
    "soft 4x1": ({"mmel_loss": "soft"}, HALVES, {}),
    "uniform 4x1": ({"mmel_loss": "uniform"}, HALVES, {}),
    "hard 2x2": ({"mmel_loss": "hard"}, QUARTERS, {}),
    "soft 2x2": ({"mmel_loss": "soft"}, QUARTERS, {}),
    "uniform 2x2": ({"mmel_loss": "uniform"}, QUARTERS, {}),
    "candidates made in parts": ({"augmenter": "masked_lm"}, HALVES, {}),
    # accelerate fills up the last batches with the first examples, for `Trainer` and for us.
    "7 examples": ({}, {"num_examples": 7, **HALVES}, {"rows": [*range(7), 0]}),
    "11 examples": ({"max_steps": 4}, {"num_examples": 11, **HALVES}, {"rows": [*range(11), *range(5)]}),
    "11 examples 2x2": ({"max_steps": 4}, {"num_examples": 11, **QUARTERS}, {"rows": [*range(11), 0]}),
    "11 examples, drop_last": ({"num_examples": 11, "dataloader_drop_last": True, "max_steps": 3}, HALVES, {}),
    "labels left out": ({"labels": [0, 1, 0, 1, -100, -100, 0, -100]}, HALVES, {}),
    "labels left out, local counts": ({"labels": [0, 1, 0, 1, -100, -100, 0, -100]}, {**HALVES, **LOCAL_COUNTS}, {}),
    "no label in one process": ({"labels": [0, 0, 0, 0, -100, -100, -100, -100]}, HALVES, {}),
    "no label in one micro-batch": ({"labels": [0, 0, 0, 0, -100, -100, -100, -100]}, QUARTERS, {}),
    "no label and no variant in one process": (
        {"rows": [0, 1, 2, 3, 5, 7, 5, 7], "labels": [0, 0, 0, 0, 0, -100, 0, -100]},
        HALVES,
        {},
    ),
    "class weights": ({"class_weights": [0.5, 2.0]}, QUARTERS, {}),
    "weights of examples": ({"weights": [0, 1, 3, 0.5, 1]}, QUARTERS, {}),
    "weights that warm up": ({"lambda_p": 1, "effective_num_variants": 2, "reweighting_warmup": 0.3}, QUARTERS, {}),
    "few variants": (FEW_VARIANTS, {"per_device_train_batch_size": 2}, {"per_device_train_batch_size": 4}),
    "few variants, soft": (
        {**FEW_VARIANTS, "mmel_loss": "soft"},
        {"per_device_train_batch_size": 2},
        {"per_device_train_batch_size": 4},
    ),
    "few variants, originals not weighted": (
        {**FEW_VARIANTS, "reweight_original": False, "logging_steps": 3},
        {"per_device_train_batch_size": 2},
        {"per_device_train_batch_size": 4},
    ),
    "in passes": ({}, {**HALVES, "variant_chunk_size": 1}, {}),
    "in passes that cut groups": ({}, {**QUARTERS, "variant_chunk_size": 1, "scoring_bf16": False}, {}),
    "in passes that cut groups, soft": (
        {"mmel_loss": "soft"},
        {**QUARTERS, "variant_chunk_size": 1, "scoring_bf16": False},
        {},
    ),
    "the two largest": (
        {"variant_backward": "top", "variant_backward_count": 2, "scoring_bf16": False},
        {**QUARTERS, "variant_chunk_size": 1},
        {},
    ),
    # Three epochs of one update, whose examples are dealt to the processes anew.
    "scores that are reused": (
        {
            "variant_backward": "top",
            "score_interval": 3,
            "scoring_bf16": False,
            "max_steps": 3,
            "train_sampling_strategy": "random",
        },
        HALVES,
        {},
    ),
    "adversarial variants, too": ({"adversary": FROM_EXAMPLES}, QUARTERS, {}),
    "adversarial variants, in passes": (
        {"adversary": FROM_EXAMPLES, "variant_chunk_size": 1, "scoring_bf16": False},
        HALVES,
        {},
    ),
    # In the original of the first text and in variants of the third, both of the first process.
    "not finite in one process": ({"poison": "awful"}, HALVES, {}),
    "not finite in one process, soft": ({"poison": "awful", "mmel_loss": "soft"}, QUARTERS, {}),
    "not finite in one process, in passes": (
        {"poison": "awful", "variant_chunk_size": 1, "scoring_bf16": False},
        HALVES,
        {},
    ),
    "nothing left in one process": (
        {"poison": "awful", "rows": [0, 1, 2, 3]},
        {"per_device_train_batch_size": 1},
        {"per_device_train_batch_size": 2},
    ),
    "nothing left in one process, the largest": (
        {"poison": "awful", "rows": [0, 1, 2, 3], "variant_backward": "top", "scoring_bf16": False},
        {"per_device_train_batch_size": 1},
        {"per_device_train_batch_size": 2},
    ),
    # Neither of the texts 5 and 7 has a word to replace; of groups they would have a pass each.
    "not finite in one process without variants": (
        {"poison": "early", "rows": [5, 7, 7, 7, 0, 1, 2, 3]},
        {**HALVES, "tokens_of_a_pass": 0},
        {},
    ),
    "split_batches": ({}, accelerator(split_batches=True), {}),
    "split and dispatched": ({}, accelerator(split_batches=True, dispatch_batches=True), {}),
    "stream, split": ({"stream": True}, accelerator(split_batches=True), {}),
    "stream, not dispatched": ({"stream": True}, {**HALVES, **accelerator(dispatch_batches=False)}, {}),
    "stream, 11 examples, not dispatched": (
        {"stream": True, "max_steps": 4},
        {"num_examples": 11, **HALVES, **accelerator(dispatch_batches=False)},
        {"rows": [*range(11), *range(5)]},
    ),
    "find_unused_parameters": ({}, {**HALVES, "ddp_find_unused_parameters": True}, {}),
    "no find_unused_parameters": ({}, {**HALVES, "ddp_find_unused_parameters": False}, {}),
    "gradient checkpointing": ({}, {**QUARTERS, "gradient_checkpointing": True}, {}),
    "evaluated": ({"eval_strategy": "steps"}, {**HALVES, **LOCAL_COUNTS}, {}),
}
# Dropout and the order of the examples are drawn; the checkpoint lies in the second of three epochs of two updates.
WHOLE = {**QUARTERS, "num_examples": 12, "max_steps": 6, "dropout": 0.1, "train_sampling_strategy": "random"}

# Scores are those of each process, and are shared when the next epoch begins. Step 3 is in the middle of the second.
RESUMED = {
    "drawn": {},
    "searched": {"augmenter": "greedy"},
    "scored": {"variant_backward": "top", "score_interval": 3, "scoring_bf16": False, "max_steps": 9},
}


def launch(launcher, output_dir, cases, check=True, **environment):
    """Runs the cases; their results in every process, or what the failed launch said."""
    command = [sys.executable, "-m", *launcher, str(SCRIPT), str(output_dir), json.dumps(cases)]
    environment = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    if not check:
        assert done.returncode != 0
        return done.stderr
    assert done.returncode == 0, done.stderr[-9000:]
    return [torch.load(path, weights_only=False) for path in sorted(output_dir.glob("results*.pt"))]


def assert_same_training(reference, results, name):
    """Weights, logs and history of all processes are those of the reference."""
    assert results
    for result in results:
        assert result[name]["weights"].keys() == reference.model.state_dict().keys()
        for key, weight in reference.model.state_dict().items():
            assert same_weights(weight, result[name]["weights"][key]), key
        for ours, theirs in zip(reference.state.log_history, result[name]["logs"], strict=True):
            names, others = (
                [key for key in logs if ("loss" in key or key.startswith("mmel/")) and key != SPEED]
                for logs in (ours, theirs)
            )
            assert names == others
            assert [theirs[key] for key in names] == pytest.approx([ours[key] for key in names], abs=1e-5)
        assert_same_history(
            reference.state.stateful_callbacks["VariantHistory"]["attributes"], result[name]["history"]
        )


def assert_same_history(ours, theirs):
    histograms = [[(one["step"], one["counts"]) for one in run["weight_histograms"]] for run in (ours, theirs)]
    assert histograms[0] == histograms[1]
    ours, theirs = ours["hardest_variants"], theirs["hardest_variants"]
    assert 0 < len(ours) == len(theirs)
    for name in ("epoch", "step", "weight", "loss", "loss_original"):
        assert [entry[name] for entry in ours] == pytest.approx([entry[name] for entry in theirs], abs=1e-5)
    # Of variants that lose the same, either may be kept.
    texts = [sorted((entry["epoch"], entry["original"], entry["label"]) for entry in run) for run in (ours, theirs)]
    assert texts[0] == texts[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """All cases in one launch, a training takes far less time than a start."""
    output_dir = tmp_path_factory.mktemp("two")
    cases = {name: {**both, **two} for name, (both, two, _) in CASES.items()}
    cases["evaluated, counts of all"] = {"eval_strategy": "steps", **HALVES}
    for name, fields in RESUMED.items():
        cases[f"whole, {name}"] = {**WHOLE, **fields, "save_strategy": "steps", "save_steps": 3}
        checkpoint = str(output_dir / f"whole, {name}" / "checkpoint-3")
        cases[f"resumed, {name}"] = {**WHOLE, **fields, "resume_from_checkpoint": checkpoint}
    return launch(TORCHRUN, output_dir, cases)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(results, tmp_path, name):
    both, _, one = CASES[name]
    reference = train(str(tmp_path), **{**both, **one})
    start = make_model(make_tokenizer("wordpiece")).state_dict()
    assert max((weight - start[key]).abs().max() for key, weight in reference.model.state_dict().items()) > 1e-4
    assert len(results) == 2
    assert_same_training(reference, results, name)


@pytest.mark.parametrize("name", RESUMED)
def test_a_resume_in_mid_epoch_equals_the_uninterrupted_run(results, name):
    for result in results:
        whole, resumed = result[f"whole, {name}"], result[f"resumed, {name}"]
        assert all(torch.equal(weight, resumed["weights"][key]) for key, weight in whole["weights"].items())
        figures = [
            [{k: v for k, v in row.items() if k != SPEED and ("_" not in k or "/" in k)} for row in case["logs"][:-1]]
            for case in (whole, resumed)
        ]
        assert figures[0] == figures[1]


def test_the_stock_evaluation_loss_is_off_by_the_number_of_processes(results):
    """
    The same fault as that of `test_stock_trainer_is_off_by_the_number_of_accumulation_steps`. When this fails,
    transformers has mended it, and the remark in docs/running.md can go.
    """
    right, doubled = (
        [row["eval_loss"] for row in results[0][name]["logs"] if "eval_loss" in row]
        for name in ("evaluated", "evaluated, counts of all")
    )
    assert doubled == pytest.approx([2 * loss for loss in right], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"augmenter": "failing", **HALVES}, "The variants of this process are out of reach."),
        ({"stream": True, **HALVES}, "You can't use batches of different size with `dispatch_batches=True`"),
    ],
    ids=["the second, in its augmenter", "the first, dispatching a stream"],
)
def test_a_process_that_fails_ends_the_launch(tmp_path, case, message):
    assert message in launch(TORCHRUN, tmp_path, {"case": case}, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("distributed_type", "num_processes"),
    [("MULTI_GPU", 2), ("MULTI_CPU", 1)],  # MULTI_CPU is for MPI, and without a hostfile for it one process
)
def test_accelerate_launch_starts_two_processes_on_cpu_as_on_gpu(tmp_path, distributed_type, num_processes):
    config = tmp_path / "accelerate.yaml"
    lines = ["compute_environment: LOCAL_MACHINE", f"distributed_type: {distributed_type}", "num_processes: 2"]
    config.write_text("\n".join([*lines, "num_machines: 1", "machine_rank: 0", "use_cpu: true", ""]))
    case = {"per_device_train_batch_size": 8 // num_processes}
    launcher = ("accelerate.commands.launch", "--config_file", str(config), "--main_process_port", "0")
    results = launch(launcher, tmp_path, {"case": case})
    assert len(results) == num_processes
    assert_same_training(train(str(tmp_path)), results, "case")


# Sharded models

FSDP = {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
SHARDED_CASES = {
    "hard 4x1": ({"mmel_loss": "hard"}, HALVES, {}),
    "soft 2x2": ({"mmel_loss": "soft"}, QUARTERS, {}),
    "few variants": CASES["few variants, originals not weighted"],
    "evaluated": CASES["evaluated"],
    "the two largest": (
        {"variant_backward": "top", "variant_backward_count": 2, "scoring_bf16": False},
        QUARTERS,
        {},
    ),
    "the largest, few variants": (
        {**FEW_VARIANTS, "variant_backward": "top", "scoring_bf16": False},
        {"per_device_train_batch_size": 2},
        {"per_device_train_batch_size": 4},
    ),
    "the largest that are finite": (
        {"poison": "awful", "variant_backward": "top", "scoring_bf16": False},
        HALVES,
        {},
    ),
}


def deepspeed(stage):
    config = {
        "zero_optimization": {
            "stage": stage,
            "stage3_gather_16bit_weights_on_model_save": True,
            "stage3_param_persistence_threshold": 0,
        },
        "zero_allow_untested_optimizer": True,
        **dict.fromkeys(("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps"), "auto"),
    }
    return {"deepspeed": config, "use_cpu": False}


def assert_sharded_equals_one(tmp_path, sharding, names, shards_weights=True):
    cases = {name: {**SHARDED_CASES[name][0], **SHARDED_CASES[name][1], **sharding} for name in names}
    results = launch(TORCHRUN, tmp_path, cases)
    for name in names:
        both, _, one = SHARDED_CASES[name]
        reference = train(str(tmp_path / "one"), **{**both, **one})
        assert_same_training(reference, results[:1], name)  # the first process alone has all weights
        for result in results:
            assert (result[name]["num_local_weights"] < reference.model.num_parameters()) == shards_weights


@pytest.mark.slow
def test_fsdp_equals_one_process(tmp_path):
    assert_sharded_equals_one(tmp_path, FSDP, SHARDED_CASES)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="DeepSpeed is not installed")
@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_equals_one_process(tmp_path, stage):
    names = [name for name in SHARDED_CASES if name != "evaluated"]
    assert_sharded_equals_one(tmp_path, deepspeed(stage), names, shards_weights=stage == 3)


@pytest.mark.slow
def test_a_sharded_model_ends_the_launch_where_a_pass_is_not_finite(tmp_path):
    message = "A variant of a sharded model has a loss that is not finite."
    assert message in launch(TORCHRUN, tmp_path, {"case": {"poison": "awful", **HALVES, **FSDP}}, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["fsdp", "deepspeed"])
def test_a_greedy_search_of_a_sharded_model_ends_the_launch(tmp_path, sharding):
    if sharding == "deepspeed":
        pytest.importorskip("deepspeed")
    case = {"augmenter": "greedy", **HALVES, **(FSDP if sharding == "fsdp" else deepspeed(3))}
    message = "A greedy search needs the whole model in every process"
    assert message in launch(TORCHRUN, tmp_path, {"case": case}, check=False)
