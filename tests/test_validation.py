"""Labels, answers and names of labels that are refused before training."""

import pytest
from conftest import SENTENCES, make_model
from datasets import Dataset, concatenate_datasets
from peft import LoraConfig, get_peft_model
from task_heads import TASK_HEADS
from transformers import BertConfig, DataCollatorWithPadding

from hf_mmel.validation import check_label_names, check_labels, check_objective


CONFIG = BertConfig(num_labels=2)
TOKENS = TASK_HEADS["tokens"]


def changed(head, tokenizer, row: int, **columns) -> Dataset:
    """The rows of a head, one of which has other values."""
    rows = head.rows(tokenizer)
    rows[row] = {**rows[row], **columns}
    return Dataset.from_list(rows)


def labels_of(tokenizer, row: int, place: int, value) -> list:
    labels = TOKENS.rows(tokenizer)[row]["labels"]
    return [*labels[:place], value, *labels[place + 1 :]]


@pytest.mark.parametrize("name", TASK_HEADS)
def test_the_data_of_every_head_pass(tokenizer, name):
    head = TASK_HEADS[name]
    dataset = Dataset.from_list(head.rows(tokenizer))
    config = BertConfig(**{"num_labels": 2, **head.config})
    for same in (dataset, dataset.with_format("torch"), concatenate_datasets([dataset] * 2), dataset.select([3, 1])):
        check_labels(same, config)
    check_labels(dataset.to_list(), config)  # is not read ahead


@pytest.mark.parametrize("value", [2, 7, -1, -99])
def test_the_label_of_a_token_is_a_class_or_ignored(tokenizer, value):
    dataset = changed(TOKENS, tokenizer, 4, labels=labels_of(tokenizer, 4, 3, value))
    with pytest.raises(ValueError, match=f"Row 4 of train_dataset has the labels {value}; .*expected 0 to 1"):
        check_labels(dataset, CONFIG)
    good = Dataset.from_list(TOKENS.rows(tokenizer))
    with pytest.raises(ValueError, match=f"Row {len(good) + 4} of"):
        check_labels(concatenate_datasets([good, dataset]), CONFIG)
    with pytest.raises(ValueError, match="Row 1 of"):
        check_labels(dataset.select(range(3, 7)), CONFIG)
    check_labels(dataset.select(range(5, 8)), CONFIG)
    check_labels(changed(TOKENS, tokenizer, 4, labels=labels_of(tokenizer, 4, 3, -100)), CONFIG)


def test_labels_of_tokens_are_as_many_as_the_tokens_and_all_there(tokenizer):
    labels = TOKENS.rows(tokenizer)[2]["labels"]
    for wrong in (labels[:-1], [*labels, -100], []):
        with pytest.raises(ValueError, match=rf"Row 2 .* has {len(wrong)} labels for {len(labels)} tokens"):
            check_labels(changed(TOKENS, tokenizer, 2, labels=wrong), CONFIG)
    with pytest.raises(ValueError, match="Row 2 of train_dataset has labels without a value"):
        check_labels(changed(TOKENS, tokenizer, 2, labels=labels_of(tokenizer, 2, 1, None)), CONFIG)
    with pytest.raises(ValueError, match="Row 2 of train_dataset has no labels"):
        check_labels(changed(TOKENS, tokenizer, 2, labels=None), CONFIG)


def test_lists_of_one_label_and_several_labels_of_a_text_are_not_those_of_tokens(tokenizer):
    rows = [dict(tokenizer(text)) for text in SENTENCES]
    check_labels(Dataset.from_list([{**row, "label": [1]} for row in rows]), CONFIG)
    with pytest.raises(ValueError, match="Row 0 of train_dataset has the label 2"):
        check_labels(Dataset.from_list([{**row, "label": [2]} for row in rows]), CONFIG)
    several = BertConfig(num_labels=3, problem_type="multi_label_classification")
    check_labels(Dataset.from_list([{**row, "labels": [0, 1, 1]} for row in rows]), several)


@pytest.mark.parametrize("value", [-1, 3, 7])
def test_the_label_of_an_example_of_multiple_choice_is_one_of_its_choices(tokenizer, value):
    with pytest.raises(ValueError, match=f"Row 5 .* has the label {value}; there are 3 choices, so expected 0 to 2"):
        check_labels(changed(TASK_HEADS["choices"], tokenizer, 5, label=value), CONFIG)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (4, 3), (0, 99), (None, 3), (2, None)])
def test_an_answer_lies_in_its_row(tokenizer, start, end):
    dataset = changed(TASK_HEADS["answers"], tokenizer, 6, start_positions=start, end_positions=end)
    length = len(dataset[6]["input_ids"])
    with pytest.raises(
        ValueError, match=f"Row 6 .* has {length} tokens and an answer from {start} to {end}; expected"
    ):
        check_labels(dataset, CONFIG)
    with pytest.raises(ValueError, match="Row 2 of"):
        check_labels(concatenate_datasets([dataset, dataset]).select(range(4, 9)), CONFIG)
    with pytest.raises(ValueError, match=f"an answer from 0 to {length}"):
        check_labels(changed(TASK_HEADS["answers"], tokenizer, 6, start_positions=0, end_positions=length), CONFIG)
    check_labels(changed(TASK_HEADS["answers"], tokenizer, 6, start_positions=0, end_positions=0), CONFIG)
    last = {"start_positions": length - 1, "end_positions": length - 1}
    check_labels(changed(TASK_HEADS["answers"], tokenizer, 6, **last), CONFIG)


def test_label_smoothing_of_answers_is_refused(tokenizer):
    dataset = Dataset.from_list(TASK_HEADS["answers"].rows(tokenizer))
    with pytest.raises(ValueError, match=r"label_smoothing_factor is 0\.1"):
        check_labels(dataset, CONFIG, 0.1)
    with pytest.raises(ValueError, match="expected one named labels or label or label_ids"):
        check_labels(dataset.remove_columns("end_positions"), CONFIG)


def test_label_names_are_inputs_of_the_model_or_columns_of_the_data(arguments, tokenizer, dataset):
    model, padding = make_model(tokenizer), DataCollatorWithPadding(tokenizer)
    data = dataset.add_column("weight", [0.5] * len(dataset))

    def check(names, model=model, dataset=data, data_collator=padding):
        check_label_names(arguments(label_names=names), model, dataset, data_collator)

    for names in (None, [], ["labels"], ["labels", "token_type_ids"], ["labels", "weight"]):
        check(names)
    check(["labels"], get_peft_model(make_model(tokenizer), LoraConfig(target_modules=["query"])))
    for names in (["bad"], ["labels", "bad"], ["label"]):
        with pytest.raises(ValueError, match=f"has '{names[-1]}', so that an evaluation would have no loss"):
            check(names)
    # What these make of the rows is not known.
    check(["bad"], data_collator=lambda rows: rows)
    check(["bad"], dataset=data.with_transform(lambda rows: rows))
    check(["bad"], dataset=None)


def test_a_sharded_model_is_not_compiled_for_scoring(arguments):
    args = arguments(scoring_compile=True)
    check_objective(args, None, None, is_sharded=False)
    with pytest.raises(ValueError, match="scoring_compile is set, but FSDP and DeepSpeed"):
        check_objective(args, None, None, is_sharded=True)
