"""A training step does not wait for a device, but to look once whether all of its losses are finite."""

import pytest
import torch
from conftest import WORDS, make_model
from datasets import Dataset
from device_waits import CudaWaits, Waits, is_on_host, on_host
from pairwise import pairwise
from task_heads import TASK_HEADS
from trainer_runs import same_gradient

from augment import LexiconSubstitution
from hf_mmel import AdversarialVariants, MMELTrainer
from hf_mmel.data.layout import HostedBatch
from hf_mmel.objective.weighting import VariantLosses
from hf_mmel.step import micro_batches


TOP = {"variant_backward": "top"}
CUT = {"variant_chunk_size": 1, "size": 3}  # groups of five rows in passes of three
FINITE = ["nonfinite.py"]
# Per way to train: the fields of the arguments, and the files whose lines wait. Two look whether all is finite: before
# the last of several passes, while the gradients of the others can be dropped, and after it.
MODES = {
    "hard full": ({}, FINITE),
    "soft full": ({"mmel_loss": "soft"}, FINITE),
    "hard top": (TOP, FINITE),
    "soft top": ({"mmel_loss": "soft", **TOP}, FINITE),
    "top, two variants": ({"variant_backward_count": 2, **TOP}, FINITE),
    "sample": ({"variant_backward": "sample"}, FINITE),
    "soft sample, two draws": (
        {"mmel_loss": "soft", "variant_backward": "sample", "variant_backward_count": 2},
        FINITE,
    ),
    "passes of groups": ({"variant_chunk_size": 2}, FINITE * 2),
    # Which variants are used under the weights of the scoring decides how groups are cut.
    "top, in passes": ({"variant_chunk_size": 1, "variant_backward_count": 2, **TOP}, FINITE * 3),
    "passes of parts": (CUT, FINITE * 3),
    "soft, passes of parts": ({"mmel_loss": "soft", **CUT}, FINITE * 3),
    "adversary": ({"adversary": AdversarialVariants()}, FINITE),
    "soft adversary": ({"adversary": AdversarialVariants(), "mmel_loss": "soft"}, FINITE),
    "adversary, three steps": ({"adversary": AdversarialVariants(num_steps=3)}, FINITE),
    "adversary, passes of groups": ({"adversary": AdversarialVariants(), "variant_chunk_size": 2}, FINITE * 2),
    "adversary, passes of parts": ({"adversary": AdversarialVariants(), **CUT}, FINITE * 3),
    "adversary and top": ({"adversary": AdversarialVariants(), **TOP}, FINITE),
    "new scores": ({"score_interval": 3, **TOP}, FINITE),
    "known scores": ({"score_interval": 3, "steps_before": 1, **TOP}, FINITE),
    "loss check": ({"loss_check": True}, [*FINITE, "loss_check.py", "loss_check.py"]),
    "after the loss check": ({"loss_check": True, "steps_before": 1}, FINITE),
    "class weights": ({"class_weights": [1.0, 2.0]}, FINITE),
    "effective number": ({"effective_num_variants": 2.0}, FINITE),
    "feature separation": ({"feature_separation": 0.1}, [*FINITE, "group_step.py", "separation.py"]),
    "solved, top": ({"effective_num_variants": 2.0, **TOP}, FINITE),
    "uniform sample": ({"mmel_loss": "uniform", "variant_backward": "sample"}, FINITE),
}


@pytest.fixture
def waits(tokenizer, dataset, arguments, monkeypatch):
    """What a step waits for: `waits(size, **fields)`. `waits.batch` is the batch, `waits.trainer` the trainer."""

    def pretend():  # all tensors but those of the batch before it is moved are on a device
        monkeypatch.setattr("hf_mmel.data.layout.is_on_host", is_on_host)
        monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", is_on_host)
        monkeypatch.setattr(micro_batches, "_TOKENS_PER_PASS", {"cpu": 8192})

    def count(size=8, adversary=None, steps_before=0, by_hand=False, on_cuda=False, **fields):
        fields = {"mmel_loss": "hard", "num_variants": 4, "loss_check": False, "scoring_bf16": False, **fields}
        trainer = MMELTrainer(
            make_model(tokenizer, num_labels=2).train(),
            arguments(per_device_train_batch_size=size, use_cpu=not on_cuda, **fields),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
            adversary=adversary,
        )
        batch = next(iter(trainer.get_train_dataloader()))
        if not on_cuda:
            pretend()
            with Waits():
                batch = HostedBatch({name: on_host(x.clone()) for name, x in batch.items()}).to("cpu")
        batch, device = dict(batch) if by_hand else batch, trainer.args.device
        trainer.current_gradient_accumulation_steps = 1
        for _ in range(steps_before):
            trainer.training_step(trainer.model, batch)
            trainer.model.zero_grad()
        with CudaWaits() if on_cuda else Waits() as found:
            (batch,), num_items = trainer.get_batch_samples(iter([batch]), 1, device)
            trainer.training_step(trainer.model, batch, num_items)
        count.batch, count.trainer = batch, trainer
        return found

    return count


def files(found):
    """The files of the lines that wait."""
    return sorted(wait.place.split("/")[-1].split(":")[0] for wait in found)


@pytest.mark.parametrize(("fields", "expected"), MODES.values(), ids=MODES)
def test_a_step_waits_for_nothing_but_whether_its_losses_are_finite(waits, fields, expected):
    found = waits(**fields)
    assert files(found.own) == sorted(expected), found.table()
    assert not found.elsewhere


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("fields", "expected"), MODES.values(), ids=MODES)
def test_so_it_is_on_a_cuda_device(waits, fields, expected):
    found = waits(on_cuda=True, **fields)
    assert len(found.own) <= len(expected), found.table()


@pytest.mark.parametrize("fields", [{}, TOP], ids=["full", "top"])
def test_a_batch_that_is_made_by_hand_costs_one_wait(waits, fields):
    assert len(waits(**fields).own) == 1
    assert len(waits(by_hand=True, **fields).own) == 2


@pytest.mark.parametrize("fields", [{}, TOP, {"adversary": AdversarialVariants()}], ids=["full", "top", "adversary"])
@pytest.mark.parametrize("question", [lambda x: x.any().item(), lambda x: x.tolist(), lambda x: x.nonzero()])
def test_a_question_that_is_put_back_is_found(waits, monkeypatch, question, fields):
    expected, nonfinite = len(waits(**fields).own), VariantLosses.nonfinite

    def asking(self, mask):
        question(mask)
        return nonfinite(self, mask)

    monkeypatch.setattr(VariantLosses, "nonfinite", asking)
    found = waits(**fields)
    assert len(found.own) > expected


ON_DEVICE = torch.arange(6.0).view(2, 3)


@pytest.mark.parametrize(
    "asking",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.any()),
        lambda x: int(x.max()),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.numpy(),
        lambda x: x[x > 2],
        lambda x: x.masked_select(x > 2),
        lambda x: x.nonzero(),
        lambda x: x.unique(),
        lambda x: x.clone().index_put_((x > 2,), x[0]),
        lambda x: torch.equal(x, x),
        lambda x: x[x.long()[0, 1]],
        lambda x: x.repeat_interleave(x.long()[0], dim=1),
        lambda x: torch.tensor([1, 2], device=x.device),
        lambda x: on_host(torch.zeros(2)).to(x.device),
    ],
)
def test_the_counter_sees_what_waits(asking):
    with Waits() as found:
        asking(ON_DEVICE)
    assert found.elsewhere


@pytest.mark.parametrize(
    "asking",
    [
        lambda x: x[torch.arange(2, device=x.device)],
        lambda x: x.masked_fill(x > 2, 0.0).sum(),
        lambda x: torch.where(x > 2, x, 0.0).topk(2).values,
        lambda x: x.index_copy(0, torch.arange(2, device=x.device), x),
        lambda x: x.repeat_interleave(2, dim=1),
        lambda x: torch.from_numpy(ON_DEVICE.numpy()).to(x.device, non_blocking=True),
        lambda x: x.view(3, 2)[1:, 0].softmax(dim=0),
    ],
)
def test_the_counter_passes_over_the_rest(asking):
    array = ON_DEVICE.numpy()
    with Waits() as found:
        asking(ON_DEVICE) if array is not None else None
    assert found.elsewhere in ([], ["numpy"])  # which makes the array of the example


# The choice on a device.

KINDS = {
    "top": TOP,
    "top of two": {"variant_backward_count": 2, **TOP},
    "sample": {"variant_backward": "sample", "variant_backward_count": 2},
    "in passes": {"variant_backward": "sample", "variant_backward_count": 3, "variant_chunk_size": 1},
    "known scores": {"variant_backward_count": 2, "score_interval": 2, **TOP},
}


@pytest.fixture
def step(arguments, tokenizer):
    """Gradient and figures of a step: `step(head, lengthen, **fields)`, and the scores that are known after it."""

    def run(head, change=lambda batch: batch, **fields):
        rows = head.rows(tokenizer)[:6]
        trainer = MMELTrainer(
            head.model(tokenizer, 0.0).train(),
            arguments(num_variants=4, lambda_p=0.05, loss_check=False, scoring_bf16=False, **fields),
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
        )
        poison = tokenizer.unk_token_id

        def spoil(module, args, embedded):
            return embedded.masked_fill((args[0] == poison)[..., None], torch.nan)

        trainer.model.get_input_embeddings().register_forward_hook(spoil)
        batch = change(trainer.build_group_collator()(rows))
        for _ in range(2 if "score_interval" in fields else 1):
            trainer.model.zero_grad()
            torch.manual_seed(0)
            trainer.training_step(trainer.model, batch)
        gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters()])
        figures, _ = trainer._metrics.pop(lambda sums: sums)
        return gradient, figures, trainer._scores.values[: len(rows)]

    return run


def same_step(found, expected):
    figures = [{name: x for name, x in one[1].items() if "second" not in name} for one in (found, expected)]
    scores = torch.allclose(found[2], expected[2], atol=1e-5, equal_nan=True)
    return same_gradient(found[0], expected[0]) and figures[0] == pytest.approx(figures[1], rel=1e-4) and scores


@pairwise(head=TASK_HEADS, mmel_loss=["hard", "soft"], kind=KINDS)
def test_a_choice_that_stays_on_the_device_changes_no_gradient(step, head, mmel_loss, kind, monkeypatch):
    options = {"mmel_loss": mmel_loss, **kind}
    expected = step(head, **options)
    monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", lambda tensor: False)
    assert same_step(step(head, **options), expected)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "in passes"])
@pytest.mark.parametrize("variant", [0, 2], ids=["original", "variant"])
def test_nor_does_it_where_a_variant_is_not_finite(step, mmel_loss, kind, variant, tokenizer, monkeypatch):
    def poisoned(batch):
        batch["input_ids"][1, variant, 1] = tokenizer.unk_token_id
        return batch

    expected = step(TASK_HEADS["single_label"], poisoned, mmel_loss=mmel_loss, **KINDS[kind])
    monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", lambda tensor: False)
    found = step(TASK_HEADS["single_label"], poisoned, mmel_loss=mmel_loss, **KINDS[kind])
    assert expected[0].isfinite().all() and same_step(found, expected)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("are_unlabelled", [[2, 3], list(range(6))], ids=["some", "all"])
def test_nor_does_it_without_labels(step, mmel_loss, are_unlabelled, monkeypatch):
    def unlabelled(batch):
        batch["labels"][are_unlabelled] = -100
        return batch

    options = {"mmel_loss": mmel_loss, **KINDS["top of two"]}
    expected = step(TASK_HEADS["single_label"], unlabelled, **options)
    monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", lambda tensor: False)
    found = step(TASK_HEADS["single_label"], unlabelled, **options)
    assert torch.allclose(found[0], expected[0], atol=1e-6)
    assert found[0].any() or (mmel_loss, len(are_unlabelled)) == ("hard", 6)


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_nor_does_it_where_an_original_has_lost_its_label(step, mmel_loss, monkeypatch):
    """Its prediction is still what its variants are compared with."""

    def without_two_originals(self, variant_mask, args):
        kept = variant_mask.clone()
        kept[[0, 3], 0] = False
        return kept

    monkeypatch.setattr(VariantLosses, "keeping_label", without_two_originals)
    options = {"mmel_loss": mmel_loss, **KINDS["top of two"]}
    expected = step(TASK_HEADS["single_label"], **options)
    monkeypatch.setattr("hf_mmel.step.strategies.is_on_host", lambda tensor: False)
    assert same_step(step(TASK_HEADS["single_label"], **options), expected)
