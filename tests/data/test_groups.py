"""Batches of groups: taken apart, put together, and counted."""

from types import SimpleNamespace

import pytest
import torch
from head_batches import HEADS, batch_of
from task_heads import TASK_HEADS

from hf_mmel import VariantCollator
from hf_mmel.data.groups import IGNORE_INDEX, POSITIONS, Groups, are_of_tokens, as_groups, num_items, originals


@pytest.fixture(params=TASK_HEADS)
def head(request):
    return TASK_HEADS[request.param]


@pytest.fixture
def plain(head, tokenizer) -> dict:
    """A stock batch."""
    return dict(head.collator(tokenizer, pad_to_multiple_of=64)(head.rows(tokenizer)))


@pytest.fixture
def batch(head, tokenizer, augmenter) -> dict:
    """The same examples in groups."""
    collate = head.collator(tokenizer, pad_to_multiple_of=64)
    return VariantCollator(tokenizer, augmenter, 3, data_collator=collate)(head.rows(tokenizer))


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def test_originals_of_groups_are_the_stock_batch(batch, plain):
    assert equal(originals(batch), plain)


def test_examples_as_groups_have_themselves_as_originals(plain):
    groups = as_groups(plain)
    assert equal(originals(groups), plain)
    assert groups["variant_mask"].tolist() == [[True]] * len(plain["input_ids"])
    apart = Groups.of(groups)
    targets = {"labels", *POSITIONS}
    assert equal(apart.rows, {name: x for name, x in plain.items() if name not in targets})
    assert apart.targets.keys() == targets & plain.keys()


def test_rows_are_the_variants_that_are_present(batch):
    batch["variant_mask"][2, 1:] = batch["variant_mask"][4, 2] = False
    groups = Groups.of(batch)
    mask = batch["variant_mask"]
    assert len(groups.present) == mask.sum()
    for name, rows in groups.rows.items():
        expected = [batch[name][b, v] for b, v in mask.nonzero().tolist()]
        assert rows.equal(torch.stack(expected))
    assert not {"labels", "alignment", "variant_mask", *POSITIONS} & groups.rows.keys()
    assert groups.alignment is batch.get("alignment")
    assert groups.num_choices == (3 if batch["input_ids"].dim() == 4 else None)
    assert "variant_mask" in batch and ("labels" in batch or POSITIONS[0] in batch)  # which is left as it was


@pytest.mark.parametrize("shape", [(), (5,), (5, 2)])
def test_grouped_values_stand_where_their_variants_do(batch, shape):
    groups = Groups.of(batch)
    values = torch.randn(len(groups.present), *shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
    whole = groups.grouped(values)
    mask = batch["variant_mask"]
    assert whole.shape == (*mask.shape, *shape)
    assert whole[mask].equal(values) and not whole[~mask].any()
    whole.sum().backward()
    assert (values.grad == 1).all()


def test_items_are_examples_or_the_labelled_words_of_originals(batch, plain, head):
    labels = plain.get("labels")
    expected = len(plain["input_ids"]) if head.name != "tokens" else (labels != IGNORE_INDEX).sum()
    assert num_items(batch) == num_items(as_groups(plain)) == expected


def test_ignored_examples_are_no_items():
    _, batch = batch_of("single_label")
    batch["labels"][0] = IGNORE_INDEX
    assert num_items(batch) == 1
    _, batch = batch_of("regression")
    batch["labels"][0] = IGNORE_INDEX  # a number like others
    assert num_items(batch) == 2


def test_several_labels_of_a_text_are_one_item():
    _, batch = batch_of("multi_label")
    assert num_items(batch) == num_items({**batch, "labels": batch["labels"].long()}) == 2


def test_lost_and_new_words_of_variants_are_no_items():
    _, batch = batch_of("tokens")
    count = num_items(batch)
    batch["labels"][:, 1:] = IGNORE_INDEX
    assert num_items(batch) == count > 0


@pytest.mark.parametrize("name", HEADS)
def test_groups_without_targets_or_with_those_of_others_are_refused(name):
    _, batch = batch_of(name)
    inputs = {key: x for key, x in batch.items() if key not in ("labels", *POSITIONS)}
    with pytest.raises(ValueError, match=r"variant_mask of shape \(2, 3\) and no labels; expected labels of shape"):
        Groups.of(inputs)
    with pytest.raises(ValueError, match=r"and .* of shape \(1.*expected labels of shape \(2, \.\.\.\)"):
        Groups.of({**batch, **{key: x[:1] for key, x in batch.items() if key not in ("input_ids", "variant_mask")}})


@pytest.mark.parametrize(
    ("task", "name"), [("answers", "end_positions"), ("tokens", "labels"), ("choices", "input_ids")]
)
def test_a_tensor_without_the_variant_axis_is_named_with_its_shape(task, name):
    _, batch = batch_of(task)
    wrong = batch[name][:, :2]
    with pytest.raises(ValueError, match=rf"{name} has the shape \(2, 2.*expected \(2, 3\), \.\.\.: all tensors"):
        Groups.of({**batch, name: wrong})


def test_labels_are_of_tokens_by_their_dtype_and_the_models_problem_type():
    """Several labels of a text may be as many as its tokens."""
    ids, multi_label = torch.ones(2, 4, dtype=torch.long), "multi_label_classification"
    of_each_token, of_texts = (
        torch.tensor([[-100, 1, 0, 2], [-100, 1, 1, -100]]),
        torch.tensor([[0, 1, 0, 0], [1, 0, 0, 1]]),
    )
    assert are_of_tokens(of_each_token, ids) and are_of_tokens(of_texts, ids)
    assert not are_of_tokens(of_texts.float(), ids) and not are_of_tokens(of_texts, ids, problem_type=multi_label)
    assert not are_of_tokens(of_texts[:, :3], ids) and not are_of_tokens(None, ids) and not are_of_tokens(ids, None)
    row = {"labels": [0, 1, 0, 0], "input_ids": [2, 7, 8, 3], "special_ids": {2, 3}}
    assert not are_of_tokens(**row) and are_of_tokens(**row | {"labels": [-100, 1, 0, -100]})
    model = SimpleNamespace(config=SimpleNamespace(problem_type=multi_label))
    for labels, shape in ((of_texts, (2, 4)), (of_each_token, (2, 1, 4))):
        batch = as_groups({"input_ids": ids, "labels": labels}, model if labels is of_texts else None)
        assert batch["labels"].shape == shape and batch["input_ids"].shape == (2, 1, 4)
        assert equal(as_groups(batch), batch)


def test_weights_of_examples_stay_with_their_examples_and_out_of_the_rows(plain, batch):
    weights = torch.arange(len(batch["variant_mask"])) / 4
    groups = Groups.of({**batch, "weight": weights})
    assert "weight" not in groups.rows and "weight" not in groups.targets
    assert equal(originals({**batch, "weight": weights}), originals(batch))
    assert originals({**batch, "weight": weights}, with_weights=True)["weight"].equal(weights)
    assert as_groups({**plain, "weight": weights})["weight"].equal(weights)


def test_weights_that_are_not_one_for_each_example_are_refused():
    _, batch = batch_of("single_label")
    wrong = torch.ones(batch["variant_mask"].shape)
    with pytest.raises(ValueError, match=r"weight has the shape \(2, 3\); expected \(2,\), the factor of the loss"):
        Groups.of({**batch, "weight": wrong})
