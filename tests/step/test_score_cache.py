"""Scores that are reused: what is known of a group is not computed again, until its variants are drawn anew."""

import pytest
import torch
from conftest import SENTENCES, WORDS, make_model
from datasets import Dataset
from task_heads import TASK_HEADS
from trainer_runs import ROUNDING, same_gradient, weights_of
from transformers import TrainerCallback

from augment import GreedySearch, LexiconSubstitution
from hf_mmel import GreedySearchCallback, MMELTrainer, VariantCollator
from hf_mmel.callbacks import EpochCallback
from hf_mmel.step.scoring import ScoreCache


REUSED = {"variant_backward": "top", "score_interval": 2, "scoring_bf16": False, "num_variants": 4, "lambda_p": 0.05}
REUSED |= {"loss_check": False}  # a pass more


@pytest.fixture
def groups(arguments, tokenizer):
    """A trainer without dropout and a batch of six groups of a head: `groups(head, **fields)`."""

    def make(head, **fields):
        rows = head.rows(tokenizer)[:6]
        trainer = MMELTrainer(
            head.model(tokenizer, 0.0),
            arguments(**{**REUSED, **fields}),
            data_collator=head.collator(tokenizer),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            augmenter=LexiconSubstitution(tokenizer, WORDS, replace_prob=0.5),
        )
        trainer.data_collator = head.collator(tokenizer)
        return trainer, trainer.build_group_collator()(rows)

    return make


@pytest.fixture
def scored():
    """How many rows the passes of a model without a graph have: `scored(trainer)`, a list that grows."""

    def watch(trainer):
        rows = []

        def count(module, args, kwargs):
            if not torch.is_grad_enabled():
                rows.append(len(kwargs["input_ids"]))

        trainer.model.train().register_forward_pre_hook(count, with_kwargs=True)
        return rows

    return watch


def loss_and_gradient(trainer, batch):
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
@pytest.mark.parametrize("head", TASK_HEADS.values(), ids=TASK_HEADS)
def test_known_groups_train_alike_without_being_scored(groups, scored, head, mmel_loss):
    """The model has not moved, so what was known holds."""
    trainer, batch = groups(head, mmel_loss=mmel_loss)
    fresh, fresh_batch = groups(head, mmel_loss=mmel_loss, score_interval=1)
    passes = scored(trainer)
    (first_loss, first), (known_loss, known) = (loss_and_gradient(trainer, batch) for _ in range(2))
    fresh.model.train()
    loss, always = loss_and_gradient(fresh, fresh_batch)
    assert sum(passes) == batch["variant_mask"].sum()
    assert loss == first_loss and torch.equal(first, always)
    assert known_loss == pytest.approx(loss, rel=ROUNDING) and same_gradient(known, always)


def test_only_groups_that_are_not_known_are_scored(groups, scored):
    trainer, batch = groups(TASK_HEADS["single_label"], mmel_loss="hard")
    passes = scored(trainer)
    part = {name: tensor[[4, 1]] for name, tensor in batch.items()}
    trainer.compute_loss(trainer.model, part)
    trainer.compute_loss(trainer.model, batch)
    of_part, of_whole = (int(groups["variant_mask"].sum()) for groups in (part, batch))
    assert passes == [of_part, of_whole - of_part]  # short texts of like length: one pass each


@pytest.mark.parametrize("mmel_loss", ["hard", "soft"])
def test_what_training_computes_of_a_variant_is_its_score(groups, mmel_loss):
    """And that of a variant that is not trained on stays."""
    trainer, batch = groups(TASK_HEADS["single_label"], mmel_loss=mmel_loss)
    table, model = trainer._scores, trainer.model.train()
    trainer.compute_loss(model, batch)
    keys = batch["group_key"].tolist()
    before = table.values[table.rows(keys)].clone()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.5)
    trainer.compute_loss(model, batch)
    after = table.values[table.rows(keys)]
    other, other_batch = groups(TASK_HEADS["single_label"], mmel_loss=mmel_loss)
    other.model.load_state_dict(model.state_dict())
    other.compute_loss(other.model.train(), other_batch)
    now = other._scores.values[other._scores.rows(other_batch["group_key"].tolist())]
    changed = (after != before).any(dim=1)
    of_each = 1 if mmel_loss == "hard" else 2  # MMEL-S trains on the original, too
    assert 0 < changed.sum() <= of_each * len(batch["variant_mask"]) < batch["variant_mask"].sum()
    assert torch.allclose(after, torch.where(changed[:, None], now, before), atol=1e-5)


@pytest.fixture
def epochs_of(arguments, tokenizer, dataset, scored):
    """
    Trains on nine examples, shuffled: `epochs_of(augmenter, **fields)` gives of each epoch the sorted keys of the
    groups, and the number of rows that were scored.
    """

    def train(augmenter, resume=None, callbacks=(), **fields):
        trainer = MMELTrainer(
            make_model(tokenizer),
            arguments(**{"per_device_train_batch_size": 3, "num_train_epochs": 4, **REUSED, **fields}),
            train_dataset=dataset,
            processing_class=tokenizer,
            augmenter=augmenter,
            callbacks=list(callbacks),
        )
        keys, rows, compute_loss = [], [], trainer.compute_loss

        class Epochs(TrainerCallback):
            def on_epoch_begin(self, args, state, control, **kwargs):
                keys.append([])
                rows.append(0)

        passes = scored(trainer)

        def watched(model, inputs, **kwargs):
            keys[-1] += inputs["group_key"].tolist()
            passes.clear()
            result = compute_loss(model, inputs, **kwargs)
            rows[-1] += sum(passes)
            return result

        trainer.compute_loss = watched
        trainer.add_callback(Epochs())
        trainer.train(resume_from_checkpoint=resume)
        return [sorted(epoch) for epoch in keys], rows

    return train


def test_variants_are_scored_when_they_come_first_and_kept_for_the_interval(epochs_of, augmenter):
    keys, rows = epochs_of(augmenter)
    assert len(set(keys[0])) == len(SENTENCES) and keys[0] == keys[1] and keys[2] == keys[3]
    assert keys[0] != keys[2] and rows[0] > 0 and rows[2] > 0 and rows[1] == rows[3] == 0


def test_a_resumed_run_knows_the_scores_of_its_checkpoint(epochs_of, augmenter, tmp_path):
    """The checkpoint lies in the middle of the second epoch, in which nothing is scored, or of the first."""
    keys, rows = epochs_of(augmenter, save_strategy="steps", save_steps=1)
    for checkpoint, epoch in ((4, 1), (2, 0)):
        resumed_keys, resumed_rows = epochs_of(augmenter, resume=str(tmp_path / "out" / f"checkpoint-{checkpoint}"))
        assert set(resumed_keys[0]) < set(keys[epoch])
        assert resumed_rows[0] < rows[0] and (resumed_rows[0] > 0) == (epoch == 0)
        assert resumed_keys[1:] == keys[epoch + 1 :] and resumed_rows[1:] == rows[epoch + 1 :]


def test_variants_that_are_searched_are_searched_when_they_are_due(epochs_of, tokenizer):
    """Unless the callback says otherwise, and then others are scored."""
    keys, rows = epochs_of(GreedySearch(LexiconSubstitution(tokenizer, WORDS)))
    assert keys[0] == keys[1] != keys[2] == keys[3] and rows[1] == rows[3] == 0
    callback = GreedySearchCallback(refresh_epochs=1)
    _, rows = epochs_of(GreedySearch(LexiconSubstitution(tokenizer, WORDS)), callbacks=[callback])
    assert rows[1] > 0


def test_a_training_begins_without_scores(groups, arguments):
    trainer, batch = groups(TASK_HEADS["single_label"])
    trainer.compute_loss(trainer.model.train(), batch)
    key = int(batch["group_key"][0])
    assert key in trainer._scores
    (callback,) = trainer._callbacks_of(EpochCallback)
    callback.on_train_begin(trainer.args, trainer.state, trainer.control)
    assert key not in trainer._scores


def test_groups_are_known_by_their_variants_and_their_label(tokenizer, augmenter):
    collator = VariantCollator(tokenizer, augmenter, 3, epochs_per_draw=2)
    rows = [{**tokenizer(text), "label": i % 2} for i, text in enumerate(SENTENCES)]

    def keys(rows, epoch=0):
        collator.set_epoch(epoch)
        return collator(rows)["group_key"].tolist()

    assert len(set(keys(rows))) == len(rows)
    assert keys(rows) == keys(rows, epoch=1) == [key for row in rows for key in keys([row])] != keys(rows, epoch=2)
    assert not set(keys(rows)) & set(keys([{**row, "label": 1 - row["label"]} for row in rows]))
    assert "group_key" not in VariantCollator(tokenizer, augmenter, 3)(rows)


def test_a_table_grows_and_keeps_what_it_has():
    table, rows = ScoreCache(), torch.arange(24.0).view(12, 2)
    for i in range(0, 12, 3):
        table.put(range(i, i + 3), rows[i : i + 3])
    table.put([5, 40], torch.tensor([[-1.0, -2.0], [-3.0, -4.0]]))
    assert table.values[table.rows([0, 5, 11, 40])].tolist() == [
        [0.0, 1.0],
        [-1.0, -2.0],
        [22.0, 23.0],
        [-3.0, -4.0],
    ]
    assert 40 in table and 41 not in table
    table.share()
    assert table.values[table.rows([11])].tolist() == [[22.0, 23.0]]
    table.rows([3])
    copy = ScoreCache()
    copy.load_state_dict(table.state_dict())
    assert copy.values[copy.rows([40, 11])].tolist() == [[-3.0, -4.0], [22.0, 23.0]] and 41 not in copy
    copy.load_state_dict(table.state_dict())
    assert copy.state_dict()["changed"] == [3, 11]  # what other processes are still to get
    table.clear()
    assert 40 not in table
    table.share()
    copy.load_state_dict(table.state_dict())
    assert 40 not in copy


def test_scores_that_could_not_be_reused_are_refused(groups, arguments, tokenizer, dataset, augmenter):
    with pytest.raises(ValueError, match="score_interval is 2, but variant_backward='full' computes all variants"):
        arguments(score_interval=2, mmel_loss="hard")
    with pytest.raises(ValueError, match="epochs_per_draw is 0; expected"):
        VariantCollator(tokenizer, augmenter, epochs_per_draw=0)
    collator = VariantCollator(tokenizer, augmenter)
    with pytest.raises(ValueError, match="score_interval is 2, but the epochs_per_draw of the VariantCollator is 1"):
        MMELTrainer(make_model(tokenizer), arguments(**REUSED), data_collator=collator, train_dataset=dataset)
    args = arguments(**REUSED)
    trainer = MMELTrainer(
        make_model(tokenizer), args, data_collator=lambda rows: collator(rows), train_dataset=dataset
    )
    with pytest.raises(ValueError, match="score_interval is 2, but nothing tells when variants change"):
        trainer.train()
    trainer, batch = groups(TASK_HEADS["single_label"])
    batch.pop("group_key")
    with pytest.raises(ValueError, match="a batch has no group_key"):
        trainer.compute_loss(trainer.model.train(), batch)


def test_known_groups_keep_their_original_with_them(groups):
    """The soft label of a group that was scored earlier is computed with the variants that are trained on."""
    fields = {"mmel_loss": "soft", "variant_backward_count": 3}
    gradients = []
    for chunk in (None, 1):
        trainer, batch = groups(TASK_HEADS["single_label"], variant_chunk_size=chunk, **fields)
        trainer.model.train()
        part = {name: tensor[:1] for name, tensor in batch.items()}  # as the last batch of an epoch may be
        gradients += [loss_and_gradient(trainer, part)[1] for _ in range(2)]
    assert all(same_gradient(other, gradients[0]) for other in gradients[1:])


@pytest.mark.parametrize(
    "fields", [{}, {"variant_backward": "sample"}, {"variant_backward": "top", "score_interval": 2}]
)
def test_originals_alone_are_not_scored(fields, tokenizer, dataset, arguments, augmenter, scored):
    """With class weights they are groups of one, of which there is nothing to choose."""
    common = {"mmel_loss": "none", "class_weights": [1.0, 3.0], "max_steps": 3, "learning_rate": 1e-3}
    args, plain = (arguments(loss_check=False, **common, **own) for own in (fields, {}))
    trainer = MMELTrainer(make_model(tokenizer), args, None, dataset, processing_class=tokenizer, augmenter=augmenter)
    rows = scored(trainer)
    trainer.train()
    reference = MMELTrainer(make_model(tokenizer), plain, None, dataset, processing_class=tokenizer)
    reference.train()
    assert not rows and torch.equal(weights_of(trainer), weights_of(reference))
